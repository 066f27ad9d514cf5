"""Which rows an example needs: the chosen ones, all they join, and what those join that say something themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.errors import InvalidInput
from streams.connect.live.lookups import LiveLookups
from streams.connect.live.trial import key_text
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import Evaluation, LookupKey, RowError

AT_MOST = 500
"""Rows of an example: more is nothing a person reads."""

Rows = dict[tuple[str, tuple[Any, ...]], Any]
"""(table, primary key) → row."""


class Unfit(Exception):
    """A row that no example can hold: it waits, or cannot be mapped.  The message says why."""


def needed(mapping: CompiledMapping, lookups: LiveLookups, table: str, row: Any) -> Rows:
    """The row and all it needs.  Raises Unfit, InvalidInput."""
    rows: Rows = {}
    left: list[tuple[str, Any]] = [(table, row)]
    while left:
        name, one = left.pop()
        of = mapping.tables[name]
        at = (name, of.key_of(one))
        if at in rows:
            continue
        rows[at] = one
        if len(rows) > AT_MOST:
            raise InvalidInput(f"{key_text(mapping.tables[table], row)} needs more than {AT_MOST} rows: choose another")
        keys = list(of.chains(one))
        if of.drives:
            (found,) = lookups.evaluate(name, [one])
            keys += _rests_on(key_text(of, one), found.evaluation, found.error, lookups)
        left += _found(mapping, lookups, keys)
    return rows


def _rests_on(
    row: str, evaluation: Evaluation | None, error: RowError | None, lookups: LiveLookups
) -> Sequence[tuple[int, LookupKey]]:
    if evaluation is None:
        raise Unfit(f"{row} cannot be mapped: {error}")
    if evaluation.missing:
        index, key = evaluation.missing[0]
        raise Unfit(f"{row} waits: no row of {lookups.lookup(index)} has {', '.join(map(str, key))}")
    return evaluation.rests_on


def _found(
    mapping: CompiledMapping, lookups: LiveLookups, keys: Iterable[tuple[int, LookupKey]]
) -> Iterable[tuple[str, Any]]:
    """The rows under lookup keys; a key that nobody has asked for is not needed."""
    for index, key in keys:
        lookup = mapping.lookups[index]
        for row in lookups.rows_under(lookup, key):
            yield lookup.table, row
