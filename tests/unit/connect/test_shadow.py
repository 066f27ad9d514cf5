"""What a changed mapping would do, worked off on a copy of a lane's state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from rocksdict import Cache

from schemas.errors import EnvironmentFault
from streams.agents.runtime.marker import Standing
from streams.agents.runtime.store import PartitionStore
from streams.connect.shadow import BalanceKey, Effect, Shadow, availability, compare_said, said, switch
from streams.core.lane.preparing import needs_reading
from streams.core.lane.state import load_memo
from streams.core.mapping.text import compile_text
from streams.core.ownership import load_ownership
from tests.unit.lane.test_columns import ITEMS, POSTINGS, STOCK, Source, item, stock, text

CONFIGS = Path(__file__).parents[3] / "connect-configs"


class Copy:
    """A copy of a lane's state, and what a mapping would do to it."""

    def __init__(self, lane: Source, path: Path) -> None:
        lane.run()
        self.store = PartitionStore(path / "state", Cache(1 << 20))
        self.store.settle(lane.runtime.state(), Standing())
        assert lane.runtime.marker.memo is not None
        self.memo = load_memo(lane.runtime.marker.memo)

    def plan(self, packed: bytes, *rows: dict[str, object]) -> Shadow:
        mapping, report = compile_text(packed), Shadow("toy")
        before = said(self.store)
        report.read_anew = needs_reading(mapping, self.memo)
        chunks = [[msgspec.json.encode(row) for row in rows]]
        report.rows = switch(
            self.store, self.memo, mapping, packed, nullcontext(dict.fromkeys(report.read_anew, chunks))
        )
        compare_said(report, before, said(self.store), None)
        return report


@pytest.fixture
def lane() -> Source:
    return Source()


@pytest.fixture
def copy(lane: Source, tmp_path: Path) -> Iterator[Copy]:
    made = Copy(lane, tmp_path)
    yield made
    made.store.close()


def test_balances_and_availability_that_would_change(copy: Copy) -> None:
    doubled = POSTINGS.format(qty="qty * s.item")
    report = copy.plan(text(postings=doubled))
    (change,) = report.balances
    assert (change.key.sku, change.key.location, change.before, change.after) == ("B", "W", Decimal(7), Decimal(14))
    assert report.effects == [Effect("B", Decimal(7), Decimal(14))]
    assert (report.rows, report.read_anew, report.items, report.exceptions) == (4, [], [], {})


def test_the_deepest_fall_first_and_the_biggest_change_first(copy: Copy) -> None:
    report = copy.plan(text(postings=POSTINGS.format(qty="qty - 100 * s.item")))
    assert [change.by for change in report.balances] == [-200, -100]
    assert [effect.sku for effect in report.effects] == ["B", "A"]


def test_a_key_that_is_named_otherwise_comes_and_goes(copy: Copy) -> None:
    report = copy.plan(text(postings=POSTINGS.format(qty="qty").replace("s.place AS", "s.place || 1 AS")))
    assert [(c.key.location, c.before, c.after) for c in report.balances if c.key.sku == "A"] == [
        ("W", Decimal(5), None),
        ("W1", None, Decimal(5)),
    ]
    assert report.effects == []


def test_items_and_new_exceptions(copy: Copy) -> None:
    report = copy.plan(
        text(
            items=ITEMS.replace("i.name", "UPPER(i.name)"), postings=POSTINGS.format(qty="qty / NULLIF(s.item - 1, 0)")
        )
    )
    assert report.items == ["A", "B"]
    assert list(report.exceptions) == ["row-unmappable"]
    assert "quantity is NULL" in report.exceptions["row-unmappable"][0]


def test_columns_that_were_never_stored_are_read_from_the_database(copy: Copy) -> None:
    wide = text(stock=f"{STOCK} kept:n", postings=POSTINGS.format(qty="qty - s.kept"))
    report = copy.plan(wide, {**stock(1, "5"), "kept": "1"}, {**stock(2, "7", item=2), "kept": "0"})
    assert report.read_anew == ["s.stock"]
    assert [(c.key.sku, c.after) for c in report.balances] == [("A", Decimal(4))]


def test_a_mapping_mended_after_a_column_went(lane: Source, tmp_path: Path) -> None:
    lane.log.transaction(("u", "s.stock", stock(1, "9", column="pieces")), ("u", "s.item", item(1, "A")))
    copy = Copy(lane, tmp_path)
    mended = text(stock=STOCK.replace("qty", "pieces"), qty="pieces")
    report = copy.plan(mended, stock(1, "9", column="pieces"), stock(2, "7", item=2, column="pieces"))
    copy.store.close()
    assert [(c.key.sku, c.before, c.after) for c in report.balances] == [("A", Decimal(5), Decimal(9))]
    assert report.closed == {"column-absent": 1}


def test_what_cannot_be_worked_off_is_said(copy: Copy) -> None:
    wide = text(stock=f"{STOCK} kept:n", postings=POSTINGS.format(qty="qty - s.kept"))
    with pytest.raises(EnvironmentFault, match=r"could not be worked off on a copy: .*mapping-prepares"):
        switch(copy.store, copy.memo, compile_text(wide), wide, nullcontext({}))


def test_only_what_the_source_owns_counts() -> None:
    def key(bucket: str, reference: str | None = None) -> BalanceKey:
        return BalanceKey("", "A", "W1", bucket, None, reference)

    balances = {
        key("on_hand"): Decimal(50),
        key("demand", "SO-1"): Decimal(7),
        key("fulfilled", "SO-1"): Decimal(3),
        key("demand", "SO-2"): Decimal(1),
        key("fulfilled", "SO-2"): Decimal(9),
        key("safety_stock"): Decimal(2),
        key("inbound", "PO-1"): Decimal(100),
    }
    ownership = load_ownership(CONFIGS / "ownership.yaml")
    assert availability("erp", balances, {"A"}, ownership) == {"A": Decimal(-6)}
    assert availability("erp", balances, {"A"}, None) == {"A": Decimal(44)}
    assert availability("erp", balances, {"B"}, None) == {}
