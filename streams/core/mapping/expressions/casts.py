"""CAST between the kinds: only what both the database and the compiled code do alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from streams.core.mapping import problems
from streams.core.mapping.catalogue import SESSION_COLLATION, Kind
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.conditions import moment_literal
from streams.core.mapping.expressions.value import Size, Value, null

_TARGETS = {
    "INT": Kind.INT, "BIGINT": Kind.INT, "SMALLINT": Kind.INT,
    "DECIMAL": Kind.EXACT,
    "TEXT": Kind.TEXT, "VARCHAR": Kind.TEXT, "CHAR": Kind.TEXT, "NVARCHAR": Kind.TEXT, "NCHAR": Kind.TEXT,
    "DATE": Kind.DATE, "TIMESTAMP": Kind.STAMP, "DATETIME": Kind.STAMP, "DATETIME2": Kind.STAMP,
}  # fmt: skip
_WHOLE_DIGITS = {"SMALLINT": 5, "INT": 10, "BIGINT": 19}
_SQLSERVER_VARCHAR = 30
"""Length of a VARCHAR without one, in a CAST."""
Parameters = list[int]
_Cast = Callable[[Expressions, exp.Expr, Value, Parameters], Value]


def _cast(c: Expressions, e: exp.Cast) -> Value:
    return _converted(c, e, c.value(e.this), e.args["to"])


def _convert(c: Expressions, e: exp.Convert) -> Value:
    """SQL Server: CONVERT(type, x [, style])."""
    value, to, style = c.value(e.expression), e.this, e.args.get("style")
    if style is None:
        return _converted(c, e, value, to)
    kind = _kind_of(c, e, to)
    form = _STYLES.get(style.name)
    if form is not None and kind == Kind.TEXT and value.kind in (Kind.DATE, Kind.STAMP):
        day = "{0}[:10]" if form == "%Y-%m-%d" else "{0}[:10].replace('-', '')"
        shown = 10 if form == "%Y-%m-%d" else 8
        if value.kind == Kind.DATE or _parameters(c, e, to) == [shown]:
            return _cut(c, c.call(day, Kind.TEXT, value), _parameters(c, e, to))
    if form is not None and kind == Kind.DATE and value.kind == Kind.TEXT:
        return c.call(f"both.read_date({{0}}, {form!r})", Kind.DATE, value)
    raise problems.refusal(
        c.file, e, "only styles 112 (YYYYMMDD) and 23, 120, 121 (YYYY-MM-DD), between dates and text of that length"
    )


_STYLES = {"112": "%Y%m%d", "23": "%Y-%m-%d", "120": "%Y-%m-%d", "121": "%Y-%m-%d"}


def _kind_of(c: Expressions, e: exp.Expr, to: exp.DataType) -> Kind:
    name = to.this.name if to.this is not None and hasattr(to.this, "name") else str(to.this)
    kind = _TARGETS.get(name)
    if kind is None:
        c.refuse(e, f"CAST to {to.sql()} is outside the subset")
    return kind


def _parameters(c: Expressions, e: exp.Expr, to: exp.DataType) -> Parameters:
    names = [p.name for p in to.expressions]
    if names == ["MAX"]:
        return []
    if not all(name.isdigit() for name in names):
        c.refuse(e, f"CAST to {to.sql()} is outside the subset")
    text = _TARGETS.get(to.this.name) == Kind.TEXT
    return [_SQLSERVER_VARCHAR] if c.dialect.sqlserver and text and not names else [int(n) for n in names]


def _converted(c: Expressions, e: exp.Expr, value: Value, to: exp.DataType) -> Value:
    kind = _kind_of(c, e, to)
    if value.kind == Kind.NULL:
        return replace(null(kind), collation=_cast_collation(c, kind))
    if kind in (Kind.DATE, Kind.STAMP) and isinstance(value.literal, str) and not c.dialect.empty_is_null:
        return moment_literal(c, e, value.literal, kind)
    refused = _OTHERWISE.get((c.dialect.runtime, value.kind, kind))
    if refused:
        c.refuse(e, refused)
    if value.kind == kind and kind in (Kind.DATE, Kind.STAMP):
        return value
    cast = _CASTS.get((value.kind, kind))
    if cast is None:
        c.refuse(e, f"CAST from {value.kind} to {kind} is outside the subset")
    if value.padded and c.dialect.char_keeps_blanks and kind == Kind.TEXT:
        c.refuse(e, "the blanks of a CHAR(n) column stay: TRIM it first")
    if to.this in (exp.DType.CHAR, exp.DType.NCHAR) and c.dialect.char_keeps_blanks:
        c.refuse(e, "CAST to CHAR(n) appends blanks: CAST to VARCHAR(n)")
    done = cast(c, e, value, _parameters(c, e, to))
    if kind == Kind.INT and to.this.name in _WHOLE_DIGITS:
        done = replace(done, size=Size(_WHOLE_DIGITS[to.this.name], 0))
    return replace(done, collation=_cast_collation(c, kind) or done.collation)


def _cast_collation(c: Expressions, kind: Kind) -> str | None:
    """CAST gives text the session's collation in MariaDB and MySQL, also to NULL."""
    return SESSION_COLLATION if c.dialect.mysql_family and kind == Kind.TEXT else None


