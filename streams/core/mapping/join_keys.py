"""By which key of its table a JOIN finds rows: a unique one, one that is unique under a condition, or an index.

ON falls into *pairs* (a column of the joined table = something of the tables before it) and conditions.  A unique key
whose columns all stand in pairs finds one row at most.  So does a key that is unique only under a condition (soft
deletes), if ON says the same condition.  Of a table that source.yaml names under `many` the longest beginning of an
index finds several rows; of any other that would be a mistake that doubles stock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp

from streams.core.mapping.catalogue import Kind, PartialKey, Table
from streams.core.mapping.dialects import DIALECTS

_TEXT_TYPES = (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR)


@dataclass(frozen=True)
class Declared:
    """Keys that source.yaml tells of and the catalogue hides."""

    unique: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    """By table, unqualified; a table of one row has the key of no columns."""
    partial: Mapping[str, Sequence[PartialKey]] = field(default_factory=dict)
    many: Collection[str] = ()
    """Tables of which a JOIN may find several rows."""


@dataclass(frozen=True)
class Choice:
    """The key a JOIN goes by."""

    columns: tuple[str, ...]
    where: frozenset[str] = frozenset()
    """Conditions, as `plain` writes them, under which it is unique."""
    many: bool = False


def choose(
    table: Table, declared: Declared, pairs: Collection[str], conditions: Collection[str], dialect: str
) -> Choice | None:
    """The best key of the table for a JOIN that fixes the columns `pairs` and says `conditions`."""
    short = table.name.rpartition(".")[2]
    unique = (*table.unique, *declared.unique.get(short, ()))
    for columns in unique:
        if set(columns) <= set(pairs):
            return Choice(columns)
    for key in (*table.partial, *declared.partial.get(short, ())):
        where = required(key, table, dialect)
        if where is not None and set(key.columns) <= set(pairs) and where <= set(conditions):
            return Choice(key.columns, where)
    if short not in declared.many:
        return None
    begins = [_fixed(columns, pairs) for columns in (*unique, *table.indexes)]
    best = max(begins, key=len, default=())
    return Choice(best, many=True) if best else None


def known(table: Table, declared: Declared) -> str:
    """The keys of a table, for people."""
    short = table.name.rpartition(".")[2]
    whole = [f"({', '.join(key)})" for key in (*table.unique, *declared.unique.get(short, ())) if key]
    partial = [
        f"({', '.join(key.columns)}) where {key.where}" for key in (*table.partial, *declared.partial.get(short, ()))
    ]
    return " or ".join(dict.fromkeys((*whole, *partial))) or "it has none"


def required(key: PartialKey, table: Table, dialect: str) -> frozenset[str] | None:
    """The conditions of a key, as `plain` writes them; None: they are not understood."""
    try:
        tree = sqlglot.parse_one(key.where, read=DIALECTS[dialect].parser)
    except sqlglot.errors.SqlglotError:
        return None
    return frozenset(plain(part, table, dialect) for part in conjuncts(tree))


def plain(node: exp.Expr, table: Table, dialect: str) -> str:
    """A condition on columns of one table, written the way that is the same in ON and in the catalogue.

    PostgreSQL shows an index's predicate with parentheses and casts of its own: `((state)::text = 'live'::text)`.
    """
    before: exp.Expr | None = None
    while node != before:  # a node that took another's place is not looked into
        before, node = node, node.transform(_plain, table)
    return node.sql(DIALECTS[dialect].parser)


def _plain(node: exp.Expr, table: Table) -> exp.Expr:
    if isinstance(node, exp.Column):
        names = {name.lower(): name for name in table.columns}
        return exp.column(names.get(node.name.lower(), node.name))
    if isinstance(node, exp.Paren):
        return _plain(node.this, table)
    if isinstance(node, exp.Cast) and _is_text_already(node, table):
        return _plain(node.this, table)
    if isinstance(node, exp.EQ) and isinstance(node.right, exp.Any):
        values = _bare(node.right.this)
        if isinstance(values, exp.Array):
            return exp.In(this=node.left, expressions=values.expressions)
    if isinstance(node, exp.EQ) and isinstance(node.right, exp.Boolean):
        return node.left if node.right.this else exp.Not(this=node.left)
    return node


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    return node


def _is_text_already(cast: exp.Cast, table: Table) -> bool:
    """A cast to text of what is text: PostgreSQL writes it around varchar columns and literals."""
    if cast.to.this not in _TEXT_TYPES or cast.to.expressions:
        return False
    inner = _bare(cast.this)
    if isinstance(inner, exp.Column):
        column = next((c for name, c in table.columns.items() if name.lower() == inner.name.lower()), None)
        return column is not None and column.kind == Kind.TEXT and not column.padded
    return isinstance(inner, exp.Literal) and inner.is_string


def conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that AND joins."""
    if isinstance(node, exp.Paren):
        yield from conjuncts(node.this)
    elif isinstance(node, exp.And):
        yield from conjuncts(node.left)
        yield from conjuncts(node.right)
    else:
        yield node


def _fixed(columns: Sequence[str], pairs: Collection[str]) -> tuple[str, ...]:
    """The columns an index begins with, as far as they are fixed."""
    fixed = []
    for column in columns:
        if column not in pairs:
            break
        fixed.append(column)
    return tuple(fixed)
