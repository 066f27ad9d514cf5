"""Texts of an example are replaced unless the mapping depends on them; what comes out stays the same."""

from __future__ import annotations

from typing import Any

import pytest

from streams.connect.live.disguise import Disguise, disguise, evaluate
from streams.core.mapping.model import OrderRow
from tests.unit.mapping.tables import catalogue, compiled

ORDERS = "SELECT o.number AS order_id, o.who AS customer, o.channel AS channel FROM o"


def disguised(orders: str, rows: list[dict[str, Any]], columns: str = "") -> Disguise:
    tables = catalogue(o=f"id:i! number:t who:t? channel:t? state:t? short:c? {columns}")
    return disguise(compiled(tables, orders=orders), {"s.o": rows})


def test_names_are_replaced_equal_by_equal_and_keys_are_not() -> None:
    rows = [
        {"id": 1, "number": "4711", "who": "Anna Blume", "channel": "shop"},
        {"id": 2, "number": "4712", "who": "Kurt S.", "channel": "shop"},
        {"id": 3, "number": "4713", "who": "Anna Blume", "channel": "shop"},
    ]
    done = disguised(ORDERS, rows)
    assert [row["who"] for row in done.tables["s.o"]] == ["who1", "who2", "who1"]
    assert (done.replaced, done.kept) == ({"o.who": 2}, ["o.channel", "o.number"])
    assert rows[0]["who"] == "Anna Blume"
    assert disguised(ORDERS, rows).tables == done.tables


@pytest.mark.parametrize(
    "where",
    [
        "WHERE o.who <> 'nobody'",
        "WHERE CASE WHEN o.who = 'x' THEN 1 ELSE 2 END = 2",
    ],
)
def test_what_a_condition_reads_is_kept_though_no_output_would_change(where: str) -> None:
    done = disguised(f"{ORDERS} {where}", [{"id": 1, "number": "4711", "who": "Anna"}])
    assert (done.replaced, done.kept) == ({}, ["o.number", "o.who"])


def test_a_text_whose_replacement_would_become_null_or_none_is_kept() -> None:
    maybe = "SELECT o.number AS order_id, NULLIF(TRIM(o.who), 'who1') AS customer FROM o"
    done = disguised(maybe, [{"id": 1, "number": "4711", "who": "Anna"}])
    assert done.kept == ["o.number", "o.who"]


def test_a_char_column_stays_as_wide_and_blank_or_null_stays() -> None:
    text = "SELECT o.number AS order_id, TRIM(o.short) AS customer FROM o"
    rows = [{"id": n, "number": str(n), "short": value} for n, value in enumerate(["Anna    ", " " * 8, None])]
    done = disguised(text, rows)
    assert [row["short"] for row in done.tables["s.o"]] == ["short1  ", " " * 8, None]


def test_what_comes_out_says_the_same_but_for_names() -> None:
    rows = [{"id": 1, "number": "4711", "who": "Anna Blume", "channel": "shop"}]
    tables = catalogue(o="id:i! number:t who:t? channel:t? state:t? short:c?")
    mapping = compiled(tables, orders=ORDERS)
    (before,) = evaluate(mapping, {"s.o": rows}).outputs
    (after,) = evaluate(mapping, disguise(mapping, {"s.o": rows}).tables).outputs
    assert isinstance(before, OrderRow)
    assert isinstance(after, OrderRow)
    assert before._replace(attributes={}) == after._replace(attributes={})
    assert after.attributes == {"customer": "who1", "channel": "shop"}
