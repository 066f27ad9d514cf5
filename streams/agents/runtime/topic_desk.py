"""What the runtime asks of Kafka's administration: topic ids, partition counts, and its own changelog."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]

from schemas.errors import EnvironmentFault, InvalidInput

PATIENCE_S = 60.0
"""How long the broker may take to answer."""

CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": "3600000",  # a late write of a former owner must not drop the good value before it is seen
    "segment.bytes": str(64 << 20),  # the newest segment is not compacted: with a gigabyte, recovery reads all of that
    "delete.retention.ms": "604800000",  # a local store up to STORE_AGE_S old still sees every deletion
    "max.message.bytes": str(8 << 20),
    "compression.type": "producer",
}
STORE_AGE_S = 3 * 86_400
"""A local store that was last taken over or written longer ago than this is rebuilt."""


class TopicDesk:
    """Blocking calls; kept for the life of the process, because the client's futures die with it."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def describe(self, topic: str) -> tuple[str, int] | None:
        """(topic id, number of partitions); None: there is no such topic."""
        try:
            answer = self._admin.describe_topics(TopicCollection([topic]), request_timeout=PATIENCE_S)[topic].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise EnvironmentFault(f"Kafka at {self._bootstrap}: cannot describe topic {topic}: {error}") from error
        return str(answer.topic_id), len(answer.partitions)

    def require(self, topic: str, partitions: int) -> str:
        """The id of a topic that must exist with so many partitions."""
        found = self.describe(topic)
        if found is None:
            raise EnvironmentFault(f"topic {topic} does not exist at {self._bootstrap}; create it: onhand topics apply")
        if found[1] != partitions:
            raise InvalidInput(
                f"topic {topic} has {found[1]} partitions and {partitions} are configured: set ONHAND_PARTITIONS to "
                f"{found[1]}, or recreate the canonical topics with the new number"
            )
        return found[0]

    def ensure_changelog(self, topic: str, partitions: int, replication: int) -> str:
        """Create the changelog when it is missing; its id.  Raises InvalidInput when it is not what a state needs."""
        if self.describe(topic) is None:
            new = NewTopic(topic, partitions, replication, config=CHANGELOG_CONFIG)
            try:
                self._admin.create_topics([new], operation_timeout=PATIENCE_S)[topic].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise EnvironmentFault(f"topic {topic}: cannot be created: {error}") from error
            self._wait_until_known(topic)
        policy = self._config(topic)["cleanup.policy"].value
        if policy != "compact":
            raise InvalidInput(
                f"topic {topic} is the only copy of a state and has cleanup.policy={policy}, which loses it; "
                "set it to compact"
            )
        return self.require(topic, partitions)

    def _wait_until_known(self, topic: str) -> None:
        """A broker answers for a new topic only when its metadata has arrived there."""
        end = time.monotonic() + PATIENCE_S
        while self.describe(topic) is None:
            if time.monotonic() > end:
                raise EnvironmentFault(f"topic {topic} was created but is not known after {PATIENCE_S:.0f} s")
            time.sleep(0.1)

    def _config(self, topic: str) -> Any:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._admin.describe_configs([resource], request_timeout=PATIENCE_S)[resource].result()
            except KafkaException as error:
                known = error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART
                if known or time.monotonic() > end:
                    raise EnvironmentFault(f"topic {topic}: its settings cannot be read: {error}") from error
            time.sleep(0.1)
