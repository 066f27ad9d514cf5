"""Numbers: literals, arithmetic, division, rounding."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions import dates, sizes
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.text import joined_by_plus
from streams.core.mapping.expressions.value import MOMENTS, Size, Value, int_literal, null

_FLOAT = "arithmetic on a float is not exact: CAST it to numeric or DECIMAL(p, s) first"
_ZERO = "the divisor may be zero, which fails the whole query: NULLIF(x, 0)"
_MARIADB_EXACT_TENS = 4
"""A quotient by up to 10⁴ carries no hidden digits in MariaDB (div_precision_increment 4)."""
_INT_DIGITS = 10
_EXACT = {exp.Add: "ADD", exp.Sub: "SUBTRACT", exp.Mul: "MULTIPLY"}
_WHOLE = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}


def _null(c: Expressions, e: exp.Null) -> Value:
    return null()


def _literal(c: Expressions, e: exp.Literal) -> Value:
    if e.is_string:
        return c.text_literal(e.this)
    if "e" in e.this.lower():
        c.refuse(e, "write the number without an exponent")
    if "." in e.this:
        number = Decimal(e.this)
        code = c.names.constant(f"number {e.this}", number)
        digits, scale = number.as_tuple().digits, -int(number.as_tuple().exponent)
        size = Size(max(len(digits), scale), scale)
        return Value(code, Kind.EXACT, False, True, number, scale, size=size)
    return int_literal(int(e.this))


def _minus(c: Expressions, e: exp.Neg) -> Value:
    value = c.value(e.this)
    if isinstance(value.literal, int):
        return int_literal(-value.literal)
    if value.kind not in (Kind.INT, Kind.EXACT):
        c.refuse(e, _FLOAT if value.kind == Kind.FLOAT else f"minus {value.kind}")
    form = "(-{0})" if value.kind == Kind.INT else "MINUS({0})"
    return c.call(form, value.kind, value, scale=value.scale, unrounded=value.unrounded, size=value.size)


# + − ×


def _sum(c: Expressions, e: exp.Add | exp.Sub) -> Value:
    sign = "+" if isinstance(e, exp.Add) else "-"
    for days, day in ((e.expression, e.this), (e.this, e.expression)):
        if isinstance(days, exp.Interval):
            return dates.with_interval(c, e, day, days, sign)
        if isinstance(days, exp.MakeInterval):
            return dates.with_seconds(c, e, day, days, sign)
    a, b = c.value(e.left), c.value(e.right)
    if MOMENTS & {a.kind, b.kind}:
        return dates.arithmetic(c, e, sign, a, b)
    if isinstance(e, exp.Add) and Kind.TEXT in (a.kind, b.kind) and c.dialect.sqlserver:
        return joined_by_plus(c, e)
    return _computed(c, e, a, b)


def _product(c: Expressions, e: exp.Mul) -> Value:
    return _computed(c, e, c.value(e.left), c.value(e.right))


def _computed(c: Expressions, e: exp.Add | exp.Sub | exp.Mul, a: Value, b: Value) -> Value:
    for value in (a, b):
        if value.kind == Kind.FLOAT:
            c.refuse(e, _FLOAT)
        if value.kind not in (Kind.INT, Kind.EXACT, Kind.NULL):
            c.refuse(e, f"arithmetic with {value.kind}: CAST it to a number")
    if a.kind == b.kind == Kind.INT:
        whole = Size(max([_INT_DIGITS, *(v.size.precision for v in (a, b) if v.size)]), 0)
        return c.call(f"({{0}} {_WHOLE[type(e)]} {{1}})", Kind.INT, a, b, scale=0, size=whole)
    scale = None
    if a.scale is not None and b.scale is not None:
        scale = a.scale + b.scale if isinstance(e, exp.Mul) else max(a.scale, b.scale)
    form = f"{_EXACT[type(e)]}({{0}}, {{1}})"
    size: Size | None = None
    if c.dialect.sized_numbers and Kind.NULL not in (a.kind, b.kind):
        size = (sizes.of_product if isinstance(e, exp.Mul) else sizes.of_sum)(_size(c, e, a), _size(c, e, b))
        if scale is None or size.scale < scale:
            form, scale = f"both.round_half_up({form}, {size.scale})", size.scale
    return c.call(form, Kind.EXACT, a, b, scale=scale, unrounded=a.unrounded or b.unrounded, size=size)


def _size(c: Expressions, e: exp.Expr, value: Value) -> Size:
    if value.size is None:
        c.refuse(e, "the digits of the result follow from those of its operands: CAST(x AS decimal(p, s)) first")
    return value.size


# division


def _divide(c: Expressions, e: exp.Div) -> Value:
    a, b = c.value(e.left), c.value(e.right)
    if Kind.FLOAT in (a.kind, b.kind):
        c.refuse(e, _FLOAT)
    _divisor(c, e, b)
    if a.kind == b.kind == Kind.INT and c.dialect.whole_division:
        return c.call("both.int_divide({0}, {1})", Kind.INT, a, b, scale=0, size=a.size)
    return _QUOTIENTS[c.dialect.runtime](c, e, c.exact(e, a), c.exact(e, b))


def _divisor(c: Expressions, e: exp.Binary, b: Value) -> None:
    """A zero divisor fails the whole audit, but for MariaDB."""
    if not c.dialect.zero_divides_to_null and not b.literal and not isinstance(e.right.unnest(), exp.Nullif):
        c.refuse(e, _ZERO)


def _tens(value: Value) -> int | None:
    """n of a literal 10ⁿ, with or without a fraction of zeros."""
    if not isinstance(value.literal, (int, Decimal)) or value.literal < 1:
        return None
    digits = str(int(value.literal))
    return len(digits) - 1 if value.literal == int(value.literal) and digits.strip("0") == "1" else None


def _quotient_postgres(c: Expressions, e: exp.Div, a: Value, b: Value) -> Value:
    return c.call("pg.divide({0}, {1})", Kind.EXACT, a, b)


def _quotient_mariadb(c: Expressions, e: exp.Div, a: Value, b: Value) -> Value:
    tens = _tens(b) if b.scale == 0 else None
    implied = tens is not None and tens <= _MARIADB_EXACT_TENS
    return c.call(
        "my.divide({0}, {1})",
        Kind.EXACT,
        a,
        b,
        scale=None if a.scale is None else a.scale + 4,
        unrounded=a.unrounded or not implied,
        may_be_null=not b.literal,
    )


def _quotient_sqlserver(c: Expressions, e: exp.Div, a: Value, b: Value) -> Value:
    if b.literal is None:
        c.refuse(e, "only a literal divides here: how SQL Server ends other quotients is not documented")
    size, tens = sizes.of_quotient(_size(c, e, a), _size(c, e, b)), _tens(b)
    exact = tens is not None and a.scale is not None and a.scale + tens <= size.scale
    scale = a.scale + tens if exact and a.scale is not None and tens is not None else size.scale
    unrounded = a.unrounded or not exact
    return c.call(f"ms.divide({{0}}, {{1}}, {scale})", Kind.EXACT, a, b, scale=scale, unrounded=unrounded, size=size)


def _quotient_oracle(c: Expressions, e: exp.Div, a: Value, b: Value) -> Value:
    tens = _tens(b)
    scale = a.scale + tens if a.scale is not None and tens is not None else None
    return c.call("ora.divide({0}, {1})", Kind.EXACT, a, b, scale=scale, unrounded=a.unrounded or tens is None)


_QUOTIENTS = {"pg": _quotient_postgres, "my": _quotient_mariadb, "ms": _quotient_sqlserver, "ora": _quotient_oracle}


def _whole_divide(c: Expressions, e: exp.IntDiv) -> Value:
    if not c.dialect.mysql_family:
        c.absent(e, "DIV", "integers divide with /" if c.dialect.whole_division else "TRUNC(a / b)")
    return _or_null(c, "both.int_divide", c.argument(e.left, Kind.INT), c.argument(e.right, Kind.INT))


def _or_null(c: Expressions, function: str, a: Value, b: Value) -> Value:
    """MariaDB: by zero gives NULL."""
    name = c.temporary()
    form = f"({function}({{0}}, {name}) if ({name} := {{1}}) else None)"
    return c.call(form, Kind.INT, a, b, may_be_null=not b.literal, scale=0)


def _modulo(c: Expressions, e: exp.Mod) -> Value:
    a, b = c.value(e.left), c.value(e.right)
    if Kind.FLOAT in (a.kind, b.kind):
        c.refuse(e, _FLOAT)
    whole = a.kind == b.kind == Kind.INT
    if c.dialect.mysql_family:
        if not whole:
            c.refuse(e, "MOD of decimals can give a negative zero that MariaDB does not hold equal to zero")
        return _or_null(c, "both.int_modulo", a, b)
    if not c.dialect.oracle:
        _divisor(c, e, b)
    if whole:
        form = "ora.int_modulo({0}, {1})" if c.dialect.oracle else "both.int_modulo({0}, {1})"
        return c.call(form, Kind.INT, a, b, scale=0, size=b.size)
    if c.dialect.sized_numbers:
        c.refuse(e, "% of decimals is not proven here: CAST both to an integer")
    a, b = c.exact(e, a), c.exact(e, b)
    scale = None if a.scale is None or b.scale is None else max(a.scale, b.scale)
    return c.own("modulo({0}, {1})", Kind.EXACT, a, b, scale=scale)


# rounding


def _round(c: Expressions, e: exp.Round) -> Value:
    cut = e.args.get("truncate")
    if cut is not None and not (isinstance(cut, exp.Literal) and cut.name.isdigit()):
        c.refuse(cut, "the third argument of ROUND must be 0 or 1")
    return _rounded(c, e, "truncate" if cut is not None and int(cut.name) else "round_half_up")


def _truncate(c: Expressions, e: exp.Trunc) -> Value:
    return _rounded(c, e, "truncate")


def _rounded(c: Expressions, e: exp.Round | exp.Trunc, function: str) -> Value:
    places = e.args.get("decimals")
    value = _roundable(c, e, e.this, places is not None)
    digits = c.value(places) if places is not None else int_literal(0)
    if digits.kind != Kind.INT or (c.dialect.hidden_digits and digits.literal is None):
        c.refuse(e, "the number of digits must be an integer" + (" literal" if c.dialect.hidden_digits else ""))
    scale = max(digits.literal, 0) if isinstance(digits.literal, int) else None
    exact = c.exact(e, value)
    return c.call(f"both.{function}({{0}}, {{1}})", Kind.EXACT, exact, digits, scale=scale, size=value.size)


def _roundable(c: Expressions, e: exp.Expr, inner: exp.Expr, digits: bool = False) -> Value:
    value = c.value(inner)
    if value.kind == Kind.FLOAT:
        c.refuse(e, "rounding a float is not exact: CAST it to numeric or DECIMAL(p, s)")
    if value.kind == Kind.INT and c.dialect.postgres and not digits:
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
    return c.call(form, value.kind, value, scale=value.scale, unrounded=value.unrounded, size=value.size)


def _extreme(function: str, passing_nulls: str) -> Handler:
    def extreme(c: Expressions, e: exp.Greatest | exp.Least) -> Value:
        together, values = c.common(e, [c.value(a) for a in (e.this, *e.expressions)])
        if together.kind not in (Kind.INT, Kind.EXACT, Kind.DATE, Kind.STAMP):
            c.refuse(e, f"{type(e).__name__.upper()} of {together.kind}")
        if c.dialect.extremes_skip_null:
            codes = ", ".join(v.code for v in values)
            return replace(together, code=f"{passing_nulls}({codes})", nullable=all(v.nullable for v in values))
        places = ", ".join(f"{{{n}}}" for n in range(len(values)))
        return c.call(
            f"{function}({places})",
            together.kind,
            *values,
            scale=together.scale,
            unrounded=together.unrounded,
            size=together.size,
        )

    return extreme


NUMBERS: dict[type[exp.Expr], Handler] = {
    exp.Null: _null,
    exp.Literal: _literal,
    exp.Neg: _minus,
    exp.Add: _sum,
    exp.Sub: _sum,
    exp.Mul: _product,
    exp.Div: _divide,
    exp.IntDiv: _whole_divide,
    exp.Mod: _modulo,
    exp.Round: _round,
    exp.Trunc: _truncate,
    exp.Floor: _floor,
    exp.Ceil: _ceiling,
    exp.Abs: _absolute,
    exp.Greatest: _extreme("max", "pg.greatest"),
    exp.Least: _extreme("min", "pg.least"),
}
