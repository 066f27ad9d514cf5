"""From the sums of a sku to what leaves: position, promise, item, exceptions, and when to look again.

* A promise leaves when it says something new, or rests on other sources; one that only moved its first day does not.
* It rests on every source that owns a bucket at its locations, also one that has said nothing of the sku, and on no
  other: a channel judges staleness by them.
* While a lane that is whole sends everything for the first time, a source is ready for the skus that it has sent.
* While a source it rests on is not ready, a promise that once was complete is *held*: day by day the lower of what was
  said last and of what would be said now, so only decreases leave.  One that never was complete says so, once what its
  source holds has been read: until then a sku is only folded, and everything is made when the source is complete.
* The stamps of a change wait until a complete promise shows it: no channel is told an incomplete one.
* Messages are bounded: they carry sums, and of very many dates the finer steps are merged downwards.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from schemas.records import Atp, Bucket, Drift, Item, KitWhy, LocationAtp, Position, PositionLine, Stamps
from streams.core.inventory import drift
from streams.core.inventory.clock import Calendar, move_wake
from streams.core.inventory.exceptions import Finding, reconcile
from streams.core.inventory.kits import Kits, Lines, Own
from streams.core.inventory.made import NOTHING, Said, digest_of, first_days, last_digest, load_promise
from streams.core.inventory.promise import (
    Promise,
    available_on,
    coarser,
    compute,
    lower_of,
    nothing_at,
)
from streams.core.inventory.sources import Sources
from streams.core.inventory.state import ZERO, Made, Sku, encode, sku_key
from streams.core.inventory.working import MAX_PLACES, Working
from streams.core.ownership import ANY, Ownership
from streams.core.unit import View

MAX_LINES = 5_000
"""Lines of a position; above it, due dates are merged."""
MAX_STEPS = 20_000
"""Steps of a promise over all locations; above it, steps are merged downwards."""

_CONTENT = msgspec.msgpack.Encoder(decimal_format="string")

_NO_ITEM = Item(sku="", version=0, source="")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a promise depends on beside the state."""

    ownership: Ownership
    horizon_days: int
    """How far ahead it looks."""
    grace_days: int
    """How long inbound past its date still counts (from tomorrow)."""


