"""Scalar semantics of PostgreSQL that MariaDB does not share.  NULL never reaches these functions."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from streams.core.mapping.semantics import DATES_KEPT, ROUNDING, round_half_up, scale_of, stamp_text, unmappable

_QUOTIENT_DIGITS = 90
_CUT = Context(prec=_QUOTIENT_DIGITS, rounding=ROUND_DOWN)
_NUMBER = re.compile(r"[ \t\n\r\f\v]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\n\r\f\v]*")
_INTEGER = re.compile(r"[ \t\n\r\f\v]*([+-]?[0-9]+)[ \t\n\r\f\v]*")


def divide(a: Decimal, b: Decimal) -> Decimal:
    """At least 16 significant digits, counted in groups of four (select_div_scale in numeric.c)."""
    if not b:
        raise unmappable("division by zero")
    weight_a, first_a = _leading_group(a)
    weight_b, first_b = _leading_group(b)
    scale = 16 - (weight_a - weight_b - (first_a <= first_b)) * 4
    scale = max(scale, scale_of(a), scale_of(b), 0)
    if a.adjusted() - b.adjusted() + scale + 2 > _QUOTIENT_DIGITS:
        raise unmappable("quotient too wide")
    return round_half_up(_CUT.divide(a, b), scale)


def _leading_group(x: Decimal) -> tuple[int, int]:
    if not x:
        return 0, 0
    weight = x.adjusted() // 4
    return weight, int(abs(x).scaleb(-4 * weight, ROUNDING))


def modulo(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise unmappable("division by zero")
    return ROUNDING.remainder(a, b)


def fit(x: Decimal, precision: int, scale: int) -> Decimal:
    """CAST to numeric(p, s): too large fails."""
    x = round_half_up(x, scale)
    if x and x.adjusted() >= precision - scale:
        raise unmappable(f"{x} does not fit numeric({precision}, {scale})")
    return x


def double_to_number(x: float) -> Decimal:
    return _without_exponent(Decimal(f"{x:.15g}"))


def real_to_number(x: float) -> Decimal:
    return _without_exponent(Decimal(f"{x:.6g}"))


def text_to_number(s: str) -> Decimal:
    match = _NUMBER.fullmatch(s)
    if match is None:
        raise unmappable(f"{s!r} is no number")
    return _without_exponent(Decimal(match[1]))


def _without_exponent(x: Decimal) -> Decimal:
    """1E+3 becomes 1000: the scale of what is computed from it follows."""
    return x if int(x.as_tuple().exponent) <= 0 else round_half_up(x, 0)


def to_int(x: Decimal) -> int:
    """CAST to an integer: half away from zero; too large fails."""
    whole = int(round_half_up(x, 0))
    if not -(2**63) <= whole < 2**63:
        raise unmappable(f"{x} does not fit bigint")
    return whole


def text_to_int(s: str) -> int:
    match = _INTEGER.fullmatch(s)
    if match is None or not -(2**63) <= int(match[1]) < 2**63:
        raise unmappable(f"{s!r} is no integer")
    return int(match[1])


def substring(s: str, start: int, length: int | None = None) -> str:
    first = max(0, start - 1)
    if length is None:
        return s[first:]
    if length < 0:
        raise unmappable("negative substring length")
    return s[first : max(0, start - 1 + length)]


def left(s: str, n: int) -> str:
    return s[:n]


def right(s: str, n: int) -> str:
    return s[max(0, len(s) - n) :] if n >= 0 else s[-n:]


def split_part(s: str, separator: str, n: int) -> str:
    if n == 0:
        raise unmappable("SPLIT_PART field 0")
    parts = s.split(separator) if separator else [s]
    return parts[n - 1 if n > 0 else n] if abs(n) <= len(parts) else ""


@functools.lru_cache(DATES_KEPT)
def make_date(year: int, month: int, day: int) -> str:
    try:
        return dt.date(year, month, day).isoformat()
    except ValueError:
        raise unmappable(f"there is no date {year}-{month}-{day}") from None


@functools.lru_cache(DATES_KEPT)
def in_zone(stamp: str, zone: str) -> str:
    """`instant AT TIME ZONE 'zone'`: what a clock there shows; the instant is in UTC."""
    return _stamp_of(lambda: _read(stamp).replace(tzinfo=dt.UTC).astimezone(zoneinfo.ZoneInfo(zone)), stamp)


@functools.lru_cache(DATES_KEPT)
def of_zone(stamp: str, zone: str) -> str:
    """`time stamp AT TIME ZONE 'zone'`: the instant, in UTC.

    A time that is skipped counts by the offset before it, one that comes twice by the offset after it: each time the
    smaller of the two (DetermineTimeZoneOffset in datetime.c).
    """
    local = _read(stamp).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    offset = min(local.utcoffset() or dt.timedelta(), local.replace(fold=1).utcoffset() or dt.timedelta())
    return _stamp_of(lambda: local.replace(tzinfo=None) - offset, stamp)


def _read(stamp: str) -> dt.datetime:
    return dt.datetime.fromisoformat(stamp)


def _stamp_of(moment: Callable[[], dt.datetime], stamp: str) -> str:
    try:
        return stamp_text(moment().replace(tzinfo=None))
    except OverflowError:
        raise unmappable(f"{stamp} is outside the years 1 to 9999 there") from None


def greatest(*values: Any) -> Any:
    """NULLs are passed over."""
    return max(_known(values), default=None)


def least(*values: Any) -> Any:
    return min(_known(values), default=None)


def _known(values: Iterable[Any]) -> Iterable[Any]:
    return (value for value in values if value is not None)
