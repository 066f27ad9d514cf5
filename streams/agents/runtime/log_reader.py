"""Reading a stretch of a Kafka partition from outside the consumer group: changelogs, and outputs that are checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import EnvironmentFault

PATIENCE_S = 60.0
"""How long the broker may take to hand over the next record before we give up."""

BOUNDS_PATIENCE_S = 20.0
"""The same for the bounds of a partition."""


class LogRecord(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class LogReader:
    """One consumer without a group; its calls block and exclude each other, so call them from a worker thread.

    All raise EnvironmentFault when the broker does not answer.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._lock = threading.Lock()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "onhand-log-reader",  # required by the client; never joined, nothing is committed
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 10,
                "allow.auto.create.topics": False,
            }
        )

    def close(self) -> None:
        with self._lock:
            self._consumer.close()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset still there, next offset to be written)."""
        with self._lock:
            return self._bounds(topic, partition)

    def read(self, topic: str, partition: int, start: int, end: int) -> Generator[LogRecord, None, None]:
        """Records with start ≤ offset < end, in order; compaction may have left holes."""
        with self._lock:
            low, _ = self._bounds(topic, partition)
            start = max(start, low)
            if start >= end:
                return
            self._consumer.assign([TopicPartition(topic, partition, start)])
            try:
                yield from self._until(topic, partition, end)
            finally:
                self._consumer.unassign()

    def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Asked again for a while: of a new topic, or after a change of leader, a broker may know nothing yet."""
        place = TopicPartition(topic, partition)
        end = time.monotonic() + BOUNDS_PATIENCE_S
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=BOUNDS_PATIENCE_S)
            except KafkaException as error:
                if time.monotonic() > end:
                    raise EnvironmentFault(f"{topic}-{partition} at {self._bootstrap}: no answer: {error}") from error
                time.sleep(0.1)
            else:
                return int(low), int(high)

    def _until(self, topic: str, partition: int, end: int) -> Generator[LogRecord, None, None]:
        quiet_since = time.monotonic()
        while True:
            messages = self._consumer.consume(2000, timeout=0.2)
            if messages:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > PATIENCE_S:
                raise EnvironmentFault(f"{topic}-{partition} at {self._bootstrap}: nothing came for {PATIENCE_S:.0f} s")
            for message in messages:
                if message.topic() != topic or message.partition() != partition:
                    continue
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    raise EnvironmentFault(f"{topic}-{partition} at {self._bootstrap}: {error}")
                record = _record(message)
                if record.offset >= end:
                    return
                yield record
                if record.offset == end - 1:
                    return


def _record(message: Message) -> LogRecord:
    headers: Any = message.headers() or []
    offset: Any = message.offset()
    key: Any = message.key()
    value: Any = message.value()
    return LogRecord(offset, key, value, {name: header or b"" for name, header in headers})
