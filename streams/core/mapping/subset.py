"""The SQL a mapping may use: every syntax node, and every part of it, that the compiler gives a meaning to.

The parser is lenient and its tree changes between releases (a negated LIKE is Not(Like) in one dialect and
Like(negate) in another): what is not named here is refused, so an unknown part is never silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from streams.core.mapping.dialects import Dialect

_ALLOWED: dict[type[exp.Expr], str] = {
    # statement
    exp.Select: "expressions from_ joins where",
    exp.Union: "this expression distinct",
    exp.From: "this",
    exp.Where: "this",
    exp.Join: "this on side kind",
    exp.Table: "this alias db",
    exp.TableAlias: "this",
    exp.Alias: "this alias",
    exp.Identifier: "this quoted",
    exp.Column: "this table",
    exp.Paren: "this",
    exp.Var: "this",
    # conditions
    exp.And: "this expression",
    exp.Or: "this expression",
    exp.Not: "this",
    exp.EQ: "this expression",
    exp.NEQ: "this expression",
    exp.LT: "this expression",
    exp.LTE: "this expression",
    exp.GT: "this expression",
    exp.GTE: "this expression",
    exp.NullSafeEQ: "this expression",
    exp.NullSafeNEQ: "this expression",
    exp.Between: "this low high",
    exp.In: "this expressions",
    exp.Is: "this expression negate",
    exp.Like: "this expression negate",
    exp.Escape: "this expression",
    exp.Boolean: "this",
    exp.Null: "",
    # values
    exp.Literal: "this is_string",
    exp.Neg: "this",
    exp.Add: "this expression",
    exp.Sub: "this expression",
    exp.Mul: "this expression",
    exp.Div: "this expression typed safe",
    exp.IntDiv: "this expression",
    exp.Mod: "this expression",
    exp.Round: "this decimals truncate",
    exp.Trunc: "this decimals fractions_supported",
    exp.Floor: "this",
    exp.Ceil: "this",
    exp.Abs: "this",
    exp.Greatest: "this expressions ignore_nulls",
    exp.Least: "this expressions ignore_nulls",
    # choice
    exp.Case: "this ifs default",
    exp.If: "this true false",
    exp.Coalesce: "this expressions is_nvl is_null",
    exp.DecodeCase: "expressions",
    exp.Nvl2: "this true false",
    exp.Nullif: "this expression",
    # casts
    exp.Cast: "this to",
    exp.Convert: "this expression style",
    exp.DataType: "this expressions nested",
    exp.DataTypeParam: "this",
    # text
    exp.DPipe: "this expression safe",
    exp.Concat: "expressions safe coalesce",
    exp.Upper: "this",
    exp.Lower: "this",
    exp.Trim: "this expression position",
    exp.Substring: "this start length",
    exp.Left: "this expression",
    exp.Right: "this expression",
    exp.Pad: "this expression fill_pattern is_left",
    exp.Length: "this binary",
    exp.Replace: "this expression replacement",
    exp.National: "this",
    exp.SplitPart: "this delimiter part_index",
    exp.SubstringIndex: "this delimiter count",
    # dates
    exp.Interval: "this unit",
    exp.MakeInterval: "second",
    exp.Kwarg: "this expression",
    exp.DateAdd: "this expression unit",
    exp.DateDiff: "this expression unit big_int date_part_boundary",
    exp.TimeStrToTime: "this",
    exp.Year: "this",
    exp.Month: "this",
    exp.Day: "this",
    exp.DateStrToDate: "this",
    exp.TsOrDsToDate: "this default_date",
    exp.Date: "this",
    exp.StrToDate: "this format",
    exp.Extract: "this expression",
    exp.DateFromParts: "year month day",
    exp.AtTimeZone: "this zone",
    exp.ToChar: "this format",
    exp.ToNumber: "this format",
    exp.Anonymous: "this expressions",  # MAKEDATE (MariaDB), MAKE_DATE (PostgreSQL), TRUNC (Oracle)
}
_PARTS = {node: frozenset(parts.split()) for node, parts in _ALLOWED.items()}

_WAY_OUT: dict[str, str] = {
    "Group": "no aggregates: let the rows of the N-side drive, the sum is onhand's",
    "Sum": "no aggregates: let the rows of the N-side drive, the sum is onhand's",
    "Count": "no aggregates: let the rows of the N-side drive, the sum is onhand's",
    "Max": "no aggregates: every row says its own, with an as_of column the newest counts",
    "Min": "no aggregates: every row says its own, with an as_of column the newest counts",
    "Exists": "no subqueries: let the inner table's rows drive, or LEFT JOIN it on a unique key",
    "Subquery": "no subqueries: JOIN the table on a unique key",
    "Window": "no window functions: every row says its own, with an as_of column the newest counts",
    "With": "no WITH: write the SELECTs with UNION ALL",
    "CurrentDate": "a row does not change with time: leave today to the promise, or JOIN a one-row table that holds it",
    "CurrentTimestamp": "a row does not change with time: leave now to the promise",
    "Kwarg": "of make_interval only secs => n",
    "Pow": "a power is not exact: CASE, or JOIN a table of factors",
    "RegexpLike": "of patterns only LIKE: let the database keep a column of it",
    "RegexpReplace": "of patterns only LIKE: let the database keep a column of it",
    "Star": "name the columns",
    "Distinct": "no DISTINCT: the sum is onhand's",
    "Order": "no ORDER BY: rows have no order here",
    "Limit": "no LIMIT: every row counts",
    "Join": "only JOIN … ON and LEFT JOIN … ON with a unique key look a row up",
}


def outside(tree: exp.Expr) -> Iterator[tuple[exp.Expr, str]]:
    """Every node that is not in the subset, with the reason; nothing inside such a node is reported again."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        kind = type(node)
        parts = _PARTS.get(kind)
        if parts is None:
            yield node, _reason(kind.__name__)
            continue
        unknown = [name for name, value in node.args.items() if value not in (None, False, []) and name not in parts]
        for name in unknown:
            value = node.args[name]
            inner = value[0] if isinstance(value, list) else value
            if isinstance(inner, exp.Expr):
                yield inner, _reason(type(inner).__name__)
            else:
                yield node, f"{name.strip('_').replace('_', ' ')} of {kind.__name__} is outside the subset"
        if not unknown:
            waiting += reversed(list(node.iter_expressions()))


def misspelt(text: str, dialect: Dialect) -> Iterator[tuple[int, int, str]]:
    """(line, column, reason) of what the parser takes and this database does not, though the tree shows nothing."""
    if not dialect.oracle:
        return
    tokens = sqlglot.tokenize(text, read=dialect.parser)
    for n, token in enumerate(tokens):
        if token.token_type in (TokenType.FROM, TokenType.JOIN):
            after = n + (4 if tokens[n + 2 : n + 3] and tokens[n + 2].token_type == TokenType.DOT else 2)
            if after < len(tokens) and tokens[after].token_type == TokenType.ALIAS:
                at = tokens[after]
                yield at.line, at.col - len(at.text) + 1, "Oracle has no AS before a table's alias: leave it out"


def _reason(name: str) -> str:
    hint = _WAY_OUT.get(name)
    return f"{name} is outside the subset" + (f": {hint}" if hint else "")
