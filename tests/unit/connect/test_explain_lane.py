"""A lane's state asked backwards: balances, parts and rows about one sku or order, with what they joined."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from bench.lane import Writer
from schemas.codec import Codec
from streams.connect.explain.lane import LaneState
from streams.connect.explain.rows import posting_text
from streams.core.lane.applied import Applied
from streams.core.lane.stage import LaneStage
from streams.core.mapping.mapping import CompiledMapping, load_mapping
from streams.core.mapping.text import compile_text, read_text
from tests.memory import MemoryRuntime

CONFIGS = Path(__file__).parents[3] / "connect-configs"
STOCK = ("wms.bin_stock", {"stock_id": 1, "bin_id": 1000, "item_id": 2, "lot_id": 22, "qty": "12.000"})
BIN = ("wms.bin", {"bin_id": 1000, "wh_id": 1, "bin_type": "PICK"})
ITEM = ("wms.item", {"item_id": 2, "item_code": "a-100007"})
WAREHOUSE = ("wms.warehouse", {"wh_id": 1, "wh_code": "w1"})
LOT = ("wms.lot", {"lot_id": 22, "hold_status": 0})
SHIPMENT = (
    "wms.shipment",
    {"shp_id": 9, "order_no": 4711, "carrier": "DHL", "tracking": "", "status": 3, "shipped_at": None}
    | {"delivered_at": None},
)
SHIPPED = ("wms.shipment_line", {"shp_id": 9, "line_no": 1, "item_id": 2, "wh_id": 1, "qty": "2.000"})


class Lane:
    """The demo's WMS in memory."""

    def __init__(self) -> None:
        self.mapping: CompiledMapping = load_mapping(CONFIGS / "wms")
        self.log, self.fed = Writer("wms"), 0
        text = read_text(CONFIGS / "wms")
        codec = Codec.local()
        self.runtime = MemoryRuntime(lambda: LaneStage("wms", Applied(self.mapping, text, compile_text), codec.encode))

    def snapshot(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        held = list(rows)
        self.log.notify("STARTED")
        for table in self.mapping.tables:
            found = [after for name, after in held if name == table]
            for after in found:
                self.log.row(table, self.mapping.tables[table].key, after, "r", inside=False)
            self.log.notify(
                "TABLE_SCAN_COMPLETED", scanned_collection=table, total_rows_scanned=str(len(found)), status="SUCCEEDED"
            )
        self.log.notify("COMPLETED")
        self._work()

    def change(self, op: str, row: tuple[str, dict[str, Any]]) -> None:
        self.log.row(row[0], self.mapping.tables[row[0]].key, row[1], op)
        self.log.end()

    def _work(self) -> None:
        for record in self.log.records[self.fed :]:
            self.runtime.feed(record.key, record.value)
        self.fed = len(self.log.records)
        self.runtime.run()

    def state(self, folder: CompiledMapping | None) -> LaneState:
        self._work()
        return LaneState("wms", self.runtime.marker.memo or b"", self.runtime.view, folder)


def test_every_balance_of_a_sku_with_its_rows_and_what_they_joined() -> None:
    lane = Lane()
    lane.snapshot([STOCK, BIN, ITEM, WAREHOUSE, LOT, SHIPMENT, SHIPPED])
    state = lane.state(lane.mapping)
    balances = {held.name.bucket.value: (held.quantity, held.postings) for held in state.balances("A100007")}
    assert balances == {"on_hand": (Decimal("12.000"), 1), "fulfilled": (Decimal("2.000"), 1)}
    rows = {row.text: row for row in state.rows_of_sku("A100007")}
    assert rows.keys() == {"wms.bin_stock [1]", "wms.shipment_line [9,1]"}
    stock = rows["wms.bin_stock [1]"]
    assert [posting_text(*posting) for posting in stock.postings] == ["on_hand 12.000 at W1"]
    assert stock.columns["qty"] == "12.000"
    joined = {joined.table: joined.rows[0][1] for joined in stock.joined}
    assert joined.keys() == {"wms.item", "wms.bin", "wms.warehouse", "wms.lot"}
    assert joined["wms.item"] == {"item_id": 2, "item_code": "a-100007"}
    assert state.rows_of_sku("A10000") == []


def test_a_row_that_cannot_be_mapped_any_more_is_said_to_count_as_before() -> None:
    lane = Lane()
    lane.snapshot([STOCK, BIN, ITEM, WAREHOUSE, LOT])
    lane.change("u", (STOCK[0], {**STOCK[1], "qty": "1" * 40}))
    state = lane.state(lane.mapping)
    assert [held.quantity for held in state.balances("A100007")] == [Decimal("12.000")]
    (row,) = state.rows_of_sku("A100007")
    assert (row.text, row.state) == ("wms.bin_stock [1]", "not mapped: what an older image said counts")
    assert row.faults == ("lane/wms/row-unmappable/wms.bin_stock [1]",)
    assert row.columns["qty"] == "1" * 40


def test_a_row_that_waits_says_nothing_of_the_sku_and_is_counted() -> None:
    lane = Lane()
    lane.snapshot([STOCK, BIN, ITEM, WAREHOUSE, LOT])
    lane.change("d", ITEM)
    state = lane.state(lane.mapping)
    assert (state.balances("A100007"), state.rows_of_sku("A100007")) == ([], [])
    assert state.memo.waiting_rows == 1
    row = state.row(b"wms.bin_stock\0" + msgspec.msgpack.encode((1,)))
    assert row.state == "waits for a lookup"
    missing = [(joined.table, joined.key) for joined in row.joined if not joined.rows]
    assert missing == [("wms.item", (2,))]


def test_an_archived_row_still_counts_and_is_said_to() -> None:
    lane = Lane()
    lane.snapshot([ITEM, WAREHOUSE, SHIPMENT, SHIPPED])
    lane.change("d", SHIPPED)
    state = lane.state(lane.mapping)
    (held,) = state.balances("A100007")
    assert (held.postings, held.archived) == (1, 1)
    (row,) = state.rows_of_sku("A100007")
    assert (row.text, row.state) == ("wms.shipment_line [9,1]", "archived")
    assert [posting_text(*posting) for posting in row.postings] == ["fulfilled 2.000 at W1 for SO-4711-1"]


def test_what_rows_say_of_an_order() -> None:
    lane = Lane()
    lane.snapshot([ITEM, WAREHOUSE, SHIPMENT, SHIPPED])
    (part,) = lane.state(lane.mapping).parts("SO-4711")
    assert (part.kind, part.part_id) == ("shipment", "SHP-9/SO-4711-1")
    assert part.attributes["status"] == "shipped"
    assert part.raw_statuses == {"status": "3"}
    assert lane.state(lane.mapping).parts("SO-471") == []


def test_a_folder_that_was_changed_since_does_not_hide_the_columns() -> None:
    lane = Lane()
    lane.snapshot([STOCK, BIN, ITEM, WAREHOUSE, LOT])
    state = lane.state(load_mapping(CONFIGS / "erp"))
    assert state.mapping is not None
    assert state.mapping.fingerprint == lane.mapping.fingerprint
    (row,) = state.rows_of_sku("A100007")
    assert row.columns["stock_id"] == 1
