"""What joins do in a lane: several rows to one, keys under a condition or none at all, tables of one row, renames."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from streams.core.lane import fold, worklists
from streams.core.mapping import model
from streams.core.mapping.catalogue import PartialKey
from tests.unit.lane.conftest import Lane, Receiver
from tests.unit.mapping.tables import catalogue, compiled

TABLES = {
    "stock": "id:i! item:i place:i quantity:n",
    "item": "id:i! code:t?",
    "place": "id:i! code:t gone:b",
    "line": "id:i! item:i quantity:n",
    "part": "id:i! of:i item:i per:n",
    "setting": "id:i! buffer:n",
    "note": "id:i! line:i text:t seen:s?",
    "due": "id:i! day:d? quantity:n",
    "shift": "id:i! day:d code:t",
}
STOCK = """SELECT i.code AS sku, 'W' AS location, 'on_hand' AS bucket, s.quantity AS quantity
             FROM stock s JOIN item i ON i.id = s.item"""
PARTS = """SELECT i.code AS sku, '*' AS location, 'demand' AS bucket, l.quantity * p.per AS quantity
             FROM line l JOIN part p ON p.of = l.item JOIN item i ON i.id = p.item"""
OF_ITEM = """SELECT i.code AS sku, '*' AS location, 'demand' AS bucket, l.quantity * p.per AS quantity
               FROM line l JOIN item i ON i.id = l.item JOIN part p ON p.of = i.id"""
Rows = dict[str, dict[int, dict[str, Any]]]


def lane_of(more: str = "many: [part, note]", partial: dict[str, Any] | None = None, **files: str) -> Lane:
    tables = catalogue(**TABLES)
    tables.tables["part"].indexes = (("of",),)
    tables.tables["note"].indexes = (("line",),)
    for table, keys in (partial or {}).items():
        tables.tables[table].partial = keys
    return Lane(compiled(tables, more, **files))


def rows(table: str, *values: Iterable[Any]) -> list[dict[str, Any]]:
    names = [part.partition(":")[0] for part in TABLES[table].split()]
    return [dict(zip(names, row, strict=True)) for row in values]


def start(lane: Lane, **tables: list[dict[str, Any]]) -> Receiver:
    """A first snapshot of all tables, worked off."""
    used = list(lane.mapping.tables)
    lane.log.snapshot({f"s.{table}": found for table, found in tables.items()}, names=used)
    return lane.run()


def change(lane: Lane, *changes: tuple[Any, ...]) -> dict[tuple[str, str], str]:
    """(op, table, *columns) changes in one transaction; balances by sku and location."""
    lane.log.transaction(
        *(
            (op, f"s.{table}", {"id": values[0]} if op == "d" else rows(table, values)[0])
            for op, table, *values in changes
        )
    )
    return balances(lane.run())


def balances(received: Receiver) -> dict[tuple[str, str], str]:
    return {
        (sku, where): format(quantity.normalize(), "f")
        for (sku, where, _, _), quantity in received.quantities().items()
    }


def codes(lane: Lane) -> list[str]:
    return sorted(record.code for record in lane.exceptions().values())


def test_one_row_posts_for_each_row_that_is_joined_to_it() -> None:
    lane = lane_of(postings=PARTS)
    received = start(
        lane,
        item=rows("item", (1, "A"), (2, "B")),
        part=rows("part", (1, 9, 1, "2"), (2, 9, 2, "3"), (3, 9, 1, "1")),
        line=rows("line", (1, 9, "10"), (2, 8, "5")),
    )
    assert balances(received) == {("A", "*"): "30", ("B", "*"): "30"}
    assert change(lane, ("c", "part", 4, 8, 2, "2")) == {("A", "*"): "30", ("B", "*"): "40"}
    assert change(lane, ("u", "part", 3, 8, 1, "1")) == {("A", "*"): "25", ("B", "*"): "40"}
    assert change(lane, ("d", "part", 1)) == {("A", "*"): "5", ("B", "*"): "40"}
    assert change(lane, ("d", "line", 2)) == {("B", "*"): "30"}
    assert lane.exceptions() == {}


BEFORE_CHRIST = "-0043-03-15Z"
"""A date that has no value here."""


def test_a_lookup_row_of_which_no_key_can_be_made_is_one_exception_and_the_lane_goes_on() -> None:
    sql = """SELECT s.code AS sku, 'W' AS location, 'on_hand' AS bucket, d.quantity AS quantity
    FROM due d JOIN shift s ON s.day = d.day"""
    lane = lane_of("unique: {shift: [[day]]}", postings=sql)
    shifts = rows("shift", (1, "2026-11-25Z", "A"), (2, BEFORE_CHRIST, "B"))
    received = start(lane, shift=shifts, due=rows("due", (1, "2026-11-25Z", "5")))
    assert balances(received) == {("A", "W"): "5"}
    (trouble,) = lane.exceptions().values()
    assert (trouble.code, trouble.subject) == ("row-unmappable", "s.shift [2]")
    assert trouble.detail == f"postings.sql:2:21: date {BEFORE_CHRIST} is outside the years 1 to 9999"
    assert change(lane, ("u", "shift", 1, BEFORE_CHRIST, "A")) == {("A", "W"): "5"}, "what it said last stands"
    lane.runtime.restart()
    assert {trouble.subject for trouble in lane.exceptions().values()} == {"s.shift [1]", "s.shift [2]"}
    assert change(lane, ("u", "shift", 1, "2026-11-26Z", "A"), ("d", "shift", 2)) == {}
    assert not lane.exceptions()
    assert change(lane, ("u", "due", 1, "2026-11-26Z", "5")) == {("A", "W"): "5"}


def expected(tables: Rows, sql: str) -> dict[tuple[str, str], str]:
    """The item of the part with PARTS, that of the line with OF_ITEM."""
    sums: dict[tuple[str, str], Decimal] = {}
    for line in tables["line"].values():
        for part in tables["part"].values():
            item = tables["item"].get((part if sql == PARTS else line)["item"])
            if part["of"] == line["item"] and item is not None:
                key = (item["code"], "*")
                sums[key] = sums.get(key, Decimal(0)) + Decimal(line["quantity"]) * Decimal(part["per"])
    return {key: format(quantity.normalize(), "f") for key, quantity in sums.items()}


@pytest.mark.parametrize("sql", [PARTS, OF_ITEM], ids=["parts", "of_item"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_random_changes_of_all_three_tables(seed: int, full: bool, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`full`: every unit holds too much already, so that each row is put off."""
    monkeypatch.setattr(fold, "FAN_OUT", 2)
    monkeypatch.setattr(worklists, "SLICE", 3)
    if full:
        monkeypatch.setattr(fold, "FULL_BYTES", 300)
    rng = random.Random(seed)
    lane = lane_of(postings=sql)
    made: Rows = {"line": {}, "part": {}, "item": {}}
    start(lane)
    for step in range(60):
        changes: list[tuple[Any, ...]] = []
        for _ in range(rng.choice((1, 1, 4))):
            table, key = rng.choice(list(made)), rng.randrange(1, 7)
            if key in made[table] and rng.random() < 0.3:
                del made[table][key]
                changes.append(("d", table, key))
                continue
            values = {
                "line": (key, rng.randrange(3), str(rng.randrange(1, 9))),
                "part": (key, rng.randrange(3), rng.randrange(1, 7), str(rng.randrange(1, 4))),
                "item": (key, rng.choice("ABC")),
            }[table]
            changes.append(("u" if key in made[table] else "c", table, *values))
            made[table][key] = rows(table, values)[0]
        assert change(lane, *changes) == expected(made, sql), step
    left = [key for key in lane.runtime.state() if key[:1] in b"zqx" or key[:7] == b"d" + fold.LATER]
    assert left == []


