"""What one unit has touched: skus and claims decoded once, settled once, written once.

A storm of messages about one sku costs one settling of each claim it touches and one promise.  `fold` turns touched
claims into changes of the sums; `save` writes everything back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

from schemas.records import Stamps
from streams.core.inventory.claims import Effect, settle
from streams.core.inventory.clock import move_wake
from streams.core.inventory.made import NOTHING
from streams.core.inventory.state import (
    ZERO,
    Claim,
    DriftSum,
    Entry,
    Sku,
    claim_key,
    claims_prefix,
    decode_claim,
    decode_sku,
    encode,
    sku_key,
    sku_of_claim,
)
from streams.core.ownership import Ownership
from streams.core.unit import View

Key = TypeVar("Key")

MAX_PLACES = 10_000
"""Lines of a sku's position above which they stand without dates, so that its record stays small."""

_NOTHING_SAID = dict.fromkeys("pai", NOTHING)
"""Of a sku without a record nothing was ever made: its outputs need not be looked for."""

_COMPONENT_BYTES = 500
"""About what one component of a kit adds to a unit in which the kit changes."""


class TouchedClaim:
    """A claim, and the effect it already has in the sums."""

    __slots__ = ("before", "claim", "referenced", "sku")

    def __init__(self, sku: Sku, claim: Claim, referenced: bool, before: Effect | None) -> None:
        self.sku, self.claim, self.referenced, self.before = sku, claim, referenced, before


class Working:
    """The touched part of a partition's state within one unit."""

    def __init__(self, state: View, ownership: Ownership, rule: bytes, now_us: int) -> None:
        self.state, self.ownership, self.rule, self.now_us = state, ownership, rule, now_us
        self.skus: dict[str, Sku] = {}
        self.claims: dict[bytes, TouchedClaim] = {}
        self.bytes = 0
        """About what `save` will write."""
        self.components = 0
        """Of all touched kits."""

    def sku(self, sku: str) -> Sku:
        """The sku's record, new when there is none, its sums resting on the present rule."""
        found = self.skus.get(sku)
        if found is None:
            stored = self.state.get(sku_key(sku))
            found = decode_sku(stored) if stored is not None else Sku(rule=self.rule, said=dict(_NOTHING_SAID))
            if found.rule != self.rule:
                self._rebuild(sku, found)
            self.skus[sku] = found
            self.bytes += 3 * len(stored or b"") + 1_000
            if found.components:
                self.weigh(found.components)
        return found

    def weigh(self, components: int) -> None:
        """A touched kit has so many components, each to be told."""
        self.components += components
        self.bytes += components * _COMPONENT_BYTES

    def claim(self, sku: str, reference: str | None) -> Claim:
        """The claim's record, new when there is none; change its `entries` in place."""
        return self._claim(claim_key(sku, reference), self.sku(sku), reference is not None)

    def claim_at(self, key: bytes) -> Claim:
        """The same by state key."""
        sku, referenced = sku_of_claim(key)
        return self._claim(key, self.sku(sku), referenced)

    def _claim(self, key: bytes, sku: Sku, referenced: bool) -> Claim:
        found = self.claims.get(key)
        if found is None:
            stored = self.state.get(key)
            if stored is None:
                found = TouchedClaim(sku, Claim([]), referenced, None)
            else:
                claim = decode_claim(stored)
                before = settle(claim.entries, referenced, self.ownership, claim.settled_us)
                found = TouchedClaim(sku, claim, referenced, before)
            self.claims[key] = found
            self.bytes += len(stored or b"") + len(key) + 200
        return found.claim

    def fold(self) -> None:
        """Settle every touched claim and move the sums by the difference."""
        for key, touched in self.claims.items():
            claim = touched.claim
            after = settle(claim.entries, touched.referenced, self.ownership, self.now_us)
            move(touched.sku, touched.before, after, self.now_us)
            claim.settled_us = self.now_us if after.wake_us or claim.wake_us or _expires(claim.entries) else 0
            move_wake(self.state, key, claim.wake_us, after.wake_us)
            claim.wake_us = after.wake_us
            self.state.put(key, encode(claim) if claim.entries else None)
        touched_skus = {sku_of_claim(key)[0] for key in self.claims}
        self.claims.clear()
        for sku in touched_skus:
            self._bound(sku, self.skus[sku])

    def save(self) -> None:
        for sku, record in self.skus.items():
            self.state.put(sku_key(sku), encode(record))
        self.skus.clear()

    def _bound(self, sku: str, record: Sku) -> None:
        """Too many sums: without dates from now on; so few claims that there cannot be: with dates again."""
        if not record.coarse and len(record.sums) > MAX_PLACES:
            record.coarse = True
            self._rebuild(sku, record)
        elif record.coarse and sum(count for _, count in record.sums.values()) < MAX_PLACES // 2:
            record.coarse = False
            self._rebuild(sku, record)

    def _rebuild(self, sku: str, record: Sku) -> None:
        """The sums anew from the claims, under the present rule; a drift that stays keeps its age."""
        ages = {key: drift.since_us for key, drift in record.drifts.items()}
        record.lines, record.sums, record.drifts, record.rule = {}, {}, {}, self.rule
        for key, value in self.state.scan(claims_prefix(sku)):
            claim = decode_claim(value)
            move(
                record, None, settle(claim.entries, sku_of_claim(key)[1], self.ownership, claim.settled_us), self.now_us
            )
        for drift_key, drift in record.drifts.items():
            since_us = ages.get(drift_key, drift.since_us)
            record.drifts[drift_key] = DriftSum(drift.owner_quantity, drift.other_quantity, drift.count, since_us)


