"""Pre-flight of a PostgreSQL source: server, role, slot, publication, tables (codes P01–P14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source
from streams.connect.preflight import CONNECT_TIMEOUT_S, Captured, Target, captured

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
LAG_WARNING_BYTES = 1 << 30
"""A slot this far behind makes the server read that much WAL again before anything flows."""

Row = dict[str, Any]
Connection = psycopg.Connection[Row]

_SERVER = """
SELECT current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots) AS free_slots,
       current_setting('max_wal_senders')::int
         - (SELECT count(*) FROM pg_stat_get_activity(NULL) a WHERE a.backend_type = 'walsender') AS free_senders,
       current_setting('max_slot_wal_keep_size') AS keep_size,
       r.rolreplication OR r.rolsuper AS may_replicate
  FROM pg_roles r WHERE r.rolname = current_user
"""

_SLOT = """
SELECT slot_name, plugin, database, active, wal_status,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS behind_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint AS unconfirmed_bytes,
       safe_wal_size
  FROM pg_replication_slots WHERE slot_name = %s
"""

_PUBLICATION = "SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = %s"

_PUBLISHED = """
SELECT t.schemaname || '.' || t.tablename AS table, t.rowfilter IS NOT NULL AS filtered,
       cardinality(t.attnames) < (SELECT count(*) FROM pg_attribute a
                                   WHERE a.attrelid = format('%%I.%%I', t.schemaname, t.tablename)::regclass
                                     AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS narrowed
  FROM pg_publication_tables t WHERE t.pubname = %s
"""

_TABLES = """
SELECT n.nspname || '.' || c.relname AS table, c.relkind, c.relreplident,
       has_schema_privilege(n.oid, 'USAGE') AS may_use,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS may_select,
       has_table_privilege(c.oid, 'INSERT') AS may_insert,
       has_table_privilege(c.oid, 'UPDATE') AS may_update,
       EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS has_key,
       EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident) AS has_identity_index,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname || '.' || c.relname = ANY(%s)
"""


@contextmanager
def connection(at: Target) -> Iterator[Connection]:
    """A session as the connector's user."""
    with psycopg.connect(
        host=at.host,
        port=at.port,
        user=at.user,
        password=at.password,
        dbname=at.database,
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name="onhand",
        autocommit=True,
        row_factory=dict_row,
    ) as opened:
        yield opened


def slot_state(database: Connection, slot: str) -> Row | None:
    """The slot's row of pg_replication_slots with its lags in bytes; None: there is no such slot."""
    return database.execute(_SLOT, [slot]).fetchone()


def wal_end(database: Connection) -> int:
    """The LSN up to which the server has written its WAL."""
    row = database.execute("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS lsn").fetchone()
    assert row is not None
    return int(row["lsn"])


def system_identifier(database: Connection) -> str:
    """Of the cluster: a copy of its files has the same, another initdb never."""
    row = database.execute("SELECT system_identifier::text AS id FROM pg_control_system()").fetchone()
    assert row is not None
    return str(row["id"])


def check(source: Source, at: Target) -> list[Finding]:
    """Every finding, errors of connecting included."""
    tables = captured(source)
    try:
        with connection(at) as database:
            return [
                *_server(source, at, database),
                *_slot(source, database),
                *_publication(source, tables, database),
                *_tables(source, at, tables, database),
            ]
    except psycopg.OperationalError as error:
        return [unreachable(source, at, error)]


def unreachable(source: Source, at: Target, error: Exception) -> Finding:
    """P01."""
    reason = " ".join(str(error).split())
    if "password authentication failed" in reason:
        fix = (
            f"Set the password in the secret that database.password names, or: ALTER ROLE {at.user} PASSWORD '…'; when "
            f"there is no such role: `onhand source grants {source.name}`"
        )
    elif "does not exist" in reason:
        fix = "Correct database.dbname or database.user, or create them"
    else:
        fix = "Start the server, or correct database.hostname and database.port"
    return Finding("P01", ERROR, source.name, at.name, f"cannot connect: {reason}", fix)


