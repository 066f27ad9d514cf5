"""What really arrives on a source's log: its end and its last record, read from Kafka itself."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import EnvironmentFault

TIMEOUT_S = 10.0
PAUSE_S = 0.1
_PASSING = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
)


@dataclass(frozen=True, slots=True)
class LastRecord:
    """The newest record of a source log."""

    offset: int
    timestamp_us: int
    """When the connector produced it."""


class SourceLog:
    """One look at one `cdc.<source>`; no consumer group, nothing is committed."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self._bootstrap = bootstrap
        self._partition = TopicPartition(topic, 0)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "onhand-look",  # the client insists on one
                "enable.auto.commit": False,
                "allow.auto.create.topics": False,
                "log_level": 2,
            }
        )

    def __enter__(self) -> SourceLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def end(self) -> int | None:
        """The next offset; None: there is no such topic.  Raises EnvironmentFault when Kafka does not answer."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return int(self._consumer.get_watermark_offsets(self._partition, timeout=TIMEOUT_S)[1])
            except KafkaException as error:
                reason: KafkaError = error.args[0]
            if reason.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
                return None
            # a topic made a moment ago has no leader yet; the client does not repeat this call by itself
            if reason.code() not in _PASSING or time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"Kafka at {self._bootstrap} does not answer for {self.topic} ({reason.str()}); start it "
                    "(`onhand up`), or set ONHAND_KAFKA"
                )
            time.sleep(PAUSE_S)

    def last(self) -> LastRecord | None:
        """The newest record; None: the log is empty or not there."""
        try:
            return self._newest(self.end())
        finally:
            self._consumer.unassign()  # or it would go on fetching what comes

    def _newest(self, end: int | None) -> LastRecord | None:
        # transaction markers and the like take offsets without being records: look a little further back
        for back in (1, 16, 256):
            if not end:
                return None
            self._consumer.assign([TopicPartition(self.topic, 0, max(0, end - back))])
            newest: LastRecord | None = None
            while (message := self._consumer.poll(TIMEOUT_S if newest is None else 0.2)) is not None:
                if message.error():
                    break
                newest = LastRecord(int(message.offset() or 0), message.timestamp()[1] * 1000)
                if newest.offset >= end - 1:
                    return newest
            if newest is not None:
                return newest
        return None
