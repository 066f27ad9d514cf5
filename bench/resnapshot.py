"""Live changes while a large table is read again beside them: commit → promise, by hop, before and meanwhile.

A writer changes the quantity of stock rows at a set rate, open loop.  Every promise carries the instants of the oldest
change it shows, so a conflated one counts with its oldest.

    python -m bench.resnapshot [--rows 1000000] [--rate 100] [--seconds 20] [--json]
"""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
from confluent_kafka import Consumer, TopicPartition

from bench import snapshot, stock_source
from bench.chain import percentiles
from bench.snapshot import LIMIT_S, OURS, SERVERS
from bench.stock_source import StockSource
from onhand.stack.local import LocalStack
from schemas.administration import apply as apply_topics
from schemas.administration import ensure_source_topics
from schemas.records import Atp
from schemas.registry import connected_codec

TARGET_RATIO = 2.0
RATE, ALONE_S = 100.0, 20.0
WARM_UP_S = 5.0
SETTLE_S = 5.0
HOPS = ("committed", "captured", "laned", "promised", "in Kafka")


class Writer:
    """Changes random rows until it is stopped."""

    def __init__(self, source: StockSource, rate: float) -> None:
        self._source, self._rate = source, rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer")
        self.late = 0
        """Changes that began more than 50 ms after their time."""

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        rng = random.Random(17)
        with self._source.connect() as database:
            due = time.perf_counter()
            while not self._stopping.is_set():
                if (wait := due - time.perf_counter()) > 0:
                    time.sleep(wait)
                self.late += wait < -0.05
                row = rng.randrange(self._source.rows)
                database.execute("UPDATE erp.stock SET quantity = quantity + 1 WHERE stock_id = %s", [row])
                due += 1 / self._rate


def read_again(source: StockSource) -> tuple[float, float]:
    """(signalled, completed) of an incremental snapshot of the stock table, by this machine's clock."""
    topic = f"cdc.{OURS}"
    consumer = Consumer({"bootstrap.servers": source.settings.kafka, "group.id": "bench-resnapshot"})
    consumer.assign([TopicPartition(topic, 0, snapshot.end_of(source.settings.kafka, topic))])
    began = time.time()
    source.onhand("source", "resnapshot", OURS, "--incremental", "erp.stock")
    deadline = time.monotonic() + LIMIT_S
    try:
        while time.monotonic() < deadline:
            for message in consumer.consume(5000, 0.2):
                value = message.value() or b""
                if b'"Incremental Snapshot"' in value and b'"COMPLETED"' in value:
                    return began, snapshot.at_s(message)
    finally:
        consumer.close()
    raise SystemExit(f"reading the table again did not end in {LIMIT_S:.0f} s")


def hops(source: StockSource, windows: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Milliseconds by window and hop, of the promises that changes committed in it led to."""
    codec = connected_codec(source.settings.registry_url)
    stages = [f"{a} → {b}" for a, b in itertools.pairwise(HOPS)]
    found: dict[str, dict[str, list[float]]] = {name: {stage: [] for stage in (*stages, "all")} for name in windows}
    for message in snapshot.messages(source, "inventory.atp.v1"):
        value = message.value()
        atp = codec.decode("inventory.atp.v1", value) if value is not None else None
        if not isinstance(atp, Atp) or atp.stamps.committed_us is None:
            continue
        stamps = atp.stamps
        at = [
            stamps.committed_us,
            stamps.captured_us,
            stamps.laned_us,
            stamps.promised_us,
            message.timestamp()[1] * 1000,
        ]
        instants = [float(one) / 1e6 for one in at if one is not None]
        for name, (begin, end) in windows.items():
            if len(instants) == len(HOPS) and begin <= instants[0] < end:
                for stage, before, after in zip(stages, instants, instants[1:], strict=False):
                    found[name][stage].append((after - before) * 1000)
                found[name]["all"].append((instants[-1] - instants[0]) * 1000)
    return {
        name: {stage: percentiles(values) for stage, values in stages_of.items() if values}
        for name, stages_of in found.items()
    }


def measure(source: StockSource, rate: float, seconds: float) -> dict[str, Any]:
    """The first snapshot, then changes alone, then changes beside a second reading."""
    settings = source.settings
    apply_topics(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    source.add_source(OURS)
    ensure_source_topics(settings.kafka, OURS)
    for process in (f"source-{OURS}", "inventory"):
        source.stack.start_process(process, project_dir=source.project)
        snapshot.await_ready(source.stack, process)
    source.onhand("source", "apply", OURS)
    snapshot.await_promises(source)
    with Writer(source, rate) as writer:
        time.sleep(WARM_UP_S)
        begin = time.time()
        time.sleep(seconds)
        signalled, completed = read_again(source)
        time.sleep(SETTLE_S)
    found = hops(source, {"alone": (begin, begin + seconds), "meanwhile": (signalled, completed)})
    return {
        "rows": source.rows,
        "rate": rate,
        "began_late": writer.late,
        "read_again_s": round(completed - signalled, 1),
        "ms": found,
        "p99_ratio": round(found["meanwhile"]["all"]["p99"] / found["alone"]["all"]["p99"], 2),
        "target_ratio": TARGET_RATIO,
    }


def run(folder: Path, rows: int, rate: float, seconds: float) -> dict[str, Any]:
    """On a stack of its own."""
    with LocalStack(folder / "data", ports="free", components=SERVERS) as stack:
        source = stock_source.make(stack, folder / "project", rows, OURS)
        result = measure(source, rate, seconds)
        stack.close(wipe=True)
    return result


@click.command()
@click.option("--rows", default=snapshot.ROWS, show_default=True)
@click.option("--rate", default=RATE, show_default=True, help="Changes a second.")
@click.option("--seconds", default=ALONE_S, show_default=True, help="Of changes alone.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, rate: float, seconds: float, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the databases' users must reach it
        result = run(folder, rows, rate, seconds)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    windows = result.pop("ms")
    for window, stages in windows.items():
        for stage, values in stages.items():
            click.echo(f"{window:10} {stage:24} " + "  ".join(f"{key} {value}" for key, value in values.items()))
    for figure, value in result.items():
        click.echo(f"{figure:20} {value}")


if __name__ == "__main__":
    main()
