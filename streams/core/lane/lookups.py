"""Lookup rows: where evaluation finds them, and who must be evaluated again when one changes.

A lookup row is entered under each of its lookup names: in one short list (`u`), and where several rows may share a
name, or more do than fit, by an entry of its own (`m`).  Driving rows are entered under the names they rest on (`d`),
found or not, so that a lookup which comes late finds them; lookup rows under the names they lead on to (`c`), so that a
factor shared by a million rows through a hundred templates costs a hundred entries.  A needless entry costs a needless
evaluation and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from streams.core.lane.keys import TAG_BYTES, LookupNames, lookup_tag, reference_text
from streams.core.lane.state import RowRecord
from streams.core.mapping import model
from streams.core.mapping.model import LookupKey, LookupSource, Mapping, RowError
from streams.core.unit import View

CACHED = 200_000
"""Decoded lookup rows held in memory at most, over all lookups."""
LISTED = 4
"""References in the list of a name, at most: a key that is not unique in the data must not make a record that grows."""

_references_encoder = msgspec.msgpack.Encoder()
_references_decoder = msgspec.msgpack.Decoder(list[bytes])
_MISSING = object()

LoadRow = Callable[[bytes], Any | None]
"""Row reference → live row struct, or None."""


class Lookups:
    """All lookups of one mapping over the state of one partition."""

    def __init__(self, mapping: Mapping, load: LoadRow) -> None:
        self.names = LookupNames(mapping)
        self._lookups = mapping.lookups
        self._found = [LookupRows(self, index) for index in range(len(mapping.lookups))]
        self.sources: list[LookupSource] = [
            LookupGroups(self, index) if lookup.many else self._found[index]
            for index, lookup in enumerate(mapping.lookups)
        ]
        self._many = {lookup_tag(lookup) for lookup in mapping.lookups if lookup.many}
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
        for source in self._found:
            source.clear()

    def row(self, lookup: int, key: LookupKey) -> Any | None:
        """The live row under a lookup key.  Raises RowError `lookup-ambiguous`."""
        name = self.names.name(lookup, key)
        found = self._cache.get(name, _MISSING)
        if found is not _MISSING:
            return found
        live = ((reference, row) for reference in self._under(name) if (row := self._load(reference)) is not None)
        rows = list(islice(live, 2))
        if len(rows) > 1:
            which = " and ".join(reference_text(reference) for reference, _ in rows)
            raise model.ambiguous(self._lookups[lookup], key, which)
        found = rows[0][1] if rows else None
        self._cache[name] = found
        return found

    def rows(self, lookup: int, key: LookupKey) -> list[Any]:
        """The live rows under a lookup key, by reference.  Raises RowError `lookup-too-many`."""
        live = (
            row for reference in self._under(self.names.name(lookup, key)) if (row := self._load(reference)) is not None
        )
        found = list(islice(live, model.MANY + 1))
        if len(found) > model.MANY:
            raise model.too_many(self._lookups[lookup], key)
        return found

    def asked(self, evaluate: Callable[[Sequence[LookupSource]], object]) -> tuple[bytes, ...]:
        """The names that a row asks for whose evaluation fails: what it rests on until one of them changes."""
        asked: list[tuple[int, LookupKey]] = []
        with suppress(RowError):
            evaluate([Asking(source, index, asked) for index, source in enumerate(self.sources)])
        return self.names.all(asked)

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
                self._take_out(name, reference)
        for name in found:
            self._cache.pop(name, None)
            if name not in had:
                self._put_in(name, reference)
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

    def _under(self, name: bytes) -> Iterator[bytes]:
        """References of the rows under a name, dead ones too."""
        listed = self._listed(name)
        yield from listed
        if len(listed) >= self._room(name):
            yield from self._unlisted(name)

    def _put_in(self, name: bytes, reference: bytes) -> None:
        listed = self._listed(name)
        if reference in listed:
            return
        if len(listed) < self._room(name):
            self._list(name, [*listed, reference])
        else:
            self.state.put(b"m" + name + reference, b"")

    def _take_out(self, name: bytes, reference: bytes) -> None:
        listed = self._listed(name)
        if reference not in listed:
            self.state.put(b"m" + name + reference, None)
            return
        listed.remove(reference)
        if len(listed) == LISTED - 1 and (other := next(self._unlisted(name), None)) is not None:
            self.state.put(b"m" + name + other, None)
            listed.append(other)
        self._list(name, listed)

    def _room(self, name: bytes) -> int:
        return 0 if name[:TAG_BYTES] in self._many else LISTED

    def _listed(self, name: bytes) -> list[bytes]:
        stored = None if name[:TAG_BYTES] in self._many else self.state.get(b"u" + name)
        return [] if stored is None else _references_decoder.decode(stored)

    def _list(self, name: bytes, references: list[bytes]) -> None:
        self.state.put(b"u" + name, _references_encoder.encode(references) if references else None)

    def _unlisted(self, name: bytes) -> Iterator[bytes]:
        prefix = b"m" + name
        for key, _ in self.state.scan(prefix):
            yield key[len(prefix) :]


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
        found = self[key] = self._lookups.row(self._index, key)
        return found


class LookupGroups:
    """Implements `streams.core.mapping.model.LookupSource` where several rows may share a key; it holds none."""

    def __init__(self, lookups: Lookups, index: int) -> None:
        self._lookups, self._index = lookups, index

    def get(self, key: LookupKey) -> list[Any]:
        """Raises RowError `lookup-too-many`."""
        return self._lookups.rows(self._index, key)


class Asking:
    """Implements `streams.core.mapping.model.LookupSource`: another one, whose keys it notes."""

    def __init__(self, source: LookupSource, index: int, asked: list[tuple[int, LookupKey]]) -> None:
        self._source, self._index, self._asked = source, index, asked

    def get(self, key: LookupKey) -> Any | None:
        """Raises RowError as the other one does."""
        self._asked.append((self._index, key))
        return self._source.get(key)


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
