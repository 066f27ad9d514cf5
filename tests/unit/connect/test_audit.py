"""The audit's pure parts: SELECTs narrowed to some rows, what a row says, and the walk through what a lane holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from decimal import Decimal

import msgspec
import pytest

from streams.connect.audit.lane_copy import Watch
from streams.connect.audit.lane_walk import LaneWalk
from streams.connect.audit.outputs import OutputMaker, database_key, lane_key
from streams.connect.audit.run import _name_of
from streams.connect.audit.said import Line, Said, differing, lines, mapped_of, named_about, said_by
from streams.connect.audit.selects import Selected, Wanted, selects_of
from streams.connect.audit.spill import Spill
from streams.connect.reading import Condition, Limits, beyond, one_of, quoted, quoted_table, up_to
from streams.core.lane.keys import balance_key, row_reference
from streams.core.lane.left_out import LeftOut
from streams.core.lane.mapped import mapped
from streams.core.lane.state import ItemState, Kept, Memo, RowRecord, Sum, TableState
from streams.core.mapping.catalogue import Column
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import Evaluation, OrderRow, OutputRow, Posting, RowError
from streams.core.mapping.partial import Part
from tests.unit.mapping.tables import catalogue, compiled

TABLES = catalogue(stock="id:i! item:i qty:n bin:t? day:d?", item="id:i! sku:t name:t?")
ON_HAND = """-- what lies there
SELECT i.sku AS sku, COALESCE(s.bin, '100%') location, 'on_hand' AS bucket, s.qty AS quantity -- exact
  FROM stock AS s JOIN item i ON i.id = s.item
 WHERE s.qty > 0 OR s.bin LIKE 'x%' /* both */
