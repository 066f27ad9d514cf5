"""What a DBA must run for a source, as SQL for its database: user, grants, log settings, onhand's own two tables.

Least privilege: SELECT on exactly the captured tables, the right to read the log, write on two tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import psycopg
import pymysql

from schemas.errors import InvalidInput
from streams.connect import grants_other, preflight_mariadb, preflight_postgres
from streams.connect.folder import Source
from streams.connect.init.connector import HEARTBEAT, SIGNAL, own_tables
from streams.connect.init.survey import not_read
from streams.connect.preflight import Target, captured
from streams.connect.statements import Statement, quoted

PASSWORD = "…"
"""Stands in the SQL where the DBA writes the password: it is never printed."""

LOSES = {
    "signal": "signal table: a table or column that is captured later cannot be read beside the stream; it needs a "
    "full `source resnapshot`, during which increases are held",
    "heartbeat": "heartbeat table: while no captured table changes the connector's place in the log does not move: "
    "what the server keeps for it grows if others write on it, and `source audit` waits for the next change",
    "pulse": "heartbeat event: an idle server is looked at every 48 s only, so promises look stale in between",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server says now; a statement that is not needed any more is not printed."""

    wrong: tuple[str, ...] = ()
    """Settings that are wrong now."""
    settings: tuple[Statement, ...] = ()
    """What mends them."""
    user: bool = False
    publication: bool = False
    tables: frozenset[str] = frozenset()
    """Of onhand's own, qualified, those that are there."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The answer."""

    statements: tuple[Statement, ...]
    wrong: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()
    """Without write."""
    notes: tuple[str, ...] = field(default=())

    @property
    def sql(self) -> str:
        """One script, what is to be known as comments."""
        lines = [f"-- {note}" for note in self.notes]
        lines += [f"-- WRONG NOW: {one}" for one in self.wrong]
        lines += [f"-- Without write onhand loses: {one}" for one in self.loses]
        for statement in self.statements:
            lines += ["", *(f"-- {line}" for line in statement.why.splitlines())]
            lines += [statement.sql] if statement.sql else []
        return "\n".join(lines).strip() + "\n"


def grants(source: Source, seen: Seen | None = None, *, writes: bool = True) -> Grants:
    """For the tables of connector.json.  `seen` None: the server was not looked at.  Raises InvalidInput."""
    tables = captured(source)
    if tables.open_ended:
        patterns = ", ".join(tables.open_ended)
        raise InvalidInput(
            f"{source.place('table.include.list')}: {patterns} could match anything: name the tables one by one"
        )
    own = {f"{source.schema}.{name}" for name in own_tables(source.kind)} | {tables.heartbeat, tables.signal}
    mapped = [table for table in tables.tables if table not in own]
    if not mapped:
        raise InvalidInput(f"{source.place('table.include.list')}: names no table")
    writes = writes and source.writes
    if source.kind == "postgres":
        made = _postgres(source, mapped, writes, seen or Seen())
    elif source.kind in ("mariadb", "mysql"):
        made = _mariadb(source, mapped, writes, seen or Seen())
    elif source.kind == "sqlserver":
        made = grants_other.sqlserver(source, mapped, writes)
    else:
        made = grants_other.oracle(source, mapped, writes)
    notes = [f"onhand source grants {source.name}: {source.kind}, {len(mapped)} tables, user {_user(source)}."]
    if source.kind not in ("postgres", "mariadb"):
        notes.append("Golden-only: written after Debezium's documentation, not run on such a server here.")
    elif seen is None:
        notes.append("The server was not looked at: --dsn with a user that may log in says what is wrong now.")
    loses = () if writes else tuple(LOSES[key] for key in _lost(source))
    return Grants(tuple(made), seen.wrong if seen else (), loses, tuple(notes))


def look(source: Source, at: Target, *, writes: bool = True) -> Seen:
    """What the source's server says now, asked as anyone who may log in.  Raises EnvironmentFault."""
    try:
        return _look_postgres(source, at) if source.kind == "postgres" else _look_mariadb(source, at, writes)
    except (psycopg.Error, pymysql.Error) as error:
        raise not_read(at, error) from None


def _lost(source: Source) -> tuple[str, ...]:
    return ("signal", "heartbeat", "pulse") if source.kind == "mariadb" else ("signal", "heartbeat")


def _user(source: Source) -> str:
    user = source.config.get("database.user", "")
    if not user:
        raise InvalidInput(f"{source.place('database.user')}: database.user is missing")
    return user


