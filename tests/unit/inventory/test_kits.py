"""Kits and components over two partitions: who hears what, when, and what it makes of it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from schemas.messages import BalanceMessage, ComponentOffer, ItemPart, KitDemand, KitMessage, KitUse, Makeable
from tests.unit.inventory.harness import TODAY, balance, day, ownership_of
from tests.unit.inventory.kit_world import World, of


def test_counterexample_19_a_component_in_another_partition_falls_to_zero(world: World) -> None:
    world.stock("A", 0)
    assert (world.now("K"), world.now("K", "W1")) == (0, 0)
    world.stock("A", 6)
    assert world.now("K") == 3


def test_a_kits_demand_counts_once_and_falls_on_its_components(world: World) -> None:
    world.order("K", "SO-1", 3)
    assert (world.now("K"), world.now("A"), world.now("B")) == (2, 4, Decimal("2.5"))
    assert world.atp("A").kit.demand == 6
    world.say("wms", "K", balance("W1", "fulfilled", 3, "SO-1"), run=False)
    world.stock("A", 4, run=False)
    world.stock("B", "2.5")
    assert (world.now("K"), world.now("A")) == (2, 4), "made, shipped and gone from the bins"


def test_the_promise_of_the_kit_falls_before_its_component_has_heard_of_the_demand(world: World) -> None:
    world.order("K", "SO-1", 3, run=False)
    world.parts[0].runtime.run()
    assert world.now("K") == 2


def test_what_the_kits_own_stock_covers_does_not_fall_on_components(world: World) -> None:
    world.stock("K", 2)
    world.order("K", "SO-1", 3)
    assert (world.now("K"), world.now("A")) == (4, 8)


def test_two_kits_share_a_component(world: World) -> None:
    world.kit("K2", A=1)
    assert world.now("K2") == 10
    world.order("K2", "SO-1", 7)
    assert (world.now("K2"), world.now("A"), world.now("K")) == (3, 3, 1)


def test_a_whole_kit_needs_every_component_at_its_location(world: World) -> None:
    world.stock("A", 8, "W2")
    assert [at.location for at in world.atp("K").locations] == ["W1"]
    assert (world.now("K"), world.now("K", "W1")) == (8, 5), "the network's components, of which 4 B make 8"
    world.stock("B", 1, "W2")
    assert world.now("K", "W2") == 2


def test_dates_of_components_are_the_kits(world: World) -> None:
    world.say("erp", "A", balance("W1", "inbound", 4, "PO-1", day(5)))
    world.order("A", "SO-9", 2, due=day(3))
    assert world.steps("K") == {TODAY: 4, day(5): 6}
    assert world.now("K") == 4
    world.tick(6 * 86_400)
    assert world.now("K") == 4, "overdue: it counts from tomorrow"


def test_why_names_what_limits_the_kit(world: World) -> None:
    world.order("K", "SO-1", 1)
    atp = world.atp("K")
    assert {part.sku: (part.quantity, part.makeable) for part in atp.kit.components} == {
        "A": (2, 5),
        "B": (Decimal("0.5"), 8),
    }
    assert {place.location: place.makeable for place in atp.kit.places} == {"*": 5, "W1": 5}
    assert (atp.network.demand, atp.network.available_now, atp.cause) == (1, 4, "erp")


def test_the_commit_of_a_component_stamps_the_kit(world: World) -> None:
    world.stock("A", 2, committed_us=77)
    atp = world.atp("K")
    assert (atp.network.available_now, atp.stamps.committed_us, atp.cause) == (1, 77, "wms")


def test_an_untracked_component_limits_nothing_and_a_kit_of_such_is_untracked(world: World) -> None:
    world.say("erp", "B", item=ItemPart(sku="B", tracked=False), run=False)
    world.stock("B", 0)
    assert (world.now("K"), world.atp("K").tracked) == (5, True)
    world.kit("K", B=1)
    assert not world.atp("K").tracked


def test_a_kit_that_is_not_tracked_is_promised_by_its_components(world: World) -> None:
    world.say("erp", "K", item=ItemPart(sku="K", tracked=False))
    assert (world.atp("K").tracked, world.now("K")) == (True, 5)


def test_a_component_that_nobody_knows_makes_none(world: World) -> None:
    world.kit("K", A=1, Unknown=1)
    assert (world.now("K"), world.atp("K").complete) == (0, True)


def test_more_ordered_than_can_be_made_is_an_oversell_of_both(world: World) -> None:
    world.order("K", "SO-1", 6)
    assert (world.now("K"), world.now("A")) == (-1, -2)
    assert {"oversell/K", "oversell/A"} <= world.open_exceptions().keys()
    world.order("K", "SO-1", 5)
    assert not world.open_exceptions()


def test_another_bill_takes_the_old_one_back(world: World) -> None:
    world.order("K", "SO-1", 2)
    assert (world.now("A"), world.now("B")) == (6, 3)
    world.kit("K", B=1)
    world.say("erp", "A", component=False)
    assert (world.now("K"), world.now("A"), world.now("B")) == (2, 10, 2)
    world.say("erp", "K", components=(), run=False)
    world.say("erp", "B", component=False)
    assert (world.now("K"), world.now("B")) == (-2, 4), "an item like any other"
    assert world.atp("K").kit is None
    assert world.atp("B").kit is None


def test_an_offer_for_another_quantity_makes_no_kit(world: World) -> None:
    world.kit("K", A=1)
    assert world.now("K") == 10
    world.stock("A", 12, run=False)
    world.of("A").runtime.run()  # its offer for one a kit is under way …
    world.kit("K", A=2, run=False)
    world.of("K").runtime.run()
    assert world.now("K") == 0, "nobody has said yet how many kits of two A there are"
    assert not world.atp("K").kit.components[0].complete
    world.pass_on(1)
    world.of("K").runtime.run()  # … and comes after the kit takes two
    assert world.now("K") == 0
    world.run()
    assert (world.now("K"), world.atp("K").kit.components[0].complete) == (6, True)


def test_an_offer_of_a_release_that_does_not_name_the_quantity_counts(world: World) -> None:
    offer = ComponentOffer(
        component="A",
        complete=True,
        uncertain=False,
        tracked=True,
        kit=False,
        makeable=(Makeable(location="*", now=Decimal(3)), Makeable(location="W1", now=Decimal(3))),
    )
    message = BalanceMessage(kind="offer", source="wms", version=1 << 62, sku="K", kits=KitMessage(offer=offer))
    world.of("K").feed(message)
    world.run()
    assert world.now("K") == 3


def test_a_kit_of_kits_asks_for_nothing_while_its_bill_changes(world: World) -> None:
    world.kit("K2", K=1, A=1)
    world.order("K2", "SO-1", 1)
    world.kit("K2", K=2, A=1, run=False)
    world.of("K2").runtime.run()
    world.pass_on(0)
    world.of("A").runtime.run()
    assert world.now("A") == 10
    assert "kit-nested/K2" in world.open_exceptions()


def test_the_first_owner_of_components_counts() -> None:
    world = World(ownership_of().model_copy(update={"components": ("wms", "erp")}))
    world.progress("wms", kits=True)
    world.stock("A", 10)
    world.kit("K", A=1)
    assert world.now("K") == 10
    world.kit("K", source="wms", A=5)
    assert world.now("K") == 2
    world.say("wms", "K", components=())
    assert world.now("K") == 10


# -- kits of kits


def test_a_kit_of_kits_makes_nothing_and_says_why(world: World) -> None:
    world.kit("K2", K=1, A=1)
    world.order("K2", "SO-1", 1)
    assert world.now("K2") == -1
    assert "K is a kit itself" in world.open_exceptions()["kit-nested/K2"].detail
    assert (world.now("K"), world.now("A")) == (5, 10), "its demand falls on nobody"
    world.say("erp", "K", components=())
    assert "kit-nested/K2" not in world.open_exceptions()
    assert world.now("A") == 9


@pytest.mark.parametrize("length", [2, 3, 4])
def test_a_ring_of_kits_comes_to_rest(length: int) -> None:
    world = World(place=lambda sku: int(sku[1:]) % 2)
    for n in range(length):
        world.stock(f"K{n}", 3)
        world.order(f"K{n}", "SO-1", 5)
        world.kit(f"K{n}", **{f"K{(n + 1) % length}": 1.0})  # type: ignore[arg-type]
    said = world.messages
    world.progress("erp")
    world.tick(1)
    assert world.messages == said, "nothing is said any more"
    assert all(world.now(f"K{n}") == -2 for n in range(length))
    assert sum(key.startswith("kit-nested/") for key in world.open_exceptions()) == length


# -- completeness, uncertainty


def test_a_kit_is_not_complete_before_its_components_are() -> None:
    world = World(ready=("erp", "wms", "shop"))
    world.say("erp", "K", components=of(A=1), run=False)
    world.stock("K", 2, run=False)
    world.parts[0].runtime.run()
    assert not world.atp("K").complete, "nobody has said how many there are of A"
    world.say("erp", "A", component=True)
    world.stock("A", 3)
    assert (world.atp("K").complete, world.now("K")) == (True, 5)


def test_a_component_is_not_complete_before_every_partition_has_said_what_its_kits_ask() -> None:
    world = World(ready=())
    world.stock("A", 10, run=False)
    world.kit("K", A=1, run=False)
    world.order("K", "SO-1", 4, run=False)
    for source in ("erp", "wms", "shop"):
        world.progress(source, run=False)
    component = world.parts[1].runtime
    component.run()
    assert world.pass_on(1)
    component.run()
    assert not world.atp("A").complete, "it has not heard of the kit's partition"
    world.run()
    assert (world.atp("A").complete, world.now("A"), world.now("K")) == (True, 6, 6)
    told = {
        atp.network.available_now
        for output, _ in component.durable.sent
        if output.topic == "inventory.atp.v1" and output.key == b"A" and output.value is not None
        for atp in [msgspec.msgpack.decode(output.value, type=type(world.atp("A")))]
        if atp.complete
    }
    assert told == {Decimal(6)}, "no complete promise without the kit's demand"


def test_a_component_waits_for_the_partition_of_its_kits_whenever_a_source_is_read_again(world: World) -> None:
    world.progress("erp", complete=False, run=False)
    world.progress("erp", run=False)
    world.stock("A", 20, run=False)
    world.parts[1].runtime.run()
    assert world.now("A") == 10, "the kit's partition may know of more demand"
    world.run()
    assert world.now("A") == 20


def test_a_component_rests_on_the_sources_of_its_kits_too() -> None:
    world = World(ownership_of(on_hand='{"*": [wms], W2: [north]}'))
    world.stock("A", 10)
    world.kit("K", A=1)
    world.say("north", "K", balance("W2", "on_hand", 1))
    world.stock("A", 20)
    assert (world.now("A"), world.now("K")) == (10, 10), "what the kit has at W2 is not known yet"
    world.progress("north")
    assert (world.now("A"), world.now("K")) == (20, 21)


def test_a_kit_and_its_components_rest_on_who_says_what_it_is_made_of() -> None:
    world = World(ownership_of().model_copy(update={"components": ("pim",)}))
    world.progress("pim", kits=True)
    world.stock("A", 10)
    world.kit("K", source="pim", A=2)
    assert world.now("K") == 5
    assert {"pim"} <= world.atp("K").source_versions.keys() & world.atp("A").source_versions.keys()
    world.progress("pim", kits=True, uncertain=True)
    assert (world.atp("K").uncertain, world.atp("A").uncertain) == (True, True)
    world.progress("pim", kits=True)
    assert (world.atp("K").uncertain, world.atp("A").uncertain) == (False, False)
    world.progress("pim", kits=True, holding=True)
    world.stock("A", 20)
    assert world.now("K") == 5, "while bills are read again a kit may lose components"
    world.progress("pim", kits=True)
    assert world.now("K") == 10


def test_a_kit_waits_for_an_owner_whose_bill_would_count_before() -> None:
    world = World(ownership_of().model_copy(update={"components": ("pim", "erp")}))
    world.stock("A", 10)
    world.progress("pim", kits=True, complete=False)
    world.kit("K", A=1)
    assert not world.atp("K").complete
    world.kit("K", source="pim", A=5)
    world.progress("pim", kits=True)
    assert (world.atp("K").complete, world.now("K")) == (True, 2)


def test_while_a_source_holds_only_decreases_leave(world: World) -> None:
    world.progress("wms", holding=True)
    world.stock("A", 20)
    world.stock("B", 1)
    assert (world.now("A"), world.now("K")) == (10, 2)
    world.stock("B", 40)
    assert world.now("K") == 2
    world.progress("wms")
    assert (world.now("A"), world.now("K")) == (20, 10)


def test_demand_that_is_deleted_and_loaded_again_does_not_raise_the_component(world: World) -> None:
    world.order("K", "SO-1", 3)
    before = len(world.of("A").told("A"))
    world.progress("erp", holding=True)
    world.say("erp", "K", balance("W1", "demand", 0, "SO-1", postings=0))
    assert world.now("A") == 4
    world.progress("erp", run=False)
    world.parts[1].runtime.run()
    assert world.now("A") == 4, "the kit's partition has not said that the hold is over"
    world.order("K", "SO-1", 3)
    assert max(world.of("A").told("A")[before:], default=4) == 4


def test_what_is_uncertain_of_one_is_uncertain_of_the_other(world: World) -> None:
    world.say("erp", "A", uncertain=True)
    assert world.atp("K").uncertain
    world.say("erp", "A", uncertain=False)
    assert not world.atp("K").uncertain
    world.say("erp", "K", uncertain=True)
    assert (world.atp("A").uncertain, world.atp("K").uncertain) == (True, True)
    world.say("erp", "K", uncertain=False)
    assert not world.atp("A").uncertain


# -- versions, loss, restatement


def use(world: World, version: int, demand: int, *, withdrawn: bool = False) -> None:
    said = KitUse(
        kit="K9",
        quantity=Decimal(1),
        complete=True,
        uncertain=False,
        ask=False,
        withdrawn=withdrawn,
        demand=(KitDemand(location="W1", quantity=Decimal(demand)),) if demand else (),
    )
    message = BalanceMessage(kind="use", source="erp", version=version, sku="A", kits=KitMessage(use=said))
    world.of("A").feed(message)
    world.run()


def test_a_former_owners_late_word_changes_nothing(world: World) -> None:
    use(world, 50, 3)
    assert world.now("A") == 7
    use(world, 49, 1)
    assert world.now("A") == 7
    use(world, 60, 0, withdrawn=True)
    use(world, 55, 4)
    assert world.now("A") == 10, "also not when it has withdrawn since"


def lose(world: World, number: int) -> None:
    """The partition's state is gone, and its input no longer held."""
    part = world.parts[number]
    runtime = part.runtime
    runtime.durable.changelog.clear()
    runtime.durable.inputs.clear()
    runtime.durable.sent.clear()
    world._passed_on[number] = 0
    runtime.now_us += 86_400_000_000
    runtime.restart()


