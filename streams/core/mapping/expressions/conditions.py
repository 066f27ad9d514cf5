"""Conditions by polarity: Python that holds exactly when SQL says TRUE (want) or FALSE (not want)."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace

from sqlglot import exp

from streams.core.mapping import collations, semantics
from streams.core.mapping.catalogue import SESSION_COLLATION, Kind
from streams.core.mapping.expressions import equality
from streams.core.mapping.expressions.compiler import ConditionHandler, Expressions
from streams.core.mapping.expressions.value import MOMENTS, NUMBERS, Value
from streams.core.mapping.model import RowError

_OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "==", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _paren(c: Expressions, e: exp.Paren, want: bool) -> str:
    return c.condition(e.this, want)


def _not(c: Expressions, e: exp.Not, want: bool) -> str:
    return c.condition(e.this, not want)


def _and_or(c: Expressions, e: exp.And | exp.Or, want: bool) -> str:
    word = "and" if isinstance(e, exp.And) == want else "or"
    return f"({c.condition(e.left, want)} {word} {c.condition(e.right, want)})"


def _boolean(c: Expressions, e: exp.Boolean, want: bool) -> str:
    return str(e.this is want)


def _comparison(c: Expressions, e: exp.Binary, want: bool) -> str:
    operator = _OPERATORS[type(e)]
    a, b = comparable(c, e, e.left, e.right, ordered=operator not in ("==", "!="))
    if Kind.NULL in (a.kind, b.kind):
        return "False"
    tests, (p, q) = c.guards(a, b)
    return "(" + " and ".join([*tests, f"{p} {operator if want else _OPPOSITE[operator]} {q}"]) + ")"


def comparable(
    c: Expressions, e: exp.Expr, left: exp.Expr, right: exp.Expr, ordered: bool = False
) -> tuple[Value, Value]:
    """Two operands whose Python comparison is SQL's, or a refusal."""
    a, b = c.value(left), c.value(right)
    if a.unrounded or b.unrounded:
        c.refuse(e, "round the quotient before comparing it: ROUND(a / b, n)")
    if a.kind in MOMENTS and isinstance(b.literal, str) and b.kind == Kind.TEXT:
        b = moment_literal(c, right, b.literal, a.kind)
    elif b.kind in MOMENTS and isinstance(a.literal, str) and a.kind == Kind.TEXT:
        a = moment_literal(c, left, a.literal, b.kind)
    a, b = _of_own_type(c, left, a, b), _of_own_type(c, right, b, a)
    if c.dialect.oracle and {a.kind, b.kind} == {Kind.DATE, Kind.STAMP}:
        a, b = _at_midnight(c, a), _at_midnight(c, b)
    if Kind.OTHER in (a.kind, b.kind):
        c.refuse(e, "this column's type is not supported")
    if a.kind in NUMBERS and b.kind in NUMBERS:
        _numbers_comparable(c, e, a, b)
        return a, b
    if a.kind != b.kind and Kind.NULL not in (a.kind, b.kind):
        c.refuse(e, f"{a.kind} compared with {b.kind}: CAST one")
    if ordered and (a.kind == Kind.ENUM or b.kind == Kind.ENUM):
        c.refuse(e, "an enum has the order of its declaration: compare with = or IN")
    if ordered and (a.kind == Kind.UUID or b.kind == Kind.UUID):
        c.refuse(e, "the order of uuids means nothing: compare with = or IN")
    if a.kind == b.kind == Kind.TEXT:
        if ordered and not any(isinstance(v.literal, str) and v.literal.isdigit() for v in (a, b)):
            c.refuse(e, "the order of text depends on its collation: compare with =, IN or digits, or CAST to a number")
        return equality.folded(c, e, a, b)
    return a, b