def _expires(entries: list[Entry]) -> bool:
    return any(entry.expires_us is not None for entry in entries)


def move(sku: Sku, before: Effect | None, after: Effect, now_us: int) -> None:
    """Take one claim's old effect out of the sums and put the new one in."""
    if before is None:
        before = _NOTHING
    if before.lines != after.lines:
        if sku.coarse:
            _move_sums(sku.lines, _undated(before.lines), _undated(after.lines))
        else:
            _move_sums(sku.lines, before.lines, after.lines)
    if before.sums != after.sums:
        if sku.coarse:
            _move_sums(sku.sums, _undated(before.sums), _undated(after.sums))
        else:
            _move_sums(sku.sums, before.sums, after.sums)
    if before.drifts != after.drifts:
        _move_drifts(sku, before, after, now_us)


_NOTHING = Effect()


def _undated(quantities: dict[Key, Decimal]) -> dict[Key, Decimal]:
    """The same without due dates, the last part of their keys."""
    dated: dict[Any, Decimal] = quantities
    merged: dict[Any, Decimal] = {}
    for key, quantity in dated.items():
        place = (*key[:-1], None)
        merged[place] = merged.get(place, ZERO) + quantity
    return merged


def _move_sums(sums: dict[Key, tuple[Decimal, int]], before: dict[Key, Decimal], after: dict[Key, Decimal]) -> None:
    for key, quantity in after.items():
        total, count = sums.get(key, (ZERO, 0))
        if key in before:
            sums[key] = (total + quantity - before[key], count)
        else:
            sums[key] = (total + quantity, count + 1)
    for key, quantity in before.items():
        if key not in after:
            total, count = sums[key]
            if count == 1:
                del sums[key]
            else:
                sums[key] = (total - quantity, count - 1)


def _move_drifts(sku: Sku, before: Effect, after: Effect, now_us: int) -> None:
    for key in before.drifts.keys() | after.drifts.keys():
        old, new = before.drifts.get(key), after.drifts.get(key)
        drift = sku.drifts.get(key) or DriftSum(ZERO, ZERO, 0, now_us)
        owner, other, count = drift.owner_quantity, drift.other_quantity, drift.count
        if old is not None:
            owner, other, count = owner - old[0], other - old[1], count - 1
        if new is not None:
            owner, other, count = owner + new[0], other + new[1], count + 1
        if count:
            sku.drifts[key] = DriftSum(owner, other, count, drift.since_us)
        else:
            sku.drifts.pop(key, None)


def note(sku: Sku, stamps: Stamps, cause: str) -> None:
    """Remember that the promise does not show this change yet: the oldest one stands for all."""
    if sku.stamps is None or _age_key(stamps) < _age_key(sku.stamps):
        sku.stamps, sku.cause = stamps, cause


def _age_key(stamps: Stamps) -> tuple[bool, int]:
    known = stamps.committed_us or stamps.captured_us or stamps.laned_us
    return known is None, known or 0
