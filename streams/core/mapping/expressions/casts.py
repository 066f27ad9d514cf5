"""CAST between the kinds: only what both the database and the compiled code do alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from streams.core.mapping.catalogue import SESSION_COLLATION, Kind
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.conditions import moment_literal
from streams.core.mapping.expressions.value import Value, null

_TARGETS = {
    "INT": Kind.INT, "BIGINT": Kind.INT, "SMALLINT": Kind.INT,
    "DECIMAL": Kind.EXACT,
    "TEXT": Kind.TEXT, "VARCHAR": Kind.TEXT, "CHAR": Kind.TEXT,
    "DATE": Kind.DATE, "TIMESTAMP": Kind.STAMP, "DATETIME": Kind.STAMP,
}  # fmt: skip
Parameters = list[int]


def _cast(c: Expressions, e: exp.Cast) -> Value:
    to, value = e.args["to"], c.value(e.this)
    name = to.this.name if to.this is not None and hasattr(to.this, "name") else str(to.this)
    kind = _TARGETS.get(name)
    if kind is None or (c.mariadb and kind == Kind.STAMP):
        c.refuse(e, f"CAST to {to.sql()} is outside the subset")
    if value.kind == Kind.NULL:
        return null(kind)
    if kind in (Kind.DATE, Kind.STAMP):
        if value.kind == kind:
            return value
        if isinstance(value.literal, str):
            return moment_literal(c, e, value.literal, kind)
    cast = _CASTS.get((value.kind, kind))
    if cast is None:
        c.refuse(e, f"CAST from {value.kind} to {kind} is outside the subset")
    done = cast(c, e, value, [int(p.name) for p in to.expressions])
    return replace(done, collation=SESSION_COLLATION) if c.mariadb and kind == Kind.TEXT else done


def as_text(c: Expressions, node: exp.Expr) -> Value:
    """An operand of a text function; numbers and dates become text as the database writes them."""
    value = c.value(node)
    if value.kind in (Kind.INT, Kind.EXACT, Kind.DATE):
        return _CASTS[(value.kind, Kind.TEXT)](c, node, value, [])
    if value.kind not in (Kind.TEXT, Kind.NULL):
        c.refuse(node, f"{value.kind} where text is needed: CAST it")
    return value


def _same(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return value


def _sized(c: Expressions, value: Value, parameters: Parameters) -> Value:
    if not parameters:
        if not c.mariadb:
            return value
        parameters = [10, 0]
    precision, scale = parameters[0], parameters[1] if len(parameters) > 1 else 0
    function = "my.clamp" if c.mariadb else "pg.fit"
    return c.call(f"{function}({{0}}, {precision}, {scale})", Kind.EXACT, value, scale=scale)


def _int_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _sized(c, c.exact(e, value), parameters)


def _exact_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _sized(c, value, parameters)


def _float_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    function = "my.float_to_number" if c.mariadb else "pg.real_to_number" if value.single else "pg.double_to_number"
    return _sized(c, c.call(f"{function}({{0}})", Kind.EXACT, value), parameters)


def _text_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _sized(c, c.call(f"{'my' if c.mariadb else 'pg'}.text_to_number({{0}})", Kind.EXACT, value), parameters)


def _exact_to_int(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call(f"{'my' if c.mariadb else 'pg'}.to_int({{0}})", Kind.INT, value, scale=0)


def _text_to_int(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call(f"{'my' if c.mariadb else 'pg'}.text_to_int({{0}})", Kind.INT, value, scale=0)


def _bool_to_int(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call("int({0})", Kind.INT, value, scale=0)


def _cut(c: Expressions, value: Value, parameters: Parameters) -> Value:
    return c.call(f"{{0}}[:{parameters[0]}]", Kind.TEXT, value) if parameters else value


def _int_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _cut(c, c.call("str({0})", Kind.TEXT, value), parameters)


def _exact_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    if value.unrounded or (c.mariadb and value.scale is None):
        c.refuse(e, "round the number before it becomes text: ROUND(x, n)")
    form = "both.number_text({0})"
    if c.mariadb:
        form = f"both.number_text(both.round_half_up({{0}}, {value.scale}))"
    return _cut(c, c.call(form, Kind.TEXT, value), parameters)


def _text_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    to = e.args["to"]
    if to.this == exp.DType.CHAR and not c.mariadb:
        cut = c.call(f"{{0}}[:{parameters[0] if parameters else 1}].rstrip(' ')", Kind.TEXT, value)
        return replace(cut, padded=True)
    return _cut(c, replace(value, padded=False), parameters)


def _date_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _cut(c, c.call("{0}", Kind.TEXT, value), parameters)


def _stamp_to_date(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call("{0}[:10]", Kind.DATE, value)


def _bool_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    if c.mariadb:
        c.refuse(e, "a condition as text: CASE WHEN … THEN … END")
    return _cut(c, c.call("('true' if {0} else 'false')", Kind.TEXT, value), parameters)


_CASTS: dict[tuple[Kind, Kind], Callable[[Expressions, exp.Expr, Value, Parameters], Value]] = {
    (Kind.INT, Kind.INT): _same,
    (Kind.EXACT, Kind.INT): _exact_to_int,
    (Kind.TEXT, Kind.INT): _text_to_int,
    (Kind.BOOL, Kind.INT): _bool_to_int,
    (Kind.INT, Kind.EXACT): _int_to_exact,
    (Kind.EXACT, Kind.EXACT): _exact_to_exact,
    (Kind.FLOAT, Kind.EXACT): _float_to_exact,
    (Kind.TEXT, Kind.EXACT): _text_to_exact,
    (Kind.INT, Kind.TEXT): _int_to_text,
    (Kind.EXACT, Kind.TEXT): _exact_to_text,
    (Kind.TEXT, Kind.TEXT): _text_to_text,
    (Kind.DATE, Kind.TEXT): _date_to_text,
    (Kind.BOOL, Kind.TEXT): _bool_to_text,
    (Kind.STAMP, Kind.DATE): _stamp_to_date,
}
CASTS: dict[type[exp.Expr], Handler] = {exp.Cast: _cast}
