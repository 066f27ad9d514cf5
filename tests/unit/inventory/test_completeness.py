"""A promise exists only while every source it rests on is complete; meanwhile only decreases leave."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.messages import ItemPart
from schemas.records import Atp, Progress
from tests.unit.inventory.harness import OWNERSHIP, PROMISES_ID, Inventory, balance, day, ownership_of


def promising() -> Inventory:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 10))
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"))
    assert inventory.now("A") == 6
    return inventory


def test_on_hand_without_demand_is_not_promised() -> None:
    """Counterexample 9: the WMS's snapshot is complete after a minute, the ERP's after an hour."""
    inventory = Inventory(ready=["shop"])
    inventory.say("wms", "A", balance("N", "on_hand", 10))
    inventory.progress("wms")
    assert inventory.atp("A").complete is False
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"))
    inventory.progress("erp", complete=False)
    assert inventory.atp("A").complete is False
    assert inventory.open_exceptions() == {}
    inventory.progress("erp")
    assert (inventory.atp("A").complete, inventory.now("A"), inventory.atp("A").cause) == (True, 6, "erp")


def test_nothing_is_an_oversell_or_a_drift_before_everything_is_read() -> None:
    inventory = Inventory(ready=[])
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"), balance("N", "on_hand", 5))
    assert inventory.open_exceptions() == {}
    assert inventory.position("A").drifts == ()
    for source in ("erp", "wms", "shop"):
        inventory.progress(source)
    assert set(inventory.open_exceptions()) == {"oversell/A", "oversell/A/N", "drift/A/N/on_hand"}


@pytest.mark.parametrize("state", [{"holding": True}, {"complete": False}, {"complete": False, "holding": True}])
def test_while_a_source_holds_only_decreases_leave(state: dict[str, bool]) -> None:
    inventory = promising()
    inventory.progress("erp", **state)
    assert (inventory.atp("A").complete, inventory.now("A")) == (True, 6)
    inventory.say("erp", "A", balance("N", "demand", 0, "L1", postings=0), committed_us=5)
    assert inventory.now("A") == 6
    inventory.say("erp", "A", balance("N", "demand", 9, "L2"), committed_us=6)
    assert inventory.now("A") == 1
    inventory.say("erp", "A", balance("N", "demand", 0, "L2", postings=0), committed_us=7)
    assert inventory.now("A") == 1
    inventory.progress("erp")
    assert inventory.now("A") == 10
    assert inventory.atp("A").stamps.committed_us == 7  # what was held back; the promise of 1 showed 5 and 6


def test_the_lower_promise_is_taken_day_by_day_and_location_by_location() -> None:
    inventory = promising()
    inventory.progress("wms", holding=True)
    inventory.say("erp", "A", balance("N", "inbound", 30, "P1", day(2)))
    inventory.say("wms", "A", balance("N", "on_hand", 5), balance("M", "on_hand", 50))
    atp = inventory.atp("A")
    assert [(at.location, at.available_now) for at in atp.locations] == [("M", 0), ("N", 1)]
    assert atp.network.available_now == 6
    assert [step.available for step in atp.locations[1].steps] == [1, 6]
    inventory.progress("wms")
    assert (inventory.now("A"), inventory.now("A", "M")) == (51, 50)


def test_a_sku_that_first_appears_while_a_source_holds_is_not_promised_yet() -> None:
    inventory = promising()
    inventory.progress("erp", holding=True)
    inventory.say("wms", "B", balance("N", "on_hand", 3))
    assert inventory.atp("B").complete is False
    inventory.progress("erp")
    assert (inventory.atp("B").complete, inventory.now("B")) == (True, 3)


def test_what_a_source_tells_while_it_is_read_is_made_once_when_it_has_been() -> None:
    inventory = Inventory(ready=["erp", "shop"])
    inventory.say("erp", "OLD", balance("N", "demand", 1, "L1"))
    inventory.progress("wms", complete=False)
    for quantity in (1, 2, 3):
        inventory.say("wms", "A", balance("N", "on_hand", quantity), item=ItemPart(sku="A"))
    assert (inventory.position("A"), inventory.atp("A"), inventory.item("A")) == (None, None, None)
    inventory.say("wms", "OLD", balance("N", "on_hand", 5))
    assert inventory.position("OLD").lines[-1].quantity == 5, "what was told before is told on"
    inventory.progress("wms")
    assert (inventory.now("A"), inventory.position("A").complete, inventory.item("A").source) == (3, True, "wms")
    assert inventory.sent("item.v1") == 1
    assert inventory.told("A") == [3]


def test_what_a_first_restatement_tells_is_made_once() -> None:
    """Its end says what to withdraw: promises wait for that, and are not made before it."""
    inventory = Inventory(ready=["erp", "shop"], batch=7)
    inventory.progress("wms", complete=False)
    for n in range(20):
        inventory.say("wms", f"S{n}", balance("N", "on_hand", 1), version=500, run=False)
    inventory.progress("wms", restated_since=500, version=501, run=False)
    for n in range(20, 24):
        inventory.say("wms", f"S{n}", balance("N", "on_hand", 1), version=502, run=False)
    inventory.runtime.run(busy=True)
    assert [inventory.told(f"S{n}") for n in range(24)] == [[1]] * 24


def test_a_sku_of_a_source_that_is_read_is_made_when_its_promise_does_not_need_that_source() -> None:
    inventory = Inventory(ownership_of(reserved="[]"), ready=("erp", "wms"))
    inventory.progress("ledger", complete=False)
    inventory.say("ledger", "A", balance("N", "on_hand", 9))
    inventory.say("wms", "A", balance("N", "on_hand", 10))
    assert (inventory.atp("A").complete, inventory.now("A")) == (True, 10)


def test_what_vanishes_while_a_source_holds_is_nothing_and_no_tombstone() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 10), item=ItemPart(sku="A", tracked=False))
    inventory.progress("wms", complete=False)
    inventory.say("wms", "A", balance("N", "on_hand", 0, postings=0), item=ItemPart(sku="A", withdrawn=True))
    assert (inventory.now("A"), inventory.atp("A").tracked) == (0, True)
    inventory.progress("wms")
    assert inventory.atp("A") is None


def test_while_a_source_holds_an_item_is_not_sold_more_freely() -> None:
    inventory = Inventory()
    inventory.say("erp", "A", balance("N", "demand", 1, "L1"), item=ItemPart(sku="A", active=False))
    inventory.progress("erp", holding=True)
    inventory.say("erp", "A", item=ItemPart(sku="A", tracked=False, active=True, backorder_limit=Decimal(5)))
    atp = inventory.atp("A")
    assert (atp.tracked, atp.active, atp.backorder_limit) == (True, False, None)
    inventory.progress("erp")
    atp = inventory.atp("A")
    assert (atp.tracked, atp.active, atp.backorder_limit) == (False, True, 5)


def test_a_late_progress_changes_nothing() -> None:
    """Counterexample 27: a replayed lane says "not complete" once more."""
    inventory = promising()
    inventory.progress("erp", complete=False, version=50)
    inventory.say("erp", "A", balance("N", "demand", 1, "L1"))
    assert (inventory.atp("A").complete, inventory.now("A")) == (True, 9)


def test_progress_is_stated_only_after_what_it_covers_was_acknowledged() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 10), run=False)
    inventory.progress("wms", run=False)
    inventory.runtime.run()
    topics = [(output.topic, version) for output, version in inventory.runtime.durable.sent]
    promised = max(version for topic, version in topics if topic == "inventory.atp.v1")
    assert topics[-1][0] == "progress.v1"
    assert topics[-1][1] > promised
    stated = inventory.stated("wms")
    assert (stated.stage, stated.input_offset, stated.complete, stated.version) == ("inventory", 7, True, topics[-1][1])


def test_what_is_stated_is_never_ahead_of_what_was_acknowledged() -> None:
    """A newer progress in the unit that states an older one waits for its own turn."""
    inventory = Inventory()
    for offset in (8, 9):
        inventory.say("wms", "A", balance("N", "on_hand", offset), run=False)
        inventory.progress("wms", offset=offset, run=False)
    inventory.runtime.run(batch=2, busy=True)
    promised = {
        msgspec.msgpack.decode(o.value, type=Atp).network.on_hand: version
        for o, version in sent(inventory, "inventory.atp.v1")
    }
    stated = [
        (msgspec.msgpack.decode(o.value, type=Progress), version) for o, version in sent(inventory, "progress.v1")
    ]
    assert {progress.input_offset for progress, _ in stated} == {7, 8, 9}
    for progress, version in stated:
        if progress.source == "wms" and progress.input_offset > 7:
            assert version > promised[Decimal(progress.input_offset)]


def sent(inventory: Inventory, topic: str) -> list[tuple[Any, int]]:
    return [(output, version) for output, version in inventory.runtime.durable.sent if output.topic == topic]


def test_progress_waits_until_every_promise_it_changes_was_made() -> None:
    inventory = Inventory(ready=["erp", "shop"])
    for n in range(700):
        inventory.say("wms", f"S{n}", balance("N", "on_hand", 1), run=False)
    inventory.progress("wms", run=False)
    inventory.runtime.run()
    assert inventory.stated("wms").complete is True
    kinds = [output.topic for output, _ in inventory.runtime.durable.sent]
    last_promise = max(n for n, topic in enumerate(kinds) if topic == "inventory.atp.v1")
    assert kinds.index("progress.v1", last_promise) > last_promise
    assert all(inventory.now(f"S{n}") == 1 for n in range(700))
    assert kinds.count("inventory.atp.v1") == 1_400  # incomplete when read, complete when everything was


def test_a_location_with_a_system_of_its_own_waits_for_it_alone() -> None:
    inventory = Inventory(ownership_of(on_hand='{"*": [wms], S: [south]}'))
    inventory.say("wms", "A", balance("N", "on_hand", 3))
    inventory.say("south", "B", balance("S", "on_hand", 4))
    assert (inventory.atp("A").complete, inventory.atp("B").complete) == (True, False)
    inventory.progress("south")
    assert (inventory.atp("B").complete, inventory.now("B")) == (True, 4)


def test_uncertain_is_said_per_sku_and_per_source() -> None:
    inventory = promising()
    inventory.say("wms", "B", balance("N", "on_hand", 1))
    inventory.say("erp", "A", uncertain=True)
    assert (inventory.atp("A").uncertain, inventory.atp("B").uncertain) == (True, False)
    inventory.say("erp", "A", balance("N", "demand", 3, "L1"))
    assert inventory.atp("A").uncertain is True
    inventory.say("erp", "A", uncertain=False)
    assert inventory.atp("A").uncertain is False
    inventory.progress("erp", uncertain=True)
    assert (inventory.atp("A").uncertain, inventory.atp("B").uncertain) == (True, True)
    inventory.progress("erp")
    assert (inventory.atp("A").uncertain, inventory.atp("B").uncertain) == (False, False)


def test_a_promise_rests_on_its_owners_also_silent_ones_and_on_no_other() -> None:
    """A channel that stops selling when a source falls behind must not stop for one that is only compared."""
    inventory = Inventory(ownership_of(reserved="[]"), ready=("erp", "wms"))
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=300)
    inventory.say("ledger", "A", balance("N", "on_hand", 9), version=301)
    assert inventory.atp("A").source_versions == {"erp": 0, "wms": 300}


def test_an_owner_that_is_replaced_is_rested_on_no_longer_though_nothing_else_changes() -> None:
    inventory = Inventory(ownership_of(reserved="[]"), ready=("erp", "wms"))
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=300)
    before = inventory.atp("A")
    inventory.restart(ownership_of(reserved="[]", received="[wms]", safety_stock="[wms]", demand="[wms]"))
    assert set(inventory.atp("A").source_versions) == {"erp", "wms"}
    text = "\n".join(
        line.replace("[erp, wms]", "[wms]").replace("[wms, erp]", "[wms]").replace(": [erp]", ": [wms]")
        if line.startswith("  ")
        else line
        for line in OWNERSHIP.splitlines()
    )
    inventory.restart(ownership_of(text, reserved="[]"))
    after = inventory.atp("A")
    assert (after.source_versions, after.network) == ({"wms": 300}, before.network)
    sent = inventory.sent("inventory.atp.v1")
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=400)
    assert inventory.sent("inventory.atp.v1") == sent


def test_a_state_that_missed_what_was_said_before_waits_for_a_restatement() -> None:
    """Its changelog is lost, or its input begins later: the lane is complete, and of the sku half is heard."""
    inventory = Inventory(ready=["shop"])
    inventory.progress("erp", version=900, restated_since=5)
    inventory.progress("wms", version=901, restated_since=6)
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=902)
    assert not getattr(inventory.atp("A"), "complete", False), "of the ERP's demand nothing is heard"
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"), version=903)
    inventory.progress("erp", version=904, restated_since=903)
    assert not getattr(inventory.atp("A"), "complete", False), "the WMS has not restated"
    inventory.progress("wms", version=905, restated_since=902)
    assert (inventory.atp("A").complete, inventory.now("A")) == (True, 6)


def asks_for_more(inventory: Inventory, **progress: Any) -> bool:
    """Whether a source's progress, all that comes, makes a unit of its own at once."""
    inventory.progress("wms", run=False, **progress)
    runtime = inventory.runtime
    settled = runtime.stage.work(runtime.view, runtime.durable.inputs[runtime.marker.offset :], runtime.now_us)
    runtime._close(settled)
    return settled.more


