"""A small mapping by hand, and a source log in Debezium's words, for the tests of the lane.

stock(id, item, location, quantity, note)    on_hand; item is an INNER lookup, note may be an unchanged TOAST
demand(id, item_code, quantity, factor)      demand with reference; factor is a LEFT lookup (absent: 1)
receipt(id, line, quantity)                  received; its deletes mean archiving
receipt_history(id, line, quantity)          the same, moved
purchase(line, quantity)                     inbound
item(id, code, name)                         items; lookup of stock by id
factor(id, value, parent)                    lookup of demand by id; leads on to its parent
orders(id, status)                           order headers
bill(id, kit, component, quantity)           components; only in `kit_tables`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from schemas.messages import ItemPart
from schemas.records import Bucket
from streams.core.mapping.model import (
    ComponentRow,
    Evaluation,
    Lookup,
    LookupKey,
    LookupSource,
    OrderRow,
    OutputRow,
    Posting,
    RowError,
)

PLACEHOLDER = "__debezium_unavailable_value"
UNSET = msgspec.UNSET
Edges = list[tuple[int, LookupKey]]


class Row(msgspec.Struct, frozen=True):
    """Any row: the columns of its table, in the order of the table."""

    values: tuple[Any, ...]


Evaluate = Callable[["ToyTable", Row, Sequence[LookupSource], Edges, Edges], Sequence[OutputRow]]


class ToyTable:
    """Implements `streams.core.mapping.model.TableMapping`."""

    def __init__(
        self,
        name: str,
        columns: tuple[str, ...],
        *,
        buckets: frozenset[Bucket] = frozenset(),
        joins: frozenset[str] = frozenset(),
        deletion: str = "removed",
        evaluate: Evaluate | None = None,
        found: tuple[tuple[int, str], ...] = (),
        leads: tuple[tuple[int, str], ...] = (),
        key: str | None = None,
        feeds: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.key: tuple[str, ...] = (key or columns[0],)
        self.columns = columns
        self.feeds = feeds
        self.buckets = buckets
        self.joins = joins
        self.spreads = False
        self.deletion = deletion
        self._evaluate, self._found, self._leads = evaluate, found, leads

    def value(self, row: Row, column: str) -> Any:
        return row.values[self.columns.index(column)]

    def decode(self, after: bytes) -> Row:
        columns = json.loads(after)
        if columns.get("quantity") == "NAN":
            raise RowError("row-unmappable", "quantity is NaN")
        return Row(tuple(columns.get(name, UNSET) for name in self.columns))

    def decode_key(self, key: bytes) -> tuple[Any, ...]:
        try:
            return (json.loads(key)[self.key[0]],)
        except (ValueError, KeyError, TypeError) as error:
            raise RowError("row-unmappable", f"key {key!r}: {error}") from None

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return (self.value(row, self.key[0]),)

    def absent(self, row: Row) -> tuple[str, ...]:
        return tuple(name for name, value in zip(self.columns, row.values, strict=True) if value is UNSET)

    def merged(self, row: Row, previous: Row | None) -> Row:
        if PLACEHOLDER not in row.values:
            return row
        if previous is None:
            raise RowError("toast-without-previous", f"{self.name} has no previous value")
        return Row(tuple(o if v == PLACEHOLDER else v for v, o in zip(row.values, previous.values, strict=True)))

    def dump(self, row: Row) -> bytes:
        return msgspec.msgpack.encode(row.values)

    def load(self, stored: bytes) -> Row:
        return Row(tuple(msgspec.msgpack.decode(stored)))

    def evaluate(self, row: Row, lookups: Sequence[LookupSource]) -> Evaluation:
        if self._evaluate is None:
            return Evaluation((), (), ())
        rests_on: Edges = []
        missing: Edges = []
        outputs = self._evaluate(self, row, lookups, rests_on, missing)
        return Evaluation(tuple(outputs), tuple(rests_on), tuple(missing))

    def lookup_keys(self, row: Row) -> tuple[tuple[int, LookupKey], ...]:
        return tuple((lookup, (self.value(row, column),)) for lookup, column in self._found)

    def chains(self, row: Row) -> tuple[tuple[int, LookupKey], ...]:
        return tuple(
            (lookup, (value,)) for lookup, column in self._leads if (value := self.value(row, column)) is not None
        )


def number(text: Any) -> Decimal:
    try:
        return Decimal(text)
    except (InvalidOperation, TypeError):
        raise RowError("row-unmappable", f"{text!r} is no number") from None


def posting(sku: Any, location: str, bucket: Bucket, quantity: Decimal, reference: str | None = None) -> Posting:
    if sku is None:
        raise RowError("row-unmappable", "sku is NULL")
    return Posting("", sku, location, bucket, None, reference, quantity)


def stock(table: ToyTable, row: Row, lookups: Sequence[LookupSource], rests: Edges, missing: Edges) -> list[OutputRow]:
    _, item_id, location, quantity, _ = row.values
    key = (item_id,)
    rests.append((0, key))
    item = lookups[0].get(key)
    if item is None:
        missing.append((0, key))
        return []
    return [posting(item.values[1], location, Bucket.ON_HAND, number(quantity))]


def demand(table: ToyTable, row: Row, lookups: Sequence[LookupSource], rests: Edges, missing: Edges) -> list[OutputRow]:
    identity, sku, quantity, factor_id = row.values
    value = Decimal(1)
    if factor_id is not None:
        rests.append((1, (factor_id,)))
        factor = lookups[1].get((factor_id,))
        if factor is not None:
            value = number(factor.values[1])
            parent = None if factor.values[2] is None else lookups[1].get((factor.values[2],))
            if parent is not None:
                value *= number(parent.values[1])
    return [posting(sku, "*", Bucket.DEMAND, number(quantity) * value, f"SO-{identity}")]


def line(bucket: Bucket) -> Evaluate:
    def evaluate(
        table: ToyTable, row: Row, lookups: Sequence[LookupSource], rests: Edges, missing: Edges
    ) -> list[OutputRow]:
        name = table.value(row, "line")
        return [posting("A", "W1", bucket, number(table.value(row, "quantity")), f"PO-{name}")]

    return evaluate


def item(table: ToyTable, row: Row, lookups: Sequence[LookupSource], rests: Edges, missing: Edges) -> list[OutputRow]:
    return [ItemPart(sku=row.values[1], name=row.values[2])]


def header(table: ToyTable, row: Row, lookups: Sequence[LookupSource], rests: Edges, missing: Edges) -> list[OutputRow]:
    identity, status = row.values
    known = {"20": "entered", "60": "shipped"}.get(status)
    attributes: dict[str, str | None] = {} if known is None else {"execution_status": known}
    unmapped = () if known else ("execution_status",)
    return [OrderRow("header", f"SO-{identity}", f"SO-{identity}", attributes, {"execution_status": status}, unmapped)]


def tables(*, stock_columns: tuple[str, ...] = ("id", "item", "location", "quantity", "note")) -> dict[str, ToyTable]:
    hand, claims = frozenset((Bucket.ON_HAND,)), frozenset((Bucket.DEMAND,))
    received, inbound = frozenset((Bucket.RECEIVED,)), frozenset((Bucket.INBOUND,))
    listed = [
        ToyTable("toy.stock", stock_columns, buckets=hand, joins=frozenset(("toy.item",)), evaluate=stock),
        ToyTable(
            "toy.demand",
            ("id", "item_code", "quantity", "factor"),
            buckets=claims,
            joins=frozenset(("toy.factor",)),
            evaluate=demand,
        ),
        ToyTable(
            "toy.receipt",
            ("id", "line", "quantity"),
            buckets=received,
            deletion="archived",
            evaluate=line(Bucket.RECEIVED),
        ),
        ToyTable("toy.receipt_history", ("id", "line", "quantity"), buckets=received, evaluate=line(Bucket.RECEIVED)),
        ToyTable("toy.purchase", ("line", "quantity"), buckets=inbound, evaluate=line(Bucket.INBOUND)),
        ToyTable("toy.item", ("id", "code", "name"), buckets=hand, evaluate=item, found=((0, "id"),)),
        ToyTable("toy.factor", ("id", "value", "parent"), buckets=claims, found=((1, "id"),), leads=((1, "parent"),)),
        ToyTable("toy.orders", ("id", "status"), deletion="cancelled", evaluate=header),
    ]
    return {table.name: table for table in listed}


def bill(table: ToyTable, row: Row, lookups: Sequence[LookupSource], rests: Edges, missing: Edges) -> list[OutputRow]:
    _, kit, component, quantity = row.values
    return [ComponentRow(kit, component, number(quantity))]


def kit_tables() -> dict[str, ToyTable]:
    """`tables`, and bills of material."""
    columns = ("id", "kit", "component", "quantity")
    return {**tables(), "toy.bill": ToyTable("toy.bill", columns, evaluate=bill, feeds=frozenset(("components",)))}


class ToyMapping:
    """Implements `streams.core.mapping.model.Mapping`."""

    def __init__(self, made: dict[str, ToyTable] | None = None, fingerprint: bytes = b"\1" * 32) -> None:
        self.fingerprint = fingerprint
        self.tables = made or tables()
        self.lookups = (Lookup("toy.item", ("id",)), Lookup("toy.factor", ("id",)))

    def dump_lookup_key(self, key: LookupKey) -> bytes:
        return msgspec.msgpack.encode(key)


class Log:
    """Writes what a PostgreSQL connector writes: (key, value) records, with positions that only rise."""

    def __init__(self, start: int = 1000) -> None:
        self.lsn = start
        self.commit = start
        self.transactions = 0
        self.signals = 0
        self.records: list[tuple[bytes | None, bytes]] = []

    def source(self, table: str, snapshot: str, lsn: int | None, sequence: str) -> dict[str, Any]:
        schema, name = table.split(".")
        return {
            "version": "3.7.0.Final",
            "connector": "postgresql",
            "name": "toy",
            "snapshot": snapshot,
            "db": "toy",
            "sequence": sequence,
            "ts_us": 1_795_472_000_000_000 + self.lsn,
            "schema": schema,
            "table": name,
            "lsn": lsn,
        }

    def write(self, key: Any, value: Any) -> None:
        self.records.append((None if key is None else json.dumps(key).encode(), json.dumps(value).encode()))

    def transaction(self, *changes: tuple[str, str, dict[str, Any] | None], end: bool = True) -> str:
        """(op, table, row) changes; for `d` the row is its key, for `t` None.  The transaction's id."""
        self.transactions += 1
        identity = str(3000 + self.transactions)
        self.lsn += 8
        self.write({"id": f"{identity}:{self.lsn}"}, {"status": "BEGIN", "id": f"{identity}:{self.lsn}", "ts_ms": 1})
        for op, table, row in changes:
            self.lsn += 8
            self.row(op, table, row, f"{identity}:{self.lsn}", json.dumps([str(self.commit), str(self.lsn)]))
        if end:
            self.end(identity)
        return identity

    def row(self, op: str, table: str, row: dict[str, Any] | None, transaction: str | None, sequence: str) -> None:
        key_column = "line" if table == "toy.purchase" else "id"
        key = None if op == "t" else {key_column: (row or {})[key_column]}
        value = {
            "before": None,
            "after": None if op in "dt" else row,
            "source": self.source(table, "false", self.lsn, sequence),
            "transaction": {"id": transaction, "total_order": 1, "data_collection_order": 1} if transaction else None,
            "op": op,
            "ts_us": 1_795_472_000_100_000 + self.lsn,
        }
        self.write(key, value)

    def end(self, identity: str) -> None:
        self.lsn += 8
        self.commit = self.lsn
        self.write(
            {"id": f"{identity}:{self.lsn}"},
            {"status": "END", "id": f"{identity}:{self.lsn}", "event_count": 1, "data_collections": [], "ts_ms": 1},
        )

    def heartbeat(self) -> None:
        self.write({"serverName": "toy"}, {"ts_ms": 1_795_471_928_884})

    def notify(self, kind: str, aggregate: str = "Initial Snapshot", **data: str) -> None:
        identity = data.pop("id", "n")
        self.write(
            {"id": identity},
            {
                "id": identity,
                "type": kind,
                "aggregate_type": aggregate,
                "additional_data": {"connector_name": "toy", **data},
                "timestamp": 1,
            },
        )

    def snapshot(
        self,
        rows: dict[str, list[dict[str, Any]]],
        *,
        names: Sequence[str] | None = None,
        complete: bool = True,
        counts: dict[str, int] | None = None,
        row_early: bool = False,
    ) -> None:
        """A whole initial snapshot at the log's present position; `row_early`: the end of a table's scan stands before
        its last row, as Debezium has it."""
        self.notify("STARTED")
        sequence = json.dumps([None, str(self.lsn)])
        for table in names if names is not None else tables():
            for row in rows.get(table, []):
                key_column = "line" if table == "toy.purchase" else "id"
                value = {
                    "before": None,
                    "after": row,
                    "source": self.source(table, "true", self.lsn, sequence),
                    "transaction": None,
                    "op": "r",
                    "ts_us": 1_795_472_000_100_000,
                }
                self.write({key_column: row[key_column]}, value)
            last = self.records.pop() if row_early and rows.get(table) else None
            count = (counts or {}).get(table, len(rows.get(table, [])))
            self.notify(
                "TABLE_SCAN_COMPLETED",
                scanned_collection=f"toy.{table}",
                total_rows_scanned=str(count),
                status="SUCCEEDED",
            )
            if last is not None:
                self.records.append(last)
        if complete:
            self.notify("COMPLETED")

    def read_again(self, table: str, rows: Sequence[dict[str, Any]], *, scanned: int | None = None) -> None:
        """The rows of an incremental snapshot and its end; `begin_reading` came before."""
        key_column = "line" if table == "toy.purchase" else "id"
        for row in rows:
            source = self.source(table, "incremental", None, json.dumps([str(self.lsn), str(self.lsn)]))
            value = {"before": None, "after": row, "source": source, "transaction": None, "op": "r", "ts_us": 1}
            self.write({key_column: row[key_column]}, value)
        signal = f"signal-{self.signals}"
        count = str(len(rows) if scanned is None else scanned)
        data = {"scanned_collection": f"toy.{table}", "total_rows_scanned": count, "status": "SUCCEEDED"}
        self.notify("TABLE_SCAN_COMPLETED", "Incremental Snapshot", id=signal, **data)
        self.notify("COMPLETED", "Incremental Snapshot", id=signal)

    def begin_reading(self, table: str) -> None:
        """An incremental snapshot of one table begins."""
        self.signals += 1
        self.notify("STARTED", "Incremental Snapshot", id=f"signal-{self.signals}", data_collections=f"toy.{table}")
