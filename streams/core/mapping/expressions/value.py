"""A compiled expression: Python text and what the compiler knows of its value."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from streams.core.mapping.catalogue import Kind

NUMBERS = frozenset({Kind.INT, Kind.EXACT, Kind.FLOAT})


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
    """Digits after the point, where they are known before any row is seen."""
    collation: str | None = None
    padded: bool = False
    """Of type CHAR(n)."""
    unrounded: bool = False
    """MariaDB: holds a quotient that carries more digits than it shows."""
    single: bool = False
    """Of a float of four bytes."""


def null(kind: Kind = Kind.NULL) -> Value:
    return Value("None", kind, True, True)


def text_literal(text: str) -> Value:
    return Value(repr(text), Kind.TEXT, False, True, text)


def int_literal(number: int) -> Value:
    return Value(str(number) if number >= 0 else f"({number})", Kind.INT, False, True, number, 0)