def test_how_far_a_source_is_waits_for_the_next_unit_and_how_it_stands_does_not() -> None:
    inventory = Inventory()
    assert not asks_for_more(inventory, offset=8)
    assert not asks_for_more(inventory, offset=9)
    inventory.runtime.tick()
    assert inventory.stated("wms").input_offset == 9
    assert asks_for_more(inventory, holding=True)
    inventory.runtime.tick()
    assert inventory.stated("wms").holding
    assert asks_for_more(inventory, uncertain=True)


def sending(inventory: Inventory, since: int | None) -> None:
    """The WMS's lane is sending everything for the first time; None: something holds it."""
    inventory.progress("wms", complete=False, holding=True, restating_since=since)


def test_promises_are_made_while_a_whole_source_sends_everything_for_the_first_time() -> None:
    inventory = Inventory(ready=["erp", "shop"])
    inventory.say("erp", "A", balance("N", "demand", 1, "L1"))
    inventory.say("erp", "C", balance("N", "demand", 1, "L2"))
    inventory.progress("wms", complete=False, holding=True)
    sending(inventory, 500)
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=501)
    assert (inventory.atp("A").complete, inventory.position("A").complete, inventory.now("A")) == (True, True, 9)
    assert not inventory.atp("C").complete, "of what it has not sent it may know something"
    sending(inventory, None)
    inventory.say("wms", "A", balance("N", "on_hand", 12), version=502)
    inventory.say("wms", "B", balance("N", "on_hand", 5), version=502)
    assert inventory.now("A") == 9, "increases wait"
    assert not getattr(inventory.atp("B"), "complete", False)
    sending(inventory, 500)
    inventory.say("wms", "A", balance("N", "on_hand", 13), version=503)
    assert inventory.now("A") == 12
    sent = inventory.sent("inventory.atp.v1")
    inventory.progress("wms", restated_since=500, version=505)
    assert (inventory.now("B"), inventory.now("C"), inventory.atp("C").complete) == (5, -1, True)
    assert inventory.sent("inventory.atp.v1") == sent + 2, "A stays as it was made"


