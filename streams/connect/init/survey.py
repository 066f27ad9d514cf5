"""What a database says of itself before anything of onhand's is there: tables, keys, sizes, names that are taken.

The catalogue is read, and of a few columns of at most 200,000 rows which codes occur, and whether one occurs twice.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pymysql
from psycopg import sql

from schemas.errors import EnvironmentFault, InvalidInput
from schemas.secrets import REFERENCE, resolve
from streams.connect import preflight_mariadb, preflight_postgres
from streams.connect.catalogue import read_catalogue, session
from streams.connect.preflight import Target
from streams.connect.statements import quoted
from streams.core.mapping.catalogue import Catalogue

KINDS = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mariadb": "mariadb",
    "mysql": "mariadb",
    "sqlserver": "sqlserver",
    "mssql": "sqlserver",
    "oracle": "oracle",
}
PORTS = {"postgres": 5432, "mariadb": 3306, "sqlserver": 1433, "oracle": 1521}
MAX_CODES = 40
"""A column with more different values is no status."""
MAX_LOOKED_AT = 200_000
"""Rows that are looked at for the values of a column."""

_FOREIGN_POSTGRES = """
SELECT r.relname AS table, t.relname AS target,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(f.confkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum) AS target_columns
  FROM pg_constraint f JOIN pg_class r ON r.oid = f.conrelid JOIN pg_class t ON t.oid = f.confrelid
  JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE f.contype = 'f' AND n.nspname = %s AND t.relnamespace = r.relnamespace ORDER BY 1, f.conname
"""

_FOREIGN_MARIADB = """
SELECT table_name AS 'table', referenced_table_name AS target,
       GROUP_CONCAT(column_name ORDER BY ordinal_position SEPARATOR '\n') AS columns,
       GROUP_CONCAT(referenced_column_name ORDER BY ordinal_position SEPARATOR '\n') AS target_columns
  FROM information_schema.key_column_usage
 WHERE table_schema = %s AND referenced_table_schema = table_schema
 GROUP BY table_name, constraint_name, referenced_table_name ORDER BY 1, constraint_name
"""

_ROWS_POSTGRES = """
SELECT c.relname AS table,
       CASE WHEN greatest(c.reltuples, s.n_live_tup) > 0 THEN greatest(c.reltuples, s.n_live_tup)::bigint
            WHEN c.relkind = 'r' AND pg_relation_size(c.oid) = 0 THEN 0 END AS rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
"""

_SCHEMAS_POSTGRES = """
SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
 GROUP BY 1 ORDER BY count(*) DESC, 1
"""

_SCHEMAS_MARIADB = """
SELECT table_schema AS 'schema' FROM information_schema.tables
 WHERE table_type = 'BASE TABLE'
   AND table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
 GROUP BY 1 ORDER BY COUNT(*) DESC, 1
