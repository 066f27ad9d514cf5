"""Rows of the drivers as Debezium sends them: every kind of column, and the values that are odd (facts of Debezium)."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from streams.connect.live.images import image, plain, selected
from streams.core.mapping.catalogue import Column


@pytest.mark.parametrize(
    ("column", "read", "sent"),
    [
        ("integer", 7, 7),
        ("boolean", True, True),
        ("character", "W1  ", "W1  "),
        ("numeric", "9.990", "9.990"),
        ("numeric", "NaN", "NAN"),
        ("numeric", "-Infinity", "NEGATIVE_INFINITY"),
        ("double precision", 0.1, 0.1),
        ("double precision", math.nan, "NaN"),
        ("double precision", -math.inf, "-Infinity"),
        ("date", "2026-12-05", "2026-12-05Z"),
        ("date", "infinity", "+292278994-08-16Z"),
        ("date", "0044-03-15 BC", "-0043-03-15Z"),
        ("timestamp without time zone", "2026-11-23 08:00:00.5", "2026-11-23T08:00:00.5Z"),
        ("timestamp with time zone", "2026-12-01 10:00:00.1+00", "2026-12-01T10:00:00.1Z"),
        ("timestamp with time zone", "-infinity", "-infinity"),
        ("text", None, None),
        ("numeric", None, None),
    ],
)
def test_postgres(column: str, read: Any, sent: Any) -> None:
    assert plain(image("postgres", [Column(name="c", type=column)], [read])) == {"c": sent}


@pytest.mark.parametrize(
    ("column", "more", "read", "sent"),
    [
        ("int", {}, 7, 7),
        ("bigint", {"unsigned": True}, 2**64 - 1, -1),
        ("bit", {}, 1, True),
        ("decimal", {}, Decimal("10.500"), "10.500"),
        ("decimal", {}, Decimal("1E+3"), "1000"),
        ("char", {}, "A-02", "A-02"),
        ("date", {}, "2026-11-23", "2026-11-23Z"),
        ("date", {}, "0000-00-00", None),
        ("date", {"nullable": False}, "2026-00-15", "1970-01-01Z"),
        ("datetime", {}, "2026-11-23 09:30:00.500000", "2026-11-23T09:30:00.5Z"),
        ("datetime", {}, "2026-11-23 09:30:00", "2026-11-23T09:30:00Z"),
        ("timestamp", {}, "2026-11-20 10:00:10", "2026-11-20T10:00:10Z"),
        ("timestamp", {"nullable": False}, "0000-00-00 00:00:00", "1970-01-01T00:00:00Z"),
        ("varbinary", {}, b"\x05\x01", "BQE="),
        ("double", {}, 12.5, 12.5),
        ("decimal", {}, None, None),
    ],
)
def test_mariadb(column: str, more: dict[str, Any], read: Any, sent: Any) -> None:
    assert plain(image("mariadb", [Column(name="c", type=column, **more)], [read])) == {"c": sent}


def test_what_a_driver_would_lose_is_asked_for_as_text() -> None:
    numeric, day = Column(name="q", type="numeric"), Column(name="d", type="date")
    assert (selected("postgres", numeric), selected("postgres", day)) == ('"q"::text', '"d"::text')
    assert selected("postgres", Column(name="c", type="character", length=8)) == '"c"'
    assert selected("mariadb", day) == "CAST(`d` AS CHAR)"
    assert selected("mariadb", Column(name="f", type="float")) == "CAST(`f` AS DOUBLE)"
