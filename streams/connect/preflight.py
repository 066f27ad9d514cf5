"""What Kafka Connect's own validation stays silent about, looked up in the source database itself.

Everything is looked at as the connector's own user, with the connector's own password, read-only.  Every finding at
once.  `debezium_measured` §6.7 is why this exists: a missing table, a table without SELECT or outside the publication
leaves a connector RUNNING and silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import EnvironmentFault, InvalidInput
from schemas.secrets import resolve
from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source
from streams.connect.tables import named_tables, split_patterns, written_table

CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Target:
    """Where a source's database is and as whom the connector comes."""

    host: str
    port: int
    user: str
    password: str
    database: str
    """PostgreSQL: database.dbname; MariaDB: the source's schema."""

    @property
    def name(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class Captured:
    """The tables a source's connector reads and writes."""

    tables: tuple[str, ...]
    """`schema.table`, by name; heartbeat and signal included."""
    open_ended: tuple[str, ...]
    """Expressions of the include list that could match anything."""
    heartbeat: str | None
    signal: str | None


def target(source: Source, secrets_dirs: Sequence[Path]) -> Target:
    """Raises InvalidInput or EnvironmentFault when a reference cannot be resolved here."""
    read = {
        key: resolve(source.config.get(f"database.{key}", ""), secrets_dirs)
        for key in ("hostname", "port", "user", "password", "dbname")
    }
    if not read["port"].isdigit():
        raise InvalidInput(f"{source.place('database.port')}: database.port {read['port']!r} is no number")
    database = read["dbname"] if source.kind == "postgres" else source.schema
    return Target(read["hostname"], int(read["port"]), read["user"], read["password"], database)


def captured(source: Source) -> Captured:
    """Tables of the include list, with the heartbeat's and the signal table."""
    tables, open_ended = named_tables(split_patterns(source.config.get("table.include.list", "")))
    heartbeat = written_table(source.config.get("heartbeat.action.query", ""))
    if heartbeat and "." not in heartbeat:
        heartbeat = f"{source.schema}.{heartbeat}"
    signal = ".".join(source.config.get("signal.data.collection", "").split(".")[-2:]) or None
    return Captured(tuple(sorted(set(tables))), tuple(open_ended), heartbeat, signal)


def preflight(source: Source, secrets_dirs: Sequence[Path]) -> list[Finding]:
    """Every finding in one source's database; one finding when it cannot be looked at."""
    from streams.connect import preflight_mariadb, preflight_postgres  # the drivers load only when they are needed

    if source.kind not in ("postgres", "mariadb"):
        return []  # the lint says that it is golden-only
    try:
        at = target(source, secrets_dirs)
    except (InvalidInput, EnvironmentFault) as error:
        return [
            Finding(
                "P00",
                Severity.ERROR,
                source.name,
                source.place("database.password"),
                f"the database cannot be looked at: {error}",
                "Or check without it: `onhand source check --offline`",
            )
        ]
    if source.kind == "postgres":
        return preflight_postgres.check(source, at)
    return preflight_mariadb.check(source, at)
