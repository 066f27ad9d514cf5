"""`onhand source inspect` and `audit` beside a running lane, on real connectors, while writers go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from onhand.stack.local import settings_environment
from schemas import administration
from schemas.errors import EXIT_DIFFERENCES, EXIT_INVALID, EXIT_OK, EXIT_RUNTIME
from tests.integration.connect_support import Project, mariadb_source, postgres_source, project
from tests.integration.mapping_support.databases import writer
from tests.stack import Database, RunningStack

pytestmark = pytest.mark.integration
POSTINGS = """
SELECT i.name AS sku, s.bin AS location, 'on_hand' AS bucket, s.quantity AS quantity
  FROM stock s JOIN item i ON i.sku = s.sku;
"""
COMPONENTS = """
SELECT i.name AS sku, s.bin AS component, s.quantity AS quantity
  FROM stock s JOIN item i ON i.sku = s.sku WHERE s.bin = 'b7' AND s.quantity > 0;
"""
ITEMS = "SELECT i.sku AS sku, i.name AS name FROM item i"
LINES = """
SELECT 'O-' || s.bin AS order_id, s.sku AS line_id, i.name AS sku, s.quantity AS ordered
  FROM stock s JOIN item i ON i.sku = s.sku WHERE s.bin LIKE 'b1%' AND s.sku <> 'B';
