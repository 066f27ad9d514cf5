"""Scalar semantics both databases share, as generated code calls them.  NULL never reaches these functions.

Inside the compiled code a date is 'YYYY-MM-DD' and a time stamp 'YYYY-MM-DDTHH:MM:SS[.f]': Debezium's isostring
without its Z and without trailing zeros, so text order is time order.  Exact numbers are added, subtracted and
multiplied in a context that never rounds, passed explicitly: a thread's own decimal context plays no part.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

from streams.core.mapping.model import RowError

EXACT = Context(prec=400, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""+ − × must come out exactly; more digits than this is a row error."""
ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])
DATES_KEPT = 1 << 14
"""Dates of a business are few: what is computed of them is remembered."""
_STEPS = {n: Decimal(1).scaleb(-n) for n in range(-80, 81)}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def unmappable(reason: str) -> RowError:
    """The row has no value in SQL either, or none the contract can hold."""
    return RowError("row-unmappable", reason)


def step(digits: int) -> Decimal:
    """The unit of the last of so many digits after the point."""
    try:
        return _STEPS[digits]
    except KeyError:
        raise unmappable(f"{digits} digits after the point") from None


def round_half_up(x: Decimal, digits: int) -> Decimal:
    return x.quantize(step(digits), ROUND_HALF_UP, ROUNDING)


def truncate(x: Decimal, digits: int) -> Decimal:
    return x.quantize(step(digits), ROUND_DOWN, ROUNDING)


def floor(x: Decimal) -> Decimal:
    return Decimal(x.__floor__())


def ceiling(x: Decimal) -> Decimal:
    return Decimal(x.__ceil__())


def scale_of(x: Decimal) -> int:
    """Digits after the point."""
    return max(0, -int(x.as_tuple().exponent))


def int_divide(a: int, b: int) -> int:
    """Towards zero."""
    if not b:
        raise unmappable("division by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def int_modulo(a: int, b: int) -> int:
    """Takes the sign of the dividend."""
    if not b:
        raise unmappable("division by zero")
    return abs(a) % abs(b) * (1 if a >= 0 else -1)


def number_text(x: Decimal) -> str:
    return format(x if x else abs(x), "f")


def within(s: str, length: int) -> str:
    """The text of a number, which is not cut off."""
    if len(s) > length:
        raise unmappable(f"{s} does not fit {length} characters")
    return s


def upper(s: str) -> str:
    """One character at a time: 'ß' stays."""
    return s.upper() if s.isascii() else "".join(u if len(u := c.upper()) == 1 else c for c in s)


def lower(s: str) -> str:
    return s.lower() if s.isascii() else "".join(c.lower()[0] for c in s)


def pad(s: str, length: int, fill: str, left: bool) -> str:
    if length <= len(s):
        return s[: max(0, length)]
    if not fill:
        return s
    more = (fill * (length - len(s)))[: length - len(s)]
    return more + s if left else s + more


INFINITY = "infinity"
"""A date of PostgreSQL later than any other: so is its text."""
_SENT_INFINITE = ("+292278994-08-16Z", "+5877611-06-21Z")
"""How Debezium sends it, in a snapshot and in the stream.  `-infinity` comes as a year of our future."""


def date(sent: str) -> str:
    """A date as Debezium sends it; years outside 0001–9999 are longer or lack their place."""
    if len(sent) != 11 or sent[4] != "-":
        if sent in _SENT_INFINITE:
            return INFINITY
        raise unmappable(f"date {sent} is outside the years 1 to 9999")
    return sent[:10]


def finite(day: str) -> str:
    """A date that is a day: infinity can be compared, and nothing else."""
    if day == INFINITY:
        raise unmappable("date infinity is outside the years 1 to 9999")
    return day


def read_day(day: str) -> dt.date:
    return dt.date.fromisoformat(finite(day))


def stamp(sent: str) -> str:
    """A time stamp as Debezium sends it; the same value may come with or without trailing zeros."""
    if len(sent) < 20 or sent[4] != "-" or sent[-1] != "Z":
        raise unmappable(f"time stamp {sent} is outside the years 1 to 9999")
    return sent[:-1].rstrip("0").rstrip(".") if "." in sent else sent[:-1]


def unsigned(x: int) -> int:
    """BIGINT UNSIGNED above 2⁶³ comes as a negative number."""
    return x if x >= 0 else x + (1 << 64)


@functools.lru_cache(DATES_KEPT)
def add_days(day: str, days: int) -> str:
    try:
        return (read_day(day) + dt.timedelta(days)).isoformat()
    except OverflowError:
        raise unmappable(f"{day} and {days} days is outside the years 1 to 9999") from None


def days_between(a: str, b: str) -> int:
    return read_day(a).toordinal() - read_day(b).toordinal()


def stamp_text(moment: dt.datetime) -> str:
    text = moment.isoformat()
    return text.rstrip("0").rstrip(".") if "." in text else text


def add_seconds(moment: str, seconds: int) -> str:
    """To a time stamp, or to the midnight a date begins with."""
    try:
        return stamp_text(dt.datetime.fromisoformat(finite(moment)) + dt.timedelta(seconds=seconds))
    except OverflowError:
        raise unmappable(f"{moment} and {seconds} seconds is outside the years 1 to 9999") from None


_DIGITS = re.compile(r"[0-9]+")
_FORMS = {"%Y%j": "YYYYDDD", "%Y%m%d": "YYYYMMDD", "%Y-%m-%d": "YYYY-MM-DD"}
"""What is read as a date, and how people are told."""


@functools.lru_cache(DATES_KEPT)
def read_date(s: str, form: str) -> str:
    """TO_DATE or STR_TO_DATE of exactly the digits the format names; anything looser is a row error."""
    try:
        if form == "%Y%j" and len(s) == 7 and _DIGITS.fullmatch(s) and s[4:] != "000":
            day = add_days(s[:4] + "-01-01", int(s[4:]) - 1)
            if day[:4] == s[:4]:
                return day
        if form == "%Y%m%d" and len(s) == 8 and _DIGITS.fullmatch(s):
            return dt.date(int(s[:4]), int(s[4:6]), int(s[6:])).isoformat()
        if form == "%Y-%m-%d" and len(s) == 10:
            return dt.date.fromisoformat(s).isoformat()
    except ValueError:
        pass
    raise unmappable(f"{s!r} is no date of the form {_FORMS[form]}")


def microseconds(text: str, zone: dt.tzinfo = dt.UTC) -> str:
    """A time stamp as decimal epoch microseconds; `zone` says what a time stamp without a zone means."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=zone)
    return str((moment - _EPOCH) // dt.timedelta(microseconds=1))
