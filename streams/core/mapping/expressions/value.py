"""A compiled expression: Python text and what the compiler knows of its value."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from streams.core.mapping.catalogue import Kind

NUMBERS = frozenset({Kind.INT, Kind.EXACT, Kind.FLOAT})
MOMENTS = frozenset({Kind.DATE, Kind.STAMP, Kind.INSTANT})


class Size(NamedTuple):
    """Of DECIMAL(precision, scale)."""

    precision: int
    scale: int


@dataclass(frozen=True, slots=True)
class Value:
    """`code` evaluates to the value, None for NULL."""

    code: str
    kind: Kind
    nullable: bool = True
    atom: bool = False
    """Cheap and safe to write twice."""
    literal: int | Decimal | str | None = None
    scale: int | None = None
    """Digits after the point that it has at most, where they are known before any row is seen."""
    collation: str | None = None
    padded: bool = False
    """Of type CHAR(n)."""
    unrounded: bool = False
    """Holds a quotient whose last digits the database does not show, or does not promise."""
    single: bool = False
    """Of a float of four bytes."""
    size: Size | None = None
    """Of its type, where that decides what is computed from it (SQL Server)."""
    bit: bool = False
    """A BIT column of MariaDB, which is a number but becomes text as bytes; what else is computed from it does not."""
    labels: tuple[str, ...] = ()
    """Of an enum column."""


def null(kind: Kind = Kind.NULL) -> Value:
    return Value("None", kind, True, True)


def text_literal(text: str) -> Value:
    return Value(repr(text), Kind.TEXT, False, True, text)


def int_literal(number: int) -> Value:
    size = Size(len(str(abs(number))), 0)
    return Value(str(number) if number >= 0 else f"({number})", Kind.INT, False, True, number, 0, size=size)
