"""What the promise does when an ERP and a WMS tell their halves of one story."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from schemas.messages import ItemPart
from tests.unit.inventory.harness import NOON_US, OWNERSHIP, TODAY, Inventory, balance, day, ownership_of

LINE = "SO-1-1"


@pytest.fixture
def inventory() -> Inventory:
    return Inventory()


def stocked(inventory: Inventory, quantity: int = 10) -> Inventory:
    inventory.say("wms", "A", balance("N", "on_hand", quantity))
    return inventory


def test_stock_less_open_demand_is_promised(inventory: Inventory) -> None:
    stocked(inventory)
    inventory.say("erp", "A", balance("N", "demand", 4, LINE, day(3)), balance("N", "safety_stock", 1))
    atp = inventory.atp("A")
    assert atp.complete
    assert [(step.date, step.available) for step in atp.network.steps] == [(TODAY, 9), (day(3), 5)]
    assert (atp.network.available_now, inventory.now("A", "N")) == (5, 5)


def test_the_wms_ships_at_ten_and_the_erp_posts_it_at_a_quarter_past() -> None:
    inventory = stocked(Inventory())
    inventory.say("erp", "A", balance("N", "demand", 4, LINE, TODAY))
    assert inventory.now("A") == 6
    before = inventory.sent("inventory.atp.v1")
    inventory.say("wms", "A", balance("N", "on_hand", 6), balance("N", "fulfilled", 4, LINE))
    assert inventory.now("A") == 6
    inventory.say("erp", "A", balance("N", "fulfilled", 4, LINE, TODAY))
    assert inventory.now("A") == 6
    assert inventory.sent("inventory.atp.v1") == before + 1  # its terms moved once, the number never
    assert inventory.open_exceptions() == {}


def test_the_erp_speaks_for_a_pick_that_the_wms_has_archived(inventory: Inventory) -> None:
    stocked(inventory, 6)
    inventory.say("erp", "A", balance("N", "demand", 4, LINE), balance("N", "fulfilled", 3, LINE))
    assert inventory.now("A") == 5
    inventory.say("wms", "A", balance("N", "fulfilled", 4, LINE))
    assert inventory.now("A") == 6
    inventory.say("wms", "A", balance("N", "fulfilled", 0, LINE, postings=0))
    assert inventory.now("A") == 5


def test_zero_said_explicitly_is_something_and_nothing_is_not(inventory: Inventory) -> None:
    stocked(inventory)
    inventory.say("erp", "A", balance("N", "demand", 4, LINE), balance("N", "fulfilled", 4, LINE))
    assert inventory.now("A") == 10
    inventory.say("wms", "A", balance("N", "fulfilled", 0, LINE, postings=1))
    assert inventory.now("A") == 6


def test_an_erp_that_only_knows_the_rest_posts_its_own_fulfilled_beside_it(inventory: Inventory) -> None:
    """Counterexample 22: 3 of 8 remain, and the WMS has shipped 5."""
    stocked(inventory, 3)
    inventory.say("erp", "A", balance("N", "demand", 8, LINE), balance("N", "fulfilled", 5, LINE))
    inventory.say("wms", "A", balance("N", "fulfilled", 5, LINE))
    assert inventory.now("A") == 0


def test_a_reservation_counts_what_the_order_does_not_yet(inventory: Inventory) -> None:
    """Counterexample 23: five are reserved, the ERP imports the first two."""
    stocked(inventory)
    inventory.say("shop", "A", balance("N", "reserved", 5, "CART-9", expires_us=NOON_US + 60_000_000))
    assert inventory.now("A") == 5
    inventory.say("erp", "A", balance("N", "demand", 2, "CART-9"))
    atp = inventory.atp("A")
    assert (atp.network.available_now, atp.network.reserved, atp.network.demand) == (5, 3, 2)
    inventory.runtime.tick(59)
    assert inventory.now("A") == 5
    inventory.runtime.tick(1)
    assert inventory.now("A") == 8
    atp = inventory.atp("A")
    assert atp.cause == "clock"


def test_a_reservation_counts_until_its_last_day_is_over(inventory: Inventory) -> None:
    stocked(inventory)
    inventory.say("shop", "A", balance("N", "reserved", 5, "CART-9", day(1)), balance("N", "reserved", 3, None, day(0)))
    inventory.say("erp", "A", balance("N", "demand", 2, "CART-9"))
    assert inventory.now("A") == 2
    inventory.runtime.tick(86_400)
    assert inventory.now("A") == 5
    assert inventory.atp("A").cause == "clock"
    inventory.runtime.tick(86_400)
    assert (inventory.now("A"), inventory.atp("A").network.reserved) == (8, 0)


def test_archived_receipts_leave_no_phantom_inbound(inventory: Inventory) -> None:
    """Counterexample 24 at the receiver: the WMS forgets what it received of a purchase line; the ERP still knows."""
    stocked(inventory, 9)
    inventory.say("erp", "A", balance("N", "inbound", 9, "PO-1", day(1)), balance("N", "received", 6, "PO-1"))
    inventory.say("wms", "A", balance("N", "received", 9, "PO-1"))
    assert inventory.atp("A").network.steps[-1].available == 9
    inventory.say("erp", "A", balance("N", "received", 9, "PO-1"))
    inventory.say("wms", "A", balance("N", "received", 0, "PO-1", postings=0))
    atp = inventory.atp("A")
    assert (atp.network.inbound, atp.network.steps[-1].available) == (0, 9)


def test_what_a_source_that_is_not_the_owner_says_is_never_added(inventory: Inventory) -> None:
    stocked(inventory)
    inventory.say("erp", "A", balance("N", "on_hand", 7))
    assert inventory.now("A") == 10
    position = inventory.position("A")
    [drift] = position.drifts
    assert (drift.owner, drift.owner_quantity, drift.other, drift.other_quantity) == ("wms", 10, "erp", 7)
    assert drift.since_us == inventory.runtime.now_us
    assert set(inventory.open_exceptions()) == {"drift/A/N/on_hand"}
    first = drift.since_us
    inventory.runtime.tick(60)
    inventory.say("wms", "A", balance("N", "on_hand", 9))
    position = inventory.position("A")
    assert position.drifts[0].since_us == first  # another difference, the same drift
    inventory.say("erp", "A", balance("N", "on_hand", 9))
    position = inventory.position("A")
    assert position.drifts == ()
    assert inventory.open_exceptions() == {}


def test_a_drift_becomes_an_exception_when_it_has_lasted() -> None:
    inventory = stocked(Inventory(ownership_of("drift_after_s: 900" + OWNERSHIP)))
    inventory.say("erp", "A", balance("N", "on_hand", 7))
    position = inventory.position("A")
    assert len(position.drifts) == 1
    inventory.runtime.tick(899)
    assert inventory.open_exceptions() == {}
    inventory.runtime.tick(1)
    assert set(inventory.open_exceptions()) == {"drift/A/N/on_hand"}


def test_one_source_may_contradict_itself_through_views() -> None:
    inventory = Inventory(ownership_of(on_hand="[wms/ledger]"))
    inventory.say("wms", "A", balance("N", "on_hand", 4), balance("N", "on_hand", 5, view="ledger"))
    assert inventory.now("A") == 5
    position = inventory.position("A")
    assert [(d.owner, d.other) for d in position.drifts] == [("wms/ledger", "wms")]


def test_two_opposite_drifts_of_two_claims_do_not_cancel_out(inventory: Inventory) -> None:
    for line, quantity in (("L1", 3), ("L2", 5)):
        inventory.say("erp", "A", balance("N", "demand", 9, line), balance("N", "fulfilled", 4, line))
        inventory.say("wms", "A", balance("N", "fulfilled", quantity, line))
    position = inventory.position("A")
    [drift] = position.drifts
    assert (drift.owner_quantity, drift.other_quantity) == (8, 8)


def test_location_star_counts_in_the_network_alone(inventory: Inventory) -> None:
    stocked(inventory)
    inventory.say("erp", "A", balance("*", "demand", 4, LINE))
    assert (inventory.now("A"), inventory.now("A", "N")) == (6, 10)


def test_an_oversell_is_opened_with_its_cause_and_closed_by_state(inventory: Inventory) -> None:
    stocked(inventory, 3)
    inventory.say("erp", "A", balance("N", "demand", 5, LINE))
    assert inventory.now("A") == -2
    found = inventory.open_exceptions()
    assert set(found) == {"oversell/A", "oversell/A/N"}
    assert found["oversell/A"].source == "erp"
    assert found["oversell/A"].opened_us == inventory.runtime.now_us
    inventory.say("wms", "A", balance("N", "on_hand", 5))
    assert inventory.open_exceptions() == {}
    assert not [key for key in inventory.runtime.state() if key[:1] in (b"x", b"y")]


def test_backorder_within_the_limit_is_no_oversell(inventory: Inventory) -> None:
    inventory.say("erp", "A", balance("N", "demand", 5, LINE), item=ItemPart(sku="A", backorder_limit=Decimal(5)))
    stocked(inventory, 0)
    atp = inventory.atp("A")
    assert (atp.network.available_now, atp.backorder_limit) == (-5, 5)
    assert inventory.open_exceptions() == {}
    inventory.say("erp", "A", balance("N", "demand", 6, LINE))
    assert "oversell/A" in inventory.open_exceptions()


def test_an_item_is_its_owners_and_ends_with_a_tombstone(inventory: Inventory) -> None:
    inventory.say("wms", "A", item=ItemPart(sku="A", name="from the WMS"))
    inventory.say("erp", "A", item=ItemPart(sku="A", name="Bolt", tracked=False))
    item, atp = inventory.item("A"), inventory.atp("A")
    assert (item.name, item.source, atp.tracked) == ("Bolt", "erp", False)
    inventory.say("erp", "A", item=ItemPart(sku="A", withdrawn=True))
    item = inventory.item("A")
    assert item.name == "from the WMS"
    inventory.say("wms", "A", item=ItemPart(sku="A", withdrawn=True))
    assert (inventory.item("A"), inventory.atp("A"), inventory.position("A")) == (None, None, None)


def test_lines_of_a_position_are_the_owners_and_only_of_open_claims(inventory: Inventory) -> None:
    stocked(inventory)
    inventory.say("erp", "A", balance("N", "demand", 4, "L1", day(3)), balance("N", "demand", 2, "L2", day(3)))
    inventory.say("wms", "A", balance("N", "fulfilled", 2, "L2"), balance("N", "fulfilled", 1, "L1"))
    position = inventory.position("A")
    assert [(line.bucket, line.quantity, line.source, line.due) for line in position.lines] == [
        ("demand", 4, "erp", day(3)),
        ("fulfilled", 1, "wms", None),
        ("on_hand", 10, "wms", None),
    ]


def test_a_sum_beyond_28_digits_stays_exact(inventory: Inventory) -> None:
    huge = Decimal("12345678901234567890123456789.123456789")
    inventory.say("wms", "A", balance("N", "on_hand", huge), balance("M", "on_hand", "0.000000001"))
    assert inventory.now("A") == Decimal("12345678901234567890123456789.123456790")


def test_days_are_the_locations(inventory: Inventory) -> None:
    """At noon UTC it is tomorrow in Kiritimati (UTC+14) and still today in Honolulu."""
    inventory.locate("erp", "K", "Pacific/Kiritimati")
    inventory.say("erp", "A", balance("K", "inbound", 5, "P1", day(1)), balance("H", "inbound", 5, "P2", day(1)))
    inventory.locate("erp", "H", "Pacific/Honolulu")
    assert (inventory.now("A", "K"), inventory.now("A", "H")) == (5, 0)
    atp = inventory.atp("A")
    assert atp.network.steps[0].date == TODAY
    midnight = dt.datetime(2025, 11, 27, 10, tzinfo=dt.UTC)  # in Honolulu
    inventory.runtime.tick(midnight.timestamp() - inventory.runtime.now_us / 1e6 - 1)
    assert inventory.now("A", "H") == 0
    inventory.runtime.tick(1)
    assert inventory.now("A", "H") == 5


def test_an_unknown_time_zone_is_an_exception_and_the_default_holds(inventory: Inventory) -> None:
    inventory.locate("erp", "N", "Mars/Olympus")
    assert set(inventory.open_exceptions()) == {"location-time-zone/N"}
    inventory.locate("erp", "N", "Europe/Berlin")
    assert inventory.open_exceptions() == {}
