"""What a unit owes: which balances, order parts, locations and exceptions changed, and since when.

An *owed key* is opaque to the runtime; here it is msgpack of one of the structs below.  It names what changed, never
how much: `render` reads that from the settled state, so an owed key that is rendered again after a crash is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from streams.core.lane.keys import ZERO
from streams.core.unit import View

OWED_BYTES = 512 << 10
"""Owed keys of one unit, together; what is more goes to the list `q`."""
ENTRY_BYTES = 12
"""What a deleted entry costs in the batch beside its key."""


class SkuOwed(msgspec.Struct, array_like=True, tag="b", gc=False):
    """Balances of one sku, all in one message."""

    sku: bytes
    committed_us: int | None
    captured_us: int | None
    balances: list[bytes]
    """Balance keys without the sku; unused with `everything`."""
    item: bool = False
    uncertain: bool = False
    """Whether the sku is certain changed."""
    everything: bool = False
    bill: bool = False
    """What it is made of changed."""
    part_of: bool = False
    """Whether it goes into kits changed."""


class OrderOwed(msgspec.Struct, array_like=True, tag="o", gc=False):
    """Parts of one order, all in one message."""

    order: bytes
    committed_us: int | None
    captured_us: int | None
    parts: list[tuple[bytes, str | None]]
    """(`<kind> 0 <part>`, what a delete means); unused with `everything`."""
    everything: bool = False


class LocationOwed(msgspec.Struct, array_like=True, tag="l"):
    location: bytes


class ExceptionOwed(msgspec.Struct, array_like=True, tag="x"):
    id: str


class ProgressOwed(msgspec.Struct, array_like=True, tag="p"):
    pass


class HoldOwed(msgspec.Struct, array_like=True, tag="h"):
    """A hold begins: said in front of the changes it is about, with the progress of before them."""

    covered: str
    covered_offset: int
    covered_us: int | None


class _Meta(msgspec.Struct, array_like=True, gc=False):
    """What stands in front of the entries of a sku or order in the list `q`."""

    committed_us: int | None
    captured_us: int | None
    item: bool = False
    uncertain: bool = False
    bill: bool = False
    part_of: bool = False


Owed = SkuOwed | OrderOwed | LocationOwed | ExceptionOwed | ProgressOwed | HoldOwed

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Owed] = msgspec.msgpack.Decoder(Owed)
_meta_decoder = msgspec.msgpack.Decoder(_Meta)
_deletion_decoder = msgspec.msgpack.Decoder(str | None)

Stamp = tuple[int | None, int | None]
"""(committed, captured) of a change; (None, None): not a commit (snapshot, restatement)."""
NO_STAMP: Stamp = (None, None)


def encode_owed(owed: Owed) -> bytes:
    return _encoder.encode(owed)


def decode_owed(key: bytes) -> Owed:
    return _decoder.decode(key)


def older(one: Stamp, other: Stamp) -> Stamp:
    """The stamp of the older commit: a conflated message carries the oldest, so that lag is never flattered."""
    if one[0] is None:
        return other if other[0] is not None else one
    if other[0] is None or one[0] <= other[0]:
        return one
    return other


class _Sku(msgspec.Struct, gc=False):
    stamp: Stamp
    balances: set[bytes] = msgspec.field(default_factory=set)
    item: bool = False
    uncertain: bool = False
    bill: bool = False
    part_of: bool = False


class _Order(msgspec.Struct, gc=False):
    stamp: Stamp
    parts: dict[bytes, str | None] = msgspec.field(default_factory=dict)


class Dirty:
    """Collected while a unit is worked on."""

    def __init__(self) -> None:
        self._skus: dict[bytes, _Sku] = {}
        self._orders: dict[bytes, _Order] = {}
        self._locations: dict[bytes, None] = {}
        self._exceptions: dict[str, None] = {}

    def balance(self, key: bytes, stamp: Stamp) -> None:
        """A balance changed; `key` is `<sku> 0 <balance>`."""
        sku, _, balance = key.partition(ZERO)
        self._sku(sku, stamp).balances.add(balance)

    def item(self, sku: bytes, stamp: Stamp) -> None:
        self._sku(sku, stamp).item = True

    def bill(self, kit: bytes, stamp: Stamp) -> None:
        self._sku(kit, stamp).bill = True

    def part_of(self, component: bytes, stamp: Stamp) -> None:
        self._sku(component, stamp).part_of = True

    def uncertain(self, sku: bytes) -> None:
        self._sku(sku, NO_STAMP).uncertain = True

    def order_part(self, order: bytes, part: bytes, deletion: str | None, stamp: Stamp) -> None:
        """A part changed; `part` is `<kind> 0 <part id>`."""
        found = self._orders.get(order)
        if found is None:
            found = self._orders[order] = _Order(stamp)
        else:
            found.stamp = older(found.stamp, stamp)
        found.parts[part] = deletion

    def location(self, location: bytes) -> None:
        self._locations[location] = None

    def exception(self, exception_id: str) -> None:
        self._exceptions[exception_id] = None

    def forget_outputs(self) -> None:
        """Nothing leaves now: all of it is restated later.  Exceptions are told at once all the same."""
        self._skus.clear()
        self._orders.clear()
        self._locations.clear()

    def leave(self, state: View, *, later: bool) -> tuple[list[bytes], bool]:
        """Owed keys of this unit, and whether something went to the list `q`; with `later` all of it does."""
        owed = [encode_owed(ExceptionOwed(exception)) for exception in self._exceptions]
        room = 0 if later else OWED_BYTES
        put_off = False
        for location in self._locations:
            owed.append(encode_owed(LocationOwed(location)))
        for sku, dirty in self._skus.items():
            if room > 0:
                key = SkuOwed(sku, *dirty.stamp, sorted(dirty.balances), dirty.item, dirty.uncertain)
                key.bill, key.part_of = dirty.bill, dirty.part_of
                owed.append(encode_owed(key))
                room -= len(owed[-1])
            else:
                put_off = True
                meta = _Meta(*dirty.stamp, dirty.item, dirty.uncertain, dirty.bill, dirty.part_of)
                _put_off(state, b"qb" + sku + ZERO, meta)
                for balance in dirty.balances:
                    state.put(b"qb" + sku + ZERO + balance, b"")
        for order, parts in self._orders.items():
            if room > 0:
                owed.append(encode_owed(OrderOwed(order, *parts.stamp, sorted(parts.parts.items()))))
                room -= len(owed[-1])
            else:
                put_off = True
                _put_off(state, b"qo" + order + ZERO, _Meta(*parts.stamp))
                for part, deletion in parts.parts.items():
                    state.put(b"qo" + order + ZERO + part, _encoder.encode(deletion))
        return owed, put_off

    def _sku(self, sku: bytes, stamp: Stamp) -> _Sku:
        found = self._skus.get(sku)
        if found is None:
            found = self._skus[sku] = _Sku(stamp)
        else:
            found.stamp = older(found.stamp, stamp)
        return found


def _put_off(state: View, key: bytes, meta: _Meta) -> None:
    stored = state.get(key)
    if stored is not None:
        had = _meta_decoder.decode(stored)
        stamp = older((meta.committed_us, meta.captured_us), (had.committed_us, had.captured_us))
        meta = _Meta(
            *stamp,
            meta.item or had.item,
            meta.uncertain or had.uncertain,
            meta.bill or had.bill,
            meta.part_of or had.part_of,
        )
    state.put(key, _encoder.encode(meta))


def drain(state: View) -> tuple[list[bytes], bool]:
    """Take owed keys off the list `q`, whole skus and orders at a time; and whether more is there."""
    owed: list[bytes] = []
    size = 0
    for name, entries in _by_name(state.scan(b"q")):
        if size > OWED_BYTES:
            return owed, True
        key = _owed_of(name, entries)
        owed.append(encode_owed(key))
        size += len(owed[-1])
        for entry, _ in entries:
            state.put(entry, None)
            size += len(entry) + ENTRY_BYTES
    return owed, False


def _by_name(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, list[tuple[bytes, bytes]]]]:
    name: bytes | None = None
    entries: list[tuple[bytes, bytes]] = []
    for key, value in pairs:
        this = key[: key.index(ZERO)]
        if this != name:
            if name is not None:
                yield name, entries
            name, entries = this, []
        entries.append((key, value))
    if name is not None:
        yield name, entries


def _owed_of(name: bytes, entries: list[tuple[bytes, bytes]]) -> Owed:
    start = len(name) + 1
    meta = _meta_decoder.decode(entries[0][1])
    committed, captured = meta.committed_us, meta.captured_us
    rest = entries[1:]
    if name[1:2] == b"b":
        balances = [key[start:] for key, _ in rest]
        owed = SkuOwed(name[2:], committed, captured, balances, meta.item, meta.uncertain)
        owed.bill, owed.part_of = meta.bill, meta.part_of
        return owed
    parts = [(key[start:], _deletion_decoder.decode(value)) for key, value in rest]
    return OrderOwed(name[2:], committed, captured, parts)