@pytest.mark.parametrize("poison", [False, True])
def test_what_a_lost_source_said_before_holds_promises_until_it_has_sent_everything(poison: bool) -> None:
    inventory = Inventory(ready=["erp", "shop"])
    inventory.progress("wms", complete=False, holding=True)
    if poison:
        inventory.runtime.feed(b"A", b"no message")
        inventory.runtime.run()
    else:
        inventory.say("wms", "A", balance("N", "on_hand", 4), balance("S", "on_hand", 90), version=400)
    sending(inventory, 500)
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=501)
    assert not getattr(inventory.atp("A"), "complete", False), "what it no longer says is still in the sums"
    inventory.progress("wms", restated_since=500, version=502)
    assert (inventory.atp("A").complete, inventory.atp("A").uncertain, inventory.now("A")) == (True, False, 10)


def whole(inventory: Inventory, source: str) -> str | None:
    """What was said last with a source's progress."""
    latest = inventory.runtime.latest("progress.v1")[f"inventory/{source}/0".encode()]
    assert latest is not None
    return msgspec.msgpack.decode(latest, type=Progress).whole_topic_id


def test_what_is_not_in_the_topic_is_known_to_nobody_only_when_every_source_has_been_read_whole() -> None:
    inventory = Inventory(ready=["wms", "shop"])
    inventory.say("wms", "A", balance("N", "on_hand", 10))
    assert whole(inventory, "wms") is None  # nobody has heard of the erp
    inventory.progress("erp", complete=False)
    inventory.progress("wms")
    assert whole(inventory, "wms") is None
    inventory.progress("erp")
    assert whole(inventory, "erp") == PROMISES_ID
    for state in ({"holding": True}, {"uncertain": True}):
        inventory.progress("erp", **state)
        assert whole(inventory, "erp") is None
        inventory.progress("wms")
        assert whole(inventory, "wms") is None
    inventory.progress("erp")
    inventory.progress("wms")
    assert whole(inventory, "wms") == PROMISES_ID


def test_whole_is_said_behind_every_promise_that_it_covers() -> None:
    inventory = Inventory(ready=["wms", "shop"], batch=1)
    for n in range(700):  # more than one slice of the work list
        inventory.say("wms", f"S{n}", balance("N", "on_hand", 1), run=False)
    inventory.progress("erp")
    sent = [output for output, _ in inventory.runtime.durable.sent]
    first = next(
        n
        for n, output in enumerate(sent)
        if output.topic == "progress.v1" and msgspec.msgpack.decode(output.value or b"", type=Progress).whole_topic_id
    )
    promised = {output.key for output in sent[:first] if output.topic == "inventory.atp.v1"}
    assert len(promised) == 700
