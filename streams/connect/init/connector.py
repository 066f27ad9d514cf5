"""connector.json of a new source: the right Debezium class, exactly the mapped tables, names nobody else uses."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from streams.connect.folder import log_topic
from streams.connect.lint import CLASSES
from streams.connect.statements import quoted

HEARTBEAT = "onhand_heartbeat"
SIGNAL = "onhand_signal"
FIRST_SERVER_ID = 10_000
SERVER_IDS = 50_000
NAMES = ("slot.name", "publication.name", "database.server.id")
"""Keys whose values no two connectors may share."""

_ALL = {
    "signal.enabled.channels": "source",
    "signal.poll.interval.ms": "1000",
    "incremental.snapshot.chunk.size": "16",
    "notification.enabled.channels": "sink",
    "snapshot.mode": "initial",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "binary.handling.mode": "base64",
    "tombstones.on.delete": "false",
    "skipped.operations": "none",
    "provide.transaction.metadata": "true",
    "extended.headers.enabled": "false",
    "transforms": "one",
    "transforms.one.type": "org.apache.kafka.connect.transforms.RegexRouter",
    "transforms.one.regex": ".*",
    "poll.interval.ms": "10",
    "max.batch.size": "2048",
    "max.queue.size": "8192",
    "max.queue.size.in.bytes": "67108864",
    "retriable.restart.connector.wait.ms": "1000",
    "errors.tolerance": "none",
    "producer.override.linger.ms": "0",
    "producer.override.compression.type": "lz4",
    "producer.override.enable.idempotence": "true",
    "producer.override.max.in.flight.requests.per.connection": "1",
    "producer.override.batch.size": "131072",
    "producer.override.max.request.size": "8388608",
}
"""docs/connectors.md has the reasons (E01–E29)."""

OTHER_CLASSES = {
    "sqlserver": "io.debezium.connector.sqlserver.SqlServerConnector",
    "oracle": "io.debezium.connector.oracle.OracleConnector",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connector is made of."""

    name: str
    kind: str
    schema: str
    host: str
    port: int
    user: str
    database: str
    tables: Sequence[str]
    """Unqualified, those that are joined first: a snapshot reads them in this order."""
    taken: Collection[str] = ()
    """Slots, publications and server ids that other sources or the server use."""
    writes: bool = True
    """May its user write the heartbeat and the signal table?"""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Names that this source has already: its slot, publication, server id."""


def connector_text(wanted: Wanted) -> str:
    """connector.json, as it is written."""
    return json.dumps(connector(wanted), indent=2) + "\n"


def connector(wanted: Wanted) -> dict[str, str]:
    """The configuration; the password is a reference to the secrets folder, never a value."""
    name, schema = wanted.name, wanted.schema
    config = {
        "connector.class": {**CLASSES, **OTHER_CLASSES}[wanted.kind],
        "tasks.max": "1",
        "topic.prefix": name,
        "database.hostname": wanted.host,
        "database.port": str(wanted.port),
        "database.user": wanted.user,
        "database.password": f"${{file:${{onhand:secrets}}/{name}.properties:password}}",
        **_of_kind(wanted),
        "table.include.list": include_list(wanted.kind, schema, wanted.tables, writes=wanted.writes),
        "heartbeat.interval.ms": "1000",
        "notification.sink.topic.name": f"{name}.notifications",
        "transforms.one.replacement": log_topic(name),
        **_ALL,
    }
    if wanted.writes:
        config["heartbeat.action.query"] = heartbeat_statement(wanted.kind, schema)
        config["signal.data.collection"] = signal_table(wanted)
    return config


def own_tables(kind: str) -> tuple[str, str]:
    """Heartbeat and signal table, as this database writes a bare name."""
    return (HEARTBEAT.upper(), SIGNAL.upper()) if kind == "oracle" else (HEARTBEAT, SIGNAL)


def include_list(kind: str, schema: str, tables: Sequence[str], *, writes: bool) -> str:
    """One expression a table: a snapshot reads them in the order of the list."""
    own = own_tables(kind) if writes else ()
    return ",".join(f"{_pattern(schema)}\\.{_pattern(table)}" for table in (*tables, *own))


def heartbeat_statement(kind: str, schema: str) -> str:
    """What moves the database's log while nothing else does."""
    table = f"{quoted(kind, schema)}.{own_tables(kind)[0]}"
    if kind == "postgres":
        return (
            f"INSERT INTO {table} (id, ts) VALUES (1, clock_timestamp()) "
            "ON CONFLICT (id) DO UPDATE SET ts = excluded.ts"
        )
    if kind == "mariadb":
        return f"INSERT INTO {table} (id, ts) VALUES (1, NOW(6)) ON DUPLICATE KEY UPDATE ts = VALUES(ts)"
    return f"UPDATE {table} SET ts = {'SYSUTCDATETIME()' if kind == 'sqlserver' else 'SYSTIMESTAMP'} WHERE id = 1"


def signal_table(wanted: Wanted) -> str:
    """As the connector's signal.data.collection names it."""
    table = f"{wanted.schema}.{own_tables(wanted.kind)[1]}"
    return table if wanted.kind in ("postgres", "mariadb") else f"{wanted.database}.{table}"


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The name itself, or the first of `name_2`, `name_3` … that nobody has."""
    name, n = wanted, 2
    while name in taken:
        name, n = f"{wanted}_{n}", n + 1
    return name


def _of_kind(wanted: Wanted) -> dict[str, str]:
    name = wanted.name
    history = {
        "schema.history.internal.kafka.topic": f"{name}.schema-history",
        "schema.history.internal.kafka.bootstrap.servers": "${onhand:kafka}",
        "schema.history.internal.store.only.captured.tables.ddl": "true",
    }
    if wanted.kind == "postgres":
        own = free_name(f"onhand_{re.sub(r'[^a-z0-9]', '_', name)}", wanted.taken)
        return {
            "database.dbname": wanted.database,
            "plugin.name": "pgoutput",
            "slot.name": wanted.kept.get("slot.name", own),
            "slot.drop.on.stop": "false",
            "publication.name": wanted.kept.get("publication.name", own),
            "publication.autocreate.mode": "disabled",
            "offset.mismatch.strategy": "trust_offset",
            "schema.include.list": _pattern(wanted.schema),
        }
    if wanted.kind == "mariadb":
        server_id = FIRST_SERVER_ID + zlib.crc32(name.encode()) % SERVER_IDS
        while str(server_id) in wanted.taken:
            server_id += 1
        return {
            "database.server.id": wanted.kept.get("database.server.id", str(server_id)),
            "database.include.list": _pattern(wanted.schema),
            "snapshot.locking.mode": "minimal",
            **history,
        }
    if wanted.kind == "sqlserver":
        return {"database.names": wanted.database, "snapshot.isolation.mode": "snapshot", **history}
    return {
        "database.dbname": wanted.database,
        "database.connection.adapter": "logminer",
        "log.mining.strategy": "online_catalog",
        **history,
    }


def _pattern(name: str) -> str:
    """A name as a regular expression that matches it alone."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", name)
