"""`onhand topics`: contracts and topics, planned, applied and read."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable
from typing import Any

import click

from onhand.cli.output import json_option, show_rows
from onhand.settings import Settings, load_settings
from schemas.administration import KafkaTopics, apply, plan
from schemas.catalogue import catalogue
from schemas.codec import Codec
from schemas.contract import RECORDS
from schemas.errors import EXIT_DIFFERENCES
from schemas.reader import ReadRecord, newest, read_topic
from schemas.registry import connected_codec
from streams.connect.folder import source_names

_CHANGE_COLUMNS = ("action", "subject", "detail")
_LIST_COLUMNS = ("topic", "key", "partitions", "kept", "exists", "producers", "consumers")


@click.group()
def topics() -> None:
    """Contracts and topics: plan, apply, read."""


@topics.command("plan")
@json_option
def plan_command(as_json: bool) -> None:
    """Show where Kafka and the registry differ from the catalogue (exit 10 when they do)."""
    settings = load_settings()
    changes = plan(
        kafka=settings.kafka,
        registry_url=settings.registry_url,
        wait_s=0,
        partitions=settings.partitions,
        replication=settings.replication,
        sources=source_names(settings.connect_configs),
    )
    show_rows([c.row() for c in changes], _CHANGE_COLUMNS, as_json=as_json, empty="nothing to do")
    if changes:
        raise SystemExit(EXIT_DIFFERENCES)


@topics.command("apply")
@json_option
def apply_command(as_json: bool) -> None:
    """Create and alter topics and register contracts; a second time changes nothing."""
    settings = load_settings()
    changes = apply(
        kafka=settings.kafka,
        registry_url=settings.registry_url,
        partitions=settings.partitions,
        replication=settings.replication,
        sources=source_names(settings.connect_configs),
        wait_s=0,
    )
    show_rows([c.row() for c in changes], _CHANGE_COLUMNS, as_json=as_json, empty="nothing to do")


@topics.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List every topic of the catalogue, and whether Kafka has it."""
    settings = load_settings()
    there = KafkaTopics(settings.kafka).existing()
    known = catalogue()
    rows = [
        {
            "topic": name,
            "key": topic.key,
            "partitions": there.get(name, topic.partition_count(settings.partitions)),
            "kept": "compacted" if topic.cleanup == "compact" else _retention(topic.retention_ms or 0),
            "exists": "yes" if name in there else "per source" if name in known.source_topics else "no",
            "producers": ", ".join(topic.producers),
            "consumers": ", ".join(topic.consumers),
            "owner": topic.owner,
            "description": " ".join(topic.description.split()),
        }
        for name, topic in {**known.topics, **known.source_topics}.items()
    ]
    show_rows(rows, _LIST_COLUMNS, as_json=as_json)


@topics.command("read")
@click.argument("topic")
@click.option("--key", help="Only records with this key.")
@click.option("--latest", is_flag=True, help="Only the newest value of each key (the compacted view).")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("--limit", "-n", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, for pipes.")
def read_command(topic: str, key: str | None, latest: bool, follow: bool, limit: int | None, as_json: bool) -> None:
    """Print a topic's records, decoded; tombstones are shown."""
    if latest and follow:
        raise click.UsageError("--latest needs an end and --follow has none; use one of them")
    settings = load_settings()
    records: Iterable[ReadRecord] = read_topic(
        settings.kafka, topic, _codec_for(topic, settings), key=key, follow=follow
    )
    if latest:
        records = newest(iter(records))
    for record in itertools.islice(records, limit):
        click.echo(json.dumps(record.document(), default=str) if as_json else _for_people(record))


def _codec_for(topic: str, settings: Settings) -> Codec:
    """A topic without a contract needs no registry."""
    if topic not in RECORDS:
        return Codec.local()
    return connected_codec(settings.registry_url, wait_s=0)


def _for_people(record: ReadRecord) -> str:
    document = record.document()
    time = dt.datetime.fromtimestamp(record.timestamp_us / 1e6, dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    head = click.style(f"{record.partition}:{record.offset}  {time}  {record.key}", bold=True)
    if record.error is not None:
        return f"{head}\n  cannot be decoded: {record.error}"
    if record.value is None:
        return f"{head}\n  deleted (tombstone)"
    return "\n".join([head, *_lines(document["value"], "  ")])


def _lines(value: Any, indent: str) -> list[str]:
    """Nested values as an indented list; empty ones are left out."""
    lines = []
    entries = value.items() if isinstance(value, dict) else ((f"[{n}]", item) for n, item in enumerate(value))
    for name, item in entries:
        if item is None or item in ("", [], {}):
            continue
        if isinstance(item, (dict, list)):
            nested = _lines(item, indent + "  ")
            flat = ", ".join(line.strip() for line in nested)
            if len(flat) < 100 and not any(isinstance(x, (dict, list)) for x in _values(item)):
                lines.append(f"{indent}{name}: {flat}")
            elif nested:
                lines.extend([f"{indent}{name}:", *nested])
        elif isinstance(item, int) and not isinstance(item, bool) and str(name).endswith("_us"):
            instant = dt.datetime.fromtimestamp(item / 1e6, dt.UTC).isoformat(sep=" ", timespec="microseconds")
            lines.append(f"{indent}{name.removesuffix('_us')}: {instant.removesuffix('+00:00')}Z")
        else:
            lines.append(f"{indent}{name}: {item}")
    return lines


def _values(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _retention(retention_ms: int) -> str:
    return "for ever" if retention_ms < 0 else f"{retention_ms / 86_400_000:g} days"