def restate(world: World) -> None:
    """The lanes of the fixture go on, and then say everything again."""
    for source in ("erp", "wms", "shop"):
        world.progress(source)
    since = world.version + 1
    world.stock("A", 10, run=False)
    world.stock("B", 4, run=False)
    world.kit("K", A=2, B="0.5", run=False)
    world.order("K", "SO-1", 1, run=False)
    for source in ("erp", "wms", "shop"):
        world.progress(source, restated_since=since, run=False)
    world.run()


@pytest.mark.parametrize("number", [0, 1])
def test_a_partition_that_lost_its_state_is_whole_again_when_lanes_restate(world: World, number: int) -> None:
    world.order("K", "SO-1", 1)
    lose(world, number)
    # A new owner's versions are above the former's: epochs follow the clock.
    world.parts[number].runtime.marker.epoch = 1 << 20
    restate(world)
    assert (world.now("K"), world.now("A"), world.now("B")) == (4, 8, Decimal("3.5"))
    assert world.atp("K").complete
    assert world.atp("A").complete


def test_a_lane_that_states_a_kit_again_has_it_and_its_components_ask_and_answer(world: World) -> None:
    said = world.messages
    world.say("erp", "K", components=of(A=2, B="0.5"))
    assert world.messages == said + 4, "two uses, two offers"


def test_a_restatement_without_a_kit_withdraws_it(world: World) -> None:
    world.order("K", "SO-1", 1)
    since = world.version + 1
    world.order("K", "SO-1", 1, run=False)
    world.progress("erp", restated_since=since, kits=False)
    assert (world.now("K"), world.now("A")) == (-1, 10)
    assert world.atp("K").kit is None


# -- who is told nothing


def test_a_change_that_alters_no_offer_tells_nobody(world: World) -> None:
    said = world.messages
    world.stock("A", 11)
    assert world.messages == said, "11 A make 5 kits as 10 do"
    world.say("wms", "A", item=ItemPart(sku="A", name="another"))
    assert world.messages == said


def test_items_that_are_neither_say_nothing_of_kits(world: World) -> None:
    said = world.messages
    world.stock("Z", 4)
    assert world.atp("Z").kit is None
    assert world.messages == said


def test_another_rule_leaves_kits_as_they_are(world: World) -> None:
    world.order("K", "SO-1", 1)
    for part in world.parts:
        part.restart(ownership_of(safety_stock="[wms]"))
    world.run()
    assert (world.now("K"), world.now("A")) == (4, 8)
