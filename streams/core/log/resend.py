"""The resend mark: what Debezium has already written once.

After a crash Debezium writes a stretch again with identical positions, starting perhaps inside a transaction.  The log
is in commit order, so one mark suffices: the greatest position of a transaction that its own END closed.  Streamed
rows at or below it are dropped.

A position space can begin anew: RESET MASTER, another server, a restored database.  Its rows would look like resends
and be dropped in silence for ever.  A real resend repeats what was seen, so a row at or below the mark that was
committed *later* than everything up to the mark, or on a server never seen, is none: the space is new, the mark is
void, and a snapshot is required.  (Time only detects here; it orders nothing.)
"""

from __future__ import annotations

from enum import Enum

import msgspec

from streams.core.log.event import Event
from streams.core.log.position import Position


class Verdict(Enum):
    """What a streamed row is."""

    FRESH = "fresh"
    RESENT = "resent"
    NEW_SPACE = "new space"


FRESH, RESENT, NEW_SPACE = Verdict.FRESH, Verdict.RESENT, Verdict.NEW_SPACE
"""Asked for with every row, as the kinds of events are."""


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """Kept in the marker; a value, never changed in place."""

    position: Position | None = None
    """None: nothing is a resend."""
    committed_us: int = 0
    """Greatest commit time up to the mark."""
    spaces: tuple[str, ...] = ()
    """Servers seen up to the mark."""

    def judge(self, event: Event) -> Verdict:
        """A streamed row; snapshot rows are never asked about."""
        position = event.position
        if self.position is None or position is None or position > self.position:
            return FRESH
        if (event.committed_us or 0) > self.committed_us or (event.space and event.space not in self.spaces):
            return NEW_SPACE
        return RESENT

    def moved(self, position: Position | None, committed_us: int, spaces: frozenset[str]) -> Mark:
        """The mark after a transaction was closed by its own END."""
        if position is None:
            return self
        if self.position is not None and position < self.position:
            position = self.position
        known = self.spaces
        if not spaces.issubset(known):
            known = tuple(sorted(spaces.union(known)))
        return Mark(position, max(self.committed_us, committed_us), known)

    def seen(self, committed_us: int, spaces: frozenset[str]) -> Mark:
        """The mark after a transaction that its own END did not close: it may be resent, so the position stands."""
        if self.position is None:
            return self
        known = self.spaces if spaces.issubset(self.spaces) else tuple(sorted(spaces.union(self.spaces)))
        return Mark(self.position, max(self.committed_us, committed_us), known)
