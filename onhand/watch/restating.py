"""When a source's lane is asked to say everything again: a later stage has lost what it was told.

Inventory or orders without their state (a lost changelog, a topic made anew, more partitions) rest on a source only
when its lane has restated everything since; see `streams.core.heard`.  Nobody needs to ask for that by hand.  A stage
that has a backlog to read is let be: what it lacks may stand there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.intervals import is_over

AFTER_US = 15_000_000
BEHIND_US = 15_000_000
"""A stage that is further behind its lane has not read everything yet."""
AGAIN_US = 600_000_000
STAGES = ("inventory", "orders")


class Restating:
    """One source's restatements."""

    def __init__(self) -> None:
        self._lacking_since_us: int | None = None
        self._asked_us: int | None = None

    def lacking(self, stages: Iterable[dict[str, Any]], now_us: int) -> list[str]:
        """Stages for whose sake the lane is to be asked now, by what all stages state about the source; an answer
        counts as asked."""
        by_name = {stage["stage"]: stage for stage in stages}
        lane = by_name.get("lane")
        whole = lane is not None and lane["complete"] and not lane["holding"]
        lacking = [name for name in STAGES if name in by_name and whole and _lacks(by_name[name], by_name["lane"])]
        if not lacking:
            self._lacking_since_us = None
            return []
        if self._lacking_since_us is None:
            self._lacking_since_us = now_us
        asked_lately = self._asked_us is not None and not is_over(self._asked_us, AGAIN_US, now_us)
        if asked_lately or not is_over(self._lacking_since_us, AFTER_US, now_us):
            return []
        self._asked_us = now_us
        return lacking


def _lacks(stage: dict[str, Any], lane: dict[str, Any]) -> bool:
    """It has read all the lane has said, and is not whole."""
    here_us, there_us = stage["source_time_us"], lane["source_time_us"]
    read = here_us is not None and there_us is not None and there_us - here_us <= BEHIND_US
    return read and not stage["complete"]
