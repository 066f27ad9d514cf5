"""The version of every output: (epoch, unit) in one integer.

The epoch is the owner's: greater than any earlier owner's, never falling.  The unit counts what that owner settled.
A receiver keeps the newest version per (key, sender) and drops older messages whole.
"""

from __future__ import annotations

UNIT_BITS = 32
MAX_UNIT = (1 << UNIT_BITS) - 1
EPOCH_ZERO_S = 1_577_836_800
"""2020-01-01T00:00:00Z, epoch seconds: an epoch is at least the seconds since then, so that it also rises when the
changelog that remembered the last one is lost."""


def version_of(epoch: int, unit: int) -> int:
    """One integer that orders as the pair does; fits a signed 64-bit long until the year 2088."""
    if not 0 <= unit <= MAX_UNIT or not 0 <= epoch < 1 << 31:
        raise ValueError(f"epoch {epoch} or unit {unit} is out of range")
    return epoch << UNIT_BITS | unit


def epoch_of(version: int) -> int:
    """The owner's epoch within a version."""
    return version >> UNIT_BITS


def next_epoch(seen: int, now_us: int) -> int:
    """The epoch of a new owner: above `seen` (the greatest in changelog and outputs) and not below the clock."""
    return max(seen + 1, now_us // 1_000_000 - EPOCH_ZERO_S)