class Publisher:
    """Makes the outputs of touched skus."""

    def __init__(self, rules: Rules, sources: Sources, calendar: Calendar, kits: Kits) -> None:
        self._rules, self._sources, self._calendar, self._kits = rules, sources, calendar, kits
        self.made: dict[bytes, tuple[Said, Made]] = {}
        """What this unit has made, as the state holds it: it is about to be rendered."""

    def publish(self, working: Working, sku: str) -> list[bytes]:
        """Make what leaves for a folded sku; the owed keys."""
        record = working.sku(sku)
        record.whole = False
        if record.unfinished:
            return []
        state, now_us = working.state, working.now_us
        kit = self._kits.terms(working, sku, record)
        lines: Lines = record.lines if kit is None else kit.lines(record.lines)
        locations = {key[0] for key in lines}
        locations.update(key[0] for key in record.sums)
        if kit is not None:
            locations |= kit.locations
        needed = self._sources.needed(locations)
        ready = self._sources.all_ready(needed, record.versions)
        if not ready and self._sources.being_read(record.cause) and not _was_made(state, record, sku):
            return []
        uncertain = bool(record.uncertain) or any(self._sources.uncertain(source) for source in needed)
        todays = self._calendar.todays(locations)
        promise = self._compute(lines, todays)
        drifts = drift.visible(record, self._sources)
        item = self._item(sku, record)
        owed: list[bytes] = []
        known = bool(record.items or record.sums or record.lines) or (kit is not None and kit.known)
        stamps, cause = record.stamps or Stamps(), record.cause

        position = make_position(sku, record, drifts, ready, uncertain) if known else None
        if self._make(working, b"p", sku, position, record, stamps, cause):
            owed.append(b"p" + sku.encode())
        rests_on = {source: record.versions.get(source, 0) for source in sorted(needed)}
        tracked, why = item.tracked, None
        kit_findings: list[Finding] = []
        if kit is not None:
            own = Own(promise, ready, uncertain, item, rests_on, todays, stamps, cause)
            told = kit.publish(own, lines, lambda left: self._compute(left, todays))
            promise, ready, uncertain, tracked, rests_on, why, kit_findings = told[:7]
            owed += told.owed
        if self._make_promise(
            working, sku, record, promise, item, ready, uncertain, known, todays, rests_on, tracked, why
        ):
            owed.append(b"a" + sku.encode())
        if self._make(working, b"i", sku, item if item is not _NO_ITEM else None, record, stamps, cause):
            owed.append(b"i" + sku.encode())

        record.whole = ready and kit is None and not record.drifts
        wake_us = self._calendar.next_midnight_us(locations, promise.change_days)
        after_us = self._rules.ownership.drift_after_s * 1_000_000
        findings, ripe_us = drift.findings(sku, drifts, now_us, after_us)
        if ready:
            if record.coarse:
                findings.append(_too_many(sku, record))
            if record.exceptions or findings or promise.overdue or kit_findings or _lowest(promise) < ZERO:
                findings += kit_findings
                findings += _oversells(sku, promise, item, cause, tracked)
                findings += self._overdue(sku, promise)
                owed.extend(reconcile(state, record.exceptions, findings, now_us))
            if ripe_us is not None:
                wake_us = ripe_us if wake_us is None else min(wake_us, ripe_us)
        move_wake(state, sku_key(sku), record.wake_us, wake_us)
        record.wake_us = wake_us
        return owed

    def _compute(self, lines: Lines, todays: dict[str, dt.date]) -> Promise:
        return compute(lines, todays, horizon_days=self._rules.horizon_days, grace_days=self._rules.grace_days)

    def _item(self, sku: str, record: Sku) -> Item:
        for source in self._rules.ownership.items:
            said = record.items.get(source)
            if said is not None:
                part = said.part
                return Item(
                    sku=sku,
                    version=0,
                    source=source,
                    name=part.name,
                    unit=part.unit,
                    unit_digits=part.unit_digits,
                    tracked=part.tracked,
                    backorder_limit=part.backorder_limit,
                    active=part.active,
                )
        return _NO_ITEM

    def _make(
        self,
        working: Working,
        kind: bytes,
        sku: str,
        output: Position | Item | None,
        record: Sku,
        stamps: Stamps,
        cause: str,
    ) -> bool:
        """Keep an output when it says something new; True when it is to leave."""
        key = kind + sku.encode()
        last = last_digest(working.state, record, key)
        if output is None:
            self._drop(working.state, record, key)
            return last != NOTHING
        content = _CONTENT.encode(output)
        digest = digest_of(content)
        if last == digest:
            return False
        self._keep(working.state, record, key, digest, output, Made(content, record.versions, stamps, cause))
        return True

    def _keep(self, state: View, record: Sku, key: bytes, digest: bytes, output: Said, made: Made) -> None:
        state.put(key, encode(made))
        record.said[key[:1].decode()] = digest
        self.made[key] = (output, made)

    @staticmethod
    def _drop(state: View, record: Sku, key: bytes) -> None:
        if last_digest(state, record, key) != NOTHING:
            state.put(key, None)
            record.said[key[:1].decode()] = NOTHING

    def _make_promise(
        self,
        working: Working,
        sku: str,
        record: Sku,
        promise: Promise,
        item: Item,
        ready: bool,
        uncertain: bool,
        known: bool,
        todays: dict[str, dt.date],
        rests_on: dict[str, int],
        tracked: bool,
        why: KitWhy | None,
    ) -> bool:
        key = b"a" + sku.encode()
        state = working.state
        last = last_digest(state, record, key)
        if not known and (ready or last == NOTHING):
            self._drop(state, record, key)
            record.stamps, record.cause = None, ""
            return last != NOTHING
        atp = Atp(
            sku=sku,
            version=0,
            complete=ready,
            uncertain=uncertain,
            tracked=tracked,
            backorder_limit=item.backorder_limit,
            active=item.active,
            network=promise.network,
            locations=promise.locations,
            kit=why,
        )
        told, held_back = atp, False
        if not ready and (before := load_promise(state, key)) is not None and before[0].complete:
            told = _held(before[0], atp, todays, known=known)
            held_back = (told.network, told.locations) != (atp.network, atp.locations)
        told = bounded(told)
        content = _CONTENT.encode(told)
        stamps, cause = record.stamps or Stamps(), record.cause
        if not held_back and (told.complete or stamps.committed_us is None):
            record.stamps, record.cause = None, ""
        digest, days = digest_of(content, sorted(rests_on)), first_days(told)
        if last == digest:
            return False
        if days != record.first_days and _only_days_moved(load_promise(state, key), told, rests_on):
            return False
        record.first_days = days
        self._keep(state, record, key, digest, told, Made(content, rests_on, stamps, cause))
        return True

    def _overdue(self, sku: str, promise: Promise) -> list[Finding]:
        by_location: dict[str, tuple[dt.date, Decimal]] = {}
        for (location, due), quantity in sorted(promise.overdue.items()):
            first, total = by_location.get(location, (due, ZERO))
            by_location[location] = (first, total + quantity)
        found = []
        for location, (first, total) in by_location.items():
            owners = self._rules.ownership.owners(Bucket.INBOUND, location)
            found.append(
                Finding(
                    code="inbound-overdue",
                    source=owners[0].source if owners else "",
                    subject=f"{sku}/{location}",
                    detail=f"{total:f} expected at {location}, the earliest since {first}, is no longer promised",
                    action="receive it, give it a new date or close it in the system that ordered it",
                )
            )
        return found


def _was_made(state: View, record: Sku, sku: str) -> bool:
    """Something of the sku has been said."""
    return any(last_digest(state, record, kind + sku.encode()) != NOTHING for kind in (b"p", b"a"))


def _lowest(promise: Promise) -> Decimal:
    return min((at.available_now for at in promise.locations), default=ZERO).min(promise.network.available_now)


