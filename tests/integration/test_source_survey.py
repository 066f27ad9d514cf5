"""What `init` and `inspect` read out of a live PostgreSQL and MariaDB: types, keys, sizes, codes, names in use."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.catalogue import read_catalogue, session
from streams.connect.init.propose import Ask, propose
from streams.connect.init.survey import ForeignKey, survey
from streams.connect.preflight import Target
from streams.core.mapping.catalogue import Kind, PartialKey, drift
from streams.core.mapping.mapping import compile_mapping
from streams.core.mapping.source import parse_source
from tests.integration.connect_support import database_cursor
from tests.integration.mapping_support.databases import target
from tests.stack import Database, unique

pytestmark = pytest.mark.integration
CONFIGS = Path(__file__).parents[2] / "connect-configs"

POSTGRES = (
    "CREATE TYPE grade AS ENUM ('new', 'b''ware', 'scrap')",
    "CREATE DOMAIN amount AS numeric(12, 3)",
    "CREATE TABLE item (id uuid PRIMARY KEY, code text NOT NULL, name text, grade grade, deleted_at timestamp)",
    "CREATE UNIQUE INDEX ON item (code) WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX ON item (lower(name))",
    "CREATE TABLE warehouse (id int PRIMARY KEY, code text NOT NULL UNIQUE)",
    "CREATE TABLE stock (item_id uuid REFERENCES item, warehouse_id int REFERENCES warehouse, qty_on_hand amount, "
    "PRIMARY KEY (item_id, warehouse_id))",
    "CREATE TABLE sales_order (id int PRIMARY KEY, customer text NOT NULL, state text, "
    "made int UNIQUE GENERATED ALWAYS AS (id * 2) STORED)",
    "CREATE VIEW overview AS SELECT * FROM item",
    "CREATE TABLE onhand_heartbeat (id int PRIMARY KEY)",
    "CREATE PUBLICATION onhand_new",
    "INSERT INTO item SELECT gen_random_uuid(), 'A', 'n' || n, 'new', now() FROM generate_series(1, 2) n",
    "INSERT INTO sales_order (id, customer, state) VALUES (1, 'c', 'draft'), (2, 'c', 'done')",
)
MARIADB = (
    "CREATE TABLE item (id uuid PRIMARY KEY, code varchar(20) NOT NULL, name varchar(20), "
    "grade enum('new', 'b''ware', 'scrap'), flag tinyint(1), UNIQUE KEY (name(5)))",
    "CREATE TABLE warehouse (id int PRIMARY KEY, code varchar(20) NOT NULL UNIQUE)",
    "CREATE TABLE stock (item_id uuid, warehouse_id int, qty_on_hand decimal(12, 3), "
    "PRIMARY KEY (item_id, warehouse_id), FOREIGN KEY (item_id) REFERENCES item (id), "
    "FOREIGN KEY (warehouse_id) REFERENCES warehouse (id))",
    "CREATE TABLE sales_order (id int PRIMARY KEY, customer varchar(20) NOT NULL, state varchar(20), "
    "made int AS (id * 2) UNIQUE)",
    "CREATE VIEW overview AS SELECT * FROM item",
    "CREATE TABLE onhand_heartbeat (id int PRIMARY KEY)",
    "INSERT INTO item VALUES (uuid(), 'A', 'n1', 'new', 1), (uuid(), 'A', 'n2', 'new', 1)",
    "INSERT INTO sales_order (id, customer, state) VALUES (1, 'c', 'draft'), (2, 'c', 'done')",
)


@pytest.fixture(params=["postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> tuple[str, Database]:
    made: Database = request.getfixturevalue(request.param)
    with database_cursor(made, request.param) as cursor:
        for statement in POSTGRES if request.param == "postgres" else MARIADB:
            cursor.execute(statement)
    return request.param, made


def test_a_live_catalogue(database: tuple[str, Database]) -> None:
    kind, made = database
    found = survey(kind, target(made))
    tables = found.catalogue.tables
    assert sorted(tables) == ["item", "onhand_heartbeat", "sales_order", "stock", "warehouse"]  # no view
    item = tables["item"]
    assert (item.columns["id"].type, item.columns["grade"].type) == ("uuid", "enum")
    assert item.columns["grade"].values == ("new", "b'ware", "scrap")
    assert item.unique == (("id",),)  # neither the index under a condition nor the one of an expression or a prefix
    assert item.partial == (
        (PartialKey(columns=("code",), where="(deleted_at IS NULL)"),) if kind == "postgres" else ()
    )
    quantity = tables["stock"].columns["qty_on_hand"]
    assert (quantity.kind, quantity.scale) == (Kind.EXACT, 3)
    assert set(found.foreign_keys) == {
        ForeignKey("stock", ("item_id",), "item", ("id",)),
        ForeignKey("stock", ("warehouse_id",), "warehouse", ("id",)),
    }
    assert found.time_zone == "UTC"


def test_a_wrong_password_and_a_server_that_is_not_there_are_told_apart(database: tuple[str, Database]) -> None:
    kind, made = database
    with pytest.raises(EnvironmentFault, match=r"; correct user, password or database in --dsn$"):
        survey(kind, replace(target(made), password="wrong"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = replace(target(made), port=free.getsockname()[1])
    with pytest.raises(EnvironmentFault, match=r"; correct host and port in --dsn, or start the server$"):
        survey(kind, nobody)


def test_a_generated_column_is_there_where_the_log_brings_it(database: tuple[str, Database]) -> None:
    kind, made = database
    table = survey(kind, target(made)).catalogue.tables["sales_order"]
    brings = kind == "mariadb"
    assert ("made" in table.columns, ("made",) in table.unique) == (brings, brings)


def test_the_schema_with_the_most_tables_is_chosen_and_others_are_named(database: tuple[str, Database]) -> None:
    kind, made = database
    other = unique("other")
    with database_cursor(made, kind) as cursor:
        cursor.execute(f"CREATE {'SCHEMA' if kind == 'postgres' else 'DATABASE'} {other}")
        try:
            cursor.execute(f"CREATE TABLE {other}.lone (id int PRIMARY KEY)")
            found = survey(kind, replace(target(made), database=made.name if kind == "postgres" else ""))
            named = survey(kind, target(made), other)
            with pytest.raises(InvalidInput, match=rf"no tables in schema nowhere \(there are: .*{other}"):
                survey(kind, target(made), "nowhere")
        finally:
            cursor.execute(f"DROP SCHEMA {other}{' CASCADE' if kind == 'postgres' else ''}")
    assert found.schema == ("public" if kind == "postgres" else made.name)
    (note,) = [note for note in found.notes if "has the most tables" in note]
    assert other in note
    assert (named.schema, list(named.catalogue.tables)) == (other, ["lone"])


def test_a_key_that_goes_and_values_that_change_are_drift(database: tuple[str, Database]) -> None:
    kind, made = database
    schema = "public" if kind == "postgres" else made.name
    with session(kind, target(made)) as cursor:
        before = read_catalogue(cursor, kind, schema)
    statements = {
        "postgres": ["DROP INDEX item_code_idx", "ALTER TYPE grade ADD VALUE 'old'"],
        "mariadb": ["ALTER TABLE item MODIFY grade enum('new', 'b''ware')"],
    }
    with database_cursor(made, kind) as cursor:
        for statement in statements[kind]:
            cursor.execute(statement)
    with session(kind, target(made)) as cursor:
        now = read_catalogue(cursor, kind, schema)
    lines = "\n".join(drift(before, now))
    assert "item.grade: " in lines
    assert "values" in lines
    if kind == "postgres":
        assert "(code) WHERE (deleted_at IS NULL) → none" in lines


def test_a_proposal_from_a_live_database(database: tuple[str, Database]) -> None:
    kind, made = database
    found = survey(kind, target(made))
    proposal = propose(found, Ask("new", "reader"), CONFIGS)
    assert "item.code is no key: 2 rows have 'A': its rows would share a sku or a location" in proposal.notes
    assert 'execution_status: {"done": …, "draft": …}' in proposal.files["source.yaml"]
    config = json.loads(proposal.files["connector.json"])
    if kind == "postgres":
        assert config["slot.name"] == config["publication.name"] == "onhand_new_2"  # the first one is somebody's
    else:
        with database_cursor(made, kind) as cursor:
            cursor.execute("SELECT @@server_id")
            assert str(cursor.fetchone()[0]) in found.taken
        assert config["database.server.id"] not in found.taken
    assert "JOIN" in proposal.files["postings.sql"]
    source = parse_source(proposal.files["source.yaml"])
    text = {name: text for name, text in proposal.files.items() if name.endswith(".sql")}
    mapping = compile_mapping(source, found.catalogue, text, b"0" * 32)
    schema = "public" if kind == "postgres" else made.name
    assert set(mapping.tables) == {f"{schema}.{name}" for name in ("item", "sales_order", "stock", "warehouse")}
    with session(kind, target(made)) as cursor:  # and the database takes every file
        for statement in text.values():
            cursor.execute(f"EXPLAIN {statement}")
            cursor.fetchall()


def test_tables_that_the_user_may_not_read_are_said(postgres: Database) -> None:
    role = unique("reader")
    with database_cursor(postgres, "postgres") as cursor:
        for statement in (
            f"CREATE ROLE {role} LOGIN PASSWORD 'geheim'",
            "CREATE TABLE item (code text PRIMARY KEY)",
            "CREATE TABLE secret (code text PRIMARY KEY)",
            f"GRANT SELECT ON item TO {role}",
        ):
            cursor.execute(statement)
    at = Target(postgres.host, postgres.port, role, "geheim", postgres.name)
    found = survey("postgres", at)
    assert list(found.catalogue.tables) == ["item"]
    assert found.notes == (f"{role} may not read 1 tables, which are left out: secret",)
