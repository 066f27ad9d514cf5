"""Up to when a channel has been told all.

Theory of operation.  Inventory and orders state how far they are with a source when everything up to there stands in
their topics.  So the worker notes what they have stated (`ask`), looks where those topics end *after that*
(`answered`), reads up to there (`read`), and when nothing waits any more that waited by then, all of it is told or
parked (`told`).  One such round is under way at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Stated(NamedTuple):
    """How far a stage is with one source, in one partition."""

    source_time_us: int | None
    source_position: str
    complete: bool
    holding: bool
    uncertain: bool

    def and_also(self, other: Stated) -> Stated:
        """What both cover: the less far one's, for what is told of several stages."""
        first = min(self, other, key=lambda one: one.source_time_us or 0)
        return first._replace(
            complete=self.complete and other.complete,
            holding=self.holding or other.holding,
            uncertain=self.uncertain or other.uncertain,
        )


Place = tuple[str, int]
"""Topic and partition."""
Promised = Mapping[tuple[int, str], Stated]
"""By partition and source."""


class Told:
    """One round after another; an illegal order of calls is an AssertionError."""

    def __init__(self) -> None:
        self._promised: Promised | None = None
        self._ends: Mapping[Place, int] | None = None
        self._read_us: int | None = None

    @property
    def idle(self) -> bool:
        """A round may begin."""
        return self._promised is None

    @property
    def reading(self) -> bool:
        """The ends are known, and not reached yet."""
        return self._ends is not None and self._read_us is None

    def ask(self, promised: Promised) -> None:
        """Begin: this is stated now; the ends must be looked up from now on."""
        assert self.idle
        self._promised = promised

    def answered(self, ends: Mapping[Place, int]) -> None:
        """Where the topics end, next offsets."""
        assert self._promised is not None
        assert self._ends is None
        self._ends = ends

    def read(self, positions: Mapping[Place, int], now_us: int) -> None:
        """So far the facts are read, and everything read is in the dirty map."""
        ends = self._ends
        if ends is not None and self._read_us is None and all(positions.get(at, 0) >= ends[at] for at in ends):
            self._read_us = now_us

    def told(self, oldest_us: int | None) -> Promised | None:
        """What was promised, once nothing waits since before it was read; ends the round.

        `oldest_us`: since when the first of all waiting keys waits, pushes under way included; None: none waits.
        """
        if self._read_us is None or (oldest_us is not None and oldest_us <= self._read_us):
            return None
        promised = self._promised
        self.forget()
        return promised

    def forget(self) -> None:
        """Give the round up: partitions came or went."""
        self._promised = self._ends = self._read_us = None
