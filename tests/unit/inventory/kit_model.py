"""What kits and components promise, found by trying it out day by day; imports nothing of the project.

Kits that are ordered are taken from stock; what is missing is made that day of components, which are gone for good.  A
kit's promise is the most that could be ordered on top, due now, so that no component it is then made of falls short.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

DAYS = 11
"""Days looked at: nothing falls due between the last of them and the horizon."""
NETWORK = "*"
Path = list[Fraction]
"""By day, from today on."""


@dataclass
class Facts:
    """What the sources say."""

    stock: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    """(sku, location) → quantity."""
    due: dict[tuple[str, str, str], tuple[str, int, Fraction]] = field(default_factory=dict)
    """(sku, demand | inbound, reference) → (location, day, quantity)."""
    bills: dict[str, dict[str, Fraction]] = field(default_factory=dict)
    """Kit → component → quantity."""

    def places(self, sku: str) -> set[str]:
        found = {location for of, location in self.stock if of == sku}
        found |= {location for (of, *_), (location, day, _) in self.due.items() if of == sku and day < DAYS}
        return found - {NETWORK}

    def alone(self, sku: str, location: str) -> Path:
        """Stock and open quantities of the sku itself, at a location or in the network."""
        change: dict[int, Fraction] = defaultdict(Fraction)
        for (of, at), quantity in self.stock.items():
            if of == sku and location in (at, NETWORK):
                change[0] += quantity
        for (of, bucket, _), (at, day, quantity) in self.due.items():
            if of == sku and location in (at, NETWORK):
                change[day] += quantity if bucket == "inbound" else -quantity
        path, have = [], Fraction(0)
        for day in range(DAYS):
            have += change[day]
            path.append(have)
        return path


def assembled(path: Path, more: Fraction = Fraction(0)) -> Path:
    """Kits made up to each day, when `more` are ordered now on top."""
    made, found = Fraction(0), []
    for have in path:
        missing = more - have - made
        made += max(Fraction(0), missing)
        found.append(made)
    return found


def made_by(facts: Facts, kit: str) -> dict[str, Path]:
    """Location → kits that have to be made there; at '*' what only the network lacks."""
    found = {location: assembled(facts.alone(kit, location)) for location in facts.places(kit)}
    there = [sum((path[day] for path in found.values()), Fraction(0)) for day in range(DAYS)]
    found[NETWORK] = assembled([have + made for have, made in zip(facts.alone(kit, NETWORK), there, strict=True)])
    return found


def component(facts: Facts, sku: str, location: str, *, without: str = "") -> Path:
    """A component's promise by day, all kits' demand on it but one's taken out."""
    path = facts.alone(sku, location)
    for kit, bill in facts.bills.items():
        if kit != without and sku in bill:
            for at, made in made_by(facts, kit).items():
                if location in (at, NETWORK):
                    path = [have - bill[sku] * gone for have, gone in zip(path, made, strict=True)]
    return path


def component_places(facts: Facts, sku: str) -> set[str]:
    found = facts.places(sku)
    for kit, bill in facts.bills.items():
        if sku in bill:
            found |= {at for at, path in made_by(facts, kit).items() if path[-1]}
    return found - {NETWORK}


def promise(facts: Facts, kit: str, location: str) -> int:
    """The most that can be ordered on top; below zero: so many are too many already."""
    own, bill = facts.alone(kit, location), facts.bills[kit]
    limits = {sku: component(facts, sku, location, without=kit) for sku in bill}

    def possible(more: int) -> bool:
        made = assembled(own, Fraction(more))
        return all(
            not gone or limits[sku][day] >= per_kit * gone
            for sku, per_kit in bill.items()
            for day, gone in enumerate(made)
        )

    most = -100
    while possible(most + 1):
        most += 1
    return most


def every_promise(facts: Facts) -> dict[tuple[str, str], Any]:
    """(sku, location) → what may be promised now."""
    found: dict[tuple[str, str], Any] = {}
    parts = {sku for bill in facts.bills.values() for sku in bill}
    for sku in {sku for sku, _ in facts.stock} | {sku for sku, *_ in facts.due} | parts | set(facts.bills):
        if sku in facts.bills:
            places = [component_places(facts, part) for part in facts.bills[sku]]
            for location in {NETWORK, *facts.places(sku), *set.intersection(*places)}:
                found[sku, location] = promise(facts, sku, location)
        else:
            for location in {NETWORK, *component_places(facts, sku)}:
                found[sku, location] = min(component(facts, sku, location))
    return found
