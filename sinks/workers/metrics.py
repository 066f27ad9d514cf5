"""The metrics worker: publications, progress and exceptions into ClickHouse, each exactly once.

It alone reads all partitions from the offsets that stand in ClickHouse itself.  A batch is written as `MetricsWriter`
says; while ClickHouse does not take it the same batch is tried again, and nothing more is read than one batch.  Being
no member of a group, it is not told of more partitions: it looks for them, and stops to begin anew with all of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from schemas.codec import Codec
from schemas.errors import EnvironmentFault, Fatal, PoisonRecord
from schemas.intervals import is_over
from schemas.records import ExceptionRecord, Progress, Publication
from sinks.clickhouse.writer import MetricsWriter
from sinks.core.book import CONTROL
from sinks.core.pace import backoff_s
from sinks.workers import wire
from sinks.workers.wire import Received

logger = logging.getLogger(__name__)

GROUP = "metrics"
TOPICS = (wire.PUBLICATION, wire.PROGRESS, wire.EXCEPTION)
BATCH_RECORDS = 20_000
BATCH_US = 2_000_000
"""Each batch costs its inserts and the count of its minutes anew, hardly more with more records in it."""
COUNT_US = 10_000_000
"""So often it looks whether the topics have more partitions."""
POLL_S = 0.1
LONGEST_WAIT_S = 10.0


class MetricsWorker:
    """One process for one ClickHouse database."""

    def __init__(
        self, writer: MetricsWriter, *, bootstrap: str, codec: Codec, clock_us: Callable[[], int], group: str = GROUP
    ) -> None:
        self._writer = writer
        self._codec = codec
        self._clock_us = clock_us
        self._consumer = wire.consumer(bootstrap, group, **wire.UNHURRIED)
        self._pulse = wire.Pulse(bootstrap)
        self._publications: list[tuple[int, Publication]] = []
        self._progress: dict[tuple[str, str, int], Progress] = {}
        self._exceptions: list[tuple[int, ExceptionRecord]] = []
        self._positions: dict[tuple[str, int], int] = {}
        self._since_us = 0
        self._behind: set[tuple[str, int]] = set()
        """Partitions whose end has not been met since the start."""
        self._places: set[tuple[str, int]] = set()
        self._counted_us = 0
        self._written = 0
        self._failures = 0
        self._error = ""
        self._written_us: int | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set.  Raises Fatal, also when there are more partitions, and EnvironmentFault."""
        self._assign()
        try:
            while not stop.is_set():
                self._read()
                if self._due():
                    self._write(stop)
                self._count(self._clock_us())
            if self._positions:
                self._write(stop)
        finally:
            self._consumer.close()

    def health(self) -> dict[str, Any]:
        """For the health answer; read from another thread.  Asks Kafka whether it is there."""
        there = self._pulse.beats()
        return {
            "healthy": there and self._failures < 3,
            "ready": bool(self._places) and not self._behind,
            "written": self._written,
            "written_us": self._written_us,
            "failures_in_a_row": self._failures,
            "error": "; ".join(filter(None, ("" if there else wire.NO_ANSWER, self._error))),
        }

    def _assign(self) -> None:
        """Read on from where ClickHouse says; a topic that was made anew is read from its beginning."""
        known = self._writer.positions()
        places = []
        for topic in TOPICS:
            for partition in wire.partitions_of(self._consumer, topic):
                place = TopicPartition(topic, partition)
                first, end = self._consumer.get_watermark_offsets(place, timeout=wire.METADATA_TIMEOUT_S)
                offset = known.get((topic, partition), OFFSET_BEGINNING)
                if offset > end:
                    logger.error("%s/%d ends at %d, before %d: it was made anew", topic, partition, end, offset)
                    offset = OFFSET_BEGINNING
                elif 0 <= offset < first:
                    logger.warning("%s/%d begins at %d, after %d", topic, partition, first, offset)
                    offset = first
                place.offset = offset
                places.append(place)
                self._behind.add((topic, partition))
        self._consumer.assign(places)
        self._places = {(place.topic, place.partition) for place in places}
        self._counted_us = self._clock_us()

    def _count(self, now_us: int) -> None:
        if not is_over(self._counted_us, COUNT_US, now_us):
            return
        self._counted_us = now_us
        try:
            there = {(topic, at) for topic in TOPICS for at in wire.partitions_of(self._consumer, topic, wire.ANSWER_S)}
        except EnvironmentFault:
            return  # what is away is read on when it is back
        if more := there - self._places:
            names = ", ".join(f"{topic}/{partition}" for topic, partition in sorted(more))
            raise Fatal(f"there are more partitions than at the start: {names}; start again")

    def _read(self) -> None:
        for message in self._consumer.consume(2000, POLL_S):
            record = wire.received(message)
            if record is not None:
                self._take(record)

    def _take(self, record: Received) -> None:
        place = (record.topic, record.partition)
        if record.end:
            self._behind.discard(place)
            return
        if not self._positions:
            self._since_us = self._clock_us()
        self._positions[place] = record.offset + 1
        if record.value is None:
            return
        try:
            decoded = self._codec.decode(record.topic, record.value)
        except PoisonRecord as error:
            logger.error("%s/%d/%d is left out: %s", record.topic, record.partition, record.offset, error)
            return
        if isinstance(decoded, Publication) and decoded.kind != CONTROL:
            self._publications.append((record.offset, decoded))
        elif isinstance(decoded, Progress):
            self._progress[decoded.stage, decoded.source, decoded.partition] = decoded
        elif isinstance(decoded, ExceptionRecord):
            self._exceptions.append((record.offset, decoded))

    def _due(self) -> bool:
        if not self._positions:
            return False
        records = len(self._publications) + len(self._exceptions)
        return records >= BATCH_RECORDS or is_over(self._since_us, BATCH_US, self._clock_us())

    def _write(self, stop: threading.Event) -> None:
        """Until ClickHouse takes it, or the process ends: then the batch is read again at the next start."""
        while True:
            try:
                self._writer.write(
                    self._publications,
                    list(self._progress.values()),
                    self._exceptions,
                    self._positions,
                    self._clock_us(),
                )
                break
            except (ClickHouseError, OSError) as error:
                self._failures += 1
                self._error = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
                wait_s = backoff_s(self._failures, longest_s=LONGEST_WAIT_S)
                logger.error("ClickHouse did not take a batch, again in %.2g s: %s", wait_s, self._error)
                if stop.wait(wait_s):
                    return
        self._written += len(self._publications) + len(self._exceptions)
        self._written_us = self._clock_us()
        self._failures, self._error = 0, ""
        self._publications, self._progress, self._exceptions, self._positions = [], {}, [], {}
