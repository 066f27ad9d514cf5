"""A project folder with one source over a throw-away database, and `onhand source` run against the real stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from onhand.cli.main import onhand
from onhand.settings import Settings
from onhand.stack.local import settings_environment
from schemas.errors import OnhandError
from streams.connect.client import ConnectClient
from tests.stack import Database, RunningStack, database_of, mariadb_connection, unique
from tests.unit.connect.sources import demo_config

PASSWORD = "secret-of-the-test"


@dataclass
class Answer:
    exit_code: int
    text: str
    """Standard output and standard error."""
    document: Any = None
    """Parsed standard output, with --json."""


@dataclass
class Project:
    """connect-configs in a temporary folder."""

    settings: Settings
    names: list[str] = field(default_factory=list)

    def run(self, *arguments: str) -> Answer:
        """`onhand source …` in this process, against the real stack."""
        result = CliRunner().invoke(onhand, ["source", *arguments], env=settings_environment(self.settings))
        if isinstance(result.exception, OnhandError):
            return Answer(result.exception.exit_code, f"{result.output}{result.exception}")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        document = json.loads(result.stdout) if "--json" in arguments and result.stdout else None
        return Answer(result.exit_code, result.output, document)

    def config(self, name: str) -> dict[str, str]:
        config: dict[str, str] = json.loads(self._path(name).read_text())
        return config

    def change(self, name: str, **changes: str) -> None:
        """Set keys of connector.json, dots written as two underscores."""
        self._path(name).write_text(
            json.dumps({**self.config(name), **{key.replace("__", "."): value for key, value in changes.items()}})
        )

    def _path(self, name: str) -> Path:
        return self.settings.connect_configs / name / "connector.json"


@contextmanager
def project(stack: RunningStack, root: Path) -> Iterator[Project]:
    """An empty project; its connectors and their offsets are removed afterwards."""
    (root / "connect-configs").mkdir()
    made = Project(stack.settings(project_dir=root))
    try:
        yield made
    finally:
        with ConnectClient(made.settings.connect_url) as client:
            for name in made.names:
                if client.status(name) is not None:
                    client.delete(name)


def postgres_source(made: Project, database: Database, *, statements: Sequence[str] = ()) -> str:
    """A source over two tables of a PostgreSQL database, everything as the DBA should do it; answers its name."""
    name = unique("erp").replace("_", "-")
    role = name.replace("-", "_")
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        for statement in (
            f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{PASSWORD}'",
            "CREATE SCHEMA erp",
            "CREATE TABLE erp.item (sku text PRIMARY KEY, name text)",
            "CREATE TABLE erp.stock (sku text, bin text, quantity numeric(12, 3), PRIMARY KEY (sku, bin))",
            "CREATE TABLE erp.onhand_heartbeat (id integer PRIMARY KEY, ts timestamptz NOT NULL)",
            "CREATE TABLE erp.onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
            "INSERT INTO erp.item VALUES ('A', 'first'), ('B', 'second')",
            f"GRANT USAGE ON SCHEMA erp TO {role}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA erp TO {role}",
            f"GRANT INSERT, UPDATE ON erp.onhand_heartbeat TO {role}",
            f"GRANT INSERT, DELETE ON erp.onhand_signal TO {role}",
            f"CREATE PUBLICATION {role} FOR TABLE erp.item, erp.stock, erp.onhand_heartbeat, erp.onhand_signal",
            *(statement.format(role=role) for statement in statements),
        ):
            admin.execute(statement.encode())
    config = demo_config("erp") | {
        "database.dbname": database.name,
        "slot.name": role,
        "publication.name": role,
        "table.include.list": "erp\\.(item|stock|onhand_heartbeat|onhand_signal)",
    }
    _write(made, name, "postgres", "erp", role, config)
    return name


def mariadb_source(made: Project, database: Database, *, statements: Sequence[str] = ()) -> str:
    """The same over a MariaDB database."""
    name = unique("wms").replace("_", "-")
    role, schema = name.replace("-", "_"), database.name
    with mariadb_admin(database) as cursor:
        for statement in (
            f"CREATE USER '{role}'@'%' IDENTIFIED BY '{PASSWORD}'",
            "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, BINLOG MONITOR, LOCK TABLES ON *.* "
            f"TO '{role}'@'%'",
            "CREATE TABLE item (sku varchar(20) PRIMARY KEY, name varchar(20))",
            "CREATE TABLE stock (sku varchar(20), bin varchar(20), quantity decimal(12, 3), PRIMARY KEY (sku, bin))",
            "CREATE TABLE onhand_heartbeat (id int PRIMARY KEY, ts timestamp(6) NOT NULL)",
            "CREATE TABLE onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))",
            "INSERT INTO item VALUES ('A', 'first'), ('B', 'second')",
            f"GRANT INSERT, UPDATE ON {schema}.onhand_heartbeat TO '{role}'@'%'",
            f"GRANT INSERT, DELETE ON {schema}.onhand_signal TO '{role}'@'%'",
            "SET GLOBAL event_scheduler = ON",
            "CREATE EVENT onhand_heartbeat ON SCHEDULE EVERY 1 SECOND DO INSERT INTO onhand_heartbeat (id, ts) "
            "VALUES (1, NOW(6)) ON DUPLICATE KEY UPDATE ts = VALUES(ts)",
            *(statement.format(role=role, schema=schema) for statement in statements),
        ):
            cursor.execute(statement)
    text = json.dumps(demo_config("wms")).replace("wms.onhand_", f"{schema}.onhand_")
    config = json.loads(text) | {
        "database.include.list": schema,
        "database.server.id": str(10_000 + int(unique("")[1:5], 16)),
        "table.include.list": f"{schema}\\.(item|stock|onhand_heartbeat|onhand_signal)",
        "schema.history.internal.kafka.topic": f"{name}.schema-history",
    }
    _write(made, name, "mariadb", schema, role, config)
    return name


def _write(made: Project, name: str, kind: str, schema: str, role: str, config: dict[str, str]) -> None:
    made.names.append(name)
    made.settings.secrets.mkdir(parents=True, exist_ok=True)
    (made.settings.secrets / f"{name}.properties").write_text(f"password={PASSWORD}\n")
    folder = made.settings.connect_configs / name
    folder.mkdir()
    (folder / "source.yaml").write_text(f"name: {name}\nkind: {kind}\nschema: {schema}\ntime_zone: UTC\n")
    config |= {
        "topic.prefix": name,
        "database.user": role,
        "database.password": f"${{file:${{onhand:secrets}}/{name}.properties:password}}",
        "notification.sink.topic.name": f"{name}.notifications",
        "transforms.one.replacement": f"cdc.{name}",
    }
    (folder / "connector.json").write_text(json.dumps(config, indent=2))


@contextmanager
def mariadb_admin(database: Database) -> Iterator[pymysql.cursors.Cursor]:
    with mariadb_connection(database.dsn) as connection, connection.cursor() as cursor:
        yield cursor


@contextmanager
def restartable_postgres(stack: RunningStack) -> Iterator[Database]:
    """A throw-away PostgreSQL database that survives a restart of the server: nothing holds a session meanwhile."""
    dsn, name = stack.endpoints.postgres_dsn, unique("test")

    def admin(statement: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute(statement.encode())

    admin(f"CREATE DATABASE {name}")
    yield database_of(dsn, name)
    admin(
        "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots "
        f"WHERE active_pid IS NOT NULL AND database = '{name}'"
    )
    admin(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{name}'")
    admin(f"DROP DATABASE {name} WITH (FORCE)")


def lasting_database(stack: RunningStack, kind: str) -> Database:
    """An empty database that lives as long as its server, and to which nothing holds a session."""
    dsn, name = getattr(stack.endpoints, f"{kind}_dsn"), unique("test")
    with database_cursor(database_of(dsn, urlsplit(dsn).path.lstrip("/")), kind) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return database_of(dsn, name)


@contextmanager
def database_cursor(database: Database, kind: str) -> Iterator[Any]:
    """An autocommitting session of the database's owner."""
    if kind == "mariadb":
        with mariadb_admin(database) as cursor:
            yield cursor
    else:
        with psycopg.connect(database.dsn, autocommit=True) as session:
            yield session.cursor()


