"""How long something takes, counted in fixed buckets: a histogram that costs a bisection and two additions."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, inclusive; one more takes what is longer."""


class Durations:
    """Written by one thread, read by others: what they see is at most one duration behind."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


def merged(several: list[Durations]) -> dict[str, Any]:
    """Several as one, for a health answer: bounds, counts between them, sum; all in seconds."""
    counts = [sum(column) for column in zip(*(one.counts for one in several), strict=True)]
    return {"bounds": BOUNDS_S, "counts": counts or [0] * (len(BOUNDS_S) + 1), "sum": sum(d.sum_s for d in several)}
