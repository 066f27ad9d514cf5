"""The real servers as local processes: what the rest of the system relies on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest
import requests
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # its stub forgets it

from onhand.settings import load_settings
from onhand.stack.component import port_is_free
from onhand.stack.components.kafka import MAX_MESSAGE_BYTES
from onhand.stack.local import LocalStack
from onhand.stack.process import Identity, tail, wait_until
from onhand.stack.records import State, read_record
from schemas.errors import EnvironmentFault
from tests.stack import Database, RunningStack, local_stack, mariadb_connection

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0


def test_both_connectors_are_there(stack: RunningStack) -> None:
    plugins = requests.get(f"{stack.endpoints.connect_url}/connector-plugins", timeout=10).json()

    assert {(plugin["class"].rsplit(".", 1)[1], plugin["version"]) for plugin in plugins} == {
        ("PostgresConnector", "3.7.0.Final"),
        ("MariaDbConnector", "3.5.0.Final"),
    }


def test_postgres_decodes_logically_and_needs_its_password(postgres: Database) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        row = connection.execute("SHOW wal_level").fetchone()
    assert row == ("logical",)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.dsn.replace(postgres.password, "wrong"))


def test_mariadb_logs_whole_rows_and_needs_its_password(mariadb: Database) -> None:
    with mariadb_connection(mariadb.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@log_bin, @@binlog_format, @@binlog_row_image, @@gtid_strict_mode")
        assert cursor.fetchone() == (1, "ROW", "FULL", 1)
        cursor.execute("SELECT count(*) FROM mysql.user WHERE User = ''")
        assert cursor.fetchone() == (0,)

    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(host=mariadb.host, port=mariadb.port, user="root", password="wrong")


def test_the_broker_takes_a_whole_unit_and_makes_no_topic_by_itself(stack: RunningStack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.endpoints.kafka})
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")

    values = admin.describe_configs([broker])[broker].result(DEADLINE_S)

    assert int(values["message.max.bytes"].value or 0) == MAX_MESSAGE_BYTES
    assert values["auto.create.topics.enable"].value == "false"


@pytest.fixture(scope="module")
def databases() -> Iterator[LocalStack]:
    """A second, small stack beside the session's."""
    with local_stack(components=("postgres", "registry")) as small:
        yield small


def test_two_stacks_run_side_by_side(stack: RunningStack, databases: LocalStack) -> None:
    assert stack.endpoints.postgres_dsn != databases.endpoints.postgres_dsn
    for one in (stack, databases):
        with psycopg.connect(one.endpoints.postgres_dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_schemas_and_rows_survive_a_restart(databases: LocalStack) -> None:
    subject = f"{databases.endpoints.registry_url}/subjects/kept-value/versions"
    schema = {"schema": '{"type": "record", "name": "Kept", "fields": []}'}
    requests.post(subject, json=schema, timeout=10).raise_for_status()
    with psycopg.connect(databases.endpoints.postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")

    databases.restart("registry")
    databases.process("postgres").kill()
    databases.start_component("postgres")

    assert requests.get(subject, timeout=10).json() == [1]
    with psycopg.connect(databases.endpoints.postgres_dsn) as connection:
        assert connection.execute("SELECT seven FROM kept").fetchone() == (7,)


def test_a_data_directory_is_taken_by_one_stack(databases: LocalStack) -> None:
    second = LocalStack(databases.site.data_dir, components=("postgres",))

    with pytest.raises(EnvironmentFault, match="a stack already runs in"):
        second.start()

    assert databases.process("postgres").alive()


def test_a_port_in_use_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = load_settings(data_dir=tmp_path, postgres_port=port)
        stack = LocalStack(tmp_path, ports="fixed", components=("postgres",), settings=settings)

        with pytest.raises(EnvironmentFault, match=rf"postgres: port {port} \(clients\) by pid \d+ .* is in use"):
            stack.start()

    assert read_record(tmp_path / "run") is None


def test_a_component_that_dies_at_its_start_shows_why_and_the_rest_is_stopped() -> None:
    with local_stack(components=("postgres", "registry")) as first:
        folder = first.site.data_dir
        first.close()
        (folder / "postgres" / "data" / "global" / "pg_control").write_bytes(b"not a control file")
        again = LocalStack(folder, components=("postgres", "registry"))

        with pytest.raises(EnvironmentFault, match=r"postgres stopped at its start \(.*\):\n(.*\n)*.*pg_control"):
            again.start()

        assert read_record(folder / "run") is None
        assert port_is_free(again.site.ports.registry)


def test_leaving_the_stack_leaves_nothing_behind() -> None:
    with local_stack(components=("postgres",)) as small:
        folder = small.site.data_dir
        identities = [Identity.of(row.pid) for row in small.rows() if row.pid]
        assert identities

    assert all(identity is None or not identity.alive() for identity in identities)
    assert wait_until(lambda: not folder.exists(), DEADLINE_S)


def test_a_server_that_the_watcher_restarted_is_still_stopped_cleanly() -> None:
    """It is a child of the watching thread, and the kernel would kill it with that thread."""
    with local_stack(components=("postgres",), restart=True) as small:
        small.supervise()
        first = small.process("postgres")
        first.kill()

        def back() -> bool:
            row = small.rows()[0]
            return row.restarts == 1 and row.state is State.RUNNING

        assert wait_until(back, DEADLINE_S)
        small.close()

        assert small.process("postgres").exit_code() == 0
        assert tail(small.site.logs / "postgres.log", 1).endswith("database system is shut down")
