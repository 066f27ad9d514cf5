"""A row of the database as Debezium would send it, so that the compiled mapping reads it as it reads the log.

The database is asked for text wherever the driver's own type would lose something: dates beyond Python's, digits of a
number, a FLOAT's value as MariaDB computes with it.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from streams.connect.reading import quoted
from streams.core.mapping.catalogue import Column, Kind

_NO_DATE, _NO_STAMP = "1970-01-01Z", "1970-01-01T00:00:00Z"
"""What Debezium sends for a zero date of MariaDB in a NOT NULL column."""
_INFINITE = {"infinity": "+292278994-08-16Z", "-infinity": "+292269055-12-02Z"}
"""Dates of PostgreSQL as a snapshot of Debezium sends them."""
_NOT_NUMBERS = {"NaN": "NAN", "Infinity": "POSITIVE_INFINITY", "-Infinity": "NEGATIVE_INFINITY"}
_WRAP, _SIGNED = 1 << 64, 1 << 63


def selected(kind: str, column: Column) -> str:
    """The expression that `image` wants of a column."""
    name = quoted(kind, column.name)
    if kind == "mariadb":
        if column.type == "bit":
            return f"{name} + 0"
        if column.single:
            return f"CAST({name} AS DOUBLE)"
        return f"CAST({name} AS CHAR)" if column.kind in (Kind.DATE, Kind.STAMP, Kind.INSTANT) else name
    if column.kind in (Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.TEXT):
        return name  # a cast to text would take the blanks of a CHAR(n)
    return f"encode({name}, 'base64')" if column.type == "bytea" else f"{name}::text"


def image(kind: str, columns: Sequence[Column], values: Sequence[Any]) -> bytes:
    """The `after` of these columns."""
    one = _mariadb if kind == "mariadb" else _postgres
    return msgspec.json.encode({c.name: one(c, v) for c, v in zip(columns, values, strict=True)})


def plain(after: bytes) -> dict[str, Any]:
    """An image as column → value."""
    return msgspec.json.decode(after, type=dict[str, Any])


def _postgres(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind == Kind.EXACT:
        return _NOT_NUMBERS.get(value, value)
    if column.kind == Kind.DATE:
        return _INFINITE.get(value) or _before_christ(value) + "Z"
    if column.kind in (Kind.STAMP, Kind.INSTANT):
        if value.endswith("infinity"):
            return value
        return _before_christ(value).replace(" ", "T").removesuffix("+00") + "Z"
    return _float(value) if column.kind == Kind.FLOAT else value


def _before_christ(text: str) -> str:
    """`0044-03-15 BC` is the year -43."""
    if not text.endswith(" BC"):
        return text
    year, _, rest = text.removesuffix(" BC").partition("-")
    return f"-{int(year) - 1:04d}-{rest}"


def _mariadb(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type == "bit":
        return bool(value)
    if column.kind == Kind.INT:
        return value - _WRAP if column.type == "bigint" and value >= _SIGNED else value
    if column.kind in (Kind.DATE, Kind.STAMP, Kind.INSTANT):
        day = value[:10]
        if "00" in (day[5:7], day[8:10]):
            return None if column.nullable else _NO_DATE if column.kind == Kind.DATE else _NO_STAMP
        if column.kind == Kind.DATE:
            return day + "Z"
        return day + "T" + (value[11:].rstrip("0").rstrip(".") if "." in value else value[11:]) + "Z"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if column.kind == Kind.FLOAT:
        return _float(value)
    return value if isinstance(value, (int, str, float)) else str(value)


def _float(value: float) -> Any:
    return float(value) if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
