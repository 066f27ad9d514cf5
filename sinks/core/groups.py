"""Pushes that must be made again as they were, and the search for the bad item in one.

A failed push is made again whole, first of all, so that its id stays the same.  A rejected one is halved until the
bad item stands alone; halves take turns with fresh items, so a healthy item never waits behind a bad one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from sinks.core.dirty import Key, Waiting

Group = list[tuple[Key, Waiting]]


class Groups:
    """Groups waiting, and whose turn it is."""

    def __init__(self) -> None:
        self._again: deque[Group] = deque()
        self._suspects: deque[Group] = deque()
        self._turn = False

    def __len__(self) -> int:
        return sum(map(len, self._again)) + sum(map(len, self._suspects))

    def again(self, group: Group) -> None:
        """Make this push again before anything else."""
        self._again.append(group)

    def halve(self, group: Group) -> None:
        """One of these is bad."""
        middle = len(group) // 2
        self._suspects.extend(half for half in (group[:middle], group[middle:]) if half)

    def later(self, group: Group) -> None:
        """A push of its own, in turn."""
        self._suspects.append(group)

    def take(self, fresh: bool) -> Group | None:
        """The next group, or None when it is the turn of fresh items (`fresh`: there are some) or there is none."""
        if self._again:
            return self._again.popleft()
        self._turn = not self._turn
        if self._suspects and (self._turn or not fresh):
            return self._suspects.popleft()
        return None

    def dissolve(self) -> Iterator[tuple[Key, Waiting]]:
        """Give everything back: the channel as a whole is down, there is nothing to look for."""
        for group in (*self._again, *self._suspects):
            yield from group
        self._again.clear()
        self._suspects.clear()
