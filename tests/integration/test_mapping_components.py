"""components.sql on both databases: the compiled mapping says of every row what the server's own evaluation says."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from streams.core.mapping.examples import evaluate_rows
from streams.core.mapping.mapping import compile_mapping
from streams.core.mapping.model import ComponentRow
from streams.core.mapping.source import parse_source
from tests.integration.mapping_support.databases import server, writer
from tests.integration.mapping_support.rows import plain
from tests.stack import Database

pytestmark = pytest.mark.integration

TABLES = (
    "CREATE TABLE part (id int PRIMARY KEY, code varchar(12) NOT NULL, factor numeric(9, 4) NOT NULL)",
    "CREATE TABLE bom"
    " (id int PRIMARY KEY, kit int NOT NULL, part int NOT NULL, per numeric(9, 3), scrap numeric(5, 2))",
    "CREATE TABLE setitem (id int PRIMARY KEY, kit int NOT NULL, part int NOT NULL)",
)
SQL = """
SELECT TRIM(k.code) AS sku, TRIM(c.code) AS component,
       ROUND(b.per * c.factor * (1 + COALESCE(b.scrap, 0)), 6) AS quantity
  FROM bom b JOIN part k ON k.id = b.kit JOIN part c ON c.id = b.part
 WHERE b.per > 0 AND b.kit <> b.part
UNION ALL
SELECT TRIM(k.code), TRIM(c.code), c.factor
  FROM setitem s JOIN part k ON k.id = s.kit JOIN part c ON c.id = s.part
 WHERE s.kit <> s.part AND c.factor > 0
"""


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_components_are_what_the_server_says(kind: str, postgres: Database, mariadb: Database) -> None:
    at = postgres if kind == "postgres" else mariadb
    rng = random.Random(kind)

    def number(*texts: str) -> Decimal:
        return Decimal(rng.choice(texts))

    with writer(kind, at) as made:
        made.run(*TABLES)
        made.insert(
            "part", [(n, f" P{n:03} "[rng.randrange(2) :], number("1", "0.5", "0.3333", "12")) for n in range(20)]
        )
        made.insert(
            "bom",
            [
                (
                    n,
                    rng.randrange(22),
                    rng.randrange(22),
                    rng.choice([None, number("0", "1", "2.5", "0.125", "-1")]),
                    rng.choice([None, number("0.05", "0.33")]),
                )
                for n in range(300)
            ],
        )
        made.insert("setitem", [(n, rng.randrange(20), rng.randrange(20)) for n in range(100)])
    with server(kind, at) as there:
        catalogue = there.catalogue
        source = parse_source(f"name: test\nkind: {kind}\nschema: {catalogue.schema}\n")
        mapping = compile_mapping(source, catalogue, {"components.sql": SQL}, b"\0" * 32)
        rows = {
            name: there.images(catalogue.tables[name.rpartition(".")[2]], table.columns)
            for name, table in mapping.tables.items()
        }
        wanted: Counter[Any] = Counter(tuple(map(plain, row)) for row in there.query(SQL))
    here = evaluate_rows(mapping, rows)
    assert not here.errors
    assert len(wanted) > 100
    assert Counter(tuple(map(plain, row)) for row in here.outputs if isinstance(row, ComponentRow)) == wanted
