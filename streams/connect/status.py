"""How a source really is.  RUNNING is not believed: tasks, the age of the last record, and the slot or binlog itself.

Seen on the real connectors: a lost slot leaves connector RUNNING with no task for half an hour; a stalled producer
leaves task RUNNING with a silent log; a failed task leaves the connector RUNNING.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.client import ConnectClient, ConnectorStatus
from streams.connect.failures import remedy
from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source
from streams.connect.place import Place, before_binlog, before_wal, committed
from streams.connect.preflight import Target, target
from streams.connect.retention import Growth, Retention, RetentionLimits, of_binlog, of_slot, retention_findings
from streams.connect.source_log import SourceLog

ERROR, WARNING = Severity.ERROR, Severity.WARNING
MIN_SILENCE_S = {"mariadb": 60.0}
"""Silence that means nothing yet, s; other kinds 10.  MariaDB's connector beats when the binlog moves, and an idle
server moves it every 48 s (0.8 × connect.keep.alive.interval.ms) unless an event writes the heartbeat (M14)."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source at one moment."""

    name: str
    connector: ConnectorStatus | None
    end: int | None
    """Next offset of the source log; None: no topic."""
    last_record_age_s: float | None
    """Seconds since the last record or heartbeat."""
    database: Mapping[str, Any]
    """PostgreSQL: slot, active, wal_status, behind_bytes; MariaDB: binlog, available, reading."""
    problems: tuple[Finding, ...] = field(default=())
    retention: Retention | None = None
    """None: the database was not looked at."""
    reader: bool | None = None
    """Somebody reads the slot or the binlog; None: not known."""
    snapshot: bool = False
    """The connector takes a snapshot, or is about to."""
    server: str = ""
    """Which server it is, where it says so (PostgreSQL: its system identifier)."""

    @property
    def healthy(self) -> bool:
        return not any(problem.severity is ERROR for problem in self.problems)

    def row(self) -> dict[str, Any]:
        """For tables and `--json`."""
        connector = self.connector
        return {
            "source": self.name,
            "healthy": self.healthy,
            "connector": connector.state if connector else "absent",
            "tasks": " ".join(task.state for task in connector.tasks) if connector else "",
            "log_end": self.end,
            "last_record_age_s": None if self.last_record_age_s is None else round(self.last_record_age_s, 1),
            "database": dict(self.database),
            "behind_bytes": self.retention and self.retention.behind_bytes,
            "retention_used": self.retention and self.retention.used,
            "retention_left_s": self.retention and self.retention.left_s,
            "reader": self.reader,
            "problems": [problem.row() for problem in self.problems],
        }


def unseen_row(name: str, error: str) -> dict[str, Any]:
    """As `SourceStatus.row`, of a source whose look failed: nothing is known but why."""
    return {**SourceStatus(name, None, None, None, {}).row(), "healthy": False, "connector": None, "error": error}


@dataclass(frozen=True, slots=True)
class _Database:
    """What was seen in the source's database."""

    state: Mapping[str, Any] = field(default_factory=dict)
    problems: Sequence[Finding] = ()
    retention: Retention | None = None
    reader: bool | None = None
    snapshot: bool = False
    server: str = ""


def observe(
    source: Source,
    client: ConnectClient,
    bootstrap: str,
    secrets_dirs: Sequence[Path],
    now_us: int,
    *,
    limits: RetentionLimits | None = None,
    growth: Growth | None = None,
    log: SourceLog | None = None,
) -> SourceStatus:
    """Look at connector, log and database once; with `growth`, kept from look to look, how long WAL lasts.

    `log`: the source's, where one is open already.

    Raises EnvironmentFault when Kafka Connect or Kafka does not answer; a database that does not is a problem found.
    """
    connector = client.status(source.name)
    with nullcontext(log) if log is not None else SourceLog(bootstrap, source.topic) as reading:
        end = reading.end()
        last = reading.last()
    age_s = None if last is None else max(0.0, (now_us - last.timestamp_us) / 1e6)
    database = _database(source, client, connector, secrets_dirs, now_us / 1e6)
    retention = database.retention
    if retention is not None and growth is not None:
        retention = growth.with_time_left(retention, now_us / 1e6)
    problems = [
        *_connector_problems(source, connector),
        *_log_problems(source, connector, age_s),
        *database.problems,
        *retention_findings(source, retention, limits or RetentionLimits()),
    ]
    return SourceStatus(
        source.name,
        connector,
        end,
        age_s,
        database.state,
        tuple(problems),
        retention,
        database.reader,
        database.snapshot,
        database.server,
    )


def _connector_problems(source: Source, connector: ConnectorStatus | None) -> Iterator[Finding]:
    def found(code: str, severity: Severity, message: str, fix: str) -> Finding:
        return Finding(code, severity, source.name, f"connector {source.name}", message, fix)

    if connector is None:
        yield found("K01", ERROR, "there is no such connector", f"onhand source apply {source.name}")
    elif connector.failure:
        yield found("K02", ERROR, connector.failure, remedy(source.name, connector.failure))
    elif connector.state in ("PAUSED", "STOPPED"):
        message = f"is {connector.state}: the database keeps everything since then"
        yield found("K05", WARNING, message, f"onhand source resume {source.name}")
    elif not connector.running:
        tasks = " ".join(task.state for task in connector.tasks) or "no task"
        message = f"is {connector.state} with {tasks}: it cannot begin"
        yield found("K03", ERROR, message, "Look at the worker's log; most often the slot or the binlog below is lost")


