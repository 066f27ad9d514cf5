"""Values as drivers return them, as Debezium renders them, and compared whatever side they come from."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from streams.core.mapping.catalogue import Catalogue, Column, Kind, Table

TEXTS = [
    "", " ", "a", "A", "a ", " a", "Ab", "ab", "é", "É", "e", "ß", "ss", "SS", "s", "Ünï", "日本", "😀", "💡", "0012",
    "12", "-3.50", "x,1", "a,b,c", "a%b", "a_b", "ŁÓDŹ", "łódź", "ı", "İ", "ﬁ", "O'H", "tab\t", "æ", "ae",
    "ŉ", "Σ", "ς", "σ", "ǆ", "\u0301e", "ｱ", "K7", "100", " 7 ", "1e2", "1.5x",
]  # fmt: skip
NUMBERS = [
    "0", "1", "-1", "0.5", "-0.5", "2.5", "-2.5", "0.005", "1.005", "2.675", "1234.5678", "99999.99", "0.0001",
    "333.3333", "10", "7", "3", "-7", "1000000", "0.000001",
]  # fmt: skip
FLOATS = [0.0, 1.0, -1.0, 0.1, 1 / 3, 2.675, 1.005, 1e-7, 123456789.123456789, 1e15, -2.5, 0.30000000000000004, 99.995]
DATES = [
    dt.date(1970, 1, 1), dt.date(1753, 1, 1), dt.date(2024, 2, 29), dt.date(1999, 12, 31), dt.date(2024, 3, 1),
    dt.date(2100, 2, 28), dt.date(9999, 12, 30), dt.date(1000, 1, 1),
]  # fmt: skip


def rendered(columns: Mapping[str, Column], row: Mapping[str, Any]) -> bytes:
    """A row of a driver as Debezium's `after` (decimals as text, isostring times)."""
    return json.dumps({name: _rendered(columns[name], row[name]) for name in row}, ensure_ascii=False).encode()


def _rendered(column: Column, value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, uuid.UUID):
        return str(value)
    if value == "0000-00-00" and column.kind == Kind.DATE:
        return None if column.nullable else "1970-01-01Z"
    if isinstance(value, bytes) and column.type == "bit":
        return value != b"\0"
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat()
        return (text.rstrip("0") if value.microsecond else text) + "Z"
    if isinstance(value, dt.date):
        return value.isoformat() + "Z"
    if value is not None and column.kind == Kind.FLOAT:
        return float(value)
    return value


def plain(value: Any) -> Any:
    """One face for the same value from psycopg, PyMySQL and the compiled code."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes):
        # A BIT; a choice between two of them, as COALESCE makes, comes as a digit.
        return Decimal(int(value) if value.isdigit() else int.from_bytes(value, "big"))
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat()
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, (Decimal, int)):
        return Decimal(value).normalize() + 0 if value else Decimal(0)
    return value


class Server:
    """A cursor on a real database and the catalogue read from it."""

    def __init__(self, cursor: Any, catalogue: Catalogue) -> None:
        self.cursor = cursor
        self.catalogue = catalogue

    def quote(self, name: str) -> str:
        return f"`{name}`" if self.catalogue.kind == "mariadb" else f'"{name}"'

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql)
        return list(self.cursor.fetchall())

    def images(self, table: Table, columns: tuple[str, ...]) -> list[bytes]:
        """Every row of a table, rendered."""
        known = table.columns
        names = [
            f"CAST({self.quote(c)} AS DOUBLE)"
            if self.catalogue.kind == "mariadb" and known[c].single
            else self.quote(c)
            for c in columns
        ]
        where = ".".join(self.quote(part) for part in table.name.split("."))
        rows = self.query(f"SELECT {', '.join(names)} FROM {where}")
        return [rendered(known, dict(zip(columns, row, strict=True))) for row in rows]
