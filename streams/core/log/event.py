"""One record of a source log, told apart by what it is and decoded no further than needed.

All kinds stand in one topic, so one decoder reads them: a struct with every kind's fields, and the kind follows from
which are there.  Columns stay bytes (`after`); the table's own decoder reads just the ones the mapping needs.  Of a
delete only the key is believed: with PostgreSQL's default replica identity `before` is made up.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from schemas.errors import PoisonRecord
from streams.core.log.control import CONTROL_KEY, Control, decode_control
from streams.core.log.position import Position, binlog_position, postgres_position
from streams.core.unit import InputRecord

POISON_RECORD = "poison-record"


class Kind(IntEnum):
    """What a record is."""

    ROW = 1
    """A row change or a snapshot row: op c, u, d, r; or t, TRUNCATE of a table."""
    BEGIN = 2
    END = 3
    HEARTBEAT = 4
    NOTIFICATION = 5
    DDL = 6
    """A schema change (MariaDB, MySQL)."""
    CONTROL = 7
    POISON = 8
    NOTHING = 9
    """Tombstones and logical messages: nothing to us."""


ROW, BEGIN, END = Kind.ROW, Kind.BEGIN, Kind.END
"""The kinds asked for with every record: a member looked up in its class costs ten times a name."""


class Notification(msgspec.Struct, frozen=True):
    """A snapshot notification of Debezium."""

    aggregate: str
    """`Initial Snapshot` or `Incremental Snapshot`."""
    type: str
    """STARTED, IN_PROGRESS, TABLE_SCAN_COMPLETED, COMPLETED, ABORTED, SKIPPED …"""
    collection: str | None
    """Scanned table, for TABLE_SCAN_COMPLETED."""
    status: str | None
    """SUCCEEDED or why not, for TABLE_SCAN_COMPLETED."""
    rows: int | None
    """Rows scanned, for TABLE_SCAN_COMPLETED."""
    id: str = ""
    """Of an incremental snapshot: the signal that asked for it."""
    collections: tuple[str, ...] = ()
    """Tables it is about, where it says."""


class Event(msgspec.Struct, gc=False):
    """One record, decoded."""

    kind: Kind
    offset: int
    key: bytes | None = None
    """The record's key as it came."""
    size: int = 0
    """Bytes of the record's value."""
    op: str = ""
    table: str = ""
    """`schema.table` (PostgreSQL) or `database.table` (MariaDB)."""
    after: bytes = b""
    """JSON of the row after the change; empty for d and t."""
    position: Position | None = None
    """None: this source gives none we know; such a row is never taken for a resend."""
    transaction: str | None = None
    """Id of the transaction, the part before the colon; None outside one."""
    commit_lsn: int | None = None
    """PostgreSQL: the commit's LSN, at END."""
    snapshot: bool = False
    """A row of an initial snapshot."""
    incremental: bool = False
    """A row of an incremental snapshot; like `snapshot` its time is a reading time, no commit."""
    space: str = ""
    """Server and log family the position belongs to."""
    committed_us: int | None = None
    """Commit time at the source clock's precision; for snapshot rows the time of reading."""
    captured_us: int | None = None
    binlog: bool = False
    """The position is a binlog's: DDL commits by itself and has no END."""
    notification: Notification | None = None
    control: Control | None = None
    written_us: int = 0
    """CONTROL: when it was written into the log."""
    error: PoisonRecord | None = None
    record: InputRecord | None = None
    """The raw record, for POISON and for rows that may have to wait."""


class _Source(msgspec.Struct, gc=False):
    connector: str = ""
    name: str = ""
    snapshot: str | bool | None = None
    db: str | None = None
    schema: str | None = None
    table: str | None = None
    sequence: str | None = None
    ts_us: int | None = None
    ts_ms: int | None = None
    server_id: int | None = None
    gtid: str | None = None
    file: str | None = None
    pos: int | None = None
    row: int | None = None


class _Transaction(msgspec.Struct, gc=False):
    id: str


class _Envelope(msgspec.Struct, gc=False):
    op: str | None = None
    after: msgspec.Raw = msgspec.Raw(b"null")
    source: _Source | None = None
    transaction: _Transaction | None = None
    ts_us: int | None = None
    ts_ms: int | None = None
    status: str | None = None
    id: str | None = None
    type: str | None = None
    aggregate_type: str | None = None
    additional_data: dict[str, Any] | None = None
    ddl: str | None = None


