"""Scalar semantics of SQL Server as its documentation states them.  NULL never reaches these functions.

A text is converted only when it is written as plainly as the documentation shows; anything looser is a row error, so
that what the server might accept beyond it is never guessed.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Context, Decimal

from streams.core.mapping import semantics
from streams.core.mapping.semantics import truncate, unmappable
from streams.core.mapping.semantics_postgres import fit as fit
from streams.core.mapping.semantics_postgres import make_date as make_date
from streams.core.mapping.semantics_postgres import substring as substring

_CUT = Context(prec=120, rounding=ROUND_DOWN)
_NUMBER = re.compile(r" *([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)) *")
_INTEGER = re.compile(r" *([+-]?[0-9]+) *")


def divide(a: Decimal, b: Decimal, scale: int) -> Decimal:
    """Cut off after the digits that the result's type has."""
    return truncate(_CUT.divide(a, b), scale)


def to_int(x: Decimal) -> int:
    """CAST of an exact number to an integer cuts its fraction off; too large fails."""
    return _within(int(truncate(x, 0)), str(x))


def text_to_int(s: str) -> int:
    """'' is 0."""
    if not s.strip(" "):
        return 0
    match = _INTEGER.fullmatch(s)
    if match is None:
        raise unmappable(f"{s!r} is no integer")
    return _within(int(match[1]), s)


def _within(x: int, written: str) -> int:
    if not -(2**63) <= x < 2**63:
        raise unmappable(f"{written} does not fit bigint")
    return x


def text_to_number(s: str) -> Decimal:
    match = _NUMBER.fullmatch(s)
    if match is None:
        raise unmappable(f"{s!r} is no number")
    return Decimal(match[1])


def read_date(s: str) -> str:
    """The two forms that mean the same under every language and DATEFORMAT."""
    return semantics.read_date(s, "%Y%m%d" if len(s) == 8 else "%Y-%m-%d")


def length(s: str) -> int:
    """LEN leaves trailing blanks out."""
    return len(s.rstrip(" "))


def left(s: str, n: int) -> str:
    if n < 0:
        raise unmappable(f"LEFT or RIGHT of {n} characters")
    return s[:n]


def right(s: str, n: int) -> str:
    return s[len(s) - len(left(s, n)) :]
