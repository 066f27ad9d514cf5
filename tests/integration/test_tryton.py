"""A real ERP onboarded by SQL alone: after every step of its business, onhand has Tryton's own stock and forecast."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.tryton_support.chain import Chain, tryton_chain
from tests.integration.tryton_support.erp import tryton
from tests.stack import Database, RunningStack, unique

pytestmark = pytest.mark.integration

RUN = unique("")[1:]
BOLT, BAG, ROD, SET, PAIR = (f"{word}-{RUN}" for word in ("BOLT", "BAG", "ROD", "SET", "PAIR"))


@pytest.fixture
def chain(stack: RunningStack, postgres: Database, tmp_path: Path) -> Iterator[Chain]:
    with tryton(postgres, tmp_path) as erp:
        erp.do("open")
        erp.do("bin", warehouse="WH", code="A1")
        erp.do("unit", name="Dozen", of="Unit", factor=12)
        erp.do("product", code=BOLT)
        erp.do("product", code=BAG, unit="Kilogram")
        erp.do("product", code=ROD, unit="Meter")
        erp.do("product", code=SET, kit={BOLT: 4, ROD: 1})
        erp.do("product", code=PAIR, kit={BOLT: 2}, of_template=True)
        erp.do("count", found={BOLT: 10, ROD: 7.5}, place="WH")  # before the snapshot
        with tryton_chain(stack, postgres, erp, tmp_path) as running:
            yield running


def test_stock_and_forecast_are_trytons_own_after_every_step(chain: Chain) -> None:
    erp = chain.erp
    chain.agrees()
    assert chain.kits(SET, "WH") == (2, 2)
    assert chain.kits(PAIR, "WH") == (5, 5)

    bought = erp.do("buy", lines={BOLT: 5, ROD: 20}, in_days=3, unit="")
    bags = erp.do("buy", lines={BAG: 2500}, in_days=0, unit="Gram")
    chain.agrees()
    erp.do("receive", purchase=bags)
    erp.do("receive", purchase=bought, store=False)  # it stands in the input zone
    chain.agrees()

    sold = erp.do("sell", lines={BOLT: 1}, in_days=2, unit="Dozen")
    kits = erp.do("sell", lines={SET: 2, BAG: 0.25}, in_days=1)
    chain.agrees()
    assert chain.promise(BOLT).network.available_now == 15 - 12 - 8
    assert erp.do("ship", sale=sold, buttons=["assign_force", "pick", "pack"]) == ["packed"]
    chain.agrees()
    erp.do("ship", sale=sold, buttons=["do"])
    erp.do("ship", sale=kits, buttons=["cancel"])
    chain.agrees()

    erp.do("move", lines={BOLT: 2}, start="WH", end="A1", buttons=["wait", "assign_force", "do"])
    erp.do("move", lines={ROD: 3}, start="WH", end="W2", in_days=4, buttons=["wait", "assign_force", "pack", "ship"])
    chain.agrees()  # three metres are on the road
    erp.do("count", found={BOLT: 1}, place="A1")
    back = erp.do("sell", lines={BOLT: -3}, in_days=0)
    chain.agrees()
    erp.do("take_back", sale=back)

    late_in = erp.do("plan", code=BAG, quantity=4, start="SUP", end="WH/input_location", in_days=-2)
    late_out = erp.do("plan", code=BOLT, quantity=1, start="WH/output_location", end="CUS", in_days=-1)
    chain.agrees(overdue={(BAG, "WH"): 4, (BOLT, "WH"): -1})
    erp.do("press", move=late_in, button="do")
    erp.do("press", move=late_out, button="cancel")
    by_hand = erp.do("sell", lines={ROD: 2}, in_days=1, warehouse="W2", shipment_method="manual")
    chain.agrees(unmoved={(ROD, "W2"): -2})
    erp.do("ship_by_hand", sale=by_hand)
    chain.agrees()

    assert chain.promise(ROD).network.available_now == Decimal("22.5")
    assert chain.orders() == {
        f"sale.sale,{sold}": "shipped",
        f"sale.sale,{kits}": "on_hold",  # somebody must say what becomes of what was not shipped
        f"sale.sale,{back}": "shipped",
        f"sale.sale,{by_hand}": "released",
    }
    assert set(chain.lane.exceptions()) == {"oversell"}  # two metres are sold at W2, and three on the road to it
    chain.lane.audit()
