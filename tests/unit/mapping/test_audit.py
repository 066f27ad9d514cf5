"""The audit's comparison, pure, and how the SQL is wrapped."""

from __future__ import annotations

from decimal import Decimal

from streams.connect.audit import BalanceKey, Difference, Total, audit_query, compare, settled


def key(sku: str, reference: str | None = None) -> BalanceKey:
    return BalanceKey("", sku, "W1", "on_hand", None, reference)


def total(quantity: str, postings: int = 1) -> Total:
    return Total(Decimal(quantity), postings)


def test_equal_balances_do_not_differ_whatever_their_scale() -> None:
    assert compare({key("A"): total("1.50")}, {key("A"): total("1.5000")}) == []
    assert compare({key("A"): total("0", 0)}, {}) == []


def test_quantity_postings_and_absence_differ() -> None:
    there = {key("A"): total("1"), key("B"): total("2"), key("C"): total("0", 2)}
    here = {key("A"): total("2"), key("B"): total("2", 2), key("D"): total("1")}
    assert [(d.key.sku, d.there, d.here) for d in compare(there, here)] == [
        ("A", total("1"), total("2")),
        ("B", total("2"), total("2", 2)),
        ("C", total("0", 2), total("0", 0)),
        ("D", total("0", 0), total("1")),
    ]


def test_a_difference_counts_when_two_rounds_show_the_same_values() -> None:
    stands = Difference(key("A"), total("1"), total("2"))
    moves, moved = Difference(key("B"), total("1"), total("2")), Difference(key("B"), total("3"), total("2"))
    assert settled([stands, moves], [stands, moved]) == ([stands], [moved])
    assert settled([], [stands]) == ([], [stands])


def test_mariadb_groups_by_bytes_and_a_missing_column_is_null() -> None:
    sql = audit_query("mariadb", "SELECT 1 ;\n", ("sku", "location", "bucket", "quantity", "due"))
    assert sql == (
        "SELECT sku, location, bucket, due, NULL, SUM(quantity), COUNT(*)\nFROM (\nSELECT 1 \n) AS m\n"
        "GROUP BY BINARY sku, BINARY location, BINARY bucket, due"
    )
    assert "BINARY" not in audit_query("postgres", "SELECT 1", ("sku", "reference"))