def _too_many(sku: str, record: Sku) -> Finding:
    """Its sums stand without dates."""
    return Finding(
        code="too-many-dates",
        source=min(owner for _, _, owner, _ in record.sums).partition("/")[0],
        subject=sku,
        detail=f"it has been open at more than {MAX_PLACES} places and dates: all demand is promised as due now, and "
        "inbound not at all",
        action="close what is done in the system it comes from; closes by itself when half as many are left",
    )


def _oversells(sku: str, promise: Promise, item: Item, cause: str, tracked: bool) -> list[Finding]:
    """More is promised than there is, by more than may be backordered."""
    if not tracked:
        return []
    limit = item.backorder_limit or ZERO
    return [
        Finding(
            code="oversell",
            source=cause or "rule",
            subject=sku if at.location == ANY else f"{sku}/{at.location}",
            detail=f"{-at.available_now:f} more is promised than there is"
            + ("" if at.location == ANY else f" at {at.location}")
            + f": on hand {at.on_hand:f}, on hold {at.on_hold:f}, safety stock {at.safety_stock:f}, "
            f"open demand {at.demand:f}, open inbound {at.inbound:f}, reserved {at.reserved:f}",
            action="move stock or a date, or tell the customer; closes by itself when that is no longer so",
        )
        for at in (promise.network, *promise.locations)
        if at.available_now < -limit
    ]


def make_position(sku: str, record: Sku, drifts: tuple[Drift, ...], complete: bool, uncertain: bool) -> Position:
    """The position these sums make; above MAX_LINES one line for all due dates of a place."""
    sums = {key: quantity for key, (quantity, _) in record.sums.items()}
    if len(sums) > MAX_LINES:
        merged: dict[tuple[str, Bucket, str, dt.date | None], Decimal] = {}
        for (location, bucket, source, _), quantity in sums.items():
            place = (location, bucket, source, None)
            merged[place] = merged.get(place, ZERO) + quantity
        sums = merged
    ordered = sorted(sums, key=_line_order) if len(sums) > 1 else sums
    return Position(
        sku=sku,
        version=0,
        complete=complete,
        uncertain=uncertain,
        lines=tuple(
            PositionLine(location=key[0], bucket=key[1], quantity=sums[key], source=key[2], due=key[3])
            for key in ordered
        ),
        drifts=drifts,
    )


def _line_order(key: tuple[str, Bucket, str, dt.date | None]) -> tuple[str, Bucket, dt.date, str]:
    location, bucket, source, due = key
    return location, bucket, due or dt.date.min, source


def _held(last: Atp, new: Atp, todays: dict[str, dt.date], *, known: bool) -> Atp:
    """What may leave while a source is not ready: the lower of both, for every location of either."""
    before = {at.location: at for at in last.locations}
    after = {at.location: at for at in new.locations}
    network_today = new.network.steps[0].date
    locations = []
    for location in sorted(before.keys() | after.keys()):
        today = todays.get(location, network_today)
        old = before.get(location) or nothing_at(location, today)
        now = after.get(location) or nothing_at(location, today)
        locations.append(lower_of(old, now, today))
    limits = [atp.backorder_limit for atp in (last, new) if atp.backorder_limit is not None]
    return Atp(
        sku=new.sku,
        version=0,
        complete=True,
        uncertain=new.uncertain,
        tracked=last.tracked or new.tracked,
        backorder_limit=min(limits) if len(limits) == 2 else None,
        active=last.active and (new.active or not known),
        network=lower_of(last.network, new.network, network_today),
        locations=tuple(locations),
        kit=new.kit,
    )


def bounded(atp: Atp) -> Atp:
    """The same promise in at most about MAX_STEPS steps, never promising more."""
    steps = sum(len(at.steps) for at in atp.locations) + len(atp.network.steps)
    if steps <= MAX_STEPS:
        return atp
    each = max(2, MAX_STEPS // (len(atp.locations) + 1))
    return msgspec.structs.replace(
        atp, network=coarser(atp.network, each), locations=tuple(coarser(at, each) for at in atp.locations)
    )


def _only_days_moved(made: tuple[Atp, Made] | None, new: Atp, rests_on: dict[str, int]) -> bool:
    return made is not None and made[1].source_versions.keys() == rests_on.keys() and _same(made[0], new)


def _same(last: Atp, new: Atp) -> bool:
    """Whether only the first days moved: from the new one's today on, both promise the same."""
    if len(last.locations) != len(new.locations):
        return False
    pairs = list(zip((last.network, *last.locations), (new.network, *new.locations), strict=True))
    if all(old.steps[0].date == now.steps[0].date for old, now in pairs):
        return False
    moved = [_from(old, now.steps[0].date) for old, now in pairs]
    return msgspec.structs.replace(last, network=moved[0], locations=tuple(moved[1:])) == new


def _from(atp: LocationAtp, today: dt.date) -> LocationAtp:
    """The same promise told from a later day; what the days gone by held down stays held down, so it may differ."""
    first = type(atp.steps[0])(date=today, available=available_on(atp, today))
    return msgspec.structs.replace(atp, steps=(first, *(step for step in atp.steps if step.date > today)))
