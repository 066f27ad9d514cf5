"""Very many keys and the newest version of each, in 16 bytes a key."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left

BUCKETS = 1 << 10
"""So that an insertion moves few entries: of a million keys, some thousand."""


class VersionMap:
    """Key → version.  Of a key only 64 bits of its hash are kept: of ten million keys, one new key in 10¹² is taken for
    one of them."""

    def __init__(self) -> None:
        self._hashes = [array("Q") for _ in range(BUCKETS)]
        self._versions = [array("Q") for _ in range(BUCKETS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: str) -> int | None:
        hashes, versions, wanted, place = self._find(key)
        return versions[place] if place < len(hashes) and hashes[place] == wanted else None

    def put(self, key: str, version: int) -> None:
        hashes, versions, wanted, place = self._find(key)
        if place < len(hashes) and hashes[place] == wanted:
            versions[place] = version
        else:
            hashes.insert(place, wanted)
            versions.insert(place, version)
            self._count += 1

    def discard(self, key: str) -> None:
        hashes, versions, wanted, place = self._find(key)
        if place < len(hashes) and hashes[place] == wanted:
            del hashes[place], versions[place]
            self._count -= 1

    def _find(self, key: str) -> tuple[array[int], array[int], int, int]:
        """(hashes, versions, the key's hash, where it stands or belongs)."""
        wanted = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
        bucket = wanted % BUCKETS
        hashes = self._hashes[bucket]
        return hashes, self._versions[bucket], wanted, bisect_left(hashes, wanted)
