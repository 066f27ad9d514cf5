"""Dates: literals, days added and between, parts, and dates made of numbers or digits."""

from __future__ import annotations

import zoneinfo

from sqlglot import exp

from streams.core.mapping import problems
from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.conditions import moment_literal
from streams.core.mapping.expressions.value import Value

_PARTS = {"YEAR": "[:4]", "MONTH": "[5:7]", "DAY": "[8:10]"}
_FORMS = ("%Y%j", "%Y%m%d", "%Y-%m-%d")
_DAYS = ("DAY", "DAYS")
_SECONDS = ("SECOND", "SECONDS")


# days added and between


def arithmetic(c: Expressions, e: exp.Expr, sign: str, a: Value, b: Value) -> Value:
    """PostgreSQL, Oracle: date ± integer, date − date."""
    if c.dialect.mysql_family:
        name = c.dialect.name
        c.refuse(e, f"a date is a number in {name}'s arithmetic: DATE_ADD(d, INTERVAL n DAY), DATEDIFF(a, b)")
    if c.dialect.sqlserver:
        c.refuse(e, "a date has no arithmetic in SQL Server: DATEADD(day, n, d), DATEDIFF(day, a, b)")
    if a.kind == b.kind == Kind.DATE and sign == "-":
        return c.call("both.days_between({0}, {1})", Kind.INT, a, b, scale=0)
    if sign == "+" and a.kind == Kind.INT:
        a, b = b, a
    if a.kind != Kind.DATE or b.kind != Kind.INT:
        c.refuse(e, f"{a.kind} {sign} {b.kind}: only date ± integer and date − date")
    return c.call(f"both.add_days({{0}}, {sign}{{1}})", Kind.DATE, a, b)


def with_interval(c: Expressions, e: exp.Expr, day: exp.Expr, interval: exp.Interval, sign: str) -> Value:
    """MariaDB: date ± INTERVAL n DAY, or n SECOND."""
    if not c.dialect.mysql_family:
        c.refuse(e, f"date ± interval is a time stamp in {c.dialect.name}: date + n")
    unit = interval.args.get("unit")
    return _shifted(c, e, day, interval.this, unit.name if unit is not None else "", sign)


def _date_add(c: Expressions, e: exp.DateAdd) -> Value:
    amount, unit = e.expression, e.args.get("unit")
    if c.dialect.sqlserver:
        if unit is None or unit.name.upper() not in _DAYS:
            c.refuse(e, "only DATEADD(day, n, d)")
        return c.call("both.add_days({1}, {0})", Kind.DATE, c.argument(amount, Kind.INT), c.argument(e.this, Kind.DATE))
    if not c.dialect.mysql_family:
        c.absent(e, "DATE_ADD", "date + n")
    if isinstance(amount, exp.Interval):
        amount, unit = amount.this, amount.args.get("unit")
    return _shifted(c, e, e.this, amount, unit.name if unit is not None else "DAY", "+")


def _whole(c: Expressions, amount: exp.Expr) -> Value:
    """The number of an INTERVAL: the parser makes a text of a literal one."""
    digits = isinstance(amount, exp.Literal) and amount.is_string and amount.this.isdigit()
    return c.value(exp.Literal.number(amount.this)) if digits else c.argument(amount, Kind.INT)


def _shifted(c: Expressions, e: exp.Expr, day: exp.Expr, amount: exp.Expr, unit: str, sign: str) -> Value:
    if unit.upper() in _SECONDS:
        return _later(c, e, day, _whole(c, amount), sign, "my")
    negative = isinstance(amount, exp.Neg)
    number = amount.this if negative else amount
    text = number.name if isinstance(number, exp.Literal) else ""
    if unit.upper() not in _DAYS or not text.lstrip("-").isdigit():
        c.refuse(e, "only INTERVAL n DAY with a literal n, and INTERVAL n SECOND")
    days = int(text) * (-1 if negative else 1) * (1 if sign == "+" else -1)
    return c.call(f"my.add_days({{0}}, {days})", Kind.DATE, c.argument(day, Kind.DATE), may_be_null=True)


# seconds added


def with_seconds(c: Expressions, e: exp.Expr, moment: exp.Expr, interval: exp.MakeInterval, sign: str) -> Value:
    """PostgreSQL: date or time stamp ± make_interval(secs => n)."""
    seconds = interval.args["second"]
    if not isinstance(seconds, exp.Kwarg):
        c.refuse(e, "only make_interval(secs => n)")
    return _later(c, e, moment, c.argument(seconds.expression, Kind.INT), sign, "both")


