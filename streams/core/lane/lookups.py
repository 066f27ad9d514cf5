"""Lookup rows: where evaluation finds them, and who must be evaluated again when one changes.

A lookup row is entered under each of its lookup names (`u`).  Driving rows are entered under the names they rest on
(`d`), found or not, so that a lookup which comes late finds them; lookup rows under the names they lead on to (`c`),
so that a factor shared by a million rows through a hundred templates costs a hundred entries.  A needless entry costs a
needless evaluation and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from streams.core.lane.keys import LookupNames, reference_text
from streams.core.lane.state import RowRecord
from streams.core.mapping.model import LookupKey, Mapping, RowError
from streams.core.unit import View

CACHED = 200_000
"""Decoded lookup rows held in memory at most, over all lookups."""

_references_encoder = msgspec.msgpack.Encoder()
_references_decoder = msgspec.msgpack.Decoder(list[bytes])
_MISSING = object()

LoadRow = Callable[[bytes], Any | None]
"""Row reference → live row struct, or None."""


class Lookups:
    """All lookups of one mapping over the state of one partition."""

    def __init__(self, mapping: Mapping, load: LoadRow) -> None:
        self.names = LookupNames(mapping)
        self.sources = [LookupRows(self, index) for index in range(len(mapping.lookups))]
        self._titles = [f"{lookup.table} ({', '.join(lookup.columns)})" for lookup in mapping.lookups]
        self._load = load
        self._cache: dict[bytes, Any] = {}
        self.state: View

    def begin(self, state: View) -> None:
        """A unit begins."""
        self.state = state
        if len(self._cache) > CACHED:
            self.forget()

    def forget(self) -> None:
        """Rows died without being named (TRUNCATE, sweep, another mapping)."""
        self._cache.clear()
        self._forget_found()

    def _forget_found(self) -> None:
        for source in self.sources:
            source.clear()

    def title(self, lookup: int) -> str:
        """A lookup for people."""
        return self._titles[lookup]

    def row(self, lookup: int, name: bytes) -> Any | None:
        """The live row under a lookup name.  Raises RowError `lookup-ambiguous`."""
        found = self._cache.get(name, _MISSING)
        if found is not _MISSING:
            return found
        rows = []
        for reference in self._references(name):
            row = self._load(reference)
            if row is not None:
                rows.append((reference, row))
        if len(rows) > 1:
            which = " and ".join(reference_text(reference) for reference, _ in rows[:2])
            raise RowError("lookup-ambiguous", f"lookup {self._titles[lookup]}: {which} share one key")
        found = rows[0][1] if rows else None
        self._cache[name] = found
        return found

    def enter(
        self, reference: bytes, old: RowRecord | None, found: tuple[bytes, ...], chains: tuple[bytes, ...]
    ) -> None:
        """Put a row under its names; what it was under before is taken back."""
        had, led = ((), ()) if old is None else (old.found, old.chains)
        if had or found:
            self._forget_found()
        for name in had:
            self._cache.pop(name, None)
            if name not in found:
                references = self._references(name)
                if reference in references:
                    references.remove(reference)
                self._put_references(name, references)
        for name in found:
            self._cache.pop(name, None)
            if name not in had:
                references = self._references(name)
                if reference not in references:
                    references.append(reference)
                self._put_references(name, references)
        replace_entries(self.state, b"c", reference, led, chains)

    def dependents(self, name: bytes, start: bytes = b"") -> Iterator[bytes]:
        """References of driving rows that rest on a name, from `start` on, in order."""
        prefix = b"d" + name
        for key, _ in self.state.scan(prefix, prefix + start):
            yield key[len(prefix) :]

    def leading_on(self, name: bytes) -> Iterator[bytes]:
        """References of lookup rows that lead on to a name."""
        prefix = b"c" + name
        for key, _ in self.state.scan(prefix):
            yield key[len(prefix) :]

    def _references(self, name: bytes) -> list[bytes]:
        stored = self.state.get(b"u" + name)
        return [] if stored is None else _references_decoder.decode(stored)

    def _put_references(self, name: bytes, references: list[bytes]) -> None:
        self.state.put(b"u" + name, _references_encoder.encode(references) if references else None)


class LookupRows(dict[LookupKey, Any]):
    """Implements `streams.core.mapping.model.LookupSource`.

    It holds what evaluation was told since a lookup row last changed: it asks for the same few rows again and again.
    """

    get = dict.__getitem__  # type: ignore[assignment]
    """Raises RowError `lookup-ambiguous`.  A dict's own subscript asks `__missing__`, and costs a third of a method."""

    def __init__(self, lookups: Lookups, index: int) -> None:
        super().__init__()
        self._lookups, self._index = lookups, index

    def __missing__(self, key: LookupKey) -> Any | None:
        found = self[key] = self._lookups.row(self._index, self._lookups.names.name(self._index, key))
        return found


def replace_entries(state: View, kind: bytes, reference: bytes, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> None:
    """Index entries `<kind> <name> <reference>`: take back what is not in `new`, add what was not in `old`."""
    if old == new:
        return
    for name in old:
        if name not in new:
            state.put(kind + name + reference, None)
    for name in new:
        if name not in old:
            state.put(kind + name + reference, b"")