UNION ALL
SELECT item.sku, '*', 'safety_stock', 5 FROM item;
"""


def selects(mapping: CompiledMapping | None = None) -> list[Selected]:
    return selects_of(mapping or compiled(TABLES, postings=ON_HAND))


# -- the SELECTs


def test_a_select_keeps_its_text_and_gets_key_and_range() -> None:
    first, second = selects()
    sql, values = first.query(Condition('s."id" > %s', (7,)))
    assert sql == (
        "SELECT s.\"id\"::text,  i.sku AS sku, COALESCE(s.bin, '100%%') location, 'on_hand' AS bucket, "
        "s.qty AS quantity -- exact\n  FROM stock AS s JOIN item i ON i.id = s.item\n"
        "WHERE (s.\"id\" > %s) AND ( s.qty > 0 OR s.bin LIKE 'x%%'\n)"
    )
    assert values == (7,)
    sql, _ = second.query(Condition())
    assert sql == "SELECT item.\"id\"::text,  item.sku, '*', 'safety_stock', 5 FROM item\n"
    assert (first.table.name, second.table.name) == ("s.stock", "s.item")


def test_only_some_skus_are_asked_for_by_the_files_own_expression() -> None:
    first, second = selects()
    wanted = Wanted(frozenset({"A", "B"}))
    assert first.about(wanted) == Condition("((i.sku) IN (%s, %s))", ("A", "B"))
    assert second.about(wanted) == Condition("((item.sku) IN (%s, %s))", ("A", "B"))
    assert first.about(Wanted(orders=frozenset({"1"}))) is None
    assert first.about(Wanted()) == Condition()


def test_an_expression_without_as_and_a_function_with_from_in_it() -> None:
    (one,) = selects(
        compiled(
            TABLES,
            postings="SELECT TRIM(LEADING '0' FROM i.sku) sku, 'W' AS location, 'on_hand' AS bucket, 1 AS quantity "
            "FROM item i",
        )
    )
    assert one.about(Wanted(frozenset({"A"}))) == Condition("((TRIM(LEADING '0' FROM i.sku)) IN (%s))", ("A",))
    assert one.query(Condition())[0].endswith("1 AS quantity FROM item i\n")


def test_a_select_knows_its_place_and_which_columns_are_bits_of_mariadb() -> None:
    assert [one.place for one in selects()] == ["postings.sql:2:1", "postings.sql:6:1"]
    tables = catalogue("mariadb", item="id:i! code:t", flag="item:i! bit:i other:i")
    tables.tables["flag"].columns["bit"] = Column(name="bit", type="bit")
    sql = "SELECT i.code AS sku, {} AS tracked FROM item i JOIN flag f ON f.item = i.id"
    for expression, bits in (
        ("f.bit", {"tracked"}),
        ("(BIT)", {"tracked"}),
        ("COALESCE(bit, bit)", set()),
        ("other", set()),
    ):
        (one,) = selects_of(compiled(tables, items=sql.format(expression)))
        assert one.bits == bits, expression


def test_mariadb_names_and_ranges_are_spelt_out() -> None:
    mapping = compiled(
        catalogue("mariadb", stock="a:i! b:i! qty:n"),
        postings="SELECT CONCAT(a, '') AS sku, 'W' AS location, 'on_hand' AS bucket, qty AS quantity FROM stock",
    )
    (one,) = selects_of(mapping)
    assert one.keys() == ["stock.`a`", "stock.`b`"]
    assert beyond("mariadb", ["a", "b"], (1, 2)) == Condition(
        "a >= %s AND ((a > %s) OR (a = %s AND b > %s))", (1, 1, 1, 2)
    )
    assert up_to("mariadb", ["a", "b"], (1, 2)) == Condition(
        "a <= %s AND (((a < %s) OR (a = %s AND b < %s)) OR (a = %s AND b = %s))", (1, 1, 1, 2, 1, 2)
    )
    assert beyond("mariadb", ["a"], (1,), before=True) == Condition("a < %s", (1,))
    assert beyond("postgres", ["a", "b"], (1, 2)) == Condition("(a, b) > (%s, %s)", (1, 2))
    assert one_of(["a", "b"], [(1, 2), (3, 4)]) == Condition("(a, b) IN ((%s, %s), (%s, %s))", (1, 2, 3, 4))


def test_names_stand_under_quotes_and_their_dots_and_percent_signs_are_their_own() -> None:
    assert quoted("postgres", 'a."b%') == '"a.""b%%"'
    assert quoted("mariadb", "disc%`t") == "`disc%%``t`"
    assert quoted_table("mariadb", "shop.lot.`no`") == "`shop`.`lot.``no```"


def test_a_pause_of_the_pace_never_outlasts_an_idle_transaction() -> None:
    assert Limits().idle_s == 60
    assert Limits(statement_s=90).idle_s == 180
    assert Limits(chunk_rows=1_000, rows_per_s=2).idle_s == 1_000


# -- what the database computed


def made(file: str, text: str, values: list[object], more: str = "") -> OutputRow:
    (one,) = selects_of(compiled(TABLES, more, **{file: text}))
    return OutputMaker(one, {"execution_status": {"20": "released"}}, "Europe/Paris").make(values, [0] * len(values))


POSTING = (
    "SELECT i.sku AS sku, 'W' AS location, 'demand' AS bucket, s.qty AS quantity, s.day AS due "
    "FROM stock s JOIN item i ON i.id = s.item"
)


def test_rows_of_the_database_become_the_lanes_outputs() -> None:
    assert made("postings", POSTING, ["A", "W", "demand", Decimal("1.50"), "2026-11-25"]) == Posting(
        "", "A", "W", "demand", dt.date(2026, 11, 25), None, Decimal("1.5")  # type: ignore[arg-type]
    )  # fmt: skip
    tables = catalogue(head="id:i! no:t at:s stat:t qty:n")
    (one,) = selects_of(
        compiled(
            tables,
            'statuses: {orders: {execution_status: {"20": released}}}\n',
            orders="SELECT no AS order_id, at AS placed_at, stat AS execution_status FROM head",
        )
    )
    maker = OutputMaker(one, {"execution_status": {"20": "released"}}, "Europe/Paris")
    row = maker.make(["O1", "2026-11-25 12:00:00.5", "30"], [0, 0, 0])
    assert isinstance(row, OrderRow)
    assert (row.order_id, row.part_id, row.unmapped, row.raw_statuses) == (
        "O1", "O1", ("execution_status",), {"execution_status": "30"},
    )  # fmt: skip
    assert row.attributes == {"placed_at": "1795604400500000"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None, "W", "demand", 1, None], "sku is NULL"),
        (["A", "W", "demand", None, None], "quantity is NULL"),
        (["A", "W", "demand", Decimal("NaN"), None], "no quantity can hold it"),
        (["A", "W", "demand", Decimal("0.0000000001"), None], "more than 9 digits"),
        (["A", "W", "lost", 1, None], "bucket 'lost' is none of"),
        (["A", "W", "demand", 1, "infinity"], "outside the years"),
        (["A", " ", "demand", 1, None], "location is blank"),
    ],
)
def test_what_no_contract_can_hold_is_no_value(values: list[object], why: str) -> None:
    with pytest.raises(RowError, match=why):
        made("postings", POSTING, values)


@pytest.mark.parametrize(
    ("column", "database", "lane"),
    [
        (Column(name="k", type="integer"), "7", 7),
        (Column(name="k", type="numeric", scale=2), "7.50", "7.50"),
        (Column(name="k", type="character", length=4), "ab", "ab  "),
        (Column(name="k", type="date"), "2026-11-25", "2026-11-25Z"),
        (Column(name="k", type="timestamp without time zone"), "2026-11-25 12:00:00.50", "2026-11-25T12:00:00.5"),
        (Column(name="k", type="bytea"), "\\x00ff", "AP8="),
        (Column(name="k", type="text"), "é", "é"),
    ],
)
def test_keys_are_those_of_the_lane_and_back(column: Column, database: str, lane: object) -> None:
    ours = lane_key([column], [database], postgres=True)
    assert row_reference(b"t\0", ours) == row_reference(b"t\0", (lane,))
    (back,) = database_key([column], msgspec.msgpack.decode(msgspec.msgpack.encode(list(ours))), postgres=True)
    assert lane_key([column], [back], postgres=True) == ours


# -- what is said


def posting(sku: str, quantity: str) -> Posting:
    return Posting("", sku, "W", "on_hand", None, None, Decimal(quantity))  # type: ignore[arg-type]


EVERYTHING = Wanted()
REFERENCE = row_reference(b"s.stock\0", (1,))


def by_database(outputs: list[OutputRow]) -> Said:
    """What a row says that the database computed, as the audit takes it."""
    made = mapped_of(outputs, REFERENCE)
    return said_by(made.postings, made.parts, REFERENCE)


def test_scale_and_order_of_postings_are_no_difference_quantity_and_count_are() -> None:
    there = by_database([posting("A", "1.50"), posting("A", "2"), posting("B", "1")])
    kept = mapped(Evaluation((posting("B", "1.00"), posting("A", "2"), posting("A", "1.5")), (), ()), REFERENCE)
    assert differing(there, said_by(kept.postings, kept.parts, REFERENCE)) == []
    other = by_database([posting("A", "3.5"), posting("B", "2")])
    (count, quantity) = [
        line for name in differing(there, other) for line in lines(name, there.get(name, {}), other.get(name, {}))
    ]
    assert count == Line("postings", (("sku", "A"), ("location", "W"), ("bucket", "on_hand")), "postings", 2, 1)
    assert (quantity.column, quantity.database, quantity.lane) == ("quantity", Decimal(1), Decimal(2))


def test_an_order_line_differs_by_column_and_in_numbers_not_in_their_text() -> None:
    line = OrderRow("line", "O1", "1", {"ordered": "2.0", "sku": "A"}, {}, ())
    there, here = (
        by_database([line]),
        by_database([line._replace(attributes={"ordered": "2", "sku": "B"})]),
    )
    (name,) = differing(there, here)
    assert list(lines(name, there[name], here[name])) == [
        Line("order_lines", (("order", "O1"), ("part", "1")), "sku", "A", "B")
    ]
    assert list(lines(name, there[name], {})) == [
        Line("order_lines", (("order", "O1"), ("part", "1")), "(all)", "there", None)
    ]
    assert named_about(name, Wanted(orders=frozenset({"O1"})))
    assert not named_about(name, Wanted(skus=frozenset({"O1"})))


# -- the lane


class State:
    """Pairs of a state."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.pairs = pairs
        self.memo = Memo(b"", tables={"s.stock": TableState(("id",), dead_below=1)})

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self.pairs.items() if key.startswith(prefix)))

    def catch_up(self) -> None: ...

    def watch(self, references: Collection[bytes]) -> None: ...

    def forward(self, first: str, last: str) -> None: ...

    def between(self, reference: bytes) -> list[bytes | None]:
        return []

    def written(self, reference: bytes) -> int:
        return 0


