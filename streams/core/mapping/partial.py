"""A mapping of which some SELECTs are left out, because the source no longer sends a column they use.

Everything about the rows stays as the whole mapping has it (columns, keys, stored form); only what the other SELECTs
say of them is evaluated.  So a lane goes from one to the other without touching a row.  What is left out is told by
file and driving table: by these one can tell what a row said before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Mapping as MappingType
from typing import Any, NamedTuple

import msgspec

from streams.core.mapping import catalogue as catalogues
from streams.core.mapping import source as sources
from streams.core.mapping.branches import SqlFile
from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.mapping import CompiledMapping, compile_mapping
from streams.core.mapping.model import Evaluation, Lookup, LookupKey, LookupSource, Mapping, RowError, TableMapping
from streams.core.mapping.text import unpack

NOTHING = Evaluation((), (), ())
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_NO_VALUE = (b"null", b'"NAN"')
"""Any type may have them."""


def misfits(table: TableMapping, after: bytes) -> tuple[str, ...]:
    """Columns whose value is not of the type that the catalogue has: they were given another one at the source."""
    try:
        sent = _raw(after)
    except msgspec.MsgspecError:
        return ()
    return tuple(name for name in table.columns if name in sent and not _fits(table, name, sent[name]))


def _fits(table: TableMapping, column: str, value: msgspec.Raw) -> bool:
    if bytes(value) in _NO_VALUE:
        return True
    try:
        table.decode(_encode({column: value}))
    except RowError:
        return False
    return True


class Part(NamedTuple):
    """What one file says of the rows of one driving table."""

    file: str
    table: str
    """Qualified."""

    def __str__(self) -> str:
        return f"{self.file} FROM {self.table}"


class PartTable:
    """Implements `TableMapping`: rows as the whole mapping has them, outputs as the rest of the SELECTs say."""

    def __init__(self, whole: TableMapping, rest: TableMapping | None) -> None:
        self.whole, self._rest = whole, rest
        self.name, self.key, self.columns = whole.name, whole.key, whole.columns
        self.feeds, self.buckets = whole.feeds, whole.buckets
        self.joins = frozenset[str]() if rest is None else rest.joins
        self.spreads, self.deletion = whole.spreads, whole.deletion
        self.decode_key, self.key_of = whole.decode_key, whole.key_of
        self.merged, self.dump, self.load = whole.merged, whole.dump, whole.load
        self._needed = frozenset(whole.key if rest is None else rest.columns)

    def decode(self, after: bytes) -> Any:
        """Columns that do not fit and are not needed are left out.  Raises RowError."""
        try:
            return self.whole.decode(after)
        except RowError:
            wrong = misfits(self.whole, after)
            if not wrong or self._needed & set(wrong):
                raise
            return self.whole.decode(_encode({name: raw for name, raw in _raw(after).items() if name not in wrong}))

    def absent(self, row: Any) -> tuple[str, ...]:
        return tuple(name for name in self.whole.absent(row) if name in self._needed)

    def lacks(self, row: Any) -> bool:
        """It lacks a column that the whole mapping needs."""
        return bool(self.whole.absent(row))

    def evaluate(self, row: Any, lookups: Sequence[LookupSource]) -> Evaluation:
        """Raises RowError."""
        return NOTHING if self._rest is None else self._rest.evaluate(row, lookups)

    def lookup_keys(self, row: Any) -> tuple[tuple[int, LookupKey], ...]:
        return () if self._rest is None else self._rest.lookup_keys(row)

    def chains(self, row: Any) -> tuple[tuple[int, LookupKey], ...]:
        return () if self._rest is None else self._rest.chains(row)


class PartMapping:
    """Implements `Mapping`."""

    def __init__(self, whole: Mapping, rest: CompiledMapping, left_out: frozenset[Part]) -> None:
        self.fingerprint = whole.fingerprint
        self.left_out = left_out
        """What says nothing new."""
        self.tables: MappingType[str, PartTable] = {
            name: PartTable(table, rest.tables.get(name)) for name, table in whole.tables.items()
        }
        self.lookups: Sequence[Lookup] = rest.lookups
        self.dump_lookup_key = rest.dump_lookup_key


def without_columns(whole: Mapping, packed: bytes, absent: MappingType[str, Collection[str]]) -> PartMapping:
    """The mapping of this text without the SELECTs that use one of these columns, by qualified table, and without all
    others of the same file that are driven by the same table.

    Raises InvalidInput for what is no text of a mapping.
    """
    files = unpack(packed)
    source = sources.parse_source(files.get(sources.FILE, b"").decode())
    catalogue = Catalogue.load(files.get(catalogues.FILE, b""))
    left_out: set[Part] = set()
    rest: dict[str, str] = {}
    for name, raw in files.items():
        if not name.endswith(".sql"):
            continue
        file = SqlFile(source.kind, raw.decode())
        parts: list[set[Part]] = []
        for number in range(len(file.branches)):
            alone = compile_mapping(source, catalogue, {name: file.only([number])}, b"").tables
            parts.append({Part(name, table.name) for table in alone.values() if table.drives})
            if any(set(table.columns) & set(absent.get(table.name, ())) for table in alone.values()):
                left_out |= parts[-1]
        kept = [number for number, of in enumerate(parts) if not of & left_out]
        if kept:
            rest[name] = file.only(kept)
    return PartMapping(whole, compile_mapping(source, catalogue, rest, b""), frozenset(left_out))
