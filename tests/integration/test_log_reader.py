"""Reading stretches of a real partition: exact ends, holes, several readers at once, and an end that blocks nobody."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.errors import EnvironmentFault, Fatal
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import MARK_KEY, WRITER_HEADER, Writer
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

RECORDS = 5000
BATCH = 100


class Log:
    """A topic of one partition with numbered records, in batches of `BATCH`."""

    def __init__(self, kafka: str) -> None:
        self.topic = f"log-{uuid.uuid4().hex[:8]}"
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self.admin.create_topics([NewTopic(self.topic, 1, 1)])[self.topic].result()
        self.producer = Producer(
            {"bootstrap.servers": kafka, "linger.ms": 5000, "batch.num.messages": BATCH, "compression.type": "lz4"}
        )
        self.reader = LogReader(kafka)

    def write(self, key: bytes, value: bytes | None, headers: dict[str, bytes] | None = None) -> None:
        self.producer.produce(self.topic, key=key, value=value, headers=list((headers or {}).items()))

    def offsets(self, start: int, end: int) -> list[int]:
        return [record.offset for record in self.reader.read(self.topic, 0, start, end)]


@pytest.fixture
def log(stack: RunningStack) -> Iterator[Log]:
    made = Log(stack.settings().kafka)
    yield made
    made.reader.close()
    made.admin.delete_topics([made.topic])[made.topic].result()


def test_a_stretch_begins_and_ends_where_it_is_asked_to_for_several_threads_at_once(log: Log) -> None:
    for number in range(RECORDS):
        log.write(b"k%d" % number, b"v%d" % number, {"h": b"x"})
    assert log.producer.flush(30) == 0
    assert log.reader.bounds(log.topic, 0) == (0, RECORDS)
    assert log.offsets(0, 0) == []
    stretches = [(0, RECORDS), (50, 51), (99, 101), (2345, 4321), (RECORDS - 1, RECORDS)]
    with ThreadPoolExecutor(len(stretches)) as pool:
        found = list(pool.map(lambda stretch: log.offsets(*stretch), stretches))
    assert found == [list(range(*stretch)) for stretch in stretches]
    last = next(log.reader.read(log.topic, 0, RECORDS - 1, RECORDS))
    assert (last.key, last.value, last.headers) == (b"k4999", b"v4999", {"h": b"x"})


def test_a_reader_half_way_does_not_hold_up_the_end_and_hears_of_it(log: Log) -> None:
    for number in range(RECORDS):
        log.write(b"k%d" % number, os.urandom(2000))  # more than one fetch
    assert log.producer.flush(30) == 0
    half = log.reader.read(log.topic, 0, 0, RECORDS)
    assert next(half).offset == 0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(log.offsets, RECORDS, RECORDS + 1)  # nothing will come: it would wait for a minute
        log.reader.close()
        assert isinstance(waiting.exception(), EnvironmentFault)
    with pytest.raises(EnvironmentFault, match="closed"):
        list(half)
    with pytest.raises(EnvironmentFault, match="closed"):
        log.reader.bounds(log.topic, 0)


def test_a_changelog_is_read_in_its_batches_and_nothing_else_is_taken_for_one(log: Log) -> None:
    writer = {WRITER_HEADER: Writer(7, 1).dump()}
    for key, value in ((b"a", b"1"), (b"b", None), (MARK_KEY, b"marker")):
        log.write(key, value, writer)
    assert log.producer.flush(30) == 0
    log.write(b"a", b"2", writer)
    assert log.producer.flush(30) == 0
    whole, open_ = log.reader.runs(log.topic, 0, 0, 4)
    assert (whole.offset, whole.writer, whole.changes, whole.marker) == (
        2, Writer(7, 1), {b"a": b"1", b"b": None}, b"marker",
    )  # fmt: skip
    assert (open_.offset, open_.changes, open_.marker) == (3, {b"a": b"2"}, None)
    log.write(b"a", b"3")
    assert log.producer.flush(30) == 0
    with pytest.raises(Fatal, match="offset 4: not written by this runtime"):
        list(log.reader.runs(log.topic, 0, 3, 5))


def test_a_topic_that_is_not_there_is_named(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.agents.runtime.log_reader.BOUNDS_PATIENCE_S", 0.5)
    with pytest.raises(EnvironmentFault, match="no-such-topic-0"):
        log.reader.bounds("no-such-topic", 0)