def row(key: int) -> bytes:
    return row_reference(b"s.stock\0", (key,))


def held() -> dict[bytes, bytes]:
    """Two rows that post to A, of which one says an item, too; one archived row of A still counts."""
    one, other = posting("A", "5"), posting("A", "-2.0")
    item = msgspec.msgpack.encode(ItemState("a", None, None, True, None, True))
    said = {b"iA\0" + row(1): item}
    balance = balance_key(one)
    rows = {
        row(1): RowRecord(1, b"x", ((balance, "5"),), tuple(said.items())),
        row(2): RowRecord(1, b"x", ((balance_key(other), "-2.0"),)),
    }
    total = Sum(3, Decimal(10), kept=(Kept(row(3), Decimal(7), 1),))
    return {
        **{b"r" + reference: msgspec.msgpack.encode(record) for reference, record in rows.items()},
        **said,
        b"s" + balance: msgspec.msgpack.encode(total),
    }


def walked(
    pairs: dict[bytes, bytes], named: list[bytes], wanted: Wanted = EVERYTHING, left_out: Collection[Part] = ()
) -> tuple[list[bytes], list[bytes]]:
    spill = Spill()
    spill.add((reference, b"") for reference in named)
    walk = LaneWalk(State(pairs), wanted, LeftOut(frozenset(left_out)))
    unnamed = list(walk.unnamed(spill.sorted(), {"s.stock"}))
    faults = [_name_of(key) for key, _, _ in walk.own_faults()]
    walk.close()
    spill.close()
    return unnamed, faults


