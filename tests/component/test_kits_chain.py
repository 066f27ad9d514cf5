"""From SQL rows to promises: kits and their components in different partitions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.messages import BalanceMessage
from streams.core.lane.render import BALANCE_TOPIC
from streams.core.mapping.mapping import CompiledMapping
from tests.unit.inventory.harness import OWNERSHIP, ownership_of
from tests.unit.inventory.kit_world import World
from tests.unit.lane.conftest import Lane
from tests.unit.mapping.tables import catalogue, compiled

SQL = {
    "postings": """
        SELECT p.code AS sku, 'W1' AS location, 'on_hand' AS bucket, b.qty AS quantity, NULL AS reference
          FROM bin b JOIN part p ON p.id = b.part
        UNION ALL
        SELECT p.code, 'W1', 'demand', o.qty, 'SO-' || CAST(o.id AS text)
          FROM ord o JOIN part p ON p.id = o.part""",
    "components": """
        SELECT k.code AS sku, c.code AS component, m.per AS quantity
          FROM bom m JOIN part k ON k.id = m.kit JOIN part c ON c.id = m.part
         WHERE m.per > 0""",
}


def mapping() -> CompiledMapping:
    tables = catalogue(
        part="id:i! code:t", bin="id:i! part:i qty:n", ord="id:i! part:i qty:n", bom="id:i! kit:i part:i per:n"
    )
    return compiled(tables, **SQL)


class Chain:
    """One lane, and two partitions of inventory behind it: kits in one, components in the other."""

    def __init__(self) -> None:
        text = OWNERSHIP.replace("erp, wms", "toy").replace("wms, erp", "toy")
        for source in ("erp", "wms", "shop"):
            text = text.replace(source, "toy")
        self.lane, self.read = Lane(mapping()), 0
        self.world = World(ownership_of(text), ready=())
        rows: dict[str, list[dict[str, Any]]] = {
            "s.part": [{"id": n, "code": code} for n, code in enumerate(("K", "A", "B"))],
            "s.bin": [{"id": 1, "part": 1, "qty": "10"}, {"id": 2, "part": 2, "qty": "30"}],
            "s.bom": [{"id": 1, "kit": 0, "part": 1, "per": "1"}, {"id": 2, "kit": 0, "part": 2, "per": "4"}],
        }
        self.lane.log.snapshot(rows, names=["s.part", "s.bin", "s.ord", "s.bom"])
        self.pass_on()

    def change(self, op: str, table: str, **row: Any) -> None:
        self.lane.log.transaction((op, f"s.{table}", row))
        self.pass_on()

    def pass_on(self) -> None:
        self.lane.run()
        sent = [output for output, _ in self.lane.runtime.durable.sent if output.topic == BALANCE_TOPIC]
        for output in sent[self.read :]:
            assert output.value is not None
            message = msgspec.json.decode(output.value, type=BalanceMessage)
            for part in [self.world.of(message.sku)] if message.sku else self.world.parts:
                part.feed(message)
        self.read = len(sent)
        self.world.run()


@pytest.fixture
def chain() -> Chain:
    found = Chain()
    assert (found.world.now("K"), found.world.now("A"), found.world.now("B")) == (7, 10, 30)
    return found


def test_counterexample_19_a_kits_component_falls_to_zero_in_another_partition(chain: Chain) -> None:
    chain.change("u", "bin", id=1, part=1, qty="0")
    assert chain.world.now("K") == 0
    assert chain.world.atp("K").stamps.committed_us is not None
    chain.change("u", "bin", id=1, part=1, qty="5")
    assert chain.world.now("K") == 5


def test_an_order_of_a_kit_takes_its_components(chain: Chain) -> None:
    chain.change("c", "ord", id=7, part=0, qty="2")
    assert (chain.world.now("K"), chain.world.now("A"), chain.world.now("B")) == (5, 8, 22)
    chain.change("d", "ord", id=7)
    assert (chain.world.now("K"), chain.world.now("A"), chain.world.now("B")) == (7, 10, 30)


def test_another_bill_of_material_is_another_promise(chain: Chain) -> None:
    chain.change("u", "bom", id=2, kit=0, part=2, per="15")
    assert chain.world.now("K") == 2
    chain.change("d", "bom", id=2)
    assert chain.world.now("K") == 10
    chain.change("u", "part", id=1, code="Anew")
    assert [part.sku for part in chain.world.atp("K").kit.components] == ["Anew"]
    assert chain.world.now("K") == 10
    chain.change("d", "bom", id=1)
    assert chain.world.atp("K") is None or chain.world.atp("K").kit is None
