"""What must stop a worker does, says why, and loses nothing: on the real Kafka, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.errors import EXIT_FAIL_STOP, EXIT_OK
from streams.agents.runtime.log_reader import LogReader, LogRecord
from streams.agents.runtime.marker import WRITER_HEADER, Writer, changelog_topic
from tests.integration.runtime_harness import read_partition, wait_for
from tests.integration.runtime_stages import PARTITIONS, PartSum, Position, load_position, pack
from tests.stack import RunningStack

pytestmark = pytest.mark.integration


class Bench:
    """The `positions` stage alone, fed by hand; everything goes to partition 0."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.run_name = f"g-{uuid.uuid4().hex[:8]}"
        self.input, self.output = f"sums-{self.run_name}", f"positions-{self.run_name}"
        self.changelog = changelog_topic(self.output)
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self.producer = Producer({"bootstrap.servers": kafka})
        self.reader = LogReader(kafka)
        self.process: subprocess.Popen[bytes] | None = None
        self.create(self.input)
        self.create(self.output)

    def create(self, topic: str) -> None:
        self.admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()

    def start(self, instance: str = "0") -> None:
        arguments = ["positions", self.run_name, self.kafka, str(self.folder), instance, "6"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.runtime_stages", *arguments], stdout=log, stderr=log
            )

    def ended(self, code: int) -> str:
        """Wait for the process to end with this code; the whole log."""
        assert self.process is not None
        assert self.process.wait(90) == code, self.log
        return self.log

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.ended(EXIT_OK)

    def feed(self, key: str, version: int, quantity: int) -> None:
        self.write(self.input, key.encode(), pack(PartSum(0, version, quantity)))

    def write(self, topic: str, key: bytes, value: bytes, headers: dict[str, bytes] | None = None) -> None:
        self.producer.produce(topic, key=key, value=value, partition=0, headers=list((headers or {}).items()))
        assert self.producer.flush(30) == 0

    def records(self, topic: str) -> list[LogRecord]:
        low, high = self.reader.bounds(topic, 0)
        return list(self.reader.read(topic, 0, low, high))

    def last(self, key: str) -> int | None:
        """Quantity of the newest record of a key in the output: what a fresh reader sees."""
        found = [record.value for record in self.records(self.output) if record.key == key.encode()]
        return load_position(found[-1]).quantity if found and found[-1] else None

    def wait_last(self, key: str, quantity: int) -> None:
        wait_for(lambda: self.last(key) == quantity, f"{key} = {quantity}; log: {self.folder}/log", 60)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.reader.close()
        for future in self.admin.delete_topics([self.input, self.output, self.changelog]).values():
            future.exception()


@pytest.fixture
def bench(stack: RunningStack, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(stack.settings().kafka, tmp_path)
    yield made
    made.close()


def test_a_restart_goes_on_where_the_state_stands_and_committed_offsets_do_not_matter(bench: Bench) -> None:
    bench.feed("A", 1, 5)
    bench.start()
    bench.wait_last("A", 5)
    bench.stop()
    bench.feed("A", 2, 7)
    bench.start()
    bench.wait_last("A", 7)
    marker, state = read_partition(bench.kafka, bench.changelog, 0)
    assert marker is not None
    assert marker.inputs[bench.input].offset == 2
    assert marker.memo == b"2"
    assert state == {b"pA|0": pack(PartSum(0, 2, 7))}


def test_a_recreated_input_stops_the_process_with_the_way_out(bench: Bench) -> None:
    bench.feed("A", 1, 5)
    bench.start()
    bench.wait_last("A", 5)
    bench.stop()
    bench.admin.delete_topics([bench.input])[bench.input].result()

    def recreated() -> bool:
        return bench.admin.create_topics([NewTopic(bench.input, PARTITIONS, 1)])[bench.input].exception() is None

    wait_for(recreated, "the topic to be gone", 30)
    bench.feed("A", 2, 6)
    bench.start()
    log = bench.ended(EXIT_FAIL_STOP)
    assert "was recreated" in log
    assert bench.changelog in log


def test_an_input_that_retention_has_passed_stops_the_process(bench: Bench) -> None:
    bench.feed("A", 1, 5)
    bench.start()
    bench.wait_last("A", 5)
    bench.stop()
    for version in range(2, 6):
        bench.feed("A", version, version)
    place = TopicPartition(bench.input, 0, 3)
    bench.admin.delete_records([place])[place].result()
    bench.start()
    assert "retention removed what was not read yet" in bench.ended(EXIT_FAIL_STOP)


def test_a_late_write_to_the_changelog_stops_the_owner_and_is_put_again(bench: Bench) -> None:
    bench.feed("A", 1, 5)
    bench.start()
    bench.wait_last("A", 5)
    late = {WRITER_HEADER: Writer(1, 1).dump()}
    bench.write(bench.changelog, b"pA|0", pack(PartSum(0, 9, 999)), late)
    assert "another process wrote to it" in bench.ended(EXIT_FAIL_STOP)
    bench.start("1")
    wait_for(lambda: "1 put again" in bench.log, "the key to be put again", 60)
    bench.feed("A", 2, 6)
    bench.wait_last("A", 6)
    _, state = read_partition(bench.kafka, bench.changelog, 0)
    assert state == {b"pA|0": pack(PartSum(0, 2, 6))}
    newest = [record.value for record in bench.records(bench.changelog) if record.key == b"pA|0"][-1]
    assert newest == state[b"pA|0"], "compaction would keep the late value"


def test_a_late_write_to_an_output_is_sent_again_over(bench: Bench) -> None:
    bench.feed("A", 1, 5)
    bench.start()
    bench.wait_last("A", 5)
    bench.write(bench.output, b"A", pack(Position(1, 999)))
    wait_for(lambda: bench.last("A") == 5, "the owner to notice", 30)
    bench.stop()
    bench.write(bench.output, b"A", pack(Position(1, 999)))
    bench.start()
    wait_for(lambda: bench.last("A") == 5, "the next owner to notice at take-over", 60)
    versions = [load_position(record.value).version for record in bench.records(bench.output) if record.value]
    assert versions[-1] == max(versions)


def test_a_second_process_on_the_same_directory_waits_and_is_given_the_partitions_at_once(bench: Bench) -> None:
    """At once: it is the same member of the group, so nobody waits for the killed one's session to run out."""
    bench.feed("A", 1, 5)
    bench.start()
    bench.wait_last("A", 5)
    first = bench.process
    assert first is not None
    try:
        bench.start()
        wait_for(lambda: "standing by" in bench.log, "the second process", 60)
        assert str(bench.folder) in bench.log
        assert bench.log.count("taken over") == PARTITIONS
    finally:
        first.kill()
        first.wait()
    bench.feed("A", 2, 6)
    bench.wait_last("A", 6)
    assert bench.log.count("taken over") == 2 * PARTITIONS


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_stops_the_process_names_the_directory_and_loses_nothing(bench: Bench) -> None:
    small = bench.folder / "state"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
    try:
        bench.start()
        wait_for(lambda: bench.log.count("taken over") == PARTITIONS, "the take-over", 60)
        for number in range(40):
            key = f"{number:04d}".encode() + b"x" * 60_000
            bench.producer.produce(bench.input, key=key, value=pack(PartSum(0, 1, number)), partition=0)
        assert bench.producer.flush(30) == 0
        log = bench.ended(EXIT_FAIL_STOP)
        assert "No space left" in log
        assert str(small) in log
    finally:
        subprocess.run(["umount", str(small)], check=True)
    bench.start()
    wait_for(lambda: len({r.key for r in bench.records(bench.output)}) == 40, "all keys after the restart", 60)
