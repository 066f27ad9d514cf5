"""A whole lane as a process, beside plain Faust doing the same work: rows/s with decoding, mapping and durable state.

Both read one source log of synthetic WMS rows (bin stock joined to item, bin, warehouse and lot) from a real Kafka, map
them with the demo's SQL, keep rows and sums in RocksDB with a changelog, and send what changed.  Plain Faust gets the
easier job: lookups in memory, no transactions, no resend mark, no dependency index, no exactness.

    python -m bench.lane_process KAFKA REGISTRY_URL
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from bench import lane
from schemas.administration import apply as apply_topics
from schemas.administration import ensure_source_topics
from streams.core.mapping.mapping import load_mapping

ROWS = 200_000
TARGET = 25_000
TARGET_RATIO = 10.0
PLAIN_S = 20.0
READY_S = 60.0
WORK_S = 240.0


def fill(kafka: str, topic: str, records: list[Any]) -> int:
    """Write the log; its end offset."""
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


def rate_of(
    done: Callable[[], int], start: int, end: int, process: subprocess.Popen[bytes], limit_s: float
) -> dict[str, float]:
    """Records/s and CPU between leaving `start` and reaching `end`, or as far as it comes in `limit_s`."""
    deadline = time.monotonic() + READY_S + limit_s
    at_start: tuple[float, int, float] | None = None
    last = (time.monotonic(), start, 0.0)
    while time.monotonic() < deadline and last[1] < end:
        if process.poll() is not None:
            raise SystemExit(f"the process ended with {process.returncode}")
        time.sleep(0.05)
        now = done()
        if now > last[1]:
            used = psutil.Process(process.pid).cpu_times()
            last = (time.monotonic(), now, used.user + used.system)
            if at_start is None:
                at_start = last
                deadline = time.monotonic() + limit_s
    if at_start is None or last[1] == at_start[1]:
        return {"per_s": 0.0, "cpu_us": 0.0}
    moved = last[1] - at_start[1]
    return {
        "per_s": round(moved / (last[0] - at_start[0])),
        "cpu_us": round((last[2] - at_start[2]) / moved * 1e6, 1),
    }


def measure(kafka: str, registry_url: str) -> dict[str, Any]:
    """Rows a second of both; the log's END records are counted out."""
    apply_topics(kafka=kafka, registry_url=registry_url, partitions=4)
    ensure_source_topics(kafka, "wms")
    mapping = load_mapping(lane.CONFIGS / "wms")
    snapshot = lane.first("wms", list(mapping.tables)).records
    log = lane.wms(ROWS)
    start = fill(kafka, "cdc.wms", snapshot)
    end = start + fill(kafka, "cdc.wms", log.records)
    rows_share = ROWS / len(log.records)
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        environment = {
            **os.environ,
            "ONHAND_KAFKA": kafka,
            "ONHAND_REGISTRY_URL": registry_url,
            "ONHAND_DATA_DIR": folder,
            "ONHAND_PROJECT_DIR": str(Path(__file__).parent.parent),
        }
        ours = _run(
            ["-m", "onhand.cli.main", "run", "source", "wms"],
            environment,
            _committed(kafka, "lane-wms"),
            start,
            end,
            WORK_S,
        )
        plain = _run(
            ["-m", "bench.plain_faust_lane", kafka, folder],
            environment,
            _written(kafka, "plain-lane-rows-changelog"),
            0,
            ROWS,
            PLAIN_S,
        )
    return {
        "rows": ROWS,
        "lane_rows_per_s": round(ours["per_s"] * rows_share),
        "lane_cpu_us_per_row": round(ours["cpu_us"] / rows_share, 1),
        "plain_faust_rows_per_s": plain["per_s"],
        "plain_faust_cpu_us_per_row": plain["cpu_us"],
        "ratio": round(ours["per_s"] * rows_share / plain["per_s"], 1) if plain["per_s"] else None,
        "target_rows_per_s": TARGET,
        "target_ratio": TARGET_RATIO,
    }


def _run(
    arguments: list[str], environment: dict[str, str], done: Callable[[], int], start: int, end: int, limit_s: float
) -> dict[str, float]:
    process = subprocess.Popen([sys.executable, *arguments], env=environment, stderr=subprocess.DEVNULL)
    try:
        return rate_of(done, start, end, process, limit_s)
    finally:
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


def _written(kafka: str, changelog: str) -> Callable[[], int]:
    """Rows that plain Faust has put into its changelog, one record each; its commits come much later."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-reader"})

    def done() -> int:
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(changelog, 0), timeout=10)[1])
        except KafkaException:  # not created yet
            return 0

    return done


def main() -> None:
    print(json.dumps(measure(*sys.argv[1:3])))


if __name__ == "__main__":
    main()
