"""Sequences beside those of docs/counterexamples.md: one for each guard that those miss."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sinks.core.answer import Outcome
from tests.machine.business import KIT, OF_KIT
from tests.machine.chain import OWNERS
from tests.machine.machine import ChainMachine
from tests.machine.test_counterexamples import BIN, CART, ITEM, LINE, PRODUCT, SALE, judged, promises

KIT_OF_A, KIT_OF_C = (KIT, 1, 1), (KIT, 1, 0)
"""Rows of the bill of "K": two of A, or one of C in its place."""
RENAMED = 6
"""An item is called "D"."""
MOVED = 15
"""An order line becomes another one."""


def play_a_kit_is_ordered_and_made_of_something_else(m: ChainMachine) -> None:
    m.transaction("erp", [KIT_OF_A])
    m.transaction("erp", [(OF_KIT, 4, 4)])
    m.transaction("erp", [(OF_KIT, 5, 4)])
    asked = promises(m, "A")[-1].kit
    assert asked is not None
    assert asked.demand
    m.transaction("erp", [KIT_OF_C, (KIT, 2, 2)])
    assert promises(m, "C")[-1].kit is not None


def play_a_reservation_ends_at_midnight(m: ChainMachine) -> None:
    m.transaction("erp", [(CART, 1, 3)])  # the day after tomorrow
    assert m.chain.databases["erp"].rows["cart"][1]["until"] == m.chain.today + 2
    sku = m.chain.databases["erp"].rows["item"][1]["code"]
    assert promises(m, sku)[-1].network.reserved > 0
    m.time(3 * 86_400)
    assert promises(m, sku)[-1].network.reserved == 0


def play_a_place_changes_hands(m: ChainMachine) -> None:
    for owners in (*OWNERS[1:], OWNERS[0]):
        m.change_owners(owners, (1,))
        m.transaction("wms", [(1, 1, 7)])
        m.rest()


def play_a_place_changes_hands_twice_at_once(m: ChainMachine) -> None:
    """What was told by the rules before the last ones is owed again."""
    m.change_owners(OWNERS[1])
    m.compaction()
    m.transaction_and_crash("lane-erp-0", 1, "before", "here", "erp", [(LINE, 1, 0)], True)
    m.change_owners(OWNERS[0])
    m.change_owners(OWNERS[2])


def play_a_clock_is_set_while_truncated_rows_are_awaited(m: ChainMachine) -> None:
    for seconds in (4_000, -4_000):
        m.truncate(True, True, False, seconds)


def play_a_hold_ends_while_the_clock_is_set(m: ChainMachine) -> None:
    m.rest()
    for _ in range(2):
        m.truncate(True, False, False, 400)


def play_a_clock_is_set_back_while_the_past_is_read_again(m: ChainMachine) -> None:
    for how in (2, 3, 9):
        m.transaction("erp", [(LINE, key, how) for key in (1, 2, 3, 4, 5, 6)])
    m.lose_state("erp", False, -4_000, 32)
    assert any(unit.history for unit in m.chain.judge.units["erp"].values())


def play_a_lane_forgets_what_it_had_opened(m: ChainMachine) -> None:
    """Two items have one code, so a kit would be made of itself; then the lane's state and the row are gone."""
    m.transaction("erp", [(KIT, 1, 0)])
    m.transaction("erp", [(RENAMED, 4, 0), (RENAMED, 2, 0)])
    assert [found.code for found in m.chain.exceptions().values()] == ["row-unmappable"]
    m.chain.databases["erp"].missed([("delete", "kit", 1, {})])
    m.lose_state("erp", True)
    m.rest()


def play_a_lane_has_read_again_all_but_a_heartbeat(m: ChainMachine) -> None:
    """It stands before an open transaction that had not come when the former state took the heartbeat up."""
    m.transaction("wms", [(PRODUCT, 1, 0), (BIN, 1, 2)])
    m.rest()
    m.truncate(False, False, False)
    m.lose_state("wms", False, 0, 20)
    assert promises(m, "B")[-1].network.available_now > promises(m, "B")[-2].network.available_now


def play_what_ends_the_past_is_put_off(m: ChainMachine) -> None:
    """The last transaction that is read again is a large one: it has lowered what the others leave."""
    m.large_transaction("wms", [(BIN, 1, 0), (BIN, 2, 0), (BIN, 3, 0)])
    m.lose_state("wms", False, 0, 20)


def play_an_order_is_changed_in_the_unit_that_withdraws(m: ChainMachine) -> None:
    """Of what a lane that lost its state says again, an order is changed, that had lost a line it has again."""
    m.transaction("erp", [(SALE, 1, 1), (SALE, 1, 0)])
    m.large_transaction("erp", [(ITEM, 1, 0), (SALE, 1, 0)], 0)
    m.transaction("erp", [(MOVED, 1, 0)])
    m.lose_state("erp", False, 0, 20)


def play_a_dead_workers_answer_outlives_what_was_told_since(m: ChainMachine) -> None:
    """Its record stands last when the topic is compacted; then an item goes that was told twice in one version."""
    m.push(Outcome.ACCEPTED, dies=True, codes=[(PRODUCT, 1, 0), (PRODUCT, 1, 0)])
    m.channel_workers("wake")
    m.lose_log("wms", False)
    m.compaction()
    m.channel_workers("rebalance")
    m.lose_log("erp", False)
    m.rest()


SEQUENCES: dict[str, Callable[[ChainMachine], None]] = {
    name[5:]: play for name, play in list(globals().items()) if name.startswith("play_")
}
BEGINS: dict[str, dict[str, bool]] = {
    "what_ends_the_past_is_put_off": {"slices": True},
    "an_order_is_changed_in_the_unit_that_withdraws": {"slices": True},
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_chain_is_right_when(name: str) -> None:
    judged(SEQUENCES[name], **BEGINS.get(name, {}))
