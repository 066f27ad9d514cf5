"""The cycle collector in processes whose records make no cycles."""

from __future__ import annotations

import gc

COLLECT_AFTER = 100_000
"""Allocations between two runs: at its default (700) the collector takes a fifth of the lane's time, and a run over
everything a process keeps is a pause that a change in it waits for."""


def collect_seldom() -> None:
    """Leave out what the start has built, and run seldom; called once, when a process is put together."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
