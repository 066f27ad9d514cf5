"""A whole lane as a process beside plain Faust, quixstreams and bytewax given its work: rows/s and CPU a row.

All read one source log of synthetic WMS rows (bin stock joined to item, bin, warehouse and lot) from a real Kafka, map
them with the demo's SQL, keep lookups, rows and sums durably and send what changed in Avro.  They take turns, in
rounds, each going on where it stood; only the time between a turn's first and last progress counts.  A peer's rows are
those whose messages stand on its output topic.  What the peers' guarantees are: bench/peers/*/app.py; what they are not
asked for: bench/peers/step.py.

    python -m bench.lane_process KAFKA REGISTRY_URL [--rounds 2] [--rows 120000] [--limit 15] [--without PEER]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bench import lane
from bench.peers.environment import interpreter
from schemas.administration import apply as apply_topics
from schemas.administration import ensure_source_topics
from streams.core.mapping.mapping import load_mapping
from streams.core.unit import InputRecord

PROJECT = Path(__file__).parent.parent
LANE = "onhand"
PEERS = ("faust", "quixstreams", "bytewax")
ROUNDS, ROWS, LIMIT_S = 2, 120_000, 15.0
TARGET = 40_000
TARGET_RATIOS = {"faust": 20.0, "quixstreams": 1.5}
READY_S = 60.0
LEAVE_S = 15.0


@dataclass
class Turns:
    """What one contender did in all its turns."""

    rows: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.rows * 1e6 if self.rows else 0.0


@dataclass(frozen=True)
class Contender:
    """One process to be measured."""

    name: str
    command: list[str]
    done: Callable[[], int]
    """Records it has taken and made durable."""
    rows_of: float
    """Rows that one of those records stands for."""


def fill(kafka: str, topic: str, records: list[InputRecord]) -> int:
    """Write to the log; how many."""
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "compression.type": "lz4"})
    for record in records:
        while True:
            try:
                producer.produce(topic, key=record.key, value=record.value, partition=0)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)
    return len(records)


def measure(
    kafka: str,
    registry_url: str,
    rounds: int = ROUNDS,
    rows: int = ROWS,
    limit_s: float = LIMIT_S,
    peers: tuple[str, ...] = PEERS,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """All contenders in turns; `rows` a round."""
    apply_topics(kafka=kafka, registry_url=registry_url, partitions=4)
    ensure_source_topics(kafka, "wms")
    rows -= rows % lane.TRANSACTION_ROWS
    written = fill(kafka, "cdc.wms", lane.first("wms", list(load_mapping(lane.CONFIGS / "wms").tables)).records)
    log = lane.wms(rows * rounds).records
    share = len(log) // rounds
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        contenders = [
            Contender(
                LANE,
                [sys.executable, "-m", "onhand.cli.main", "run", "source", "wms"],
                _committed(kafka, "lane-wms"),
                rows / share,
            )
        ]
        contenders += [_peer(kafka, peer, folder, tell) for peer in peers]
        environment = {
            **os.environ,
            "ONHAND_KAFKA": kafka,
            "ONHAND_REGISTRY_URL": registry_url,
            "ONHAND_DATA_DIR": f"{folder}/onhand",
            "ONHAND_PROJECT_DIR": str(PROJECT),
            "PYTHONPATH": str(PROJECT),
        }
        turns = {contender.name: Turns() for contender in contenders}
        at_least = {contender.name: 0 for contender in contenders}
        at_least[LANE] = written
        for number in range(rounds):
            written += fill(kafka, "cdc.wms", log[number * share : (number + 1) * share])
            for contender in contenders:
                tell(f"round {number + 1} of {rounds}: {contender.name}")
                end = written if contender.name == LANE else rows * (number + 1)
                at_least[contender.name] = _turn(
                    contender, environment, at_least[contender.name], end, limit_s, turns[contender.name]
                )
    return _figures(turns)


def _figures(turns: dict[str, Turns]) -> dict[str, Any]:
    ours = turns[LANE]
    found: dict[str, Any] = {"target_rows_per_s": TARGET}
    for name, each in turns.items():
        found |= {f"{name}_rows_per_s": round(each.per_s), f"{name}_cpu_us_per_row": round(each.cpu_us, 1)}
        if name != LANE and each.per_s:
            found |= {
                f"{name}_ratio_clock": round(ours.per_s / each.per_s, 1),
                f"{name}_ratio_cpu": round(each.cpu_us / ours.cpu_us, 1),
                f"{name}_target_ratio": TARGET_RATIOS.get(name),
            }
    return found


def _peer(kafka: str, peer: str, folder: str, tell: Callable[[str], None]) -> Contender:
    output = f"peer.{peer}"
    administration = AdminClient({"bootstrap.servers": kafka})
    for created in administration.create_topics([NewTopic(output, 1, 1)]).values():
        created.result()
    command = [interpreter(peer, tell), "-m", f"bench.peers.{peer}.app", kafka, output, f"{folder}/{peer}"]
    return Contender(peer, command, _end_of(kafka, output), 1.0)


def _turn(contender: Contender, environment: dict[str, str], start: int, end: int, limit_s: float, turns: Turns) -> int:
    """Let it work until `end` or for so long; where it stands then."""
    process = subprocess.Popen(
        contender.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=PROJECT
    )
    measured = psutil.Process(process.pid)
    first: tuple[float, int, float] | None = None
    last = (0.0, start, 0.0)
    deadline = time.monotonic() + READY_S
    try:
        while last[1] < end and time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"{contender.name} ended with {process.returncode}: {' '.join(contender.command)}")
            time.sleep(0.05)
            now = contender.done()
            if now > last[1]:
                used = measured.cpu_times()
                last = (time.monotonic(), now, used.user + used.system)
                if first is None:
                    first = last
                    deadline = last[0] + limit_s
    finally:
        _end(process)
    if first is None or last[1] == first[1]:
        raise SystemExit(f"{contender.name} did nothing in {READY_S:.0f} s: {' '.join(contender.command)}")
    turns.rows += (last[1] - first[1]) * contender.rows_of
    turns.seconds += last[0] - first[0]
    turns.cpu_s += last[2] - first[2]
    return contender.done()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it leave its group, so that it has its partition back at once in its next turn."""
    process.terminate()
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _committed(kafka: str, group: str) -> Callable[[], int]:
    """Log records settled by our runtime: it commits nothing else."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    place = [TopicPartition("cdc.wms", 0)]

    def done() -> int:
        try:
            return int(consumer.committed(place, timeout=10)[0].offset)
        except KafkaException:  # the group has no coordinator yet
            return 0

    return done


def _end_of(kafka: str, topic: str) -> Callable[[], int]:
    """Messages acknowledged; a row of this log changes one sku, so it is one message."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-reader"})

    def done() -> int:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1])

    return done


@click.command()
@click.argument("kafka")
@click.argument("registry_url")
@click.option("--rounds", default=ROUNDS, show_default=True)
@click.option("--rows", default=ROWS, show_default=True, help="Rows a round.")
@click.option("--limit", "limit_s", default=LIMIT_S, show_default=True, help="Seconds a turn.")
@click.option("--without", multiple=True, type=click.Choice(PEERS), help="Leave a peer out.")
def main(kafka: str, registry_url: str, rounds: int, rows: int, limit_s: float, without: tuple[str, ...]) -> None:
    """The lane as a process beside its peers, in turns, on an empty Kafka."""
    peers = tuple(peer for peer in PEERS if peer not in without)
    found = measure(kafka, registry_url, rounds, rows, limit_s, peers, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
