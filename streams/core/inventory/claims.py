"""What one claim adds to the sums of its sku: owners first, then open demand, open inbound and live reservations.

A claim is every source's balances of one (sku, reference); balances without a reference stand together as one plain
claim.  `settle` is a function of the claim alone, so touching a claim changes the sums by the difference of two calls,
whatever else is open.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from schemas.records import Bucket
from streams.core.inventory.state import ZERO, DriftKey, Entry, LineKey, SumKey
from streams.core.ownership import ANY, Owner, Ownership

_DATED = frozenset({Bucket.DEMAND, Bucket.INBOUND, Bucket.RESERVED})
_NETTED = {Bucket.FULFILLED: Bucket.DEMAND, Bucket.RECEIVED: Bucket.INBOUND}
_DEMAND, _FULFILLED, _RESERVED = Bucket.DEMAND, Bucket.FULFILLED, Bucket.RESERVED
_INBOUND, _RECEIVED = Bucket.INBOUND, Bucket.RECEIVED
"""Names, because a member looked up in its class costs ten times as much, and here it is many times a sku."""

Place = tuple[str, dt.date | None]
"""(location, due) of an open quantity."""


class Effect:
    """What a claim contributes."""

    __slots__ = ("drifts", "lines", "sums", "wake_us")

    def __init__(self) -> None:
        self.lines: dict[LineKey, Decimal] = {}
        """To the promise: on_hand, on_hold, safety_stock, open demand and inbound, live reservations."""
        self.sums: dict[SumKey, Decimal] = {}
        """To the position: the owner's quantities, of a claim that is still open."""
        self.drifts: dict[DriftKey, tuple[Decimal, Decimal]] = {}
        """(owner's, other's) quantity where they differ."""
        self.wake_us: int | None = None
        """When a reservation expires and the claim must be settled again."""


def settle(entries: Sequence[Entry], referenced: bool, ownership: Ownership, now_us: int) -> Effect:
    """The effect of a claim at `now_us`.  Order of the entries does not matter."""
    effect = Effect()
    counted = _by_owner(entries, referenced, ownership, effect)
    if referenced:
        _add_open(effect, counted, _DEMAND, _FULFILLED)
        _add_open(effect, counted, _INBOUND, _RECEIVED)
        _add_reserved(effect, counted, now_us)
        plain = [entry for entry in counted if entry.bucket not in _CLAIMED]
    else:
        plain = counted
    for entry in plain:
        _add_plain(effect, entry, now_us)
    return effect


_CLAIMED = frozenset({_DEMAND, _FULFILLED, _INBOUND, _RECEIVED, _RESERVED})


def _by_owner(entries: Sequence[Entry], referenced: bool, ownership: Ownership, effect: Effect) -> list[Entry]:
    """The entries that count; what the others say goes to `effect.drifts`."""
    counted: list[Entry] = []
    others: list[tuple[Entry, Owner]] = []
    speaking: frozenset[tuple[Bucket, str, str]] | None = None
    for entry in entries:
        owners = ownership.owners(entry.bucket, entry.location)
        if not owners:
            continue
        chief, speaker = owners[0], (entry.source, entry.view)
        if referenced and chief != speaker:
            speaking = _speaking(entries, ownership) if speaking is None else speaking
            chief = next((owner for owner in owners if (entry.bucket, *owner) in speaking), chief)
        if chief == speaker:
            counted.append(entry)
        else:
            others.append((entry, chief))
    if others:
        _compare(effect, counted, others)
    return counted


def _speaking(entries: Iterable[Entry], ownership: Ownership) -> frozenset[tuple[Bucket, str, str]]:
    """Owners that say anything about a bucket of the claim."""
    return frozenset(
        (entry.bucket, entry.source, entry.view)
        for entry in entries
        if (entry.source, entry.view) in ownership.owners(entry.bucket, entry.location)
    )


def owner_of(entry: Entry, entries: Sequence[Entry], referenced: bool, ownership: Ownership) -> Owner | None:
    """Who is believed about what an entry of a claim says, for people; None: nobody owns that bucket there."""
    owners = ownership.owners(entry.bucket, entry.location)
    if not owners:
        return None
    speaking = _speaking(entries, ownership) if referenced else frozenset()
    return next((owner for owner in owners if (entry.bucket, *owner) in speaking), owners[0])


def _compare(effect: Effect, counted: Iterable[Entry], others: Iterable[tuple[Entry, Owner]]) -> None:
    owned: dict[tuple[str, Bucket], Decimal] = defaultdict(Decimal)
    for entry in counted:
        owned[entry.location, entry.bucket] += entry.quantity
    said: dict[DriftKey, Decimal] = defaultdict(Decimal)
    for entry, chief in others:
        other = str(Owner(entry.source, entry.view))
        said[entry.location, entry.bucket, str(chief), other] += entry.quantity
    for key, quantity in said.items():
        owner_quantity = owned.get(key[:2], ZERO)
        if quantity != owner_quantity:
            effect.drifts[key] = (owner_quantity, quantity)


