"""A sku with very many open places and dates costs no more than others, and is never promised too much."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.core.inventory import publish, working
from streams.core.inventory.state import Sku, decode_sku
from tests.unit.inventory.harness import Inventory, balance, day

CODE = "too-many-dates/A"


def record_bytes(inventory: Inventory) -> int:
    """The largest record of a sku, or of a promise, that went into the changelog."""
    return max(
        len(value or b"")
        for changes, _ in inventory.runtime.durable.changelog
        for key, value in changes.items()
        if key[:1] in b"sap"
    )


def order_lines(inventory: Inventory, count: int, *, postings: int = 1, first: int = 0) -> None:
    """So many lines of one piece, each at a place and date of its own."""
    lines = [
        balance(f"L{n % 300:03}", "demand", postings, f"R{n}", day(n // 300 + 1), postings=postings)
        for n in range(first, first + count)
    ]
    for at in range(0, count, 500):
        inventory.say("erp", "A", *lines[at : at + 500])


def test_twenty_five_thousand_order_lines_at_as_many_places_and_dates() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 30_000))
    order_lines(inventory, 25_000)
    assert inventory.now("A") == 5_000
    assert CODE in inventory.open_exceptions()
    assert record_bytes(inventory) < 1 << 20
    inventory.say("wms", "B", balance("N", "on_hand", 3))
    assert inventory.now("B") == 3


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "MAX_PLACES", 12)
    monkeypatch.setattr(publish, "MAX_PLACES", 12)


@pytest.mark.usefixtures("few")
def test_demand_counts_now_and_inbound_never_until_half_as_many_are_left() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 100))
    inventory.say("erp", "A", balance("N", "inbound", 50, "P1", day(2)))
    for n in range(9):
        inventory.say("erp", "A", balance("N", "demand", 2, f"R{n}", day(n + 5)))
    exact = inventory.atp("A")
    assert (exact.network.available_now, max(step.available for step in exact.network.steps)) == (100, 150)
    assert inventory.open_exceptions() == {}

    inventory.say("erp", "A", balance("N", "demand", 2, "R9", day(40)), balance("N", "demand", 3, "R10", day(41)))
    coarse = inventory.atp("A")
    assert coarse.network.available_now == 77
    assert {step.available for step in coarse.network.steps} == {77}
    assert set(inventory.open_exceptions()) == {CODE}
    inventory.restart()
    inventory.say("erp", "A", balance("N", "demand", 0, "R9", day(40), postings=0))
    inventory.say("erp", "A", balance("N", "fulfilled", 1, "R8"))  # nets its own line, as ever
    assert inventory.now("A") == 80

    for n in range(8):
        inventory.say("erp", "A", balance("N", "demand", 0, f"R{n}", day(n + 5), postings=0))
    left = inventory.atp("A")
    assert inventory.open_exceptions() == {}
    assert left.network.available_now == 100
    assert [step.available for step in left.network.steps] == [100, 150, 149, 146]


@pytest.mark.usefixtures("few")
def test_the_sums_are_those_of_a_state_that_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever order lines come and go."""
    inventory, plain = Inventory(), Inventory()
    said = [(f"R{n}", n % 4, n % 7) for n in range(60)]
    for reference, place, date in said:
        inventory.say("erp", "A", balance(f"L{place}", "demand", 3, reference, day(date + 1)))
        inventory.say("erp", "A", balance(f"L{place}", "fulfilled", 1, reference))
    for reference, place, date in said[:58]:
        gone = balance(f"L{place}", "demand", 0, reference, day(date + 1), postings=0)
        inventory.say("erp", "A", gone, balance(f"L{place}", "fulfilled", 0, reference, postings=0))
    monkeypatch.setattr(working, "MAX_PLACES", 10_000)
    for reference, place, date in said[58:]:
        plain.say("erp", "A", balance(f"L{place}", "demand", 3, reference, day(date + 1)))
        plain.say("erp", "A", balance(f"L{place}", "fulfilled", 1, reference))
    assert _record(inventory).lines == _record(plain).lines
    assert _record(inventory).sums == _record(plain).sums
    assert sum((quantity for quantity, _ in _record(plain).lines.values()), Decimal(0)) == 4


def _record(inventory: Inventory) -> Sku:
    written = (changes.get(b"sA") for changes, _ in reversed(inventory.runtime.durable.changelog))
    return decode_sku(next(value for value in written if value))
