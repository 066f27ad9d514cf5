"""What a conflated message says about time: the oldest commit it stands for, from lane to channel.

Every place that conflates is driven here, one after the other: the lane's unit and its list of what is owed, a sku's
parts, what is held back while a source is not whole, and the channel's dirty map.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.messages import BalanceMessage
from schemas.records import Atp, Stamps
from sinks.clickhouse.writer import HOPS
from sinks.core.answer import Answer, Outcome
from streams.core.lane.owed import Dirty, OrderOwed, SkuOwed, decode_owed, drain
from streams.core.lane.render import Renderer
from streams.core.lane.state import Memo
from tests.memory import MemoryStore, MemoryView
from tests.unit.inventory.harness import Inventory, balance
from tests.unit.sinks.facts import rule
from tests.unit.sinks.model import ModelChannel, ModelWorker

OK = Answer(Outcome.ACCEPTED, "200")


@pytest.mark.parametrize("later", [False, True])
def test_the_lane_keeps_the_oldest_of_a_unit_and_of_what_it_puts_off(later: bool) -> None:
    view = MemoryView(MemoryStore())
    owed: list[Any] = []
    for stamps in [((300, 301), (200, 209)), ((250, 251), (None, None))]:
        dirty = Dirty()
        for stamp in stamps:
            dirty.balance(b"A\0N", stamp)
            dirty.order_part(b"SO-1", b"line\0L", None, stamp)
        owed += map(decode_owed, dirty.leave(view, later=later)[0])
    owed += map(decode_owed, drain(view)[0])
    found = [(due.committed_us, due.captured_us) for due in owed if isinstance(due, SkuOwed | OrderOwed)]
    assert found == ([(200, 209)] * 2 if later else [(200, 209)] * 2 + [(250, 251)] * 2)


def test_the_lane_writes_the_commit_it_owes() -> None:
    dirty, view = Dirty(), MemoryView(MemoryStore())
    dirty.uncertain(b"A")
    dirty.item(b"A", (200, 209))
    keys, _ = dirty.leave(view, later=False)
    renderer = Renderer("erp", lambda topic, record: msgspec.msgpack.encode(record))
    [output] = renderer.outputs(view, Memo(mapping=b"m"), keys, 7, 500)
    message = msgspec.msgpack.decode(output.value or b"", type=BalanceMessage)
    assert message.stamps == Stamps(committed_us=200, captured_us=209, laned_us=500)


def stamps_of(inventory: Inventory) -> Stamps:
    stamps: Stamps = inventory.atp("A").stamps
    return msgspec.structs.replace(stamps, promised_us=None)


def test_inventory_keeps_the_oldest_of_a_unit_of_parts_and_of_what_it_holds_back() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 5), committed_us=300, run=False)
    inventory.say("wms", "A", balance("N", "on_hand", 6), committed_us=200, run=False)
    inventory.say("wms", "A", balance("N", "on_hand", 7), committed_us=250, run=False)
    inventory.runtime.run()
    assert (inventory.now("A"), stamps_of(inventory).committed_us) == (7, 200)

    inventory.say("wms", "A", balance("N", "on_hand", 8), committed_us=400, version=900, part=1, parts=2)
    inventory.say("erp", "A", balance("N", "safety_stock", 1), committed_us=410)
    assert inventory.now("A") == 7
    inventory.say("wms", "A", balance("S", "on_hand", 1), committed_us=420, version=900, part=2, parts=2)
    assert (inventory.now("A"), stamps_of(inventory).committed_us) == (8, 400)

    inventory.progress("erp", holding=True)
    inventory.say("wms", "A", balance("N", "on_hand", 20), committed_us=500, version=901)
    inventory.say("wms", "A", balance("N", "on_hand", 21), committed_us=600, version=902)
    assert inventory.now("A") == 8
    inventory.restart()
    inventory.progress("erp")
    assert (inventory.now("A"), stamps_of(inventory).committed_us) == (21, 500)


def test_a_commit_waits_until_a_complete_promise_shows_it() -> None:
    """The WMS sells on while the ERP is read for an hour; the channel hears of it after that, and so it is told."""
    inventory = Inventory(ready=["wms", "shop"])
    inventory.say("wms", "A", balance("N", "on_hand", 5), committed_us=100)
    inventory.say("wms", "A", balance("N", "on_hand", 6), committed_us=200)
    assert inventory.atp("A").complete is False
    inventory.progress("erp")
    assert (inventory.atp("A").complete, stamps_of(inventory).committed_us) == (True, 100)
    inventory.say("wms", "A", balance("N", "on_hand", 7), committed_us=300)
    assert stamps_of(inventory).committed_us == 300


def test_what_was_shown_is_not_carried_on_and_time_alone_has_no_commit() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 5), committed_us=100)
    inventory.say("wms", "A", balance("N", "on_hand", 5), committed_us=150)  # says nothing new
    inventory.say("wms", "A", balance("N", "on_hand", 6), committed_us=200)
    assert stamps_of(inventory).committed_us == 200


def test_a_channel_tells_the_oldest_commit_of_all_it_conflates() -> None:
    inventory, shop, channel = Inventory(), ModelWorker(rule(batch_size=1)), ModelChannel()

    def publish() -> None:
        atp: Atp = inventory.atp("A")
        shop.publish(atp)

    for quantity, at_us in ((5, 1_000), (6, 2_000), (7, 3_000)):
        inventory.say("wms", "A", balance("N", "on_hand", quantity), committed_us=at_us)
        publish()
    for answer in (Answer(Outcome.BUSY, "429"), Answer(Outcome.TIMED_OUT, "no answer")):
        push = shop.next_push()
        assert push is not None
        shop.take(push, answer)
        shop.now_us += 2_000_000
        inventory.say("wms", "A", balance("N", "on_hand", 9), committed_us=4_000)
        publish()
        shop.restart()
    shop.drain(channel, 1)
    told = shop.told("A")[0]
    assert (channel.holds["A"][1]["*"], told.stamps.committed_us) == (Decimal(9), 1_000)
    assert told.picked_up_us == 1_000_000, "and when the first of them was read"


def test_the_hops_of_a_report_lead_from_stamp_to_stamp_and_the_whole_from_commit_to_answer() -> None:
    *hops, (whole, ends) = HOPS.items()
    stamps = ["committed_us", "captured_us", "laned_us", "promised_us", "picked_up_us", "acknowledged_us"]
    assert [ends for _, ends in hops] == list(itertools.pairwise(stamps))
    assert (whole, ends) == ("whole", (stamps[0], stamps[-1]))
