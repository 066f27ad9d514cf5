"""Rows in, outputs out: postings, edges, waiting rows, order parts, row errors."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InvalidInput
from schemas.messages import ItemPart, LocationPart
from schemas.records import Bucket
from streams.core.mapping.examples import evaluate_rows
from streams.core.mapping.mapping import CompiledMapping, load_mapping
from streams.core.mapping.model import ComponentRow, Evaluation, OrderRow, Posting, RowError
from tests.unit.mapping.tables import catalogue, compiled, image

CONFIGS = Path(__file__).parents[3] / "connect-configs"
BASE = catalogue(
    drv="id:i! k:i? qty:n t:t? d:d? c:c", g="k:i! nxt:i? label:t?", n="id:i! up:i? label:t?", m="a:i! b:t! x:i?"
)
STOCK = "SELECT {sku} AS sku, 'W1' AS location, 'on_hand' AS bucket, d.qty AS quantity FROM drv d {more}"


def evaluated(mapping: CompiledMapping, table: str, row: bytes, lookups: list[dict[Any, Any]]) -> Evaluation:
    of = mapping.tables[f"s.{table}"]
    return of.evaluate(of.decode(row), lookups)


def rows(mapping: CompiledMapping, table: str, *images: bytes) -> dict[Any, Any]:
    of = mapping.tables[f"s.{table}"]
    return {key: row for row in map(of.decode, images) for _, key in of.lookup_keys(row)}


ROW = image(id=1, k=7, qty="2.50", t="x", d="2026-11-24Z", c="AB      ")


def test_a_posting() -> None:
    mapping = compiled(
        BASE,
        postings=STOCK.format(sku="TRIM(d.c)", more="WHERE d.qty > 0").replace(
            " FROM", ", d.d AS due, d.t AS reference FROM"
        ),
    )
    found = evaluated(mapping, "drv", ROW, [])
    assert found == ((Posting("", "AB", "W1", Bucket.ON_HAND, dt.date(2026, 11, 24), "x", Decimal("2.50")),), (), ())
    assert evaluated(mapping, "drv", ROW.replace(b"2.50", b"0.00"), []).outputs == ()
    assert mapping.tables["s.drv"].columns == ("c", "d", "id", "qty", "t")
    assert mapping.tables["s.drv"].buckets == {Bucket.ON_HAND}


def test_an_inner_lookup_that_is_missing_waits_and_a_null_key_matches_nothing() -> None:
    mapping = compiled(BASE, postings=STOCK.format(sku="g.label", more="JOIN g ON g.k = d.k"))
    assert evaluated(mapping, "drv", ROW, [{}]) == ((), ((0, (7,)),), ((0, (7,)),))
    assert evaluated(mapping, "drv", image(id=1, k=None, qty="1", t=None, d=None, c=""), [{}]) == ((), (), ())
    there = rows(mapping, "g", image(k=7, nxt=None, label="A1"))
    found = evaluated(mapping, "drv", ROW, [there])
    assert [output.sku for output in found.outputs if isinstance(output, Posting)] == ["A1"]
    assert (found.rests_on, found.missing) == (((0, (7,)),), ())
    assert mapping.tables["s.g"].feeds == {"postings"}
    assert not mapping.tables["s.g"].drives


def test_a_left_lookup_that_is_missing_gives_nulls() -> None:
    mapping = compiled(BASE, postings=STOCK.format(sku="COALESCE(g.label, 'none')", more="LEFT JOIN g ON g.k = d.k"))
    found = evaluated(mapping, "drv", ROW, [{}])
    assert [output.sku for output in found.outputs if isinstance(output, Posting)] == ["none"]
    assert found.missing == ()
    assert found.rests_on == ((0, (7,)),)


def test_a_key_that_rests_on_a_lookup_row_is_a_chain_of_that_row() -> None:
    sql = STOCK.format(sku="n.label", more="JOIN g ON g.k = d.k JOIN n ON n.id = g.nxt")
    mapping = compiled(BASE, postings=sql)
    there = rows(mapping, "g", image(k=7, nxt=3, label=None))
    found = evaluated(mapping, "drv", ROW, [there, {}])
    assert found.rests_on == ((0, (7,)),)
    assert found.missing == ((1, (3,)),)
    of = mapping.tables["s.g"]
    assert of.chains(of.decode(image(k=7, nxt=3, label=None))) == ((1, (3,)),)
    assert of.chains(of.decode(image(k=7, nxt=None, label=None))) == ()


def test_a_chain_from_an_absent_left_row_is_an_edge_of_the_driving_row() -> None:
    more = "LEFT JOIN g ON g.k = d.k AND g.label = 'ok' LEFT JOIN n ON n.id = COALESCE(g.nxt, 5)"
    mapping = compiled(BASE, postings=STOCK.format(sku="COALESCE(n.label, 'none')", more=more))
    assert (1, (5,)) in evaluated(mapping, "drv", ROW, [{}, {}]).rests_on
    other = rows(mapping, "g", image(k=7, nxt=3, label="bad"))
    assert (1, (5,)) in evaluated(mapping, "drv", ROW, [other, {}]).rests_on
    there = rows(mapping, "g", image(k=7, nxt=3, label="ok"))
    assert evaluated(mapping, "drv", ROW, [there, {}]).rests_on == ((0, (7,)),)


class Asked(dict[Any, Any]):
    """A lookup that counts how often it was asked."""

    times = 0

    def get(self, key: Any, default: Any = None) -> Any:
        self.times += 1
        return super().get(key, default)


def test_selects_that_begin_with_the_same_lookups_ask_them_once_and_go_on_by_themselves() -> None:
    same = "JOIN g ON g.k = d.k LEFT JOIN n ON n.id = g.nxt"
    sql = " UNION ALL ".join(
        (
            STOCK.format(sku="g.label", more=same + " AND n.label = 'ok' WHERE n.up IS NULL"),
            STOCK.format(sku="COALESCE(n.label, 'none')", more=same + " WHERE n.up = 1"),
            STOCK.format(sku="d.t", more="WHERE d.qty > 2"),
            STOCK.format(sku="m.b", more="JOIN g ON g.k = d.k JOIN m ON m.a = g.nxt AND m.b = d.t"),
        )
    )
    mapping = compiled(BASE, postings=sql)
    g = Asked(rows(mapping, "g", image(k=7, nxt=3, label="A1")))
    n = rows(mapping, "n", image(id=3, up=1, label="bad"))
    m = rows(mapping, "m", image(a=3, b="x", x=1))
    found = evaluated(mapping, "drv", ROW, [g, n, m])
    assert [output.sku for output in found.outputs if isinstance(output, Posting)] == ["A1", "bad", "x", "x"]
    assert (g.times, found.missing) == (2, ())  # the third SELECT has no lookup, so the fourth begins anew
    assert evaluated(mapping, "drv", ROW, [{}, n, m]).missing == ((0, (7,)), (0, (7,)))


def test_a_composite_key_needs_every_part() -> None:
    mapping = compiled(BASE, postings=STOCK.format(sku="d.t", more="JOIN m ON m.b = d.t AND m.a = d.k"))
    assert evaluated(mapping, "drv", ROW, [{}]).missing == ((0, (7, "x")),)


def test_equal_lookup_keys_have_equal_bytes() -> None:
    dump = compiled(BASE, postings=STOCK.format(sku="d.t", more="")).dump_lookup_key
    assert dump((1, "a")) == dump((Decimal("1.00"), "a"))
    assert dump((Decimal("1.50"),)) == dump((Decimal("1.5"),))
    assert dump((10**30,)) == dump((Decimal(10**30),))
    assert (
        len({dump(key) for key in [(1,), ("1",), (True,), (Decimal("1.5"),), ("1.5",), (1, 1), ("", "a"), ("a", "")]})
        == 8
    )


def test_the_threads_own_decimal_context_plays_no_part() -> None:
    tables = catalogue(f="id:i! t:t u:u")
    sql = "SELECT t AS sku, t AS location, 'demand' AS bucket, u * 1.5 + 0.5 AS quantity FROM f"
    mapping = compiled(tables, postings=sql)
    found: list[Any] = []

    def evaluate() -> None:
        row = image(id=1, t="a", u="12345678901234567890123456789.00000002")
        found.extend(evaluated(mapping, "f", row, []).outputs)

    thread = threading.Thread(target=evaluate)
    thread.start()
    thread.join()
    assert found[0].quantity == Decimal("18518518351851851835185185184.00000003")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"t": None}, "sku is NULL"),
        ({"t": ""}, "sku is empty"),
        ({"t": " \u00a0"}, "sku is blank"),
        ({"t": "~erp"}, "begins with ~"),
        ({"u": None}, "quantity is NULL"),
        ({"u": "0.0000000001"}, "more than 9 digits after the point"),
        ({"u": "1" + "0" * 30}, "more than 29 digits before the point"),
        ({"d": "+292278994-08-16Z"}, "outside the years"),
        ({"d": "-0043-03-15Z"}, "outside the years"),
        ({"b": "onhand"}, "bucket 'onhand' is none of"),
        ({"b": None}, "bucket None is none of"),
    ],
)
def test_a_row_that_cannot_be_mapped(change: dict[str, Any], reason: str) -> None:
    tables = catalogue(f="id:i! t:t? u:u? d:d? b:t?")
    sql = "SELECT t AS sku, 'W' AS location, b AS bucket, u AS quantity, d AS due FROM f"
    mapping = compiled(tables, postings=sql)
    good = {"id": 1, "t": "a", "u": "1", "d": "2026-11-24Z", "b": "demand"}
    assert len(evaluated(mapping, "f", image(**good), []).outputs) == 1
    with pytest.raises(RowError, match=reason) as error:
        evaluated(mapping, "f", image(**good | change), [])
    assert error.value.code == "row-unmappable"
    assert len(mapping.tables["s.f"].buckets) == 8


INFINITY = "+292278994-08-16Z"


@pytest.mark.parametrize(
    "expression",
    [
        "CASE WHEN d < '9999-12-31' THEN d END",
        "NULLIF(d, 'infinity')",
        "CASE WHEN d <> DATE 'infinity' THEN d END",
        "CASE WHEN CAST(d AS text) <> 'infinity' THEN d END",
        "LEAST(d, DATE '2026-11-24')",
    ],
)
def test_infinity_can_be_compared(expression: str) -> None:
    tables = catalogue(f="id:i! t:t d:d?")
    sql = f"SELECT t AS sku, 'W' AS location, 'reserved' AS bucket, id AS quantity, {expression} AS due FROM f"
    mapping = compiled(tables, postings=sql)
    (posting,) = evaluated(mapping, "f", image(id=1, t="a", d="2026-11-24Z"), []).outputs
    (forever,) = evaluated(mapping, "f", image(id=1, t="a", d=INFINITY), []).outputs
    assert isinstance(posting, Posting)
    assert isinstance(forever, Posting)
    assert posting.due == dt.date(2026, 11, 24)
    assert forever.due == (posting.due if "LEAST" in expression else None)


@pytest.mark.parametrize("due", ["d", "d + 1", "CASE WHEN EXTRACT(YEAR FROM d) > 9 THEN d END"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t AS sku, 'W' AS location, 'demand' AS bucket, id AS quantity, {} AS due FROM f",
        "SELECT t AS order_id, {} AS due FROM f",
        "SELECT t AS order_id, CAST({} AS timestamp) AS placed_at FROM f",
    ],
)
def test_infinity_is_no_day(sql: str, due: str) -> None:
    file = "postings" if "sku" in sql else "orders"
    mapping = compiled(catalogue(f="id:i! t:t d:d?"), **{file: sql.format(due)})
    assert len(evaluated(mapping, "f", image(id=1, t="a", d="2026-11-24Z"), []).outputs) == 1
    with pytest.raises(RowError, match="infinity"):
        evaluated(mapping, "f", image(id=1, t="a", d=INFINITY), [])


def test_trailing_zeros_beyond_the_contract_are_fine() -> None:
    tables = catalogue(f="id:i! t:t u:u")
    mapping = compiled(tables, postings="SELECT t AS sku, t AS location, 'demand' AS bucket, u AS quantity FROM f")
    assert len(evaluated(mapping, "f", image(id=1, t="a", u="0.5000000000"), []).outputs) == 1


ORDERS = "SELECT t AS order_id, t2 AS financial_status, s AS placed_at, z AS as_of, d AS due, n AS channel FROM o"


def test_an_order_header_maps_its_codes_and_keeps_them() -> None:
    tables = catalogue(o="id:i! t:t? t2:t? s:s? z:z? d:d? n:t?")
    codes = 'time_zone: Europe/Paris\nstatuses: {orders: {financial_status: {"2": paid}}}'
    mapping = compiled(tables, codes, orders=ORDERS)
    row = {
        "id": 1,
        "t": "SO-1",
        "t2": "2",
        "s": "2026-07-01T12:00:00Z",
        "z": "2026-07-01T12:00:00.250000Z",
        "d": None,
        "n": None,
    }
    (header,) = evaluated(mapping, "o", image(**row), []).outputs
    assert header == OrderRow(
        "header",
        "SO-1",
        "SO-1",
        {
            "placed_at": "1782900000000000",
            "as_of": "1782907200250000",
            "due": None,
            "channel": None,
            "financial_status": "paid",
        },
        {"financial_status": "2"},
        (),
    )
    (unknown,) = evaluated(mapping, "o", image(**row | {"t2": "9"}), []).outputs
    assert isinstance(unknown, OrderRow)
    assert unknown.unmapped == ("financial_status",)
    assert "financial_status" not in unknown.attributes
    assert unknown.raw_statuses == {"financial_status": "9"}
    (silent,) = evaluated(mapping, "o", image(**row | {"t2": None}), []).outputs
    assert isinstance(silent, OrderRow)
    assert (silent.unmapped, silent.attributes["financial_status"]) == ((), None)


def test_a_shipment_without_order_is_told_as_such() -> None:
    tables = catalogue(o="id:i! t:t? o:t? n:n?")
    mapping = compiled(tables, shipments="SELECT t AS shipment_id, o AS order_id, t AS line_id, n AS quantity FROM o")
    (row,) = evaluated(mapping, "o", image(id=1, t="7", o=None, n="1.50"), []).outputs
    assert row == OrderRow("shipment", None, "7/7", {"shipment_id": "7", "line_id": "7", "quantity": "1.50"}, {}, ())


def test_items_and_locations() -> None:
    tables = catalogue(i="id:i! t:t b:b? n:n?")
    mapping = compiled(
        tables,
        items="SELECT t AS sku, b AS tracked, n AS backorder_limit FROM i",
        locations="SELECT t AS location, t AS name FROM i",
    )
    found = evaluated(mapping, "i", image(id=1, t="A", b=None, n=None), []).outputs
    assert set(found) == {ItemPart(sku="A"), LocationPart(location="A", name="A")}
    (item, _) = evaluated(mapping, "i", image(id=1, t="A", b=False, n="3.00"), []).outputs
    assert item == ItemPart(sku="A", tracked=False, backorder_limit=Decimal("3.00"))


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_components_of_kits(kind: str) -> None:
    tables = catalogue(kind, f="id:i! kit:t part:i? per:n? scrap:n?", p="id:i! code:t")
    sql = """SELECT f.kit AS sku, p.code AS component, ROUND(f.per * (1 + COALESCE(f.scrap, 0)), 3) AS quantity
               FROM f JOIN p ON p.id = f.part WHERE f.per <> 0"""
    mapping = compiled(tables, components=sql)
    assert mapping.tables["s.f"].feeds == mapping.tables["s.p"].feeds == {"components"}
    lookups: list[dict[Any, Any]] = [rows(mapping, "p", image(id=7, code="A"), image(id=8, code="K"))]
    row: dict[str, Any] = {"id": 1, "kit": "K", "part": 7, "per": "2.00", "scrap": "0.25"}
    assert evaluated(mapping, "f", image(**row), lookups).outputs == (ComponentRow("K", "A", Decimal("2.500")),)
    assert evaluated(mapping, "f", image(**{**row, "per": "0.00"}), lookups).outputs == ()
    assert evaluated(mapping, "f", image(**{**row, "part": 9}), lookups).missing == ((0, (9,)),)
    for wrong, reason in (
        ({"per": "-1.00"}, "leave the row out with WHERE"),
        ({"part": 8}, "a component of itself"),
        ({"kit": ""}, "sku is empty"),
    ):
        with pytest.raises(RowError, match=reason):
            evaluated(mapping, "f", image(**{**row, **wrong}), lookups)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [("kit AS sku, part AS component", "column quantity is missing"),
     ("kit AS sku, part AS component, per AS quantity, per AS due", "components has no column due")],
)  # fmt: skip
def test_components_without_or_with_other_columns_are_refused(columns: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        compiled(catalogue(f="id:i! kit:t part:t per:n"), components=f"SELECT {columns} FROM f")


def test_views_and_companies() -> None:
    tables = catalogue(a="id:i! t:t", b="id:i! t:t")
    sql = "SELECT t AS sku, '${{company}}' AS location, '{}' AS bucket, 1 AS quantity FROM ${{company}}"
    mapping = compiled(
        tables,
        "expand: {company: [a, b]}\ndeletions: {b: archived}",
        postings=sql.format("demand"),
        postings__ledger=sql.format("on_hand"),
    )
    found = evaluate_rows(mapping, {"s.a": [image(id=1, t="x")], "s.b": [image(id=1, t="y")]})
    assert {(p.view, p.sku, p.location, p.bucket.value) for p in found.outputs if isinstance(p, Posting)} == {
        ("", "x", "a", "demand"),
        ("ledger", "x", "a", "on_hand"),
        ("", "y", "b", "demand"),
        ("ledger", "y", "b", "on_hand"),
    }
    assert (mapping.tables["s.a"].deletion, mapping.tables["s.b"].deletion) == ("removed", "archived")


@pytest.mark.parametrize("name", ["erp", "wms"])
def test_the_demo_mappings_compile_the_same_every_time(name: str) -> None:
    once, again = load_mapping(CONFIGS / name), load_mapping(CONFIGS / name)
    assert (once.code, once.fingerprint) == (again.code, again.fingerprint)
    assert len(once.fingerprint) == 32


@pytest.mark.parametrize(
    ("sku", "quantity", "where", "told"),
    [
        ("TRIM(d.t)", "CAST(d.t AS numeric)", "", "postings.sql:2:13: 'x' is no number"),
        ("NULLIF(d.t, 'x')", "d.qty", "", "postings.sql:1:8: sku is NULL"),
        ("d.t", "d.qty / NULLIF(d.qty, 2.5) * 1", "", "postings.sql:2:8: quantity is NULL"),
        ("d.t", "d.qty", "WHERE CAST(d.t AS integer) > 0", "postings.sql:4:13: 'x' is no integer"),
        ("d.t", "d.qty", "WHERE d.d > '2026-01-01'", "postings.sql:4:8: date 12026-01-01Z is outside the years"),
        ("d.t", "d.qty", "JOIN g ON g.k = CAST(d.t AS integer)", "postings.sql:4:"),
    ],
)
def test_a_row_error_tells_its_place_in_the_sql(sku: str, quantity: str, where: str, told: str) -> None:
    sql = f"SELECT {sku} AS sku,\n       {quantity} AS quantity,\n"
    sql += f"       'W1' AS location, 'on_hand' AS bucket FROM drv d\n {where}"
    day = "12026-01-01Z" if "d.d" in where else "2026-11-24Z"
    row = image(id=1, k=7, qty="2.50", t="x", d=day, c="AB")
    with pytest.raises(RowError) as error:
        evaluated(compiled(BASE, postings=sql), "drv", row, [{}])
    assert str(error.value).startswith(told)
    assert error.value.code == "row-unmappable"


def test_an_order_quantity_s_error_tells_its_place() -> None:
    sql = "SELECT d.t AS order_id, d.t AS line_id,\n  CAST(d.t AS numeric) AS ordered FROM drv d"
    row = image(id=1, k=7, qty="2.50", t="0.0000000001", d=None, c="AB")
    with pytest.raises(RowError, match=r"^order_lines.sql:2:8: quantity 0.0000000001 has more than 9 digits"):
        evaluated(compiled(BASE, order_lines=sql), "drv", row, [])
