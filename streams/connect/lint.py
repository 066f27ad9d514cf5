"""Static rules over connector.json: what goes wrong silently or late when a setting is missing or different.

Needs no database and no Kafka Connect.  The rules follow from one topic per source, total order, JSON texts, and from
what the real connectors were seen to do; docs/connectors.md has one line per rule with the reason.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from schemas.secrets import REFERENCE, is_reference
from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source, log_topic
from streams.connect.plan import SECRET_KEY
from streams.connect.tables import broken, matches, split_patterns, written_table
from streams.core.mapping.dialects import REFUSED, not_proven

ERROR, WARNING = Severity.ERROR, Severity.WARNING
CLASSES = {
    "postgres": "io.debezium.connector.postgresql.PostgresConnector",
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
    "mysql": "io.debezium.connector.mysql.MySqlConnector",
    "sqlserver": "io.debezium.connector.sqlserver.SqlServerConnector",
    "oracle": "io.debezium.connector.oracle.OracleConnector",
}
"""Kind of source.yaml → its connector."""
WITH_HISTORY = ("mariadb", "mysql", "sqlserver", "oracle")
"""Kinds whose connectors keep a history of the schema."""
MAX_HEARTBEAT_MS = 10_000
MAX_POLL_MS = 100
MAX_RETRY_WAIT_MS = 2_000


class Wrong(NamedTuple):
    """What a rule found; `key` says the line."""

    key: str
    message: str
    fix: str
    severity: Severity = ERROR


Rule = Callable[[Source], Iterator[Wrong]]


class Setting(NamedTuple):
    """A key whose value must be one of a few."""

    code: str
    key: str
    allowed: tuple[str, ...]
    unset: str
    """What the connector does without the key."""
    why: str
    kinds: tuple[str, ...] = tuple(CLASSES)
    severity: Severity = ERROR


JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
SETTINGS: tuple[Setting, ...] = (
    Setting("E02", "errors.tolerance", ("none",), "none", "`all` acknowledges and drops records that fail"),
    Setting("E03", "slot.drop.on.stop", ("false",), "false", "changes while stopped would be lost", ("postgres",)),
    Setting("E04", "plugin.name", ("pgoutput",), "decoderbufs", "only pgoutput comes with PostgreSQL", ("postgres",)),
    Setting(
        "E05",
        "publication.autocreate.mode",
        ("disabled",),
        "all_tables",
        "the connector's role owns no tables, so the DBA makes the publication",
        ("postgres",),
    ),
    Setting(
        "E08",
        "snapshot.mode",
        ("initial",),
        "initial",
        "a repeated or missing snapshot must be asked for (`onhand source resnapshot`), never happen by itself",
    ),
    Setting("E10", "tasks.max", ("1",), "1", "one connector writes one ordered log"),
    Setting("E13", "key.converter", (JSON_CONVERTER,), "", "the source log is JSON"),
    Setting("E13", "value.converter", (JSON_CONVERTER,), "", "the source log is JSON"),
    Setting("E13", "key.converter.schemas.enable", ("false",), "true", "the source log is JSON without schemas"),
    Setting("E13", "value.converter.schemas.enable", ("false",), "true", "the source log is JSON without schemas"),
    Setting("E14", "decimal.handling.mode", ("string",), "precise", "decimals are read as exact text"),
    Setting("E14", "time.precision.mode", ("isostring",), "adaptive", "dates and times are read as ISO text"),
    Setting("E14", "binary.handling.mode", ("base64",), "bytes", "binary columns are read as base64"),
    Setting(
        "E14",
        "bigint.unsigned.handling.mode",
        ("long",),
        "long",
        "`precise` turns keys into base64",
        ("mariadb", "mysql"),
    ),
    Setting(
        "E16",
        "schema.history.internal.skip.unparseable.ddl",
        ("false",),
        "false",
        "a skipped DDL leaves columns under wrong names",
        WITH_HISTORY,
    ),
    Setting("E17", "skipped.operations", ("none",), "t", "TRUNCATE would be hidden and its stock stay for ever"),
    Setting("E18", "exactly.once.support", ("requested",), "requested", "transactional writes are not proven here"),
    Setting(
        "E19",
        "offset.mismatch.strategy",
        ("trust_offset",),
        "no_validation",
        "a slot ahead of the offset must stop the connector, not skip changes",
        ("postgres",),
    ),
    Setting("E21", "tombstones.on.delete", ("false",), "true", "the log is not compacted; a delete is one record"),
    Setting(
        "E21", "provide.transaction.metadata", ("true",), "false", "BEGIN and END are what makes transactions whole"
    ),
    Setting(
        "E21",
        "producer.override.max.in.flight.requests.per.connection",
        ("1",),
        "5",
        "with more, a first snapshot can hang for good while the task says RUNNING",
    ),
    Setting("E21", "include.schema.changes", ("true",), "true", "DDL must stand in the log", WITH_HISTORY),
    Setting(
        "E21",
        "extended.headers.enabled",
        ("false",),
        "true",
        "170 bytes more per record for nothing",
        severity=WARNING,
    ),
)

FORBIDDEN: dict[str, str] = {
    "message.key.columns": "a row's identity is its primary key",
    "column.include.list": "a column that is not there parks the mapping that needs it",
    "column.exclude.list": "a column that is not there parks the mapping that needs it",
    "converters": "values must come as the mapping's decoders know them",
    "snapshot.include.collection.list": "a partial snapshot would leave a source incomplete for ever",
    "snapshot.select.statement.overrides": "rows a filtered snapshot leaves out would be withdrawn as deleted",
    "unavailable.value.placeholder": "the lane knows the default placeholder",
    "topic.naming.strategy": "everything goes to one topic by the router",
    "transaction.metadata.factory": "transactions are read in the default form",
}
"""Key → why it may not be set: it changes what the lane reads."""

FREE_PREFIXES = (
    "driver.",
    "producer.override.",
    "topic.creation.",
    "errors.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "signal.kafka.",
    "signal.consumer.",
    "schema.history.internal.",
    "predicates.",
)
FREE_KEYS = {
    "connector.plugin.version",
    "tasks.max.enforce",
    "offset.mismatch.strategy",
    "binary.handling.mode",
    "bigint.unsigned.handling.mode",
    "event.processing.failure.handling.mode",
}
"""Real options that the plugins' own definitions do not list."""
_RESHAPES = re.compile(r"column\.(mask|truncate|propagate)")