def _later(c: Expressions, e: exp.Expr, moment: exp.Expr, seconds: Value, sign: str, runtime: str) -> Value:
    value = c.value(moment)
    if value.kind not in (Kind.DATE, Kind.STAMP):
        c.refuse(e, f"{value.kind} and seconds: only a date or time stamp without a zone")
    form = f"{runtime}.add_seconds({{0}}, {sign}{{1}})"
    return c.call(form, Kind.STAMP, value, seconds, may_be_null=runtime != "both")


def _difference(c: Expressions, e: exp.DateDiff) -> Value:
    if c.dialect.sqlserver:
        unit = e.args.get("unit")
        if unit is None or unit.name.upper() not in _DAYS:
            c.refuse(e, "only DATEDIFF(day, a, b)")
    elif not c.dialect.mysql_family:
        c.absent(e, "DATEDIFF", "date - date")
    a, b = c.argument(e.this, Kind.DATE), c.argument(e.expression, Kind.DATE)
    return c.call("both.days_between({0}, {1})", Kind.INT, a, b, scale=0)


# parts


def _date_of(c: Expressions, e: exp.TsOrDsToDate | exp.Date) -> Value:
    if c.dialect.char_keeps_blanks:
        c.absent(e, "DATE", "TRUNC(d)" if c.dialect.oracle else "CAST(d AS date)")
    return _day_of(c, e, c.value(e.this))


def _day_of(c: Expressions, e: exp.Expr, value: Value) -> Value:
    if value.kind == Kind.INSTANT:
        c.refuse(e, "the day of an instant depends on the zone: take a column without one")
    if value.kind not in (Kind.STAMP, Kind.DATE):
        c.refuse(e, f"the date of {value.kind}")
    return c.call("{0}[:10]", Kind.DATE, value)


def _extract(c: Expressions, e: exp.Extract) -> Value:
    return _part(c, e, e.name.upper(), c.value(e.expression))


def _named_part(c: Expressions, e: exp.Year | exp.Month | exp.Day) -> Value:
    if not (c.dialect.sqlserver or c.dialect.mysql_family):
        c.absent(e, type(e).__name__.upper(), f"EXTRACT({type(e).__name__.upper()} FROM d)")
    inner = e.this.this if isinstance(e.this, exp.TsOrDsToDate) else e.this  # the parser's own wrapping
    return _part(c, e, type(e).__name__.upper(), c.value(inner))


def _part(c: Expressions, e: exp.Expr, name: str, value: Value) -> Value:
    part = _PARTS.get(name)
    if part is None or value.kind not in (Kind.DATE, Kind.STAMP):
        c.refuse(e, f"EXTRACT {name} from {value.kind}: only YEAR, MONTH or DAY from a date or time stamp")
    if c.dialect.postgres:
        return c.call(f"Decimal(int(both.finite({{0}}){part}))", Kind.EXACT, value, scale=0)
    return c.call(f"int({{0}}{part})", Kind.INT, value, scale=0)


# zones


def _at_zone(c: Expressions, e: exp.AtTimeZone) -> Value:
    """PostgreSQL: an instant becomes the time stamp of a zone, a time stamp of a zone the instant."""
    if not c.dialect.postgres:
        c.refuse(e, f"AT TIME ZONE is not proven for {c.dialect.name}: map the column as it is, and say time_zone")
    zone, value = e.args["zone"], c.value(e.this)
    if not zone.is_string or not _known_zone(zone.this):
        c.refuse(zone, "the zone must be a literal of the time zone database, as 'Europe/Paris' or 'UTC'")
    if value.kind not in (Kind.INSTANT, Kind.STAMP):
        c.refuse(e, f"AT TIME ZONE of {value.kind}: only of a time stamp")
    function, kind = ("of_zone", Kind.INSTANT) if value.kind == Kind.STAMP else ("in_zone", Kind.STAMP)
    return c.call(f"pg.{function}({{0}}, {zone.this!r})", kind, value)


def _known_zone(name: str) -> bool:
    """An abbreviation as EST, or a rule as UTC+3, means something else to PostgreSQL."""
    if name != "UTC" and "/" not in name:
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return False
    return True


# dates made of something


def _date_literal(c: Expressions, e: exp.DateStrToDate) -> Value:
    return moment_literal(c, e, e.this.this, Kind.DATE)