def _postgres(source: Source, mapped: Sequence[str], writes: bool, seen: Seen) -> Iterator[Statement]:
    def name(*parts: str) -> str:
        return ".".join(quoted("postgres", part) for part in parts)

    def table(qualified: str) -> str:
        return name(*qualified.split(".", 1))

    user = name(_user(source))
    schema, database = name(source.schema), name(source.config.get("database.dbname", ""))
    yield from seen.settings or _SETTINGS_POSTGRES
    if seen.user:
        yield Statement(f"ALTER ROLE {user} LOGIN REPLICATION;", "The connector's user is there; it reads the log.")
    else:
        yield Statement(
            f"CREATE ROLE {user} LOGIN REPLICATION PASSWORD '{PASSWORD}';",
            f"The connector's user. Its password goes into {source.name}.properties of the secrets folder "
            "(`password=…`).\npg_hba.conf must let it in from where Kafka Connect and onhand run.",
        )
    heartbeat, signal = f"{source.schema}.{HEARTBEAT}", f"{source.schema}.{SIGNAL}"
    if writes and heartbeat not in seen.tables:
        columns = "id integer PRIMARY KEY, ts timestamptz NOT NULL"
        yield Statement(f"CREATE TABLE {table(heartbeat)} ({columns});", "onhand's own two tables.")
    if writes and signal not in seen.tables:
        columns = "id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048)"
        yield Statement(f"CREATE TABLE {table(signal)} ({columns});", "Signals: it is told here to read a table again.")
    yield Statement(
        f"GRANT CONNECT ON DATABASE {database} TO {user};\nGRANT USAGE ON SCHEMA {schema} TO {user};\n"
        f"GRANT SELECT ON {', '.join(map(table, mapped))} TO {user};",
        "Read exactly what the mapping reads.",
    )
    if writes:
        yield Statement(
            f"GRANT SELECT, INSERT, UPDATE ON {table(heartbeat)} TO {user};\n"
            f"GRANT SELECT, INSERT, DELETE ON {table(signal)} TO {user};",
            "Write on these two alone.",
        )
    own = name(source.config.get("publication.name", ""))
    every = ", ".join(map(table, [*mapped, *([heartbeat, signal] if writes else [])]))
    if seen.publication:
        yield Statement(
            f"ALTER PUBLICATION {own} SET TABLE {every};", "The publication is there: these are its tables."
        )
    else:
        yield Statement(f"CREATE PUBLICATION {own} FOR TABLE {every};", "What the server sends to the connector.")


_SETTINGS_POSTGRES = (
    Statement(
        "ALTER SYSTEM SET wal_level = 'logical';",
        "Server: not needed where `SHOW wal_level` says logical. Restart the server after it.",
    ),
    Statement(
        "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';\nSELECT pg_reload_conf();",
        "A fuse: a connector that stands still must not fill the server's disk. Choose by the disk.",
    ),
)


def _look_postgres(source: Source, at: Target) -> Seen:
    wrong: list[str] = []
    mending: list[Statement] = []
    with preflight_postgres.connection(at) as database:
        server = database.execute(
            "SELECT current_setting('wal_level') AS wal_level, current_setting('max_slot_wal_keep_size') AS keep, "
            "current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots) AS free, "
            "EXISTS (SELECT FROM pg_roles WHERE rolname = %(user)s) AS role, "
            "EXISTS (SELECT FROM pg_publication WHERE pubname = %(publication)s) AS publication",
            {"user": _user(source), "publication": source.config.get("publication.name", "")},
        ).fetchone()
        assert server is not None
        own = [HEARTBEAT, SIGNAL]
        tables = database.execute(
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s)",
            [source.schema, own],
        )
        there = frozenset(f"{source.schema}.{row['name']}" for row in tables)
    if server["wal_level"] != "logical":
        wrong.append(f"wal_level is {server['wal_level']}: there is nothing to decode")
        mending.append(Statement("ALTER SYSTEM SET wal_level = 'logical';", "Restart the server after it."))
    if server["keep"] in ("-1", "-1MB"):
        wrong.append("max_slot_wal_keep_size is unlimited: a stopped connector fills the server's disk")
        mending.append(_SETTINGS_POSTGRES[1])
    if server["free"] < 1:
        wrong.append("no replication slot is free")
        mending.append(Statement("ALTER SYSTEM SET max_replication_slots = 20;", "Restart the server after it."))
    settings = tuple(mending) or (Statement("", "The server's settings are right."),)
    return Seen(tuple(wrong), settings, server["role"], server["publication"], there)


