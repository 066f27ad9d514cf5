"""When a row was changed last, by which transaction and at which source position: read from the source log.

The log is read backwards in strides, until every row has been seen or a limit is reached: it is kept for a week, and
what is older is only known to be older.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from schemas.errors import EnvironmentFault
from streams.agents.runtime.log_reader import LogReader
from streams.core.lane.keys import ZERO, reference_table, row_reference
from streams.core.log.event import Event, Kind, decode_event
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import RowError
from streams.core.unit import InputRecord

STRIDE = 50_000
"""Records read at a time."""
_OPERATIONS = {"c": "inserted", "u": "updated", "d": "deleted", "r": "read by a snapshot", "t": "truncated"}


class Change(NamedTuple):
    """The newest record about a row."""

    what: str
    committed_us: int | None
    """By the source's clock; of a snapshot the instant of reading."""
    position: str
    transaction: str | None
    offset: int
    """In the source log."""


def last_changes(
    log: LogReader, topic: str, mapping: CompiledMapping, rows: Collection[bytes], limit: int
) -> dict[bytes, Change]:
    """Row reference → its newest change, as far as the log's last `limit` records know it.  Raises EnvironmentFault."""
    left = set(rows)
    tables = {reference_table(reference) for reference in left}
    found: dict[bytes, Change] = {}
    try:
        low, end = log.bounds(topic, 0)
    except EnvironmentFault:
        raise EnvironmentFault(f"{topic} cannot be read; is the source applied? `onhand source status`") from None
    stop = max(low, end - limit)
    while left and end > stop:
        start = max(stop, end - STRIDE)
        seen: dict[bytes, Change] = {}
        for record in log.read(topic, 0, start, end):
            event = decode_event(InputRecord(topic, 0, record.offset, 0, record.key, record.value))
            if event.kind is not Kind.ROW or event.table not in tables or event.key is None:
                continue
            try:
                at = row_reference(event.table.encode() + ZERO, mapping.tables[event.table].decode_key(event.key))
            except RowError:
                continue
            if at in left:
                seen[at] = _change(event)
        found |= seen
        left -= seen.keys()
        end = start
    return found


def _change(event: Event) -> Change:
    position = ""
    if event.position is not None:
        major, minor, row = event.position
        position = f"binlog:{major:06d}:{minor} row {row}" if event.binlog else f"lsn:{minor}"
    what = _OPERATIONS.get(event.op, event.op)
    return Change(what, event.committed_us, position, event.transaction, event.offset)
