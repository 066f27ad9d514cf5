"""`onhand source` on real connectors: from nothing to records, and what is refused, lost or wrong."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from onhand.stack.components.postgres import Postgres
from onhand.stack.local import LocalStack
from onhand.watch.troubles import RESTORED, Troubles
from onhand.watch.watch import Watched
from schemas.records import ExceptionStatus
from streams.connect.client import ConnectClient
from streams.connect.source_log import SourceLog
from tests import stack as stacks
from tests.integration.connect_support import (
    Project,
    await_record,
    database_cursor,
    lasting_database,
    log_end,
    mariadb_admin,
    mariadb_source,
    postgres_source,
    project,
    restartable_postgres,
    row,
    snapshot_completed,
)
from tests.integration.runtime_harness import wait_for
from tests.stack import Database, RunningStack

pytestmark = pytest.mark.integration


@pytest.fixture
def made(stack: RunningStack, tmp_path: Path) -> Iterator[Project]:
    with project(stack, tmp_path) as one:
        yield one


@pytest.fixture(params=["postgres", "mariadb"])
def source(request: pytest.FixtureRequest, made: Project) -> str:
    """A clean source of either kind."""
    database: Database = request.getfixturevalue(request.param)
    return postgres_source(made, database) if request.param == "postgres" else mariadb_source(made, database)


def status(made: Project, name: str) -> dict[str, Any]:
    document: dict[str, Any] = made.run("status", name, "--json").document[0]
    return document


def await_resumed(made: Project, name: str) -> None:
    """Connect has said that it will: until its status shows it, the connector is STOPPED still."""
    wait_for(lambda: all(problem["code"] != "K05" for problem in status(made, name)["problems"]), "the connector", 60)


def await_problem(made: Project, name: str, code: str) -> dict[str, str]:
    """The problem of this code in `status`, waited for."""
    deadline = time.monotonic() + 60
    while True:
        problems = status(made, name)["problems"]
        found: list[dict[str, str]] = [problem for problem in problems if problem["code"] == code]
        if found:
            return found[0]
        assert time.monotonic() < deadline, problems


def execute(database: Database, *statements: str) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement.encode())


def purge_all_but_newest(cursor: pymysql.cursors.Cursor) -> None:
    """The server keeps, without an error, what a reader that has just gone still seems to read: ask again."""
    deadline = time.monotonic() + 60
    while True:
        cursor.execute("SHOW BINARY LOGS")
        files = [row[0] for row in cursor.fetchall()]
        if len(files) == 1:
            return
        assert time.monotonic() < deadline, files
        cursor.execute("FLUSH BINARY LOGS")
        cursor.execute("SHOW BINARY LOGS")
        cursor.execute("PURGE BINARY LOGS TO %s", [cursor.fetchall()[-1][0]])


def test_apply_from_nothing_then_twice(made: Project, source: str) -> None:
    assert made.run("plan", source).exit_code == 10
    first = made.run("apply", source, "--json")
    assert first.exit_code == 0, first.text
    assert (first.document[0]["action"], first.document[0]["ok"]) == ("create", True)
    await_record(made, source, row("item", sku="B"))
    await_record(made, source, snapshot_completed("Initial Snapshot"))
    with ConnectClient(made.settings.connect_url) as client:
        before = client.configs()[source]
        again = made.run("apply", source, "--json")
        assert (again.exit_code, again.document[0]["action"]) == (0, "unchanged")
        assert client.configs()[source] == before
    assert made.run("plan", source).exit_code == 0
    healthy = status(made, source)
    assert healthy["healthy"], healthy
    assert (healthy["connector"], healthy["tasks"]) == ("RUNNING", "RUNNING")
    assert source in made.run("list").text


def test_an_update_is_planned_and_put(made: Project, source: str) -> None:
    assert made.run("apply", source).exit_code == 0
    made.change(source, poll__interval__ms="20")
    assert "poll.interval.ms: 10 → 20" in made.run("plan", source).text
    applied = made.run("apply", source, "--json")
    assert (applied.exit_code, applied.document[0]["action"]) == (0, "update"), applied.text


def test_an_immutable_key_is_refused_and_nothing_changes(made: Project, postgres: Database) -> None:
    name = postgres_source(made, postgres)
    assert made.run("apply", name).exit_code == 0
    made.change(name, slot__name="another")
    refused = made.run("apply", name)
    assert refused.exit_code == 2
    for words in ("slot.name must not change", "would be lost", f"onhand source remove {name} --forget"):
        assert words in refused.text.replace("\n", " ")
    assert made.run("plan", name).exit_code == 2
    with ConnectClient(made.settings.connect_url) as client:
        assert client.configs()[name]["slot.name"] != "another"


def test_a_literal_secret_never_reaches_connect(made: Project, postgres: Database) -> None:
    name = postgres_source(made, postgres)
    made.change(name, database__password="geheim")
    refused = made.run("apply", name)
    assert refused.exit_code == 2
    assert "E01" in refused.text
    assert "geheim" not in refused.text
    with ConnectClient(made.settings.connect_url) as client:
        assert client.status(name) is None


@pytest.mark.parametrize("offline", [False, True])
def test_a_wrong_password_is_told_and_nothing_is_made(made: Project, source: str, offline: bool) -> None:
    (made.settings.secrets / f"{source}.properties").write_text("password=wrong\n")
    refused = made.run("apply", source, *(["--offline"] if offline else []))
    assert refused.exit_code == 3
    text = " ".join(refused.text.split())
    assert "password authentication failed" in text or "Access denied" in text
    with ConnectClient(made.settings.connect_url) as client:
        assert client.status(source) is None


def test_a_database_that_is_down(made: Project, local_stack: LocalStack) -> None:
    with restartable_postgres(local_stack) as database:
        name = postgres_source(made, database)
        local_stack.stop("postgres")
        try:
            checked = made.run("check", name)
            applied = made.run("apply", name, "--offline")
        finally:
            local_stack.start_component("postgres")
        assert checked.exit_code == 3
        assert "Start the server" in checked.text
        assert applied.exit_code == 3
        assert "cannot use the database" in " ".join(applied.text.split())
        assert made.run("apply", name).exit_code == 0
        local_stack.stop("postgres")  # and later: the connector waits, status says why, records come by themselves
        try:
            assert "cannot connect" in await_problem(made, name, "P01")["message"]
        finally:
            local_stack.start_component("postgres")
        execute(database, "INSERT INTO erp.item VALUES ('D', 'after')")
        await_record(made, name, row("item", sku="D"))
        assert made.run("remove", name, "--yes").exit_code == 0


def test_connect_that_is_down_says_so(made: Project, postgres: Database) -> None:
    name = postgres_source(made, postgres)
    elsewhere = Project(made.settings.model_copy(update={"connect_url": "http://127.0.0.1:9"}))
    answer = elsewhere.run("plan", name)
    assert answer.exit_code == 3
    assert "Kafka Connect at http://127.0.0.1:9 does not answer" in answer.text


def test_pre_flight_of_postgres_finds_everything_at_once(made: Project, postgres: Database) -> None:
    name = postgres_source(
        made,
        postgres,
        statements=[
            "ALTER ROLE {role} NOREPLICATION",
            "REVOKE SELECT ON erp.item FROM {role}",
            "ALTER PUBLICATION {role} DROP TABLE erp.stock",
            "REVOKE UPDATE ON erp.onhand_heartbeat FROM {role}",
            "DROP TABLE erp.onhand_signal",
            "CREATE TABLE erp.keyless (a text)",
            "ALTER PUBLICATION {role} ADD TABLE erp.keyless",
            "GRANT SELECT ON erp.keyless TO {role}",
        ],
    )
    made.change(name, table__include__list="erp\\.(item|stock|keyless|nowhere|onhand_heartbeat|onhand_signal)")
    answer = made.run("check", name, "--json")
    assert answer.exit_code == 3
    role = name.replace("-", "_")
    fixes = {(one["code"], one["place"]): one["fix"] for one in answer.document if one["severity"] == "error"}
    assert fixes[("P03", next(place for code, place in fixes if code == "P03"))] == f"ALTER ROLE {role} REPLICATION;"
    assert fixes[("P09", f"publication {role}")] == f"ALTER PUBLICATION {role} ADD TABLE erp.stock;"
    assert fixes[("P11", "table erp.item")] == f"GRANT SELECT ON erp.item TO {role};"
    assert fixes[("P13", "table erp.onhand_heartbeat")] == f"GRANT INSERT, UPDATE ON erp.onhand_heartbeat TO {role};"
    assert fixes[("P10", "table erp.onhand_signal")].startswith("CREATE TABLE erp.onhand_signal")
    assert ("P10", "table erp.nowhere") in fixes
    assert ("P12", "table erp.keyless") in fixes
    assert len(fixes) == 7


def test_pre_flight_of_postgres_finds_a_missing_publication(made: Project, postgres: Database) -> None:
    name = postgres_source(made, postgres, statements=["DROP PUBLICATION {role}"])
    refused = made.run("apply", name)
    assert refused.exit_code == 3
    fix = f"CREATE PUBLICATION {name.replace('-', '_')} FOR TABLE erp.item, erp.onhand_heartbeat, erp.onhand_signal"
    assert fix in " ".join(refused.text.split())


def test_the_fixes_that_pre_flight_prints_work(made: Project, postgres: Database) -> None:
    name = postgres_source(
        made,
        postgres,
        statements=[
            "REVOKE USAGE ON SCHEMA erp FROM {role}",
            "REVOKE ALL ON ALL TABLES IN SCHEMA erp FROM {role}",
            "ALTER ROLE {role} NOREPLICATION",
            "DROP PUBLICATION {role}",
        ],
    )
    found = [one for one in made.run("check", name, "--json").document if one["severity"] == "error"]
    execute(postgres, *(one["fix"] for one in found))
    assert made.run("check", name).exit_code == 0
    assert made.run("apply", name).exit_code == 0


def test_pre_flight_of_mariadb_finds_everything_at_once(made: Project, mariadb: Database) -> None:
    name = mariadb_source(
        made,
        mariadb,
        statements=[
            "REVOKE LOCK TABLES, BINLOG MONITOR ON *.* FROM '{role}'@'%'",
            "REVOKE UPDATE ON {schema}.onhand_heartbeat FROM '{role}'@'%'",
            "REVOKE INSERT ON {schema}.onhand_signal FROM '{role}'@'%'",
            "DROP TABLE stock",
            "ALTER TABLE item DROP PRIMARY KEY",
        ],
    )
    answer = made.run("check", name, "--json")
    assert answer.exit_code == 3
    role, schema = name.replace("-", "_"), mariadb.name
    fixes = {
        (one["code"], one["place"].split("@")[0]): one["fix"] for one in answer.document if one["severity"] == "error"
    }
    assert fixes[("M08", role)] == f"GRANT LOCK TABLES, BINLOG MONITOR ON *.* TO '{role}'@'%';"
    assert ("M09", f"table {schema}.stock") in fixes
    assert ("M09", f"table {schema}.item") in fixes
    assert ("M11", f"table {schema}.onhand_heartbeat") in fixes
    assert ("M11", f"table {schema}.onhand_signal") in fixes
    assert len(fixes) == 5


def test_a_dropped_slot_is_seen_and_a_resnapshot_heals_it(made: Project, postgres: Database) -> None:
    name = postgres_source(made, postgres)
    slot = name.replace("-", "_")
    assert made.run("apply", name).exit_code == 0
    await_record(made, name, snapshot_completed("Initial Snapshot"))
    assert made.run("stop", name).exit_code == 0
    assert status(made, name)["problems"][0]["code"] == "K05"
    execute(postgres, f"SELECT pg_drop_replication_slot('{slot}')", "INSERT INTO erp.item VALUES ('C', 'unseen')")
    gone = await_problem(made, name, "P06")
    assert "the slot is gone" in gone["message"]
    assert made.run("resume", name).exit_code == 0
    failed = await_problem(made, name, "K02")
    assert "no longer available on the server" in failed["message"]
    assert failed["fix"] == f"onhand source resnapshot {name}"
    again = made.run("apply", name)
    assert again.exit_code == 1
    assert "unchanged, but" in " ".join(again.text.split())
    end = log_end(made, name)
    healed = made.run("resnapshot", name)
    assert healed.exit_code == 0, healed.text
    await_record(made, name, row("item", sku="C"), end)
    await_record(made, name, snapshot_completed("Initial Snapshot"), end)
    assert status(made, name)["healthy"]  # a note that nobody reads the slot yet does not count


def test_a_lost_slot_is_not_silent_and_a_resnapshot_heals_it(
    made: Project, stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = Postgres.settings  # a server that keeps hardly any WAL for a slot
    monkeypatch.setattr(Postgres, "settings", lambda self: tight(self) | {"max_slot_wal_keep_size": "1MB"})
    with stacks.local_stack(components=("postgres",)) as server, stacks.postgres_database(server.endpoints) as database:
        here = Project(made.settings.model_copy(update={"postgres_port": database.port}), made.names)
        name = postgres_source(here, database)
        assert here.run("apply", name).exit_code == 0
        await_record(here, name, snapshot_completed("Initial Snapshot"))
        assert here.run("stop", name).exit_code == 0
        for number in range(4):  # a segment each; the checkpoint takes away what the slot may no longer keep
            execute(database, f"INSERT INTO erp.item VALUES ('L{number}', 'lost')", "SELECT pg_switch_wal()")
        execute(database, "CHECKPOINT")
        lost = await_problem(here, name, "P06")
        assert "the slot is lost" in lost["message"]
        assert here.run("check", name).exit_code == 3
        end = log_end(here, name)
        healed = here.run("resnapshot", name)
        assert healed.exit_code == 0, healed.text
        await_record(here, name, row("item", sku="L3"), end)
        assert here.run("remove", name, "--forget", "--yes").exit_code == 0


@contextmanager
def put_back(server: LocalStack, component: str) -> Iterator[None]:
    """A cold copy of the server's files is taken before, and takes their place after."""
    files = (server.site.data_dir / component).resolve()
    copy = files.with_name(f"{files.name}-copy")

    def replaced(source: Path, target: Path) -> None:
        server.stop(component)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", source, target], check=True)
        server.start_component(component)

    replaced(files, copy)
    yield
    replaced(copy, files)


