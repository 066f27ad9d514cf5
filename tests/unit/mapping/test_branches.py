"""The SELECTs of a file, apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from streams.core.mapping.branches import SqlFile
from streams.core.mapping.mapping import compile_mapping, load_mapping

CONFIGS = Path(__file__).parents[3] / "connect-configs"
TEXT = """-- first
SELECT a.x AS sku, 'it''s, UNION' AS location, COALESCE(a.y, 1) AS quantity
  FROM a
UNION ALL
-- second
SELECT b.x, UPPER(b.z) other, b.n -- the FROM, of it
  FROM b /* UNION */
 WHERE b.n > 1
UNION ALL SELECT c.x AS k, c."from", 2 FROM ${company}_c c;
"""


def test_each_select_stands_where_it_stood_under_the_names_of_the_first() -> None:
    file = SqlFile("postgres", TEXT)
    assert len(file.branches) == 3
    lines = file.only([1]).splitlines()
    assert lines[5].startswith("SELECT b.x AS sku, UPPER(b.z) AS location, b.n AS quantity ")
    assert lines[6:8] == ["  FROM b /* UNION */", " WHERE b.n > 1"]
    assert not "".join([*lines[:5], *lines[8:]]).strip()
    assert file.only([2]).strip() == 'SELECT c.x AS sku, c."from" AS location, 2 AS quantity FROM ${company}_c c'
    assert file.only([]) == ""


def test_the_first_that_is_left_names_the_columns_and_the_rest_is_as_written() -> None:
    found = SqlFile("postgres", TEXT).only([1, 2])
    assert found.splitlines()[8].startswith('UNION ALL SELECT c.x AS k, c."from", 2 FROM')
    assert (
        len(list(sqlglot.parse_one(found.replace("${company}", "x"), read="postgres").find_all(sqlglot.exp.Select)))
        == 2
    )
    assert SqlFile("postgres", TEXT).only([0, 1, 2]).strip().removeprefix("-- first\n") in TEXT


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in CONFIGS.glob("*/postings.sql")))
def test_every_select_of_the_demo_compiles_alone(folder: str) -> None:
    known = load_mapping(CONFIGS / folder)
    for name, text in known.files.items():
        file = SqlFile(known.source.kind, text)
        for number in range(len(file.branches)):
            alone = compile_mapping(known.source, known.catalogue, {name: file.only([number])}, b"")
            assert sum(table.drives for table in alone.tables.values()) == 1
