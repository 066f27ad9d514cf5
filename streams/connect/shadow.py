"""A changed mapping in the shadow: what would change if it counted now, before anything is published.

The lane's state, as its changelog has it, is copied into a directory of its own; there the lane itself is told of the
switch and works it off.  Columns that were never stored are read from the database, read-only.  Nothing is written
anywhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from schemas.errors import EnvironmentFault
from schemas.records import Bucket, ExceptionStatus
from streams.agents.runtime.marker import Standing
from streams.agents.runtime.store import PartitionStore
from streams.agents.runtime.view import UnitView
from streams.connect.lane_store import stored_lane
from streams.connect.live.rows import live_rows
from streams.connect.preflight import Target
from streams.core.lane.applied import Applied
from streams.core.lane.faults import load_exception
from streams.core.lane.keys import balance_name, split_sku
from streams.core.lane.preparing import needs_reading
from streams.core.lane.stage import LaneStage
from streams.core.lane.state import Memo, dump_memo, load_memo
from streams.core.lane.sums import decode_sum
from streams.core.log.control import Action, Control, encode_control
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.text import compile_text
from streams.core.ownership import Ownership
from streams.core.unit import InputRecord

SIGNAL = "shadow"
ZERO = Decimal(0)
_encode = msgspec.json.Encoder().encode


class BalanceKey(NamedTuple):
    """What tells one balance of a source from another."""

    view: str
    sku: str
    location: str
    bucket: str
    due: str | None
    reference: str | None


class Change(NamedTuple):
    """A balance that would not be what it is."""

    key: BalanceKey
    before: Decimal | None
    """None: there is none."""
    after: Decimal | None

    @property
    def by(self) -> Decimal:
        return (self.after or ZERO) - (self.before or ZERO)

    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        return {**self.key._asdict(), "before": self.before, "after": self.after, "by": self.by}


class Effect(NamedTuple):
    """What becomes of one sku's availability, as far as this source owns it."""

    sku: str
    before: Decimal
    after: Decimal


@dataclass
class Shadow:
    """What a changed mapping would do."""

    source: str
    changed: bool = False
    """Whether the folder's mapping is another than the one that was applied last."""
    rows: int = 0
    """Rows that were evaluated."""
    read_anew: list[str] = field(default_factory=list)
    """Tables that `apply` reads again for columns that were never stored."""
    balances: list[Change] = field(default_factory=list)
    """The biggest change first."""
    items: list[str] = field(default_factory=list)
    """Skus whose item changes."""
    orders: list[str] = field(default_factory=list)
    """Orders that change."""
    exceptions: dict[str, list[str]] = field(default_factory=dict)
    """By code: what would be told anew."""
    closed: dict[str, int] = field(default_factory=dict)
    """By code: how many exceptions would end."""
    effects: list[Effect] = field(default_factory=list)
    """The deepest fall first, then the highest rise."""


class Said(NamedTuple):
    """What a lane's state says."""

    balances: Mapping[BalanceKey, Decimal]
    items: Mapping[bytes, bytes]
    orders: Mapping[bytes, bytes]
    exceptions: Mapping[str, str]
    """Open ones: id → detail."""


def shadow(
    bootstrap: str, mapping: CompiledMapping, text: bytes, at: Callable[[], Target], ownership: Ownership | None
) -> Shadow:
    """Raises EnvironmentFault when the lane cannot be read, has settled nothing, or is being read anew."""
    name = mapping.source.name
    with stored_lane(bootstrap, name) as (settled, store):
        if not settled:
            raise EnvironmentFault(f"lane-{name} has settled nothing yet: start it, then plan again")
        memo = load_memo(settled)
        report = Shadow(name)
        applied = memo.mapping if memo.preparing is None else memo.preparing.fingerprint
        report.changed = applied != mapping.fingerprint
        if memo.mapping == mapping.fingerprint:
            return report
        if not memo.complete or memo.snapshot is not None:
            raise EnvironmentFault(f"source {name}: a snapshot of it runs: plan again when it is over")
        before = said(store)
        report.read_anew = needs_reading(mapping, memo)
        tables = _rows(mapping, at, report.read_anew)
        report.rows = switch(store, memo, mapping, text, tables)
        compare_said(report, before, said(store), ownership)
        return report


