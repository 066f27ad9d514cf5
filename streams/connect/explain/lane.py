"""One lane's state, asked backwards: which balances, parts and rows there are about a sku or an order.

The state belongs to one unit.  What is about a sku stands together in it; the rows behind it do not, so that all rows
are gone through, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from schemas.errors import InvalidInput
from streams.core.lane.applied import TEXT
from streams.core.lane.keys import (
    ZERO,
    BalanceName,
    balance_name,
    reference_table,
    reference_text,
    row_reference,
    split_sku,
)
from streams.core.lane.lookups import Asking, Lookups
from streams.core.lane.state import Memo, PartState, RowRecord
from streams.core.lane.sums import decode_sum
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import LookupKey, RowError
from streams.core.mapping.text import compile_text
from streams.core.unit import View

_row_decoder = msgspec.msgpack.Decoder(RowRecord)
_memo_decoder = msgspec.msgpack.Decoder(Memo)
_ALSO = {b"i": "what the item is", b"b": "what the kit is made of", b"t": "that it goes into a kit"}
"""By kind of state key."""
_part_decoder = msgspec.msgpack.Decoder(PartState)


class HeldBalance(NamedTuple):
    """One sum of a lane."""

    name: BalanceName
    quantity: Decimal
    postings: int
    archived: int
    """Postings of rows that were deleted as done and still count."""


class HeldPart(NamedTuple):
    """What one row says about an order."""

    kind: str
    part_id: str
    attributes: Mapping[str, str | None]
    raw_statuses: Mapping[str, str | None]
    reference: bytes


class Joined(NamedTuple):
    """A lookup that a row asked, and what it found."""

    table: str
    by: str
    key: tuple[Any, ...]
    """What it was asked for."""
    rows: tuple[tuple[bytes, dict[str, Any]], ...]
    """(row reference, column values)"""


@dataclass
class HeldRow:
    """One row of the source, as its lane has it."""

    reference: bytes
    columns: dict[str, Any] = field(default_factory=dict)
    """Empty: it is gone, or stored under another mapping."""
    joined: tuple[Joined, ...] = ()
    state: str = "live"
    """`live`, or what is wrong with it, in words."""
    faults: tuple[str, ...] = ()
    """Ids of open exceptions about it."""
    postings: tuple[tuple[BalanceName, str], ...] = ()
    """About the sku that was asked for."""
    also: tuple[str, ...] = ()
    """What else it says of that sku, in words."""

    @property
    def text(self) -> str:
        return reference_text(self.reference)


class LaneState:
    """What one lane has settled."""

    def __init__(self, source: str, memo: bytes, view: View, folder: CompiledMapping | None) -> None:
        """`folder` is the folder's mapping; the lane's own, when it has kept another, goes before."""
        self.source = source
        self.memo = _memo_decoder.decode(memo)
        self._view = view
        self.mapping = self._applied(folder)
        """None: the lane works by a mapping that is not to be had."""
        self._lookups: Lookups | None = None
        if self.mapping is not None:
            self._lookups = Lookups(self.mapping, self._live)
            self._lookups.begin(self._view)

    def _applied(self, folder: CompiledMapping | None) -> CompiledMapping | None:
        if folder is not None and folder.fingerprint == self.memo.mapping:
            return folder
        kept = self._view.get(TEXT)
        try:
            found = None if kept is None else compile_text(kept)
        except InvalidInput:
            return None  # kept by another release
        return found if found is not None and found.fingerprint == self.memo.mapping else None

    def balances(self, sku: str) -> list[HeldBalance]:
        """Every sum of a sku."""
        out = []
        for key, value in self._view.scan(b"s" + sku.encode() + ZERO):
            held = decode_sum(value)
            name = balance_name(split_sku(key[1:])[1])
            out.append(HeldBalance(name, held.quantity, held.postings, len(held.kept)))
        return out

    def uncertain(self, sku: str) -> list[bytes]:
        """References of parked rows that make the sku uncertain, or queues of records that wait."""
        prefix = b"y" + sku.encode() + ZERO
        return [key[len(prefix) :] for key, _ in self._view.scan(prefix)]

    def rows_of_sku(self, sku: str) -> list[HeldRow]:
        """Every row that posts to a sku, says its item or makes it uncertain; archived ones that still count."""
        begins = sku.encode() + ZERO
        out = []
        for key, value in self._view.scan(b"r"):
            if begins not in value:
                continue
            record = _row_decoder.decode(value)
            postings = tuple(
                (balance_name(split_sku(balance)[1]), quantity)
                for balance, quantity in record.postings
                if balance.startswith(begins)
            )
            kinds = [part[:1] for part, _ in record.parts if part[1:].startswith(begins)]
            also = tuple(dict.fromkeys(_ALSO[kind] for kind in kinds if kind in _ALSO))
            if postings or also:
                row = self._held(key[1:], record, postings)
                row.also = also
                out.append(row)
        known = {row.reference for row in out}
        for reference in self.uncertain(sku):
            if reference in known:
                continue
            there = self._view.get(b"r" + reference) is not None
            out.append(self.row(reference) if there else HeldRow(reference, state="a record about it waits"))
        return out + [row for row in self._archived(begins) if row.reference not in known]

    def _archived(self, begins: bytes) -> Iterator[HeldRow]:
        for key, value in self._view.scan(b"s" + begins):
            name = balance_name(split_sku(key[1:])[1])
            for kept in decode_sum(value).kept:
                row = self.row(kept.row)
                row.state = "archived"
                row.postings = ((name, str(kept.quantity)),)
                yield row

    def parts(self, order_id: str) -> list[HeldPart]:
        """What rows say about an order."""
        prefix = b"o" + order_id.encode() + ZERO
        out = []
        for key, value in self._view.scan(prefix):
            kind, part_id, reference = key[len(prefix) :].split(ZERO, 2)
            said = _part_decoder.decode(value)
            out.append(HeldPart(kind.decode(), part_id.decode(), said.attributes, said.raw_statuses, reference))
        return out

    def row(self, reference: bytes) -> HeldRow:
        """One row, whether it is still there or not."""
        stored = self._view.get(b"r" + reference)
        if stored is None:
            return HeldRow(reference, state="gone")
        return self._held(reference, _row_decoder.decode(stored), ())

    def _held(self, reference: bytes, record: RowRecord, postings: tuple[tuple[BalanceName, str], ...]) -> HeldRow:
        table = reference_table(reference)
        row = HeldRow(reference, faults=record.faults, postings=postings)
        if record.waits:
            row.state = "waits for a lookup"
        elif record.bad:
            row.state = "not mapped: what an older image said counts"
        elif record.hole:
            row.state = "not decoded: what an older image said counts"
        live = self._live(reference)
        if live is None or self.mapping is None:
            return row
        row.columns = _columns(live)
        if self.mapping.tables[table].drives:
            row.joined = tuple(self._joined(table, live))
        return row

    def _joined(self, table: str, live: Any) -> Iterator[Joined]:
        assert self.mapping is not None
        assert self._lookups is not None
        asked: list[tuple[int, LookupKey]] = []
        sources = [Asking(source, index, asked) for index, source in enumerate(self._lookups.sources)]
        try:
            self.mapping.tables[table].evaluate(live, sources)
        except RowError:
            pass  # the exception about it is named beside the row; what it asked for is known all the same
        for index, key in dict.fromkeys(asked):
            lookup = self.mapping.lookups[index]
            of = self.mapping.tables[lookup.table]
            try:
                found = self._lookups.sources[index].get(key)
            except RowError:
                found = None
            rows = () if found is None else found if lookup.many else (found,)
            said = tuple((row_reference(of.name.encode() + ZERO, of.key_of(row)), _columns(row)) for row in rows)
            yield Joined(lookup.table, ", ".join(lookup.columns), key, said)

    def _live(self, reference: bytes) -> Any | None:
        """As the lane itself finds a row (`Fold.load_live`)."""
        stored = self._view.get(b"r" + reference)
        table = reference_table(reference)
        if stored is None or self.mapping is None or table not in self.mapping.tables:
            return None
        record, known = _row_decoder.decode(stored), self.memo.tables[table]
        if not record.row or not known.holds(record):
            return None
        return self.mapping.tables[table].load(record.row)


def _columns(row: Any) -> dict[str, Any]:
    """Column → value as it was sent."""
    return msgspec.json.decode(msgspec.json.encode(row), type=dict[str, Any])