def test_a_row_that_joins_too_many_keeps_what_it_said_until_they_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MANY", 3)
    lane = lane_of(postings=PARTS)
    parts = [(n, 9, 1, "1") for n in range(3)]
    lines = rows("line", (1, 9, "10"), (2, 9, "5"))
    start(lane, item=rows("item", (1, "A")), part=rows("part", *parts), line=lines)
    assert change(lane, ("c", "part", 7, 9, 1, "1")) == {("A", "*"): "45"}
    ((identity, record),) = lane.exceptions().items()
    assert identity == "lane/toy/lookup-too-many/s.part (of) ['9']"
    assert "more than 3 rows share this key" in record.detail
    assert lane.received().uncertain == {"A": True}
    assert change(lane, ("d", "part", 0), ("u", "line", 1, 9, "20")) == {("A", "*"): "75"}
    assert lane.exceptions() == {}
    assert lane.received().uncertain == {"A": False}


def test_a_part_that_several_joined_rows_say_is_the_newests() -> None:
    sql = """SELECT 'SO' AS order_id, 'L' AS line_id, n.text AS unit, n.seen AS as_of
               FROM line l JOIN note n ON n.line = l.id"""
    lane = lane_of(order_lines=sql)
    notes = [(1, 1, "old", "2026-01-01T00:00:00Z"), (2, 1, "new", "2026-01-02T00:00:00Z"), (3, 1, "none", None)]
    received = start(lane, line=rows("line", (1, 1, "1")), note=rows("note", *notes))
    assert received.parts["SO", "line", "L"][1].attributes["unit"] == "new"
    change(lane, ("d", "note", 2))
    assert lane.received().parts["SO", "line", "L"][1].attributes["unit"] == "old"