def switch(
    store: PartitionStore,
    memo: Memo,
    mapping: CompiledMapping,
    text: bytes,
    tables: AbstractContextManager[Mapping[str, Iterable[list[bytes]]]],
) -> int:
    """Work the switch off on a copy of the state; `tables`, entered for as long as they are read, has the rows of those
    it needs read.  Answers how many rows there are.  Raises EnvironmentFault."""
    name = mapping.source.name
    memo.open_transaction, memo.preparing, memo.reading = None, None, {}
    stage = LaneStage(name, Applied(mapping, text, compile_text), _no_output)
    feed = _Feed(stage, store, memo.offset)
    feed.open(dump_memo(memo), memo.mapping)
    control = Control(action=Action.MAPPING, fingerprint=mapping.fingerprint.hex(), text=text)
    feed.tell([encode_control(control)])
    with tables as rows:
        for table, chunks in rows.items():
            feed.read(mapping, table, chunks)
    feed.work_off()
    if feed.memo.mapping != mapping.fingerprint or feed.memo.silent:
        codes = ", ".join(sorted(said(store).exceptions)) or "no exception says why"
        raise EnvironmentFault(f"source {name}: the new mapping could not be worked off on a copy: {codes}")
    return sum(table.rows for table in feed.memo.tables.values())


class _Feed:
    """One stage on one store, told what its log would tell."""

    def __init__(self, stage: LaneStage, store: PartitionStore, offset: int) -> None:
        self._stage, self._store, self._offset = stage, store, offset
        self._now_us = time.time_ns() // 1000
        self._held: list[InputRecord] = []
        self.memo: Memo

    def open(self, memo: bytes, fingerprint: bytes) -> None:
        view = UnitView(self._store)
        self._settle(view, self._stage.open(view, 0, memo, fingerprint, self._now_us, self._offset).memo)
        list(self._stage.render(UnitView(self._store), (), 1, self._now_us))  # a version is known from now on

    def tell(self, records: Iterable[tuple[bytes | None, bytes]]) -> None:
        for key, value in records:
            topic = self._stage.input_topic
            self._held.append(InputRecord(topic, 0, self._offset, self._now_us, key, value))
            self._offset += 1
        while self._held:
            view = UnitView(self._store)
            settled = self._stage.work(view, self._held, self._now_us)
            self._settle(view, settled.memo)
            if not settled.consumed:
                return
            self._held = self._held[settled.consumed :]

    def work_off(self) -> None:
        """Until the new mapping has said everything to itself."""
        more = True
        while more:
            view = UnitView(self._store)
            settled = self._stage.tick(view, self._now_us)
            self._settle(view, settled.memo)
            more = settled.more and (self.memo.silent or self.memo.preparing is not None)

    def read(self, mapping: CompiledMapping, table: str, chunks: Iterable[list[bytes]]) -> None:
        """A table as an incremental snapshot brings it."""
        schema, _, short = table.partition(".")
        source = {"connector": mapping.source.kind, "name": mapping.source.name, "schema": schema, "table": short}
        head = _encode({"op": "r", "source": {**source, "snapshot": "incremental"}})[:-1]
        self.tell([_notification("STARTED", data_collections=table)])
        rows = 0
        for chunk in chunks:
            self.tell((_key(mapping.tables[table].key, after), head + b',"after":' + after + b"}") for after in chunk)
            rows += len(chunk)
        done = {"scanned_collection": table, "total_rows_scanned": str(rows), "status": "SUCCEEDED"}
        self.tell([_notification("TABLE_SCAN_COMPLETED", **done), _notification("COMPLETED")])

    def _settle(self, view: UnitView, memo: bytes) -> None:
        self._store.settle(view.changes, Standing())
        self.memo = load_memo(memo)


def _key(columns: Sequence[str], after: bytes) -> bytes:
    values = msgspec.json.decode(after, type=dict[str, msgspec.Raw])
    return _encode({column: values[column] for column in columns})


def _notification(kind: str, **data: str) -> tuple[bytes, bytes]:
    document = {"id": SIGNAL, "type": kind, "aggregate_type": "Incremental Snapshot", "additional_data": data}
    return _encode({"id": SIGNAL}), _encode(document)


def _no_output(topic: str, record: Any) -> bytes:
    return b""


