"""Include lists as Debezium reads them."""

from __future__ import annotations

import pytest

from streams.connect.tables import matches, named_tables, split_patterns, written_table


def test_commas_in_brackets_do_not_separate() -> None:
    assert split_patterns("a\\.b, c\\.(d|e{1,2}) ,f\\,g,") == ["a\\.b", "c\\.(d|e{1,2})", "f\\,g"]


@pytest.mark.parametrize(
    ("name", "captured"), [("erp.item", True), ("ERP.ITEM", True), ("erp.item_old", False), ("x.erp.item", False)]
)
def test_the_whole_name_must_match(name: str, captured: bool) -> None:
    assert matches(["erp\\.(item|order)"], name) is captured


def test_names_are_told_from_open_ended_expressions() -> None:
    tables, open_ended = named_tables(["erp.item", "erp\\.order", "erp\\.(a|b_c)", "erp\\..*", "erp\\.x[12]"])
    assert tables == ["erp.item", "erp.order", "erp.a", "erp.b_c"]
    assert open_ended == ["erp\\..*", "erp\\.x[12]"]


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("INSERT INTO erp.beat (id) VALUES (1)", "erp.beat"),
        ("insert ignore into `wms`.`beat`(id) values (1)", "wms.beat"),
        ('UPDATE "erp"."beat" SET ts = now()', "erp.beat"),
        ("SELECT 1", None),
        ("", None),
    ],
)
def test_the_table_a_heartbeat_writes(statement: str, table: str | None) -> None:
    assert written_table(statement) == table
