"""Columns that the mapping in force never needed, collected while it goes on serving.

A mapping that needs them counts only when every row has them.  Until then each row of the tables concerned is stored a
second time as the mapping to come will have it (`v <fingerprint> <row reference>`: generation and row), from the stream
and from the snapshot that reads those tables again.  At the switch these become the rows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from streams.core.lane.keys import ZERO, row_reference
from streams.core.lane.state import Memo, Preparing, TableState
from streams.core.log.event import Event
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import Mapping, RowError
from streams.core.unit import View

TEXT = b"an"
"""Text of the mapping to come."""
KIND = b"v"
_TAG = 4

_encode = msgspec.msgpack.Encoder().encode
decode_ahead = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
"""A value of kind `v`: (generation, row)."""
_decode_any = msgspec.msgpack.Decoder().decode


def ahead_key(fingerprint: bytes, reference: bytes) -> bytes:
    """State key of a row as the mapping of this fingerprint will have it."""
    return KIND + fingerprint[:_TAG] + reference


def split_ahead(key: bytes) -> tuple[bytes, bytes]:
    """Inverse of `ahead_key`: (beginning of the fingerprint, row reference)."""
    return key[1 : 1 + _TAG], key[1 + _TAG :]


def take_ahead(state: View, fingerprint: bytes, reference: bytes) -> tuple[int, bytes] | None:
    """(generation, row) and forget them; None: the row never came."""
    key = ahead_key(fingerprint, reference)
    stored = state.get(key)
    if stored is None:
        return None
    state.put(key, None)
    return decode_ahead(stored)


def needs_reading(mapping: Mapping, memo: Memo) -> list[str]:
    """Tables of which the store does not have all that this mapping needs."""
    return sorted(name for name in mapping.tables if not _has(memo, mapping, name))


def _has(memo: Memo, mapping: Mapping, name: str) -> bool:
    """Every stored row of the table has the columns that this mapping needs, as what it takes them for."""
    table, absent, columns = memo.tables.get(name), memo.absent.get(name), mapping.tables[name].columns
    if table is None or (absent is not None and set(columns) & set(absent.columns)):
        return False
    known, needed = dict(zip(table.columns, table.kinds, strict=False)), kinds_of(mapping, name)
    kept = all(known.get(column, kind) == kind for column, kind in zip(columns, needed, strict=False))
    return kept and set(columns) <= set(table.columns)


def kinds_of(mapping: Mapping, name: str) -> tuple[str, ...]:
    """What the values of a table's columns are to a mapping; empty: it does not tell."""
    if not isinstance(mapping, CompiledMapping):
        return ()
    known = mapping.catalogue.tables[name.rpartition(".")[2]].columns
    return tuple(known[column].kind.value for column in mapping.tables[name].columns)


def projected(row: bytes, stored: tuple[str, ...], columns: tuple[str, ...]) -> bytes | None:
    """A row stored under some columns as it is stored under fewer; None: it lacks one."""
    values: Any = _decode_any(row)
    if not isinstance(values, dict):
        values = dict(zip(stored, values, strict=True))
    if not set(columns) <= values.keys():
        return None
    return _encode(tuple(values[column] for column in columns))


class Preparation:
    """What is stored ahead for one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping

    def note(self, state: View, memo: Memo, event: Event) -> None:
        """A change of any table."""
        waits = memo.preparing
        table = self.mapping.tables.get(event.table)
        if waits is None or table is None or event.table not in waits.tables:
            return
        known = memo.tables[event.table]
        if event.op == "t":
            if not known.columns:  # nobody else counts its generations
                known.generation += 1
                known.dead_below = known.generation
            return
        fingerprint, prefix = self.mapping.fingerprint, event.table.encode() + ZERO
        try:
            if event.op == "d":
                reference = row_reference(prefix, table.decode_key(event.key or b""))
                state.put(ahead_key(fingerprint, reference), None)
                return
            row = table.decode(event.after)
            key = ahead_key(fingerprint, row_reference(prefix, table.key_of(row)))
        except RowError:
            return  # at the switch a row of which nothing is stored ahead is an exception
        earlier = state.get(key)
        try:
            whole = not table.absent(row)
            if whole:
                row = table.merged(row, None if earlier is None else table.load(decode_ahead(earlier)[1]))
        except RowError:
            whole = False
        state.put(key, _encode((known.generation, table.dump(row))) if whole else None)


def begin(memo: Memo, tables: Collection[str], fingerprint: bytes, offset: int) -> None:
    """These tables are to be read before the mapping of this fingerprint counts."""
    for name in tables:
        memo.tables.setdefault(name, TableState(()))
        memo.reading.pop(name, None)
    memo.preparing = Preparing(fingerprint, tuple(sorted(tables)), tuple(sorted(tables)), offset)
