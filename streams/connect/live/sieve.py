"""Why a row yields nothing: the first condition of each SELECT's WHERE that it does not meet.

Every SELECT is compiled again with the first one, two … of its conditions and nothing else, and asked of the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlglot
from sqlglot import exp

from schemas.errors import InvalidInput
from streams.connect.live.lookups import LiveLookups
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.join_keys import conjuncts
from streams.core.mapping.mapping import CompiledMapping, compile_mapping
from streams.core.mapping.problems import Refused, place
from streams.core.mapping.select import branches

_SOMETHING = {"sku": "'x'", "location": "'x'", "bucket": "'on_hand'", "quantity": "1"}
"""A row of postings.sql that has no error, whatever the SELECT says."""


class Condition(NamedTuple):
    """One condition of one SELECT."""

    place: str
    """`file:line`"""
    text: str


class _Step(NamedTuple):
    condition: Condition
    mapping: CompiledMapping
    """Yields something for the rows that meet this condition and those before it."""


class Sieve:
    """The conditions of every SELECT of a mapping."""

    def __init__(self, mapping: CompiledMapping) -> None:
        self._mapping = mapping
        self._selects: dict[str, list[list[_Step]]] = {}
        for file, text in mapping.files.items():
            for select in selects(mapping, file, text):
                steps = list(self._steps(file, select))
                if steps:
                    (table,) = (name for name, of in steps[0].mapping.tables.items() if of.drives)
                    self._selects.setdefault(table, []).append(steps)

    def fallen(self, table: str, rows: Sequence[Any], lookups: LiveLookups) -> list[tuple[Condition, Any]]:
        """(the condition, the row that does not meet it), for rows of a driving table, one a SELECT at most."""
        out = []
        for steps in self._selects.get(table, []):
            left = rows
            for step in steps:
                kept = []
                for found in lookups.evaluate(table, left, step.mapping):
                    if found.evaluation is not None and not found.evaluation.outputs:
                        if not found.evaluation.missing:
                            out.append((step.condition, found.row))
                    else:
                        kept.append(found.row)
                left = kept
        return out

    def _steps(self, file: str, select: exp.Select) -> Iterable[_Step]:
        where = select.args.get("where")
        conditions = list(conjuncts(where.this)) if where is not None else []
        kind = self._mapping.source.kind
        for n, condition in enumerate(conditions, 1):
            only = select.copy()
            only.set("expressions", [sqlglot.parse_one(f"{v} AS {k}") for k, v in _SOMETHING.items()])
            only.set("where", exp.Where(this=exp.and_(*(part.copy() for part in conditions[:n]), copy=False)))
            text = only.sql(dialect=DIALECTS[kind].parser)
            try:
                made = compile_mapping(self._mapping.source, self._mapping.catalogue, {"postings.sql": text}, b"")
            except InvalidInput:
                return  # written anew it is not understood: this SELECT goes unexplained
            if not set(made.lookups) <= set(self._mapping.lookups):
                return
            at = f"{file}:{place(condition)[0]}"
            yield _Step(Condition(at, condition.sql(dialect=DIALECTS[kind].parser)), made)


def selects(mapping: CompiledMapping, file: str, text: str) -> list[exp.Select]:
    """The SELECTs of one file of a mapping that compiles."""
    trees = [tree for tree in sqlglot.parse(text, read=DIALECTS[mapping.source.kind].parser) if tree is not None]
    try:
        return [select for tree in trees for select in branches(file, tree)]
    except Refused:
        return []
