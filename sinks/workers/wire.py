"""Kafka as a channel or metrics worker sees it: contract records in, contract records out, made durable on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.codec import Codec
from schemas.errors import EnvironmentFault, Fatal

ATP = "inventory.atp.v1"
ORDER = "order.v1"
PROGRESS = "progress.v1"
PUBLICATION = "channel.publication.v1"
EXCEPTION = "exception.v1"

WORKER_HEADER = "worker"
"""Which process wrote a publication; a former owner's late records are told by it."""

METADATA_TIMEOUT_S = 15.0
FLUSH_TIMEOUT_S = 60.0


class Received(NamedTuple):
    """One record as it came, or (`end`) the end of a partition reached."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    worker: str | None
    end: bool


def consumer(bootstrap: str, group: str, **more: Any) -> Consumer:
    """A consumer that tells when it reaches the end of a partition."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "client.id": group,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "fetch.error.backoff.ms": 100,
            **more,
        }
    )


UNHURRIED: dict[str, Any] = {"fetch.min.bytes": 64 << 10, "fetch.wait.max.ms": 100}
"""For a consumer whose records may come a tenth of a second late: a fetch for each costs more than the record."""


def received(message: Message) -> Received | None:
    """What the client handed over; None: a passing complaint of the client.  Raises Fatal."""
    error = message.error()
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    if error is None:
        key = (message.key() or b"").decode(errors="replace")
        headers = dict(message.headers() or ())
        worker = headers.get(WORKER_HEADER)
        name = worker.decode() if isinstance(worker, bytes) else None
        return Received(topic, partition, offset, key, message.value(), name, False)
    if error.code() == KafkaError._PARTITION_EOF:
        return Received(topic, partition, offset, "", None, None, True)
    if error.fatal() or (not error.retriable() and error.code() in _UNRECOVERABLE):
        raise Fatal(f"reading {topic or 'from Kafka'}: {error.str()}")
    return None


_UNRECOVERABLE = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)


NO_ANSWER = "Kafka does not answer; it goes on by itself when Kafka is back"
ANSWER_S = 1.0


class Pulse:
    """Whether Kafka answers, for health answers; from any thread.

    A client of its own: a question to a consumer waits for as long as another thread waits for its records.
    """

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "client.id": "pulse"})

    def beats(self) -> bool:
        try:
            self._admin.list_topics(PROGRESS, timeout=ANSWER_S)
        except KafkaException:
            return False
        return True


def partitions_of(client: Consumer | Producer, topic: str, timeout_s: float = METADATA_TIMEOUT_S) -> list[int]:
    """Partitions of a topic.  Raises EnvironmentFault when Kafka is not there, or the topic is not."""
    try:
        metadata = client.list_topics(topic, timeout=timeout_s)
    except KafkaException as error:
        raise EnvironmentFault(f"Kafka does not answer: {error.args[0].str()}; start it (`onhand up`)") from None
    found = metadata.topics.get(topic)
    if found is None or found.error is not None or not found.partitions:
        raise EnvironmentFault(f"there is no topic {topic}; make it with `onhand topics apply`")
    return sorted(found.partitions)


def read_to_end(client: Consumer, places: Mapping[tuple[str, int], int | None]) -> Iterator[Received]:
    """Every record of some partitions, from an offset (None: the beginning) to the end as it is met."""
    wanted = set(places)
    client.assign(
        [TopicPartition(topic, p, OFFSET_BEGINNING if at is None else at) for (topic, p), at in places.items()]
    )
    while wanted:
        for message in client.consume(1000, 0.2):
            record = received(message)
            if record is None:
                continue
            if record.end:
                wanted.discard((record.topic, record.partition))
            else:
                yield record


class Outbox:
    """Sends contract records; `settle` waits until all of them are durable."""

    def __init__(self, bootstrap: str, client_id: str, codec: Codec) -> None:
        self._codec = codec
        self._failed: KafkaError | None = None
        self._worker: list[tuple[str, str | bytes | None]] = [(WORKER_HEADER, client_id.encode())]
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": client_id,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0.5,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "message.max.bytes": 4 << 20,
            }
        )

    def send(self, topic: str, key: str, record: msgspec.Struct, partition: int | None = None) -> None:
        """Queue one record; `partition` None: by the key."""
        self.send_raw(topic, key.encode(), self._codec.encode(topic, record), partition)

    def send_raw(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> None:
        """Queue one record's bytes."""
        where: dict[str, Any] = {} if partition is None else {"partition": partition}
        while True:
            try:
                self.producer.produce(topic, value, key, headers=self._worker, on_delivery=self._delivered, **where)
                break
            except BufferError:
                self.producer.poll(0.1)

    def settle(self) -> None:
        """Wait until everything sent is durable.  Raises Fatal when it cannot be made so."""
        left = self.producer.flush(FLUSH_TIMEOUT_S)
        if self._failed is not None or left:
            reason = self._failed.str() if self._failed else f"no answer within {FLUSH_TIMEOUT_S:.0f} s"
            raise Fatal(f"{left or 'some'} records could not be written to Kafka: {reason}")

    def poll(self) -> None:
        """Let acknowledgements come in.  Raises Fatal after a failed delivery."""
        self.producer.poll(0)
        if self._failed is not None:
            raise Fatal(f"a record could not be written to Kafka: {self._failed.str()}")

    def close(self) -> None:
        """Let go of the connections; call `settle` before."""
        self.producer.close()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed = error
