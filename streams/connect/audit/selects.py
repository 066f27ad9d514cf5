"""A mapping file's SELECTs one by one, narrowed to some rows of the driving table.

The text of the file is what runs: nothing of it is written anew.  Three things are put in between: the driving row's
key in front of the select list, a condition on that key in front of WHERE's own, and, when only some skus or orders
are asked for, that the file's own expression of it equals them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from streams.connect.reading import Condition, literal, quoted
from streams.core.mapping.catalogue import Catalogue, Table
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.files import FileKind, file_kind
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.partial import Part
from streams.core.mapping.select import branches


@dataclass(frozen=True)
class Wanted:
    """What is audited: everything, or some skus and orders."""

    skus: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.skus or self.orders)


@dataclass
class Selected:
    """One SELECT of a file."""

    file: str
    """For people, with the values that `${…}` took."""
    kind: FileKind
    view: str
    columns: tuple[str, ...]
    """Output columns, in order."""
    table: Table
    """The driving one."""
    spreads: bool
    """One driving row may yield thousands of rows."""
    place: str
    """`file:line:column` of its first word."""
    bits: frozenset[str]
    """Output columns that are a BIT column of MariaDB: they come as bytes, what is computed from one does not."""
    _kind: str
    _alias: str
    _select: str
    _where: str | None
    _expressions: Sequence[str] = field(default_factory=tuple)

    @property
    def part(self) -> Part:
        """The file and driving table by which a lane tells what a row said."""
        return Part(self.file.partition(" ")[0], self.table.name)

    def keys(self) -> list[str]:
        """The key's columns, as the SELECT can name them."""
        return [f"{self._alias}.{quoted(self._kind, name)}" for name in self.table.primary]

    def query(self, only: Condition) -> tuple[str, tuple[Any, ...]]:
        """(SQL, values): the key, then the output columns, of the driving rows that meet `only`."""
        keys = [f"{name}::text" if self._kind == "postgres" else name for name in self.keys()]
        text = f"SELECT {', '.join(keys)}, {literal(self._select)}\n"
        conditions = [f"({only.sql})"] if only.sql else []
        if self._where is not None:
            conditions.append(f"({literal(self._where)}\n)")
        return text + (f"WHERE {' AND '.join(conditions)}" if conditions else ""), only.values

    def about(self, wanted: Wanted) -> Condition | None:
        """The rows that are about what is wanted, in any case of letters; None: this file never is."""
        if not wanted:
            return Condition()
        names = {"sku": wanted.skus, "component": wanted.skus, "order_id": wanted.orders}
        if self.kind.name in ("orders", "order_lines", "shipments"):
            names = {"order_id": wanted.orders}
        parts: list[str] = []
        values: list[str] = []
        for name, texts in names.items():
            if name in self.columns and texts:
                expression = self._expressions[self.columns.index(name)]
                parts.append(f"({literal(expression)}) IN ({', '.join(['%s'] * len(texts))})")
                values += sorted(texts)
        return Condition(f"({' OR '.join(parts)})", tuple(values)) if parts else None


def selects_of(mapping: CompiledMapping) -> list[Selected]:
    """Every SELECT of every file, in the order in which the lane evaluates them."""
    return [one for name, text in mapping.files.items() for one in _of_file(mapping, name, text)]


def _of_file(mapping: CompiledMapping, name: str, text: str) -> list[Selected]:
    kind = file_kind(name.partition(" ")[0].removesuffix(".sql"))
    assert not isinstance(kind, str)
    parser = DIALECTS[mapping.source.kind].parser
    tree = next(tree for tree in sqlglot.parse(text, read=parser) if tree is not None)
    tokens = [token for token in sqlglot.tokenize(text, read=parser) if token.token_type is not TokenType.SEMICOLON]
    found = []
    for select, part in zip(branches(name, tree), _parts(tokens), strict=True):
        table = _table(mapping.catalogue, select)
        found.append(_selected(name, kind, mapping, table, text, part, select))
    return found