def _add_plain(effect: Effect, entry: Entry, now_us: int) -> None:
    """A quantity without a reference, or of a bucket that needs none: not clamped."""
    bucket, quantity = entry.bucket, entry.quantity
    if bucket is _RESERVED and not _live(effect, entry, now_us):
        return
    if bucket in _NETTED:
        bucket, quantity = _NETTED[bucket], -quantity
    key = (entry.location, bucket, entry.due if bucket in _DATED else None)
    effect.lines[key] = effect.lines.get(key, ZERO) + quantity
    _add_sum(effect, entry)


def _add_sum(effect: Effect, entry: Entry) -> None:
    owner = f"{entry.source}/{entry.view}" if entry.view else entry.source
    key = (entry.location, entry.bucket, owner, entry.due)
    effect.sums[key] = effect.sums.get(key, ZERO) + entry.quantity


def _add_open(effect: Effect, counted: Sequence[Entry], claimed: Bucket, done: Bucket) -> None:
    """max(0, claimed − done); a claim that is not open leaves nothing behind in the sums."""
    claims = [entry for entry in counted if entry.bucket is claimed]
    if not claims:
        return
    dones = [entry for entry in counted if entry.bucket is done]
    still_open = open_amounts(
        [(entry.location, entry.due, entry.quantity) for entry in claims],
        [(entry.location, entry.quantity) for entry in dones],
        undated_first=claimed is _DEMAND,
    )
    if not still_open:
        return
    for (location, due), quantity in still_open.items():
        effect.lines[location, claimed, due] = quantity
    for entry in (*claims, *dones):
        _add_sum(effect, entry)


def _add_reserved(effect: Effect, counted: Sequence[Entry], now_us: int) -> None:
    """max(0, reserved − demand of the same reference), of reservations that have not expired; by their last days."""
    reservations = [e for e in counted if e.bucket is _RESERVED and _live(effect, e, now_us)]
    if not reservations:
        return
    still_open = open_amounts(
        [(entry.location, entry.due, entry.quantity) for entry in reservations],
        [(entry.location, entry.quantity) for entry in counted if entry.bucket is _DEMAND],
        undated_first=False,
        latest_first=True,
    )
    for (location, due), quantity in still_open.items():
        effect.lines[location, _RESERVED, due] = quantity
    if still_open:
        for entry in reservations:
            _add_sum(effect, entry)


def _live(effect: Effect, entry: Entry, now_us: int) -> bool:
    if entry.expires_us is None:
        return True
    if entry.expires_us <= now_us:
        return False
    effect.wake_us = min(effect.wake_us or entry.expires_us, entry.expires_us)
    return True


def open_amounts(
    claimed: Iterable[tuple[str, dt.date | None, Decimal]],
    done: Iterable[tuple[str, Decimal]],
    *,
    undated_first: bool,
    latest_first: bool = False,
) -> dict[Place, Decimal]:
    """What is still open of a claim, by location and due date; together max(0, claimed − done).

    `done` reduces the claim at its own location first, then at `*`, then at the others by name; within one location
    earliest due first, or (`latest_first`) latest: what is reserved longest is what was ordered, so that one whose last
    day is over takes nothing from those that go on.  `undated_first` says whether no date is earliest (demand: due now)
    or latest (inbound: never counted, so that reducing it could flatter the promise).  A negative claim counts as done
    there; a negative done (a return, a correction) as claimed there without a date.
    """
    left: dict[Place, Decimal] = {}
    for location, due, quantity in claimed:
        left[location, due] = left.get((location, due), ZERO) + quantity
    pools: dict[str, Decimal] = {}
    for location, quantity in done:
        pools[location] = pools.get(location, ZERO) + quantity
    for (location, due), quantity in list(left.items()):
        if quantity <= 0:
            del left[location, due]
            pools[location] = pools.get(location, ZERO) - quantity
    for location, quantity in list(pools.items()):
        if quantity <= 0:
            del pools[location]
            if quantity < 0:
                left[location, None] = left.get((location, None), ZERO) - quantity
    if not pools:
        return left

    def rank(due: dt.date | None) -> tuple[bool, dt.date]:
        return (due is None) is not undated_first, due or dt.date.min

    def reduce(at: str, amount: Decimal) -> Decimal:
        for place in sorted((p for p in left if p[0] == at), key=lambda p: rank(p[1]), reverse=latest_first):
            taken = min(amount, left[place])
            amount -= taken
            left[place] -= taken
            if not left[place]:
                del left[place]
            if not amount:
                break
        return amount

    rest = {at: reduce(at, amount) for at, amount in sorted(pools.items())}
    for at, amount in rest.items():
        for other in sorted({place[0] for place in left} - {at}, key=lambda name: (name != ANY, name)):
            if not amount:
                break
            amount = reduce(other, amount)
    return left
