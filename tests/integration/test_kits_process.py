"""Kits on real Kafka and registry: two inventory processes tell each other, also when one is killed between."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from schemas.messages import Component, KitMessage
from schemas.records import Bucket
from tests.integration.inventory_support import InventoryProcesses, balance
from tests.unit.inventory.kit_model import NETWORK, Facts, every_promise

pytestmark = pytest.mark.integration

KITS, PARTS = 12, 6


class Trade:
    """Says the same to inventory and to the model."""

    def __init__(self, inventory: InventoryProcesses) -> None:
        self.inventory, self.facts = inventory, Facts()
        self.kits = [f"{inventory.prefix}-kit-{n}" for n in range(KITS)]
        self.parts = [f"{inventory.prefix}-part-{n}" for n in range(PARTS)]

    def bills(self, rng: random.Random) -> None:
        for kit in self.kits:
            bill = {part: rng.randrange(1, 4) for part in rng.sample(self.parts, 2)}
            self.facts.bills[kit] = {part: Fraction(quantity) for part, quantity in bill.items()}
            components = tuple(
                Component(sku=part, quantity=balance(Bucket.ON_HAND, n).quantity) for part, n in bill.items()
            )
            self.inventory.say(self.inventory.sales, kit, kits=KitMessage(components=components))
        for part in self.parts:
            self.inventory.say(self.inventory.sales, part, kits=KitMessage(component=True))

    def trade(self, rng: random.Random, changes: int) -> None:
        for _ in range(changes):
            sku = rng.choice(self.kits + self.parts)
            if rng.random() < 0.6:
                quantity = rng.randrange(0, 40 if sku in self.parts else 5)
                self.facts.stock[sku, "N"] = Fraction(quantity)
                self.inventory.say(self.inventory.stock, sku, balance(Bucket.ON_HAND, quantity))
            else:
                line, quantity = f"L{rng.randrange(3)}", rng.randrange(1, 5)
                self.facts.due[sku, "demand", line] = ("N", 0, Fraction(quantity))
                self.inventory.say(self.inventory.sales, sku, balance(Bucket.DEMAND, quantity, line))
        self.inventory.progress(kits=True)

    def await_all(self) -> None:
        wanted = {
            sku: promised for (sku, location), promised in every_promise(self.facts).items() if location == NETWORK
        }

        def right() -> bool:
            promises = self.inventory.promises()
            told = {sku: Fraction(atp.network.available_now) for sku, atp in promises.items()}
            return told == wanted and all(atp.complete for atp in promises.values())

        self.inventory.wait_for(right, "every kit's and component's promise")


def test_kits_and_components_in_two_processes_agree_also_when_one_is_killed(inventory: InventoryProcesses) -> None:
    rng = random.Random(19)
    inventory.start()
    inventory.start("1")
    trade = Trade(inventory)
    trade.bills(rng)
    trade.trade(rng, 100)
    trade.await_all()

    trade.trade(rng, 100)
    inventory.kill()
    trade.trade(rng, 100)
    inventory.start()
    trade.await_all()