@pytest.mark.parametrize(("kind", "code"), [("postgres", "P16"), ("mariadb", "M16")])
def test_a_database_that_is_restored_is_seen_before_it_says_anything(made: Project, kind: str, code: str) -> None:
    sources = {"postgres": postgres_source, "mariadb": mariadb_source}
    with stacks.local_stack(components=(kind,)) as server:
        database = lasting_database(server, kind)
        here = Project(made.settings.model_copy(update={f"{kind}_port": database.port}), made.names)
        name = sources[kind](here, database)
        assert here.run("apply", name).exit_code == 0
        await_record(here, name, snapshot_completed("Initial Snapshot"))
        assert here.run("stop", name).exit_code == 0
        with put_back(server, kind):
            assert here.run("resume", name).exit_code == 0
            # so far that the copy's own heartbeats and checkpoints do not pass it meanwhile
            rows = [(f"C{number}", "forgotten") for number in range(200)]
            with database_cursor(database, kind) as cursor:
                if kind == "postgres":
                    cursor.execute("SELECT pg_switch_wal()")
                cursor.executemany(f"INSERT INTO {'erp.' * (kind == 'postgres')}item VALUES (%s, %s)", rows)
            await_record(here, name, row("item", sku="C199"))
            assert here.run("stop", name).exit_code == 0
        found = await_problem(here, name, code)
        assert f"onhand source resnapshot {name}" in found["fix"]
        assert here.run("status", name).exit_code == 1
        if kind == "postgres":  # MariaDB's would go on at a lower place at once, which its lane notices
            assert here.run("resume", name).exit_code == 0
            await_resumed(here, name)
        watched = Watched(name, here.settings, Troubles(name, []))
        watched.look(0)
        await_problem(here, name, "K05")  # stopped
        assert RESTORED in {record.code for record in watched.look(5_000_000)}
        end = log_end(here, name)
        assert here.run("resnapshot", name).exit_code == 0
        await_record(here, name, snapshot_completed("Initial Snapshot"), end)
        assert code not in {problem["code"] for problem in status(here, name)["problems"]}
        closed = [record.status for record in watched.look(10_000_000) if record.code == RESTORED]
        assert closed == [ExceptionStatus.CLOSED]
        watched.close()
        assert here.run("remove", name, "--forget", "--yes").exit_code == 0


