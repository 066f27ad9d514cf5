"""Evaluates rows whose lookups are fetched from the database, many at a time.

Rows are evaluated until they ask for nothing that is not known: what a round asks for is fetched in bulk, and only the
rows that asked are evaluated again.  A round more for every link in a chain of lookups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from streams.connect.live.rows import LiveRows
from streams.core.mapping.lookup_tables import LookupTable
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import Evaluation, Lookup, LookupKey, RowError

HELD = 200_000
"""Keys held at most before everything is forgotten."""


class Found(NamedTuple):
    """One row and what came of it."""

    row: Any
    evaluation: Evaluation | None
    """None: there is an error."""
    error: RowError | None


class _View:
    """One lookup, as far as it is known."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.table = LookupTable(lookup)
        self.known: set[LookupKey] = set()
        self.wanted: set[LookupKey] = set()
        self.failed = False
        """The row that is evaluated asked for what is not known."""

    def get(self, key: LookupKey) -> Any | None:
        """Raises RowError as a LookupTable does."""
        if key not in self.known:
            self.wanted.add(key)
            self.failed = True
            return None
        return self.table.get(key)


class LiveLookups:
    """The lookups of a mapping over live rows."""

    def __init__(self, mapping: CompiledMapping, rows: LiveRows) -> None:
        self._mapping, self._rows = mapping, rows
        self._views = {lookup: _View(lookup) for lookup in mapping.lookups}

    def evaluate(self, table: str, rows: Iterable[Any], by: CompiledMapping | None = None) -> list[Found]:
        """Every row of a driving table, in order; `by` another mapping, whose lookups are among this one's."""
        if sum(len(view.known) for view in self._views.values()) > HELD:
            self._views = {lookup: _View(lookup) for lookup in self._mapping.lookups}
        mapping = by or self._mapping
        views = [self._views[lookup] for lookup in mapping.lookups]
        of = mapping.tables[table]
        done = [Found(row, None, None) for row in rows]
        again: Sequence[int] = range(len(done))
        while again:
            asking: list[int] = []
            for n in again:
                for view in views:
                    view.failed = False
                try:
                    done[n] = Found(done[n].row, of.evaluate(done[n].row, views), None)
                except RowError as error:
                    done[n] = Found(done[n].row, None, error)
                if any(view.failed for view in views):
                    asking.append(n)
            self._fetch(views)
            again = asking
        return done

    def rows_under(self, lookup: Lookup, key: LookupKey) -> Sequence[Any]:
        """The rows that were found under a key."""
        found = self._views[lookup].table.get(key)
        return () if found is None else found if lookup.many else (found,)

    def lookup(self, index: int) -> Lookup:
        """By its number in the mapping."""
        return self._mapping.lookups[index]

    def _fetch(self, views: Sequence[_View]) -> None:
        for view in views:
            if not view.wanted:
                continue
            of = self._mapping.tables[view.lookup.table]
            index = self._mapping.lookups.index(view.lookup)
            for after in self._rows.found(view.lookup, view.wanted):
                try:
                    row = of.decode(after)
                    keys = of.lookup_keys(row)
                except RowError:
                    continue  # a row that cannot be read is not found in the lane either
                for at, key in keys:
                    if at == index and key in view.wanted:
                        view.table.add(key, row)
            view.known |= view.wanted
            view.wanted = set()
