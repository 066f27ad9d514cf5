"""Two source databases and their connectors: an ERP on PostgreSQL and a WMS on MariaDB, in Debezium's words.

A database commits transactions into its own log (`wal`); its connector copies that log into the source topic, and after
a crash goes back and copies a stretch again.  `Truth` remembers what the rows were at each commit, so that whoever has
read the topic up to an offset can be judged by the rows of that offset.
"""

from __future__ import annotations

import datetime as dt
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from streams.core.mapping.mapping import CompiledMapping, compile_mapping
from streams.core.mapping.source import parse_source
from tests.machine.model import Rows
from tests.unit.mapping.tables import catalogue

NEVER = 1 << 60
DAY_ZERO = dt.date(2026, 1, 1)
STATUSES = ("entered", "released", "shipped")
Change = tuple[Literal["put", "delete", "truncate"], str, int, dict[str, Any]]
"""(what, table, key, columns)."""

TABLES = {
    "erp": {
        "item": "id:i! code:t name:t",
        "unit": "id:i! factor:n",
        "sale": "id:i! status:t note:t",
        "line": "id:i! sale:i item:i unit:i? quantity:n shipped:n? due:d?",
        "purchase": "id:i! item:i quantity:n due:d?",
        "cart": "id:i! item:i line:i quantity:n until:d?",
        "kit": "id:i! item:i part:i quantity:n",
    },
    "wms": {
        "product": "id:i! code:t",
        "bin": "id:i! product:i place:t quantity:n",
        "pick": "id:i! product:i line:i quantity:n",
        "receipt": "id:i! product:i purchase:i quantity:n",
        "zone": "id:i! code:t",
    },
}
ERP_POSTINGS = """
SELECT i.code AS sku, '*' AS location, 'demand' AS bucket, l.quantity * COALESCE(u.factor, 1) * {times} AS quantity,
       l.due AS due, 'SO-' || l.id AS reference
  FROM line l JOIN item i ON i.id = l.item JOIN sale s ON s.id = l.sale LEFT JOIN unit u ON u.id = l.unit
UNION ALL
SELECT i.code, '*', 'fulfilled', l.shipped, CAST(NULL AS DATE), 'SO-' || l.id
  FROM line l JOIN item i ON i.id = l.item WHERE l.shipped IS NOT NULL
UNION ALL
SELECT i.code, '*', 'inbound', p.quantity, p.due, 'PO-' || p.id FROM purchase p JOIN item i ON i.id = p.item
UNION ALL
SELECT i.code, '*', 'reserved', c.quantity, c.until, 'SO-' || c.line FROM cart c JOIN item i ON i.id = c.item
"""
WMS_POSTINGS = """
SELECT p.code AS sku, CONCAT('{place}', COALESCE(z.code, b.place)) AS location, 'on_hand' AS bucket,
       b.quantity AS quantity, CAST(NULL AS CHAR) AS reference
  FROM bin b JOIN product p ON p.id = b.product LEFT JOIN zone z ON z.id = CAST(b.place AS SIGNED)
UNION ALL
SELECT p.code, 'W1', 'fulfilled', k.quantity, CONCAT('SO-', k.line) FROM pick k JOIN product p ON p.id = k.product
UNION ALL
SELECT p.code, 'W1', 'received', r.quantity, CONCAT('PO-', r.purchase) FROM receipt r JOIN product p ON p.id = r.product
"""
FILES: dict[str, Callable[[int], dict[str, str]]] = {
    "erp": lambda version: {
        "postings.sql": ERP_POSTINGS.format(times=version),
        "items.sql": "SELECT i.code AS sku, i.name AS name FROM item i",
        "components.sql": "SELECT k.code AS sku, c.code AS component, m.quantity AS quantity "
        "FROM kit m JOIN item k ON k.id = m.item JOIN item c ON c.id = m.part",
        "orders.sql": "SELECT 'SO-' || s.id AS order_id, s.status AS execution_status FROM sale s",
        "order_lines.sql": "SELECT 'SO-' || l.sale AS order_id, 'SO-' || l.id AS line_id, l.quantity AS ordered "
        "FROM line l JOIN sale s ON s.id = l.sale",
    },
    "wms": lambda version: {"postings.sql": WMS_POSTINGS.format(place="WV"[version - 1])},
}
YAML = {
    "erp": "name: erp\nkind: postgres\nschema: s\nstatuses: {orders: {execution_status: {"
    + ", ".join(f"{s}: {s}" for s in STATUSES)
    + "}}}\n",
    "wms": "name: wms\nkind: mariadb\nschema: s\ndeletions: {receipt: archived}\n",
}
KIND = {"erp": "postgres", "wms": "mariadb"}


def mapping_of(source: str, version: int) -> CompiledMapping:
    """Version 2 of the ERP's counts demand twice, version 2 of the WMS's gives every place another name."""
    tables = catalogue(KIND[source], **TABLES[source])
    return compile_mapping(parse_source(YAML[source]), tables, FILES[source](version), bytes([version]) * 32)


