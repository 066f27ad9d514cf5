"""Rows that cannot be mapped: the exception about them, and whose promise is uncertain because of them."""

from __future__ import annotations

from streams.core.lane.faults import Faults, Target
from streams.core.lane.keys import ZERO, reference_text, split_sku
from streams.core.lane.owed import Dirty
from streams.core.lane.state import Memo, RowRecord
from streams.core.mapping.model import RowError
from streams.core.unit import InputRecord, View


class BadRows:
    """Marks rows bad and clears them, within one unit; `safety` says whether the row can make a promise too high."""

    def __init__(self, faults: Faults, state: View, memo: Memo, dirty: Dirty) -> None:
        self._faults, self._state, self._memo, self._dirty = faults, state, memo, dirty

    def mark(self, safety: bool, reference: bytes, record: RowRecord, error: RowError, raw: InputRecord | None) -> None:
        """Open the exception; what the row said last stands, and its skus are uncertain."""
        if error.subject:  # of the lookup, say: all rows that rest on it suffer
            identity = self._faults.open(error.code, error.subject, str(error), again=False)
            if identity not in record.faults:
                self._faults.share(identity)
        else:
            target = Target(row=reference)
            identity = self._faults.open(error.code, reference_text(reference), str(error), raw, target=target)
        for fault in record.faults:
            if fault != identity:
                self._faults.close_for(fault)
        record.faults = (identity,)
        if record.bad:
            return
        record.bad = True
        if not safety:
            return
        skus = skus_of(record)
        for sku in skus:
            self._state.put(b"y" + sku + ZERO + reference, b"")
            self._dirty.uncertain(sku)
        if not skus:
            self._memo.unknown_parked += 1

    def clear(self, safety: bool, reference: bytes, record: RowRecord) -> None:
        for fault in record.faults:
            self._faults.close_for(fault)
        record.faults, record.bad = (), False
        if not safety:
            return
        skus = skus_of(record)
        for sku in skus:
            self._state.put(b"y" + sku + ZERO + reference, None)
            self._dirty.uncertain(sku)
        if not skus:
            self._memo.unknown_parked -= 1


def skus_of(record: RowRecord) -> tuple[bytes, ...]:
    """Every sku whose promise rests on what the row says."""
    skus = [split_sku(balance)[0] for balance, _ in record.postings]
    skus += [split_sku(key[1:])[0] for key, _ in record.parts if key[:1] in (b"b", b"t")]
    return tuple(dict.fromkeys(skus))
