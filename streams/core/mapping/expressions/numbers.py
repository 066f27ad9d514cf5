"""Exact arithmetic, division, rounding, literals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions import dates
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.value import Value, int_literal, null, text_literal

_FLOAT = "arithmetic on a float is not exact: CAST it to numeric or DECIMAL(p, s) first"
_ZERO = "the divisor may be zero, which fails the whole query: NULLIF(x, 0)"
_MARIADB_EXACT_TENS = 4
"""A quotient by up to 10⁴ carries no hidden digits in MariaDB (div_precision_increment 4)."""


def _null(c: Expressions, e: exp.Null) -> Value:
    return null()


def _literal(c: Expressions, e: exp.Literal) -> Value:
    if e.is_string:
        return text_literal(e.this)
    if "e" in e.this.lower():
        c.refuse(e, "write the number without an exponent")
    if "." in e.this:
        number = Decimal(e.this)
        code = c.names.constant(f"number {e.this}", number)
        return Value(code, Kind.EXACT, False, True, number, -int(number.as_tuple().exponent))
    return int_literal(int(e.this))


def _minus(c: Expressions, e: exp.Neg) -> Value:
    value = c.value(e.this)
    if isinstance(value.literal, int):
        return int_literal(-value.literal)
    if value.kind not in (Kind.INT, Kind.EXACT):
        c.refuse(e, _FLOAT if value.kind == Kind.FLOAT else f"minus {value.kind}")
    form = "(-{0})" if value.kind == Kind.INT else "MINUS({0})"
    return c.call(form, value.kind, value, scale=value.scale, unrounded=value.unrounded)


def _arithmetic(c: Expressions, e: exp.Add | exp.Sub | exp.Mul) -> Value:
    if not isinstance(e, exp.Mul):
        sign = "+" if isinstance(e, exp.Add) else "-"
        for days, day in ((e.expression, e.this), (e.this, e.expression)):
            if isinstance(days, exp.Interval):
                return dates.with_interval(c, e, day, days, sign)
        a, b = c.value(e.left), c.value(e.right)
        if Kind.DATE in (a.kind, b.kind):
            return dates.arithmetic(c, e, sign, a, b)
    else:
        a, b = c.value(e.left), c.value(e.right)
    for value in (a, b):
        if value.kind == Kind.FLOAT:
            c.refuse(e, _FLOAT)
        if value.kind not in (Kind.INT, Kind.EXACT, Kind.NULL):
            c.refuse(e, f"arithmetic with {value.kind}: CAST it to a number")
    scales = [v.scale for v in (a, b)]
    scale = None
    if scales[0] is not None and scales[1] is not None:
        scale = scales[0] + scales[1] if isinstance(e, exp.Mul) else max(scales[0], scales[1])
    if a.kind == b.kind == Kind.INT:
        operator = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}[type(e)]
        return c.call(f"({{0}} {operator} {{1}})", Kind.INT, a, b, scale=0)
    function = {exp.Add: "ADD", exp.Sub: "SUBTRACT", exp.Mul: "MULTIPLY"}[type(e)]
    return c.call(f"{function}({{0}}, {{1}})", Kind.EXACT, a, b, scale=scale, unrounded=a.unrounded or b.unrounded)


def _divide(c: Expressions, e: exp.Div) -> Value:
    a, b = c.value(e.left), c.value(e.right)
    if Kind.FLOAT in (a.kind, b.kind):
        c.refuse(e, _FLOAT)
    _divisor(c, e, b)
    if a.kind == b.kind == Kind.INT and not c.mariadb:
        return c.call("both.int_divide({0}, {1})", Kind.INT, a, b, scale=0)
    a, b = c.exact(e, a), c.exact(e, b)
    tens = len(str(b.literal)) - 1 if b.literal and str(b.literal).strip("0") == "1" else None
    if not c.mariadb:
        return c.call("pg.divide({0}, {1})", Kind.EXACT, a, b)
    shown = None if a.scale is None else a.scale + 4
    implied = tens is not None and tens <= _MARIADB_EXACT_TENS
    return c.call(
        "my.divide({0}, {1})",
        Kind.EXACT,
        a,
        b,
        scale=shown,
        unrounded=a.unrounded or not implied,
        may_be_null=not b.literal,
    )


def _divisor(c: Expressions, e: exp.Binary, b: Value) -> None:
    """PostgreSQL fails on a zero divisor, and with it the whole audit."""
    if not c.mariadb and not b.literal and not isinstance(e.right.unnest(), exp.Nullif):
        c.refuse(e, _ZERO)


def _whole_divide(c: Expressions, e: exp.IntDiv) -> Value:
    if not c.mariadb:
        c.refuse(e, "DIV is no operator of PostgreSQL: integers divide with /")
    return _or_null(c, "both.int_divide", c.argument(e.left, Kind.INT), c.argument(e.right, Kind.INT), 0)


def _or_null(c: Expressions, function: str, a: Value, b: Value, scale: int | None) -> Value:
    """MariaDB: by zero gives NULL."""
    name = c.temporary()
    form = f"({function}({{0}}, {name}) if ({name} := {{1}}) else None)"
    return c.call(form, Kind.INT, a, b, may_be_null=not b.literal, scale=scale)


def _modulo(c: Expressions, e: exp.Mod) -> Value:
    a, b = c.value(e.left), c.value(e.right)
    if Kind.FLOAT in (a.kind, b.kind):
        c.refuse(e, _FLOAT)
    whole = a.kind == b.kind == Kind.INT
    if c.mariadb:
        if not whole:
            c.refuse(e, "MOD of decimals can give a negative zero that MariaDB does not hold equal to zero")
        return _or_null(c, "both.int_modulo", a, b, 0)
    _divisor(c, e, b)
    if whole:
        return c.call("both.int_modulo({0}, {1})", Kind.INT, a, b, scale=0)
    a, b = c.exact(e, a), c.exact(e, b)
    scale = None if a.scale is None or b.scale is None else max(a.scale, b.scale)
    return c.call("pg.modulo({0}, {1})", Kind.EXACT, a, b, scale=scale)


def _rounding(function: str) -> Handler:
    def rounded(c: Expressions, e: exp.Round | exp.Trunc) -> Value:
        value = _roundable(c, e, e.this, e.args.get("decimals") is not None)
        digits = c.value(e.args["decimals"]) if e.args.get("decimals") is not None else int_literal(0)
        if digits.kind != Kind.INT or (c.mariadb and digits.literal is None):
            c.refuse(e, "the number of digits must be an integer" + (" literal" if c.mariadb else ""))
        scale = max(digits.literal, 0) if isinstance(digits.literal, int) else None
        return c.call(f"both.{function}({{0}}, {{1}})", Kind.EXACT, c.exact(e, value), digits, scale=scale)

    return rounded


def _roundable(c: Expressions, e: exp.Expr, inner: exp.Expr, digits: bool = False) -> Value:
    value = c.value(inner)
    if value.kind == Kind.FLOAT:
        c.refuse(e, "rounding a float is not exact: CAST it to numeric or DECIMAL(p, s)")
    if value.kind == Kind.INT and not c.mariadb and not digits:
        c.refuse(e, "an integer is whole already, and PostgreSQL makes a float of it here: leave the function out")
    return value


def _floor(c: Expressions, e: exp.Floor) -> Value:
    return c.call("both.floor({0})", Kind.EXACT, c.exact(e, _roundable(c, e, e.this)), scale=0)


def _ceiling(c: Expressions, e: exp.Ceil) -> Value:
    return c.call("both.ceiling({0})", Kind.EXACT, c.exact(e, _roundable(c, e, e.this)), scale=0)


def _absolute(c: Expressions, e: exp.Abs) -> Value:
    value = c.value(e.this)
    if value.kind not in (Kind.INT, Kind.EXACT):
        c.refuse(e, _FLOAT if value.kind == Kind.FLOAT else f"ABS of {value.kind}")
    form = "abs({0})" if value.kind == Kind.INT else "{0}.copy_abs()"
    return c.call(form, value.kind, value, scale=value.scale, unrounded=value.unrounded)


def _extreme(function: str, passing_nulls: str) -> Handler:
    def extreme(c: Expressions, e: exp.Greatest | exp.Least) -> Value:
        together, values = c.common(e, [c.value(a) for a in (e.this, *e.expressions)])
        if together.kind not in (Kind.INT, Kind.EXACT, Kind.DATE, Kind.STAMP):
            c.refuse(e, f"{type(e).__name__.upper()} of {together.kind}")
        if not c.mariadb:
            codes = ", ".join(v.code for v in values)
            return replace(together, code=f"{passing_nulls}({codes})", nullable=all(v.nullable for v in values))
        places = ", ".join(f"{{{n}}}" for n in range(len(values)))
        return c.call(
            f"{function}({places})", together.kind, *values, scale=together.scale, unrounded=together.unrounded
        )

    return extreme


NUMBERS: dict[type[exp.Expr], Handler] = {
    exp.Null: _null,
    exp.Literal: _literal,
    exp.Neg: _minus,
    exp.Add: _arithmetic,
    exp.Sub: _arithmetic,
    exp.Mul: _arithmetic,
    exp.Div: _divide,
    exp.IntDiv: _whole_divide,
    exp.Mod: _modulo,
    exp.Round: _rounding("round_half_up"),
    exp.Trunc: _rounding("truncate"),
    exp.Floor: _floor,
    exp.Ceil: _ceiling,
    exp.Abs: _absolute,
    exp.Greatest: _extreme("max", "pg.greatest"),
    exp.Least: _extreme("min", "pg.least"),
}
