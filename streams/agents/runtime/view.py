"""The state a stage sees while a unit is worked on: its unsettled writes over the settled state."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Protocol

RECORD_OVERHEAD = 40
"""Bytes that one record costs in a batch beside key and value: lengths, timestamps, the writer's header."""


class SettledState(Protocol):
    """What the last unit left."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]: ...


class UnitView:
    """Implements `streams.core.unit.View`."""

    __slots__ = ("_keys", "_lookup", "_settled", "_size", "changes")

    def __init__(self, settled: SettledState) -> None:
        self._settled = settled
        self._lookup = settled.get
        self.changes: dict[bytes, bytes | None] = {}
        self._size = 0
        self._keys: list[bytes] | None = None
        """Keys of `changes`, ascending; made by the first scan, so that units that never scan do not pay for it."""

    @property
    def size(self) -> int:
        return self._size

    def get(self, key: bytes) -> bytes | None:
        changes = self.changes
        return changes[key] if key in changes else self._lookup(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        changes = self.changes
        if key in changes:
            old = changes[key]
            self._size -= len(old) if old is not None else 0
        else:
            self._size += len(key) + RECORD_OVERHEAD
            if self._keys is not None:
                insort(self._keys, key)
        if value is not None:
            self._size += len(value)
        changes[key] = value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Both sides are read as they were when the scan began; writes during it are not seen by it."""
        written = self._written(prefix, max(prefix, start))
        if not written:
            yield from self._settled.scan(prefix, start)
            return
        values = {key: self.changes[key] for key in written}
        position = 0
        for key, value in self._settled.scan(prefix, start):
            while position < len(written) and written[position] < key:
                if (fresh := values[written[position]]) is not None:
                    yield written[position], fresh
                position += 1
            if position < len(written) and written[position] == key:
                if (fresh := values[key]) is not None:
                    yield key, fresh
                position += 1
            else:
                yield key, value
        for key in written[position:]:
            if (fresh := values[key]) is not None:
                yield key, fresh

    def _written(self, prefix: bytes, start: bytes) -> list[bytes]:
        if self._keys is None:
            self._keys = sorted(self.changes)
        keys = self._keys
        first = last = bisect_left(keys, start)
        while last < len(keys) and keys[last].startswith(prefix):
            last += 1
        return keys[first:last]
