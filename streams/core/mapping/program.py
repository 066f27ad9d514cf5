"""What all SELECTs of a mapping share, the tables of one, and their columns as generated code sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.core.mapping.catalogue import Catalogue, Column, Kind, Table
from streams.core.mapping.expressions import Names, Value
from streams.core.mapping.expressions.value import Size
from streams.core.mapping.join_keys import Declared
from streams.core.mapping.model import Lookup


class Blank:
    """The row of a LEFT JOIN that found none: every column is NULL."""

    def __getattr__(self, name: str) -> None:
        return None


BLANK = Blank()
NOT_FOUND = (BLANK,)
"""The rows of a LEFT JOIN that found none."""


@dataclass
class Program:
    """What all SELECTs of a mapping share and add to."""

    catalogue: Catalogue
    declared: Declared = field(default_factory=Declared)
    names: Names = field(default_factory=Names)
    lookups: list[Lookup] = field(default_factory=list)
    needed: dict[str, set[str]] = field(default_factory=dict)
    """Table (unqualified) → columns."""
    functions: list[str] = field(default_factory=list)
    """Text of view_<i>(l) and chain_<n>(l)."""
    chains: dict[tuple[str, int, str], str] = field(default_factory=dict)
    """(holder table, lookup, text) → name of the chain function."""

    def __post_init__(self) -> None:
        self.names.values |= {"BLANK": BLANK, "NOT_FOUND": NOT_FOUND}

    def need(self, table: Table, column: str) -> None:
        self.needed.setdefault(short(table), set()).add(column)


def short(table: Table) -> str:
    """Its name without the schema."""
    return table.name.rpartition(".")[2]


@dataclass
class Source:
    """A table of the FROM clause."""

    alias: str
    table: Table
    variable: str
    optional: bool
    prefix: str
    used: dict[str, str] = field(default_factory=dict)
    """Column → local variable."""


def value_of(source: Source, column: Column, mysql_family: bool = False) -> Value:
    """What a column is to an expression; its code is still to be named."""
    scale = column.scale if column.kind == Kind.EXACT else 0 if column.kind == Kind.INT else None
    return Value(
        "",
        column.kind,
        column.nullable or source.optional,
        True,
        scale=scale,
        collation=column.collation if column.kind == Kind.TEXT else None,
        padded=column.padded,
        single=column.single,
        size=None if column.digits is None or scale is None else Size(column.digits, scale),
        bit=column.type == "bit" and mysql_family,
        labels=column.values,
    )


def load(source: Source, column: Column) -> str:
    """The column as the compiled code sees it, from the row as Debezium sent it."""
    text = f"{source.variable}.{source.table.fields[column.name]}"
    form = None
    if column.kind == Kind.DATE:
        form = "both.date({})"
    elif column.kind in (Kind.STAMP, Kind.INSTANT):
        form = "both.stamp({})"
    elif column.padded:
        form = "{}.rstrip(' ')"
    elif column.unsigned and column.type == "bigint":
        form = "both.unsigned({})"
    elif column.type == "bit":
        form = "int({})"
    elif column.type == "uniqueidentifier":
        form = "{}.lower()"
    if form is None:
        return text
    if column.nullable or source.optional:
        return f"{form.format('_v')} if (_v := {text}) is not None else None"
    return form.format(text)


def key_lines(key: str, parts: list[Value]) -> list[str]:
    """Statements that set `key` to the tuple of the parts, or None when one of them is NULL."""
    names = [f"{key}_{n}" for n in range(len(parts))]
    tests = [f"{name} is None" for name, part in zip(names, parts, strict=True) if part.nullable]
    if not tests:
        return [f"{key} = ({''.join(part.code + ',' for part in parts)})"]
    made = f"({', '.join(names)},)"
    lines = [f"{name} = {part.code}" for name, part in zip(names, parts, strict=True)]
    return [*lines, f"{key} = None if {' or '.join(tests)} else {made}"]