def lint(sources: Sequence[Source], all_sources: Sequence[Source] | None = None) -> list[Finding]:
    """Every finding for `sources`; duplicates are looked for among `all_sources` (default: the same)."""
    findings: list[Finding] = []
    for source in sources:
        for code, rule in RULES:
            findings += [_finding(code, source, wrong) for wrong in rule(source)]
    findings += duplicates(sources, sources if all_sources is None else all_sources)
    return sorted(findings, key=lambda finding: (finding.source, finding.code, finding.place))


def settings(source: Source) -> Iterator[tuple[str, Wrong]]:
    """Rules that are one key and its allowed values."""
    for setting in SETTINGS:
        if source.kind not in setting.kinds:
            continue
        value = source.config.get(setting.key, setting.unset)
        if value.lower() in {allowed.lower() for allowed in setting.allowed}:
            continue
        have = f"is {value!r}" if setting.key in source.config else f"is not set (the default is {value or 'none'!r})"
        yield (
            setting.code,
            Wrong(
                setting.key,
                f"{setting.key} {have}: {setting.why}",
                f'Write "{setting.key}": "{setting.allowed[0]}"',
                setting.severity,
            ),
        )


def _setting_rule(code: str) -> Rule:
    return lambda source: (wrong for found, wrong in settings(source) if found == code)


def literal_secrets(source: Source) -> Iterator[Wrong]:
    """E01."""
    for key, value in source.config.items():
        if not SECRET_KEY.search(key):
            continue
        embedded = "jaas" in key.lower() and REFERENCE.search(value) and not re.search(r'password\s*=\s*"?[^"$]', value)
        if not is_reference(value) and not embedded:
            yield Wrong(
                key,
                f"{key} holds a literal secret",
                f'Put it into a file of the secrets folder and write "{key}": '
                f'"${{file:${{onhand:secrets}}/{source.name}.properties:password}}"',
            )


def heartbeat_interval(source: Source) -> Iterator[Wrong]:
    """E06."""
    key = "heartbeat.interval.ms"
    value = _number(source, key, 0)
    if not 0 < value <= MAX_HEARTBEAT_MS:
        yield Wrong(
            key,
            f"{key} is {value}: without heartbeats an idle source looks like a stuck one, and its WAL grows",
            f'Write "{key}": "1000" (at most {MAX_HEARTBEAT_MS})',
        )


def heartbeat_table(source: Source) -> Iterator[Wrong]:
    """E07."""
    key = "heartbeat.action.query"
    statement = source.config.get(key)
    if statement is None and not source.writes:
        return
    if statement is None:
        yield Wrong(
            key,
            f"{key} is not set: a heartbeat without a row has no position in the database",
            f"Let it upsert one row of {source.schema}.onhand_heartbeat (docs/connectors.md)",
        )
        return
    table = written_table(statement)
    if table is None:
        yield Wrong(key, f"{key} is no INSERT or UPDATE", "Let it upsert one row of the heartbeat table")
        return
    qualified = table if "." in table else f"{source.schema}.{table}"
    if not matches(_included(source), qualified):
        yield Wrong(key, f"the heartbeat table {qualified} is not captured", f"Add {qualified} to table.include.list")


