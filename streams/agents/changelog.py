"""The state of a partition as its changelog has it, for audits and tools; nothing of the running owner is touched."""

from __future__ import annotations

from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import Changes, Marker, Standing, changelog_topic
from streams.agents.runtime.recovery import Recovery

__all__ = ["Marker", "changelog_topic", "read_partition"]


def read_partition(bootstrap: str, topic: str, partition: int) -> tuple[Marker | None, dict[bytes, bytes]]:
    """The last marker and the state it closes; (None, {}) when nothing was ever settled.

    Shape: state key → value, without the runtime's keys.  The marker's `inputs[topic].offset` says up to where the
    input is folded in.  Raises EnvironmentFault when the topic or the broker is missing.
    """
    state: dict[bytes, bytes] = {}

    def settle(changes: Changes, standing: Standing) -> None:
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value

    reader = LogReader(bootstrap)
    try:
        low, end = reader.bounds(topic, partition)
        recovery = Recovery(Standing(), settle)
        for run in reader.runs(topic, partition, low, end):
            recovery.feed(run)
        return recovery.finish().marker, state
    finally:
        reader.close()
