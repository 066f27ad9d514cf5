"""Pre-flight of a MariaDB source: binlog, grants, tables (codes M01–M14)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, TypeAlias

import pymysql
from pymysql.cursors import DictCursor

from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source
from streams.connect.preflight import CONNECT_TIMEOUT_S, Captured, Target, captured

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
MIN_EXPIRE_S = 3 * 86_400
"""A weekend: a connector that stops on Friday must find its binlog on Monday."""
MAX_PULSE_S = 5
GLOBAL_GRANTS: Mapping[str, tuple[str, ...]] = {
    "RELOAD": ("RELOAD",),
    "LOCK TABLES": ("LOCK TABLES",),
    "SHOW DATABASES": ("SHOW DATABASES",),
    "REPLICATION SLAVE": ("REPLICATION SLAVE", "REPLICATION REPLICA"),
    "BINLOG MONITOR": ("BINLOG MONITOR", "REPLICATION CLIENT"),
}
"""Privilege the connector needs on *.* → names SHOW GRANTS may give it."""

Row = dict[str, Any]
Connection: TypeAlias = "pymysql.connections.Connection[DictCursor]"  # generic in its stubs only


def connection(at: Target) -> Connection:
    """A session as the connector's user; the caller closes it."""
    return pymysql.connect(
        host=at.host,
        port=at.port,
        user=at.user,
        password=at.password,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
        cursorclass=DictCursor,
    )


def rows(database: Connection, statement: str, *arguments: Any) -> list[Row]:
    """All rows, column names in small letters."""
    with database.cursor() as cursor:
        cursor.execute(statement, arguments or None)
        return [{key.lower(): value for key, value in row.items()} for row in cursor.fetchall()]


def check(source: Source, at: Target) -> list[Finding]:
    """Every finding, errors of connecting included."""
    tables = captured(source)
    try:
        with closing(connection(at)) as database:
            return [
                *_server(source, at, database),
                *_grants(source, at, database),
                *_tables(source, at, tables, database),
                *_pulse(source, tables, database),
            ]
    except pymysql.err.OperationalError as error:
        return [unreachable(source, at, error)]


def unreachable(source: Source, at: Target, error: Exception) -> Finding:
    """M01."""
    number, *text = error.args if error.args else (0,)
    reason = " ".join(map(str, text)) or str(error)
    if number == 1045:
        fix = (
            f"Set the password in the secret that database.password names, or: ALTER USER {at.user} IDENTIFIED BY '…'; "
            f"when there is no such user: `onhand source grants {source.name}`; a user ''@'localhost' would shadow it: "
            "drop that"
        )
    else:
        fix = "Start the server, or correct database.hostname and database.port"
    return Finding("M01", ERROR, source.name, at.name, f"cannot connect: {reason}", fix)


def binlogs(database: Connection) -> list[tuple[str, int]]:
    """(name, bytes) of the binlogs the server still has, oldest first."""
    return [(row["log_name"], int(row["file_size"])) for row in rows(database, "SHOW BINARY LOGS")]


def gtids(database: Connection) -> str:
    """The last transaction of each domain in the server's binlog."""
    return str(rows(database, "SELECT @@global.gtid_binlog_pos AS gtids")[0]["gtids"] or "")


def expire_s(database: Connection) -> float:
    """How long the server keeps a binlog, s; 0: for ever."""
    found = rows(database, "SHOW GLOBAL VARIABLES LIKE 'binlog_expire_logs_seconds'")
    return float(found[0]["value"]) if found else 0.0


def is_read(database: Connection) -> bool:
    """Somebody logged in as this user reads the binlog."""
    return any(str(row["command"]).startswith("Binlog Dump") for row in rows(database, "SHOW PROCESSLIST"))