def _server(source: Source, at: Target, database: Connection) -> Iterator[Finding]:
    server = database.execute(_SERVER).fetchone()
    if server is None:
        return

    def found(code: str, severity: Severity, message: str, fix: str) -> Finding:
        return Finding(code, severity, source.name, at.name, message, fix)

    if server["wal_level"] != "logical":
        message = f"wal_level is {server['wal_level']}: there is nothing to decode"
        yield found("P02", ERROR, message, "ALTER SYSTEM SET wal_level = 'logical'; then restart the server")
    if not server["may_replicate"]:
        message = f"role {at.user} may not replicate"
        yield found("P03", ERROR, message, f"ALTER ROLE {at.user} REPLICATION;")
    slot = source.config.get("slot.name", "")
    if slot_state(database, slot) is None and server["free_slots"] < 1:
        message = "no free replication slot"
        fix = "Drop one that nobody uses (pg_replication_slots) or raise max_replication_slots and restart the server"
        yield found("P04", ERROR, message, fix)
    if server["free_senders"] < 1:
        fix = "Raise max_wal_senders and restart the server"
        yield found("P04", WARNING, "no free WAL sender", fix)
    if server["keep_size"] in ("-1", "-1MB"):
        message = "max_slot_wal_keep_size is unlimited: a stopped connector fills the server's disk"
        fix = "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();"
        yield found("P05", WARNING, message, fix)


def _slot(source: Source, database: Connection) -> Iterator[Finding]:
    name = source.config.get("slot.name", "")
    slot = slot_state(database, name)
    if slot is None:
        return
    yield from slot_findings(source, slot)
    if slot["plugin"] != "pgoutput" or slot["database"] != source.config.get("database.dbname"):
        yield Finding(
            "P06",
            ERROR,
            source.name,
            f"slot {name}",
            f"the slot belongs to database {slot['database']} and plugin {slot['plugin']}",
            "Give this source a slot.name of its own",
        )


def slot_findings(source: Source, slot: Row) -> Iterator[Finding]:
    """P06, P07: what the slot's state means, for pre-flight and status alike."""
    place = f"slot {slot['slot_name']}"
    if slot["wal_status"] == "lost":
        yield Finding(
            "P06",
            ERROR,
            source.name,
            place,
            "the slot is lost (wal_status): the server removed WAL that the connector has not read, and the connector "
            "would wait without a word",
            f"SELECT pg_drop_replication_slot('{slot['slot_name']}'); then `onhand source resnapshot {source.name}`",
        )
        return
    if slot["wal_status"] == "unreserved":
        yield Finding(
            "P06",
            WARNING,
            source.name,
            place,
            "the slot is about to be lost (wal_status unreserved)",
            "Let the connector run at once, and raise max_slot_wal_keep_size",
        )
    if (slot["behind_bytes"] or 0) > LAG_WARNING_BYTES:
        yield Finding(
            "P07",
            WARNING,
            source.name,
            place,
            f"{slot['behind_bytes'] >> 20} MiB of WAL are kept for this slot",
            "Let the connector run; look for a transaction that has been open for long",
        )


def _publication(source: Source, tables: Captured, database: Connection) -> Iterator[Finding]:
    name = source.config.get("publication.name", "")
    place = f"publication {name}"
    wanted = sorted({*tables.tables, *filter(None, (tables.heartbeat, tables.signal))})
    publication = database.execute(_PUBLICATION, [name]).fetchone()
    if publication is None:
        fix = f"CREATE PUBLICATION {name} FOR TABLE {', '.join(wanted)};"
        yield Finding("P08", ERROR, source.name, place, "there is no such publication in this database", fix)
        return
    missing = [kind for kind in ("insert", "update", "delete", "truncate") if not publication[f"pub{kind}"]]
    if missing:
        fix = f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');"
        yield Finding("P08", ERROR, source.name, place, f"it does not publish {', '.join(missing)}", fix)
    published = {row["table"]: row for row in database.execute(_PUBLISHED, [name])}
    existing = {row["table"] for row in database.execute(_TABLES, [wanted])}
    outside = [table for table in wanted if table not in published and table in existing]
    if outside:
        message = f"not in the publication: {', '.join(outside)}: their changes would never come"
        fix = f"ALTER PUBLICATION {name} ADD TABLE {', '.join(outside)};"
        yield Finding("P09", ERROR, source.name, place, message, fix)
    for table in wanted:
        row = published.get(table)
        if row and (row["filtered"] or row["narrowed"]):
            what = "some rows" if row["filtered"] else "some columns"
            fix = f"ALTER PUBLICATION {name} DROP TABLE {table}; ALTER PUBLICATION {name} ADD TABLE {table};"
            yield Finding("P09", ERROR, source.name, place, f"{table} is published with {what} only", fix)


