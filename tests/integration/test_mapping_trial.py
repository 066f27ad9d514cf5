"""What the database itself says of the keys that source.yaml declares: under a condition, and of one row."""

from __future__ import annotations

import pytest

from streams.connect.mapping_trial import trial
from streams.core.mapping.mapping import compile_mapping
from streams.core.mapping.source import parse_source
from tests.integration.mapping_support.databases import server, target, writer
from tests.stack import Database

pytestmark = pytest.mark.integration
SQL = """SELECT i.code AS sku, 'W' AS location, 'on_hand' AS bucket, s.quantity * g.factor AS quantity
  FROM stock s JOIN item i ON i.code = s.code AND i.gone = 0 CROSS JOIN setting g"""
DECLARED = """name: test
kind: {kind}
schema: {schema}
one_row: [setting]
unique: {{item: [{{columns: [code], where: "{where}"}}]}}
"""


def findings(kind: str, at: Database, where: str = "gone = 0") -> list[str]:
    schema = "public" if kind == "postgres" else at.name
    with server(kind, at) as there:
        source = parse_source(DECLARED.format(kind=kind, schema=schema, where=where))
        mapping = compile_mapping(source, there.catalogue, {"postings.sql": SQL}, b"\0" * 32)
    return trial(mapping, target(at))


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_declared_keys_are_counted(kind: str, postgres: Database, mariadb: Database) -> None:
    at = postgres if kind == "postgres" else mariadb
    with writer(kind, at) as made:
        made.run(
            "CREATE TABLE item (id int PRIMARY KEY, code varchar(9), gone int NOT NULL)",
            "CREATE TABLE stock (id int PRIMARY KEY, code varchar(9), quantity int NOT NULL)",
            "CREATE TABLE setting (id int PRIMARY KEY, factor int NOT NULL)",
            "INSERT INTO item VALUES (1, 'A', 0), (2, 'A', 1), (3, 'A', 1), (4, NULL, 0), (5, NULL, 0)",
            "INSERT INTO setting VALUES (1, 1)",
        )
        assert findings(kind, at) == []
        made.run("UPDATE item SET gone = 0 WHERE id = 3", "INSERT INTO setting VALUES (2, 1)")
        assert findings(kind, at) == [
            "source.yaml: unique: item (code) is no key: 2 rows have A",
            "source.yaml: one_row: setting has more than one row",
        ]
