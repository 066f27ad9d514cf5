"""What channels were told, written anew for another number of partitions.

Theory of operation.  Everything is read before anything is written, and of each key only what its newest state rests
on: the last acknowledgement, and of every later request the last word.  Its versions order a key's records, wherever
they stand.  So a crash while copies are written does no harm: read again beside their originals, they are the same
records, and no older one is ever written behind a newer one, which compaction would lose.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from aiokafka.partitioner import murmur2
from confluent_kafka import Consumer, KafkaError, Message, Producer

from schemas.codec import Codec
from schemas.errors import EnvironmentFault, PoisonRecord
from schemas.records import Publication, PublicationState
from sinks.core.book import CONTROL
from sinks.workers import wire
from sinks.workers.wire import Received

CLIENT = "onhand-grow"
PATIENCE_S = 60.0


def partition_of(key: bytes, partitions: int) -> int:
    """As every producer of onhand places a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def places_of(publication: str, partitions: int) -> Collection[int]:
    """Where the record of a key of channel.publication.v1 belongs: with the fact it tells; orders to workers stand
    everywhere."""
    _, kind, key = publication.split("/", 2)
    return range(partitions) if kind == CONTROL else (partition_of(key.encode(), partitions),)


class Age(NamedTuple):
    """Of two records of one key, the newer is greater."""

    source_version: int
    sequence: int
    attempts: int
    has_outcome: bool


class Newest:
    """By key, the records that its newest state rests on."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._kept: dict[str, list[tuple[Age, Received]]] = {}
        self._unreadable: dict[str, Received] = {}

    def take(self, record: Received) -> None:
        """The records of one partition come in their order, partitions in any."""
        publication = self._read(record)
        if publication is None:
            self._unreadable[record.key] = record
            return
        age, kept = age_of(publication), self._kept.setdefault(record.key, [])
        if kept and age <= kept[-1][0]:
            return  # a copy, or older
        if publication.state is PublicationState.ACKNOWLEDGED:
            kept.clear()
        elif kept and kept[-1][0][:2] == age[:2]:
            kept.pop()
        kept.append((age, record))

    def records(self) -> Iterator[Received]:
        """A key's oldest first.  What cannot be read is kept where its key has nothing else."""
        yield from (record for key, record in self._unreadable.items() if key not in self._kept)
        for kept in self._kept.values():
            yield from (record for _, record in kept)

    def _read(self, record: Received) -> Publication | None:
        try:
            said = None if record.value is None else self._codec.decode(record.topic, record.value)
        except PoisonRecord:
            return None
        return said if isinstance(said, Publication) else None


def age_of(publication: Publication) -> Age:
    """A version's requests rise in sequence, a request's attempts are counted, and each has one outcome."""
    outcome = publication.state is not PublicationState.INTENT
    return Age(publication.source_version, publication.sequence, publication.attempts, outcome)


def rewritten(records: Iterable[Received], partitions: int, codec: Codec) -> Iterator[tuple[int, Received]]:
    """(partition it belongs to, record) of all that has to be written; first reads all of `records`."""
    newest = Newest(codec)
    for record in records:
        newest.take(record)
    for record in newest.records():
        for place in places_of(record.key, partitions):
            yield place, record


def copy_publications(bootstrap: str, ends: Mapping[int, int], partitions: int, codec: Codec) -> int:
    """Write what channels were told, up to these ends, anew: each record where it belongs among so many partitions.

    Holds a record or two of every key in memory.  Shape of `ends`: partition → next offset.  Answers the number of
    records written.
    """
    consumer: Consumer = wire.consumer(bootstrap, CLIENT)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 2})
    lost: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            lost.append(error)

    written = 0
    try:
        told = wire.read_to_end(consumer, {(wire.PUBLICATION, partition): None for partition in ends})
        before = (record for record in told if record.offset < ends[record.partition])
        for place, record in rewritten(before, partitions, codec):
            headers: list[tuple[str, str | bytes | None]] = [(wire.WORKER_HEADER, (record.worker or CLIENT).encode())]
            written += 1
            while True:
                try:
                    key = record.key.encode()
                    producer.produce(record.topic, record.value, key, place, headers=headers, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(PATIENCE_S) or lost:
            reason = lost[0].str() if lost else "no answer"
            raise EnvironmentFault(f"{wire.PUBLICATION}: not all records could be written ({reason}); do it again")
    finally:
        consumer.close()
    return written
