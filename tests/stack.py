"""The real stack under the integration tests: local processes (default) or containers.

`ONHAND_TEST_STACK=containers` takes the images of docker-compose.yml through testcontainers; everything above the
endpoints is the same.  While writing tests, `ONHAND_TEST_STACK=<data directory>` uses a stack that is up already.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg
import pymysql
from psycopg import sql

from onhand.settings import STACK_FILE, Settings, load_settings
from onhand.stack.local import Endpoints, LocalStack
from schemas.errors import InvalidInput

PROVIDER_VARIABLE = "ONHAND_TEST_STACK"


class RunningStack(Protocol):
    """What a test may use of either provider."""

    @property
    def endpoints(self) -> Endpoints:
        """Where the servers are."""

    def settings(self, **overrides: Any) -> Settings:
        """Settings of a process that uses this stack; `data_dir` is the stack's unless overridden."""


@contextmanager
def local_stack(**options: Any) -> Iterator[LocalStack]:
    """A stack of its own on free ports, its data deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="onhand-test-"))
    folder.chmod(0o755)  # the databases' users must reach it
    stack = LocalStack(folder / "data", ports="free", **options)
    try:
        stack.start()
        yield stack
    finally:
        stack.close(wipe=True)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class AttachedStack:
    """A stack that somebody else runs; its endpoints stand in its data directory."""

    data_dir: Path

    @property
    def endpoints(self) -> Endpoints:
        document = json.loads((self.data_dir / STACK_FILE).read_text())
        known = {name: document[name] for name in Endpoints.__dataclass_fields__ if name in document}
        return Endpoints(**known, secrets=self.data_dir / "secrets")

    def settings(self, **overrides: Any) -> Settings:
        """As its processes have them."""
        settings = load_settings(data_dir=self.data_dir, secrets_dir=self.data_dir / "secrets")
        return settings.model_copy(update=overrides)


@contextmanager
def open_stack() -> Iterator[RunningStack]:
    """The stack of one test session, by the provider that ONHAND_TEST_STACK names."""
    chosen = os.environ.get(PROVIDER_VARIABLE, "local")
    if chosen == "local":
        with local_stack() as local:
            yield local
    elif chosen == "containers":
        from tests.containers import container_stack

        with container_stack() as containers:
            yield containers
    elif (Path(chosen) / STACK_FILE).is_file():
        yield AttachedStack(Path(chosen))
    else:
        raise InvalidInput(f"{PROVIDER_VARIABLE}={chosen}: local, containers, or the data directory of a running stack")


@dataclass(frozen=True)
class Database:
    """One throw-away database."""

    name: str
    dsn: str
    """Superuser's, naming this database."""
    host: str
    port: int
    user: str
    password: str


def unique(prefix: str) -> str:
    """A name nobody else uses: `prefix_` and eight hexadecimal digits."""
    return f"{prefix}_{uuid.uuid4().hex[:8]}"


def database_of(dsn: str, name: str) -> Database:
    """The database of this name on a superuser's server."""
    parts = urlsplit(dsn)
    return Database(
        name=name,
        dsn=f"{parts.scheme}://{parts.netloc}/{name}",
        host=parts.hostname or "",
        port=parts.port or 0,
        user=parts.username or "",
        password=parts.password or "",
    )


@contextmanager
def postgres_database(endpoints: Endpoints, prefix: str = "test") -> Iterator[Database]:
    """An empty PostgreSQL database; its replication slots and itself are dropped afterwards."""
    name = unique(prefix)
    with psycopg.connect(endpoints.postgres_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield database_of(endpoints.postgres_dsn, name)
        finally:
            slots = admin.execute("SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", (name,))
            for slot, holder in slots.fetchall():
                if holder is not None:
                    admin.execute("SELECT pg_terminate_backend(%s, 5000)", (holder,))
                admin.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def mariadb_connection(dsn: str) -> Iterator[pymysql.connections.Connection[pymysql.cursors.Cursor]]:
    """An autocommitting connection to a `mysql://` DSN."""
    parts = urlsplit(dsn)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.lstrip("/") or None,
        autocommit=True,
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def mariadb_database(endpoints: Endpoints, prefix: str = "test") -> Iterator[Database]:
    """An empty MariaDB database, dropped afterwards."""
    name = unique(prefix)
    with mariadb_connection(endpoints.mariadb_dsn) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}`")
        try:
            yield database_of(endpoints.mariadb_dsn, name)
        finally:
            cursor.execute(f"DROP DATABASE `{name}`")
