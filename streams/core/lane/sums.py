"""Balances as sums of postings, kept in the state.

A sum is loaded once a unit, changed in memory and written at the end.  A sum without postings is deleted in the unit
that emptied it; its output is owed by name, so it is said once more as zero and forgotten.

Archived rows (a delete that means archiving) of `fulfilled` and `received` are *kept*: they go on counting until their
claim is closed, that is until no demand or inbound posting of the same sku and reference is left here, or until
another table says the same (the row moved to a history table).  A source that posts no demand or inbound never learns
that a claim is closed; so what is kept *expires*, by a list in the order of days (`e`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from schemas.records import Bucket
from streams.core.lane.keys import balance_name, claim_prefix, reference_table, split_sku
from streams.core.lane.state import EXACT, ZERO_QUANTITY, Kept, Sum
from streams.core.unit import View

EVIDENCE = frozenset((Bucket.FULFILLED, Bucket.RECEIVED))
CLAIMS = frozenset((Bucket.DEMAND, Bucket.INBOUND))
DAY_US = 86_400_000_000
DAY_BYTES = 4

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Sum)


def decode_sum(stored: bytes) -> Sum:
    """A value of kind `s`."""
    return _decoder.decode(stored)


class Sums:
    """The sums one unit touches."""

    def __init__(self, state: View, archives: bool, now_us: int) -> None:
        self._state, self._get = state, state.get
        self._today = now_us // DAY_US
        self._archives = archives
        """Some table's deletes mean archiving: postings by table are worth their bytes."""
        self._sums: dict[bytes, Sum] = {}
        self._emptied: list[bytes] = []
        self._left: list[tuple[bytes, bytes, Decimal]] = []

    def replace(
        self,
        had: Sequence[tuple[bytes, str]],
        now: Sequence[tuple[bytes, str]],
        reference: bytes,
        archived: bool,
    ) -> list[bytes]:
        """What the row `reference` posts, instead of what it posted: (balance, quantity); balance keys that changed."""
        changed: list[bytes] = []
        same = 0
        for (balance, was), (becomes, quantity) in zip(had, now, strict=False):
            if balance != becomes:
                break
            if was != quantity:
                self.move(balance, was, quantity, reference)
                changed.append(balance)
            same += 1
        added = list(now[same:])
        for posting in had[same:]:
            if posting in added:
                added.remove(posting)
            else:
                self.remove(*posting, reference, archived)
                changed.append(posting[0])
        for balance, quantity in added:
            self.add(balance, quantity, reference)
            changed.append(balance)
        return changed

    def move(self, balance: bytes, was: str, now: str, reference: bytes) -> None:
        """A live posting says another quantity: `remove` and `add` at once."""
        if self._archives and self._is_evidence(balance):
            self.remove(balance, was, reference, archived=False)
            self.add(balance, now, reference)
            return
        found = self._load(balance)
        found.quantity = EXACT.add(EXACT.subtract(found.quantity, Decimal(was)), Decimal(now))

    def add(self, balance: bytes, quantity: str, reference: bytes) -> None:
        """One more live posting, of the row `reference`."""
        found = self._load(balance)
        found.postings += 1
        found.quantity = EXACT.add(found.quantity, Decimal(quantity))
        if self._archives and self._is_evidence(balance):
            table = reference_table(reference)
            tables = found.tables = found.tables or {}
            tables[table] = tables.get(table, 0) + 1
            for index, kept in enumerate(found.kept):
                if kept.row == reference or (reference_table(kept.row) != table and kept.quantity == Decimal(quantity)):
                    self._forget(found, index)
                    break

    def remove(self, balance: bytes, quantity: str, reference: bytes, archived: bool) -> None:
        """One live posting less; if it was archived, `settle` decides whether it still counts."""
        found = self._load(balance)
        found.postings -= 1
        found.quantity = EXACT.subtract(found.quantity, Decimal(quantity))
        if self._archives and self._is_evidence(balance):
            table = reference_table(reference)
            if found.tables and table in found.tables:
                found.tables[table] -= 1
                if not found.tables[table]:
                    del found.tables[table]
            if archived:
                self._left.append((balance, reference, Decimal(quantity)))
        if not found.postings:
            self._emptied.append(balance)

    def settle(self) -> list[bytes]:
        """Write what changed; balance keys that changed beyond the calls of `add` and `remove`."""
        for balance, reference, quantity in self._left:
            found = self._load(balance)
            table = reference_table(reference)
            if not (found.tables and any(other != table for other in found.tables)):
                found.postings += 1
                found.quantity = EXACT.add(found.quantity, quantity)
                found.kept = (*found.kept, Kept(reference, quantity, self._today))
                self._state.put(b"e" + self._today.to_bytes(DAY_BYTES, "big") + balance, b"")
        also = self._close_claims()
        put, encode = self._state.put, _encoder.encode
        for balance, found in self._sums.items():
            put(b"s" + balance, encode(found) if found.postings else None)
        self._sums.clear()
        self._emptied.clear()
        self._left.clear()
        return also

    def expire(self, days: int, room: int) -> list[bytes]:
        """Forget what was archived so many days ago, at most `room` entries; balance keys that changed."""
        changed: list[bytes] = []
        for key, _ in self._state.scan(b"e"):
            day, balance = int.from_bytes(key[1 : 1 + DAY_BYTES], "big"), key[1 + DAY_BYTES :]
            if day > self._today - days or room <= 0:
                break
            room -= 1
            self._state.put(key, None)
            found = self._load(balance)
            for index in reversed(range(len(found.kept))):
                if found.kept[index].day <= day:
                    self._forget(found, index)
                    changed.append(balance)
        return changed

    def _load(self, balance: bytes) -> Sum:
        found = self._sums.get(balance)
        if found is None:
            stored = self._get(b"s" + balance)
            found = Sum(0, ZERO_QUANTITY) if stored is None else _decoder.decode(stored)
            self._sums[balance] = found
        return found

    def _is_evidence(self, balance: bytes) -> bool:
        if b"fulfilled" not in balance and b"received" not in balance:
            return False
        name = balance_name(split_sku(balance)[1])
        return name.bucket in EVIDENCE and name.reference is not None

    def _forget(self, found: Sum, index: int) -> None:
        quantity = found.kept[index].quantity
        found.kept = found.kept[:index] + found.kept[index + 1 :]
        found.postings -= 1
        found.quantity = EXACT.subtract(found.quantity, quantity)

    def _close_claims(self) -> list[bytes]:
        if not self._archives:
            return []
        changed: list[bytes] = []
        for balance in self._emptied:
            sku, rest = split_sku(balance)
            name = balance_name(rest)
            if name.bucket not in CLAIMS or name.reference is None or self._load(balance).postings:
                continue
            claim = dict(self._claim(sku, name.reference))
            if any(live.postings and balance_name(split_sku(b)[1]).bucket in CLAIMS for b, live in claim.items()):
                continue
            for other, found in claim.items():
                if found.kept:
                    while found.kept:
                        self._forget(found, 0)
                    changed.append(other)
        return changed

    def _claim(self, sku: bytes, reference: str) -> Iterator[tuple[bytes, Sum]]:
        prefix = claim_prefix(sku, reference)
        names = {key[1:] for key, _ in self._state.scan(b"s" + prefix)}
        names.update(balance for balance in self._sums if balance.startswith(prefix))
        for balance in sorted(names):
            yield balance, self._load(balance)
