"""Golden rows out of live ones: what a few rows and all they join say today, for `onhand source test`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from schemas.errors import InvalidInput
from streams.connect.live.closure import AT_MOST, Rows, Unfit, needed
from streams.connect.live.disguise import Disguise, disguise, evaluate
from streams.connect.live.lookups import LiveLookups
from streams.connect.live.rows import LiveRows
from streams.core.mapping.catalogue import Kind
from streams.core.mapping.examples import as_columns
from streams.core.mapping.mapping import CompiledMapping, CompiledTable
from streams.core.mapping.model import LookupKey, RowError


@dataclass(frozen=True)
class Choice:
    """Which rows to record."""

    table: str | None = None
    """Unqualified; None: every driving table."""
    keys: Sequence[str] = ()
    """Primary keys as people write them: `4711,1`."""
    where: str | None = None
    rows: int = 3
    """At most, of every table."""


@dataclass
class Recorded:
    """An example, and what was done to it."""

    document: dict[str, Any]
    disguise: Disguise
    left_out: list[str] = field(default_factory=list)
    """Chosen rows that no example can hold, and why."""

    def text(self) -> str:
        """The file: a row or an output in a line."""
        sections = []
        for name, groups in self.document.items():
            lines = []
            for group, rows in groups.items():
                each = ",\n".join(f"      {json.dumps(row, ensure_ascii=False)}" for row in rows)
                lines.append(f"    {json.dumps(group)}: [\n{each}\n    ]")
            sections.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
        return "{\n" + ",\n".join(sections) + "\n}\n"


def record(mapping: CompiledMapping, live: LiveRows, choice: Choice) -> Recorded:
    """Raises InvalidInput: no such rows, or none that an example can hold; EnvironmentFault."""
    lookups = LiveLookups(mapping, live)
    rows: Rows = {}
    left_out: list[str] = []
    chosen = 0
    for table in _driving(mapping, choice):
        for image in _images(mapping, live, table, choice):
            chosen += 1
            try:
                rows |= needed(mapping, lookups, table.name, table.decode(image))
            except (RowError, Unfit) as reason:
                left_out.append(str(reason))
            if len(rows) > AT_MOST:
                raise InvalidInput(f"these are more than {AT_MOST} rows with what they join: choose fewer")
    if not rows:
        reasons = "".join(f"\n{reason}" for reason in left_out)
        raise InvalidInput(f"{mapping.source.name}: no row to record among the {chosen} chosen{reasons}")
    tables: dict[str, list[dict[str, Any]]] = {}
    for (name, _), row in sorted(rows.items(), key=lambda each: (each[0][0], str(each[0][1]))):
        said = msgspec.json.decode(msgspec.json.encode(row), type=dict[str, Any])
        tables.setdefault(name, []).append({column: value for column, value in said.items() if value is not None})
    done = disguise(mapping, tables)
    expect: dict[str, list[dict[str, Any]]] = {}
    for output in evaluate(mapping, done.tables).outputs:
        file, columns = as_columns(output)
        expect.setdefault(file, []).append(columns)
    short = {name.rpartition(".")[2]: rows for name, rows in done.tables.items()}
    return Recorded({"rows": short, "expect": expect}, done, left_out)


def _driving(mapping: CompiledMapping, choice: Choice) -> list[CompiledTable]:
    every = {name.rpartition(".")[2]: table for name, table in mapping.tables.items() if table.drives}
    if choice.table is not None:
        if choice.table not in every:
            raise InvalidInput(f"--table {choice.table}: no SELECT begins with it; there are {', '.join(every)}")
        return [every[choice.table]]
    if (choice.keys or choice.where) and len(every) > 1:
        raise InvalidInput(f"--key and --where need --table: one of {', '.join(every)}")
    return list(every.values())


def _images(mapping: CompiledMapping, live: LiveRows, table: CompiledTable, choice: Choice) -> list[bytes]:
    if choice.keys:
        keys = [_key(mapping, table, text) for text in choice.keys]
        found = live.by_key(table.name, keys)
        if len(found) < len(set(keys)):
            raise InvalidInput(f"--key: {len(set(keys)) - len(found)} of {len(set(keys))} rows are not in {table.name}")
        return found
    if choice.where is not None:
        return live.where(table.name, choice.where, choice.rows)
    return [image for images in live.chunks(table.name, choice.rows, newest=True) for image in images]


def _key(mapping: CompiledMapping, table: CompiledTable, text: str) -> LookupKey:
    columns = [mapping.catalogue.tables[table.name.rpartition(".")[2]].columns[name] for name in table.key]
    parts = text.split(",", len(columns) - 1)
    if len(parts) != len(columns):
        raise InvalidInput(f"--key {text!r}: the key of {table.name} is {', '.join(table.key)}: write all, with commas")
    values: list[Any] = []
    for column, part in zip(columns, parts, strict=True):
        try:
            known = {Kind.INT: int, Kind.EXACT: Decimal}.get(column.kind, str)
            values.append(known(part.strip() if known is not str else part))
        except (ValueError, InvalidOperation):
            raise InvalidInput(f"--key {text!r}: {part!r} is no value of {column.name} ({column.type})") from None
    return tuple(values)
