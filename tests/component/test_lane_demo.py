"""The lane with the demo's compiled mappings: what a distributor's transactions become."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bench.lane import Writer
from schemas.codec import Codec
from schemas.messages import BalanceMessage, OrderPartMessage
from streams.core.lane.render import BALANCE_TOPIC, ORDER_PART_TOPIC
from streams.core.lane.stage import LaneStage
from streams.core.mapping.mapping import CompiledMapping, load_mapping
from tests.memory import MemoryRuntime

CONFIGS = Path(__file__).parents[2] / "connect-configs"


class Demo:
    """One demo source in memory, its outputs in the real contracts."""

    def __init__(self, source: str) -> None:
        self.mapping: CompiledMapping = load_mapping(CONFIGS / source)
        self.codec = Codec.local()
        self.log, self.fed = Writer(source), 0
        self.runtime = MemoryRuntime(lambda: LaneStage(source, self.mapping, self.codec.encode))

    def snapshot(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        self.log.notify("STARTED")
        for table in self.mapping.tables:
            found = rows.get(table, [])
            for after in found:
                self.log.row(table, self.mapping.tables[table].key, after, "r", inside=False)
            self.log.notify(
                "TABLE_SCAN_COMPLETED",
                scanned_collection=table,
                total_rows_scanned=str(len(found)),
                status="SUCCEEDED",
            )
        self.log.notify("COMPLETED")

    def change(self, op: str, table: str, after: dict[str, Any]) -> None:
        self.log.row(table, self.mapping.tables[table].key, after, op)

    def balances(self) -> dict[tuple[str, str, str, str | None], Decimal]:
        """Work off the log; every balance as a receiver has it."""
        for record in self.log.records[self.fed :]:
            self.runtime.feed(record.key, record.value)
        self.fed = len(self.log.records)
        self.runtime.run()
        found: dict[tuple[str, str, str, str | None], Decimal] = {}
        for output, _ in self.runtime.durable.sent:
            if output.topic == BALANCE_TOPIC and output.value is not None:
                message = self.codec.decode(BALANCE_TOPIC, output.value)
                assert isinstance(message, BalanceMessage)
                for balance in message.balances:
                    key = (message.sku, balance.location, balance.bucket.value, balance.reference)
                    found[key] = balance.quantity
                    if not balance.postings:
                        del found[key]
        return found

    def parts(self) -> dict[str, tuple[bool, str | None]]:
        """part id → (withdrawn, what the delete means)"""
        found: dict[str, tuple[bool, str | None]] = {}
        for output, _ in self.runtime.durable.sent:
            if output.topic == ORDER_PART_TOPIC and output.value is not None:
                message = self.codec.decode(ORDER_PART_TOPIC, output.value)
                assert isinstance(message, OrderPartMessage)
                for part in message.order_parts:
                    found[part.part_id] = (part.withdrawn, part.deletion)
        return found


def line(number: int, *, ordered: str = "1000", shipped: str = "0", status: int = 40) -> dict[str, Any]:
    return {
        "olordn": 7, "ollinn": number, "olitem": "A000001     ", "olwhse": "W1  ", "olqord": ordered,
        "olqshp": shipped, "olqcan": "0", "olstat": status, "olreqd": 126340,
    }  # fmt: skip


def test_an_archived_order_line_says_the_same_once() -> None:
    erp = Demo("erp")
    erp.snapshot({"erp.ordlin": [line(1, shipped="400"), line(2)]})
    demand, fulfilled = ("A000001", "W1", "demand", "SO-7-1"), ("A000001", "W1", "fulfilled", "SO-7-1")
    before = erp.balances()
    assert (before[demand], before[fulfilled]) == (Decimal(10), Decimal(4))
    erp.change("c", "erp.ordlnh", line(1, shipped="400"))
    erp.change("d", "erp.ordlin", line(1))
    erp.log.end()
    assert erp.balances() == before
    assert erp.parts()["SO-7-1"] == (False, None)


@pytest.mark.parametrize("items_first", [True, False])
def test_stock_joins_item_bin_and_warehouse_whatever_comes_first(items_first: bool) -> None:
    wms = Demo("wms")
    lookups: list[tuple[str, dict[str, Any]]] = [
        ("wms.item", {"item_id": 1, "item_code": "a-000001"}),
        ("wms.warehouse", {"wh_id": 1, "wh_code": "w1"}),
        ("wms.bin", {"bin_id": 1, "wh_id": 1, "bin_code": "b", "bin_type": "PICK"}),
        ("wms.lot", {"lot_id": 1, "item_id": 1, "lot_code": "l", "hold_status": 1}),
    ]
    stock = ("wms.bin_stock", {"stock_id": 1, "bin_id": 1, "item_id": 1, "lot_id": 1, "qty": "5.000"})
    wms.snapshot({})
    for table, after in [*lookups, stock] if items_first else [stock, *lookups]:
        wms.change("c", table, after)
        wms.log.end()
    on_hand, on_hold = ("A000001", "W1", "on_hand", None), ("A000001", "W1", "on_hold", None)
    assert wms.balances() == {on_hand: Decimal(5), on_hold: Decimal(5)}
    wms.change("u", "wms.lot", {"lot_id": 1, "item_id": 1, "lot_code": "l", "hold_status": 0})
    wms.log.end()
    assert wms.balances() == {on_hand: Decimal(5)}
    wms.change("u", "wms.warehouse", {"wh_id": 1, "wh_code": "w9"})
    wms.log.end()
    assert wms.balances() == {("A000001", "W9", "on_hand", None): Decimal(5)}