MAPPINGS = {(source, version): mapping_of(source, version) for source in TABLES for version in (1, 2)}


class Record(NamedTuple):
    """What a connector writes."""

    key: bytes | None
    value: bytes | None
    commits: bool = False
    """Here the rows are those of the database's next commit."""


@dataclass
class Truth:
    """Topic offset → the rows that a reader up to there must have; None: in between, nothing is promised."""

    offsets: list[int] = field(default_factory=lambda: [0])
    rows: list[Rows | None] = field(default_factory=lambda: [None])

    def add(self, offset: int, rows: Rows | None) -> None:
        self.offsets.append(offset)
        self.rows.append(rows)

    def at(self, offset: int) -> Rows | None:
        return self.rows[self.changes(offset) - 1]

    def ever(self, offset: int) -> bool:
        """Whether a reader up to there has had the rows whole at some time."""
        return any(rows is not None for rows in self.rows[: self.changes(offset)])

    def changes(self, offset: int) -> int:
        """How many a reader up to there has seen; heartbeats are none."""
        return bisect_right(self.offsets, offset)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


class Database:
    """Rows, their log, and the connector."""

    def __init__(self, name: str, clock: Callable[[], int], write: Callable[[bytes | None, bytes | None], int]) -> None:
        self.name, self._clock, self._write = name, clock, write
        self.postgres = KIND[name] == "postgres"
        self.rows: Rows = {table: {} for table in TABLES[name]}
        self.rule: dict[int, dict[str, Any]] = {1: {"times": 1}}
        """What the mapping in force does beside the rows."""
        self.archived: dict[int, dict[str, Any]] = {}
        """Receipts whose row was archived: they count as long as the lane's state lives."""
        self.wal: list[Record] = []
        self.states: dict[int, Rows] = {}
        """Index in the log → rows after the commit there."""
        self.cursor = 0
        """Next record of the log that the connector writes."""
        self.base = 0
        """The connector does not go back behind this: a snapshot began there."""
        self.written = 0
        """Records of the log written at least once."""
        self.passing = 0
        """A snapshot was read here in the log; before, the topic's rows are a mixture."""
        self.truth = Truth()
        self.position = self.commit_position = 1_000
        self.file = 1
        self.transactions = self.signals = 0
        self.reading: tuple[str, list[int]] | None = None
        """Incremental snapshot: table and the keys it will read."""

    # -- the database

    def commit(self, changes: Iterable[Change], *, end: bool = True) -> None:
        """One transaction; without END only where DDL commits by itself."""
        self.transactions += 1
        self.position += 8
        identity = str(3000 + self.transactions) if self.postgres else f"1-1-{self.transactions}"
        self._mark("BEGIN", identity)
        for what, table, key, columns in changes:
            self.position += 8
            if what == "truncate":
                self.rows[table].clear()
                self._row("t", table, None, None, identity)
            elif what == "delete":
                row = self.rows[table].pop(key, None)
                if row is not None and table == "receipt":
                    self.archived[key] = row
                self._row("d", table, key, None, identity)
            else:
                known = key in self.rows[table]
                self.rows[table][key] = columns
                self._row("u" if known else "c", table, key, columns, identity)
        self.position += 8
        self.commit_position = self.position
        if end:
            self._mark("END", identity)
        self._committed()

    def _committed(self) -> None:
        self.wal[-1] = self.wal[-1]._replace(commits=True)
        self.states[len(self.wal) - 1] = self.now()

    def now(self) -> Rows:
        """A copy of the rows, with what is archived."""
        rows = {table: dict(content) for table, content in self.rows.items()}
        rows["rule"] = self.rule
        if self.archived:
            rows["receipt"] = {**self.archived, **rows["receipt"]}
        return rows

    def missed(self, changes: Iterable[Change]) -> None:
        """Changes that no log will ever tell: the slot was lost."""
        for what, table, key, columns in changes:
            if what == "delete" and table != "receipt":
                self.rows[table].pop(key, None)
            elif what == "put":
                self.rows[table][key] = columns

    def restore(self, rows: Rows) -> None:
        """From a backup: older rows, and positions that begin anew; only a snapshot tells what is there now."""
        self.rows.update({t: dict(content) for t, content in rows.items() if t not in ("receipt", "rule")})
        self.passing = NEVER
        self.position = self.commit_position = 100
        self.file = 1
        self.cursor = self.base = self.written = len(self.wal)

    def heartbeat(self, *, action: bool) -> None:
        """What an idle connector writes; `action`: it commits into its own table too."""
        if action:
            self.transactions += 1
            identity = str(3000 + self.transactions) if self.postgres else f"1-1-{self.transactions}"
            self.position += 16
            self._mark("BEGIN", identity)
            self._row("u", "heartbeat", 1, {}, identity)
            self.commit_position = self.position
            self._mark("END", identity)
            self._committed()
        self.wal.append(Record(_json({"serverName": self.name}), _json({"ts_ms": self._clock() // 1000})))

    # -- the connector

    def copy(self, count: int) -> None:
        """The connector writes so many records of the log into the topic."""
        for index in range(self.cursor, min(len(self.wal), self.cursor + count)):
            record = self.wal[index]
            offset = self._write(record.key, record.value)
            if record.commits and index >= self.written:
                self.truth.add(offset + 1, {**self.states[index], "rule": self.rule} if index >= self.passing else None)
            self.written = max(self.written, index + 1)
        self.cursor = min(len(self.wal), self.cursor + count)

    def resend(self, back: int) -> None:
        """The connector crashed before it noted what it had written."""
        self.cursor = max(self.base, self.cursor - back)

    def snapshot(self, *, older_slot: int = 0, skipped: str = "", complete: bool = True) -> None:
        """The connector reads all tables as they are now, then goes on with the log: from here, or from a slot that is
        `older_slot` records older."""
        self.truth.add(self._notify("STARTED"), None)
        for table in TABLES[self.name]:
            if table == skipped:
                continue
            for key, row in self.rows[table].items():
                self._write(*self._image("r", table, key, row, None, "true"))
            data = {"scanned_collection": f"s.{table}", "total_rows_scanned": str(len(self.rows[table]))}
            self._notify("TABLE_SCAN_COMPLETED", **data, status="SUCCEEDED")
        self.passing = len(self.wal)
        self.cursor = max(self.base, len(self.wal) - older_slot)
        while 0 < self.cursor < len(self.wal) and not self.wal[self.cursor - 1].commits:
            self.cursor += 1
        self.base = self.written = self.cursor
        if complete:
            offset = self._notify("COMPLETED")
            if not skipped:
                self.truth.add(offset + 1, None if older_slot else self.now())

    def begin_reading(self, table: str) -> None:
        """An incremental snapshot of a table begins."""
        self.signals += 1
        self.reading = (table, list(self.rows[table]))
        self._notify("STARTED", "Incremental Snapshot", id=f"signal-{self.signals}", data_collections=f"s.{table}")

    def end_reading(self, changed: frozenset[int]) -> None:
        """Its rows and its end; those that changed meanwhile the stream has told."""
        assert self.reading is not None
        table, keys = self.reading
        self.reading = None
        there = [key for key in keys if key in self.rows[table]]
        for key in there:
            if key not in changed:
                self._write(*self._image("r", table, key, self.rows[table][key], None, "incremental"))
        signal = f"signal-{self.signals}"
        data = {"scanned_collection": f"s.{table}", "total_rows_scanned": str(len(there)), "status": "SUCCEEDED"}
        self._notify("TABLE_SCAN_COMPLETED", "Incremental Snapshot", id=signal, **data)
        offset = self._notify("COMPLETED", "Incremental Snapshot", id=signal)
        self.base = self.cursor
        self.truth.add(offset + 1, self.now())

    def _mark(self, status: str, identity: str) -> None:
        shown = f"{identity}:{self.position}" if self.postgres else identity
        self.wal.append(Record(_json({"id": shown}), _json({"status": status, "id": shown, "ts_ms": 1})))

    def _row(self, op: str, table: str, key: int | None, row: dict[str, Any] | None, transaction: str) -> None:
        self.wal.append(Record(*self._image(op, table, key, row, transaction, "false")))

    def _image(
        self, op: str, table: str, key: int | None, row: dict[str, Any] | None, transaction: str | None, phase: str
    ) -> tuple[bytes | None, bytes]:
        now_us = self._clock()
        source: dict[str, Any] = {"name": self.name, "table": table, "snapshot": phase}
        if self.postgres:
            first = None if phase == "true" else str(self.position if phase == "incremental" else self.commit_position)
            source |= {"schema": "s", "ts_us": now_us, "sequence": json.dumps([first, str(self.position)])}
        else:
            gtid = None if phase == "true" else transaction or f"1-1-{self.transactions}"
            source |= {"db": "s", "ts_us": now_us // 1_000_000 * 1_000_000, "gtid": gtid, "row": 0}
            source |= {"file": f"mysql-bin.{self.file:06d}", "pos": self.position}
        value = {
            "after": None if op in "dt" else _columns(key, row or {}),
            "source": source,
            "transaction": {"id": f"{transaction}:{self.position}" if self.postgres else transaction}
            if transaction
            else None,
            "op": op,
            "ts_us": now_us + 1,
        }
        return None if op == "t" else _json({"id": key}), _json(value)

    def _notify(self, kind: str, aggregate: str = "Initial Snapshot", **data: str) -> int:
        identity = data.pop("id", "n")
        value = {"id": identity, "type": kind, "aggregate_type": aggregate, "additional_data": data, "timestamp": 1}
        return self._write(_json({"id": identity}), _json(value))


def _columns(key: int | None, row: dict[str, Any]) -> dict[str, Any]:
    """A row as Debezium writes it: decimals as text, dates with a Z."""
    made: dict[str, Any] = {"id": key}
    for name, value in row.items():
        if value is not None and name in ("quantity", "factor", "shipped"):
            value = str(value)
        elif value is not None and name in ("due", "until"):
            value = f"{DAY_ZERO + dt.timedelta(days=value)}Z"
        made[name] = value
    return made
