"""How soon a process that starts is right again, with 1,000,000 keys of state: warm, cold, and what bounds it.

The changelog is made here, in the runtime's own format: rows and their sums, in units of a few thousand records.
Before each start one row lies in the input; the clock stops when its sum, which needs what was recovered, can be read.

    python -m bench.recovery [--kafka HOST:PORT] [--keys 1000000] [--case PARTITIONS:SUPERSEDED]... [--json]

Read beside it: the interpreter's start with all imports, and the floor: a confluent consumer that reads those bytes and
does nothing, and RocksDB given the same pairs from memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from rocksdict import Cache

from bench.output import broker, show
from onhand.collector import collect_seldom
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import WRITER_HEADER, ChangelogRun, InputMark, Standing, Writer, changelog_topic
from streams.agents.runtime.store import PartitionStore
from streams.agents.runtime.tenure import Tenure
from streams.agents.runtime.topic_desk import TopicDesk
from tests.integration.runtime_stages import PARTITIONS, PartSum, Row, load_part, pack

UNIT_ROWS = 2000
TARGETS = {"warm_s": 2.0, "cold_s": 6.0, "rss_mb": 200}
CASES = ((4, 0), (1, 0), (1, 10))
DEADLINE_S = 180.0


def sku(number: int) -> str:
    """Long enough that a pair is about as large as a lane's."""
    return f"SKU-{number * 2_654_435_761 % 1_000_000_007:010d}-of-a-length-as-rows-have-it-with-their-columns"


def row_key(number: int) -> bytes:
    return b"row%010d" % (number * 2_654_435_761 % 1_000_000_007)


class Case:
    """A changelog, its stage and its processes, gone afterwards."""

    def __init__(self, kafka: str, keys: int, superseded: int, partitions: int) -> None:
        self.kafka, self.rows, self.versions = kafka, keys // 2, superseded + 1
        self.partitions = partitions
        self.run = f"recovery-{uuid.uuid4().hex[:8]}"
        self.input, self.output = f"raw-{self.run}", f"sums-{self.run}"
        self.changelog = changelog_topic(f"rows-{self.run}")
        self.folder = Path(tempfile.mkdtemp(prefix="onhand-bench-"))
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self.desk = TopicDesk(kafka)
        self.fed = 0

    def quantity(self, number: int, version: int) -> int:
        return (number + version) % 500

    def fill(self) -> None:
        """Write the changelog: every key `superseded` times before its last value."""
        for future in self.admin.create_topics(
            [NewTopic(t, PARTITIONS, 1) for t in (self.input, self.output)]
        ).values():
            future.result()
        self.desk.ensure_changelog(self.changelog, PARTITIONS, 1)
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka,
            compression_type="snappy",
            max_batch_size=7 << 20,
            max_request_size=8 << 20,
            acks="all",
            enable_idempotence=True,
        )
        await producer.start()
        mark = {self.input: InputMark(self.desk.require(self.input, PARTITIONS), 0)}
        tenures = {p: Tenure(Standing(), Writer(1000, p + 1), 0) for p in range(self.partitions)}

        async def settle(partition: int, changes: dict[bytes, bytes | None]) -> None:
            tenure = tenures[partition]
            unit = tenure.close(changes, inputs=mark, outputs={}, owed=(), memo=b"0", fingerprint=b"test")
            batch, headers = producer.create_batch(), [(WRITER_HEADER, tenure.writer.dump())]
            for key, value in unit.records:
                batch.append(timestamp=None, key=key, value=value, headers=headers)
            done = await producer.send_batch(batch, self.changelog, partition=partition)
            tenure.acknowledged(unit, (await done).offset)

        step = UNIT_ROWS * self.partitions
        for version in range(self.versions):
            for start in range(0, self.rows, step):
                units = []
                for partition in tenures:
                    changes: dict[bytes, bytes | None] = {}
                    for number in range(start + partition, min(start + step, self.rows), self.partitions):
                        total = self.quantity(number, version)
                        changes[b"r" + row_key(number)] = pack(Row(sku(number), total))
                        changes[b"s" + sku(number).encode()] = b"%d" % total
                    units.append(settle(partition, changes))
                await asyncio.gather(*units)
        await producer.stop()

    def start(self) -> dict[str, Any]:
        """Start the process beside a row in its input, and time it until the sum that this row makes can be read."""
        number, self.fed = self.fed, self.fed + self.partitions  # always of partition 0
        producer = Producer({"bootstrap.servers": self.kafka})
        producer.produce(self.input, key=row_key(number), value=pack(Row(sku(number), 1000)), partition=0)
        producer.flush(30)
        reader = Consumer({"bootstrap.servers": self.kafka, "group.id": "bench", "fetch.wait.max.ms": 5})
        ends = [reader.get_watermark_offsets(TopicPartition(self.output, p))[1] for p in range(PARTITIONS)]
        reader.assign([TopicPartition(self.output, p, end) for p, end in enumerate(ends)])
        log = self.folder / "log"
        command = ["-m", "tests.integration.runtime_stages", "rows", self.run, self.kafka, str(self.folder), "0", "10"]
        begun = time.monotonic()
        with log.open("wb") as stderr:
            process = subprocess.Popen([sys.executable, *command], stderr=stderr)
        try:
            found = self._first(reader, sku(number).encode(), process)
            took = time.monotonic() - begun
            if found.quantity != 1000:
                raise SystemExit(f"recovered wrongly: {sku(number)} is {found.quantity} and should be 1000")
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak, now = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) / 1000 for name in ("VmHWM", "VmRSS"))
            used = time_of(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            reader.close()
        return {
            "s": round(took, 2),
            "cpu_s": round(used, 2),
            "taken_over_s": max(float(s) for s in re.findall(r"taken over in ([\d.]+) s", log.read_text())),
            "rss_mb": round(peak),
            "rss_after_mb": round(now),
        }

    def _first(self, reader: Consumer, key: bytes, process: subprocess.Popen[bytes]) -> PartSum:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and process.poll() is None:
            for message in reader.consume(100, 0.05):
                value = message.value()
                if message.error() is None and message.key() == key and isinstance(value, bytes):
                    return load_part(value)
        raise SystemExit(f"nothing came:\n{(self.folder / 'log').read_text()[-3000:]}")

    def forget(self) -> None:
        """The local store is gone."""
        shutil.rmtree(self.folder / "state")

    def floor(self) -> dict[str, float]:
        """Seconds of CPU, this process's alone: reading and doing nothing; our reading; RocksDB's writing."""
        found = {}
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "bench", "enable.partition.eof": True})
        used = time.process_time()
        for partition in range(self.partitions):
            consumer.assign([TopicPartition(self.changelog, partition, 0)])
            while not any(message.error() for message in consumer.consume(5000, 1.0)):
                pass
        found["confluent_reads_and_does_nothing_cpu_s"] = round(time.process_time() - used, 2)
        consumer.close()
        reader = LogReader(self.kafka)
        store = PartitionStore(self.folder / "floor", Cache(8 << 20))
        reading = writing = 0.0
        with store.restoring(self.rows) as apply:
            for partition in range(self.partitions):
                runs: Iterator[ChangelogRun] = reader.runs(
                    self.changelog, partition, *reader.bounds(self.changelog, partition)
                )
                while True:
                    used = time.process_time()
                    run = next(runs, None)
                    reading += time.process_time() - used
                    if run is None:
                        break
                    used = time.process_time()
                    apply(run.changes, Standing())
                    writing += time.process_time() - used
        found |= {"reading_cpu_s": round(reading, 2), "writing_cpu_s": round(writing, 2)}
        store.close()
        reader.close()
        return found

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for future in self.admin.delete_topics([self.input, self.output, self.changelog]).values():
            future.exception()


