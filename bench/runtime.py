"""The runtime alone: rows/s of one process beside plain Faust, and latency over two hops.

`python -m bench.runtime [--rows N] [--rate R] [--seconds S]` against the Kafka of the settings; read ratios, not
absolutes: broker and workers share the machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable

import click
import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from onhand.settings import load_settings
from tests.integration.runtime_stages import PARTITIONS, Row, pack

ROWS, SKUS = 50_000, 5_000


class Run:
    """Topics and processes of one measurement, gone afterwards."""

    def __init__(self, kafka: str) -> None:
        self.kafka, self.name = kafka, f"bench-{uuid.uuid4().hex[:8]}"
        self.folder = tempfile.mkdtemp(prefix="onhand-bench-")
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self.processes: list[subprocess.Popen[bytes]] = []
        names = [f"{topic}-{self.name}" for topic in ("raw", "sums", "positions", "plain-sums")]
        for future in self.admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
            future.result()

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def stage(self, kind: str) -> subprocess.Popen[bytes]:
        return self.start(
            "tests.integration.runtime_stages", kind, self.name, self.kafka, self.folder, "0", "10", "4000"
        )

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        names = [name for name in self.admin.list_topics(timeout=10).topics if self.name in name]
        for future in self.admin.delete_topics(names).values():
            future.exception()


def row(number: int) -> tuple[bytes, bytes]:
    """Spread over rows and skus without a random generator's cost."""
    mixed = number * 2_654_435_761 & 0xFFFFFFFF
    return b"row%d" % (mixed % ROWS), pack(Row(f"SKU-{mixed // ROWS % SKUS:06d}", mixed % 500))


def produce(kafka: str, topic: str, rows: int) -> None:
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 20})
    for number in range(rows):
        key, value = row(number)
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def committed(consumer: Consumer, topic: str) -> int:
    """Rows settled by our runtime: it commits nothing else."""
    places = consumer.committed([TopicPartition(topic, partition) for partition in range(PARTITIONS)], timeout=10)
    return sum(max(0, place.offset) for place in places)


def written(consumer: Consumer, topic: str) -> int:
    """Rows that plain Faust has put into its changelog, one record each; its commits come much later."""
    try:
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(PARTITIONS)]
    except KafkaException:  # not created yet
        return 0
    return sum(ends)


def throughput(
    done: Callable[[], int], process: subprocess.Popen[bytes], rows: int, limit_s: float
) -> tuple[float, float]:
    """(rows/s, CPU µs per row) between the first progress seen and the last, as far as it comes in `limit_s`."""
    deadline = time.monotonic() + limit_s
    first: tuple[float, int, float] | None = None
    last = (0.0, 0, 0.0)
    while time.monotonic() < deadline and last[1] < rows:
        time.sleep(0.1)
        if (now := done()) > last[1]:
            last = (time.monotonic(), now, cpu_seconds(process))
            first = first or last
    if first is None or last[1] == first[1]:
        return 0.0, 0.0
    moved = last[1] - first[1]
    return moved / (last[0] - first[0]), (last[2] - first[2]) / moved * 1e6


def latency(run: Run, rate: float, seconds: float) -> list[float]:
    """Milliseconds from producing a row to reading the position it changed, sorted, over both stages."""
    consumer = Consumer({"bootstrap.servers": run.kafka, "group.id": f"judge-{run.name}", "fetch.wait.max.ms": 5})
    consumer.assign([TopicPartition(f"positions-{run.name}", partition, 0) for partition in range(PARTITIONS)])
    producer = Producer({"bootstrap.servers": run.kafka, "partitioner": "murmur2_random", "linger.ms": 0})
    sent: dict[bytes, float] = {}
    seen: list[float] = []

    def collect(wait_s: float) -> None:
        for message in consumer.consume(500, wait_s):
            key = message.key()
            if message.error() is None and isinstance(key, bytes) and key in sent:
                seen.append((time.monotonic() - sent.pop(key)) * 1000)

    def feed(number: int) -> None:
        sku = f"L{number:08d}"
        sent[sku.encode()] = time.monotonic()
        producer.produce(f"raw-{run.name}", key=sku.encode(), value=pack(Row(sku, 1)))
        producer.poll(0)

    def answered(count: int) -> bool:
        collect(0.1)
        return len(seen) >= count

    def warm() -> bool:
        feed(10_000_000 + len(sent))
        return answered(1)

    wait_until(warm, 60)
    seen.clear()
    begun = time.monotonic()
    for number in range(int(rate * seconds)):
        while (left := begun + number / rate - time.monotonic()) > 0:
            collect(min(left, 0.002))
        feed(number)
    wait_until(lambda: answered(int(rate * seconds * 0.99)), 20)
    producer.flush(10)
    consumer.close()
    return sorted(seen)


def wait_until(condition: Callable[[], bool], deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the workers did not answer in time")


def percentile(values: list[float], fraction: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * fraction))], 1)


@click.command()
@click.option("--kafka", default=None, help="Bootstrap servers; default: the settings'.")
@click.option("--rows", default=400_000, show_default=True)
@click.option("--plain-seconds", default=20.0, show_default=True, help="How long plain Faust is measured; 0: not.")
@click.option("--rate", default=200.0, show_default=True, help="Rows per second of the latency run.")
@click.option("--seconds", default=15.0, show_default=True)
def main(kafka: str | None, rows: int, plain_seconds: float, rate: float, seconds: float) -> None:
    """Measure and print one JSON line."""
    kafka = kafka or load_settings().kafka
    result: dict[str, float] = {}
    run = Run(kafka)
    try:
        produce(kafka, f"raw-{run.name}", rows)
        consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"rows-{run.name}"})
        process = run.stage("rows")
        result["rows_per_s"], result["cpu_us_per_row"] = throughput(
            lambda: committed(consumer, f"raw-{run.name}"), process, rows, 120
        )
        process.kill()
        if plain_seconds:
            plain = run.start("bench.plain_faust", run.name, kafka, run.folder)
            result["plain_faust_rows_per_s"], result["plain_faust_cpu_us_per_row"] = throughput(
                lambda: written(consumer, f"plain-{run.name}-rows-changelog"), plain, rows, plain_seconds
            )
            plain.kill()
        consumer.close()
    finally:
        run.close()
    run = Run(kafka)
    try:
        workers = [run.stage("rows"), run.stage("positions")]
        values = latency(run, rate, seconds)
        result |= {f"two_hops_p{int(f * 1000) / 10:g}_ms": percentile(values, f) for f in (0.5, 0.9, 0.99, 0.999)}
        result["two_hops_cpu_percent"] = round(sum(map(cpu_seconds, workers)) / (seconds + 5) * 100)
    finally:
        run.close()
    click.echo(msgspec.json.encode({name: round(value, 1) for name, value in result.items()}).decode())


if __name__ == "__main__":
    main()
