"""The captured tables as a lane asks about them for every row, and a row as the events of one unit leave it."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.records import Bucket
from streams.core.lane.keys import ZERO
from streams.core.lane.owed import Stamp
from streams.core.lane.state import RowRecord
from streams.core.mapping.model import RowError, TableMapping
from streams.core.unit import InputRecord

SAFETY = frozenset((Bucket.DEMAND, Bucket.ON_HOLD, Bucket.SAFETY_STOCK))
"""A row parked out of these can make a promise too high, as one of a kit's components can."""


class Entry:
    """A captured table, with what the lane asks about it for every row."""

    __slots__ = ("archived", "deletion", "looked_up", "name", "prefix", "safety", "spreads", "table")

    def __init__(self, table: TableMapping, looked_up: bool) -> None:
        """`looked_up`: some lookup is of this table."""
        self.table = table
        self.name = table.name
        self.prefix = table.name.encode() + ZERO
        self.looked_up = looked_up
        self.deletion = table.deletion
        self.spreads = table.spreads
        self.archived = table.deletion == "archived"
        self.safety = bool(SAFETY & table.buckets) or "components" in table.feeds


class Touched(msgspec.Struct, gc=False):
    """A row as the unit's events leave it."""

    entry: Entry
    old: RowRecord | None
    marked: bool
    """It was seen in the table's generation of today."""
    deleted: bool
    stamp: Stamp
    row: Any | None = None
    """None with `deleted` False: only `fault` is known."""
    truncated: bool = False
    fault: RowError | None = None
    raw: InputRecord | None = None