def _of_own_type(c: Expressions, node: exp.Expr, value: Value, other: Value) -> Value:
    """A text literal beside an enum or a uuid is one of those."""
    if value.kind != Kind.TEXT or not isinstance(value.literal, str):
        return value
    if other.kind == Kind.ENUM:
        if other.labels and value.literal not in other.labels:
            c.refuse(node, f"{value.literal!r} is no label of this enum: {', '.join(other.labels)}")
        return replace(value, kind=Kind.ENUM)
    if other.kind == Kind.UUID:
        try:
            text = str(uuid.UUID(value.literal))
        except ValueError:
            c.refuse(node, f"{value.literal!r} is no uuid")
        return Value(repr(text), Kind.UUID, False, True, text)
    return value


def _at_midnight(c: Expressions, value: Value) -> Value:
    """Oracle: a DATE without a time of day is one at midnight."""
    return c.call("({0} + 'T00:00:00')", Kind.STAMP, value) if value.kind == Kind.DATE else value


def _numbers_comparable(c: Expressions, e: exp.Expr, a: Value, b: Value) -> None:
    if a.single or b.single:
        c.refuse(e, "CAST the single precision column to an exact number first")
    if Kind.FLOAT in (a.kind, b.kind) and a.kind != b.kind:
        exact = a if a.kind != Kind.FLOAT else b
        if exact.literal is None:
            c.refuse(e, "float compared with an exact number: CAST it first")


def moment_literal(c: Expressions, e: exp.Expr, text: str, kind: Kind) -> Value:
    """A text literal as a date or time stamp."""
    if c.dialect.oracle and not isinstance(e, exp.DateStrToDate):
        c.refuse(e, "what a text means as a date follows the session: DATE '2026-11-24', TO_DATE(x, 'YYYY-MM-DD')")
    try:
        if kind == Kind.DATE and c.dialect.postgres and text == semantics.INFINITY:
            value = text
        elif kind == Kind.DATE:
            compact = c.dialect.sqlserver and len(text) == 8
            value = semantics.read_date(text, "%Y%m%d" if compact else "%Y-%m-%d")
        elif kind == Kind.STAMP:
            value = dt.datetime.fromisoformat(text).isoformat()
            value = value.rstrip("0").rstrip(".") if "." in value else value
        else:
            c.refuse(e, "an instant has no literal here: z AT TIME ZONE 'UTC' is a time stamp")
    except (ValueError, RowError):
        c.refuse(e, f"{text!r} is no {kind}: write it as YYYY-MM-DD")
    return Value(repr(value), kind, False, True, value)


def _between(c: Expressions, e: exp.Between, want: bool) -> str:
    low = _at(exp.GTE(this=e.this.copy(), expression=e.args["low"].copy()), e)
    high = _at(exp.LTE(this=e.this.copy(), expression=e.args["high"].copy()), e)
    word = "and" if want else "or"
    return f"({_comparison(c, low, want)} {word} {_comparison(c, high, want)})"


def _at(made: exp.Binary, origin: exp.Expr) -> exp.Binary:
    """A made node that is told with its origin's place."""
    made.parent = origin
    return made


def _in(c: Expressions, e: exp.In, want: bool) -> str:
    items = e.expressions
    if not items or not all(_is_constant(item) for item in items):
        c.refuse(e, "IN takes a list of literals")
    pairs = [comparable(c, e, e.this, item) for item in items]
    if pairs[0][0].kind == Kind.NULL:
        return "False"
    tests, (p, _) = c.guards(pairs[0][0], pairs[0][1])
    values = ", ".join(dict.fromkeys(b.code for _, b in pairs))
    return "(" + " and ".join([*tests, f"{p} {'in' if want else 'not in'} ({values},)"]) + ")"


def _is_constant(e: exp.Expr) -> bool:
    return isinstance(e, exp.Literal) or (isinstance(e, (exp.Neg, exp.Paren)) and _is_constant(e.this))


