"""What the stages state on progress.v1 and what is open on exception.v1, followed as it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from confluent_kafka import TopicPartition

from schemas.codec import Codec
from schemas.errors import PoisonRecord
from schemas.records import ExceptionRecord, ExceptionStatus, Progress
from sinks.workers import wire
from sinks.workers.wire import Received

STAGES = ("lane", "inventory", "orders")
CHANNEL = "channel-"


class Board:
    """Newest progress by (stage, source, partition), open exceptions by id.

    One thread reads; `answers`, `stages` and `open_exceptions` may be asked from others.
    """

    def __init__(self, bootstrap: str, codec: Codec) -> None:
        self._codec = codec
        self._consumer = wire.consumer(bootstrap, "watch")
        self._pulse = wire.Pulse(bootstrap)
        self._progress: dict[tuple[str, str, int], Progress] = {}
        self.exceptions: dict[str, ExceptionRecord] = {}

    def catch_up(self) -> None:
        """Read both topics to their ends."""
        following: dict[tuple[str, int], int] = {}
        places = {(wire.PROGRESS, 0): None, (wire.EXCEPTION, 0): None}
        for record in wire.read_to_end(self._consumer, places):
            following[record.topic, record.partition] = record.offset + 1
            self._take(record)
        self._consumer.assign([TopicPartition(*place, following.get(place, 0)) for place in places])

    def follow(self, wait_s: float) -> None:
        """Take in what has come; waits so long for the first record.  Raises Fatal."""
        for message in self._consumer.consume(1000, wait_s):
            record = wire.received(message)
            if record is not None and not record.end:
                self._take(record)

    def answers(self) -> bool:
        """Whether Kafka does."""
        return self._pulse.beats()

    def close(self) -> None:
        self._consumer.close()

    def stages(self, sources: Collection[str], channels: Collection[str]) -> list[dict[str, Any]]:
        """How far each stage is with each source over all its partitions; what is not configured is left out."""
        known = {*STAGES, *(CHANNEL + channel for channel in channels)}
        together: dict[tuple[str, str], list[Progress]] = {}
        for (stage, source, _), progress in sorted(dict(self._progress).items()):
            if stage in known and source in sources:
                together.setdefault((stage, source), []).append(progress)
        return [summary(stage, source, each) for (stage, source), each in together.items()]

    def open_exceptions(self) -> list[dict[str, Any]]:
        """Counted by stage and code."""
        counts = Counter((record.stage, record.code) for record in list(self.exceptions.values()))
        return [{"stage": stage, "code": code, "count": count} for (stage, code), count in sorted(counts.items())]

    def _take(self, record: Received) -> None:
        try:
            said = None if record.value is None else self._codec.decode(record.topic, record.value)
        except PoisonRecord:
            return  # the metrics worker complains about it
        if isinstance(said, Progress):
            self._progress[said.stage, said.source, said.partition] = said
        elif isinstance(said, ExceptionRecord) and said.status is not ExceptionStatus.CLOSED:
            self.exceptions[said.id] = said
        elif record.topic == wire.EXCEPTION:
            self.exceptions.pop(record.key, None)


def summary(stage: str, source: str, partitions: Collection[Progress]) -> dict[str, Any]:
    """One stage and one source: as far as the partition that is least far."""
    times = [progress.source_time_us for progress in partitions]
    return {
        "stage": stage,
        "source": source,
        "partitions": len(partitions),
        "source_time_us": None if None in times else min(time for time in times if time is not None),
        "complete": all(progress.complete for progress in partitions),
        "holding": any(progress.holding for progress in partitions),
        "uncertain": any(progress.uncertain for progress in partitions),
        "stated_us": min(progress.stated_us for progress in partitions),
    }
