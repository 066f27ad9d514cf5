"""Dates: literals, days added and between, parts, and dates made of numbers or digits."""

from __future__ import annotations

from sqlglot import exp

from streams.core.mapping import problems
from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.conditions import moment_literal
from streams.core.mapping.expressions.value import Value

_PARTS = {"YEAR": "[:4]", "MONTH": "[5:7]", "DAY": "[8:10]"}


def arithmetic(c: Expressions, e: exp.Expr, sign: str, a: Value, b: Value) -> Value:
    """PostgreSQL: date ± integer, date − date."""
    if c.mariadb:
        c.refuse(e, "a date is a number in MariaDB's arithmetic: DATE_ADD(d, INTERVAL n DAY), DATEDIFF(a, b)")
    if a.kind == b.kind == Kind.DATE and sign == "-":
        return c.call("both.days_between({0}, {1})", Kind.INT, a, b, scale=0)
    if sign == "+" and a.kind == Kind.INT:
        a, b = b, a
    if a.kind != Kind.DATE or b.kind != Kind.INT:
        c.refuse(e, f"{a.kind} {sign} {b.kind}: only date ± integer and date − date")
    return c.call(f"both.add_days({{0}}, {sign}{{1}})", Kind.DATE, a, b)


def with_interval(c: Expressions, e: exp.Expr, day: exp.Expr, interval: exp.Interval, sign: str) -> Value:
    """MariaDB: date ± INTERVAL n DAY."""
    if not c.mariadb:
        c.refuse(e, "date ± interval is a time stamp in PostgreSQL: date + n")
    unit = interval.args.get("unit")
    return _shifted(c, e, day, interval.this, unit.name if unit is not None else "", sign)


def _date_add(c: Expressions, e: exp.DateAdd) -> Value:
    if not c.mariadb:
        c.refuse(e, "DATE_ADD is no function of PostgreSQL: date + n")
    amount, unit = e.expression, e.args.get("unit")
    if isinstance(amount, exp.Interval):
        amount, unit = amount.this, amount.args.get("unit")
    return _shifted(c, e, e.this, amount, unit.name if unit is not None else "DAY", "+")


def _shifted(c: Expressions, e: exp.Expr, day: exp.Expr, amount: exp.Expr, unit: str, sign: str) -> Value:
    negative = isinstance(amount, exp.Neg)
    number = amount.this if negative else amount
    text = number.name if isinstance(number, exp.Literal) else ""
    if unit.upper() not in ("DAY", "DAYS") or not text.lstrip("-").isdigit():
        c.refuse(e, "only INTERVAL n DAY with a literal n")
    days = int(text) * (-1 if negative else 1) * (1 if sign == "+" else -1)
    return c.call(f"my.add_days({{0}}, {days})", Kind.DATE, c.argument(day, Kind.DATE), may_be_null=True)


def _difference(c: Expressions, e: exp.DateDiff) -> Value:
    if not c.mariadb:
        c.refuse(e, "DATEDIFF is no function of PostgreSQL: date - date")
    a, b = c.argument(e.this, Kind.DATE), c.argument(e.expression, Kind.DATE)
    return c.call("both.days_between({0}, {1})", Kind.INT, a, b, scale=0)


def _date_of(c: Expressions, e: exp.TsOrDsToDate | exp.Date) -> Value:
    value = c.value(e.this)
    if value.kind not in (Kind.STAMP, Kind.DATE):
        c.refuse(e, f"DATE of {value.kind}")
    return c.call("{0}[:10]", Kind.DATE, value)


def _date_literal(c: Expressions, e: exp.DateStrToDate) -> Value:
    return moment_literal(c, e, e.this.this, Kind.DATE)


def _from_parts(c: Expressions, e: exp.DateFromParts) -> Value:
    if c.mariadb:
        c.refuse(e, "this is no function of MariaDB: MAKEDATE or STR_TO_DATE")
    return _make_date(c, [e.args["year"], e.args["month"], e.args["day"]])


def _make_date(c: Expressions, parts: list[exp.Expr]) -> Value:
    return c.call("pg.make_date({0}, {1}, {2})", Kind.DATE, *[c.argument(part, Kind.INT) for part in parts])


def _read_date(c: Expressions, e: exp.StrToDate) -> Value:
    form = e.args["format"].name
    if form not in ("%Y%j", "%Y%m%d", "%Y-%m-%d") or (c.mariadb and form == "%Y%j"):
        c.refuse(e, "the format may be YYYYMMDD or YYYY-MM-DD" + ("" if c.mariadb else ", or YYYYDDD"))
    return c.call(f"both.read_date({{0}}, {form!r})", Kind.DATE, c.argument(e.this, Kind.TEXT))


def _extract(c: Expressions, e: exp.Extract) -> Value:
    part = _PARTS.get(e.name.upper())
    value = c.value(e.expression)
    if part is None or value.kind not in (Kind.DATE, Kind.STAMP):
        c.refuse(e, f"EXTRACT {e.name.upper()} from {value.kind}: only YEAR, MONTH or DAY from a date or time stamp")
    if c.mariadb:
        return c.call(f"int({{0}}{part})", Kind.INT, value, scale=0)
    return c.call(f"Decimal(int({{0}}{part}))", Kind.EXACT, value, scale=0)


def _named(c: Expressions, e: exp.Anonymous) -> Value:
    name, count = e.name.upper(), len(e.expressions)
    if name == "MAKEDATE" and c.mariadb and count == 2:
        year, day = (c.argument(a, Kind.INT) for a in e.expressions)
        return c.call("my.makedate({0}, {1})", Kind.DATE, year, day, may_be_null=True)
    if name == "MAKE_DATE" and not c.mariadb and count == 3:
        return _make_date(c, e.expressions)
    raise problems.refusal(c.file, e, f"function {e.name} is outside the subset")


DATES: dict[type[exp.Expr], Handler] = {
    exp.DateAdd: _date_add,
    exp.DateDiff: _difference,
    exp.TsOrDsToDate: _date_of,
    exp.Date: _date_of,
    exp.DateStrToDate: _date_literal,
    exp.DateFromParts: _from_parts,
    exp.StrToDate: _read_date,
    exp.Extract: _extract,
    exp.Anonymous: _named,
}