def _log_problems(source: Source, connector: ConnectorStatus | None, age_s: float | None) -> Iterator[Finding]:
    if connector is None or not connector.running:
        return
    heartbeat_s = int(source.config.get("heartbeat.interval.ms", "0")) / 1000
    limit_s = max(MIN_SILENCE_S.get(source.kind, 10.0), 5 * heartbeat_s)
    if age_s is None or age_s > limit_s:
        since = "ever" if age_s is None else f"{age_s:.0f} s"
        yield Finding(
            "K04",
            ERROR,
            source.name,
            f"topic {source.topic}",
            f"RUNNING, but no record and no heartbeat for {since} (heartbeats come every {heartbeat_s:g} s)",
            f"onhand source restart {source.name}; if it stays silent look at the worker's log",
        )


def _database(
    source: Source,
    client: ConnectClient,
    connector: ConnectorStatus | None,
    secrets_dirs: Sequence[Path],
    now_s: float,
) -> _Database:
    try:
        at = target(source, secrets_dirs)
    except (InvalidInput, EnvironmentFault) as error:
        where = source.place("database.password")
        message = f"the database is not looked at: {error}"
        return _Database(problems=[Finding("P00", WARNING, source.name, where, message, "Mend it")])
    running = connector is not None and connector.running
    place = committed(client, source.name) if connector is not None else None
    seen = _Database()
    if source.kind == "postgres":
        seen = _postgres(source, at, place, connector is not None, running)
    elif source.kind == "mariadb":
        seen = _mariadb(source, at, place, running, now_s)
    return replace(seen, snapshot=place is None or place.snapshot)


def _restored(source: Source, code: str, place: str, why: str) -> Finding:
    message = f"{why}: it was restored from a backup, or is another one; what comes next would be skipped or mixed up"
    fix = f"onhand source resnapshot {source.name} (docs/operations.md, A database is restored from a backup)"
    return Finding(code, ERROR, source.name, place, message, fix)


def _postgres(source: Source, at: Target, place: Place | None, exists: bool, running: bool) -> _Database:
    import psycopg

    from streams.connect import preflight_postgres as postgres

    name = source.config.get("slot.name", "")
    try:
        with postgres.connection(at) as database:
            slot = postgres.slot_state(database, name)
            end, server = postgres.wal_end(database), postgres.system_identifier(database)
    except psycopg.OperationalError as error:
        return _Database(problems=[postgres.unreachable(source, at, error)])
    found: list[Finding] = []
    if place is not None and not place.snapshot and (why := before_wal(place, end)):
        found.append(_restored(source, "P16", at.name, why))
    if slot is None:
        if not exists:
            return _Database({"slot": name, "exists": False}, server=server)
        message = "the slot is gone: changes since the connector's last record are lost"
        fix = f"onhand source resnapshot {source.name}"
        lost = Finding("P06", ERROR, source.name, f"slot {name}", message, fix)
        return _Database({"slot": name, "exists": False}, [*found, lost], server=server)
    found += postgres.slot_findings(source, slot)
    if running and not slot["active"] and not found:
        message = "nobody reads the slot although the connector is RUNNING (a snapshot may be under way)"
        fix = f"If it stays: onhand source restart {source.name}"
        found.append(Finding("P06", WARNING, source.name, f"slot {name}", message, fix))
    state = {key: slot[key] for key in ("active", "wal_status", "behind_bytes", "unconfirmed_bytes")}
    lost = slot["wal_status"] == "lost"
    retention = None if lost else of_slot(slot["behind_bytes"] or 0, slot["safe_wal_size"])
    return _Database({"slot": name, "exists": True, **state}, found, retention, bool(slot["active"]), server=server)


def _mariadb(source: Source, at: Target, place: Place | None, running: bool, now_s: float) -> _Database:
    import pymysql

    from streams.connect import preflight_mariadb as mariadb

    try:
        with closing(mariadb.connection(at)) as database:
            files = mariadb.binlogs(database)
            reading = mariadb.is_read(database)
            expire_s = mariadb.expire_s(database)
            gtids = mariadb.gtids(database)
    except pymysql.err.OperationalError as error:
        return _Database(problems=[mariadb.unreachable(source, at, error)])
    found: list[Finding] = []
    names = [name for name, _ in files]
    read = place.file if place else None
    if place is not None and not place.snapshot and (why := before_binlog(place, files, gtids)):
        found.append(_restored(source, "M16", at.name, why))
    elif read is not None and read not in names:
        message = f"{read}, where the connector must go on, is purged: changes since then are lost"
        fix = f"onhand source resnapshot {source.name}"
        found.append(Finding("M12", ERROR, source.name, f"binlog {read}", message, fix))
    elif running and not reading:
        message = "nobody reads the binlog although the connector is RUNNING (a snapshot may be under way)"
        fix = f"If it stays: onhand source restart {source.name}"
        found.append(Finding("M13", WARNING, source.name, at.name, message, fix))
    state = {"binlog": read, "available": read in names if read else None, "reading": reading}
    state |= {"oldest": names[0] if names else None, "newest": names[-1] if names else None}
    position, event_s = (place.position, place.event_s) if place else (0, None)
    retention = of_binlog(files, read, position, event_s, expire_s, now_s)
    return _Database(state, found, retention, reading)
