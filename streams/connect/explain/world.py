"""What an explanation is made of: canonical topics, the state of every lane, and who is believed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.codec import Codec
from schemas.errors import InvalidInput
from schemas.records import ExceptionRecord, ExceptionStatus
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import changelog_topic
from streams.agents.runtime.view import UnitView
from streams.connect.explain.changes import Change, last_changes
from streams.connect.explain.lane import HeldRow, LaneState
from streams.connect.explain.topics import Canonical
from streams.connect.folder import log_topic, source_names
from streams.connect.lane_reading import PROGRESS_TOPIC, lane_group
from streams.connect.lane_store import stored_lane
from streams.core.lane.keys import ZERO
from streams.core.mapping.mapping import CompiledMapping, load_mapping
from streams.core.ownership import OWNERSHIP_FILE, Ownership, load_ownership

EXCEPTION_TOPIC = "exception.v1"
CACHE_BYTES = 8 << 20
"""Of each lane: its rows are gone through once."""


@dataclass
class World:
    """Read once for one explanation."""

    canonical: Canonical
    ownership: Ownership
    lanes: list[LaneState]
    silent: dict[str, str]
    """Source → why nothing can be said about it."""
    log: LogReader
    log_records: int
    """How far back the source logs are read for the last change of a row."""
    sources: list[dict[str, Any]] = field(default_factory=list)
    """How far each source's lane is, for people and machines."""

    def changes(self, lane: LaneState, rows: Collection[HeldRow]) -> dict[bytes, Change]:
        """The last change of rows and of what they joined."""
        if lane.mapping is None:
            return {}
        wanted = {row.reference for row in rows if ZERO in row.reference}
        wanted |= {reference for row in rows for joined in row.joined for reference, _ in joined.rows}
        return last_changes(self.log, log_topic(lane.source), lane.mapping, wanted, self.log_records)

    def exceptions(self, subject: str) -> list[dict[str, Any]]:
        """Open exceptions about a sku or an order."""
        found = self.canonical.about(EXCEPTION_TOPIC, subject)
        named = re.compile(rf"(?<![\w-]){re.escape(subject)}(?![\w-])")
        return [
            {"id": one.id, "code": one.code, "detail": one.detail, "action": one.action}
            for one in found
            if isinstance(one, ExceptionRecord) and one.status is ExceptionStatus.OPEN and named.search(one.subject)
        ]


@contextmanager
def world(kafka: str, codec: Codec, configs: Path, log_records: int) -> Iterator[World]:
    """Raises InvalidInput, EnvironmentFault."""
    names = source_names(configs)
    ownership = load_ownership(configs / OWNERSHIP_FILE)
    with closing(LogReader(kafka)) as log, ExitStack() as stack:
        canonical = Canonical(kafka, codec, log)
        made = World(canonical, ownership, [], {}, log, log_records)
        for name in names:
            there = changelog_topic(lane_group(name)) in canonical.partitions
            stored = stack.enter_context(stored_lane(kafka, name, CACHE_BYTES)) if there else None
            if stored is None or not stored.memo:
                made.silent[name] = "its lane has settled nothing yet: `onhand source apply`, `onhand run source`"
                continue
            lane = LaneState(name, stored.memo, UnitView(stored.store), _mapping(configs / name))
            made.lanes.append(lane)
            made.sources.append(_standing(lane, canonical))
        yield made


def _mapping(folder: Path) -> CompiledMapping | None:
    """The folder's; None: it is in the middle of being edited, and the lane has kept what it works by."""
    try:
        return load_mapping(folder)
    except InvalidInput:
        return None


def _standing(lane: LaneState, canonical: Canonical) -> dict[str, Any]:
    progress = canonical.newest(PROGRESS_TOPIC, f"lane/{lane.source}/0")
    return {
        "source": lane.source,
        "position": "" if progress is None else progress.source_position,
        "source_time_us": None if progress is None else progress.source_time_us,
        "version": None if progress is None else progress.version,
        "complete": None if progress is None else progress.complete,
        "uncertain": None if progress is None else progress.uncertain,
        "waiting_rows": lane.memo.waiting_rows,
        "columns_shown": lane.mapping is not None,
    }
