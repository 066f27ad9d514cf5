"""What a source's lane says of itself: how far it has come, and what it holds."""

from __future__ import annotations

from schemas.codec import Codec
from schemas.errors import EnvironmentFault
from schemas.records import Progress
from streams.agents.changelog import changelog_topic, read_partition
from streams.agents.runtime.log_reader import LogReader
from streams.core.log.position import NOWHERE

PROGRESS_TOPIC = "progress.v1"


def lane_group(source: str) -> str:
    """Consumer group, table and changelog of a lane are named so."""
    return f"lane-{source}"


class LaneReader:
    """Follows one lane; every call reads what has come since the last."""

    def __init__(self, bootstrap: str, codec: Codec, source: str) -> None:
        self._bootstrap = bootstrap
        self._codec = codec
        self._source = source
        self._log = LogReader(bootstrap)
        self._next = 0
        self._position = NOWHERE

    def close(self) -> None:
        self._log.close()

    def covered(self) -> str:
        """The newest covered source position the lane has stated.  Raises EnvironmentFault."""
        key = f"lane/{self._source}/0".encode()
        low, end = self._log.bounds(PROGRESS_TOPIC, 0)
        for record in self._log.read(PROGRESS_TOPIC, 0, max(low, self._next), end):
            if record.key == key and record.value is not None:
                progress = self._codec.decode(PROGRESS_TOPIC, record.value)
                assert isinstance(progress, Progress)
                self._position = progress.source_position
        self._next = end
        return self._position

    def state(self) -> dict[bytes, bytes]:
        """Everything the lane has settled.  Raises EnvironmentFault."""
        topic = changelog_topic(lane_group(self._source))
        marker, state = read_partition(self._bootstrap, topic, 0)
        if marker is None:
            raise EnvironmentFault(
                f"source {self._source}: its lane has settled nothing yet: start it, then audit again"
            )
        return state
