"""Make Kafka and the registry equal to the catalogue: plan, then apply.

Topics are created with their settings and settings are altered; partitions are never changed (keys would move) and
nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.catalogue import SCHEMA_HISTORY, SIGNAL, SOURCE_LOG, Catalogue, Topic, catalogue
from schemas.contract import RECORDS
from schemas.errors import EnvironmentFault, InvalidInput
from schemas.registry import COMPATIBILITY, Registry

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the catalogue and the world."""

    action: str
    """create | alter | register | compatibility | refused"""
    subject: str
    """Topic, or registry subject's topic."""
    detail: str
    """From what to what, for people."""

    def row(self) -> dict[str, str]:
        return {"action": self.action, "subject": self.subject, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """One topic as it should be, under its own name."""

    name: str
    topic: Topic
    partitions: int


class KafkaTopics:
    """Topics of one cluster, as they are and as they should be."""

    def __init__(self, bootstrap: str, *, replication: int = 1, timeout_s: float = _TIMEOUT_S) -> None:
        self.bootstrap, self._replication, self._timeout_s = bootstrap, replication, timeout_s
        # log_level 2: what goes wrong is said once, by us.
        self._admin = AdminClient(
            {"bootstrap.servers": bootstrap, "socket.timeout.ms": int(timeout_s * 1000), "log_level": 2}
        )

    def existing(self) -> dict[str, int]:
        """Topic → number of partitions.  Raises EnvironmentFault when the broker does not answer."""
        try:
            metadata = self._admin.list_topics(timeout=self._timeout_s)
        except KafkaException as error:
            raise self._fault(error) from error
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def plan(self, wanted: Sequence[WantedTopic]) -> list[Change]:
        """What `apply` would do, in the order of `wanted`."""
        existing = self.existing()
        settings = self._settings([one.name for one in wanted if one.name in existing])
        changes = []
        for one in wanted:
            if one.name not in existing:
                configuration = ", ".join(f"{k}={v}" for k, v in one.topic.configuration().items())
                changes.append(Change("create", one.name, f"{one.partitions} partitions, {configuration}"))
                continue
            if existing[one.name] != one.partitions:
                changes.append(
                    Change(
                        "refused",
                        one.name,
                        f"has {existing[one.name]} partitions, {one.partitions} are wanted; keys would move: set "
                        f"ONHAND_PARTITIONS={existing[one.name]}, or stop everything and recreate the topic",
                    )
                )
            for name, value in one.topic.configuration().items():
                actual = settings[one.name].get(name)
                if actual != value:
                    changes.append(Change("alter", one.name, f"{name}: {actual} → {value}"))
        return changes

    def apply(self, wanted: Sequence[WantedTopic]) -> list[Change]:
        """Create and alter; what was done.  Raises InvalidInput when a topic has another number of partitions."""
        changes = self.plan(wanted)
        refused = [f"topic {change.subject} {change.detail}" for change in changes if change.action == "refused"]
        if refused:
            raise InvalidInput("; ".join(refused))
        by_name = {one.name: one for one in wanted}
        created = [by_name[change.subject] for change in changes if change.action == "create"]
        altered = dict.fromkeys(change.subject for change in changes if change.action == "alter")
        if created:
            self._create(created)
        if altered:
            self._alter([by_name[name] for name in altered])
        return changes

    def _create(self, wanted: Sequence[WantedTopic]) -> None:
        topics = [
            NewTopic(
                one.name,
                num_partitions=one.partitions,
                replication_factor=self._replication,
                config=one.topic.configuration(),
            )
            for one in wanted
        ]
        futures = self._admin.create_topics(topics, operation_timeout=self._timeout_s)
        for name, future in futures.items():
            # Somebody else made it meanwhile: it is there, which is what was wanted.
            self._result(f"create topic {name}", future, KafkaError.TOPIC_ALREADY_EXISTS)

    def _alter(self, wanted: Sequence[WantedTopic]) -> None:
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                one.name,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in one.topic.configuration().items()
                ],
            )
            for one in wanted
        ]
        for resource, future in self._admin.incremental_alter_configs(resources).items():
            self._result(f"alter topic {resource.name}", future)

    def _settings(self, names: Sequence[str]) -> dict[str, dict[str, str | None]]:
        if not names:
            return {}
        futures = self._admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        answers = {}
        for resource, future in futures.items():
            entries = self._result(f"describe topic {resource.name}", future)
            answers[resource.name] = {name: entry.value for name, entry in entries.items()}
        return answers

    def _result(self, what: str, future: Any, *tolerated: int) -> Any:
        try:
            return future.result(self._timeout_s)
        except KafkaException as error:
            if error.args[0].code() in tolerated:
                return None
            raise EnvironmentFault(f"Kafka {self.bootstrap} refuses to {what}: {error.args[0].str()}") from error

    def _fault(self, error: KafkaException) -> EnvironmentFault:
        return EnvironmentFault(
            f"Kafka {self.bootstrap} does not answer ({error.args[0].str()}); start it (`onhand up`) or set "
            "ONHAND_KAFKA, then run this again"
        )


