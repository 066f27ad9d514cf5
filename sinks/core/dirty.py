"""The dirty map: what a channel has still to be told, newest version per key only.

It is bounded by the number of keys: a slow channel costs itself freshness and nothing else.  Order of leaving: keys
that have waited longer than a limit, oldest first; then those that go towards zero; then the others; each oldest first.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from schemas.records import Stamps

Key = tuple[str, str]
"""(kind, key): `inventory` and a sku, or `order` and an order id."""


class Waiting(NamedTuple):
    """One key that has to be told."""

    since_us: int
    """When it first became dirty."""
    falling: bool
    """What will be told is less than what the channel believes."""
    stamps: Stamps
    """Oldest change not told yet."""
    cause: str
    """Why the newest version exists: a source, `clock`, `rule`, `staleness`, `again`, `withdrawn`."""

    def joined(self, newer: Waiting) -> Waiting:
        """What `newer` says, waiting since this one and carrying the oldest stamps of both."""
        return newer._replace(since_us=min(self.since_us, newer.since_us), stamps=older(self.stamps, newer.stamps))


def older(one: Stamps, other: Stamps) -> Stamps:
    """The older of each stamp: a conflated message carries the oldest change it stands for."""
    return Stamps(
        committed_us=_older(one.committed_us, other.committed_us),
        captured_us=_older(one.captured_us, other.captured_us),
        laned_us=_older(one.laned_us, other.laned_us),
        promised_us=_older(one.promised_us, other.promised_us),
    )


def _older(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


class DirtyMap:
    """Three heaps over one map; entries that left or changed class stay in a heap until they surface."""

    def __init__(self) -> None:
        self._waiting: dict[Key, Waiting] = {}
        self._falling: list[tuple[int, Key]] = []
        self._others: list[tuple[int, Key]] = []
        self._all: list[tuple[int, Key]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: Key) -> bool:
        return key in self._waiting

    def get(self, key: Key) -> Waiting | None:
        """The entry, or None when the key is clean."""
        return self._waiting.get(key)

    def oldest_us(self) -> int | None:
        """First-dirty time of the key that has waited longest."""
        self._prune(self._all)
        return self._all[0][0] if self._all else None

    def put(self, key: Key, entry: Waiting) -> None:
        """Note a newer version.  The first-dirty time and the oldest stamps of what it replaces are kept."""
        before = self._waiting.get(key)
        if before is not None:
            entry = before.joined(entry)
        self._waiting[key] = entry
        item = (entry.since_us, key)
        if before is None or before.since_us != entry.since_us:
            heapq.heappush(self._all, item)
            heapq.heappush(self._falling if entry.falling else self._others, item)
        elif before.falling != entry.falling:
            heapq.heappush(self._falling if entry.falling else self._others, item)
        if len(self._all) + len(self._falling) + len(self._others) > 4 * len(self._waiting) + 64:
            self._rebuild()

    def discard(self, key: Key) -> Waiting | None:
        """Forget a key: it has been told, or nobody may be told any more."""
        return self._waiting.pop(key, None)

    def take(self, count: int, now_us: int, limit_us: int) -> list[tuple[Key, Waiting]]:
        """Remove and return up to `count` keys in the order the module's docstring says."""
        taken: list[tuple[Key, Waiting]] = []
        while len(taken) < count and self._waiting:
            oldest = self._head(self._all, None)
            if oldest is not None and now_us - oldest[0] > limit_us:
                heap, item = self._all, oldest
            elif (falling := self._head(self._falling, True)) is not None:
                heap, item = self._falling, falling
            else:
                other = self._head(self._others, False)
                if other is None:
                    raise AssertionError("a waiting key is in no heap")
                heap, item = self._others, other
            heapq.heappop(heap)
            taken.append((item[1], self._waiting.pop(item[1])))
        return taken

    def _head(self, heap: list[tuple[int, Key]], falling: bool | None) -> tuple[int, Key] | None:
        while heap:
            since_us, key = heap[0]
            entry = self._waiting.get(key)
            if entry is not None and entry.since_us == since_us and falling in (None, entry.falling):
                return heap[0]
            heapq.heappop(heap)
        return None

    def _prune(self, heap: list[tuple[int, Key]]) -> None:
        self._head(heap, None)

    def _rebuild(self) -> None:
        self._all = [(entry.since_us, key) for key, entry in self._waiting.items()]
        self._falling = [(entry.since_us, key) for key, entry in self._waiting.items() if entry.falling]
        self._others = [(entry.since_us, key) for key, entry in self._waiting.items() if not entry.falling]
        for heap in (self._all, self._falling, self._others):
            heapq.heapify(heap)
