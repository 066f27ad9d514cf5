"""A source log of real rows: what a connector would have written of them, for a lane in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.unit.lane.toy import Log


class TableLog(Log):
    """Tables with keys of their own."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys`: qualified table → its key column."""
        super().__init__()
        self._keys = keys

    def read(self, images: Mapping[str, list[bytes]]) -> None:
        """A first snapshot of all tables."""
        self.notify("STARTED")
        for table, rows in images.items():
            for image in rows:
                self._write("r", table, json.loads(image), json.loads(image), None)
            self.notify(
                "TABLE_SCAN_COMPLETED",
                scanned_collection=f"toy.{table}",
                total_rows_scanned=str(len(rows)),
                status="SUCCEEDED",
            )
        self.notify("COMPLETED")

    def row(self, op: str, table: str, row: dict[str, Any] | None, transaction: str | None, sequence: str) -> None:
        self._write(op, table, row or {}, None if op == "d" else row, transaction)

    def _write(
        self, op: str, table: str, row: dict[str, Any], after: dict[str, Any] | None, transaction: str | None
    ) -> None:
        known = None if transaction is None else str(self.commit)
        source = self.source(table, "true" if op == "r" else "false", self.lsn, json.dumps([known, str(self.lsn)]))
        value = {
            "before": None,
            "after": after,
            "source": source,
            "transaction": {"id": transaction, "total_order": 1, "data_collection_order": 1} if transaction else None,
            "op": op,
            "ts_us": 1_795_472_000_100_000 + self.lsn,
        }
        self.write({self._keys[table]: row[self._keys[table]]}, value)
