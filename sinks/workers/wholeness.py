"""Whether a sku that is not in `inventory.atp.v1` is known to nobody, or only not there yet.

Theory of operation.  The topic may have been made anew (lost, or grown), and inventory then says everything again, one
sku after the other.  So that a sku is not there means something only when inventory has stated that everything it knows
stands in this very topic (`Progress.whole_topic_id`), and the facts have been read up to where they end *after* that
was heard.  Until then what the channel was told holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from schemas.errors import EnvironmentFault, Fatal
from schemas.records import Progress
from sinks.workers import wire

TIMEOUT_S = 10.0


class Wholeness:
    """Of the partitions that are ours; nothing but `begin` waits."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "client.id": f"{client_id}-whole"})
        self._said: dict[int, str | None] = {}
        """Partition → what inventory said last, about whichever source."""
        self._read = ""
        """Id of the topic that our facts come from."""
        self._others: set[str] = set()
        """Ids of topics that are no more."""
        self._open: set[int] = set()
        """Our partitions whose absent skus are not judged yet."""
        self._ends: dict[int, Future[Any]] = {}

    def note(self, progress: Progress) -> None:
        """What inventory stated, in the order of the log."""
        self._said[progress.partition] = progress.whole_topic_id
        if progress.whole_topic_id is None:
            self._ends.pop(progress.partition, None)

    def begin(self, partitions: Collection[int]) -> None:
        """These are ours, and their facts are about to be read from the beginning.  Raises EnvironmentFault."""
        self._read = self._current_id()
        self._open |= set(partitions)

    def forget(self, partitions: Collection[int]) -> None:
        """These belong to another worker."""
        for partition in partitions:
            self._open.discard(partition)
            self._ends.pop(partition, None)

    @property
    def waits(self) -> bool:
        """Some partition is not judged yet."""
        return bool(self._open)

    def turn(self, positions: Mapping[int, int]) -> Iterator[int]:
        """One step; the partitions of which everything is known now, each once.  `positions`: of those that have been
        read to an end once, the next offset.  Raises Fatal when the topic was made anew while it was read."""
        for partition in sorted(self._open & positions.keys()):
            said = self._said.get(partition)
            if said is None or said in self._others:
                continue
            if said != self._read:
                self._look(said)
            elif partition not in self._ends:
                self._ends[partition] = self._ask_end(partition)
            elif self._ends[partition].done() and self._reached(partition, positions[partition]):
                self._open.discard(partition)
                del self._ends[partition]
                yield partition

    def _reached(self, partition: int, position: int) -> bool:
        try:
            return bool(position >= self._ends[partition].result().offset)
        except KafkaException:
            self._ends[partition] = self._ask_end(partition)  # Kafka is away for a moment
            return False

    def _ask_end(self, partition: int) -> Future[Any]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        (future,) = self._admin.list_offsets(
            {TopicPartition(wire.ATP, partition): latest}, request_timeout=TIMEOUT_S
        ).values()
        return future

    def _look(self, said: str) -> None:
        """Inventory speaks of another topic than the one we read: of a former one, or of one that came after ours."""
        try:
            current = self._current_id()
        except EnvironmentFault:
            return  # Kafka is away for a moment
        if current != self._read:
            raise Fatal(f"{wire.ATP} was made anew while it was read; started again, this worker reads the new one")
        self._others.add(said)

    def _current_id(self) -> str:
        topics = TopicCollection([wire.ATP])
        try:
            found = self._admin.describe_topics(topics, request_timeout=TIMEOUT_S)[wire.ATP].result()
        except KafkaException as error:
            raise EnvironmentFault(f"{wire.ATP} cannot be described: {error.args[0].str()}") from None
        return str(found.topic_id)
