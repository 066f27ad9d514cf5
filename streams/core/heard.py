"""Whether a state has heard all that a lane has said, and how the lane stands."""

from __future__ import annotations

import msgspec

from schemas.messages import LaneProgress


def heard_whole(progress: LaneProgress, since: int) -> LaneProgress:
    """A lane's progress as it counts for a state that has heard the lane since version `since`.

    A state that was lost, or begins on an input that no longer holds everything, has missed what was said before: for
    it the source is complete only when the lane has restated everything since.
    """
    if progress.restated_since is None or progress.restated_since >= since:
        return progress
    return msgspec.structs.replace(progress, complete=False)


def standing(progress: LaneProgress | None) -> tuple[bool, bool, bool, int | None] | None:
    """What progress says beside how far the lane is."""
    if progress is None:
        return None
    return progress.complete, progress.holding, progress.uncertain, progress.restated_since
