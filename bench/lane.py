"""Rows per second of CPU of the lane's core: decoding, the demo mappings, joins, sums, encoding of the outputs.

The state is in memory.

    python -m bench.lane [rows]

What the runtime adds per unit (changelog, store, acknowledgement) is measured by bench.runtime.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from onhand.collector import COLLECT_AFTER
from schemas.codec import Codec
from streams.core.lane.stage import LaneStage
from streams.core.mapping.mapping import load_mapping
from streams.core.unit import InputRecord
from tests.memory import MemoryView

CONFIGS = Path(__file__).parent.parent / "connect-configs"
SKUS = 2000
TRANSACTION_ROWS = 3
BATCH = 4000


def _source(table: str, lsn: int, commit: int, snapshot: str) -> dict[str, Any]:
    schema, name = table.split(".")
    source: dict[str, Any] = {
        "version": "3.7.0.Final", "name": schema, "ts_ms": 1795472112786, "snapshot": snapshot, "db": schema,
        "ts_us": 1795472112786624 + commit, "ts_ns": 1795472112786624000, "table": name,
    }  # fmt: skip
    if schema == "erp":
        return source | {
            "connector": "postgresql", "sequence": f'["{commit}","{lsn}"]', "schema": schema, "txId": 3935, "lsn": lsn,
            "xmin": None, "origin": None, "origin_lsn": None,
        }  # fmt: skip
    return source | {
        "connector": "mariadb", "sequence": None, "server_id": 1, "gtid": f"1-1-{commit}", "file": "mysql-bin.000001",
        "pos": lsn, "row": 0, "thread": None, "query": None,
    }  # fmt: skip


class Writer:
    """Records of one source log, in transactions of three rows."""

    def __init__(self, source: str) -> None:
        self.source, self.lsn, self.commit = source, 1000, 1000
        self.records: list[InputRecord] = []

    def put(self, key: Any, value: Any) -> None:
        topic, offset = f"cdc.{self.source}", len(self.records)
        self.records.append(
            InputRecord(
                topic, 0, offset, 0, json.dumps(key).encode(), json.dumps(value, separators=(",", ":")).encode()
            )
        )

    def row(self, table: str, key: tuple[str, ...], after: dict[str, Any], op: str = "u", inside: bool = True) -> None:
        self.lsn += 10
        transaction = f"{self.commit}:{self.lsn}" if self.source == "erp" else f"1-1-{self.commit}"
        self.put(
            {name: after[name] for name in key},
            {
                "before": None, "after": after,
                "source": _source(table, self.lsn, self.commit, "false" if inside else "true"),
                "transaction": {"id": transaction, "total_order": 1, "data_collection_order": 1} if inside else None,
                "op": op, "ts_ms": 1795472112790, "ts_us": 1795472112790000, "ts_ns": 1795472112790000000,
            },
        )  # fmt: skip

    def end(self) -> None:
        identity = f"{self.commit}:{self.lsn}" if self.source == "erp" else f"1-1-{self.commit}"
        self.put(
            {"id": identity}, {"status": "END", "id": identity, "event_count": 3, "data_collections": [], "ts_ms": 1}
        )
        self.commit = self.lsn

    def notify(self, kind: str, **data: str) -> None:
        document = {"id": "n", "type": kind, "aggregate_type": "Initial Snapshot", "additional_data": data}
        self.put({"id": "n"}, document)


def erp(rows: int) -> Writer:
    """Order lines, released and shipped."""
    log = Writer("erp")
    for number in range(rows):
        log.row(
            "erp.ordlin", ("olordn", "ollinn"),
            {
                "olordn": number // 4, "ollinn": number % 4, "olitem": f"A{number % SKUS:06d}     ", "olwhse": "W1  ",
                "olqord": "1200", "olqshp": "0" if number % 3 else "600", "olqcan": "0", "olstat": 40,
                "olreqd": 126340,
            },
        )  # fmt: skip
        if number % TRANSACTION_ROWS == TRANSACTION_ROWS - 1 or number == rows - 1:
            log.end()
    return log


def wms(rows: int) -> Writer:
    """Bin stock, joined to item, bin, warehouse and lot."""
    log = Writer("wms")
    for number in range(rows):
        stock = number % 20_000
        log.row(
            "wms.bin_stock", ("stock_id",),
            {
                "stock_id": stock, "bin_id": stock % 500, "item_id": stock % SKUS, "lot_id": stock % 3000,
                "qty": f"{number % 900}.000",
            },
        )  # fmt: skip
        if number % TRANSACTION_ROWS == TRANSACTION_ROWS - 1 or number == rows - 1:
            log.end()
    return log


def first(source: str, tables: list[str]) -> Writer:
    """The snapshot: lookups of the WMS, nothing else."""
    log = Writer(source)
    log.notify("STARTED")
    lookups: dict[str, list[tuple[tuple[str, ...], dict[str, Any]]]] = {}
    if source == "wms":
        lookups = {
            "wms.item": [(("item_id",), {"item_id": n, "item_code": f"a-{n:06d}"}) for n in range(SKUS)],
            "wms.warehouse": [(("wh_id",), {"wh_id": n, "wh_code": f"w{n}"}) for n in range(2)],
            "wms.bin": [
                (("bin_id",), {"bin_id": n, "wh_id": n % 2, "bin_code": f"b{n}", "bin_type": "PICK"})
                for n in range(500)
            ],
            "wms.lot": [
                (("lot_id",), {"lot_id": n, "item_id": n % SKUS, "lot_code": f"l{n}", "hold_status": n % 20 == 0})
                for n in range(3000)
            ],
        }
    for table in tables:
        rows = lookups.get(table, [])
        for key, after in rows:
            log.row(table, key, after | {"hold_status": int(after["hold_status"])} if "hold_status" in after else after,
                    "r", inside=False)  # fmt: skip
        log.notify(
            "TABLE_SCAN_COMPLETED", scanned_collection=table, total_rows_scanned=str(len(rows)), status="SUCCEEDED"
        )
    log.notify("COMPLETED")
    return log


def drive(stage: LaneStage, view: MemoryView, records: list[InputRecord], version: int) -> tuple[int, int, int]:
    """Units, outputs and state bytes written of folding everything."""
    units = outputs = written = 0
    held = records
    taken = 0
    while taken < len(held):
        settled = stage.work(view, held[taken : taken + BATCH], 1_795_472_113_000_000)
        if not settled.consumed:
            break
        taken += settled.consumed
        more = settled.more
        while True:
            written += view.size
            view.store.pairs.update({k: v for k, v in view.changes.items() if v is not None})
            for key in [k for k, v in view.changes.items() if v is None]:
                view.store.pairs.pop(key, None)
            view.changes, view._size = {}, 0
            units += 1
            outputs += sum(1 for _ in stage.render(view, settled.owed, version + units, 1_795_472_113_000_000))
            if not more:
                break
            view.store.keys = sorted(view.store.pairs)
            settled = stage.tick(view, 1_795_472_113_000_000)
            more = settled.more
    return units, outputs, written


def main() -> None:
    gc.set_threshold(COLLECT_AFTER)
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
    for source, make in (("erp", erp), ("wms", wms)):
        mapping = load_mapping(CONFIGS / source)
        stage, view = LaneStage(source, mapping, Codec.local().encode), MemoryView()
        settled = stage.open(view, 0, None, None, 0, 0)
        list(stage.render(view, settled.owed, 1, 0))
        drive(stage, view, first(source, list(mapping.tables)).records, 2)
        log = make(rows)
        shifted = [record._replace(offset=record.offset + 100_000) for record in log.records]
        started = time.process_time()
        units, outputs, written = drive(stage, view, shifted, 1000)
        took = time.process_time() - started
        print(
            f"{source}: {rows / took:,.0f} rows/s of CPU ({rows} rows in {took:.2f} s, {units} units, "
            f"{outputs} outputs, {written / rows:.0f} state bytes a row)"
        )


if __name__ == "__main__":
    main()
