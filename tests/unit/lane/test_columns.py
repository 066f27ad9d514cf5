"""Columns that the source drops, renames, retypes or adds: only the files that use them say nothing new, and when the
mapping is mended, or the column is back and was read, nothing is missing."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from streams.core.lane.applied import Applied
from streams.core.lane.stage import LaneStage
from streams.core.log.control import Action, Control, encode_control
from streams.core.mapping.text import compile_text, pack, unpack
from tests.unit.lane.conftest import Lane, encode, progress_of
from tests.unit.lane.test_preparing import small_slices
from tests.unit.mapping.tables import catalogue

__all__ = ["small_slices"]

STOCK = "id:i! item:i place:t qty:n"
ITEM = "id:i! code:t name:t?"
POSTINGS = """SELECT i.code AS sku, s.place AS location, 'on_hand' AS bucket, s.{qty} AS quantity
FROM stock s JOIN item i ON i.id = s.item"""
ITEMS = "SELECT i.code AS sku, i.name AS name FROM item i"
PLACES = "SELECT s.place AS location FROM stock s"


def text(*, stock: str = STOCK, item: str = ITEM, qty: str = "qty", **files: str) -> bytes:
    """The text of a mapping over these tables."""
    sql = {"postings": POSTINGS.format(qty=qty), "items": ITEMS, "locations": PLACES, **files}
    return pack(
        {
            "source.yaml": b"name: toy\nkind: postgres\nschema: s\n",
            "catalog.json": catalogue(stock=stock, item=item).dump().encode(),
            **{f"{name}.sql": sql[name].encode() for name in sorted(sql)},
        }
    )


def stock(identity: int, qty: Any, item: int = 1, place: str = "W", column: str | None = "qty") -> dict[str, Any]:
    return {"id": identity, "item": item, "place": place} | ({column: qty} if column else {})


def item(identity: int, code: str, name: str = "n") -> dict[str, Any]:
    return {"id": identity, "code": code, "name": name}


class Source(Lane):
    """A lane by a compiled mapping whose text it keeps."""

    def __init__(self, first: bytes = b"", rows: dict[str, list[dict[str, Any]]] | None = None) -> None:
        first = first or text()
        super().__init__(compile_text(first))
        self.runtime.durable.changelog.clear()
        applied = Applied(compile_text(first), first, compile_text)
        self.runtime.stage_factory = lambda: LaneStage("toy", applied, encode)
        self.runtime.restart()
        if rows is None:
            rows = {"s.stock": [stock(1, "5"), stock(2, "7", item=2)], "s.item": [item(1, "A"), item(2, "B")]}
        self.log.snapshot(rows, names=list(rows))
        self.run()

    def apply(self, packed: bytes) -> None:
        control = Control(action=Action.MAPPING, fingerprint=compile_text(packed).fingerprint.hex(), text=packed)
        self.log.records.append(encode_control(control))

    def read(self, *rows: dict[str, Any]) -> None:
        """An incremental snapshot of the stock."""
        self.log.begin_reading("s.stock")
        self.log.read_again("s.stock", rows)

    def on_hand(self) -> dict[str, Decimal]:
        return {key[0]: quantity for key, quantity in self.run().quantities().items()}

    def codes(self) -> dict[str, str]:
        """Open exceptions: code → detail."""
        return {one.code: one.detail for one in self.exceptions().values()}


@pytest.fixture
def source() -> Source:
    return Source()


def test_a_dropped_column_stops_the_files_that_use_it_and_nothing_else(source: Source) -> None:
    source.log.transaction(("u", "s.stock", stock(1, None, place="V", column=None)), ("u", "s.item", item(1, "A", "m")))
    source.log.transaction(("c", "s.stock", stock(3, None, column=None)))
    assert source.on_hand() == {"A": 5, "B": 7}, "what was said stands"
    (code, detail), *more = source.codes().items()
    assert (code, more) == ("column-absent", [])
    assert detail == (
        "s.stock sends no qty: dropped or renamed at the source; postings.sql FROM s.stock says nothing new; "
        "everything else goes on"
    )
    named = source.received().items["A"]
    assert named is not None
    assert named.name == "m", "items.sql goes on"
    assert b"V" in b"".join(key for key in source.runtime.state() if key[:1] == b"l"), "locations.sql goes on"
    assert progress_of(source) == (True, False, True)
    source.runtime.restart()
    source.log.transaction(("d", "s.stock", {"id": 2}))
    assert source.on_hand() == {"A": 5}, "a row that is gone is gone"


def test_a_mended_mapping_resumes_without_loss(source: Source) -> None:
    """Renamed: from qty to pieces."""
    source.log.transaction(("u", "s.stock", stock(1, "6", column="pieces")))
    source.log.transaction(("c", "s.stock", stock(3, "1", column="pieces")), ("d", "s.stock", {"id": 2}))
    assert source.on_hand() == {"A": 5}
    source.apply(text(stock=STOCK.replace("qty", "pieces"), qty="pieces"))
    source.log.transaction(("u", "s.stock", stock(3, "2", column="pieces")))
    assert source.on_hand() == {"A": 5}
    source.read(stock(1, "6", column="pieces"), stock(3, "2", column="pieces"))
    assert source.on_hand() == {"A": 8}
    assert not source.codes()
    assert progress_of(source) == (True, False, False)


def test_a_mapping_that_does_without_the_column_resumes_at_once(source: Source) -> None:
    source.log.transaction(("u", "s.stock", stock(1, None, column=None)), ("c", "s.stock", stock(3, None, column=None)))
    source.apply(text(stock="id:i! item:i place:t", postings=POSTINGS.replace("s.{qty}", "1")))
    assert source.on_hand() == {"A": 2, "B": 1}
    assert not source.codes()
    assert progress_of(source) == (True, False, False)


def test_a_column_that_is_back_and_was_read_resumes(source: Source) -> None:
    source.log.transaction(("u", "s.stock", stock(1, None, column=None)))
    source.run()
    source.log.transaction(("u", "s.stock", stock(2, "8", item=2)))
    assert source.on_hand() == {"A": 5, "B": 7}, "the row that lacked it is still not known"
    source.read(stock(1, "6"), stock(2, "8", item=2))
    assert source.on_hand() == {"A": 6, "B": 8}
    assert not source.codes()
    assert progress_of(source) == (True, False, False)


def test_a_reading_in_which_a_row_lacks_the_column_does_not_count(source: Source) -> None:
    source.log.transaction(("u", "s.stock", stock(1, None, column=None)))
    source.read(stock(1, None, column=None), stock(2, "7", item=2))
    assert source.on_hand() == {"A": 5, "B": 7}
    assert list(source.codes()) == ["column-absent"]


def test_a_whole_snapshot_after_the_column_is_back(source: Source) -> None:
    source.log.transaction(("u", "s.stock", stock(1, None, column=None)))
    rows = {"s.stock": [stock(1, "6"), stock(2, "7", item=2)], "s.item": [item(1, "A"), item(2, "B")]}
    source.log.snapshot(rows, names=list(rows))
    source.log.transaction(("u", "s.item", item(1, "A")))
    assert source.on_hand() == {"A": 6, "B": 7}
    assert not source.codes()
    assert progress_of(source) == (True, False, False)


def test_a_retyped_column(source: Source) -> None:
    """A whole number that becomes a text."""
    source.log.transaction(*(("c", "s.stock", stock(n, "1", item=1) | {"item": "1"}) for n in range(10, 160)))
    source.log.transaction(("u", "s.item", item(2, "B", "m")))
    assert source.on_hand() == {"A": 5, "B": 7}
    assert list(source.codes()) == ["column-retyped"], "one exception for 150 rows, and no stop"
    assert "sends item as another type" in source.codes()["column-retyped"]
    wide = STOCK.replace("item:i", "item:t")
    joined = POSTINGS.format(qty="qty").replace("i.id = s.item", "i.id = CAST(s.item AS integer)")
    source.apply(text(stock=wide, postings=joined))
    source.run()
    rows = [stock(n, "1") | {"item": "1"} for n in range(10, 160)]
    source.read(stock(1, "5") | {"item": "1"}, stock(2, "7") | {"item": "2"}, *rows)
    assert source.on_hand() == {"A": 155, "B": 7}
    assert not source.codes()


TEXT_ITEM = {
    "stock": STOCK.replace("item:i", "item:t"),
    "postings": POSTINGS.format(qty="qty").replace("i.id = s.item", "i.id = CAST(s.item AS integer)"),
}


def test_a_retyped_column_of_which_no_row_has_told_is_read_anew(source: Source) -> None:
    source.apply(text(**TEXT_ITEM))
    source.log.transaction(("u", "s.stock", stock(1, "6") | {"item": "1"}))
    source.run()
    assert sorted(source.codes()) == ["column-retyped", "mapping-prepares"]
    source.read(stock(1, "6") | {"item": "1"}, stock(2, "7") | {"item": "2"})
    assert source.on_hand() == {"A": 6, "B": 7}
    assert not source.codes()


def test_rows_that_cannot_be_loaded_are_exceptions_until_they_are_read(source: Source) -> None:
    """A state of a release that did not note what values were stored as."""
    assert isinstance(source.runtime.stage, LaneStage)
    for table in source.runtime.stage._memo.tables.values():
        table.kinds = ()
    source.apply(text(**TEXT_ITEM))
    assert source.on_hand() == {"A": 5, "B": 7}
    assert list(source.codes()) == ["row-unmappable"]
    source.read(stock(1, "6") | {"item": "1"}, stock(2, "7") | {"item": "2"})
    assert source.on_hand() == {"A": 6, "B": 7}
    assert not source.codes()


def test_a_column_of_a_lookup(source: Source) -> None:
    """Every file that joins by it or shows it; the others go on."""
    source.log.transaction(("u", "s.item", {"id": 1, "name": "m"}), ("u", "s.stock", stock(1, "9", place="V")))
    assert source.on_hand() == {"A": 5, "B": 7}
    assert "; items.sql FROM s.item, postings.sql FROM s.stock say nothing new;" in source.codes()["column-absent"]
    assert b"V" in b"".join(key for key in source.runtime.state() if key[:1] == b"l")


def test_a_select_from_another_table_goes_on(source: Source) -> None:
    """One file, two driving tables."""
    second = """SELECT i.code AS sku, 'X' AS location, 'demand' AS bucket, CAST(LENGTH(i.name) AS numeric) AS quantity
      FROM item i UNION ALL
    """.replace("CAST(LENGTH(i.name) AS numeric)", "i.id")
    source.apply(text(postings=second + POSTINGS.format(qty="qty")))
    source.log.transaction(("c", "s.item", item(3, "C")))
    assert source.on_hand() != {}
    source.log.transaction(("u", "s.stock", stock(1, None, column=None)), ("u", "s.item", item(3, "D")))
    quantities = source.run().quantities()
    assert quantities["D", "X", "demand", None] == 3
    assert quantities["A", "W", "on_hand", None] == 5


def test_names_alone_do_not_make_promises_uncertain(source: Source) -> None:
    source.log.transaction(("u", "s.item", {"id": 1, "code": "A"}), ("u", "s.stock", stock(1, "9")))
    assert source.on_hand() == {"A": 9, "B": 7}
    assert list(source.codes()) == ["column-absent"]
    named = source.received().items["A"]
    assert named is not None
    assert named.name == "n", "what was said stands"
    assert progress_of(source) == (True, False, False)


def test_a_view_that_does_without_goes_on_beside_one_that_does_not(source: Source) -> None:
    source.apply(text(**{"postings.b": POSTINGS.replace("s.{qty}", "s.item")}))
    source.run()
    source.log.transaction(("u", "s.stock", stock(1, None, item=2, column=None)))
    source.run()
    said = [key for key in source.runtime.state() if key[:1] == b"s"]
    assert [(key[1:2], b"\xa1b" in key) for key in said] == [(b"A", False), (b"B", False), (b"B", True)]


def test_new_columns_and_wider_ones_are_nothing(source: Source) -> None:
    source.log.transaction(("u", "s.stock", {**stock(1, "9.123456"), "more": [1], "note": None}))
    assert source.on_hand() == {"A": Decimal("9.123456"), "B": 7}
    assert not source.codes()


def test_a_row_that_says_null_or_nan_is_that_rows_affair(source: Source) -> None:
    source.log.transaction(("u", "s.stock", stock(1, None)), ("u", "s.stock", stock(2, "NAN", item=2)))
    assert source.on_hand() == {"A": 5, "B": 7}
    assert list(source.codes()) == ["row-unmappable"]
    assert len(source.exceptions()) == 2


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("seed", range(30))
def test_random_changes_while_a_column_goes_and_comes(seed: int) -> None:
    """At the end, whatever came when, every balance is what the rows say."""
    chance, source = random.Random(seed), Source()
    rows = {1: stock(1, "5"), 2: stock(2, "7", item=2)}
    codes = {1: "A", 2: "B"}

    def business(steps: int, column: str) -> None:
        for _ in range(steps):
            identity = chance.randrange(1, 7)
            if identity in rows and chance.random() < 0.3:
                del rows[identity]
                source.log.transaction(("d", "s.stock", {"id": identity}))
                continue
            row = stock(identity, str(chance.randrange(9)), item=chance.choice((1, 2)), column=column)
            source.log.transaction(("u" if identity in rows else "c", "s.stock", row))
            rows[identity] = row
            if chance.random() < 0.2:
                codes[1] = chance.choice("AX")
                source.log.transaction(("u", "s.item", item(1, codes[1])))
            if chance.random() < 0.2:
                source.run()
            if chance.random() < 0.1:
                source.runtime.restart()

    business(5, "qty")
    business(8, "pieces")
    column = chance.choice(("qty", "pieces"))
    if column == "pieces":
        source.apply(text(stock=STOCK.replace("qty", "pieces"), qty="pieces"))
    for key, row in rows.items():
        rows[key] = stock(key, row.get("qty", row.get("pieces")), row["item"], column=column)
    business(3, column)
    source.run()
    source.read(*rows.values())
    source.run()
    business(6, column)
    expected: dict[str, Decimal] = {}
    for row in rows.values():
        code = codes[row["item"]]
        expected[code] = expected.get(code, Decimal(0)) + Decimal(row[column])
    assert source.on_hand() == expected
    assert not source.codes()
    assert progress_of(source) == (True, False, False)


def test_a_row_of_which_a_new_mapping_can_make_no_key_is_one_exception_and_the_others_go_over() -> None:
    tables = {"stock": f"{STOCK} day:d", "item": f"{ITEM} day:d"}
    by_id = POSTINGS + " WHERE s.day > '2000-01-01' AND i.day > '2000-01-01'"
    days = {1: "2026-11-25Z", 2: "-0043-03-15Z"}
    rows = {
        "s.stock": [stock(1, "5") | {"day": days[1]}],
        "s.item": [item(n, code) | {"day": days[n]} for n, code in ((1, "A"), (2, "B"))],
    }
    source = Source(text(**tables, postings=by_id.format(qty="qty")), rows)
    assert source.on_hand() == {"A": 5}
    assert not source.codes()
    yaml = b"name: toy\nkind: postgres\nschema: s\nunique: {item: [[day]]}\n"
    by_day = by_id.replace("i.id = s.item", "i.day = s.day").format(qty="qty")
    source.apply(pack({**unpack(text(**tables, postings=by_day)), "source.yaml": yaml}))
    assert source.on_hand() == {"A": 5}
    (trouble,) = source.exceptions().values()
    assert (trouble.code, trouble.subject) == ("row-unmappable", "s.item [2]")
    assert trouble.detail == f"postings.sql:2:19: date {days[2]} is outside the years 1 to 9999"
    source.log.transaction(("u", "s.item", item(2, "B") | {"day": "2026-11-26Z"}))
    source.log.transaction(("u", "s.stock", stock(1, "5") | {"day": "2026-11-26Z"}))
    assert source.on_hand() == {"B": 5}
    assert not source.codes()