def queue_sizes(source: Source) -> Iterator[Wrong]:
    """E11."""
    queue, batch = _number(source, "max.queue.size", 8192), _number(source, "max.batch.size", 2048)
    if queue <= batch:
        yield Wrong(
            "max.queue.size",
            f"max.queue.size {queue} is not above max.batch.size {batch}",
            f'Write "max.queue.size": "{batch * 4}"',
        )


def latencies(source: Source) -> Iterator[Wrong]:
    """E12."""
    limits = (
        ("poll.interval.ms", 500, MAX_POLL_MS, "10", "half a second of latency by default, 8 ms with 10"),
        ("retriable.restart.connector.wait.ms", 10_000, MAX_RETRY_WAIT_MS, "1000", "silence after a database restart"),
    )
    for key, unset, limit, good, why in limits:
        value = _number(source, key, unset)
        if value > limit:
            yield Wrong(key, f"{key} is {value}: {why}", f'Write "{key}": "{good}"', WARNING)


def unknown_keys(source: Source) -> Iterator[Wrong]:
    """E15."""
    known = known_keys(source.kind)
    if not known:
        return
    names = [name.strip() for name in source.config.get("transforms", "").split(",") if name.strip()]
    transforms = tuple(f"transforms.{name}." for name in names)
    for key in source.config:
        if key in known or key in FREE_KEYS or key.startswith(FREE_PREFIXES + transforms) or _RESHAPES.match(key):
            continue
        close = difflib.get_close_matches(key, sorted(known | FREE_KEYS), n=1, cutoff=0.8)
        yield Wrong(
            key,
            f"{key} is unknown to the connector, which would ignore it silently",
            f"Did you mean {close[0]}?" if close else "Remove it",
        )


def routing(source: Source) -> Iterator[Wrong]:
    """E20."""
    names = [name.strip() for name in source.config.get("transforms", "").split(",") if name.strip()]
    want = {
        "type": "org.apache.kafka.connect.transforms.RegexRouter",
        "regex": ".*",
        "replacement": log_topic(source.name),
    }
    if len(names) != 1:
        yield Wrong(
            "transforms",
            "transforms must be the one router that makes a single ordered log of everything the connector sends",
            'Write "transforms": "one" with '
            + ", ".join(f'"transforms.one.{key}": "{value}"' for key, value in want.items()),
        )
        return
    prefix = f"transforms.{names[0]}."
    for key, value in want.items():
        if source.config.get(prefix + key) != value:
            yield Wrong(
                prefix + key,
                f"{prefix}{key} is {source.config.get(prefix + key)!r}: everything must go to {log_topic(source.name)}",
                f'Write "{prefix}{key}": "{value}"',
            )
    if source.config.get(prefix + "predicate"):
        yield Wrong(prefix + "predicate", "the router must take every record", f"Remove {prefix}predicate")


def connector_class(source: Source) -> Iterator[Wrong]:
    """E23."""
    want = CLASSES.get(source.kind)
    if want is None:
        reason = REFUSED.get(source.kind, f"kind {source.kind} of source.yaml is unknown")
        yield Wrong("connector.class", reason, f"There are: {', '.join(CLASSES)}")
        return
    if source.config.get("connector.class") != want:
        have = source.config.get("connector.class")
        yield Wrong(
            "connector.class",
            f"connector.class is {have!r} but source.yaml says {source.kind}",
            f'Write "connector.class": "{want}"',
        )
    reason = not_proven(source.kind)
    if reason:
        yield Wrong("connector.class", reason, "Check and test the mapping; `apply` refuses it", Severity.NOTE)


def required_keys(source: Source) -> Iterator[Wrong]:
    """E24."""
    keys = ["topic.prefix", "database.hostname", "database.port", "database.user", "database.password"]
    keys += ["table.include.list", *(["signal.data.collection"] if source.writes else [])]
    if source.kind == "postgres":
        keys += ["database.dbname", "slot.name", "publication.name"]
    keys += {"mariadb": ["database.server.id"], "mysql": ["database.server.id"]}.get(source.kind, [])
    keys += {"sqlserver": ["database.names"], "oracle": ["database.dbname"]}.get(source.kind, [])
    if source.kind in WITH_HISTORY:
        keys += ["schema.history.internal.kafka.topic", "schema.history.internal.kafka.bootstrap.servers"]
    for key in keys:
        if not source.config.get(key):
            yield Wrong(key, f"{key} is missing", f"Add {key} (docs/connectors.md shows a whole file)")


