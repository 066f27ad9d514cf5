"""Once through all that a lane holds: rows that the database did not name, and whether sums and parts are those of
the rows.

The copy stands at the end of one unit, and a unit writes rows, sums and parts together: they agree exactly, or the
lane is wrong by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from itertools import groupby

from streams.connect.audit.lane_copy import LaneState, live
from streams.connect.audit.said import Columns, columns_of, named_about
from streams.connect.audit.selects import Wanted
from streams.connect.audit.spill import Spill
from streams.core.lane.fold import decode_row
from streams.core.lane.keys import reference_table
from streams.core.lane.left_out import LeftOut
from streams.core.lane.state import EXACT, RowRecord
from streams.core.lane.sums import decode_sum

PARTS = (b"b", b"i", b"l", b"o")
AT_ONCE = 1_000
Pair = tuple[bytes, bytes]


class LaneWalk:
    """One walk; `unnamed` must be gone through before `own_faults`."""

    def __init__(self, state: LaneState, wanted: Wanted, left_out: LeftOut) -> None:
        """`left_out`: what the database cannot be asked, so that nothing is compared with it."""
        self._state, self._wanted, self._left_out = state, wanted, left_out
        self._spill = Spill()
        self.balances = 0
        """Balances and lines of bills that were looked at."""

    def close(self) -> None:
        self._spill.close()

    def unnamed(self, named: Iterator[Pair], tables: Collection[str]) -> Iterator[bytes]:
        """References of live rows of these tables that say something and are not in `named`, which comes by key."""
        names = (reference for reference, _ in named)
        name = next(names, None)
        waiting: list[Pair] = []
        for key, stored in self._state.scan(b"r"):
            reference = key[1:]
            record, table = decode_row(stored), reference_table(reference)
            waiting += self._pairs(record)
            said = self._pairs(self._left_out.without(table, record))
            if len(waiting) > AT_ONCE:
                self._spill.add(waiting)
                waiting.clear()
            while name is not None and name < reference:
                name = next(names, None)
            known = name == reference or table not in tables
            if said and not known and live(self._state, reference, stored) is not None:
                yield reference
        self._spill.add(waiting)

    def _pairs(self, record: RowRecord) -> list[Pair]:
        """What a row says of what is wanted."""
        said = [(b"s" + balance, quantity.encode()) for balance, quantity in record.postings]
        said += [pair for pair in record.parts if pair[0][:1] in PARTS]
        return [pair for pair in said if named_about(pair[0], self._wanted)] if self._wanted else said

    def own_faults(self) -> Iterator[tuple[bytes, Columns, Columns]]:
        """(name of a balance, or key of a part; what its rows say; what the state says), where the two differ."""
        theirs = groupby(self._spill.sorted(), key=lambda pair: pair[0])
        group = next(theirs, None)
        for key, stored in self._said():
            while group is not None and group[0] < key:
                yield group[0], _of_rows(group[0], group[1]), {}
                group = next(theirs, None)
            holds = _of_state(key, stored)
            says: Columns = {}
            if group is not None and group[0] == key:
                says = _of_rows(key, group[1])
                group = next(theirs, None)
            if says != holds:
                yield key, says, holds
        while group is not None:
            yield group[0], _of_rows(group[0], group[1]), {}
            group = next(theirs, None)

    def _said(self) -> Iterator[Pair]:
        for kind in (*PARTS, b"s"):
            for key, stored in self._state.scan(kind):
                if not self._wanted or named_about(key, self._wanted):
                    self.balances += kind in (b"b", b"s")
                    yield key, stored


def _of_rows(key: bytes, pairs: Iterator[Pair]) -> Columns:
    if key[:1] != b"s":
        return columns_of(key[:1], next(pairs)[1])
    total, count = Decimal(0), 0
    for _, quantity in pairs:
        total = EXACT.add(total, Decimal(quantity.decode()))
        count += 1
    return {"quantity": total, "postings": count}


def _of_state(key: bytes, stored: bytes) -> Columns:
    """A sum without the archived rows that still count: their rows are gone."""
    if key[:1] != b"s":
        return columns_of(key[:1], stored)
    return live_sum(stored)


def live_sum(stored: bytes | None) -> Columns:
    """Quantity and postings of the rows that are there; nothing when there is none."""
    if stored is None:
        return {}
    found = decode_sum(stored)
    kept = sum((one.quantity for one in found.kept), Decimal(0))
    postings = found.postings - len(found.kept)
    return {"quantity": EXACT.subtract(found.quantity, kept), "postings": postings} if postings else {}