def await_record(made: Project, name: str, wanted: Callable[[dict[str, Any]], bool], start: int = 0) -> int:
    """Offset of the first record of cdc.<name> from `start` on whose JSON value is wanted; fails after 60 s."""
    consumer = Consumer({"bootstrap.servers": made.settings.kafka, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(f"cdc.{name}", 0, start)])
    try:
        for _ in range(600):
            message = consumer.poll(0.1)
            if message is None or message.error() or not message.value():
                continue
            if wanted(json.loads(message.value() or b"{}")):
                return int(message.offset() or 0)
    finally:
        consumer.close()
    pytest.fail(f"cdc.{name}: the record that was waited for did not come")


def log_end(made: Project, name: str) -> int:
    """Next offset of cdc.<name>."""
    consumer = Consumer({"bootstrap.servers": made.settings.kafka, "group.id": "test", "enable.auto.commit": False})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(f"cdc.{name}", 0), timeout=10)[1])
    finally:
        consumer.close()


def row(table: str, **values: object) -> Callable[[dict[str, Any]], bool]:
    """Wants a row of this table whose `after` holds these values."""

    def wanted(value: dict[str, Any]) -> bool:
        after = value.get("after") or {}
        return (value.get("source") or {}).get("table") == table and values.items() <= after.items()

    return wanted


def snapshot_completed(kind: str) -> Callable[[dict[str, Any]], bool]:
    """Wants the notification that a snapshot (`Initial Snapshot`, `Incremental Snapshot`) is complete."""
    return lambda value: value.get("aggregate_type") == kind and value.get("type") == "COMPLETED"