@contextmanager
def _rows(
    mapping: CompiledMapping, at: Callable[[], Target], tables: Sequence[str]
) -> Iterator[Mapping[str, Iterable[list[bytes]]]]:
    if not tables:
        yield {}
        return
    with live_rows(mapping, at()) as live:
        yield {table: live.chunks(table) for table in tables}


def said(store: PartitionStore) -> Said:
    """Everything that a state says, as far as it can be published."""
    balances: dict[BalanceKey, Decimal] = {}
    for key, value in store.scan(b"s"):
        sku, balance = split_sku(key[1:])
        what = balance_name(balance)
        due = what.due.isoformat() if what.due else None
        name = BalanceKey(what.view, sku.decode(), what.location, what.bucket.value, due, what.reference)
        balances[name] = decode_sum(value).quantity
    open_ones: dict[str, str] = {}
    view = UnitView(store)
    for key, _ in store.scan(b"x"):
        identity = key[1:].decode()
        record = load_exception(view, identity)
        if record is not None and record.status is ExceptionStatus.OPEN:
            open_ones[identity] = record.detail or ""
    items, orders = dict(store.scan(b"i")), dict(store.scan(b"o"))
    return Said(balances, items, orders, open_ones)


def compare_said(report: Shadow, before: Said, after: Said, ownership: Ownership | None) -> None:
    """Fill the report in."""
    keys = sorted(before.balances.keys() | after.balances.keys(), key=lambda key: tuple(part or "" for part in key))
    found = [Change(key, before.balances.get(key), after.balances.get(key)) for key in keys]
    report.balances = sorted((one for one in found if one.before != one.after), key=lambda one: -abs(one.by))
    report.items, report.orders = _names(before.items, after.items), _names(before.orders, after.orders)
    for identity in sorted(after.exceptions.keys() - before.exceptions.keys()):
        _, _, code, subject = identity.split("/", 3)
        if not code.startswith("mapping-"):
            report.exceptions.setdefault(code, []).append(f"{subject}: {after.exceptions[identity]}")
    for identity in before.exceptions.keys() - after.exceptions.keys():
        code = identity.split("/", 3)[2]
        if not code.startswith("mapping-"):
            report.closed[code] = report.closed.get(code, 0) + 1
    skus = {one.key.sku for one in report.balances}
    now, then = (availability(report.source, said.balances, skus, ownership) for said in (before, after))
    moved = [Effect(sku, now.get(sku, ZERO), then.get(sku, ZERO)) for sku in sorted(skus)]
    report.effects = sorted((e for e in moved if e.before != e.after), key=lambda e: e.after - e.before)


def availability(
    source: str, balances: Mapping[BalanceKey, Decimal], skus: set[str], ownership: Ownership | None
) -> dict[str, Decimal]:
    """By sku: on hand less hold, buffer, open demand and reservations, of what the source owns; inbound left out."""
    out: dict[str, Decimal] = {}
    claims: dict[tuple[str, str], Decimal] = {}
    for key, quantity in balances.items():
        if key.sku not in skus or not _owns(source, key, ownership):
            continue
        if key.bucket == Bucket.ON_HAND:
            out[key.sku] = out.get(key.sku, ZERO) + quantity
        elif key.bucket in (Bucket.ON_HOLD, Bucket.SAFETY_STOCK, Bucket.RESERVED) or (
            key.bucket == Bucket.DEMAND and key.reference is None
        ):
            out[key.sku] = out.get(key.sku, ZERO) - quantity
        elif key.bucket in (Bucket.DEMAND, Bucket.FULFILLED) and key.reference is not None:
            sign = 1 if key.bucket == Bucket.DEMAND else -1
            claim = (key.sku, key.reference)
            claims[claim] = claims.get(claim, ZERO) + sign * quantity
    for (sku, _), left in claims.items():
        out[sku] = out.get(sku, ZERO) - max(ZERO, left)
    return out


def _owns(source: str, key: BalanceKey, ownership: Ownership | None) -> bool:
    buckets = [bucket for bucket in Bucket if bucket.value == key.bucket]
    if ownership is None or not buckets:
        return not key.view and bool(buckets)
    return any(
        owner.source == source and owner.view == key.view for owner in ownership.owners(buckets[0], key.location)
    )


def _names(before: Mapping[bytes, bytes], after: Mapping[bytes, bytes]) -> list[str]:
    """What the keys that differ name."""
    keys = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return sorted({key[1 : key.index(b"\0")].decode() for key in keys})
