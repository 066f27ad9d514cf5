"""Scalar semantics of MariaDB that PostgreSQL does not share.  NULL never reaches these functions."""

from __future__ import annotations

import datetime as dt
import functools
import re
from decimal import ROUND_DOWN, Context, Decimal

from streams.core.mapping import semantics
from streams.core.mapping.model import RowError
from streams.core.mapping.semantics import DATES_KEPT, round_half_up, scale_of, step, truncate

_CUT = Context(prec=90, rounding=ROUND_DOWN)
_NUMBER = re.compile(r"[ \t\n\r\f\v]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_INTEGER = re.compile(r"[ \t\n\r\f\v]*([+-]?[0-9]+)")
_GROUP = 9
_DIV_PRECISION_INCREMENT = 4


def divide(a: Decimal, b: Decimal) -> Decimal | None:
    """Digits in groups of nine, cut off; the value is rounded only where it is stored.  By zero: NULL."""
    if not b:
        return None
    scale_a, scale_b = scale_of(a), scale_of(b)
    room_a, room_b = -(-scale_a // _GROUP) * _GROUP, -(-scale_b // _GROUP) * _GROUP
    more = max(0, _DIV_PRECISION_INCREMENT - (room_a - scale_a + room_b - scale_b))
    return truncate(_CUT.divide(a, b), -(-(room_a + room_b + more) // _GROUP) * _GROUP)


def fit(x: Decimal, precision: int, scale: int) -> Decimal:
    """CAST to DECIMAL(p, s): too large becomes 99…9."""
    x = round_half_up(x, scale)
    if x and x.adjusted() >= precision - scale:
        x = (step(scale - precision) - step(scale)).copy_sign(x)
    return x


def float_to_number(x: float) -> Decimal:
    return Decimal(repr(x))


def text_to_number(s: str) -> Decimal:
    """The longest prefix that is a number, or 0."""
    match = _NUMBER.match(s)
    return Decimal(match[1]) if match else Decimal(0)


def to_int(x: Decimal) -> int:
    """CAST to SIGNED: half away from zero; too large becomes the largest there is."""
    return _within(int(round_half_up(x, 0)))


def text_to_int(s: str) -> int:
    match = _INTEGER.match(s)
    return _within(int(match[1])) if match else 0


def _within(x: int) -> int:
    return max(-(2**63), min(2**63 - 1, x))


def substring(s: str, start: int, length: int | None = None) -> str:
    if start == 0 or abs(start) > len(s) or (length is not None and length <= 0):
        return ""
    first = start - 1 if start > 0 else len(s) + start
    return s[first:] if length is None else s[first : first + length]


def left(s: str, n: int) -> str:
    return s[:n] if n > 0 else ""


def right(s: str, n: int) -> str:
    return s[-n:] if n > 0 else ""


def pad(s: str, length: int, fill: str, is_left: bool) -> str | None:
    if length < 0 or (length > len(s) and not fill):
        return None
    return semantics.pad(s, length, fill, is_left)


def trim_word(s: str, word: str, where: str) -> str:
    """TRIM removes a whole word here, not a set of characters."""
    if where != "TRAILING":
        while s.startswith(word):
            s = s[len(word) :]
    if where != "LEADING":
        while s.endswith(word):
            s = s[: -len(word)]
    return s


def substring_index(s: str, separator: str, n: int) -> str:
    if not separator or not n:
        return ""
    parts = s.split(separator)
    return separator.join(parts[:n] if n > 0 else parts[n:])


def add_days(day: str, days: int) -> str | None:
    try:
        return semantics.add_days(day, days)
    except RowError:
        return None


def add_seconds(moment: str, seconds: int) -> str | None:
    try:
        return semantics.add_seconds(moment, seconds)
    except RowError:
        return None


@functools.lru_cache(DATES_KEPT)
def makedate(year: int, day: int) -> str | None:
    if day <= 0 or not 0 <= year <= 9999:
        return None
    year += 2000 if year < 70 else 1900 if year < 100 else 0
    try:
        return (dt.date(year, 1, 1) + dt.timedelta(day - 1)).isoformat()
    except OverflowError:
        return None
