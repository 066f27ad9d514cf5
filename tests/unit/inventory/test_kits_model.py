"""Kits over partitions against a model that tries everything out day by day."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from schemas.records import Bucket
from streams.core.inventory import kits
from tests.unit.inventory.harness import balance, day
from tests.unit.inventory.kit_model import NETWORK, Facts, every_promise
from tests.unit.inventory.kit_world import World

KITS, PARTS, PLACES = ("K1", "K2", "K3"), ("A", "B", "C"), ("W1", "W2", NETWORK)
DUE = (0, 0, 2, 5, 9, 120)


class Business:
    """Says the same to inventory and to the model."""

    def __init__(self, rng: random.Random, partitions: int = 3) -> None:
        homes = {sku: rng.randrange(partitions) for sku in (*KITS, *PARTS)}
        self.rng, self.facts = rng, Facts()
        self.world = World(partitions=partitions, place=homes.__getitem__, batch=rng.randrange(1, 20))

    def something(self) -> None:
        rng, sku = self.rng, self.rng.choice((*KITS, *PARTS))
        what = rng.random()
        if what < 0.25:
            self.bill(rng.choice(KITS))
        elif what < 0.5:
            location = rng.choice(PLACES[:2])
            quantity = rng.randrange(0, 12 if sku in PARTS else 4)
            self.facts.stock[sku, location] = Fraction(quantity)
            self.world.stock(sku, quantity, location, run=False)
        else:
            bucket = "demand" if what < 0.85 else "inbound"
            reference = f"R{rng.randrange(3)}"
            key = (sku, bucket, reference)
            before = self.facts.due.pop(key, None)
            # A claim's place and date are another balance: what was said before is taken back.
            if before is not None:
                self.say(sku, bucket, reference, *before, postings=0)
            if rng.random() < 0.8:
                said = (rng.choice(PLACES), rng.choice(DUE) or (0 if bucket == "demand" else 1), rng.randrange(1, 6))
                self.facts.due[key] = (said[0], said[1], Fraction(said[2]))
                self.say(sku, bucket, reference, *self.facts.due[key], postings=1)
        if rng.random() < 0.3:
            self.world.run()

    def say(self, sku: str, bucket: str, reference: str, at: str, due: int, quantity: Fraction, postings: int) -> None:
        said = balance(at, bucket, int(quantity), f"{bucket}-{reference}", day(due), postings=postings)
        assert said.bucket in (Bucket.DEMAND, Bucket.INBOUND)
        self.world.say("erp", sku, said, run=False)

    def bill(self, kit: str) -> None:
        """What a lane says when the bill of a kit changes: all of it to the kit, and to each component whether it
        still is one."""
        before = self.facts.bills.pop(kit, {})
        bill = {sku: Fraction(self.rng.choice((1, 2, 0.5, 3))) for sku in PARTS if self.rng.random() < 0.6}
        if bill:
            self.facts.bills[kit] = bill
        self.world.kit(kit, run=False, **{sku: str(Decimal(float(n))) for sku, n in bill.items()})
        for sku in before.keys() - bill.keys():
            still = any(sku in other for other in self.facts.bills.values())
            self.world.say("erp", sku, component=still, run=False)

    def promised(self) -> dict[tuple[str, str], Fraction]:
        found = {}
        for sku in (*KITS, *PARTS):
            atp = self.world.atp(sku)
            if atp is not None:
                assert atp.complete
                for at in (atp.network, *atp.locations):
                    found[sku, at.location] = Fraction(at.available_now)
        return found

    def agrees(self) -> bool:
        """Equal where either says something; what one does not name is nothing."""
        here, there = self.promised(), every_promise(self.facts)
        return all(here.get(key, 0) == there.get(key, 0) for key in here.keys() | there.keys())

    def rests(self) -> bool:
        """No component has a kit left to be told."""
        return not any(list(part.runtime.view.scan(b"f")) for part in self.world.parts)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_promised_is_what_can_be_made(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "OFFERS", 1 + seed % 3)  # so that components tell their kits in slices
    business = Business(random.Random(seed))
    for _ in range(4):
        for _ in range(8):
            business.something()
        business.world.run()
        assert business.agrees(), f"seed {seed}: {business.promised()} {every_promise(business.facts)}"
        assert business.rests(), f"seed {seed}: kits are left to be told"


@pytest.mark.parametrize("seed", range(25))
def test_crashes_duplicates_and_any_order_of_partitions_change_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kits, "OFFERS", 1 + seed % 3)
    rng = random.Random(5_000 + seed)
    business = Business(rng)
    for _ in range(3):
        for _ in range(10):
            business.something()
        business.world.run_with_crashes(rng, crashes=6)
    assert business.agrees(), f"seed {seed}: {business.promised()} {every_promise(business.facts)}"
    assert business.rests(), f"seed {seed}: kits are left to be told"
