"""A lane's state as its changelog has it now, on disk for as long as it is looked at.

Nothing of the running lane is touched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rocksdict import Cache

from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import Standing, changelog_topic
from streams.agents.runtime.recovery import Recovery
from streams.agents.runtime.store import PartitionStore
from streams.connect.lane_reading import lane_group

CACHE_BYTES = 64 << 20


class StoredLane(NamedTuple):
    """What a lane has settled."""

    memo: bytes
    """Empty: nothing."""
    store: PartitionStore


@contextmanager
def stored_lane(bootstrap: str, source: str, cache_bytes: int = CACHE_BYTES) -> Iterator[StoredLane]:
    """It takes as much room in the temporary directory as the lane's own state.  Raises EnvironmentFault."""
    with tempfile.TemporaryDirectory(prefix="onhand-lane-") as directory:
        store = PartitionStore(Path(directory) / "state", Cache(cache_bytes))
        try:
            yield StoredLane(_copied(bootstrap, changelog_topic(lane_group(source)), store), store)
        finally:
            store.close()


def _copied(bootstrap: str, topic: str, store: PartitionStore) -> bytes:
    reader = LogReader(bootstrap)
    try:
        low, end = reader.bounds(topic, 0)
        with store.restoring(end - low) as apply:
            recovery = Recovery(Standing(), apply)
            for run in reader.runs(topic, 0, low, end):
                recovery.feed(run)
            marker = recovery.finish().marker
            return b"" if marker is None else marker.memo
    finally:
        reader.close()
