"""The mapping that was applied serves, whatever the folder holds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.errors import InvalidInput
from streams.core.lane.applied import Applied
from streams.core.lane.stage import LaneStage
from streams.core.log.control import Action, Control, encode_control
from streams.core.mapping.model import Mapping, Posting
from tests.unit.lane.conftest import Lane, demand_row, encode, progress_of, stock_row
from tests.unit.lane.toy import ToyMapping, tables

DEMAND_7 = ("A", "*", "demand", "SO-7")


def times(factor: int) -> ToyMapping:
    """Demand as many times over; the text of the mapping is its factor."""
    made = tables()
    before = made["toy.demand"]._evaluate
    assert before is not None
    made["toy.demand"]._evaluate = lambda *row: [
        output._replace(quantity=output.quantity * factor) for output in before(*row) if isinstance(output, Posting)
    ]
    return ToyMapping(made, bytes([factor]) * 32)


def compiled(text: bytes) -> Mapping:
    if text == b"9":
        raise InvalidInput("orders.sql:1:1: refused")
    return times(int(text))


class FolderLane(Lane):
    """A lane that keeps the text of what it works by; `folder` is the factor that its folder holds at a start."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = 1
        self.runtime.durable.changelog.clear()
        self.runtime.stage_factory = lambda: LaneStage(
            "toy",
            Applied(times(self.folder), str(self.folder).encode(), compiled)
            if self.folder
            else Applied(None, b"", compiled, "postings.sql:1:1: refused"),
            encode,
        )
        self.restart(1)
        self.start({"toy.demand": [demand_row(7, "A", "2")]})

    def restart(self, folder: int) -> None:
        self.folder = folder
        self.runtime.restart()

    def switch(self, factor: int) -> None:
        control = Control(action=Action.MAPPING, fingerprint=bytes([factor]).hex() * 32, text=str(factor).encode())
        self.log.records.append(encode_control(control))

    def demand(self, quantity: str) -> None:
        self.log.transaction(("u", "toy.demand", demand_row(7, "A", quantity)))

    def told(self) -> Decimal:
        return self.run().quantities()[DEMAND_7]


@pytest.fixture
def lane() -> FolderLane:
    return FolderLane()


def test_the_applied_mapping_serves_while_the_folder_holds_another(lane: FolderLane) -> None:
    lane.restart(folder=2)
    lane.demand("3")
    assert lane.told() == 3
    assert list(lane.exceptions()) == ["lane/toy/mapping-not-applied/source"]
    assert progress_of(lane) == (True, False, False)
    lane.switch(2)
    assert lane.told() == 6
    assert not lane.exceptions()


def test_a_switch_needs_no_file_and_no_restart(lane: FolderLane) -> None:
    lane.demand("3")
    lane.switch(5)
    lane.demand("4")
    assert lane.told() == 20
    assert not lane.exceptions(), "its folder was read before"
    lane.restart(folder=1)
    lane.demand("5")
    assert lane.told() == 25, "what was applied, not what the folder holds"
    assert lane.runtime.marker.fingerprint == bytes([5]) * 32


def test_switches_count_in_the_order_of_the_log(lane: FolderLane) -> None:
    for factor in (2, 3, 2, 4):
        lane.switch(factor)
        lane.demand(str(factor))
    assert lane.told() == 16


def test_a_mapping_that_this_release_refuses_changes_nothing(lane: FolderLane) -> None:
    lane.switch(9)
    lane.demand("3")
    assert lane.told() == 3
    (found,) = lane.exceptions().values()
    assert (found.code, "orders.sql:1:1: refused" in (found.detail or "")) == ("mapping-refused", True)
    lane.switch(2)
    assert lane.told() == 6
    assert not lane.exceptions()


def test_a_folder_that_is_refused_does_not_matter(lane: FolderLane) -> None:
    lane.switch(2)
    lane.run()
    lane.restart(folder=0)
    lane.demand("3")
    assert lane.told() == 6
    (found,) = lane.exceptions().values()
    assert found.detail == (
        "its mapping files are refused (postings.sql:1:1: refused): the mapping that was applied last goes on"
    )
    lane.runtime.durable.changelog.clear()
    with pytest.raises(InvalidInput, match="refused"):
        lane.restart(folder=0)


def test_a_state_that_begins_anew_does_not_go_through_the_mappings_of_old(lane: FolderLane) -> None:
    lane.switch(2)
    lane.switch(3)
    assert lane.told() == 6
    lane.runtime.durable.changelog.clear()
    lane.restart(folder=3)
    assert lane.told() == 6
    assert lane.runtime.marker.fingerprint == bytes([3]) * 32


def test_a_switch_within_a_large_transaction(lane: FolderLane) -> None:
    begun = lane.log.transaction(*(("c", "toy.demand", demand_row(n, "B", "1")) for n in range(100, 140)), end=False)
    lane.switch(2)
    lane.log.row("c", "toy.demand", demand_row(140, "B", "1"), f"{begun}:{lane.log.lsn}", '["1000", "2000"]')
    lane.log.end(begun)
    lane.log.transaction(("c", "toy.stock", stock_row(1, 1, "5")))
    received = lane.run()
    told = {key: value for key, value in received.quantities().items() if key[0] == "B"}
    assert set(told.values()) == {Decimal(2)}
    assert len(told) == 41