def _mariadb(source: Source, mapped: Sequence[str], writes: bool, seen: Seen) -> Iterator[Statement]:
    def table(qualified: str) -> str:
        return ".".join(quoted("mariadb", part) for part in qualified.split(".", 1))

    user = f"'{_user(source)}'@'%'"
    yield from seen.settings or _settings_mariadb(writes)
    if not seen.user:
        yield Statement(
            f"CREATE USER {user} IDENTIFIED BY '{PASSWORD}';",
            f"The connector's user. Its password goes into {source.name}.properties of the secrets folder "
            "(`password=…`).\nAn anonymous user ''@'localhost' would shadow it: drop that.",
        )
    monitor = "BINLOG MONITOR" if source.kind == "mariadb" else "REPLICATION CLIENT"
    yield Statement(
        f"GRANT RELOAD, SHOW DATABASES, REPLICATION SLAVE, {monitor}, LOCK TABLES ON *.* TO {user};",
        "Read the binlog, and hold still for the moment in which a snapshot notes its place.",
    )
    yield Statement(
        "\n".join(f"GRANT SELECT ON {table(one)} TO {user};" for one in mapped), "Read exactly what the mapping reads."
    )
    if not writes:
        return
    heartbeat, signal = f"{source.schema}.{HEARTBEAT}", f"{source.schema}.{SIGNAL}"
    if heartbeat not in seen.tables:
        columns = "id int PRIMARY KEY, ts timestamp(6) NOT NULL"
        yield Statement(f"CREATE TABLE {table(heartbeat)} ({columns});", "onhand's own two tables.")
    if signal not in seen.tables:
        columns = "id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048)"
        yield Statement(f"CREATE TABLE {table(signal)} ({columns});", "Signals: it is told here to read a table again.")
    yield Statement(
        f"GRANT SELECT, INSERT, UPDATE ON {table(heartbeat)} TO {user};\n"
        f"GRANT SELECT, INSERT, DELETE ON {table(signal)} TO {user};",
        "Write on these two alone.",
    )
    yield Statement(
        f"CREATE EVENT IF NOT EXISTS {table(heartbeat)} ON SCHEDULE EVERY 1 SECOND DO\n"
        f"  INSERT INTO {table(heartbeat)} (id, ts) VALUES (1, NOW(6)) ON DUPLICATE KEY UPDATE ts = VALUES(ts);",
        "Moves the binlog of an idle server, so that its promises do not look stale.",
    )


_WANTED_MARIADB = (
    ("log_bin", "ON", "", "there is nothing to read: set log_bin in the server's configuration and restart it"),
    ("binlog_format", "ROW", "SET GLOBAL binlog_format = 'ROW';", "changes come as statements, without rows"),
    ("binlog_row_image", "FULL", "SET GLOBAL binlog_row_image = 'FULL';", "columns would be absent"),
    ("log_bin_compress", "OFF", "SET GLOBAL log_bin_compress = OFF;", "not proven with this connector"),
    ("event_scheduler", "ON", "SET GLOBAL event_scheduler = ON;", "the heartbeat's event does not run"),
)
"""Variable, value, what sets it, why."""
_EXPIRE = Statement(
    "SET GLOBAL binlog_expire_logs_seconds = 864000;",
    "Ten days: a connector that stops before a weekend must find its binlog after it.",
)


def _settings_mariadb(writes: bool) -> Iterator[Statement]:
    wanted = [row for row in _WANTED_MARIADB if writes or row[0] != "event_scheduler"]
    yield Statement(
        "\n".join(statement for _, _, statement, _ in wanted if statement),
        "Server, and the same in its configuration file; log_bin must be set there, with a restart.",
    )
    yield _EXPIRE


def _look_mariadb(source: Source, at: Target, writes: bool) -> Seen:
    wrong: list[str] = []
    mending: list[Statement] = []
    with closing(preflight_mariadb.connection(at)) as database:
        names = (*(row[0] for row in _WANTED_MARIADB), "binlog_expire_logs_seconds")
        variables = {
            row["variable_name"].lower(): str(row["value"])
            for row in preflight_mariadb.rows(database, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", tuple(names))
        }
        tables = preflight_mariadb.rows(
            database,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name IN %s",
            source.schema,
            (HEARTBEAT, SIGNAL),
        )
        try:
            found = preflight_mariadb.rows(
                database, "SELECT 1 FROM mysql.user WHERE user = %s AND host = '%%'", _user(source)
            )
        except pymysql.Error:
            found = []  # who may not look into mysql.user gets CREATE USER, which says it is there
    for variable, value, statement, why in _WANTED_MARIADB:
        now = variables.get(variable)
        if now is not None and now != value and (writes or variable != "event_scheduler"):
            wrong.append(f"{variable} is {now}: {why}")
            mending += [Statement(statement, "And in the server's configuration file.")] if statement else []
    expire = float(variables.get("binlog_expire_logs_seconds") or 0)
    if 0 < expire < preflight_mariadb.MIN_EXPIRE_S:
        wrong.append(f"binlogs are purged after {expire / 3600:.0f} h")
        mending.append(_EXPIRE)
    settings = tuple(mending) or (Statement("", "The server's settings are right."),)
    own = frozenset(f"{source.schema}.{row['table_name']}" for row in tables)
    return Seen(tuple(wrong), settings, bool(found), False, own)