def _from_parts(c: Expressions, e: exp.DateFromParts) -> Value:
    if c.dialect.mysql_family:
        c.refuse(e, f"this is no function of {c.dialect.name}: MAKEDATE or STR_TO_DATE")
    if c.dialect.oracle:
        c.absent(e, "DATEFROMPARTS", "TO_DATE(TO_CHAR(n), 'YYYYMMDD')")
    return _make_date(c, [e.args["year"], e.args["month"], e.args["day"]])


def _make_date(c: Expressions, parts: list[exp.Expr]) -> Value:
    return c.call("pg.make_date({0}, {1}, {2})", Kind.DATE, *[c.argument(part, Kind.INT) for part in parts])


def _read_date(c: Expressions, e: exp.StrToDate) -> Value:
    form = e.args["format"].name if e.args.get("format") is not None else ""
    if form not in _FORMS or (c.dialect.mysql_family and form == "%Y%j"):
        c.refuse(e, "the format may be YYYYMMDD or YYYY-MM-DD" + ("" if c.dialect.mysql_family else ", or YYYYDDD"))
    return c.call(f"both.read_date({{0}}, {form!r})", Kind.DATE, c.text(e.this))


def _to_char(c: Expressions, e: exp.ToChar) -> Value:
    """Oracle: TO_CHAR of a whole number, or of a date in digits."""
    if not c.dialect.oracle:
        c.refuse(e, "TO_CHAR is outside the subset here: CAST it")
    value, form = c.value(e.this), e.args.get("format")
    if form is None:
        if value.kind == Kind.EXACT and value.scale == 0 and not value.unrounded:
            return c.call("format({0}, '.0f')", Kind.TEXT, value)
        if value.kind == Kind.INT:
            return c.call("str({0})", Kind.TEXT, value)
        c.refuse(e, f"TO_CHAR of {value.kind}: only of whole numbers; TRUNC(x) or ROUND(x) makes one")
    text = form.name.upper()
    if value.kind in (Kind.DATE, Kind.STAMP) and text in ("YYYY-MM-DD", "YYYYMMDD"):
        return c.call("{0}[:10]" + ("" if "-" in text else ".replace('-', '')"), Kind.TEXT, value)
    zeros = text.removeprefix("FM")
    if value.kind == Kind.INT and text.startswith("FM") and zeros and not zeros.strip("0"):
        return c.call(f"ora.zeros({{0}}, {len(zeros)})", Kind.TEXT, value)
    reason = "the format may be 'YYYY-MM-DD' or 'YYYYMMDD' of a date, 'FM000' of an integer"
    raise problems.refusal(c.file, e, reason)


def _to_number(c: Expressions, e: exp.ToNumber) -> Value:
    if not c.dialect.oracle or e.args.get("format") is not None:
        c.refuse(e, "TO_NUMBER takes one text, in Oracle: CAST it")
    return c.call("ora.text_to_number({0})", Kind.EXACT, c.text(e.this))


def _parsers_own(c: Expressions, e: exp.TimeStrToTime) -> Value:
    """DATEDIFF of SQL Server: the parser wraps its arguments."""
    return _day_of(c, e, c.value(e.this))


def _named(c: Expressions, e: exp.Anonymous) -> Value:
    name, count = e.name.upper(), len(e.expressions)
    if name == "MAKEDATE" and c.dialect.mysql_family and count == 2:
        year, day = (c.argument(a, Kind.INT) for a in e.expressions)
        return c.call("my.makedate({0}, {1})", Kind.DATE, year, day, may_be_null=True)
    if name == "MAKE_DATE" and c.dialect.postgres and count == 3:
        return _make_date(c, e.expressions)
    if name == "TRUNC" and c.dialect.oracle and count == 1:
        value = c.value(e.expressions[0])
        if value.kind in (Kind.DATE, Kind.STAMP):
            return _day_of(c, e, value)
        return c.call("both.truncate({0}, 0)", Kind.EXACT, c.exact(e, value), scale=0)
    raise problems.refusal(c.file, e, f"function {e.name} is outside the subset")


DATES: dict[type[exp.Expr], Handler] = {
    exp.DateAdd: _date_add,
    exp.DateDiff: _difference,
    exp.TsOrDsToDate: _date_of,
    exp.Date: _date_of,
    exp.Year: _named_part,
    exp.Month: _named_part,
    exp.Day: _named_part,
    exp.Extract: _extract,
    exp.DateStrToDate: _date_literal,
    exp.DateFromParts: _from_parts,
    exp.StrToDate: _read_date,
    exp.ToChar: _to_char,
    exp.ToNumber: _to_number,
    exp.TimeStrToTime: _parsers_own,
    exp.AtTimeZone: _at_zone,
    exp.Anonymous: _named,
}
