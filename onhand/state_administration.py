"""What is done to the state of stages while they are down: reset one, or give all of them more partitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    OffsetSpec,
    ResourceType,
)

from onhand.clock import clock_us
from onhand.publications import PATIENCE_S, copy_publications
from onhand.settings import Settings
from schemas import administration
from schemas.catalogue import catalogue
from schemas.codec import Codec
from schemas.errors import EnvironmentFault, InvalidInput
from schemas.records import ExceptionStatus
from schemas.registry import connected_codec
from sinks.workers import wire
from sinks.workers.tools import newest_exceptions, write_exceptions
from streams.agents.runtime.marker import changelog_topic

STAGES = ("inventory", "orders")
KEPT = wire.PUBLICATION
"""The one topic with P partitions whose records nobody can say again: what channels were told."""
Report = Callable[[str], None]
_PASSING = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
"""A broker that has just started."""
_EXPIRY_S = 3.0
"""The broker looks for members whose session has run out now and then."""


class StateAdministration:
    """One cluster's topics, deleted and made only while nobody uses them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 2})

    def reset(self, group: str) -> bool:
        """Delete a stage's state: its changelog, and with it what its local stores are copies of; False: there was
        none.  Raises InvalidInput when the stage runs, EnvironmentFault when Kafka or the registry does not answer."""
        self._require_down([group])
        if group not in STAGES:  # a lane compares, when it is whole again
            return self._delete([changelog_topic(group)])
        codec = connected_codec(self._settings.registry_url, wait_s=0)
        there = self._delete([changelog_topic(group)])
        self._close_exceptions([group], codec)  # only now: a state that is still there would not open them again
        return there

    def grow(self, partitions: int, report: Report) -> None:
        """Give every topic of P partitions this many, more than now.

        Keys move, so what can be said again is deleted and made anew, empty; what channels were told is copied to where
        it belongs now.  A second time, or again after a crash, comes to the same.  Raises as `reset`.
        """
        settings = self._settings
        of_keys = [name for name, topic in catalogue().topics.items() if topic.partitions == "P"]
        now = self._partitions(of_keys)
        if any(count > partitions for count in now.values()):
            raise InvalidInput(f"there are {max(now.values())} partitions; their number can only grow")
        channels = [f"channel-{file.stem}" for file in settings.channel_configs.glob("*.yaml")]
        self._require_down([*STAGES, *channels, *(f"lane-{source}" for source in settings.sources)])
        codec = connected_codec(settings.registry_url, wait_s=0)
        if KEPT in now:
            self._move_publications(now[KEPT], partitions, codec, report)
        old = [name for name, count in now.items() if name != KEPT and count < partitions]
        if old:
            self._delete([changelog_topic(stage) for stage in STAGES])
            self._close_exceptions(STAGES, codec)
            self._delete(old)  # last: without them a second time would not come here
            report(f"deleted: {', '.join(old)}, and the states of {' and '.join(STAGES)}")
        changes = administration.apply(
            kafka=settings.kafka,
            registry_url=settings.registry_url,
            partitions=partitions,
            replication=settings.replication,
            sources=settings.sources,
        )
        report(f"topics and contracts: {len(changes)} changes")

    def _close_exceptions(self, stages: Collection[str], codec: Codec) -> None:
        """Who is told everything anew finds anew what is wrong, and does not know what was before."""
        now_us = clock_us()
        closed = [
            msgspec.structs.replace(
                record,
                version=record.version + 1,
                status=ExceptionStatus.CLOSED,
                detail=f"{record.detail} (the state that found it was deleted)",
                updated_us=now_us,
                closed_us=now_us,
                raw=None,
            )
            for record in newest_exceptions(self._settings.kafka, codec).values()
            if record.stage in stages and record.status is ExceptionStatus.OPEN
        ]
        write_exceptions(self._settings.kafka, codec, *closed)

    def _move_publications(self, now: int, partitions: int, codec: Codec, report: Report) -> None:
        """Copy behind the end, then cut off what stood before.  A compacted topic does not allow that; that this one
        does says, until `administration.apply` puts it right, that the work is not done."""
        if now == partitions and not self._under_way():
            return
        self._alter(KEPT, {"cleanup.policy": "compact,delete", "retention.ms": "-1"})
        if now < partitions:
            self._result(self._admin.create_partitions([NewPartitions(KEPT, partitions)]))
            self._await(lambda: self._partitions([KEPT]) == {KEPT: partitions}, f"{KEPT} to have {partitions}")
        ends = self._ends(partitions)
        written = copy_publications(self._settings.kafka, ends, partitions, codec)
        self._result(self._admin.delete_records([TopicPartition(KEPT, place, end) for place, end in ends.items()]))
        report(f"{KEPT}: {partitions} partitions, {written} records written anew where they belong")

    def _under_way(self) -> bool:
        resource = ConfigResource(ResourceType.TOPIC, KEPT)
        return bool("delete" in self._result(self._admin.describe_configs([resource]))[0]["cleanup.policy"].value)

    def _alter(self, topic: str, settings: dict[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self._result(self._admin.incremental_alter_configs([resource]))

    def _ends(self, partitions: int) -> dict[int, int]:
        """Next offsets; a partition made a moment ago has no leader yet."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            asked = self._admin.list_offsets({TopicPartition(KEPT, place): latest for place in range(partitions)})
            try:
                return {place.partition: future.result(PATIENCE_S).offset for place, future in asked.items()}
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise self._fault(error) from error
            time.sleep(0.1)

    def _require_down(self, groups: Collection[str]) -> None:
        """Who was killed is a member until its session has run out: so long it is waited for."""
        deadline = time.monotonic() + self._settings.session_timeout_s + _EXPIRY_S
        while busy := [group for group in groups if self._has_members(group)]:
            if time.monotonic() > deadline:
                raise InvalidInput(
                    f"{', '.join(sorted(busy))} run; stop them (`onhand down`, then `onhand up --only` the servers), "
                    "then do this again"
                )
            time.sleep(0.5)

    def _has_members(self, group: str) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            (future,) = self._admin.describe_consumer_groups([group], request_timeout=PATIENCE_S).values()
            try:
                return bool(future.result().members)
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.GROUP_ID_NOT_FOUND:
                    return False
                if code not in _PASSING or time.monotonic() > deadline:
                    raise self._fault(error) from error
            time.sleep(0.1)

    def _partitions(self, names: Collection[str]) -> dict[str, int]:
        """Topic → partitions, of those that exist."""
        try:
            topics = self._admin.list_topics(timeout=PATIENCE_S).topics
        except KafkaException as error:
            raise self._fault(error) from error
        return {name: len(topics[name].partitions) for name in names if name in topics}

    def _delete(self, names: Collection[str]) -> bool:
        there = list(self._partitions(names))
        if there:
            self._result(self._admin.delete_topics(there, operation_timeout=PATIENCE_S))
            self._await(lambda: not self._partitions(there), f"{', '.join(there)} to be gone")
        return bool(there)

    def _result(self, futures: Mapping[Any, Any]) -> list[Any]:
        try:
            return [future.result(PATIENCE_S) for future in futures.values()]
        except KafkaException as error:
            raise self._fault(error) from error

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise EnvironmentFault(f"waited {PATIENCE_S:.0f} s for {what}; do it again")
            time.sleep(0.1)

    def _fault(self, error: KafkaException) -> EnvironmentFault:
        return EnvironmentFault(f"Kafka at {self._settings.kafka}: {error.args[0].str()}")