def test_resnapshot_reads_everything_again(made: Project, source: str) -> None:
    assert made.run("apply", source).exit_code == 0
    await_record(made, source, snapshot_completed("Initial Snapshot"))
    end = log_end(made, source)
    assert made.run("resnapshot", source).exit_code == 0
    await_record(made, source, row("item", sku="A", name="first"), end)
    await_record(made, source, snapshot_completed("Initial Snapshot"), end)


def test_one_table_is_read_again_beside_the_stream(made: Project, source: str) -> None:
    assert made.run("apply", source).exit_code == 0
    await_record(made, source, snapshot_completed("Initial Snapshot"))
    end = log_end(made, source)
    refused = made.run("resnapshot", source, "--incremental", "elsewhere")
    assert (refused.exit_code, "not captured" in refused.text) == (2, True)
    assert made.run("resnapshot", source, "--incremental", "item").exit_code == 0

    def read_again(value: dict[str, Any]) -> bool:
        return row("item", sku="B")(value) and value["source"]["snapshot"] == "incremental"

    await_record(made, source, read_again, end)
    await_record(made, source, snapshot_completed("Incremental Snapshot"), end)


def test_an_orphan_is_shown_and_only_pruned_when_asked(made: Project, source: str) -> None:
    assert made.run("apply", source).exit_code == 0
    await_record(made, source, snapshot_completed("Initial Snapshot"))
    folder = made.settings.connect_configs / source
    away = folder.rename(made.settings.project_dir / "away")
    assert made.run("plan", source, "--json").document[0]["action"] == "orphan"
    with ConnectClient(made.settings.connect_url) as client:
        pruned = made.run("apply", source, "--prune")
        assert pruned.exit_code == 0, pruned.text
        assert client.status(source) is None
        away.rename(folder)
        end = log_end(made, source)
        assert made.run("apply", source).exit_code == 0  # goes on where it was: no second snapshot
        with SourceLog(made.settings.kafka, f"cdc.{source}") as log:
            assert (log.end() or 0) > end
        assert client.offsets(source)


