"""First snapshot of a large source: a timeline from the connector's start until the last promise stands.

Debezium first reads the tables with nobody behind it (its own time), then once more with a lane and inventory behind
it.  Times are those that Kafka keeps with the records; CPU seconds are the processes'.

    python -m bench.snapshot [--rows 1000000] [--json]
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import psutil
from confluent_kafka import Consumer, Message, TopicPartition

from bench import stock_source
from bench.stock_source import StockSource
from onhand.health import ask_health
from onhand.stack.local import LocalStack
from onhand.stack.process import wait_until
from schemas.administration import apply as apply_topics
from schemas.administration import ensure_source_topics
from schemas.reader import newest_values
from schemas.records import Progress
from schemas.registry import connected_codec

ALONE, OURS = "alone", "wms"
ROWS = 1_000_000
TARGET_S = 40.0
LIMIT_S = 240.0
SERVERS = ("kafka", "registry", "postgres", "connect")
POLL_S = 0.25


class _Notification(msgspec.Struct):
    aggregate_type: str = ""
    type: str = ""
    op: str = ""


def stretch(kafka: str, topic: str, partition: int, start: int, count: int) -> Iterator[Message]:
    """Some records of a partition, from an offset on (negative: before its end)."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-snapshot", "enable.auto.commit": False})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        first = max(low, high + start if start < 0 else start)
        consumer.assign([TopicPartition(topic, partition, first)])
        left = min(count, high - first)
        while left > 0:
            for message in consumer.consume(min(left, 5000), 5.0):
                left -= 1
                yield message
    finally:
        consumer.close()


def end_of(kafka: str, topic: str, partition: int = 0) -> int:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-snapshot"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1])
    finally:
        consumer.close()


def at_s(message: Message) -> float:
    return message.timestamp()[1] / 1000


def debezium(source: StockSource, name: str) -> dict[str, float]:
    """Instants of the first row and of COMPLETED, once it stands in the log."""
    kafka, topic = source.settings.kafka, f"cdc.{name}"
    deadline = time.monotonic() + LIMIT_S
    decode = msgspec.json.Decoder(_Notification).decode
    while time.monotonic() < deadline:
        if end_of(kafka, topic) > source.rows:
            for message in stretch(kafka, topic, 0, -20_000, 20_000):
                found = decode(message.value() or b"{}")
                if found.aggregate_type == "Initial Snapshot" and found.type == "COMPLETED":
                    rows = (m for m in stretch(kafka, topic, 0, 0, 50) if decode(m.value() or b"{}").op == "r")
                    return {"first_row": at_s(next(rows)), "completed": at_s(message)}
        time.sleep(POLL_S)
    raise SystemExit(f"{name}: its snapshot did not complete in {LIMIT_S:.0f} s")


def cpu_seconds(stack: LocalStack) -> dict[str, float]:
    """Of every process of the stack, with its children."""
    found = {}
    for row in stack.rows():
        pid = stack.process(row.name).pid
        used = 0.0
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
        found[row.name] = used
    return found


def await_promises(source: StockSource) -> None:
    """Until inventory says of every partition that all of the source is in its promises, and complete."""
    settings = source.settings
    codec = connected_codec(settings.registry_url)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        source.stack.poll()
        stated = [
            p for p in newest_values(settings.kafka, "progress.v1", codec).values()
            if isinstance(p, Progress) and p.stage == "inventory" and p.source == OURS and p.complete
        ]  # fmt: skip
        if len(stated) == settings.partitions:
            return
        time.sleep(POLL_S)
    raise SystemExit(f"inventory did not become complete in {LIMIT_S:.0f} s")


def messages(source: StockSource, topic: str) -> Iterator[Message]:
    for partition in range(source.settings.partitions):
        yield from stretch(source.settings.kafka, topic, partition, 0, 1 << 40)


def timeline(source: StockSource) -> dict[str, Any]:
    """Instants and counts out of the topics."""
    balances = [at_s(m) for m in messages(source, "onhand.balance.v1") if not (m.key() or b"").startswith(b"~")]
    codec = connected_codec(source.settings.registry_url)
    complete: dict[bytes, float] = {}
    promises = 0
    for message in messages(source, "inventory.atp.v1"):
        promises += 1
        key, value = message.key() or b"", message.value()
        if key not in complete and value is not None and codec.decode("inventory.atp.v1", value).complete:
            complete[key] = at_s(message)
    return {
        "first_balances": min(balances),
        "last_balances": max(balances),
        "first_promise": min(complete.values()),
        "last_promise": max(complete.values()),
        "balance_messages": len(balances),
        "promise_messages": promises,
        "skus_promised": len(complete),
    }


def measure(source: StockSource) -> dict[str, Any]:
    """Debezium alone, then the whole way."""
    settings, stack = source.settings, source.stack
    apply_topics(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    source.add_source(ALONE)
    source.add_source(OURS)
    source.onhand("source", "apply", ALONE)
    alone = debezium(source, ALONE)
    source.onhand("source", "remove", ALONE, "--forget", "--yes")
    ensure_source_topics(settings.kafka, OURS)
    for process in (f"source-{OURS}", "inventory"):
        stack.start_process(process, project_dir=source.project)
        await_ready(stack, process)
    before = cpu_seconds(stack)
    source.onhand("source", "apply", OURS)
    await_promises(source)
    after = cpu_seconds(stack)
    whole = debezium(source, OURS) | timeline(source)
    zero = whole["first_row"]
    instants = {k: round(v - zero, 1) for k, v in whole.items() if isinstance(v, float)}
    alone_s = alone["completed"] - alone["first_row"]
    return {
        "rows": source.rows,
        "debezium_alone_s": round(alone_s, 1),
        "seconds_after_first_row": instants,
        "counts": {k: v for k, v in whole.items() if not isinstance(v, float)},
        "cpu_s": {name: round(after[name] - before.get(name, 0.0), 1) for name in after},
        "last_promise_s": instants["last_promise"],
        "ratio_to_debezium": round(instants["last_promise"] / alone_s, 2),
        "target_s": TARGET_S,
    }


def await_ready(stack: LocalStack, name: str) -> None:
    """Until its health answer says that it owns what it should."""
    data_dir = stack.settings().data_dir
    process = stack.process(name)
    wait_until(lambda: bool(ask_health(data_dir, name).get("ready")) or not process.alive(), 60.0, POLL_S)
    if not process.alive() or not ask_health(data_dir, name).get("ready"):
        raise SystemExit(f"{name} did not become ready:\n{process.tail()}")


def run(folder: Path, rows: int) -> dict[str, Any]:
    """On a stack of its own."""
    with LocalStack(
        folder / "data", ports="free", components=SERVERS, tell=lambda line: click.echo(line, err=True)
    ) as stack:
        source = stock_source.make(stack, folder / "project", rows, OURS)
        click.echo(f"{rows} rows of stock", err=True)
        result = measure(source)
        stack.close(wipe=True)
    return result


@click.command()
@click.option("--rows", default=ROWS, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as name:
        Path(name).chmod(0o755)  # the databases' users must reach it
        result = run(Path(name), rows)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    for figure, value in result.items():
        if isinstance(value, dict):
            click.echo(figure)
            for part, number in value.items():
                click.echo(f"  {part:24} {number:>12}")
        else:
            click.echo(f"{figure:26} {value:>12}")


if __name__ == "__main__":
    main()
