"""catalog.json: what a source database says of its tables, as far as a mapping depends on it.

Written by `onhand source inspect`, kept beside the mapping, part of its fingerprint.
Debezium's events are not enough: they know no collation, no CHAR(n), no unique keys, no scale.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cached_property
from keyword import iskeyword
from typing import Any

import msgspec

from schemas.errors import InvalidInput

FILE = "catalog.json"
SESSION_COLLATION = "utf8mb4_general_ci"
"""MariaDB: `collation_connection` of the audit's session; a CAST to CHAR takes it."""


class Kind(StrEnum):
    """What a value is to the compiler; there is no implicit conversion but int → exact."""

    INT = "int"
    EXACT = "exact number"
    FLOAT = "float"
    TEXT = "text"
    DATE = "date"
    STAMP = "time stamp"
    INSTANT = "instant"
    """A time stamp with a zone: Debezium sends it in UTC."""
    BOOL = "condition"
    ENUM = "enum"
    """A type of its own (PostgreSQL): equal to its labels, text only by a CAST."""
    UUID = "uuid"
    OTHER = "unsupported type"
    NULL = "NULL"


_TYPES: dict[Kind, tuple[str, ...]] = {
    Kind.INT: ("smallint", "integer", "int", "bigint", "tinyint", "mediumint", "year", "bit"),
    Kind.EXACT: ("numeric", "decimal", "money", "smallmoney", "NUMBER"),
    Kind.FLOAT: ("double precision", "double", "float", "real"),
    Kind.TEXT: (
        "character varying", "character", "varchar", "char", "text", "tinytext", "mediumtext", "longtext", "enum",
        "nvarchar", "nchar", "VARCHAR2", "NVARCHAR2", "CHAR", "NCHAR",
    ),
    Kind.DATE: ("date",),
    Kind.STAMP: ("timestamp without time zone", "datetime", "datetime2", "smalldatetime", "DATE", "TIMESTAMP"),
    Kind.INSTANT: ("timestamp with time zone", "timestamp", "datetimeoffset", "TIMESTAMP WITH TIME ZONE"),
    Kind.BOOL: ("boolean",),
    Kind.UUID: ("uuid", "uniqueidentifier"),
}  # fmt: skip
"""Oracle's own names are in upper case, as its catalogue has them: its DATE has a time of day.  SQL Server's
`timestamp` is no time stamp: its catalogue says `rowversion` here."""
KIND_OF = {name: kind for kind, names in _TYPES.items() for name in names}
_PADDED = ("char", "character", "nchar", "CHAR", "NCHAR")
_INTEGER_DIGITS = {"bit": 1, "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_LONG_DIGITS = 18
"""Oracle: whole numbers of up to so many digits come as integers, longer ones as text."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column, in the words of information_schema."""

    name: str
    type: str
    nullable: bool = True
    scale: int | None = None
    """Declared scale of an exact number; None: not declared."""
    collation: str | None = None
    """None: equality goes by code point (every deterministic collation of PostgreSQL)."""
    length: int | None = None
    unsigned: bool = False
    values: tuple[str, ...] = ()
    """Of an enum, in the order of its declaration, which is the order the database compares by."""
    precision: int | None = None
    """Digits of an exact number, where what is computed from it depends on them (SQL Server) or how it is sent
    (Oracle); bits of a BIT (MariaDB)."""

    @property
    def kind(self) -> Kind:
        if self.type == "enum" and self.collation is None:
            return Kind.ENUM
        if self.type == "bit" and ((self.precision or 1) > 1 or self.length is not None):
            return Kind.OTHER  # several bits, or PostgreSQL's text of bits
        if self.type == "NUMBER" and self.scale == 0 and (self.precision or 99) <= _LONG_DIGITS:
            return Kind.INT
        return KIND_OF.get(self.type, Kind.OTHER)

    @property
    def digits(self) -> int | None:
        """Precision of a number's type."""
        return self.precision if self.kind == Kind.EXACT else _INTEGER_DIGITS.get(self.type)

    @property
    def padded(self) -> bool:
        """CHAR(n): trailing blanks carry no meaning."""
        return self.type in _PADDED

    @property
    def single(self) -> bool:
        """A float of four bytes."""
        return self.type in ("real", "float")


class PartialKey(msgspec.Struct, frozen=True, kw_only=True):
    """A unique index that holds only for some rows: `UNIQUE (code) WHERE deleted_at IS NULL`."""

    columns: tuple[str, ...]
    where: str
    """The condition, as the database writes it."""


class Table(msgspec.Struct, kw_only=True, dict=True, omit_defaults=True):
    """One table; `name` is qualified: `schema.table` or `database.table`."""

    name: str
    columns: dict[str, Column]
    """By name, in the order of the database."""
    primary: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    """Unique keys over plain columns without a predicate, the primary key among them."""
    partial: tuple[PartialKey, ...] = ()
    """PostgreSQL: unique keys over plain columns under a condition."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Other indexes without a predicate: the plain columns they begin with."""

    @cached_property
    def fields(self) -> dict[str, str]:
        """Column → Python identifier, each once."""
        out: dict[str, str] = {}
        taken: set[str] = set()
        for n, column in enumerate(self.columns):
            text = "".join(c if c.isascii() and c.isalnum() else "_" for c in column)
            if not text.isidentifier() or iskeyword(text) or text.startswith("_"):
                text = "c_" + text
            if text in taken:
                text = f"{text}_{n}"
            taken.add(text)
            out[column] = text
        return out


def without_key(table: str) -> str:
    """What to do about a table, by its qualified name, whose rows have no identity."""
    return f"{table} has no primary key, so nothing tells its rows apart: ALTER TABLE {table} ADD PRIMARY KEY (…)"


class Catalogue(msgspec.Struct, kw_only=True):
    """All tables of one source's schema that its mapping names, and how its collations compare."""

    kind: str
    """postgres | mariadb | mysql | sqlserver | oracle"""
    schema: str
    tables: dict[str, Table]
    """By unqualified name."""
    folds: dict[str, dict[int, str]] = msgspec.field(default_factory=dict)
    """MariaDB: collation → code point → the text it equals, as the server's WEIGHT_STRING says.  Entry 65536 stands
    for every character beyond the basic plane."""

    def dump(self) -> str:
        """Stable text: tables and columns in one line each, fold tables in one line a collation."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        lines = ["{", f' "kind": {json.dumps(self.kind)},', f' "schema": {json.dumps(self.schema)},', ' "tables": {']
        names = sorted(self.tables)
        for n, name in enumerate(names):
            table = document["tables"][name]
            columns = ",\n".join(f"    {_line(c)}: {_line(v)}" for c, v in table["columns"].items())
            keys = f'"primary": {_line(table.get("primary", ()))}, "unique": {_line(table.get("unique", ()))}'
            if "partial" in table:
                keys += f', "partial": {_line(table["partial"])}'
            if "indexes" in table:
                keys += f', "indexes": {_line(table["indexes"])}'
            lines.append(f'  {_line(name)}: {{"name": {_line(table["name"])}, {keys}, "columns": {{')
            lines.append(f"{columns}}}}}{',' if n + 1 < len(names) else ''}")
        lines.append(" },")
        folds = [f"  {_line(c)}: {_line(self._sorted_fold(c))}" for c in sorted(self.folds)]
        lines += [' "folds": {', ",\n".join(folds), " }", "}"] if folds else [' "folds": {}', "}"]
        return "\n".join(lines) + "\n"

    def _sorted_fold(self, collation: str) -> dict[str, str]:
        return {str(code): text for code, text in sorted(self.folds[collation].items())}

    @classmethod
    def load(cls, text: str | bytes, file: str = FILE) -> Catalogue:
        """Raises InvalidInput."""
        try:
            return msgspec.json.decode(text, type=cls, strict=False)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise InvalidInput(f"{file}: {error}; write it again with `onhand source inspect`") from None


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


def _said(table: Table) -> str:
    return "; ".join(sorted(f"({', '.join(key.columns)}) WHERE {key.where}" for key in table.partial)) or "none"


def drift(before: Catalogue, now: Catalogue) -> list[str]:
    """What differs between two catalogues, a line each, for people.

    What `before` could not say, because an earlier release wrote it, is no difference: the values of an enum, keys
    that hold under a condition.
    """
    found = []
    if (before.kind, before.schema) != (now.kind, now.schema):
        found.append(f"{before.kind} {before.schema} became {now.kind} {now.schema}")
    for name in sorted(before.tables.keys() | now.tables.keys()):
        old, new = before.tables.get(name), now.tables.get(name)
        if old is None or new is None:
            found.append(f"table {name} {'is new' if old is None else 'is gone'}")
            continue
        for column in sorted(old.columns.keys() | new.columns.keys()):
            a, b = old.columns.get(column), new.columns.get(column)
            if a is None or b is None:
                found.append(f"column {name}.{column} {'is new' if a is None else 'is gone'}")
                continue
            known = msgspec.structs.replace(b, values=b.values if a.values else ())
            changed = [
                f"{f} {getattr(a, f)!r} → {getattr(known, f)!r}"
                for f in a.__struct_fields__
                if getattr(a, f) != getattr(known, f)
            ]
            if changed:
                found.append(f"column {name}.{column}: {', '.join(changed)}")
        if old.primary != new.primary:
            found.append(f"table {name}: primary key {old.primary} → {new.primary}")
        if set(old.unique) != set(new.unique):
            found.append(f"table {name}: unique keys {sorted(old.unique)} → {sorted(new.unique)}")
        if set(old.partial) - set(new.partial):
            found.append(f"table {name}: conditional keys {_said(old)} → {_said(new)}")
    for collation in sorted(before.folds.keys() | now.folds.keys()):
        if before.folds.get(collation) != now.folds.get(collation):
            found.append(f"collation {collation} compares differently")
    return found
