"""From an unknown database to an empty audit: `init`, the SQL that `grants` prints, word by word, `apply`, lane.

The connector's user is made by that SQL alone and may do nothing else.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from schemas import administration
from streams.connect.grants import PASSWORD as PLACE
from tests.integration.connect_support import PASSWORD, database_cursor, project
from tests.integration.lane_support import Lane
from tests.stack import Database, RunningStack, unique

pytestmark = pytest.mark.integration

TABLES = (
    "CREATE TABLE erp.artikel (art_id int PRIMARY KEY, art_code varchar(20) NOT NULL, art_desc varchar(40))",
    "CREATE TABLE erp.warehouse (whs_id int PRIMARY KEY, whs_code varchar(8) NOT NULL, whs_name varchar(40))",
    "CREATE TABLE erp.artikel_stock (art_id int, whs_id int, qty_on_hand numeric(12, 3), PRIMARY KEY (art_id, whs_id))",
    "CREATE TABLE erp.order_line (order_id int, line_no int, art_id int NOT NULL, whs_id int NOT NULL, "
    "qty_ordered numeric(12, 3) NOT NULL, qty_shipped numeric(12, 3) NOT NULL, due_date date, "
    "PRIMARY KEY (order_id, line_no))",
    "CREATE TABLE erp.payroll (id int PRIMARY KEY, salary numeric(12, 2))",
    "INSERT INTO erp.artikel VALUES (1, 'A', 'first'), (2, 'B', 'second')",
    "INSERT INTO erp.warehouse VALUES (1, 'W1', 'one')",
    "INSERT INTO erp.artikel_stock VALUES (1, 1, 5), (2, 1, 7)",
    "INSERT INTO erp.order_line VALUES (10, 1, 1, 1, 3, 1, '2026-12-01')",
)
CHANGES = (
    "UPDATE erp.artikel_stock SET qty_on_hand = 4 WHERE art_id = 1",
    "INSERT INTO erp.order_line VALUES (10, 2, 2, 1, 2, 0, NULL)",
)


@pytest.fixture(params=[("postgres", True), ("mariadb", True), ("postgres", False), ("mariadb", False)], ids=str)
def lane(request: pytest.FixtureRequest, stack: RunningStack, tmp_path: Path) -> Iterator[tuple[Lane, bool]]:
    """A source that only `init` and the statements of `grants` have made; whether its user may write."""
    kind, writes = request.param
    database: Database = request.getfixturevalue(kind)
    name = unique("erp" if kind == "postgres" else "wms").replace("_", "-")
    root, data_dir = tmp_path / "project", tmp_path / "data"
    root.mkdir()
    data_dir.mkdir()
    with project(stack, root) as made:
        made.names.append(name)
        settings = made.settings
        administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        one = Lane(made, name, database, data_dir)
        with database_cursor(database, kind) as cursor:
            for statement in (*(["CREATE SCHEMA erp"] if one.postgres else []), *TABLES):
                cursor.execute(statement.replace("erp.", f"{one.schema}."))
        words = ["--schema", one.schema, *([] if writes else ["--without-write"])]
        one.run("init", name, "--dsn", database.dsn, *words)
        granted(one, kind, database)
        try:
            yield one, writes
        finally:
            one.kill()


def granted(one: Lane, kind: str, database: Database) -> None:
    """Run what `grants` prints, word by word but the password, as the DBA."""
    answer = one.made.run("grants", one.name, "--dsn", database.dsn, "--json")
    assert database.password not in json.dumps(answer.document)
    with database_cursor(database, kind) as cursor:
        for statement in answer.document["statements"]:
            for sql in statements_of(statement["sql"]):
                cursor.execute(sql.replace(PLACE, PASSWORD))
    one.made.settings.secrets.mkdir(parents=True, exist_ok=True)
    (one.made.settings.secrets / f"{one.name}.properties").write_text(f"password={PASSWORD}\n")


@contextmanager
def changing(one: Lane, *, enough: bool) -> Iterator[None]:
    """Without a heartbeat table the lane passes a position only when a captured table changes: somebody works."""
    if enough:
        yield
        return
    done = threading.Event()

    def work() -> None:
        for n in itertools.count():
            one.execute(f"UPDATE erp.warehouse SET whs_name = 'one {n}'")
            if done.wait(0.2):
                return

    somebody = threading.Thread(target=work)
    somebody.start()
    try:
        yield
    finally:
        done.set()
        somebody.join()


def statements_of(sql: str) -> Sequence[str]:
    return [part for part in sql.split(";") if part.strip()]


@contextmanager
def as_connector(one: Lane, database: Database) -> Iterator[Any]:
    user = one.made.config(one.name)["database.user"]
    mine = Database(database.name, "", database.host, database.port, user, PASSWORD)
    if one.postgres:
        with psycopg.connect(
            host=mine.host, port=mine.port, user=user, password=PASSWORD, dbname=mine.name, autocommit=True
        ) as session:
            yield session.cursor()
        return
    connection = pymysql.connect(host=mine.host, port=mine.port, user=user, password=PASSWORD, autocommit=True)
    with connection, connection.cursor() as cursor:
        yield cursor


def test_from_init_to_an_empty_audit_with_a_user_made_by_the_printed_sql(lane: tuple[Lane, bool]) -> None:
    one, writes = lane
    assert one.run("inspect", one.name).count("unchanged") == 1
    checked = one.made.run("check", one.name, "--json")
    assert checked.exit_code == 0, checked.text
    assert [finding["code"] for finding in checked.document if finding["severity"] == "error"] == []
    one.run("apply", one.name)
    one.start()
    one.await_(one.complete, "a complete source")
    with changing(one, enough=writes):
        one.audit()
        one.execute("; ".join(CHANGES))
        one.audit()
    assert one.made.run("status", one.name).exit_code == 0

    with as_connector(one, one.database) as cursor:
        denied = [f"SELECT * FROM {one.schema}.payroll", f"UPDATE {one.schema}.artikel SET art_desc = 'x'"]
        if writes:
            cursor.execute(f"INSERT INTO {one.schema}.onhand_signal (id, type) VALUES ('mine', 'log')")
            cursor.execute(f"DELETE FROM {one.schema}.onhand_signal WHERE id = 'mine'")
        else:
            denied.append(f"CREATE TABLE {one.schema}.mine (id int)")
        for statement in denied:
            with pytest.raises((psycopg.Error, pymysql.Error)) as refused:
                cursor.execute(statement)
            assert "denied" in str(refused.value), statement

    again = one.made.run("init", one.name, "--dsn", one.database.dsn)
    assert again.exit_code == 2
    assert "--force" in again.text