def include_list(source: Source) -> Iterator[Wrong]:
    """E25."""
    for pattern in broken(_included(source)):
        yield Wrong("table.include.list", f"{pattern!r} is no regular expression", "Mend it")
    for key in ("table.exclude.list", "schema.exclude.list", "database.exclude.list"):
        if key in source.config:
            yield Wrong(key, f"{key} is set beside table.include.list", f"Remove {key}: tables are named, not left out")


def signals(source: Source) -> Iterator[Wrong]:
    """E26."""
    signal = source.config.get("signal.data.collection")
    if signal and not matches(_included(source), _unprefixed(source, signal)):
        yield Wrong(
            "signal.data.collection",
            f"the signal table {signal} is not captured",
            f"Add {signal} to table.include.list",
        )
    if "source" not in source.config.get("signal.enabled.channels", "source").split(","):
        yield Wrong(
            "signal.enabled.channels",
            "signals through the table are switched off: no incremental snapshot",
            'Write "signal.enabled.channels": "source"',
        )
    if "sink" not in source.config.get("notification.enabled.channels", "").split(","):
        yield Wrong(
            "notification.enabled.channels",
            "snapshot notifications are off: the lane would never know that a snapshot is complete",
            'Write "notification.enabled.channels": "sink"',
        )
    elif not source.config.get("notification.sink.topic.name"):
        yield Wrong(
            "notification.sink.topic.name",
            "notification.sink.topic.name is missing: notifications go nowhere",
            f'Write "notification.sink.topic.name": "{source.name}.notifications"',
        )


def reshaping(source: Source) -> Iterator[Wrong]:
    """E27."""
    for key in source.config:
        if key in FORBIDDEN:
            yield Wrong(key, f"{key} is set: {FORBIDDEN[key]}", f"Remove {key}")
        elif _RESHAPES.match(key):
            yield Wrong(key, f"{key} changes values before they are read", f"Remove {key}")


RULES: tuple[tuple[str, Rule], ...] = (
    ("E01", literal_secrets),
    *((code, _setting_rule(code)) for code in sorted({setting.code for setting in SETTINGS})),
    ("E06", heartbeat_interval),
    ("E07", heartbeat_table),
    ("E11", queue_sizes),
    ("E12", latencies),
    ("E15", unknown_keys),
    ("E20", routing),
    ("E23", connector_class),
    ("E24", required_keys),
    ("E25", include_list),
    ("E26", signals),
    ("E27", reshaping),
)
"""Code → rule.  E09 (duplicates over all sources) is `duplicates`, E22 (immutable keys) is `plan`."""


def duplicates(sources: Sequence[Source], all_sources: Sequence[Source]) -> list[Finding]:
    """E09: two connectors that would take each other's offsets, slot, history or binlog identity."""

    def server(source: Source) -> tuple[str, ...]:
        return tuple(source.config.get(f"database.{key}", "") for key in ("hostname", "port"))

    places: dict[str, Callable[[Source], tuple[str, ...]]] = {
        "topic.prefix": lambda source: (),
        "schema.history.internal.kafka.topic": lambda source: (),
        "database.server.id": lambda source: (),
        "slot.name": server,
        "publication.name": lambda source: (*server(source), source.config.get("database.dbname", "")),
    }
    findings: list[Finding] = []
    for key, place in places.items():
        users: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for source in all_sources:
            if value := source.config.get(key):
                users[(value, *place(source))].append(source.name)
        for source in sources:
            value = source.config.get(key)
            others = [name for name in users.get((value or "", *place(source)), []) if name != source.name]
            if value and others:
                wrong = Wrong(key, f"{key} {value} is also {' and '.join(others)}'s", "Give each source its own")
                findings.append(_finding("E09", source, wrong))
    return findings


@cache
def known_keys(kind: str) -> frozenset[str]:
    """Keys that the pinned plugin's own definition lists; empty for a kind without a list."""
    path = files("streams.connect").joinpath("keys", f"{kind}.json")
    return frozenset(json.loads(path.read_text())) if path.is_file() else frozenset()


def _finding(code: str, source: Source, wrong: Wrong) -> Finding:
    return Finding(code, wrong.severity, source.name, source.place(wrong.key), wrong.message, wrong.fix)


def _included(source: Source) -> list[str]:
    return split_patterns(source.config.get("table.include.list", ""))


def _unprefixed(source: Source, table: str) -> str:
    """`schema.table` of a signal table that may be written `database.schema.table`."""
    parts = table.split(".")
    return ".".join(parts[-2:]) if len(parts) == 3 else table


def _number(source: Source, key: str, unset: int) -> int:
    try:
        return int(source.config.get(key, unset))
    except ValueError:
        return unset
