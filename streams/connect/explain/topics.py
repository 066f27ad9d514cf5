"""The newest value of one key of a canonical topic, without reading the values of all others."""

from __future__ import annotations

from typing import Any

from schemas.administration import KafkaTopics
from schemas.codec import Codec
from streams.agents.runtime.log_reader import LogReader


class Canonical:
    """Canonical topics, one key at a time."""

    def __init__(self, bootstrap: str, codec: Codec, log: LogReader) -> None:
        self._codec, self._log = codec, log
        self.partitions = KafkaTopics(bootstrap).existing()
        """Topic → how many it has."""

    def newest(self, topic: str, key: str) -> Any | None:
        """None: nobody says anything about it.  Raises EnvironmentFault, PoisonRecord."""
        name = key.encode()
        value: bytes | None = None
        for partition in range(self.partitions.get(topic, 0)):
            low, end = self._log.bounds(topic, partition)
            for record in self._log.read(topic, partition, low, end):
                if record.key == name:
                    value = record.value
        return None if value is None else self._codec.decode(topic, value)

    def about(self, topic: str, text: str) -> list[Any]:
        """The newest records whose value holds a text, by key.  Raises EnvironmentFault, PoisonRecord."""
        holds = text.encode()
        values: dict[bytes, bytes] = {}
        for partition in range(self.partitions.get(topic, 0)):
            low, end = self._log.bounds(topic, partition)
            for record in self._log.read(topic, partition, low, end):
                if record.key is None:
                    continue
                values.pop(record.key, None)
                if record.value is not None and holds in record.value:
                    values[record.key] = record.value
        return [self._codec.decode(topic, value) for _, value in sorted(values.items())]