"""


@pytest.fixture
def made(stack: RunningStack, tmp_path: Path) -> Iterator[Project]:
    with project(stack, tmp_path) as one:
        settings = one.settings
        administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        yield one


@contextmanager
def lane(made: Project, name: str, log: Path) -> Iterator[None]:
    """`onhand run source NAME` as a process of its own."""
    environment = os.environ | settings_environment(made.settings)
    command = [sys.executable, "-m", "onhand.cli.main", "run", "source", name]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            yield
            assert process.poll() is None, log.read_text()[-2000:]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextmanager
def traffic(kind: str, at: Database) -> Iterator[None]:
    """Transactions that move quantity, one of them there and back, until left."""
    stop = threading.Event()
    stock = "erp.stock" if kind == "postgres" else "stock"
    failed: list[Exception] = []

    def write() -> None:
        try:
            with writer(kind, at) as made:
                n = 0
                while not stop.wait(0.01):
                    n += 1
                    made.run(
                        f"UPDATE {stock} SET quantity = quantity + 1 WHERE bin = 'b{n % 20}' AND sku = 'A'",
                        f"UPDATE {stock} SET quantity = 1000 - quantity WHERE bin = 'b30' AND sku = 'A'",
                    )
        except (psycopg.Error, pymysql.Error) as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failed


def audited(made: Project, name: str, *options: str) -> tuple[int, dict[str, Any]]:
    answer = made.run("audit", name, "--json", *options)
    assert answer.document is not None, answer.text
    return answer.exit_code, answer.document[0]


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_the_audit_of_a_running_lane(
    kind: str, made: Project, tmp_path: Path, postgres: Database, mariadb: Database
) -> None:
    at = postgres if kind == "postgres" else mariadb
    name = postgres_source(made, at) if kind == "postgres" else mariadb_source(made, at)
    schema, stock = ("erp.", "erp.stock") if kind == "postgres" else ("", "stock")
    folder = made.settings.connect_configs / name
    (folder / "postings.sql").write_text(POSTINGS)
    (folder / "components.sql").write_text(COMPONENTS)
    (folder / "items.sql").write_text(ITEMS)
    order = "'O-' || s.bin" if kind == "postgres" else "CONCAT('O-', s.bin)"
    (folder / "order_lines.sql").write_text(LINES.replace("'O-' || s.bin", order))
    with writer(kind, at) as rows:
        rows.insert(stock, [(sku, f"b{n}", n) for n in range(50) for sku in ("A", "B", "C")])

    inspected = made.run("inspect", name)
    assert (inspected.exit_code, "written: 2 tables" in inspected.text) == (EXIT_OK, True), inspected.text
    assert made.run("inspect", name).exit_code == EXIT_OK
    applied = made.run("apply", name)
    assert applied.exit_code == EXIT_OK, applied.text

    with lane(made, name, tmp_path / "lane.log"):
        code, report = audited(made, name, "--timeout-s", "90")
        assert (code, report["differences"], report["undecided"]) == (EXIT_OK, [], [])
        assert (
            report["balances"] == 102
        )  # two are lines of bills; item C is missing: its rows wait, and the database joins nothing

        with writer(kind, at) as rows:
            rows.run(f"INSERT INTO {schema}item VALUES ('C', 'third')", f"DELETE FROM {stock} WHERE sku = 'B'")
        with traffic(kind, at):
            for _ in range(2):
                code, report = audited(made, name, "--chunk-rows", "20")
                assert (report["differences"], report["unreadable"], report["stopped"]) == ([], [], None)
        code, report = audited(made, name)
        assert (code, report["differences"], report["balances"]) == (EXIT_OK, [], 102)

        silently_change(kind, at, stock)
        code, report = audited(made, name, "--rows")
        assert code == EXIT_RUNTIME
        assert [differing(d) for d in report["differences"]] == [
            ("components", "third", None, "1007.000", "7.000"),
            ("order_lines", None, "O-b11", "1011.000", "11.000"),
            ("postings", "third", None, "1011.000", "11.000"),
            ("postings", "third", None, "1007.000", "7.000"),
        ]
        assert {d["row"].partition(" ")[2] for d in report["differing_rows"]} == {'["C","b11"]', '["C","b7"]'}
        assert report["rounds"] == 2
        code, report = audited(made, name, "--order", "O-b11")
        assert (code, [d["output"] for d in report["differences"]]) == (EXIT_RUNTIME, ["order_lines"])
        assert audited(made, name, "--sku", "first", "--order", "O-b12")[0] == EXIT_OK


def differing(found: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(found.get(name) for name in ("output", "sku", "order", "database", "lane"))


def silently_change(kind: str, at: Database, stock: str) -> None:
    """A change the log never tells, as a lane that lost one would look."""
    change = f"UPDATE {stock} SET quantity = quantity + 1000 WHERE sku = 'C' AND bin IN ('b7', 'b11')"
    with writer(kind, at) as rows:
        if kind == "mariadb":
            rows.run("SET SESSION sql_log_bin = 0", change)
            return
        (publication,) = rows.query("SELECT pubname FROM pg_publication")[0]
        rows.run(
            f"ALTER PUBLICATION {publication} DROP TABLE {stock}",
            change,
            f"ALTER PUBLICATION {publication} ADD TABLE {stock}",
        )


def test_inspect_asks_the_database_to_plan_every_file_and_counts_declared_keys(
    made: Project, postgres: Database
) -> None:
    name = postgres_source(made, postgres)
    folder = made.settings.connect_configs / name
    (folder / "postings.sql").write_text(POSTINGS.replace("s.bin AS", "COALESCE(IFNULL(s.bin, 'x'), 'y') AS"))
    with writer("postgres", postgres) as rows:
        rows.insert("erp.stock", [("A", "b1", 1), ("A", "b2", 1)])
    with (folder / "source.yaml").open("a") as out:
        out.write("unique: {stock: [[sku]]}\n")
    told = made.run("inspect", name)
    assert told.exit_code == EXIT_INVALID, told.text
    assert "postings.sql: the database does not take it: function ifnull" in told.text
    assert "unique: stock (sku) is no key: 2 rows have A" in told.text


def test_inspect_tells_drift_and_a_mapping_of_columns_that_are_gone_is_refused(
    made: Project, postgres: Database
) -> None:
    name = postgres_source(made, postgres)
    (made.settings.connect_configs / name / "postings.sql").write_text(POSTINGS)
    assert made.run("inspect", name).exit_code == EXIT_OK
    with writer("postgres", postgres) as rows:
        rows.run("ALTER TABLE erp.stock RENAME COLUMN quantity TO qty")
    told = made.run("inspect", name)
    assert told.exit_code == EXIT_DIFFERENCES
    assert "column stock.quantity is gone" in told.text
    refused = made.run("explain-mapping", name)
    assert refused.exit_code == EXIT_INVALID
    assert "postings.sql:2:63: column s.quantity is not in catalog.json" in refused.text
