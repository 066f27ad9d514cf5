"""What a lane says of kits: what an item is made of, and whether it goes into kits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.messages import KitMessage
from streams.core.log.control import Action
from tests.memory import run_with_crashes
from tests.unit.lane.conftest import Lane, demand_row, item_row, progress_of
from tests.unit.lane.toy import ToyMapping, ToyTable, bill, kit_tables, tables

Bills = dict[str, dict[str, Decimal]]


def bill_row(identity: int, kit: str, component: str, quantity: str) -> dict[str, Any]:
    return {"id": identity, "kit": kit, "component": component, "quantity": quantity}


class KitLane(Lane):
    """A lane whose mapping has components."""

    def __init__(self, mapping: ToyMapping | None = None) -> None:
        super().__init__(mapping or ToyMapping(kit_tables()))

    def begin(self, *rows: dict[str, Any], **others: list[dict[str, Any]]) -> None:
        named = {f"toy.{name}": of for name, of in others.items()}
        self.log.snapshot({**named, "toy.bill": list(rows)}, names=list(kit_tables()))
        self.run()

    def change(self, *changes: tuple[str, dict[str, Any] | None]) -> None:
        self.log.transaction(*((op, "toy.bill", row) for op, row in changes))
        self.run()

    def messages(self) -> list[tuple[str, KitMessage]]:
        return [(m.sku, m.kits) for m in self.received().history if m.kits is not None]

    def bills(self) -> tuple[Bills, set[str]]:
        """(kit → component → quantity, components), of what was said last."""
        kits: Bills = {}
        components: set[str] = set()
        for sku, said in self.messages():
            if said.components is not None:
                kits[sku] = {part.sku: part.quantity for part in said.components}
            if said.component is not None:
                (components.add if said.component else components.discard)(sku)
        return {sku: parts for sku, parts in kits.items() if parts}, components


TWO = {"K": {"A": Decimal(1), "B": Decimal("0.5")}}


def test_a_snapshot_says_what_each_kit_is_made_of() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"), bill_row(2, "K", "B", "0.5"), item=[item_row(1, "K")])
    assert lane.bills() == (TWO, {"A", "B"})
    progress = lane.received().progress
    assert progress is not None
    assert progress.kits


def test_two_rows_about_one_component_add_up_and_a_change_says_the_whole_kit() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"), bill_row(2, "K", "A", "2"))
    assert lane.bills() == ({"K": {"A": Decimal(3)}}, {"A"})
    lane.change(("u", bill_row(2, "K", "B", "0.5")))
    assert lane.bills() == (TWO, {"A", "B"})
    lane.change(("d", {"id": 1}))
    assert lane.bills() == ({"K": {"B": Decimal("0.5")}}, {"B"})
    lane.change(("d", {"id": 2}))
    assert lane.bills() == ({}, set())


def test_a_component_that_another_kit_still_has_stays_one() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"), bill_row(2, "L", "A", "1"))
    before = len(lane.messages())
    lane.change(("d", {"id": 1}))
    assert lane.bills() == ({"L": {"A": Decimal(1)}}, {"A"})
    assert {sku for sku, _ in lane.messages()[before:]} == {"K", "A"}


def test_a_message_that_changes_no_kit_says_nothing_of_kits() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"))
    before = len(lane.messages())
    lane.log.transaction(("c", "toy.demand", demand_row(1, "K", "2")))
    lane.run()
    assert len(lane.messages()) == before


def test_a_restatement_says_every_kit_and_component_again() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"), bill_row(2, "K", "B", "0.5"), demand=[demand_row(1, "K", "2")])
    before = len(lane.messages())
    lane.control(Action.RESTATE)
    lane.run()
    again = [sku for sku, _ in lane.messages()[before:]]
    assert sorted(again) == ["A", "B", "K"], "each once"
    assert lane.bills() == (TWO, {"A", "B"})


def test_a_repeated_snapshot_withdraws_what_it_did_not_bring() -> None:
    lane = KitLane()
    rows = [bill_row(n, f"K{n}", "A", "1") for n in range(30)]
    lane.begin(*rows)
    lane.log.snapshot({"toy.bill": rows[1:]}, names=list(kit_tables()))
    lane.log.transaction(("u", "toy.bill", rows[1]))
    lane.run()
    kits, components = lane.bills()
    assert sorted(kits) == sorted(f"K{n}" for n in range(1, 30))
    assert components == {"A"}


def test_a_truncate_withdraws_and_increases_wait_for_the_reload() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"))
    lane.change(("t", None))
    assert lane.bills() == ({}, set())
    assert progress_of(lane) == (True, True, False), "a kit without its component promises too much"
    lane.change(("c", bill_row(1, "K", "A", "1")))
    assert lane.bills() == ({"K": {"A": Decimal(1)}}, {"A"})
    assert progress_of(lane) == (True, False, False)


def test_a_row_that_cannot_be_read_makes_its_kit_and_its_component_uncertain() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"))
    lane.change(("u", bill_row(1, "K", "A", "NAN")))
    assert lane.received().uncertain == {"K": True, "A": True}
    assert lane.bills()[0] == {"K": {"A": Decimal(1)}}
    lane.change(("u", bill_row(1, "K", "A", "2")))
    assert lane.received().uncertain == {"K": False, "A": False}
    assert lane.bills()[0] == {"K": {"A": Decimal(2)}}


def test_a_mapping_without_components_restates_without_them() -> None:
    lane = KitLane()
    lane.begin(bill_row(1, "K", "A", "1"))
    lane.mapping = ToyMapping(tables(), fingerprint=b"\2" * 32)
    lane.control(Action.MAPPING, fingerprint=lane.mapping.fingerprint.hex())
    lane.feed()
    lane.runtime.restart()
    receiver = lane.run()
    assert receiver.progress is not None
    assert not receiver.progress.kits
    assert receiver.progress.restated_since is not None
    assert not any(m.kits for m in receiver.history if m.version >= receiver.progress.restated_since)


@pytest.mark.parametrize("seed", range(12))
def test_crashes_change_nothing(seed: int) -> None:
    lane = KitLane()
    lane.log.snapshot({"toy.bill": [bill_row(1, "K", "A", "1")]}, names=list(kit_tables()))
    lane.log.transaction(("c", "toy.bill", bill_row(2, "K", "B", "1")), ("c", "toy.bill", bill_row(3, "L", "A", "4")))
    lane.log.transaction(("u", "toy.bill", bill_row(2, "K", "B", "0.5")), ("d", "toy.bill", {"id": 3}))
    lane.feed()
    run_with_crashes(lane.runtime, [(seed * 7 + n * 5) % 17 for n in range(5)])
    lane.run()
    assert lane.bills() == (TWO, {"A", "B"})


def test_one_row_may_say_a_component_twice() -> None:
    def twice(*arguments: Any) -> Any:
        return bill(*arguments) * 2

    columns = ("id", "kit", "component", "quantity")
    made = {"toy.bill": ToyTable("toy.bill", columns, evaluate=twice, feeds=frozenset(("components",)))}
    lane = KitLane(ToyMapping({**tables(), **made}))
    lane.begin(bill_row(1, "K", "A", "1"))
    assert lane.bills()[0] == {"K": {"A": Decimal(2)}}
