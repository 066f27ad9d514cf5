"""What rows of a recipe give, and what the page says they give, in one form."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from streams.connect.live.images import image
from streams.core.mapping.catalogue import Catalogue, Column, Kind, Table
from streams.core.mapping.examples import Evaluated, as_columns, evaluate_rows
from streams.core.mapping.files import FILE_KINDS, Rule
from streams.core.mapping.mapping import CompiledMapping, compile_mapping
from streams.core.mapping.source import parse_source
from tests.recipes.page import Grid, Recipe

ROW = tuple[str | None, ...]


def compiled(recipe: Recipe, catalogue: Catalogue, files: Mapping[str, str] | None = None) -> CompiledMapping:
    """Raises InvalidInput."""
    about = f"name: recipe\nkind: {recipe.kind}\nschema: {catalogue.schema}\n{recipe.source}"
    return compile_mapping(parse_source(about), catalogue, files or recipe.files, b"\0" * 32)


def evaluated(recipe: Recipe, mapping: CompiledMapping) -> Evaluated:
    rows: dict[str, list[bytes]] = {}
    for name, grid in recipe.rows.items():
        table = table_named(mapping.catalogue, name)
        columns = [column_named(table, column) for column in grid.columns]
        of = mapping.tables[table.name]
        missing = set(of.columns) - {column.name for column in columns}
        assert not missing, f"{recipe}: rows of {name} have no {', '.join(sorted(missing))}"
        kind = "mariadb" if recipe.kind == "mariadb" else "postgres"
        rows[table.name] = [
            image(
                kind, columns, [sent(recipe.kind, c, row[name]) for c, name in zip(columns, grid.columns, strict=True)]
            )
            for row in grid.rows
        ]
    return evaluate_rows(mapping, rows)


def table_named(catalogue: Catalogue, name: str) -> Table:
    return next(table for known, table in catalogue.tables.items() if known.lower() == name.lower())


def column_named(table: Table, name: str) -> Column:
    return next(column for known, column in table.columns.items() if known.lower() == name.lower())


def sent(kind: str, column: Column, cell: str | None) -> Any:
    """The value of a cell as a driver gives it."""
    if cell is None:
        return None
    if column.kind == Kind.INT:
        return int(cell)
    if column.kind == Kind.FLOAT:
        return float(cell)
    if column.kind == Kind.BOOL:
        return {"true": True, "false": False}[cell]
    if column.padded and kind != "mariadb":
        return cell.ljust(column.length or 0)
    return cell


def outcome(mapping: CompiledMapping, found: Evaluated) -> dict[str, Counter[ROW]]:
    """Output → its rows, in the columns of the SELECT."""
    out: dict[str, Counter[ROW]] = {}
    for output in found.outputs:
        file, columns = as_columns(output)
        if view := columns.get("view"):
            file += f".{view}"
        if "part_id" in columns:
            columns.setdefault("line_id", columns["part_id"])
        out.setdefault(file, Counter())[_row(file, columns_of(mapping, file), columns)] += 1
    if found.waiting:
        out["waiting"] = Counter((table.rpartition(".")[2].lower(), _shown(key)) for table, key in found.waiting)
    return out


def _shown(key: Iterable[Any]) -> str:
    return ", ".join(map(str, key))


def columns_of(mapping: CompiledMapping, file: str) -> tuple[str, ...]:
    return next(columns for name, columns in mapping.columns.items() if name.partition(" (")[0] == f"{file}.sql")


def _row(file: str, columns: Sequence[str], values: Mapping[str, Any]) -> ROW:
    rules = FILE_KINDS[file.partition(".")[0]].columns
    return tuple(shown(rules[column], values.get(column)) for column in columns)


def shown(rule: Rule, value: Any, zone: str = "UTC") -> str | None:
    """One face for a value of the page, of a mapping and of a database."""
    if value is None:
        return None
    if rule == Rule.CONDITION:
        return str(bool(value) if not isinstance(value, str) else value == "true").lower()
    if rule in (Rule.QUANTITY, Rule.INT):
        return format(Decimal(value).normalize() + 0, "f")
    if rule == Rule.MOMENT:
        return _moment(value, zone).isoformat()
    return str(value)


def _moment(value: Any, zone: str) -> dt.datetime:
    if isinstance(value, str) and value.isdigit():
        return dt.datetime.fromtimestamp(int(value) / 1_000_000, dt.UTC)
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))).astimezone(dt.UTC)


def expected(file: str, grid: Grid) -> Counter[ROW]:
    if file == "waiting":
        return Counter(tuple(row.values()) for row in grid.rows)
    return Counter(_row(file, grid.columns, row) for row in grid.rows)