_decoder = msgspec.json.Decoder(_Envelope)
_NULL = b"null"
_ROW_OPS = frozenset("curdt")


def decode_event(record: InputRecord) -> Event:
    """Never raises: what cannot be read is an event of kind POISON that says why."""
    value = record.value
    if value is None:
        return Event(Kind.NOTHING, record.offset)
    try:
        if record.key == CONTROL_KEY:
            control = decode_control(value)
            return Event(Kind.CONTROL, record.offset, control=control, written_us=record.timestamp_us)
        envelope = _decoder.decode(value)
        if envelope.op is not None:
            return _row(record, envelope, envelope.op)
        return _other(record, envelope)
    except PoisonRecord as error:
        return _poison(record, error)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        return _poison(record, PoisonRecord(POISON_RECORD, f"not a record of Debezium: {error}"))


def _poison(record: InputRecord, error: PoisonRecord) -> Event:
    return Event(Kind.POISON, record.offset, record.key, error=error, record=record)


def _row(record: InputRecord, envelope: _Envelope, op: str) -> Event:
    if op == "m":
        return Event(Kind.NOTHING, record.offset)
    source = envelope.source
    if op not in _ROW_OPS or source is None or source.table is None:
        raise PoisonRecord(POISON_RECORD, f"row change with op {op!r} and no table we can read")
    after = bytes(envelope.after)
    removes = op in "dt"
    if not removes and after == _NULL:
        raise PoisonRecord(POISON_RECORD, f"row change of {source.table} with op {op!r} has no `after`")
    if op != "t" and record.key is None:
        raise PoisonRecord(POISON_RECORD, f"row change of {source.table} has no key: give the table a primary key")
    phase = source.snapshot
    incremental = phase == "incremental"
    snapshot = not (incremental or phase is None or phase in ("false", False))
    position: Position | None = None
    space, binlog = "", False
    if source.sequence is not None and source.file is None:
        position = postgres_position(source.sequence)
        space = source.name
    elif source.file is not None and source.pos is not None:
        position = binlog_position(source.file, source.pos, source.row)
        binlog = True
        if source.gtid is not None:
            space = f"{source.name}/{source.gtid[: source.gtid.rindex('-')]}"
    return Event(
        ROW,
        record.offset,
        record.key,
        len(value) if (value := record.value) is not None else 0,
        op,
        f"{source.schema if source.schema is not None else source.db}.{source.table}",
        b"" if removes else after,
        position,
        None if envelope.transaction is None else envelope.transaction.id.partition(":")[0],
        None,
        snapshot,
        incremental,
        space,
        source.ts_us if source.ts_us is not None else None if source.ts_ms is None else source.ts_ms * 1000,
        envelope.ts_us if envelope.ts_us is not None else None if envelope.ts_ms is None else envelope.ts_ms * 1000,
        binlog,
        record=record,
    )


def _other(record: InputRecord, envelope: _Envelope) -> Event:
    offset = record.offset
    if envelope.status in ("BEGIN", "END") and envelope.id is not None:
        transaction, _, lsn = envelope.id.partition(":")
        kind = BEGIN if envelope.status == "BEGIN" else END
        return Event(kind, offset, transaction=transaction, commit_lsn=int(lsn) if lsn.isdigit() else None)
    if envelope.aggregate_type is not None and envelope.type is not None:
        return Event(Kind.NOTIFICATION, offset, notification=_notification(envelope))
    if envelope.ddl is not None:
        return Event(Kind.DDL, offset, binlog=envelope.source is not None and envelope.source.file is not None)
    if envelope.ts_ms is not None and record.key is not None and b'"serverName"' in record.key:
        return Event(Kind.HEARTBEAT, offset, committed_us=envelope.ts_ms * 1000)
    raise PoisonRecord(POISON_RECORD, "no row change, transaction mark, heartbeat, notification or control record")


def _notification(envelope: _Envelope) -> Notification:
    data = envelope.additional_data or {}
    rows = data.get("total_rows_scanned")
    return Notification(
        envelope.aggregate_type or "",
        envelope.type or "",
        data.get("scanned_collection"),
        data.get("status"),
        None if rows is None else int(rows),
        envelope.id or "",
        tuple(each.strip() for each in str(data.get("data_collections") or "").split(",") if each.strip()),
    )
