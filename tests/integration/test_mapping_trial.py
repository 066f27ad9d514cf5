"""What the database itself says: of the keys that source.yaml declares, and of tables that the SQL cannot read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.connect.catalogue import read_catalogue, session
from streams.connect.mapping_trial import trial, unusable
from streams.core.mapping.mapping import compile_mapping
from streams.core.mapping.source import parse_source
from tests.integration.mapping_support.databases import server, target, writer
from tests.stack import Database, unique

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


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_table_that_cannot_be_read_says_why(kind: str, postgres: Database, mariadb: Database) -> None:
    at = postgres if kind == "postgres" else mariadb
    schema, user = ("public" if kind == "postgres" else at.name), unique("reader")
    who = user if kind == "postgres" else f"'{user}'@'%'"
    with writer(kind, at) as made:
        made.run(
            "CREATE TABLE log (line varchar(9))",
            "CREATE TABLE hidden (line varchar(9))",
            "CREATE TABLE stock (id int PRIMARY KEY)",
            "CREATE VIEW seen AS SELECT id FROM stock",
            f"CREATE USER {who} {'PASSWORD' if kind == 'postgres' else 'IDENTIFIED BY'} 'x'",
        )
        try:
            made.run(*(f"GRANT SELECT ON {schema}.{table} TO {who}" for table in ("log", "stock", "seen")))
            reader = replace(target(at), user=user, password="x")
            with session(kind, reader) as cursor:
                now = read_catalogue(cursor, kind, schema)
            told = unusable(kind, reader, ["stock", "log", "hidden", "seen", "nowhere"], now)
        finally:
            made.run(*([f"DROP OWNED BY {who}"] if kind == "postgres" else []), f"DROP USER {who}")
    keyless = "{0} has no primary key, so nothing tells its rows apart: ALTER TABLE {0} ADD PRIMARY KEY (…)".format
    grant = f"GRANT SELECT ON {schema}.{{0}} TO {user}".format
    if kind == "postgres":
        assert told == [
            f"{user} may not read public.hidden: {grant('hidden')}",
            keyless("public.hidden"),
            keyless("public.log"),
            "public.nowhere is not there: mend the name",
            "public.seen is no table: changes of a view are not captured, read the tables behind it",
        ]
    else:
        lost = [
            f"{schema}.{name} is not there, is a view, or {user} may not read it: mend the name, or {grant(name)}"
            for name in ("hidden", "nowhere", "seen")
        ]
        assert told == [lost[0], keyless(f"{schema}.log"), *lost[1:]]
