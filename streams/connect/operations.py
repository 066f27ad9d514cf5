"""What a person does to a running source: take a new snapshot, read one table again, remove the connector."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.apply import POLL_S, Cluster, Report, SourceNotRunning, wait_for_records
from streams.connect.client import ConnectClient
from streams.connect.folder import Source
from streams.connect.preflight import captured, target
from streams.connect.source_log import SourceLog


def stop_and_wait(client: ConnectClient, name: str, deadline_s: float) -> None:
    """Until the connector is STOPPED and has no task left; offsets may only be changed then.

    Raises InvalidInput when there is no such connector, SourceNotRunning when a task does not end.
    """
    if client.status(name) is None:
        raise InvalidInput(f"there is no connector {name}; `onhand source apply {name}` makes it")
    client.stop(name)
    deadline = time.monotonic() + deadline_s
    while True:
        status = client.status(name)
        if status is None or (status.state == "STOPPED" and not status.tasks):
            return
        if time.monotonic() > deadline:
            raise SourceNotRunning(f"{name}: its task does not end within {deadline_s:.0f} s; restart the worker")
        time.sleep(POLL_S)


def resnapshot(source: Source, cluster: Cluster, report: Report) -> str:
    """Read everything anew: stop, forget the offsets, resume.

    The lane keeps what it has, withdraws at the end what the snapshot did not bring (mark and sweep), and holds
    increases meanwhile.  A lost slot is dropped, so that the connector makes a new one.
    """
    client = cluster.client
    report(f"{source.name}: stopping")
    stop_and_wait(client, source.name, cluster.deadline_s)
    if source.kind == "postgres":
        _drop_lost_slot(source, cluster.secrets_dirs, report)
    client.delete_offsets(source.name)
    with SourceLog(cluster.bootstrap, source.topic) as log:
        end = log.end() or 0
        client.resume(source.name)
        report(f"{source.name}: waiting for the snapshot's first record")
        return wait_for_records(source, cluster, log, end)


def incremental(source: Source, tables: Sequence[str], secrets_dirs: Sequence[Path]) -> str:
    """Ask the running connector to read some tables again beside the stream, by a row in the signal table.

    Answers the signal's id, which stands in the log's notifications.
    """
    qualified = [table if "." in table else f"{source.schema}.{table}" for table in tables]
    known = captured(source)
    unknown = [table for table in qualified if known.tables and table not in known.tables]
    if unknown and not known.open_ended:
        raise InvalidInput(f"{', '.join(unknown)}: not captured; add to table.include.list and apply first")
    if known.signal is None:
        raise InvalidInput(f"{source.place()}: signal.data.collection is missing")
    signal = uuid.uuid4().hex
    data = json.dumps({"data-collections": qualified, "type": "incremental"})
    _write_signal(source, secrets_dirs, known.signal, (signal, "execute-snapshot", data))
    return signal


def remove(source: str, client: ConnectClient, *, forget: bool, deadline_s: float, report: Report) -> None:
    """Remove the connector.  Its offsets stay, so that apply goes on where it was, unless `forget`."""
    if client.status(source) is None:
        raise InvalidInput(f"there is no connector {source}")
    if forget:
        report(f"{source}: stopping")
        stop_and_wait(client, source, deadline_s)
        client.delete_offsets(source)
    client.delete(source)
    deadline = time.monotonic() + deadline_s
    while client.status(source) is not None:  # Connect answers before it is gone
        if time.monotonic() > deadline:
            raise SourceNotRunning(f"{source}: is still there {deadline_s:.0f} s after its removal; look at the worker")
        time.sleep(POLL_S)


def drop_slot(source: Source, secrets_dirs: Sequence[Path], deadline_s: float = 30.0) -> bool:
    """Drop a PostgreSQL source's slot once nobody reads it; False: there was none."""
    import psycopg

    from streams.connect import preflight_postgres as postgres

    at = target(source, secrets_dirs)
    name = source.config["slot.name"]
    deadline = time.monotonic() + deadline_s
    try:
        with postgres.connection(at) as database:
            while (slot := postgres.slot_state(database, name)) is not None:
                if not slot["active"]:
                    database.execute("SELECT pg_drop_replication_slot(%s)", [name])
                    return True
                if time.monotonic() > deadline:
                    raise EnvironmentFault(f"slot {name} is still being read; stop its reader, then drop it")
                time.sleep(POLL_S)
    except psycopg.Error as error:
        raise EnvironmentFault(f"{at.name}: slot {name}: {error}") from None
    return False


def _drop_lost_slot(source: Source, secrets_dirs: Sequence[Path], report: Report) -> None:
    import psycopg

    from streams.connect import preflight_postgres as postgres

    at = target(source, secrets_dirs)
    try:
        with postgres.connection(at) as database:
            slot = postgres.slot_state(database, source.config["slot.name"])
    except psycopg.Error as error:
        raise EnvironmentFault(f"{at.name}: {error}") from None
    if slot is not None and slot["wal_status"] == "lost":
        report(f"{source.name}: dropping the lost slot")
        drop_slot(source, secrets_dirs)


def _write_signal(source: Source, secrets_dirs: Sequence[Path], table: str, row: tuple[str, str, str]) -> None:
    at = target(source, secrets_dirs)
    schema, name = table.split(".", 1)
    if source.kind == "postgres":
        import psycopg
        from psycopg import sql

        from streams.connect import preflight_postgres as postgres

        statement = sql.SQL("INSERT INTO {} (id, type, data) VALUES (%s, %s, %s)").format(sql.Identifier(schema, name))
        try:
            with postgres.connection(at) as database:
                database.execute(statement, row)
        except psycopg.Error as error:
            raise EnvironmentFault(f"{at.name}: signal table {table}: {error}") from None
        return
    import pymysql

    from streams.connect import preflight_mariadb as mariadb

    try:
        with closing(mariadb.connection(at)) as server:
            mariadb.rows(server, f"INSERT INTO `{schema}`.`{name}` (id, type, data) VALUES (%s, %s, %s)", *row)
    except pymysql.err.MySQLError as error:
        raise EnvironmentFault(f"{at.name}: signal table {table}: {error}") from None