def _server(source: Source, at: Target, database: Connection) -> Iterator[Finding]:
    names = "log_bin,binlog_format,binlog_row_image,binlog_expire_logs_seconds,log_bin_compress,server_id,version"
    variables = {
        row["variable_name"].lower(): str(row["value"])
        for row in rows(database, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", tuple(names.split(",")))
    }

    def found(code: str, severity: Severity, message: str, fix: str) -> Finding:
        return Finding(code, severity, source.name, at.name, message, fix)

    if "mariadb" not in variables.get("version", "").lower():
        message = f"the server is {variables.get('version')}, not MariaDB"
        yield found("M02", ERROR, message, "This connector is proven for MariaDB only")
    if variables.get("log_bin") != "ON":
        yield found("M03", ERROR, "log_bin is off: there is nothing to read", "Set log_bin and restart the server")
        return
    if variables.get("binlog_format") != "ROW":
        message = f"binlog_format is {variables.get('binlog_format')}: changes come as statements, without rows"
        yield found("M04", ERROR, message, "SET GLOBAL binlog_format = 'ROW'; and in the server's configuration")
    if variables.get("binlog_row_image") not in (None, "FULL"):
        message = f"binlog_row_image is {variables['binlog_row_image']}: columns would be absent"
        yield found("M04", ERROR, message, "SET GLOBAL binlog_row_image = 'FULL'; and in the server's configuration")
    if variables.get("log_bin_compress", "OFF") != "OFF":
        message = "log_bin_compress is on: not proven with this connector"
        yield found("M05", ERROR, message, "SET GLOBAL log_bin_compress = OFF; and in the server's configuration")
    expire = float(variables.get("binlog_expire_logs_seconds") or 0)
    if 0 < expire < MIN_EXPIRE_S:
        message = f"binlogs are purged after {expire / 3600:.0f} h: a connector stopped for longer must start over"
        fix = "SET GLOBAL binlog_expire_logs_seconds = 864000; and in the server's configuration"
        yield found("M06", WARNING, message, fix)
    if variables.get("server_id") == source.config.get("database.server.id"):
        message = f"database.server.id {variables['server_id']} is the server's own id: it refuses such a reader"
        yield found("M07", ERROR, message, "Give the connector an id that no server of this replication has")


def _grants(source: Source, at: Target, database: Connection) -> Iterator[Finding]:
    who = rows(database, "SELECT CURRENT_USER() AS who")[0]["who"]
    if who.startswith("@"):
        message = f"logs in as the anonymous user '{who}'"
        fix = "DROP USER ''@'localhost'; anonymous users shadow others"
        yield Finding("M08", ERROR, source.name, at.name, message, fix)
    held: set[str] = set()
    for row in rows(database, "SHOW GRANTS"):
        granted = re.match(r"GRANT (.+?) ON \*\.\* TO", next(iter(row.values())))
        if granted:
            held |= {name.strip().upper() for name in granted[1].split(",")}
    if held & {"ALL PRIVILEGES", "SUPER"} == {"ALL PRIVILEGES"}:
        return
    missing = [name for name, any_of in GLOBAL_GRANTS.items() if not held & set(any_of)]
    if missing:
        user, _, host = who.rpartition("@")
        fix = f"GRANT {', '.join(missing)} ON *.* TO '{user}'@'{host}';"
        message = f"{who} has not {', '.join(missing)}: the snapshot or the binlog reader would fail"
        yield Finding("M08", ERROR, source.name, at.name, message, fix)


def _tables(source: Source, at: Target, tables: Captured, database: Connection) -> Iterator[Finding]:
    wanted = sorted({*tables.tables, *filter(None, (tables.heartbeat, tables.signal))})
    for table in wanted:
        place = f"table {table}"
        error = _try(database, f"SELECT 1 FROM {_quoted(table)} LIMIT 0")
        if error in (1146, 1049):
            yield Finding("M09", ERROR, source.name, place, "does not exist", _create(table, tables))
            continue
        if error is not None:
            fix = f"GRANT SELECT ON {_quoted(table)} TO '{at.user}'@'%';"
            message = f"{at.user} may not SELECT it ({error}), or it does not exist: it would be left out"
            yield Finding("M10", ERROR, source.name, place, message, fix)
            continue
        if not _has_key(database, table):
            fix = f"ALTER TABLE {_quoted(table)} ADD PRIMARY KEY (…); a row without a key has no identity"
            yield Finding("M09", ERROR, source.name, place, "is a view or has no primary key", fix)
        for kind, writes in (("heartbeat", "INSERT, UPDATE"), ("signal", "INSERT")):
            if table == getattr(tables, kind) and not _may_write(database, table, writes):
                fix = f"GRANT {writes} ON {_quoted(table)} TO '{at.user}'@'%';"
                yield Finding("M11", ERROR, source.name, place, f"{at.user} may not write the {kind}", fix)
    for pattern in tables.open_ended:
        fix = "Name the tables one by one, so that they can be checked"
        message = f"{pattern} could match any table; its tables are not checked"
        yield Finding("M09", WARNING, source.name, source.place("table.include.list"), message, fix)


def _pulse(source: Source, tables: Captured, database: Connection) -> Iterator[Finding]:
    """M14: this connector beats only when the binlog moves, so an idle server must move it by itself."""
    table = tables.heartbeat
    if table is None or _try(database, f"SELECT ts FROM {_quoted(table)} LIMIT 0") is not None:
        return
    age_s = rows(database, f"SELECT TIMESTAMPDIFF(SECOND, MAX(ts), NOW()) AS age FROM {_quoted(table)}")[0]["age"]
    if age_s is not None and age_s <= MAX_PULSE_S:
        return
    yield Finding(
        "M14",
        WARNING,
        source.name,
        f"table {table}",
        "no heartbeat is written: while the server is idle its heartbeats come every 48 s only, and its promises look "
        "stale",
        "SET GLOBAL event_scheduler = ON; (and in the server's configuration) "
        f"CREATE EVENT {table} ON SCHEDULE EVERY 1 SECOND DO INSERT INTO {table} (id, ts) VALUES (1, NOW(6)) "
        "ON DUPLICATE KEY UPDATE ts = VALUES(ts);",
    )


def _try(database: Connection, statement: str) -> int | None:
    """Error number of a statement, None when it works."""
    try:
        rows(database, statement)
    except (pymysql.err.OperationalError, pymysql.err.ProgrammingError) as error:
        return int(error.args[0])
    return None


def _has_key(database: Connection, table: str) -> bool:
    schema, name = table.split(".", 1)
    return bool(
        rows(
            database,
            "SELECT 1 FROM information_schema.statistics "
            "WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY' LIMIT 1",
            schema,
            name,
        )
    )


def _may_write(database: Connection, table: str, privileges: str) -> bool:
    """EXPLAIN asks for the same privileges as the statement and changes nothing."""
    statements = {
        "INSERT": f"EXPLAIN INSERT INTO {_quoted(table)} SELECT * FROM {_quoted(table)} LIMIT 0",
        "UPDATE": f"EXPLAIN UPDATE {_quoted(table)} SET id = id WHERE 1 = 0",
    }
    return all(_try(database, statements[privilege]) is None for privilege in privileges.split(", "))


def _quoted(table: str) -> str:
    return ".".join(f"`{part}`" for part in table.split(".", 1))


def _create(table: str, tables: Captured) -> str:
    if table == tables.heartbeat:
        return f"CREATE TABLE {table} (id int PRIMARY KEY, ts timestamp(6) NOT NULL);"
    if table == tables.signal:
        return f"CREATE TABLE {table} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));"
    return "Correct table.include.list: the connector would run without it and say nothing"
