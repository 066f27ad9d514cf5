"""The audit at the end of the demo: three comparisons, each of every item.

canonical position and promise  ≟  hand-written SQL on the two databases (`truth`, which shares nothing with onhand)
what the shop holds             ≟  the promise it should have been told
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from onhand.demo.truth import Facts
from schemas.records import Atp, Bucket, Position

ZERO = Decimal(0)


@dataclass(frozen=True)
class Difference:
    """One figure that is not what it should be."""

    sku: str
    what: str
    expected: Decimal | None
    found: Decimal | None

    def __str__(self) -> str:
        return f"{self.sku} {self.what}: {_text(self.expected)} expected, {_text(self.found)} found"


def _text(number: Decimal | None) -> str:
    return "nothing" if number is None else f"{number.normalize():f}"


def compare_positions(facts: Mapping[str, Facts], positions: Mapping[str, Position]) -> list[Difference]:
    """On hand, on hold and safety stock of every item and location."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for sku, position in positions.items():
        for line in position.lines:
            if line.bucket in (Bucket.ON_HAND, Bucket.ON_HOLD, Bucket.SAFETY_STOCK):
                found[sku, f"{line.bucket} at {line.location}"] += line.quantity
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for sku, item in facts.items():
        for bucket, sums in (
            (Bucket.ON_HAND, item.on_hand),
            (Bucket.ON_HOLD, item.on_hold),
            (Bucket.SAFETY_STOCK, item.safety),
        ):
            for location, quantity in sums.items():
                expected[sku, f"{bucket} at {location}"] += quantity
    return [
        Difference(sku, what, expected.get((sku, what), ZERO), found.get((sku, what), ZERO))
        for sku, what in sorted(expected.keys() | found.keys())
        if expected.get((sku, what), ZERO) != found.get((sku, what), ZERO)
    ]


def compare_promises(facts: Mapping[str, Facts], promises: Mapping[str, Atp], today: dt.date) -> list[Difference]:
    """ATP now and on every day of the horizon, of the network and of every location."""
    differences = []
    for sku, item in sorted(facts.items()):
        atp = promises.get(sku)
        if atp is None:
            differences.append(Difference(sku, "promise", item.available(today), None))
            continue
        if not atp.complete:
            differences.append(Difference(sku, "promise is complete", Decimal(1), ZERO))
        told = {at.location: at for at in atp.locations}
        for location in (None, *sorted(item.locations)):
            expected = item.by_day(today, location)
            at = atp.network if location is None else told.get(location)
            name = "network" if location is None else location
            if at is None:
                if any(expected):
                    differences.append(Difference(sku, f"promise at {name}", min(expected), None))
                continue
            if at.available_now != min(expected):
                differences.append(Difference(sku, f"promise at {name}", min(expected), at.available_now))
            steps = {step.date: step.available for step in at.steps}
            # A first step may be older than today: it holds until the next one.
            running = next((at for day, at in sorted(steps.items(), reverse=True) if day <= today), None)
            for n, wanted in enumerate(expected):
                day = today + dt.timedelta(n)
                running = steps.get(day, running)
                if running != wanted:
                    differences.append(Difference(sku, f"promise at {name} on {day}", wanted, running))
                    break
    for sku in sorted(promises.keys() - facts.keys()):
        differences.append(Difference(sku, "promise", None, promises[sku].network.available_now))
    return differences


def compare_shop(promises: Mapping[str, Atp], held: Mapping[str, Decimal]) -> list[Difference]:
    """What the shop holds against the promise, for items that are counted and sold."""
    differences = []
    for sku, atp in sorted(promises.items()):
        if not (atp.tracked and atp.active):
            continue
        expected = max(ZERO, atp.network.available_now + (atp.backorder_limit or ZERO))
        if held.get(sku) != expected:
            differences.append(Difference(sku, "held by the shop", expected, held.get(sku)))
    return differences
