"""The recipes of docs/recipes.md in their databases: tables and rows are taken, the catalogue read there is what the
mapping needs, and the server's own answer to the SQL is what the page says."""

from __future__ import annotations

from collections import Counter

import pytest

from streams.connect.live.images import image, selected
from streams.core.mapping.examples import evaluate_rows
from streams.core.mapping.files import FILE_KINDS, Rule
from streams.core.mapping.mapping import CompiledMapping
from tests.integration.mapping_support.databases import Writer, server, writer
from tests.integration.mapping_support.rows import Server
from tests.recipes import ddl
from tests.recipes.outcome import ROW, column_named, columns_of, compiled, expected, outcome, shown, table_named
from tests.recipes.page import Grid, Recipe, recipes
from tests.stack import Database

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_every_recipe_means_there_what_the_page_says(kind: str, postgres: Database, mariadb: Database) -> None:
    at = postgres if kind == "postgres" else mariadb
    told = []
    with writer(kind, at) as made:
        for recipe in recipes():
            if recipe.kind != kind:
                continue
            told.append(recipe.title)
            made.run(*(text for text in recipe.tables.split(";") if text.strip()))
            with server(kind, at) as there:
                for name, grid in recipe.rows.items():
                    _insert(made, there, name, grid, ddl.computed_columns(kind, recipe.tables))
                _compare(recipe, there)
            for table in reversed(ddl.created_tables(kind, recipe.tables)):
                made.run(f"DROP TABLE {there.quote(table)}")
    assert len(told) > 20


def _insert(made: Writer, there: Server, name: str, grid: Grid, computed: set[str]) -> None:
    table = table_named(there.catalogue, name)
    given = [column for column in grid.columns if column not in computed]
    columns = [column_named(table, column) for column in given]
    names = ", ".join(there.quote(column.name) for column in columns)
    for row in grid.rows:
        marks = ", ".join(["%s"] * len(given))
        where = there.quote(table.name.rpartition(".")[2])
        made.execute(f"INSERT INTO {where} ({names}) VALUES ({marks})", [row[name] for name in given])


def _compare(recipe: Recipe, there: Server) -> None:
    mapping = compiled(recipe, there.catalogue)
    found = evaluate_rows(mapping, {name: _images(there, mapping, name) for name in mapping.tables})
    wanted = {file: expected(file, grid) for file, grid in recipe.outputs.items() if file != "exceptions"}
    assert outcome(mapping, found) == wanted, recipe
    assert len(found.errors) == len(recipe.outputs.get("exceptions", Grid((), ())).rows), recipe
    answered: dict[str, Counter[ROW]] = {}
    for name, text in mapping.files.items():
        answered.setdefault(name.partition(".sql")[0], Counter()).update(_answer(there, mapping, name, text))
    for file, rows in answered.items():
        rules = FILE_KINDS[file.partition(".")[0]].columns
        said = [n for n, column in enumerate(columns_of(mapping, file)) if rules[column] != Rule.STATUS]
        assert _only(rows, said) == _only(wanted[file], said), (recipe, file)


def _only(rows: Counter[ROW], places: list[int]) -> Counter[ROW]:
    """Without status columns: the server says its code, the page what source.yaml maps it to."""
    out: Counter[ROW] = Counter()
    for row, count in rows.items():
        out[tuple(row[place] for place in places)] += count
    return out


def _images(there: Server, mapping: CompiledMapping, name: str) -> list[bytes]:
    table = mapping.catalogue.tables[name.rpartition(".")[2]]
    columns = [table.columns[column] for column in mapping.tables[name].columns]
    names = ", ".join(selected(there.catalogue.kind, column) for column in columns)
    rows = there.query(f"SELECT {names} FROM {there.quote(name.rpartition('.')[2])}")
    return [image(there.catalogue.kind, columns, row) for row in rows]


def _answer(there: Server, mapping: CompiledMapping, name: str, text: str) -> list[ROW]:
    """What the server makes of the file; rows without a key are what onhand has exceptions for."""
    kind = FILE_KINDS[name.partition(".")[0]]
    columns = mapping.columns[name]
    out = []
    for row in there.query(text.rstrip().removesuffix(";")):
        values = dict(zip(columns, row, strict=True))
        if all(values[column] is not None for column in kind.required):
            out.append(tuple(shown(kind.columns[c], v, mapping.source.time_zone) for c, v in values.items()))
    return out
