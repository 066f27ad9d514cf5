"""Inventory against the demo's judge, who was written without it: every day, every location, and the network."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from onhand.demo.audit import compare_positions, compare_promises
from onhand.demo.truth import Claim, Facts
from schemas.messages import Balance
from tests.unit.inventory.harness import TODAY, Inventory, balance, day

PLACES = ("W1", "W2")
DAYS = (None, -20, -8, -7, -1, 0, 1, 5, 89, 90, 91, 120)


def random_facts(rng: random.Random) -> tuple[Facts, list[Balance], list[Balance]]:
    """What is there, and what ERP and WMS say about it."""
    facts, erp, wms = Facts(), [], []
    for place in rng.sample(PLACES, rng.randrange(3)):
        on_hand, hold, safety = rng.randrange(40), rng.randrange(3), rng.randrange(4)
        facts.on_hand[place], facts.on_hold[place] = Decimal(on_hand), Decimal(hold)
        facts.safety[place] = Decimal(safety)
        wms += [balance(place, "on_hand", on_hand), balance(place, "on_hold", hold)]
        erp += [balance(place, "safety_stock", safety), balance(place, "on_hand", rng.randrange(40))]
    for n in range(rng.randrange(6)):
        number = rng.choice(DAYS)
        due = None if number is None else day(number)
        place, ordered, posted = rng.choice(PLACES), rng.randrange(9), rng.randrange(9)
        done = rng.choice((None, rng.randrange(9)))
        inbound = rng.random() < 0.5
        line = f"{'PO' if inbound else 'SO'}-{n}"
        claim = Claim(place, due, Decimal(ordered), Decimal(posted), None if done is None else Decimal(done))
        (facts.inbound if inbound else facts.demand)[line] = claim
        names = ("inbound", "received") if inbound else ("demand", "fulfilled")
        erp.append(balance(place, names[0], ordered, line, due))
        if posted:
            erp.append(balance(place, names[1], posted, line, due))
        if done is not None:
            wms.append(balance(rng.choice(PLACES), names[1], done, line))
    for n in range(rng.randrange(3)):
        place, due, quantity = rng.choice(PLACES), day(rng.choice(DAYS[1:]) or 0), rng.randrange(1, 9)
        facts.transfers.append((place, due, Decimal(quantity)))
        wms.append(balance(place, "inbound", quantity, f"TR-{n}", due))
        wms += [balance(place, name, 4, f"TR-{n}-done", due) for name in ("inbound", "received")]
    return facts, erp, wms


@pytest.mark.parametrize("seed", range(8))
def test_the_judge_finds_no_difference(seed: int) -> None:
    rng = random.Random(seed)
    inventory = Inventory()
    facts: dict[str, Facts] = {}
    for n in range(60):
        sku = f"S{n:02}"
        facts[sku], erp, wms = random_facts(rng)
        for source, said in rng.sample([("erp", erp), ("wms", wms)], 2):
            if said:
                inventory.say(source, sku, *said, run=False)
    inventory.runtime.run()
    known = {sku for sku in facts if inventory.atp(sku) is not None}
    assert all(not any(found.by_day(TODAY)) for sku, found in facts.items() if sku not in known)
    facts = {sku: facts[sku] for sku in known}
    assert compare_promises(facts, {sku: inventory.atp(sku) for sku in known}, TODAY) == []
    assert compare_positions(facts, {sku: inventory.position(sku) for sku in known}) == []
