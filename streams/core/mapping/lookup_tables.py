"""Lookups over rows in memory: for examples, trials and tests; a lane has its own, over its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingType
from typing import Any

from streams.core.mapping.model import MANY, Lookup, LookupKey, Mapping, ambiguous, too_many


class LookupTable:
    """Implements `streams.core.mapping.model.LookupSource`."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._rows: dict[LookupKey, list[Any]] = {}

    def add(self, key: LookupKey, row: Any) -> None:
        """One more row under a key."""
        self._rows.setdefault(key, []).append(row)

    def get(self, key: LookupKey) -> Any | None:
        """Raises RowError `lookup-ambiguous`, `lookup-too-many`."""
        rows = self._rows.get(key)
        if rows is None:
            return None
        if self._lookup.many:
            if len(rows) > MANY:
                raise too_many(self._lookup, key)
            return rows
        if len(rows) > 1:
            raise ambiguous(self._lookup, key, f"{len(rows)} rows")
        return rows[0]

    def keys(self) -> Iterable[LookupKey]:
        return self._rows.keys()


def lookup_tables(mapping: Mapping, rows: MappingType[str, Sequence[Any]]) -> list[LookupTable]:
    """One per entry of `mapping.lookups`; `rows` are structs by qualified table name."""
    views = [LookupTable(lookup) for lookup in mapping.lookups]
    for table, structs in rows.items():
        of = mapping.tables[table]
        for row in structs:
            for index, key in of.lookup_keys(row):
                views[index].add(key, row)
    return views
