"""Read a topic from its beginning, decoded: for the command line, tools and tests; it belongs to no consumer group."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.contract import RECORDS
from schemas.errors import EnvironmentFault, InvalidInput, PoisonRecord

_TIMEOUT_S = 10.0
_POLL_S = 0.2


class ReadRecord(NamedTuple):
    """One record; a tombstone has neither value nor error."""

    partition: int
    offset: int
    timestamp_us: int
    key: str
    value: Any
    """The record of a contract topic, parsed JSON of any other, None for a tombstone."""
    error: str | None
    """Why the value could not be decoded."""

    def document(self) -> dict[str, Any]:
        """JSON for machines: place, key, tombstone or value."""
        document: dict[str, Any] = {
            "partition": self.partition,
            "offset": self.offset,
            "timestamp_us": self.timestamp_us,
            "key": self.key,
        }
        if self.error is not None:
            document["error"] = self.error
        else:
            document["tombstone"] = self.value is None
            document["value"] = msgspec.to_builtins(self.value)
        return document


def read_topic(
    kafka: str,
    topic: str,
    codec: Codec,
    *,
    key: str | None = None,
    follow: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[ReadRecord]:
    """Every record from the beginning, to what was the end at the start or, with `follow`, until `stop()`.

    Ordering: by offset within a partition; partitions as they come.  Raises InvalidInput when there is no such topic,
    EnvironmentFault when Kafka does not answer.
    """
    for message in _messages(kafka, topic, follow=follow, stop=stop):
        record_key = _key(message)
        if key is None or record_key == key:
            value, wrong = _decode(codec, topic, message.value())
            stamp_us = message.timestamp()[1] * 1000
            yield ReadRecord(message.partition() or 0, message.offset() or 0, stamp_us, record_key, value, wrong)


def newest(records: Iterator[ReadRecord]) -> list[ReadRecord]:
    """The compacted view: the newest record of each key of each partition, by partition and key; no tombstones."""
    latest = {(record.partition, record.key): record for record in records}
    return [record for _, record in sorted(latest.items()) if record.value is not None or record.error is not None]


def newest_values(kafka: str, topic: str, codec: Codec) -> dict[str, Any]:
    """Key → its newest record, of a contract topic whose keys stay in one partition; tombstones are left out.

    Only the newest are decoded.  Raises InvalidInput, EnvironmentFault as `read_topic`, PoisonRecord.
    """
    latest = {_key(message): message.value() for message in _messages(kafka, topic)}
    return {key: codec.decode(topic, value) for key, value in latest.items() if value is not None}


def _messages(
    kafka: str, topic: str, *, follow: bool = False, stop: Callable[[], bool] = lambda: False
) -> Iterator[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "onhand-reader",  # required by the client; nothing is subscribed or committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "log_level": 2,  # what goes wrong is said once, by us
        }
    )
    try:
        partitions = _partitions(consumer, kafka, topic)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        unread = set(partitions)
        while (unread or follow) and not stop():
            for message in consumer.consume(1000, _POLL_S) if not follow else _one(consumer):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition() or 0)
                else:
                    raise EnvironmentFault(f"Kafka {kafka}, topic {topic}: {error.str()}")
    finally:
        consumer.close()


def _one(consumer: Consumer) -> list[Message]:
    """The next record at once: a person who follows should not wait for a full batch."""
    message = consumer.poll(_POLL_S)
    return [] if message is None else [message]


def _key(message: Message) -> str:
    return (message.key() or b"").decode(errors="replace")


def _partitions(consumer: Consumer, kafka: str, topic: str) -> list[int]:
    try:
        metadata = consumer.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        raise EnvironmentFault(
            f"Kafka {kafka} does not answer ({error.args[0].str()}); start it (`onhand up`) or set ONHAND_KAFKA"
        ) from error
    if topic not in metadata.topics:
        raise InvalidInput(f"Kafka {kafka} has no topic {topic}; `onhand topics list` shows what there is")
    return sorted(metadata.topics[topic].partitions)


def _decode(codec: Codec, topic: str, data: bytes | None) -> tuple[Any, str | None]:
    if data is None:
        return None, None
    try:
        return (codec.decode(topic, data), None) if topic in RECORDS else (json.loads(data), None)
    except (PoisonRecord, ValueError) as error:
        return None, str(error)
