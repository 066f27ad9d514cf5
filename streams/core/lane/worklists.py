"""Work that is more than one unit holds: done in slices, each a unit of its own, remembered in memo and state.

Order: what makes the state whole first (sweeps, lookups of another mapping, evaluation, re-assertion, retries), what
only sends afterwards (the list `q`, restatement).
"""

from __future__ import annotations

import msgspec

from streams.core.lane.fold import FULL_BYTES, Fold, decode_row
from streams.core.lane.intake import Intake
from streams.core.lane.keys import ZERO, reference_table
from streams.core.lane.owed import NO_STAMP, LocationOwed, OrderOwed, Owed, SkuOwed, drain, encode_owed
from streams.core.lane.preparing import KIND as AHEAD
from streams.core.lane.preparing import ahead_key, decode_ahead, projected, split_ahead, take_ahead
from streams.core.lane.state import Memo, RowRecord
from streams.core.lane.waiting import drop_superseded

SLICE = 1000
"""Rows of one slice."""
RESTATE_NAMES = 2000
RESTATE_ENTRIES = 5000
"""Skus or orders, and balances or parts, of one slice of a restatement."""
KINDS = (b"s", b"i", b"b", b"t", b"l", b"o")
"""What is restated; a sku by the first of its kinds."""
SKU_KINDS = frozenset((b"s", b"i", b"b", b"t"))


def blocked(memo: Memo) -> bool:
    """Sums hold part of a transaction, or rows of a truncated table: what changes leaves later."""
    return memo.open_transaction is not None or any(truncate for _, _, truncate in memo.sweeping)


def outstanding(memo: Memo) -> bool:
    """A work list is not empty and could go on."""
    if memo.open_transaction is not None:
        return False
    return bool(
        memo.sweeping
        or memo.indexing is not None
        or (memo.evaluating is not None and not memo.deferred)
        or (memo.reasserting and not memo.deferred)
        or memo.superseded
        or memo.retrying
        or memo.owing
        or (memo.restating is not None and not memo.silent)
        or ready_to_speak(memo)
    )


def ready_to_speak(memo: Memo) -> bool:
    """A silent lane whose snapshot is whole."""
    return (
        memo.silent
        and memo.snapshot_in
        and memo.indexing is None
        and memo.evaluating is None
        and not memo.sweeping
        and not any(table.sweep_asks for table in memo.tables.values())
    )


