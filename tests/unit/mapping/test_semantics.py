"""Scalar semantics: values the real servers answer."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from streams.core.mapping import collations, semantics, semantics_mariadb, semantics_postgres
from streams.core.mapping.model import RowError


@pytest.mark.parametrize(
    ("a", "b", "quotient"),
    [
        ("1", "3", "0.33333333333333333333"),
        ("10000", "3", "3333.3333333333333333"),
        ("7", "0.0003", "23333.333333333333"),
        ("12345678.9", "12345678.9", "1.00000000000000000000"),
        ("0.0001", "7", "0.000014285714285714285714"),
        ("4", "4", "1.00000000000000000000"),
        ("40000", "4", "10000.0000000000000000"),
        ("2", "4", "0.50000000000000000000"),
        ("99999999", "3", "33333333.000000000000"),
    ],
)
def test_postgresql_divides_to_sixteen_digits_in_groups_of_four(a: str, b: str, quotient: str) -> None:
    assert str(semantics_postgres.divide(D(a), D(b))) == quotient


@pytest.mark.parametrize(
    ("a", "b", "inner"),
    [("1", "3", "0.333333333"), ("10", "3", "3.333333333"), ("1.000", "7", "0.142857142"), ("1", "0", None)],
)
def test_mariadb_cuts_a_quotient_in_groups_of_nine(a: str, b: str, inner: str | None) -> None:
    quotient = semantics_mariadb.divide(D(a), D(b))
    assert quotient == (None if inner is None else D(inner))


CASES: list[tuple[Callable[..., Any], tuple[Any, ...], Any]] = [
    (semantics.int_divide, (-7, 2), -3),
    (semantics.int_modulo, (-7, 2), -1),
    (semantics.round_half_up, (D("-2.5"), 0), D("-3")),
    (semantics.truncate, (D("-2.59"), 1), D("-2.5")),
    (semantics.upper, ("straße",), "STRAßE"),
    (semantics.lower, ("İ",), "i"),
    (semantics.unsigned, (-1,), 18446744073709551615),
    (semantics.date, ("2026-11-24Z",), "2026-11-24"),
    (semantics.stamp, ("2026-11-24T10:00:00.807290Z",), "2026-11-24T10:00:00.80729"),
    (semantics.stamp, ("2026-11-24T10:00:00Z",), "2026-11-24T10:00:00"),
    (semantics.date, ("+292278994-08-16Z",), "infinity"),
    (semantics.date, ("+5877611-06-21Z",), "infinity"),
    (semantics.add_days, ("2024-02-28", 2), "2024-03-01"),
    (semantics.add_seconds, ("2026-11-24T23:59:59.5", 1), "2026-11-25T00:00:00.5"),
    (semantics.add_seconds, ("2026-11-24", -1), "2026-11-23T23:59:59"),
    (semantics.read_date, ("2024366", "%Y%j"), "2024-12-31"),
    (semantics.microseconds, ("1970-01-01T00:00:01.5",), "1500000"),
    (semantics_postgres.double_to_number, (0.1 + 0.2,), D("0.3")),
    (semantics_postgres.double_to_number, (1e15,), D("1000000000000000")),
    (semantics_postgres.substring, ("abc", -1, 3), "a"),
    (semantics_postgres.right, ("abc", -1), "bc"),
    (semantics_postgres.split_part, ("a,b,c", ",", -1), "c"),
    (semantics_postgres.in_zone, ("2026-07-01T22:30:00.5", "Europe/Paris"), "2026-07-02T00:30:00.5"),
    (semantics_postgres.of_zone, ("2026-07-02T00:30:00", "Europe/Paris"), "2026-07-01T22:30:00"),
    (semantics_postgres.of_zone, ("2026-03-29T02:30:00", "Europe/Paris"), "2026-03-29T01:30:00"),
    (semantics_postgres.of_zone, ("2026-10-25T02:30:00", "Europe/Paris"), "2026-10-25T01:30:00"),
    (semantics_postgres.greatest, (None, 1, 3), 3),
    (semantics_mariadb.substring, ("abc", -2, 1), "b"),
    (semantics_mariadb.right, ("abc", -1), ""),
    (semantics_mariadb.fit, (D("12345.6"), 4, 1), D("999.9")),
    (semantics_mariadb.text_to_number, ("12abc",), D("12")),
    (semantics_mariadb.text_to_int, ("x",), 0),
    (semantics_mariadb.to_int, (D(10) ** 30,), 2**63 - 1),
    (semantics_mariadb.makedate, (2024, 0), None),
    (semantics_mariadb.makedate, (69, 1), "2069-01-01"),
    (semantics_mariadb.add_days, ("9999-12-31", 1), None),
    (semantics_mariadb.add_seconds, ("9999-12-31T23:59:59", 1), None),
    (semantics_mariadb.trim_word, ("ababx", "ab", "BOTH"), "x"),
    (semantics_mariadb.pad, ("a", -1, "x", True), None),
    (semantics_mariadb.substring_index, ("a,b,c", ",", -2), "b,c"),
]


@pytest.mark.parametrize(("function", "arguments", "answer"), CASES)
def test_functions(function: Callable[..., Any], arguments: tuple[Any, ...], answer: Any) -> None:
    assert function(*arguments) == answer


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (semantics.int_divide, (1, 0)),
        (semantics.date, ("+292269055-12-02Z",)),
        (semantics.date, ("+10000-01-01Z",)),
        (semantics.finite, ("infinity",)),
        (semantics.read_day, ("infinity",)),
        (semantics.add_days, ("9999-12-31", 1)),
        (semantics.add_days, ("infinity", 1)),
        (semantics.days_between, ("infinity", "2026-11-24")),
        (semantics.add_seconds, ("9999-12-31T23:59:59", 1)),
        (semantics.add_seconds, ("infinity", 1)),
        (semantics.add_seconds, ("2026-11-24", 10**15)),
        (semantics.read_date, ("2023366", "%Y%j")),
        (semantics.read_date, ("2024-2-30", "%Y-%m-%d")),
        (semantics_postgres.divide, (D(1), D(0))),
        (semantics_postgres.text_to_int, ("12x",)),
        (semantics_postgres.text_to_number, ("",)),
        (semantics_postgres.fit, (D("1000"), 3, 0)),
        (semantics_postgres.to_int, (D(10) ** 19,)),
        (semantics_postgres.make_date, (2026, 2, 30)),
        (semantics_postgres.substring, ("abc", 1, -1)),
    ],
)
def test_what_the_database_refuses_is_a_row_error(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with pytest.raises(RowError):
        function(*arguments)


def test_texts_are_equal_as_the_servers_weights_say() -> None:
    fold = collations.folder({0xE9: "E", 0xDF: "SS", 0x10000: "\ufffd", **{c: chr(c).upper() for c in range(97, 123)}})
    assert fold("abc ") == fold("ABC")
    assert fold("é") == fold("E")
    assert fold("ß") == fold("ss")
    assert fold("😀") == fold("💡")
    like = collations.like_folder(fold)
    assert like("ß") != like("ss")
    assert like("a ") != like("a")


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("a%", "abc", True), ("_", "ab", False), ("a\\%b", "a%b", True), ("a\\%b", "axb", False), ("%\n", "x\n", True)],
)
def test_like(pattern: str, text: str, matches: bool) -> None:
    assert bool(collations.like_matcher(pattern)(text)) is matches
