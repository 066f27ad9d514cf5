"""What a channel's worker states on progress.v1: up to which commit the channel has been told all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from schemas.intervals import is_over
from schemas.records import Progress
from sinks.core.told import Place, Promised, Stated, Told

EVERY_US = 1_000_000
TIMEOUT_S = 10.0


class Teller:
    """Rounds of `Told` against a real Kafka; nothing of it waits."""

    def __init__(self, bootstrap: str, channel: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "client.id": f"channel-{channel}-ends"})
        self.stage = f"channel-{channel}"
        self.up_to_us: dict[tuple[int, str], int | None] = {}
        """Partition and source → what was stated last."""
        self._told = Told()
        self._asked: dict[Place, Future[Any]] = {}
        self._begun_us = 0
        self._version = 0

    def turn(
        self,
        promised: Callable[[], Promised],
        positions: Callable[[], Mapping[Place, int]],
        oldest_us: int | None,
        now_us: int,
    ) -> Iterator[Progress]:
        """One step of the round; what is to be stated.  `positions`: next offsets, of every topic and partition."""
        told = self._told
        if told.idle:
            if is_over(self._begun_us, EVERY_US, now_us):
                self._begin(promised(), positions(), now_us)
            return
        if self._asked:
            if not all(future.done() for future in self._asked.values()):
                return
            self._look()
        if told.reading:
            told.read(positions(), now_us)
        done = told.told(oldest_us)
        for (partition, source), stated in (done or {}).items():
            self.up_to_us[partition, source] = stated.source_time_us
            yield self._progress(partition, source, stated, now_us)

    def forget(self, owned: Collection[int]) -> None:
        """Partitions came or went; these are ours now."""
        self._told.forget()
        self._asked = {}
        self.up_to_us = {place: at for place, at in self.up_to_us.items() if place[0] in owned}

    def told_up_to_us(self) -> dict[str, int]:
        """Source → the commit up to which the channel was told all, over the partitions of this worker."""
        oldest: dict[str, int] = {}
        for (_, source), at_us in list(self.up_to_us.items()):
            oldest[source] = min(oldest.get(source, at_us or 0), at_us or 0)
        return {source: at_us for source, at_us in oldest.items() if at_us}

    def _begin(self, promised: Promised, positions: Mapping[Place, int], now_us: int) -> None:
        self._begun_us = now_us
        if not promised:
            return
        self._told.ask(promised)
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._admin.list_offsets(
            {TopicPartition(*place): latest for place in positions}, request_timeout=TIMEOUT_S
        )
        self._asked = {(place.topic, place.partition): future for place, future in asked.items()}

    def _look(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            self._told.answered({place: future.result().offset for place, future in asked.items()})
        except KafkaException:
            self._told.forget()  # Kafka is away for a moment: the next round asks again

    def _progress(self, partition: int, source: str, stated: Stated, now_us: int) -> Progress:
        self._version = max(self._version + 1, now_us)  # it grows also when the clock is set back
        return Progress(
            stage=self.stage,
            source=source,
            partition=partition,
            version=self._version,
            input_offset=0,
            source_position=stated.source_position,
            source_time_us=stated.source_time_us,
            complete=stated.complete,
            holding=stated.holding,
            uncertain=stated.uncertain,
            stated_us=now_us,
        )


def stated(progress: Progress) -> Stated:
    """What a stage said."""
    return Stated(
        progress.source_time_us, progress.source_position, progress.complete, progress.holding, progress.uncertain
    )


def promised_by(
    stages: Collection[str], owned: Collection[int], said: Mapping[tuple[str, int, str], Stated]
) -> dict[tuple[int, str], Stated]:
    """By partition and source, what all stages cover whose facts the channel is told; a source that one of them has
    not stated is left out.  `said`: by stage, partition, source."""
    sources = {source for _, _, source in said}
    found: dict[tuple[int, str], Stated] = {}
    for partition in owned:
        for source in sources:
            each = [said.get((stage, partition, source)) for stage in stages]
            known = [one for one in each if one is not None]
            if known and len(known) == len(each):
                first, *others = known
                for other in others:
                    first = first.and_also(other)
                found[partition, source] = first
    return found