def _tables(source: Source, at: Target, tables: Captured, database: Connection) -> Iterator[Finding]:
    wanted = sorted({*tables.tables, *filter(None, (tables.heartbeat, tables.signal))})
    existing = {row["table"]: row for row in database.execute(_TABLES, [wanted])}
    for table in wanted:
        place = f"table {table}"
        row = existing.get(table)
        if row is None:
            yield Finding("P10", ERROR, source.name, place, "does not exist", _create(table, tables))
            continue
        if row["relkind"] not in ("r", "p"):
            fix = "Capture the tables behind it and join them in the mapping"
            yield Finding("P10", ERROR, source.name, place, "is a view, which cannot be captured", fix)
            continue
        if not row["may_select"]:
            usage = "" if row["may_use"] else f"GRANT USAGE ON SCHEMA {table.split('.')[0]} TO {at.user}; "
            fix = f"{usage}GRANT SELECT ON {table} TO {at.user};"
            yield Finding("P11", ERROR, source.name, place, f"{at.user} may not SELECT: it would be left out", fix)
        yield from _identity(source, table, row)
        if table == tables.heartbeat and not (row["may_insert"] and row["may_update"]):
            fix = f"GRANT INSERT, UPDATE ON {table} TO {at.user};"
            yield Finding("P13", ERROR, source.name, place, f"{at.user} may not write the heartbeat", fix)
        if table == tables.signal:
            if not row["may_insert"]:
                fix = f"GRANT INSERT ON {table} TO {at.user};"
                yield Finding("P14", ERROR, source.name, place, f"{at.user} may not write signals", fix)
            if row["columns"][:3] != ["id", "type", "data"]:
                have = ", ".join(row["columns"])
                yield Finding("P14", ERROR, source.name, place, f"its columns are {have}", _create(table, tables))
    for pattern in tables.open_ended:
        fix = "Name the tables one by one, so that they can be checked"
        message = f"{pattern} could match any table; its tables are not checked"
        yield Finding("P10", WARNING, source.name, source.place("table.include.list"), message, fix)


def _identity(source: Source, table: str, row: Row) -> Iterator[Finding]:
    """P12: a delete must say which row."""
    place = f"table {table}"
    if not row["has_key"]:
        fix = f"ALTER TABLE {table} ADD PRIMARY KEY (…); a row without a key has no identity"
        yield Finding("P12", ERROR, source.name, place, "has no primary key", fix)
    elif row["relreplident"] == "n":
        fix = f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT;"
        message = "REPLICA IDENTITY NOTHING: the server refuses updates and deletes of published tables"
        yield Finding("P12", ERROR, source.name, place, message, fix)
    elif row["relreplident"] == "i" and not row["has_identity_index"]:
        fix = f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT;"
        yield Finding("P12", ERROR, source.name, place, "its replica identity index is gone", fix)


def _create(table: str, tables: Captured) -> str:
    if table == tables.heartbeat:
        return f"CREATE TABLE {table} (id integer PRIMARY KEY, ts timestamptz NOT NULL);"
    if table == tables.signal:
        return f"CREATE TABLE {table} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));"
    return "Correct table.include.list: the connector would run without it and say nothing"