def as_text(c: Expressions, node: exp.Expr) -> Value:
    """An operand of a text function; numbers and dates become text as the database writes them."""
    value = c.value(node)
    if value.kind in (Kind.INT, Kind.EXACT, Kind.DATE):
        refused = _OTHERWISE.get((c.dialect.runtime, value.kind, Kind.TEXT))
        if refused:
            c.refuse(node, refused)
        return _CASTS[(value.kind, Kind.TEXT)](c, node, value, [])
    if value.kind not in (Kind.TEXT, Kind.NULL):
        c.refuse(node, f"{value.kind} where text is needed: CAST it")
    return c.without_blanks(node, value)


def _same(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return value


# to numbers


def _sized(c: Expressions, value: Value, parameters: Parameters) -> Value:
    if not parameters:
        if c.dialect.cast_decimal is None:
            return value
        parameters = list(c.dialect.cast_decimal)
    precision, scale = parameters[0], parameters[1] if len(parameters) > 1 else 0
    form = f"fit({{0}}, {precision}, {scale})"
    return c.own(form, Kind.EXACT, value, scale=scale, size=Size(precision, scale))


def _int_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _sized(c, c.exact(e, value), parameters)


def _exact_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _sized(c, value, parameters)


def _float_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    function = "pg.real_to_number" if value.single else "pg.double_to_number"
    if c.dialect.mysql_family:
        function = "my.float_to_number"
    return _sized(c, c.call(f"{function}({{0}})", Kind.EXACT, value), parameters)


def _text_to_exact(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    _no_enum(c, e, value)
    return _sized(c, c.own("text_to_number({0})", Kind.EXACT, value), parameters)


def _exact_to_int(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.own("to_int({0})", Kind.INT, value, scale=0)


def _text_to_int(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    _no_enum(c, e, value)
    return c.own("text_to_int({0})", Kind.INT, value, scale=0)


def _no_enum(c: Expressions, e: exp.Expr, value: Value) -> None:
    if value.labels:
        c.refuse(e, "the number of an enum is its place in the declaration: CAST it to CHAR first")


def _bool_to_int(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call("int({0})", Kind.INT, value, scale=0)


# to text


def _cut(c: Expressions, value: Value, parameters: Parameters) -> Value:
    return c.call(f"{{0}}[:{parameters[0]}]", Kind.TEXT, value) if parameters else value


def _number_cut(c: Expressions, value: Value, parameters: Parameters) -> Value:
    """The text of a number: SQL Server and Oracle give no digits away."""
    if parameters and c.dialect.char_keeps_blanks:
        return c.call(f"both.within({{0}}, {parameters[0]})", Kind.TEXT, value)
    return _cut(c, value, parameters)


def _int_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    if value.bit:
        c.refuse(e, f"a BIT becomes bytes in {c.dialect.name}, not digits: CASE WHEN x = 1 THEN '1' ELSE '0' END")
    return _number_cut(c, c.call("str({0})", Kind.TEXT, value), parameters)


def _exact_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    if value.unrounded or (not c.dialect.postgres and value.scale is None):
        c.refuse(e, "round the number before it becomes text: ROUND(x, n)")
    if c.dialect.sized_numbers and (value.size is None or value.size.scale != value.scale):
        c.refuse(e, "how many digits it shows follows from its type: CAST(x AS decimal(p, s)) first")
    if c.dialect.oracle and value.scale:
        c.refuse(e, "Oracle writes .5 for 0.5, and no trailing zeros: TO_CHAR of a whole number only")
    form = "both.number_text({0})"
    if not c.dialect.postgres:
        form = f"both.number_text(both.round_half_up({{0}}, {value.scale}))"
    return _number_cut(c, c.call(form, Kind.TEXT, value), parameters)


def _text_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    to = e.args["to"] if isinstance(e, exp.Cast) else e.this
    if to.this == exp.DType.CHAR and c.dialect.postgres:
        cut = c.call(f"{{0}}[:{parameters[0] if parameters else 1}].rstrip(' ')", Kind.TEXT, value)
        return replace(cut, padded=True)
    return _cut(c, replace(value, padded=False, labels=()), parameters)


def _date_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _cut(c, c.call("{0}", Kind.TEXT, value), parameters)


def _enum_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return _cut(c, replace(value, kind=Kind.TEXT, labels=()), parameters)


def _uuid_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    """SQL Server writes it in upper case."""
    form = "{0}.upper()" if c.dialect.sqlserver else "{0}"
    return _number_cut(c, c.call(form, Kind.TEXT, value), parameters)


def _bool_to_text(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    if c.dialect.mysql_family:
        c.refuse(e, "a condition as text: CASE WHEN … THEN … END")
    return _cut(c, c.call("('true' if {0} else 'false')", Kind.TEXT, value), parameters)


# to dates


def _stamp_to_date(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call("{0}[:10]", Kind.DATE, value)


def _date_to_stamp(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    return c.call("(both.finite({0}) + 'T00:00:00')", Kind.STAMP, value)


def _text_to_date(c: Expressions, e: exp.Expr, value: Value, parameters: Parameters) -> Value:
    if not c.dialect.sqlserver:
        c.refuse(e, "CAST from text to date is outside the subset: TO_DATE, STR_TO_DATE")
    return c.call("ms.read_date({0})", Kind.DATE, value)


_NOT_A_FLOAT = "what a float becomes is not proven here: map an exact column"
_OTHERWISE: dict[tuple[str, Kind, Kind], str] = {
    ("ms", Kind.FLOAT, Kind.EXACT): _NOT_A_FLOAT,
    ("ora", Kind.FLOAT, Kind.EXACT): _NOT_A_FLOAT,
    ("ora", Kind.DATE, Kind.TEXT): "its form follows the session: TO_CHAR(d, 'YYYY-MM-DD')",
    ("ora", Kind.TEXT, Kind.DATE): "its form follows the session: TO_DATE(x, 'YYYY-MM-DD')",
    ("my", Kind.STAMP, Kind.STAMP): "CAST to DATETIME cuts fractions of a second: leave it out",
    ("pg", Kind.INSTANT, Kind.DATE): "the day of an instant depends on the zone: CAST(z AT TIME ZONE 'UTC' AS date)",
    ("pg", Kind.INSTANT, Kind.STAMP): "an instant becomes a time stamp in a zone: z AT TIME ZONE 'UTC'",
    ("ora", Kind.STAMP, Kind.DATE): "a DATE of Oracle keeps its time of day: TRUNC(d)",
}
"""(runtime, from, to) → why not, and the way out."""

_CASTS: dict[tuple[Kind, Kind], _Cast] = {
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
    (Kind.ENUM, Kind.TEXT): _enum_to_text,
    (Kind.UUID, Kind.TEXT): _uuid_to_text,
    (Kind.STAMP, Kind.DATE): _stamp_to_date,
    (Kind.TEXT, Kind.DATE): _text_to_date,
    (Kind.DATE, Kind.STAMP): _date_to_stamp,
}
CASTS: dict[type[exp.Expr], Handler] = {exp.Cast: _cast, exp.Convert: _convert}