def _parts(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each SELECT of a UNION ALL."""
    parts: list[list[Token]] = [[]]
    skip = False
    for token in tokens:
        if token.token_type is TokenType.UNION:
            parts.append([])
            skip = True
        elif not (skip and token.token_type is TokenType.ALL):
            parts[-1].append(token)
            skip = False
    return parts


def _selected(
    file: str,
    kind: tuple[FileKind, str],
    mapping: CompiledMapping,
    table: Table,
    text: str,
    tokens: list[Token],
    select: exp.Select,
) -> Selected:
    depth, begin, where = 0, -1, -1
    commas: list[int] = []
    for n, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        elif depth == 0 and token.token_type is TokenType.FROM and begin < 0:
            begin = n
        elif depth == 0 and token.token_type is TokenType.WHERE:
            where = n
        elif depth == 0 and begin < 0 and token.token_type is TokenType.COMMA:
            commas.append(n)
    first, last = tokens[0].end + 1, tokens[-1].end + 1
    body = text[first : tokens[where].start] if where >= 0 else text[first:last]
    ends = [*commas, begin]
    starts = [0, *commas]
    expressions = [
        _without_alias(text, tokens[start + 1 : end], node)
        for start, end, node in zip(starts, ends, select.expressions, strict=True)
    ]
    return Selected(
        file,
        kind[0],
        kind[1],
        mapping.columns[file],
        table,
        mapping.tables[table.name].spreads,
        f"{file}:{tokens[0].line}:{tokens[0].col - (tokens[0].end - tokens[0].start)}",
        _bits(mapping.catalogue, mapping.columns[file], select),
        mapping.source.kind,
        _alias(text, tokens[begin + 1 :]),
        body.rstrip(),
        text[tokens[where].end + 1 : last] if where >= 0 else None,
        expressions,
    )


def _alias(text: str, tokens: list[Token]) -> str:
    """How the driving table is called in the SELECT, as it is written there."""
    at = 0
    while at + 1 < len(tokens) and tokens[at + 1].token_type is TokenType.DOT:
        at += 2
    name = tokens[at]
    rest = tokens[at + 1 : at + 3]
    if rest and rest[0].token_type is TokenType.ALIAS:
        name = rest[1]
    elif rest and rest[0].token_type in (TokenType.VAR, TokenType.IDENTIFIER, TokenType.NAME):
        name = rest[0]
    return literal(text[name.start : name.end + 1])


def _bits(catalogue: Catalogue, names: Sequence[str], select: exp.Select) -> frozenset[str]:
    tables = {node.alias_or_name.lower(): _named(catalogue, node.name) for node in select.find_all(exp.Table)}
    found = set()
    for name, node in zip(names, select.expressions, strict=True):
        column = node.unalias().unnest()
        if isinstance(column, exp.Column):
            of = [tables[column.table.lower()]] if column.table else tables.values()
            types = [known.type for table in of for known in table.columns.values() if _same(known.name, column.name)]
            if catalogue.kind != "postgres" and types == ["bit"]:
                found.add(name)
    return frozenset(found)


def _without_alias(text: str, tokens: list[Token], node: exp.Expr) -> str:
    if isinstance(node, exp.Alias):
        tokens = tokens[:-1]
        if tokens[-1].token_type is TokenType.ALIAS:
            tokens = tokens[:-1]
    return text[tokens[0].start : tokens[-1].end + 1]


def _table(catalogue: Catalogue, select: exp.Select) -> Table:
    return _named(catalogue, select.args["from_"].this.name)


def _named(catalogue: Catalogue, name: str) -> Table:
    if name in catalogue.tables:
        return catalogue.tables[name]
    return next(table for short, table in catalogue.tables.items() if _same(short, name))


def _same(a: str, b: str) -> bool:
    return a.lower() == b.lower()
