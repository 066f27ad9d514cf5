"""Replaces what may be personal in an example: every text that the example does not depend on.

No list of suspicious names is trusted.  A text column is replaced, value by value, unless a condition of the mapping
reads it, or other rows come out then, or another key, quantity, date or status: only names, numbers for people and the
like may change.  Equal values are replaced by equal ones, in the order of the rows, so that the same rows always give
the same example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlglot import exp

from streams.connect.live.sieve import selects
from streams.core.mapping.catalogue import Column, Kind
from streams.core.mapping.examples import Evaluated, as_columns, evaluate_rows
from streams.core.mapping.mapping import CompiledMapping

FREE = {
    "items": ("name",),
    "locations": ("name",),
    "orders": ("number", "customer"),
    "shipments": ("number", "carrier", "tracking"),
}
"""Output columns, by file, that are only told to people: their values may change, not whether there is one."""

Tables = dict[str, list[dict[str, Any]]]
"""Qualified table → rows as Debezium sends them."""


@dataclass
class Disguise:
    """What was done."""

    tables: Tables
    replaced: dict[str, int] = field(default_factory=dict)
    """`table.column` → how many different values."""
    kept: list[str] = field(default_factory=list)
    """`table.column` of texts that are keys, that a condition reads, or on which an output depends."""


def disguise(mapping: CompiledMapping, tables: Tables) -> Disguise:
    """The rows with every text replaced that the outputs do not depend on."""
    done = Disguise(tables)
    meant, asked = _signature(evaluate(mapping, tables)), _asked(mapping)
    for table in sorted(tables):
        known = mapping.catalogue.tables[table.rpartition(".")[2]]
        for name in mapping.tables[table].columns:
            values = [row[name] for row in done.tables[table] if isinstance(row.get(name), str) and row[name].strip()]
            if known.columns[name].kind != Kind.TEXT or not values:
                continue
            label = f"{table.rpartition('.')[2]}.{name}"
            new = _pseudonyms(known.columns[name], values)
            changed = {**done.tables, table: [_with(row, name, new) for row in done.tables[table]]}
            fixed = not new or name in known.primary or label.lower() in asked
            if not fixed and _signature(evaluate(mapping, changed)) == meant:
                done.tables = changed
                done.replaced[label] = len(new)
            else:
                done.kept.append(label)
    return done


def _asked(mapping: CompiledMapping) -> set[str]:
    """`table.column`, in small letters, of what a condition reads: WHERE, ON and WHEN."""
    found: set[str] = set()
    for file, text in mapping.files.items():
        for select in selects(mapping, file, text):
            tables = {table.alias_or_name.lower(): table.name.lower() for table in select.find_all(exp.Table)}
            conditions = [
                *select.find_all(exp.Where),
                *(join.args["on"] for join in select.find_all(exp.Join) if join.args.get("on")),
                *(branch.this for branch in select.find_all(exp.If)),
                *(case.this for case in select.find_all(exp.Case) if case.this),
            ]
            for column in (column for condition in conditions for column in condition.find_all(exp.Column)):
                holders = [tables[column.table.lower()]] if column.table else tables.values()
                found |= {f"{holder}.{column.name.lower()}" for holder in holders}
    return found


def evaluate(mapping: CompiledMapping, tables: Tables) -> Evaluated:
    """What these rows yield."""
    return evaluate_rows(
        mapping, {table: [_image(mapping, table, row) for row in rows] for table, rows in tables.items()}
    )


def _image(mapping: CompiledMapping, table: str, row: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({**dict.fromkeys(mapping.tables[table].columns), **row})


def _with(row: dict[str, Any], name: str, new: Mapping[str, str]) -> dict[str, Any]:
    return {**row, name: new.get(row[name], row[name])} if isinstance(row.get(name), str) else row


def _pseudonyms(column: Column, values: list[str]) -> dict[str, str]:
    """Value → the column's name and a number, as long as the column allows; {}: it is too short for that."""
    out: dict[str, str] = {}
    for value in values:
        if value not in out:
            number = str(len(out) + 1)
            room = column.length or len(column.name) + len(number)
            if len(number) > room:
                return {}
            out[value] = (column.name[: room - len(number)] + number).ljust(len(value) if column.padded else 0)
    return out


def _signature(evaluated: Evaluated) -> Any:
    """What must stay as it is."""
    outputs = []
    for output in evaluated.outputs:
        file, columns = as_columns(output)
        free = FREE.get(file, ())
        outputs.append((file, {name: "…" if name in free else value for name, value in columns.items()}))
    return outputs, evaluated.waiting, evaluated.errors
