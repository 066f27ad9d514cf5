"""Intervals by a wall clock that may be set: whoever waits must not wait for as long as the clock was wrong."""

from __future__ import annotations


def is_over(since_us: int, interval_us: int, now_us: int) -> bool:
    """Whether so much time has passed since then; a clock that shows less than then was set back, and ends it too."""
    return not since_us <= now_us < since_us + interval_us