def test_a_key_that_holds_for_live_rows_finds_the_live_one() -> None:
    live = """SELECT i.code AS sku, p.code AS location, 'on_hand' AS bucket, s.quantity AS quantity
                FROM stock s JOIN item i ON i.id = s.item JOIN place p ON p.code = i.code AND NOT p.gone"""
    lane = lane_of(partial={"place": (PartialKey(columns=("code",), where="(NOT gone)"),)}, postings=live)
    places = rows("place", (1, "A", True), (2, "A", True), (3, "A", False))
    start(lane, item=rows("item", (1, "A")), stock=rows("stock", (1, 1, 0, "5")), place=places)
    assert balances(lane.received()) == {("A", "A"): "5"}
    assert change(lane, ("u", "place", 3, "A", True)) == {}
    assert lane.runtime.stage.health()["rows_waiting_for_a_lookup"] == 1  # type: ignore[attr-defined]
    assert change(lane, ("u", "place", 1, "A", False)) == {("A", "A"): "5"}
    assert change(lane, ("c", "place", 4, "A", False)) == {("A", "A"): "5"}
    assert list(lane.exceptions()) == ["lane/toy/lookup-ambiguous/s.place (code) WHERE NOT gone ['A']"]
    assert change(lane, ("d", "place", 1)) == {("A", "A"): "5"}
    assert lane.exceptions() == {}


def test_a_table_of_one_row_is_joined_to_every_row_and_a_second_row_is_one_exception() -> None:
    sql = STOCK.replace("s.quantity AS", "s.quantity - g.buffer AS") + " CROSS JOIN setting g"
    lane = lane_of("one_row: [setting]", postings=sql)
    items, stock = rows("item", (1, "A"), (2, "B")), rows("stock", (1, 1, 0, "5"), (2, 2, 0, "7"))
    assert balances(start(lane, item=items, stock=stock)) == {}
    assert change(lane, ("c", "setting", 1, "2")) == {("A", "W"): "3", ("B", "W"): "5"}
    assert change(lane, ("u", "setting", 1, "1")) == {("A", "W"): "4", ("B", "W"): "6"}
    assert change(lane, ("c", "setting", 2, "0")) == {("A", "W"): "4", ("B", "W"): "6"}
    ((identity, record),) = lane.exceptions().items()
    assert identity == "lane/toy/lookup-ambiguous/s.setting () []"
    assert "s.setting [1] and s.setting [2]" in record.detail
    assert change(lane, ("d", "setting", 1)) == {("A", "W"): "5", ("B", "W"): "7"}
    assert lane.exceptions() == {}


