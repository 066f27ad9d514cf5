"""Bounds of a lane's work lists, set so low that a few rows take every way."""

from __future__ import annotations

import pytest

from streams.core.lane import fold, intake, owed, render, told, worklists
from streams.core.log import transactions

SLICES: tuple[tuple[object, str, int], ...] = (
    (intake, "INLINE_TRUNCATE", 2),
    (fold, "FAN_OUT", 1),
    (worklists, "SLICE", 3),
    (worklists, "RESTATE_NAMES", 2),
    (told, "SLICE", 1),
    (owed, "OWED_BYTES", 200),
    (transactions, "LOOSE_EVENTS", 5),
)
PARTED = (*SLICES, (render, "PART_BYTES", 200))
"""The messages are small, too."""


def work_in_slices(patch: pytest.MonkeyPatch, slices: tuple[tuple[object, str, int], ...] = SLICES) -> None:
    for module, name, value in slices:
        patch.setattr(module, name, value)