def plan(
    *,
    kafka: str,
    registry_url: str,
    partitions: int,
    replication: int = 1,
    sources: Sequence[str] = (),
    wait_s: float = 30.0,
) -> list[Change]:
    """Every difference between the catalogue and the cluster and registry; empty: nothing to do.

    `sources`: their logs too; `wait_s`: for the registry.  Raises EnvironmentFault when one of them does not answer.
    """
    changes = KafkaTopics(kafka, replication=replication).plan(_wanted(catalogue(), partitions, sources))
    with Registry(registry_url, wait_s=wait_s) as registry:
        return changes + _registrations(registry)


def apply(
    *,
    kafka: str,
    registry_url: str,
    partitions: int,
    replication: int = 1,
    sources: Sequence[str] = (),
    wait_s: float = 30.0,
) -> list[Change]:
    """Create and alter topics, register contracts; what was done.  Twice changes nothing.

    `sources`: their logs too, which the lanes read before their connectors are applied; `wait_s`: for the registry.

    Raises InvalidInput for a contract that is not compatible or a topic with other partitions, before anything is
    registered; EnvironmentFault when Kafka or the registry does not answer.
    """
    with Registry(registry_url, wait_s=wait_s) as registry:
        registrations = _registrations(registry)
        refused = [change for change in registrations if change.action == "refused"]
        if refused:
            raise InvalidInput("; ".join(f"contract of {change.subject}: {change.detail}" for change in refused))
        changes = KafkaTopics(kafka, replication=replication).apply(_wanted(catalogue(), partitions, sources))
        for topic in dict.fromkeys(change.subject for change in registrations):
            registry.register(topic)
    return changes + registrations


def ensure_source_topics(
    bootstrap: str,
    source: str,
    *,
    replication: int = 1,
    signal_topic: str | None = None,
    history_topic: str | None = None,
) -> list[Change]:
    """Make a source's topics before its connector starts; what was done.  Twice changes nothing.

    `cdc.<source>` always; the signal and schema-history topics under the names the connector's configuration gives
    them, when it does.  All have one partition.  Raises InvalidInput, EnvironmentFault.
    """
    wanted = [_source_log(catalogue(), source)]
    for template, given in ((SIGNAL, signal_topic), (SCHEMA_HISTORY, history_topic)):
        if given:
            _, topic = catalogue().source_topic(template, source)
            wanted.append(WantedTopic(given, topic, topic.partition_count(1)))
    return KafkaTopics(bootstrap, replication=replication).apply(wanted)


def _wanted(topics: Catalogue, partitions: int, sources: Sequence[str]) -> list[WantedTopic]:
    shared = [WantedTopic(name, topic, topic.partition_count(partitions)) for name, topic in topics.topics.items()]
    return shared + [_source_log(topics, source) for source in sources]


def _source_log(topics: Catalogue, source: str) -> WantedTopic:
    name, topic = topics.source_topic(SOURCE_LOG, source)
    return WantedTopic(name, topic, topic.partition_count(1))


def _registrations(registry: Registry) -> list[Change]:
    changes = []
    for topic in RECORDS:
        obstacles = registry.obstacles(topic)
        if obstacles:
            changes.append(Change("refused", topic, "; ".join(obstacles)))
        elif registry.find(topic) is None:
            changes.append(Change("register", topic, "contract"))
        elif registry.compatibility(topic) != COMPATIBILITY:
            changes.append(Change("compatibility", topic, f"{registry.compatibility(topic)} → {COMPATIBILITY}"))
    return changes