def test_a_lane_that_agrees_with_itself_and_rows_nobody_named() -> None:
    assert walked(held(), [row(2), row(9), row(1)]) == ([], [])
    assert walked(held(), [row(2)]) == ([row(1)], [])
    assert walked(held(), [], Wanted(skus=frozenset({"B"}))) == ([], [])


def test_what_the_database_cannot_be_asked_names_no_row_and_still_adds_up() -> None:
    postings = Part("postings.sql", "s.stock")
    assert walked(held(), [], left_out=[postings]) == ([row(1)], []), "it says an item, too"
    assert walked(held(), [], left_out=[postings, Part("items.sql", "s.stock")]) == ([], [])
    assert walked(held(), [], left_out=[Part("postings.sql", "s.item")]) == ([row(1), row(2)], [])


def test_rows_that_a_truncate_has_left_are_not_named() -> None:
    pairs = held()
    pairs[b"r" + row(1)] = msgspec.msgpack.encode(
        msgspec.structs.replace(msgspec.msgpack.decode(pairs[b"r" + row(1)], type=RowRecord), seen=0)
    )
    assert walked(pairs, [row(2)]) == ([], [])


@pytest.mark.parametrize("which", ["sum", "no sum", "item", "no item", "an item too many"])
def test_sums_and_parts_that_are_not_those_of_the_rows(which: str) -> None:
    pairs = held()
    balance = b"s" + balance_key(posting("A", "1"))
    item = b"iA\0" + row(1)
    match which:
        case "sum":
            pairs[balance] = msgspec.msgpack.encode(Sum(2, Decimal(4)))
        case "no sum":
            del pairs[balance]
        case "item":
            pairs[item] = msgspec.msgpack.encode(ItemState("b", None, None, True, None, True))
        case "no item":
            del pairs[item]
        case "an item too many":
            pairs[b"iA\0" + row(2)] = pairs[item]
    assert walked(pairs, [row(1), row(2)]) == ([], [balance if "sum" in which else b"iA"])


def test_what_was_held_of_a_row_between_two_positions() -> None:
    pairs: dict[bytes, bytes] = {b"r1": b"old"}
    watch = Watch(pairs.get)
    watch.begin({b"1"})
    watch.since("lsn:10")

    def unit(value: bytes, reached: str) -> None:
        watch.note({b"r1": value, b"r2": value})
        pairs[b"r1"] = value
        watch.settled(Memo(b"", reached=reached))

    unit(b"at 8", "lsn:8")
    assert (watch.between(b"1"), watch.written(b"1")) == ([], 1), "before the position it must have seen"
    unit(b"at 12", "lsn:12")
    unit(b"at 14", "lsn:14")
    assert watch.between(b"1") == [b"at 8", b"at 12"]
    assert (watch.between(b"2"), watch.written(b"1")) == ([], 3)
