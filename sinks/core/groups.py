"""Pushes that must be made again as they were, and the search for the bad item in one.

A failed push is made again whole, first of all, so that its id stays the same.  A rejected one is halved until the
bad item stands alone; halves take turns with fresh items, so a healthy item never waits behind a bad one.  A key waits
in one group at the most: the newest takes it over, so that groups never hold more than the channel has keys.
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
        self._group_of: dict[Key, Group] = {}
        self._turn = False

    def __len__(self) -> int:
        return len(self._group_of)

    def oldest_us(self) -> int | None:
        """Since when the first key of all groups waits."""
        groups = (*self._again, *self._suspects)
        return min((waiting.since_us for group in groups for _, waiting in group), default=None)

    def again(self, group: Group) -> None:
        """Make this push again before anything else."""
        self._enter(self._again, group)

    def halve(self, group: Group) -> None:
        """One of these is bad."""
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            self._enter(self._suspects, half)

    def later(self, group: Group) -> None:
        """A push of its own, in turn."""
        self._enter(self._suspects, group)

    def take(self, fresh: bool) -> Group | None:
        """The next group, or None when it is the turn of fresh items (`fresh`: there are some) or there is none."""
        if (group := self._next(self._again)) is not None:
            return group
        self._turn = not self._turn
        return self._next(self._suspects) if self._turn or not fresh else None

    def dissolve(self) -> Iterator[tuple[Key, Waiting]]:
        """Give everything back: the channel as a whole is down, there is nothing to look for."""
        for group in (*self._again, *self._suspects):
            yield from group
        self._again.clear()
        self._suspects.clear()
        self._group_of.clear()

    def remove(self, key: Key) -> Waiting | None:
        """Take a key out of its group, because it is pushed otherwise; None: it is in none."""
        group = self._group_of.pop(key, None)
        if group is None:
            return None
        place = next(at for at, entry in enumerate(group) if entry[0] == key)
        return group.pop(place)[1]

    def _enter(self, queue: deque[Group], group: Group) -> None:
        for n, (key, waiting) in enumerate(group):
            if (before := self.remove(key)) is not None:
                group[n] = (key, before.joined(waiting))
            self._group_of[key] = group
        queue.append(group)
        if len(queue) > 2 * len(self._group_of) + 16:
            groups = [group for group in queue if group]
            queue.clear()
            queue.extend(groups)

    def _next(self, queue: deque[Group]) -> Group | None:
        while queue:
            group = queue.popleft()
            if group:
                for key, _ in group:
                    del self._group_of[key]
                return group
        return None
