"""A component of many kits tells them in slices: who waits for nobody, who keeps nobody waiting."""

from __future__ import annotations

import random

import pytest

from streams.core.inventory import kits
from streams.core.inventory.stage import INPUT_TOPIC
from tests.unit.inventory.harness import balance
from tests.unit.inventory.kit_world import World


def test_a_component_of_many_kits_tells_them_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "OFFERS", 7)
    for n in range(30):
        world.kit(f"K{n:02}", A=1, run=False)
    world.run()
    world.stock("A", 3)
    assert {world.now(f"K{n:02}") for n in range(30)} == {3}
    units = len(world.parts[1].runtime.durable.changelog)
    world.stock("A", 5, run=False)
    world.run_with_crashes(random.Random(3), crashes=5)
    assert {world.now(f"K{n:02}") for n in range(30)} == {5}
    assert len(world.parts[1].runtime.durable.changelog) > units + 4


def test_kits_that_have_withdrawn_keep_no_other_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "OFFERS", 5)
    world = World()
    world.stock("A", 10)
    names = [f"K{n:02}" for n in range(12)]
    for name in names:
        world.kit(name, A=1)
    for name in (names[0], names[6]):
        world.say("erp", name, components=())
    world.stock("A", 3)
    assert {world.now(name) for name in names if name not in (names[0], names[6])} == {3}


def test_a_component_that_is_none_any_more_while_its_kits_are_told_leaves_the_work_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kits, "OFFERS", 2)
    world = World()
    world.stock("A", 10)
    names = [f"K{n}" for n in range(5)]
    for name in names:
        world.kit(name, A=1)
    component = world.of("A").runtime
    world.stock("A", 3, run=False)
    for name in names:
        world.say("erp", name, components=(), run=False)
    world.parts[0].runtime.run()
    world.pass_on(0)
    world.say("erp", "A", component=False, run=False)
    component.run(batch=1, busy=True)  # its kits are being told when the last of them withdraws
    world.run()
    assert world.atp("A").kit is None
    assert not list(component.view.scan(b"f")), "nobody is left to be told"
    world.progress("wms")
    stated = world.of("A")._latest("progress.v1", "inventory/wms/1")
    assert stated.input_offset == world.version, "progress goes on"


def test_a_component_that_makes_no_outputs_yet_does_not_keep_the_others_from_telling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kits, "OFFERS", 2)
    world = World(ready=())
    for n in range(5):
        world.kit(f"K{n}", Bolt=1, Nut=1, run=False)
    world.parts[0].runtime.run()
    world.pass_on(0)
    world.progress("erp", complete=False, run=False)
    world.say("erp", "Bolt", component=True, run=False)
    component = world.parts[1].runtime
    component.run(batch=20, busy=True)  # the kits in one unit, then erp begins to be read
    told = {output.key for output, _ in component.durable.sent if output.topic == INPUT_TOPIC}
    assert told == {f"K{n}".encode() for n in range(5)}, "of the nuts, while bolts wait for erp"
    for source in ("erp", "wms", "shop"):
        world.progress(source)
    world.stock("Bolt", 2)
    world.stock("Nut", 3)
    assert {world.now(f"K{n}") for n in range(5)} == {2}


def test_components_that_wait_for_a_source_do_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kits, "OFFERS", 2)
    world = World(ready=())
    for n in range(5):
        world.kit(f"K{n}", Bolt=1, run=False)
    world.parts[0].runtime.run()
    world.pass_on(0)
    component = world.parts[1]
    ends_us = component.runtime.now_us + 3_600_000_000
    world.say("shop", "Nut", balance("W1", "reserved", 2, "cart", expires_us=ends_us), run=False)
    world.progress("erp", complete=False, run=False)
    world.say("erp", "Bolt", component=True, run=False)
    component.runtime.run(batch=11, busy=True)  # the kits in one unit, then erp begins to be read
    assert list(component.runtime.view.scan(b"f")), "bolts wait for erp"
    assert component.position("Nut").lines
    component.runtime.tick(3_601)
    assert component.position("Nut") is None, "the reservation is over"
