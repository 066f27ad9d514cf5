"""Golden rows of a mapping: rows in, outputs out, without a database.

An example file is JSON:
`{"rows": {"<table>": [{"<column>": …}]}, "expect": {"postings": [{"sku": …}], "orders": […]}}`.
Rows are written as Debezium sends them (decimals as text, dates as 2026-11-24Z); columns that are left out are NULL.
Expected outputs name the columns they care about; one that is NULL may be left out.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from schemas.errors import InvalidInput
from schemas.messages import ItemPart, LocationPart
from streams.core.mapping.lookup_tables import lookup_tables
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import ComponentRow, LookupKey, OrderRow, OutputRow, Posting, RowError

FOLDER = "examples"
_ORDER_FILES = {"header": "orders", "line": "order_lines", "shipment": "shipments"}


@dataclass
class Evaluated:
    """What a set of rows yields."""

    outputs: list[OutputRow] = field(default_factory=list)
    waiting: list[tuple[str, LookupKey]] = field(default_factory=list)
    """(lookup table, key) of INNER lookups that are missing."""
    errors: list[str] = field(default_factory=list)
    """Rows that cannot be mapped."""


def evaluate_rows(mapping: CompiledMapping, rows: Mapping[str, Iterable[bytes]]) -> Evaluated:
    """Evaluate whole tables at once; `rows` are `after` images by qualified table name."""
    result = Evaluated()
    decoded: dict[str, list[Any]] = {}
    for table, images in rows.items():
        of = mapping.tables[table]
        for image in images:
            try:
                row = of.decode(image)
                of.lookup_keys(row)
            except RowError as error:
                result.errors.append(f"{table}: {error}")
                continue
            decoded.setdefault(table, []).append(row)
    views = lookup_tables(mapping, decoded)
    for table, structs in decoded.items():
        for row in structs:
            try:
                evaluation = mapping.tables[table].evaluate(row, views)
            except RowError as error:
                result.errors.append(f"{table}: {error}")
                continue
            result.outputs += evaluation.outputs
            result.waiting += [(mapping.lookups[index].table, key) for index, key in evaluation.missing]
    return result


def as_columns(output: OutputRow) -> tuple[str, dict[str, Any]]:
    """(file kind, output columns as plain text and numbers; NULL columns are left out)."""
    if isinstance(output, Posting):
        file, found = "postings", output._asdict()
        found["view"] = found["view"] or None
    elif isinstance(output, ComponentRow):
        file, found = "components", output._asdict()
        found["sku"] = found.pop("kit")
    elif isinstance(output, OrderRow):
        file, found = _ORDER_FILES[output.kind], {**output.attributes, "part_id": output.part_id}
        found["order_id"] = output.order_id
        found["unmapped"] = ", ".join(output.unmapped) or None
    elif isinstance(output, ItemPart):
        file, found = "items", msgspec.structs.asdict(output)
    else:
        assert isinstance(output, LocationPart)
        file, found = "locations", msgspec.structs.asdict(output)
    found.pop("withdrawn", None)
    return file, {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.date):
        return value.isoformat()
    return value.value if hasattr(value, "value") else value


def example_files(folder: Path) -> list[Path]:
    """The examples of a source folder, by name."""
    return sorted((folder / FOLDER).glob("*.json"))


def check_example(mapping: CompiledMapping, path: Path) -> list[str]:
    """What differs from what the example expects, a line each.  Raises InvalidInput when the file is no example."""
    try:
        document = json.loads(path.read_text())
        rows, expected = document["rows"], document["expect"]
        images = {_qualified(mapping, path, table): _images(mapping, path, table, rows[table]) for table in rows}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path}: is no example of the form rows, expect: {error}") from None
    result = evaluate_rows(mapping, images)
    found = [f"waits for {table} {key}" for table, key in result.waiting] + result.errors
    made: dict[str, list[dict[str, Any]]] = {}
    for output in result.outputs:
        file, columns = as_columns(output)
        made.setdefault(file, []).append(columns)
    for file in sorted(made.keys() | expected.keys()):
        found += _unlike(file, made.get(file, []), expected.get(file, []))
    return found


def _unlike(file: str, made: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> list[str]:
    left = list(made)
    found = []
    for want in expected:
        match = next((row for row in left if all(_same(row.get(name), value) for name, value in want.items())), None)
        if match is None:
            found.append(f"{file}: no row like {json.dumps(want, ensure_ascii=False)}")
        else:
            left.remove(match)
    return found + [f"{file}: not expected: {json.dumps(row, ensure_ascii=False)}" for row in left]


def _same(made: Any, wanted: Any) -> bool:
    if isinstance(made, str) and isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return made == str(wanted) or Decimal(made) == Decimal(str(wanted))
    return bool(made == wanted)


def _qualified(mapping: CompiledMapping, path: Path, table: str) -> str:
    """As the log names it: the catalogue's own owner, which is not the schema where that holds synonyms (Oracle)."""
    seen = mapping.catalogue.tables.get(table)
    if seen is None or seen.name not in mapping.tables:
        known = ", ".join(sorted(name.rpartition(".")[2] for name in mapping.tables))
        raise InvalidInput(f"{path}: the mapping does not use table {table}: {known}")
    return seen.name


def _images(mapping: CompiledMapping, path: Path, table: str, rows: Sequence[dict[str, Any]]) -> list[bytes]:
    columns = mapping.tables[_qualified(mapping, path, table)].columns
    known = mapping.catalogue.tables[table].columns
    for row in rows:
        for column in row:
            if column not in known:
                raise InvalidInput(f"{path}: table {table} has no column {column}")
    return [msgspec.json.encode({**dict.fromkeys(columns), **row}) for row in rows]
