"""After everything was told again, exception.v1 has open what the lane has open, whatever was lost before."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import ExceptionStatus
from streams.core.lane import told
from streams.core.lane.render import EXCEPTION_TOPIC
from streams.core.lane.stage import LaneStage
from streams.core.log.control import Action
from tests.memory import Crashed
from tests.unit.lane.conftest import Lane, demand_row, encode

BAD = "lane/toy/row-unmappable/toy.demand "


class Told(Lane):
    """A lane that can ask what exception.v1 has open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answers = True
        self.runtime.stage_factory = lambda: LaneStage("toy", self.mapping, encode, on_topic=self._on_topic)
        self.runtime.restart()

    def _on_topic(self) -> list[str] | None:
        self.asked += 1
        return list(self.exceptions()) if self.answers else None

    def lose_state(self, *, cut: bool) -> None:
        """The changelog is lost; with `cut` the log's beginning too."""
        self.runtime.durable.changelog.clear()
        if cut:
            self.runtime.durable.inputs.clear()
            self.log.records.clear()
            self.fed = 0
        self.runtime.restart()

    def statuses(self, identity: str) -> list[ExceptionStatus]:
        """What was told of one, in order."""
        return [record.status for record in self.troubles() if record.id == identity]


@pytest.fixture
def lane() -> Told:
    return Told()


def rows(*bad: int) -> dict[str, list[dict[str, Any]]]:
    """Ten rows; these cannot be mapped."""
    return {"toy.demand": [demand_row(n, "A", "x" if n in bad else "1") for n in range(10)]}


def test_what_a_lost_state_had_opened_is_closed_unless_it_is_so_still(lane: Told) -> None:
    lane.start(rows(1, 2, 3))
    assert list(lane.exceptions()) == [f"{BAD}[{n}]" for n in (1, 2, 3)]
    lane.lose_state(cut=True)
    lane.start({"toy.demand": rows(2)["toy.demand"][:3]})
    assert list(lane.exceptions()) == [f"{BAD}[2]"]
    assert ExceptionStatus.CLOSED not in lane.statuses(f"{BAD}[2]")
    lane.runtime.tick()
    assert [key for key in lane.runtime.state() if key.startswith(b"x")] == [f"x{BAD}[2]".encode()]


def test_nothing_is_closed_before_the_log_has_been_read_again(lane: Told) -> None:
    lane.start(rows())
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "x")))
    lane.run()
    lane.lose_state(cut=False)
    inputs = lane.runtime.durable.inputs
    change = [inputs.pop() for _ in range(3)]
    lane.runtime.run()
    lane.runtime.tick()
    assert lane.received().progress is not None
    inputs.extend(reversed(change))
    lane.runtime.run()
    lane.runtime.tick()
    assert lane.asked > 1
    assert lane.statuses(f"{BAD}[7]") == [ExceptionStatus.OPEN] * 2, "opened before and again, never closed"


def test_when_the_topic_was_lost_a_restatement_tells_what_is_open(lane: Told) -> None:
    lane.start(rows(1, 2))
    sent = lane.runtime.durable.sent
    sent[:] = [one for one in sent if one.output.topic != EXCEPTION_TOPIC]
    assert not lane.exceptions()
    lane.control(Action.RESTATE)
    lane.run()
    assert list(lane.exceptions()) == [f"{BAD}[{n}]" for n in (1, 2)]


def test_a_restatement_tells_what_a_person_must_decide_before_the_lane_is_whole(lane: Told) -> None:
    lane.start(rows())
    lane.log.snapshot({"toy.demand": rows()["toy.demand"][:3]})
    lane.run()
    waits = ["lane/toy/sweep-waits/toy.demand"]
    assert list(lane.exceptions()) == waits
    sent = lane.runtime.durable.sent
    sent[:] = [one for one in sent if one.output.topic != EXCEPTION_TOPIC]
    lane.control(Action.RESTATE)
    lane.run()
    assert list(lane.exceptions()) == waits


def test_it_goes_in_slices_and_a_crash_begins_it_anew(lane: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "SLICE", 2)
    lane.start(rows(1, 2, 3, 4, 5))
    lane.lose_state(cut=True)
    lane.log.snapshot(rows())
    lane.feed()
    crashes = 0
    for steps in range(60):
        lane.runtime.crash_after = steps
        try:
            lane.runtime.run()
        except Crashed:
            crashes += 1
            lane.runtime.crash_after = None
            lane.runtime.restart()
        else:
            break
    lane.runtime.crash_after = None
    lane.runtime.tick()
    assert crashes > 3
    assert not lane.exceptions()
    assert not [key for key in lane.runtime.state() if key.startswith(b"x")]


def test_the_lane_goes_on_while_the_topic_is_read(lane: Told) -> None:
    lane.start(rows(1))
    lane.lose_state(cut=True)
    lane.answers = False
    lane.start(rows())
    asked = lane.asked
    lane.log.transaction(("u", "toy.demand", demand_row(7, "B", "3")))
    assert ("B", "*", "demand", "SO-7") in lane.run().quantities()
    assert lane.asked > asked
    assert lane.exceptions()
    lane.answers = True
    lane.runtime.tick()
    assert not lane.exceptions()