def time_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def imports() -> dict[str, float]:
    """The interpreter with everything the process imports, and nothing else."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import tests.integration.runtime_stages"], check=True)
    return {"interpreter_and_imports_s": round(time.monotonic() - begun, 2)}


def measure(
    kafka: str,
    keys: int = 1_000_000,
    cases: Sequence[tuple[int, int]] = CASES,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """`cases`: over how many partitions the state lies, 4 as inventory's or 1 as a lane's, and superseded versions."""
    collect_seldom()  # as the processes do; else it is most of what reading costs here
    imports()
    result: dict[str, Any] = {"keys": keys, "targets": TARGETS, **imports()}
    for partitions, superseded in cases:
        with contextlib.closing(Case(kafka, keys, superseded, partitions)) as case:
            case.fill()
            cold = case.start()
            warm = case.start()
            case.forget()
            cold = min(cold, case.start(), key=lambda each: each["s"])
            warm = min(warm, case.start(), key=lambda each: each["s"])
            name = f"{partitions} partitions, {superseded} superseded"
            result[name] = {"cold": cold, "warm": warm, **case.floor()}
            tell(f"{name}: {result[name]}")
    return result


def case_of(text: str) -> tuple[int, int]:
    partitions, _, superseded = text.partition(":")
    return int(partitions), int(superseded)


@click.command()
@click.option("--kafka", default=None, help="Bootstrap servers; default: a stack of its own.")
@click.option("--keys", default=1_000_000, show_default=True)
@click.option("--case", "cases", multiple=True, help="PARTITIONS:SUPERSEDED, again and again; default: 4:0, 1:0, 1:10.")
@click.option("--json", "as_json", is_flag=True)
def main(kafka: str | None, keys: int, cases: tuple[str, ...], as_json: bool) -> None:
    """Time from a process's start to its first right publication."""
    with broker(kafka) as servers:
        result = measure(
            servers, keys, [case_of(each) for each in cases] or CASES, tell=lambda line: click.echo(line, err=True)
        )
    show(result, as_json=as_json)


if __name__ == "__main__":
    main()