def test_a_key_that_is_declared_unique_and_is_not_makes_no_record_that_grows() -> None:
    sql = STOCK.replace("i ON i.id = s.item", "i ON i.code = 'X'").replace("i.code AS", "'S' AS")
    lane = lane_of("unique: {item: [[code]]}", postings=sql)
    count = 20
    start(lane, item=rows("item", (0, "X")), stock=rows("stock", (1, 1, 0, "5")))
    for n in range(1, count):
        change(lane, ("c", "item", n, "X"))
    state = lane.runtime.state()
    assert max(len(value) for key, value in state.items() if key[:1] == b"u") < 100
    assert codes(lane) == ["lookup-ambiguous"]
    for n in range(count - 1):
        assert balances(lane.received()) == {("S", "W"): "5"}
        change(lane, ("d", "item", n))
    assert codes(lane) == []
    assert change(lane, ("d", "item", count - 1)) == {}
    assert [key for key in lane.runtime.state() if key[:1] in b"um"] == []


def test_a_row_that_came_while_its_lookup_was_wrong_heals_with_the_lookup() -> None:
    lane = lane_of("unique: {item: [[code]]}", postings=STOCK)
    start(lane, item=rows("item", (1, None)), stock=rows("stock", (1, 1, 0, "5")))
    assert (balances(lane.received()), codes(lane)) == ({}, ["row-unmappable"])
    assert change(lane, ("u", "item", 1, "A")) == {("A", "W"): "5"}
    assert change(lane, ("u", "item", 1, " ")) == {("A", "W"): "5"}
    assert codes(lane) == ["row-unmappable"]
    assert change(lane, ("u", "item", 1, "B")) == {("B", "W"): "5"}
    assert codes(lane) == []


