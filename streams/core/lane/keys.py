"""State keys of a lane.  The first letter is the kind of record:

    r  row          r <table> 0 <primary key>                   RowRecord
    u  lookup       u <lookup> <lookup key>                     row references found under it, nearly always one
    m  many         m <lookup> <lookup key> <row reference>     rows found under it that are not in that list
    d  dependents   d <lookup> <lookup key> <row reference>     driving rows that rest on that lookup key
    c  chain        c <lookup> <lookup key> <row reference>     lookup rows that lead on to that lookup key
    s  sum          s <sku> 0 <balance>                         Sum
    i  item         i <sku> 0 <row reference>                   ItemPart as one row says it
    b  bill         b <kit> 0 <component> 0 <row reference>     quantity of the component in one kit, as one row says it
    t  part of      t <component> 0 <row reference>             the row makes it a component
    l  location     l <location> 0 <row reference>              LocationPart as one row says it
    o  order part   o <order> 0 <kind> 0 <part> 0 <row reference>   attributes as one row says them
    y  uncertain    y <sku> 0 <row reference>                   a row of this sku is parked
    q  owed later   q <kind> <sku or order> 0 <balance or part>  outputs of a transaction that is not whole yet
    z  reassert     z <lookup> <lookup key>                     work list: dependents to evaluate again
    x  exception    x <exception id>                            ExceptionRecord without its version
    k  target       k <exception id>                            Target: the row or queue an exception keeps back
    n  number       n <exception id>                            how many rows give cause for an exception they share
    p  parked       p <row reference>                           raw record of a row that could not be decoded
    e  expiry       e <day> <sku> 0 <balance>                   archived rows of it still count; the day in 4 bytes
    w  waiting      w <queue> 0 <offset>                        raw records that wait behind a parked one, in order

A *row reference* is `<table> 0 <primary key>`.  Texts of the source that stand before a zero byte must hold none.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas.errors import Fatal
from schemas.records import Bucket
from streams.core.mapping.model import Lookup, LookupKey, Mapping, Posting, RowError

ZERO = b"\0"
TAG_BYTES = 4
KNOWN_NAMES = 100_000
"""Names of lookups held in memory at most."""

_encoder = msgspec.msgpack.Encoder()
_encode = _encoder.encode
_balance_header = b"\x95"


def clean(text: str, what: str) -> bytes:
    """UTF-8 of a text that stands before a zero byte in a key.  Raises RowError when it holds one."""
    encoded = text.encode()
    if ZERO in encoded:
        raise RowError("row-unmappable", f"{what} {text!r} holds a zero byte")
    return encoded


def row_reference(table: bytes, key: tuple[Any, ...]) -> bytes:
    """`table` is the qualified name with its zero byte."""
    return table + _encoder.encode(key)


def reference_table(reference: bytes) -> str:
    """The table of a row reference."""
    return reference[: reference.index(ZERO)].decode()


def reference_text(reference: bytes) -> str:
    """A row reference for people: `erp.ordlin [4711, 2]`."""
    table, _, key = reference.partition(ZERO)
    try:
        values = msgspec.json.encode(msgspec.msgpack.decode(key)).decode()
    except msgspec.MsgspecError:
        values = key.hex()
    return f"{table.decode(errors='replace')} {values}"


def balance_key(posting: Posting) -> bytes:
    """`<sku> 0 <balance>`: reference first, so that a claim's balances stand together.  Raises RowError."""
    view, sku, location, bucket, due, reference, _ = posting
    encoded = sku.encode()
    if ZERO in encoded:
        encoded = clean(sku, "sku")
    return encoded + ZERO + _encode((reference, bucket, view, location, None if due is None else due.isoformat()))


def claim_prefix(sku: bytes, reference: str) -> bytes:
    """Beginning of the balance keys of one claim, sku included."""
    return sku + ZERO + _balance_header + _encoder.encode(reference)


class BalanceName(NamedTuple):
    """What a balance key says beside its sku."""

    reference: str | None
    bucket: Bucket
    view: str
    location: str
    due: dt.date | None


_balance_decoder = msgspec.msgpack.Decoder(BalanceName)
balance_name = _balance_decoder.decode
"""`<balance>` of a balance key → BalanceName."""


def split_sku(key: bytes) -> tuple[bytes, bytes]:
    """`<sku> 0 <rest>` → (sku, rest)."""
    sku, _, rest = key.partition(ZERO)
    return sku, rest


class LookupNames:
    """State names of lookups: a tag that outlives recompilation, and the lookup key with its length."""

    def __init__(self, mapping: Mapping) -> None:
        self._tags = [lookup_tag(lookup) for lookup in mapping.lookups]
        if len(set(self._tags)) != len(self._tags):
            raise Fatal(f"two lookups share a tag: {[tuple(lookup) for lookup in mapping.lookups]}; rename an alias")
        self._dump = mapping.dump_lookup_key
        self._name = _KnownNames(self._made).__getitem__

    def all(self, keys: Sequence[tuple[int, LookupKey]]) -> tuple[bytes, ...]:
        """Names of (lookup, key), each once, in order."""
        return tuple(dict.fromkeys(map(self._name, keys))) if keys else ()

    def name(self, lookup: int, key: LookupKey) -> bytes:
        """`<tag> <length> <key>`: no name is the beginning of another."""
        return self._name((lookup, key))

    def _made(self, lookup: int, key: LookupKey) -> bytes:
        dumped = self._dump(key)
        return self._tags[lookup] + len(dumped).to_bytes(2, "big") + dumped


class _KnownNames(dict[tuple[int, LookupKey], bytes]):
    """Names that were made; subscripted, so that those of a row are found without a line of Python."""

    def __init__(self, make: Callable[[int, LookupKey], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, at: tuple[int, LookupKey]) -> bytes:
        if len(self) >= KNOWN_NAMES:
            self.clear()
        name = self[at] = self._make(*at)
        return name


def lookup_tag(lookup: Lookup) -> bytes:
    """Four bytes from what a lookup is, the same in every process."""
    more = (f"where {lookup.where}",) if lookup.where else ()
    if lookup.many:
        more = (*more, "many")
    return zlib.crc32("\0".join((lookup.table, *lookup.columns, *more)).encode()).to_bytes(TAG_BYTES, "big")
