"""Scalar semantics of Oracle as its documentation states them.  NULL never reaches these functions, and '' is NULL.

A text is converted only when it is written as plainly as the documentation shows; anything looser is a row error, so
that what the server might accept beyond it is never guessed.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal

from streams.core.mapping import semantics
from streams.core.mapping.semantics import ROUNDING, round_half_up, unmappable
from streams.core.mapping.semantics_postgres import fit as fit

_DIGITS = 38
"""Significant digits that a NUMBER holds for certain."""
_QUOTIENT = Context(prec=_DIGITS, rounding=ROUND_HALF_UP)
_NUMBER = re.compile(r" *([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)) *")


def divide(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise unmappable("division by zero")
    return _QUOTIENT.divide(a, b)


def modulo(a: Decimal, b: Decimal) -> Decimal:
    """MOD takes the sign of the dividend; MOD(a, 0) is a."""
    return ROUNDING.remainder(a, b) if b else a


def int_modulo(a: int, b: int) -> int:
    return semantics.int_modulo(a, b) if b else a


def to_int(x: Decimal) -> int:
    """CAST to INTEGER: half away from zero."""
    return int(round_half_up(x, 0))


def text_to_number(s: str) -> Decimal:
    match = _NUMBER.fullmatch(s)
    if match is None:
        raise unmappable(f"{s!r} is no number")
    return Decimal(match[1])


def text_to_int(s: str) -> int:
    return to_int(text_to_number(s))


def substring(s: str, start: int, length: int | None = None) -> str | None:
    """Position 0 counts as 1, a negative one from the end; nothing is NULL."""
    if (length is not None and length < 1) or abs(start) > len(s):
        return None
    first = start - 1 if start > 0 else len(s) + start if start < 0 else 0
    return s[first:] if length is None else s[first : first + length]


def pad(s: str, length: int, fill: str, left: bool) -> str | None:
    return semantics.pad(s, length, fill, left) or None


def zeros(n: int, digits: int) -> str:
    """TO_CHAR(n, 'FM0…0')."""
    text = str(abs(n)).zfill(digits)
    if len(text) > digits:
        raise unmappable(f"{n} has more than the {digits} digits of its format")
    return f"-{text}" if n < 0 else text