def test_whole_balances_move_when_a_lookup_renames_the_sku_or_the_location(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "FAN_OUT", 2)
    sql = STOCK.replace("'W'", "p.code").replace("JOIN item", "JOIN place p ON p.id = s.place JOIN item")
    lane = lane_of(postings=sql)
    stock = [(n, 1 + n % 2, 1 + n % 3 // 2, str(n)) for n in range(12)]
    places = rows("place", (1, "W1", False), (2, "W2", False))
    start(lane, item=rows("item", (1, "A"), (2, "B")), place=places, stock=rows("stock", *stock))

    def total(skus: dict[int, str], where: dict[int, str]) -> dict[tuple[str, str], str]:
        sums: dict[tuple[str, str], Decimal] = {}
        for _, item, place, quantity in stock:
            key = (skus[item], where[place])
            sums[key] = sums.get(key, Decimal(0)) + Decimal(quantity)
        return {key: format(quantity.normalize(), "f") for key, quantity in sums.items()}

    assert balances(lane.received()) == total({1: "A", 2: "B"}, {1: "W1", 2: "W2"})
    assert change(lane, ("u", "item", 1, "C")) == total({1: "C", 2: "B"}, {1: "W1", 2: "W2"})
    assert change(lane, ("u", "place", 1, "W2", False)) == total({1: "C", 2: "B"}, {1: "W2", 2: "W2"})
    assert change(lane, ("u", "item", 2, "C"), ("u", "place", 2, "W9", False)) == total(
        {1: "C", 2: "C"}, {1: "W2", 2: "W9"}
    )
    assert {key[1:3] for key in lane.runtime.state() if key[:1] == b"s"} == {b"C\0"}


def test_a_lookup_row_that_disappears_takes_the_balances_with_it_and_the_rows_wait() -> None:
    lane = lane_of(postings=STOCK)
    start(lane, item=rows("item", (1, "A")), stock=rows("stock", (1, 1, 0, "5"), (2, 1, 0, "6")))
    assert change(lane, ("d", "item", 1)) == {}
    assert lane.runtime.stage.health()["rows_waiting_for_a_lookup"] == 2  # type: ignore[attr-defined]
    assert change(lane, ("c", "item", 1, "B")) == {("B", "W"): "11"}


def test_two_postings_with_the_same_key_add_up() -> None:
    lane = lane_of(postings=f"{STOCK} UNION ALL {STOCK} WHERE s.quantity > 5")
    start(lane, item=rows("item", (1, "A")), stock=rows("stock", (1, 1, 0, "5"), (2, 1, 0, "6")))
    assert balances(lane.received()) == {("A", "W"): "17"}
    assert change(lane, ("u", "stock", 2, 1, 0, "5")) == {("A", "W"): "10"}
    assert change(lane, ("d", "stock", 2)) == {("A", "W"): "5"}


def test_very_many_rows_of_one_item_cost_a_change_nothing_and_a_new_code_goes_in_slices() -> None:
    """Ten million are as many: what is written because of one row does not know how many there are."""

    def started(count: int) -> Lane:
        lane = lane_of(postings=STOCK)
        start(lane, item=rows("item", (1, "A")), stock=rows("stock", *[(1000 + n, 1, 0, "5") for n in range(count)]))
        lane.runtime.durable.changelog.clear()
        return lane

    def written(lane: Lane) -> list[int]:
        units = [made for made, _ in lane.runtime.durable.changelog]
        return [sum(len(key) + len(value or b"") for key, value in made.items()) for made in units]

    few, many = started(20), started(2_500)
    for lane, total in ((few, "101"), (many, "12501")):
        assert change(lane, ("u", "stock", 1007, 1, 0, "6")) == {("A", "W"): total}
    assert max(written(many)) <= max(written(few)) + 20
    many.runtime.durable.changelog.clear()
    assert change(many, ("u", "item", 1, "B")) == {("B", "W"): "12501"}
    slices = [sum(key[:1] == b"r" for key in made) for made, _ in many.runtime.durable.changelog]
    assert (sum(slices), max(slices)) == (2_501, fold.FAN_OUT + 1)


def test_rows_that_join_many_share_no_unit_that_cannot_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "FULL_BYTES", 20_000)
    lane = lane_of(postings=PARTS.replace("i.code AS sku", "i.code || p.id AS sku"))
    start(lane, item=rows("item", (1, "A")), part=rows("part", *[(n, 9, 1, "1") for n in range(300)]))
    found = change(lane, *[("c", "line", n, 9, "1") for n in range(30)])
    assert (len(found), set(found.values())) == (300, {"30"})
    batches = [made.items() for made, _ in lane.runtime.durable.changelog]
    units = [sum(len(key) + len(value or b"") for key, value in made) for made in batches]
    row = max(len(value) for key, value in lane.runtime.state().items() if key[:7] == b"rs.line")
    assert max(units) < 20_000 + 6 * row


def test_a_key_column_that_changes_its_type_is_told_and_other_tables_go_on() -> None:
    lane = lane_of(postings=STOCK)
    start(lane, item=rows("item", (1, "A")), stock=rows("stock", (1, 1, 0, "5"), (2, 1, 0, "6")))
    assert change(lane, ("u", "stock", "1", 1, 0, "50"), ("u", "item", 1, "B")) == {("B", "W"): "11"}
    ((identity, record),) = lane.exceptions().items()
    assert identity.startswith("lane/toy/key-undecodable/")
    assert "s.stock" in record.detail
    received = lane.received()
    assert received.progress is not None
    assert received.progress.uncertain
    assert change(lane, ("u", "stock", 2, 1, 0, "7")) == {("B", "W"): "12"}


def test_a_cycle_of_lookup_rows_ends() -> None:
    sql = """SELECT COALESCE(q.code, p.code, i.code) AS sku, 'W' AS location, 'on_hand' AS bucket,
                    s.quantity AS quantity
               FROM stock s JOIN item i ON i.id = s.item LEFT JOIN part r ON r.id = i.id
               LEFT JOIN item p ON p.id = r.item LEFT JOIN part t ON t.id = p.id LEFT JOIN item q ON q.id = t.item"""
    lane = lane_of(postings=sql)
    items, parents = rows("item", (1, "A"), (2, "B")), rows("part", (1, 0, 2, "1"), (2, 0, 1, "1"))
    start(lane, item=items, part=parents, stock=rows("stock", (1, 1, 0, "5"), (2, 2, 0, "7")))
    assert balances(lane.received()) == {("A", "W"): "5", ("B", "W"): "7"}
    assert change(lane, ("u", "item", 1, "C")) == {("C", "W"): "5", ("B", "W"): "7"}
    assert change(lane, ("u", "part", 2, 0, 2, "1")) == {("B", "W"): "12"}
    assert change(lane, ("d", "part", 1), ("u", "item", 2, "D")) == {("C", "W"): "5", ("D", "W"): "7"}