def test_remove_and_forget_starts_over(made: Project, postgres: Database) -> None:
    name = postgres_source(made, postgres)
    assert made.run("apply", name).exit_code == 0
    await_record(made, name, snapshot_completed("Initial Snapshot"))
    removed = made.run("remove", name, "--forget", "--yes")
    assert "dropped" in removed.text
    with psycopg.connect(postgres.dsn) as admin:
        count = admin.execute(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [name.replace("-", "_")]
        ).fetchone()
    assert count == (0,)
    end = log_end(made, name)
    assert made.run("apply", name).exit_code == 0
    await_record(made, name, snapshot_completed("Initial Snapshot"), end)


def test_pause_resume_restart(made: Project, source: str) -> None:
    assert made.run("apply", source).exit_code == 0
    assert made.run("pause", source).exit_code == 0
    await_problem(made, source, "K05")
    paused = made.run("apply", source)
    assert (paused.exit_code, "paused" in paused.text) == (0, True)
    resumed = made.run("resume", source, "--json")
    assert (resumed.exit_code, resumed.document["source"], resumed.document["action"]) == (0, source, "resume")
    assert made.run("restart", source).exit_code == 0
    assert made.run("apply", source).exit_code == 0
    assert made.run("pause", "nobody").exit_code == 2


def test_control_records_go_into_the_source_log(made: Project, mariadb: Database) -> None:
    name = mariadb_source(made, mariadb)
    assert made.run("apply", name).exit_code == 0
    restated = made.run("restate", name, "--why", "test", "--json").document
    written = await_record(made, name, lambda value: value.get("action") == "restate")
    assert (restated["source"], restated["offset"]) == (name, written)
    assert made.run("release", name, "lane/x/sweep-waits/item").exit_code == 0
    await_record(made, name, lambda value: value.get("id") == "lane/x/sweep-waits/item")


def test_a_purged_binlog_is_seen(made: Project, mariadb: Database) -> None:
    name = mariadb_source(made, mariadb)
    assert made.run("apply", name).exit_code == 0
    await_record(made, name, snapshot_completed("Initial Snapshot"))
    with mariadb_admin(mariadb) as cursor:
        cursor.execute("INSERT INTO stock VALUES ('A', '1', 1)")
        await_record(made, name, row("stock", sku="A"))
        assert made.run("stop", name).exit_code == 0
        cursor.execute("FLUSH BINARY LOGS")
        purge_all_but_newest(cursor)
    assert "is purged" in await_problem(made, name, "M12")["message"]
    assert made.run("resnapshot", name).exit_code == 0