class WorkLists:
    """One slice of the first work list that has one."""

    def __init__(self, fold: Fold, intake: Intake, last_version: int | None) -> None:
        self._fold, self._intake, self._last_version = fold, intake, last_version
        self.owed: list[bytes] = []

    def slice(self) -> None:
        """Do one slice; what it sends beyond the fold's changes stands in `owed`."""
        memo = self._fold.memo
        if memo.open_transaction is not None:
            return
        if memo.sweeping:
            self._sweep()
        elif memo.indexing is not None:
            self._index(memo.indexing)
        elif memo.evaluating is not None and not memo.deferred:
            self._evaluate(memo.evaluating)
        elif memo.reasserting and not memo.deferred:
            self._fold.continue_reasserting()
        elif memo.superseded:
            memo.superseded = drop_superseded(self._fold.state, memo.superseded, SLICE)
        elif memo.retrying:
            self._intake.continue_retrying()
        elif memo.silent and memo.owing:  # from before: half of a transaction, perhaps; all of it will be sent again
            _, memo.owing = drain(self._fold.state)
        elif ready_to_speak(memo):
            self._speak()
        elif memo.silent:
            return
        elif memo.owing:
            self.owed, memo.owing = drain(self._fold.state)
        elif memo.restating is not None:
            self._restate(memo.restating)

    def _speak(self) -> None:
        memo = self._fold.memo
        if memo.deferred:
            memo.deferred = False
            self._evaluate_next(memo.stored)
        else:
            memo.silent, memo.restating, memo.restating_since = False, b"s", None

    def _sweep(self) -> None:
        fold, memo = self._fold, self._fold.memo
        name, cursor, truncate = memo.sweeping[0]
        entry = fold.entries.get(name)
        if entry is None:
            memo.sweeping = memo.sweeping[1:]
            return
        table, done = memo.tables[name], 0
        prefix = b"r" + entry.prefix
        for seen, (key, value) in enumerate(fold.state.scan(prefix, cursor)):
            if done >= SLICE or seen >= SLICE * 20 or fold.state.size > FULL_BYTES:
                memo.sweeping = ((name, key, truncate), *memo.sweeping[1:])
                return
            if decode_row(value).seen < table.dead_below:
                fold.delete(fold.touch(entry, key[1:], NO_STAMP), truncated=truncate)
                done += 1
        memo.sweeping = memo.sweeping[1:]

    def _index(self, cursor: bytes) -> None:
        """Every row as the new mapping has it, then those that only it has: entered into its lookups."""
        fold, memo = self._fold, self._fold.memo
        if cursor[:1] == b"r":
            for done, (key, value) in enumerate(fold.state.scan(b"r", cursor)):
                if done >= SLICE or fold.state.size > FULL_BYTES:
                    memo.indexing = key
                    return
                self._index_row(key[1:], decode_row(value))
        for done, (key, value) in enumerate(fold.state.scan(AHEAD)):
            if done >= SLICE or fold.state.size > FULL_BYTES:
                memo.indexing = AHEAD
                return
            fold.state.put(key, None)
            self._index_new(*split_ahead(key), *decode_ahead(value))
        memo.indexing = None
        if not memo.snapshot_required:
            memo.deferred, memo.evaluating = False, b"r"

    def _index_row(self, reference: bytes, record: RowRecord) -> None:
        fold, memo = self._fold, self._fold.memo
        entry = fold.entries.get(reference_table(reference))
        if entry is None:
            fold.drop(reference, record)
            return
        table = memo.tables[entry.name]
        if record.form != table.form and record.seen >= table.dead_below and record.row:
            ahead = take_ahead(fold.state, memo.mapping, reference)
            row = None if ahead is None else ahead[1]
            if row is None and record.form == table.form - 1 and record.seen >= table.load_from:
                row = projected(record.row, table.before, table.columns)
            if row is not None:
                fold.adopt(reference, record, entry, row)
            elif not memo.snapshot_required:
                fold.estrange(reference, record, entry)
        if table.holds(record):
            try:
                fold.index(reference, record, entry)
            except msgspec.ValidationError:  # its catalogue has a type that the row was not stored under
                fold.estrange(reference, record, entry)

    def _index_new(self, of: bytes, reference: bytes, seen: int, row: bytes) -> None:
        """A row that was stored ahead and has no record."""
        fold, memo = self._fold, self._fold.memo
        entry = fold.entries.get(reference_table(reference))
        if entry is None or of != split_ahead(ahead_key(memo.mapping, b""))[0]:
            return
        table = memo.tables[entry.name]
        if seen < table.dead_below or fold.record(reference) is not None:
            return
        record = RowRecord(seen, row)
        table.rows += 1
        table.seen += seen == table.generation
        fold.adopt(reference, record, entry, row)
        fold.index(reference, record, entry)

    def _evaluate(self, cursor: bytes) -> None:
        fold, memo = self._fold, self._fold.memo
        prefix = b"r" if memo.stored is None else b"r" + memo.stored[0].encode() + ZERO
        for done, (key, _) in enumerate(fold.state.scan(prefix, cursor)):
            if done >= SLICE or fold.state.size > FULL_BYTES:
                memo.evaluating = key
                return
            fold.evaluate_again(key[1:], NO_STAMP)
        self._evaluate_next(memo.stored[1:] if memo.stored else ())

    def _evaluate_next(self, stored: tuple[str, ...] | None) -> None:
        """Go on with these tables; None: with every row."""
        memo = self._fold.memo
        memo.stored = stored or None
        memo.evaluating = None if stored == () else b"r"

    def _restate(self, cursor: bytes) -> None:
        """Send everything again, by name; the first unit after the version is known begins it."""
        memo, state = self._fold.memo, self._fold.state
        if memo.restating_since is None:
            if self._last_version is None:
                return
            memo.restating_since = self._last_version + 1
        names = entries = 0
        last = b""
        for kind in KINDS[KINDS.index(cursor[:1]) :]:
            for key, _ in state.scan(kind, cursor if cursor[:1] == kind else b""):
                entries += 1
                name = key[: key.index(ZERO)]
                if name == last:
                    continue
                if names >= RESTATE_NAMES or entries >= RESTATE_ENTRIES:
                    memo.restating = key
                    return
                last = name
                names += 1
                earlier = KINDS[: KINDS.index(kind)] if kind in SKU_KINDS else ()
                if any(next(state.scan(other + name[1:] + ZERO), None) is not None for other in earlier):
                    continue
                self.owed.append(encode_owed(_everything(name)))
        memo.restated_since, memo.restating, memo.restating_since = memo.restating_since, None, None
        memo.complete = memo.comparing = True


def _everything(name: bytes) -> Owed:
    kind, rest = name[:1], name[1:]
    if kind == b"l":
        return LocationOwed(rest)
    if kind == b"o":
        return OrderOwed(rest, None, None, [], everything=True)
    return SkuOwed(rest, None, None, [], item=True, uncertain=True, everything=True)
