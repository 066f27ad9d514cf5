"""The promise of one sku: ATP now and by date, of every location and of the network.  Pure: sums and dates in.

    ATP(t) = on_hand − on_hold − safety_stock + open inbound due by t − open demand due by t − reserved
    ATP now = min over t from today to the horizon

* Demand that is overdue or has no date is due now.
* A reservation counts, on all days, until the last day it was made for is over.
* Inbound past its date counts from tomorrow, and `grace_days` after it not at all; without a date, never.
* What is due beyond the horizon does not count yet.
* Location `*` counts in the network only.
* A day is a calendar day of the location.  The network's today is the earliest of its locations' todays, so that
  what one location expects tomorrow is not promised today because another's clock is ahead.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from schemas.records import AtpStep, Bucket, LocationAtp
from streams.core.inventory.state import ZERO, LineKey
from streams.core.ownership import ANY

_DAY = dt.timedelta(days=1)
_ON_HAND, _ON_HOLD, _SAFETY_STOCK = Bucket.ON_HAND, Bucket.ON_HOLD, Bucket.SAFETY_STOCK
_DEMAND, _INBOUND, _RESERVED = Bucket.DEMAND, Bucket.INBOUND, Bucket.RESERVED
"""Names, because a member looked up in its class costs ten times as much, and here it is many times a sku."""


@dataclass(slots=True)
class Promise:
    """What `compute` finds."""

    network: LocationAtp
    locations: tuple[LocationAtp, ...]
    """By name, `*` left out: every location with a line."""
    overdue: dict[tuple[str, dt.date], Decimal]
    """(location, due) → inbound so long overdue that it no longer counts."""
    change_days: list[dt.date]
    """Days, ascending, at whose beginning time alone may change the promise."""


class _Account:
    """The terms of one location, or of the network."""

    __slots__ = ("changes", "terms")

    def __init__(self) -> None:
        self.terms: dict[Bucket, Decimal] = {}
        self.changes: dict[dt.date, Decimal] = {}

    def add(self, bucket: Bucket, quantity: Decimal) -> None:
        self.terms[bucket] = self.terms.get(bucket, ZERO) + quantity

    def change(self, day: dt.date, quantity: Decimal) -> None:
        self.changes[day] = self.changes.get(day, ZERO) + quantity

    def result(self, location: str, today: dt.date) -> LocationAtp:
        term = self.terms.get
        on_hand, reserved = term(_ON_HAND, ZERO), term(_RESERVED, ZERO)
        on_hold, safety_stock = term(_ON_HOLD, ZERO), term(_SAFETY_STOCK, ZERO)
        available = on_hand or ZERO
        for quantity in (on_hold, safety_stock, reserved):
            if quantity:
                available = available - quantity
        changes = self.changes
        later = []
        for day in sorted(changes) if len(changes) > 1 else changes:
            if day <= today:
                available += changes[day]
            elif changes[day]:
                later.append(day)
        steps = [AtpStep(date=today, available=available)]
        now = available
        for day in later:
            available += changes[day]
            steps.append(AtpStep(date=day, available=available))
            if available < now:
                now = available
        return LocationAtp(
            location=location,
            available_now=now,
            on_hand=on_hand,
            on_hold=on_hold,
            safety_stock=safety_stock,
            demand=term(_DEMAND, ZERO),
            inbound=term(_INBOUND, ZERO),
            reserved=reserved,
            steps=tuple(steps),
        )


def compute(
    lines: Mapping[LineKey, tuple[Decimal, int]],
    todays: Mapping[str, dt.date],
    *,
    horizon_days: int,
    grace_days: int,
) -> Promise:
    """The promise that these open quantities make.

    `todays`: today at every location of `lines`, and at `*`, which stands for the network when there is no line.
    """
    network = _Account()
    accounts: dict[str, _Account] = {}
    overdue: dict[tuple[str, dt.date], Decimal] = {}
    days: set[dt.date] = set()
    present = {location for location, _, _ in lines}
    network_today = min((todays[location] for location in present), default=todays[ANY])
    horizon, grace = dt.timedelta(days=horizon_days), dt.timedelta(days=grace_days)
    for (location, bucket, due), (quantity, _) in lines.items():
        account = accounts.get(location)
        if account is None:
            account = accounts[location] = _Account()
        if bucket is _DEMAND or bucket is _INBOUND:
            today = todays[location]
            inbound = bucket is _INBOUND
            if due is not None and due > today + horizon:
                days.add(due - horizon)
                continue
            if inbound:
                # A negative line is a plain balance of receipts: it takes from what is expected, at once when undated.
                if due is None and quantity >= 0:
                    continue
                if due is not None and due <= today:
                    if due + grace < today and quantity >= 0:
                        overdue[location, due] = quantity
                        continue
                    days.add(today + _DAY)
            day = due
            if day is None or day < today:
                day = today + _DAY if inbound and due is not None and quantity >= 0 else today
            if day > today:
                days.add(day)
            change = quantity if inbound else -quantity
            account.change(day, change)
            network.change(day if day > today else network_today, change)
        elif bucket is _RESERVED and due is not None:
            if due < todays[location]:
                continue  # a reservation whose last day is over
            days.add(due + _DAY)
        account.add(bucket, quantity)
        network.add(bucket, quantity)
    locations = tuple(
        accounts[location].result(location, todays[location]) for location in sorted(accounts) if location != ANY
    )
    return Promise(network.result(ANY, network_today), locations, overdue, sorted(days))


def lower_of(last: LocationAtp, new: LocationAtp, today: dt.date) -> LocationAtp:
    """The lower of two promises, day by day from `today`: what may leave while a source is incomplete.

    The terms are the new ones, so they need not add up to what is available.
    """
    days = {today}
    days.update(step.date for step in (*last.steps, *new.steps) if step.date > today)
    return with_path(new, ((day, min(available_on(last, day), available_on(new, day))) for day in sorted(days)))


def with_path(at: LocationAtp, path: Iterable[tuple[dt.date, Decimal]]) -> LocationAtp:
    """The same terms with another ATP(t): dates ascending and at least one; equal neighbours become one step."""
    steps: list[AtpStep] = []
    for date, available in path:
        if not steps or steps[-1].available != available:
            steps.append(AtpStep(date=date, available=available))
    return msgspec.structs.replace(at, available_now=min(step.available for step in steps), steps=tuple(steps))


def available_on(atp: LocationAtp, day: dt.date) -> Decimal:
    """ATP(day): the last step not after it; before the first one, the first."""
    available = atp.steps[0].available
    for step in atp.steps:
        if step.date > day:
            break
        available = step.available
    return available


def nothing_at(location: str, today: dt.date) -> LocationAtp:
    """The promise of a location that has no line."""
    return _Account().result(location, today)


def coarser(atp: LocationAtp, steps: int) -> LocationAtp:
    """At most so many steps (at least two), never promising more: neighbours from the second on are merged to their
    lowest."""
    if len(atp.steps) <= steps:
        return atp
    first, rest = atp.steps[0], atp.steps[1:]
    width = -(-len(rest) // max(1, steps - 1))
    merged = [
        AtpStep(date=rest[n].date, available=min(step.available for step in rest[n : n + width]))
        for n in range(0, len(rest), width)
    ]
    return LocationAtp(
        location=atp.location,
        available_now=atp.available_now,
        on_hand=atp.on_hand,
        on_hold=atp.on_hold,
        safety_stock=atp.safety_stock,
        demand=atp.demand,
        inbound=atp.inbound,
        reserved=atp.reserved,
        steps=(first, *merged),
    )