"""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A declared reference between two tables of the schema."""

    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """One schema of one database, as `init` found it."""

    kind: str
    at: Target
    """Password never shown."""
    catalogue: Catalogue
    foreign_keys: tuple[ForeignKey, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    """Table → about how many rows; a table that was never analyzed is not there."""
    time_zone: str = "UTC"
    taken: frozenset[str] = frozenset()
    """Slots and publications of the server, and server ids, as text: a new source needs others."""
    codes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """(table, status column) → the codes that occur."""
    notes: tuple[str, ...] = ()
    """What a person should know about how this was found."""

    @property
    def schema(self) -> str:
        return self.catalogue.schema


def parse_dsn(text: str, kind: str | None = None, secrets_dirs: Sequence[Path] = ()) -> tuple[str, Target]:
    """(kind, where) of `postgresql://user:password@host:port/database`; `${env:…}`, `${file:…}` in it are resolved.

    Raises InvalidInput, which never repeats the text: it may hold a password.
    """
    parts = urlsplit(REFERENCE.sub(lambda found: quote(resolve(found[0], secrets_dirs), safe=""), text))
    found = KINDS.get(kind or parts.scheme)
    if found is None:
        known = "postgresql://, mariadb://, sqlserver://, oracle://"
        raise InvalidInput(f"--dsn begins with {parts.scheme or 'nothing'}://, which is no database: {known}")
    try:
        port = parts.port or PORTS[found]
    except ValueError:
        raise InvalidInput("--dsn: the port is no number, or a / # ? @ of the password is not written as %…") from None
    if not parts.hostname:
        raise InvalidInput(f"--dsn names no host: {parts.scheme}://user@host:{port}/database")
    target = Target(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
    )
    return found, target


def survey(kind: str, at: Target, schema: str | None = None) -> Survey:
    """Read a PostgreSQL or MariaDB database.  Raises EnvironmentFault, InvalidInput."""
    try:
        return _postgres(at, schema) if kind == "postgres" else _mariadb(at, schema or at.database or None)
    except (psycopg.Error, pymysql.Error) as error:
        raise not_read(at, error) from None


def not_read(at: Target, error: psycopg.Error | pymysql.Error) -> EnvironmentFault:
    """Why the database that --dsn names was not read, and what to correct: refused by a server, or no server."""
    reason = " ".join(str(error.args[-1] if error.args else error).split())
    if isinstance(error, psycopg.Error):
        refused = error.sqlstate is not None or "FATAL:" in reason  # a refused login carries no SQLSTATE
    else:
        refused = bool(error.args) and error.args[0] not in range(2000, 3000)  # those are the client's own
    what = "user, password or database in --dsn" if refused else "host and port in --dsn, or start the server"
    return EnvironmentFault(f"database {at.name}: {reason}; correct {what}")


def with_codes(found: Survey, columns: Sequence[tuple[str, str]]) -> Survey:
    """The same, knowing which codes occur in these columns (table, column); big tables are sampled."""
    codes: dict[tuple[str, str], tuple[str, ...]] = {}
    with session(found.kind, _in_schema(found)) as cursor:
        for table, column in columns:
            inner = _some(found, table, column)
            cursor.execute(f"SELECT DISTINCT c FROM ({inner}) AS t LIMIT {MAX_CODES + 1}")
            values = sorted(str(row[0]).strip() for row in cursor.fetchall())
            if len(values) <= MAX_CODES:
                codes[table, column] = tuple(values)
    return replace(found, codes=codes)


def codes_twice(found: Survey, columns: Sequence[tuple[str, str]]) -> list[str]:
    """Which of these columns (table, column) hold a value twice, a line each; of big tables some rows are read."""
    lines = []
    with session(found.kind, _in_schema(found)) as cursor:
        for table, column in columns:
            inner = _some(found, table, column)
            cursor.execute(f"SELECT c, COUNT(*) FROM ({inner}) AS t GROUP BY c HAVING COUNT(*) > 1 LIMIT 1")
            row = cursor.fetchone()
            if row is not None:
                lines.append(f"{table}.{column} is no key: {row[1]} rows have {str(row[0]).strip()!r}")
    return lines


def _some(found: Survey, table: str, column: str) -> str:
    """A query of the values of one column, `c`, of a bounded number of rows."""
    place = f"{quoted(found.kind, found.schema)}.{quoted(found.kind, table)}"
    name = quoted(found.kind, column)
    return f"SELECT {name} AS c FROM {place} WHERE {name} IS NOT NULL LIMIT {MAX_LOOKED_AT}"


def _in_schema(found: Survey) -> Target:
    if found.kind == "postgres":
        return found.at
    return Target(found.at.host, found.at.port, found.at.user, found.at.password, found.schema)


def _chosen(schema: str | None, schemas: Sequence[str], at: Target, notes: list[str]) -> str:
    """The schema that was named, or the first of those with tables, which has the most.  Raises InvalidInput."""
    if schema is None:
        if not schemas:
            raise InvalidInput(f"database {at.name}: no tables that {at.user} can see; name another with --dsn")
        schema, *others = schemas
        if others:
            notes.append(f"schema {schema} has the most tables; there are also {', '.join(others)} (--schema)")
    elif schema not in schemas:
        there = ", ".join(schemas) or "none"
        raise InvalidInput(f"database {at.name}: no tables in schema {schema} (there are: {there})")
    return schema


def _postgres(at: Target, schema: str | None) -> Survey:
    notes: list[str] = []
    with preflight_postgres.connection(at) as database:
        schema = _chosen(schema, [row["schema"] for row in database.execute(_SCHEMAS_POSTGRES)], at, notes)
        foreign = tuple(
            ForeignKey(row["table"], tuple(row["columns"]), row["target"], tuple(row["target_columns"]))
            for row in database.execute(_FOREIGN_POSTGRES, [schema])
        )
        sizes = {row["table"]: row["rows"] for row in database.execute(_ROWS_POSTGRES, [schema])}
        taken = {row["name"] for row in database.execute("SELECT slot_name::text AS name FROM pg_replication_slots")}
        taken |= {row["name"] for row in database.execute("SELECT pubname::text AS name FROM pg_publication")}
        zone = database.execute(sql.SQL("SELECT current_setting('TimeZone') AS zone")).fetchone()
    time_zone = _zone(str(zone["zone"]) if zone else "UTC", notes)
    with session("postgres", at) as cursor:
        catalogue = read_catalogue(cursor, "postgres", schema)
    hidden = sorted(sizes.keys() - catalogue.tables.keys())
    if hidden:
        some = ", ".join(hidden[:5]) + (" …" if len(hidden) > 5 else "")
        notes.append(f"{at.user} may not read {len(hidden)} tables, which are left out: {some}")
    rows = {table: size for table, size in sizes.items() if size is not None}
    return Survey("postgres", at, catalogue, foreign, rows, time_zone, frozenset(taken), notes=tuple(notes))


def _mariadb(at: Target, schema: str | None) -> Survey:
    notes: list[str] = []
    with closing(preflight_mariadb.connection(at)) as database:
        found = [row["schema"] for row in preflight_mariadb.rows(database, _SCHEMAS_MARIADB)]
        schema = _chosen(schema, found, at, notes)
        foreign = tuple(
            ForeignKey(
                row["table"], tuple(row["columns"].split("\n")), row["target"], tuple(row["target_columns"].split("\n"))
            )
            for row in preflight_mariadb.rows(database, _FOREIGN_MARIADB, schema)
        )
        estimates = preflight_mariadb.rows(
            database, "SELECT table_name, table_rows FROM information_schema.tables WHERE table_schema = %s", schema
        )
        rows = {row["table_name"]: int(row["table_rows"]) for row in estimates if row["table_rows"] is not None}
        server = preflight_mariadb.rows(
            database,
            "SELECT @@global.server_id AS id, @@version AS version, "
            "IF(@@global.time_zone = 'SYSTEM', @@system_time_zone, @@global.time_zone) AS zone",
        )[0]
        if "mariadb" not in str(server["version"]).lower():
            raise InvalidInput(f"server {at.name} is MySQL {server['version']}: init reads PostgreSQL and MariaDB")
        time_zone = _zone(str(server["zone"]), notes)
        taken = {str(server["id"]), *_replicas(database)}
    with session("mariadb", Target(at.host, at.port, at.user, at.password, schema)) as cursor:
        catalogue = read_catalogue(cursor, "mariadb", schema)
    return Survey("mariadb", at, catalogue, foreign, rows, time_zone, frozenset(taken), notes=tuple(notes))


def _replicas(database: preflight_mariadb.Connection) -> set[str]:
    """Server ids of those that read the binlog now, as far as this user may know."""
    try:
        return {str(row["server_id"]) for row in preflight_mariadb.rows(database, "SHOW REPLICA HOSTS")}
    except pymysql.Error:
        return set()


def _zone(name: str, notes: list[str]) -> str:
    """The server's time zone when it has a name that means one."""
    if name in ("+00:00", "GMT", "Etc/UTC"):
        return "UTC"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        notes.append(f"the server's time zone {name} has no name like Europe/Paris: source.yaml says UTC, mend it")
        return "UTC"
    return name