def _is(c: Expressions, e: exp.Is, want: bool) -> str:
    right, want = e.expression, want != bool(e.args.get("negate"))
    if isinstance(right, exp.Not):
        right, want = right.this, not want
    if isinstance(right, exp.Null):
        value = c.value(e.this)
        if not value.nullable:
            return str(not want)
        return f"({value.code} is {'' if want else 'not '}None)"
    if not isinstance(right, exp.Boolean) or not c.dialect.conditions_are_values:
        c.refuse(e, "IS takes NULL" + (", TRUE or FALSE" if c.dialect.conditions_are_values else ""))
    test = c.true(e.this) if right.this else c.false(e.this)
    return test if want else f"(not {test})"


def _null_safe(c: Expressions, e: exp.NullSafeEQ | exp.NullSafeNEQ, want: bool) -> str:
    a, b = comparable(c, e, e.left, e.right)
    return f"({a.code} {'==' if isinstance(e, exp.NullSafeEQ) == want else '!='} {b.code})"


def _like(c: Expressions, e: exp.Like | exp.Escape, want: bool) -> str:
    escape, node = c.dialect.like_escape, e
    if isinstance(e, exp.Escape):
        node, escape = e.this, e.expression.name
        if len(escape) != 1:
            c.refuse(e, "ESCAPE takes one character")
    if not isinstance(node, exp.Like) or not node.expression.is_string:
        c.refuse(e, "LIKE takes a literal pattern")
    want = want != bool(node.args.get("negate"))
    value, pattern = c.value(node.this), node.expression.this
    if value.kind == Kind.NULL:
        return "False"
    if value.kind != Kind.TEXT:
        c.refuse(e, f"LIKE on {value.kind}: CAST it to text")
    if value.padded and not c.dialect.mysql_family:
        c.refuse(e, "LIKE on a CHAR(n) column sees its blanks: TRIM it first")
    if c.dialect.sqlserver and (not pattern.endswith("%") or set(pattern) & set("[_ ") or escape):
        c.refuse(e, "only patterns of % that end in % are proven here, without [, _ and blanks: LEFT, SUBSTRING, =")
    if c.dialect.folds_text:
        value, pattern = _like_folded(c, e, value, pattern, escape)
    tests, (p,) = c.guards(value)
    start = pattern.rstrip("%")
    if pattern.endswith("%") and pattern.count("%") == 1 and not set(start) & {"%", "_", escape}:
        test = f"{p}.startswith({start!r})"
    else:
        test = f"{c.names.fresh('pattern', collations.like_matcher(pattern, escape or None))}({p})"
    return "(" + " and ".join([*tests, test if want else f"not {test}"]) + ")"


def _like_folded(c: Expressions, e: exp.Expr, value: Value, pattern: str, escape: str) -> tuple[Value, str]:
    """Text and pattern, so that equal characters are the same."""
    collation = c.collation(e, value)
    if c.dialect.mysql_family and (collation or SESSION_COLLATION).endswith("_bin"):
        return value, pattern
    name, fold = equality.fold_of(c, e, collation)
    if fold is None:
        return value, pattern
    if c.dialect.mysql_family:  # character by character, whatever a pair of them equals elsewhere
        fold = collations.like_folder(fold)
        name = c.names.constant(f"like {collation}", fold)
    pattern = "".join(p if p in ("%", "_", escape) else equality.folded_literal(c, e, p, fold) for p in pattern)
    return c.call(f"{name}({{0}})", Kind.TEXT, replace(value, literal=None)), pattern


CONDITIONS: dict[type[exp.Expr], ConditionHandler] = {
    exp.Paren: _paren,
    exp.Not: _not,
    exp.And: _and_or,
    exp.Or: _and_or,
    exp.Boolean: _boolean,
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    exp.NullSafeEQ: _null_safe,
    exp.NullSafeNEQ: _null_safe,
    exp.Like: _like,
    exp.Escape: _like,
    **dict.fromkeys(_OPERATORS, _comparison),
}
