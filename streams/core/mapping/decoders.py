"""Rows of one table: from Debezium's JSON to a struct of just the needed columns, to the row store and back.

A struct's values are what was sent (a date keeps its Z, a CHAR its blanks); the compiled SQL converts what it uses.
An absent column is UNSET, never None.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from streams.core.mapping import semantics
from streams.core.mapping.catalogue import Column, Kind, Table
from streams.core.mapping.model import RowError

UNAVAILABLE = "__debezium_unavailable_value"
"""What Debezium sends for an unchanged TOAST value (PostgreSQL)."""
_PYTHON: dict[Kind, Any] = {Kind.INT: int, Kind.EXACT: Decimal, Kind.FLOAT: float, Kind.BOOL: bool, Kind.OTHER: Any}
_NAN = b'"NAN"'
_MAP_MARKS = (*range(0x80, 0x90), 0xDE, 0xDF)
"""First bytes of a msgpack map: a row stored with absent columns."""


class RowCodec:
    """Decoding, storing and merging of one table's rows."""

    def __init__(self, table: Table, needed: set[str], kind: str) -> None:
        self.columns = tuple(sorted(needed | set(table.primary)))
        self.key = table.primary
        used = [table.columns[name] for name in self.columns]
        types = [_type_of(column) for column in used]
        fields = [table.fields[name] for name in self.columns]
        self.row: type[msgspec.Struct] = msgspec.defstruct(
            "Row_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in table.name),
            [(name, type_ | msgspec.UnsetType, msgspec.UNSET) for name, type_ in zip(fields, types, strict=True)],
            rename=dict(zip(fields, self.columns, strict=True)),
            gc=False,
            frozen=True,
        )
        self._whole: type[msgspec.Struct] = msgspec.defstruct(
            self.row.__name__,
            list(zip(fields, types, strict=True)),
            rename=dict(zip(fields, self.columns, strict=True)),
            gc=False,
            frozen=True,
        )
        """A row of which no column is absent, as nearly all are: reading it has told, and nothing need be asked."""
        self._name = table.name
        self._decode = msgspec.json.Decoder(self._whole).decode
        self._decode_some = msgspec.json.Decoder(self.row).decode
        self._names = dict(zip(fields, self.columns, strict=True))
        self._exact = [f for f, column in zip(fields, used, strict=True) if column.kind == Kind.EXACT]
        self._encode = msgspec.msgpack.Encoder().encode
        self._load = msgspec.msgpack.Decoder(tuple[tuple(types)]).decode  # type: ignore[misc]
        self._load_map = msgspec.msgpack.Decoder(self.row).decode
        self._key_values = _values_of([table.fields[name] for name in self.key])
        self._key_decode = self._key_decoder(table)
        self._key_forms = [_key_form(table.columns[name]) for name in self.key]
        self._key_plain = not any(self._key_forms)
        placeholders = [f for f, column in zip(fields, used, strict=True) if column.kind in (Kind.TEXT, Kind.OTHER)]
        self._placeholders = placeholders if kind == "postgres" else []

    def _key_decoder(self, table: Table) -> Callable[[bytes], msgspec.Struct]:
        fields = [(table.fields[name], _type_of(table.columns[name])) for name in self.key]
        key: type[msgspec.Struct] = msgspec.defstruct(
            "Key", fields, rename={table.fields[name]: name for name in self.key}
        )
        return msgspec.json.Decoder(key).decode

    def decode(self, after: bytes) -> Any:
        """Raises RowError, naming the column."""
        row: Any
        try:
            row = self._decode(after)
        except msgspec.MsgspecError:
            try:
                row = self._decode_some(after)
            except msgspec.MsgspecError as error:
                raise semantics.unmappable(f"{self._name}: {_told(error, after)}") from None
        if _NAN in after:
            for name in self._exact:
                value = getattr(row, name)
                if isinstance(value, Decimal) and not value.is_finite():
                    raise semantics.unmappable(f"{self._name}: {self._names[name]} is {value}: no quantity can hold it")
        return row

    def decode_key(self, key: bytes) -> tuple[Any, ...]:
        """Raises RowError."""
        try:
            decoded = self._key_decode(key)
        except msgspec.MsgspecError as error:
            raise RowError("key-undecodable", f"{self._name}: record key: {error}") from None
        return self.key_of(decoded)

    def key_of(self, row: Any) -> tuple[Any, ...]:
        values: tuple[Any, ...] = self._key_values(row)
        if self._key_plain:
            return values
        return tuple([form(v) if form else v for v, form in zip(values, self._key_forms, strict=True)])

    def absent(self, row: Any) -> tuple[str, ...]:
        if type(row) is self._whole:
            return ()
        unset = msgspec.UNSET
        if unset not in msgspec.structs.astuple(row):
            return ()
        return tuple(column for field, column in self._names.items() if getattr(row, field) is unset)

    def merged(self, row: Any, previous: Any | None) -> Any:
        """Raises RowError `toast-without-previous`."""
        if not self._placeholders:
            return row
        lacking = [name for name in self._placeholders if getattr(row, name) == UNAVAILABLE]
        if not lacking:
            return row
        if previous is None:
            columns = ", ".join(self._names[name] for name in lacking)
            raise RowError(
                "toast-without-previous",
                f"{self._name}: {columns} came as unchanged, and no earlier value is known: take a new snapshot "
                "of the table, or set REPLICA IDENTITY FULL",
            )
        return msgspec.structs.replace(row, **{name: getattr(previous, name) for name in lacking})

    def dump(self, row: Any) -> bytes:
        try:
            return self._encode(msgspec.structs.astuple(row))
        except TypeError:  # UNSET stands in no tuple
            return self._encode(row)

    def load(self, stored: bytes) -> Any:
        if stored[0] in _MAP_MARKS:
            return self._load_map(stored)
        return self._whole(*self._load(stored))


def _told(error: Exception, after: bytes) -> str:
    """What the decoder says, with the column and the value it stumbled over."""
    reason, _, path = str(error).rpartition(" - at `$.")
    try:
        row = msgspec.json.decode(after)
    except msgspec.DecodeError:
        return str(error)
    column = path.rstrip("`")
    if not reason or not isinstance(row, dict) or column not in row:
        return str(error)
    if row[column] in _NOT_FINITE:
        return f"{column} is {row[column]}: no quantity can hold it"
    return f"{column} is {row[column]!r}: {reason}"


_NOT_FINITE = ("NaN", "Infinity", "-Infinity", "NAN", "POSITIVE_INFINITY", "NEGATIVE_INFINITY")
"""How a float or a numeric comes that is no number."""


def _values_of(fields: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of these fields of a struct."""
    get = attrgetter(*fields)
    if len(fields) > 1:
        return get
    return lambda row: (get(row),)


def _type_of(column: Column) -> Any:
    python = bool if column.type == "bit" else _PYTHON.get(column.kind, str)
    return python | None if column.nullable and python is not Any else python


def _key_form(column: Column) -> Callable[[Any], Any] | None:
    """Makes equal key values of snapshot, stream and key equal in Python."""
    if column.kind in (Kind.STAMP, Kind.INSTANT):
        return semantics.stamp
    if column.unsigned and column.type == "bigint":
        return semantics.unsigned
    return None
