"""A mapping that needs columns which were never stored: the one before serves until they are read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from streams.core.lane import snapshots
from streams.core.lane.applied import Applied
from streams.core.lane.preparing import KIND as AHEAD
from streams.core.lane.stage import LaneStage
from streams.core.log.control import Action, Control, encode_control
from streams.core.mapping.model import Mapping, OutputRow, Posting
from tests.slices import work_in_slices
from tests.unit.lane.conftest import Lane, demand_row, encode, progress_of
from tests.unit.lane.test_fuzz import Z_TOTAL, History, Key, oracle, totals_seen
from tests.unit.lane.toy import Row, ToyMapping, ToyTable, demand, tables

DEMAND_7 = ("A", "*", "demand", "SO-7")
NARROW, WIDE, SPLIT, LEAN, LEANEST = b"1", b"2", b"3", b"4", b"5"


def multiplied(table: ToyTable, row: Row, *rest: Any) -> list[OutputRow]:
    """Demand times its `times`."""
    times = Decimal(table.value(row, "times"))
    return [
        output._replace(quantity=output.quantity * times)
        for output in demand(table, Row(row.values[:4]), *rest)
        if isinstance(output, Posting)
    ]


def compiled(text: bytes) -> Mapping:
    """By text: the toy mapping; demand with a column more; with a table more; with a column less."""
    made = tables()
    known = made["toy.demand"]
    columns = known.columns
    if text in (WIDE, SPLIT):
        columns = (*columns, "times")
        made["toy.demand"] = ToyTable("toy.demand", columns, buckets=known.buckets, evaluate=multiplied)
    if text == SPLIT:
        made["toy.more"] = ToyTable("toy.more", known.columns, buckets=known.buckets, evaluate=demand)
    if text == LEAN:
        made["toy.demand"] = ToyTable(
            "toy.demand",
            columns[:3],
            buckets=known.buckets,
            evaluate=lambda table, row, *rest: demand(known, Row((*row.values, None)), *rest),
        )
    if text == LEANEST:
        made["toy.demand"] = ToyTable(
            "toy.demand",
            ("id", "quantity"),
            buckets=known.buckets,
            evaluate=lambda table, row, *rest: demand(known, Row((row.values[0], "A", row.values[1], None)), *rest),
        )
    return ToyMapping(made, text * 32)


def row(identity: int, quantity: str, times: int = 3, sku: str = "A") -> dict[str, Any]:
    return {**demand_row(identity, sku, quantity), "times": times}


def keep_texts(lane: Lane) -> None:
    """From here on, and from the beginning, its stages keep the texts of their mappings."""
    lane.runtime.durable.changelog.clear()
    applied = Applied(compiled(NARROW), NARROW, compiled)
    lane.runtime.stage_factory = lambda: LaneStage("toy", applied, encode, lane.limits)
    lane.runtime.restart()


def switch(lane: Lane, text: bytes) -> None:
    control = Control(action=Action.MAPPING, fingerprint=(text * 32).hex(), text=text)
    lane.log.records.append(encode_control(control))


def counts(lane: Lane) -> bool:
    """Whether the mapping that was applied last is in force."""
    return lane.runtime.marker.fingerprint != NARROW * 32


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    keep_texts(made)
    made.start({"toy.demand": [row(7, "2"), row(8, "1", sku="B")]})
    return made


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "SWEEP_SHARE", 1.0)
    work_in_slices(monkeypatch)


def test_the_mapping_before_serves_until_the_columns_are_read(lane: Lane) -> None:
    switch(lane, WIDE)
    lane.log.transaction(("u", "toy.demand", row(7, "5")), ("c", "toy.demand", row(9, "1")))
    assert lane.run().quantities()[DEMAND_7] == 5
    assert progress_of(lane) == (True, False, False)
    found = lane.exceptions()["lane/toy/mapping-prepares/source"]
    assert "columns of toy.demand" in (found.detail or "")
    lane.runtime.restart()
    lane.log.begin_reading("toy.demand")
    lane.log.transaction(("d", "toy.demand", {"id": 9}), ("u", "toy.demand", row(7, "6")))
    assert lane.run().quantities()[DEMAND_7] == 6
    lane.log.read_again("toy.demand", [row(8, "1", sku="B")], scanned=2)
    quantities = lane.run().quantities()
    assert quantities == {DEMAND_7: Decimal(18), ("B", "*", "demand", "SO-8"): Decimal(3)}
    assert progress_of(lane) == (True, False, False)
    assert not lane.exceptions()
    assert not [key for key in lane.runtime.state() if key[:1] == AHEAD or key == b"an"]
    lane.runtime.restart()
    lane.log.transaction(("u", "toy.demand", row(7, "1", times=4)))
    assert lane.run().quantities()[DEMAND_7] == 4


def test_what_is_told_twice_is_prepared_once(lane: Lane) -> None:
    switch(lane, WIDE)
    lane.log.begin_reading("toy.demand")
    switch(lane, WIDE)
    lane.log.read_again("toy.demand", [row(7, "2"), row(8, "1", sku="B")])
    assert lane.run().quantities()[DEMAND_7] == 6


def test_a_reading_that_began_before_does_not_count(lane: Lane) -> None:
    lane.log.begin_reading("toy.demand")
    switch(lane, WIDE)
    lane.log.read_again("toy.demand", [row(7, "2"), row(8, "1", sku="B")])
    lane.run()
    assert not counts(lane)


def test_a_whole_snapshot_brings_the_columns_too(lane: Lane) -> None:
    switch(lane, WIDE)
    lane.log.snapshot({"toy.demand": [row(7, "2"), row(8, "1", sku="B")]})
    lane.log.transaction(("c", "toy.demand", row(9, "1")))
    assert lane.run().quantities()[DEMAND_7] == 6
    assert progress_of(lane) == (True, False, False)


def test_a_whole_snapshot_that_began_before_does_not_count(lane: Lane) -> None:
    lane.log.snapshot({"toy.demand": [row(7, "2"), row(8, "1", sku="B")]})
    ends = lane.log.records.pop()
    switch(lane, WIDE)
    lane.log.records.append(ends)
    lane.run()
    assert not counts(lane)


def test_a_truncated_table_does_not_come_back(lane: Lane) -> None:
    switch(lane, WIDE)
    lane.log.begin_reading("toy.demand")
    lane.log.transaction(("u", "toy.demand", row(7, "5")))
    lane.log.transaction(("t", "toy.demand", None), ("c", "toy.demand", row(9, "1")))
    lane.log.read_again("toy.demand", [], scanned=1)
    assert lane.run().quantities() == {("A", "*", "demand", "SO-9"): Decimal(3)}


def test_a_mapping_taken_back_before_it_counts(lane: Lane) -> None:
    switch(lane, WIDE)
    lane.log.transaction(("u", "toy.demand", row(7, "5")))
    switch(lane, NARROW)
    assert lane.run().quantities()[DEMAND_7] == 5
    assert not lane.exceptions()
    lane.log.begin_reading("toy.demand")
    lane.log.read_again("toy.demand", [row(7, "5"), row(8, "1", sku="B")])
    lane.run()
    assert not counts(lane)


def test_a_table_more_and_a_column_more(lane: Lane) -> None:
    switch(lane, SPLIT)
    lane.log.begin_reading("toy.demand")
    lane.log.read_again("toy.demand", [row(7, "2"), row(8, "1", sku="B")])
    lane.log.begin_reading("toy.more")
    lane.log.transaction(("c", "toy.more", demand_row(31, "C", "1")), ("c", "toy.more", demand_row(32, "C", "1")))
    lane.run()
    assert not counts(lane)
    lane.log.transaction(("d", "toy.more", {"id": 32}))
    lane.log.read_again("toy.more", [demand_row(30, "C", "4")], scanned=2)
    lane.log.transaction(("d", "toy.more", {"id": 31}))
    assert lane.run().quantities() == {
        DEMAND_7: Decimal(6),
        ("B", "*", "demand", "SO-8"): Decimal(3),
        ("C", "*", "demand", "SO-30"): Decimal(4),
    }


def test_a_mapping_that_needs_less_reads_nothing(lane: Lane) -> None:
    switch(lane, LEAN)
    lane.log.transaction(("u", "toy.demand", row(7, "5")))
    assert lane.run().quantities()[DEMAND_7] == 5
    assert counts(lane)
    assert progress_of(lane) == (True, False, False)
    assert not lane.exceptions()


def test_a_row_that_goes_while_the_rows_are_taken_over(lane: Lane) -> None:
    switch(lane, SPLIT)
    for name in ("toy.demand", "toy.more"):
        lane.log.begin_reading(name)
        lane.log.read_again(name, [row(7, "2"), row(8, "1", sku="B")])
    lane.log.transaction(("d", "toy.more", {"id": 7}))
    lane.feed()
    lane.runtime.run(busy=True, batch=1)
    assert lane.run().quantities() == {DEMAND_7: Decimal(6), ("B", "*", "demand", "SO-8"): Decimal(3 + 1)}


@pytest.mark.usefixtures("small_slices")
def test_another_mapping_before_the_rows_are_in_one_form(lane: Lane) -> None:
    """Switches one upon another: each begins when the one before has all rows in its form."""
    for text in (LEAN, LEANEST):
        switch(lane, text)
        lane.log.transaction(("u", "toy.demand", row(7, "5")))
    lane.feed()
    lane.runtime.run(busy=True, batch=1)
    assert lane.run().quantities() == {DEMAND_7: Decimal(5), ("A", "*", "demand", "SO-8"): Decimal(1)}
    assert lane.runtime.marker.fingerprint == LEANEST * 32
    assert not lane.exceptions()


class WideHistory(History):
    """Random business whose mapping comes to need one column more."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        keep_texts(self.lane)

    def demand_row(self, identity: int) -> dict[str, Any]:
        return {**super().demand_row(identity), "times": self.random.randrange(1, 4)}

    def read_demand(self) -> None:
        """Until it is read, whatever comes between."""
        self.lane.log.begin_reading("toy.demand")
        before = dict(self.rows["toy.demand"])
        for _ in range(self.random.randrange(3)):
            self.transaction()
            if self.random.random() < 0.5:
                self.work()
        scanned = {key: one for key, one in self.rows["toy.demand"].items() if key in before}
        brought = [one for key, one in scanned.items() if one is before[key]]
        self.lane.log.read_again("toy.demand", brought, scanned=len(scanned))
        self.resendable = len(self.lane.log.records)


def in_times(history: WideHistory) -> dict[Key, Decimal]:
    times = {f"SO-{key}": Decimal(one["times"]) for key, one in history.rows["toy.demand"].items()}
    return {key: value * times.get(key[3] or "", Decimal(1)) for key, value in oracle(history.rows).items()}


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("seed", range(30))
def test_random_histories_with_a_column_more_on_the_way(seed: int) -> None:
    history = WideHistory(seed)
    history.play(seed % 7)
    switch(history.lane, WIDE)
    history.resendable = len(history.lane.log.records)
    history.play(seed % 5)
    for _ in range(3):
        if not counts(history.lane):
            history.read_demand()
            history.work()
            history.lane.runtime.tick()
    assert counts(history.lane), "read whole"
    history.play(5)
    received = history.lane.received()
    assert received.quantities() == in_times(history)
    assert totals_seen(received.history) == {Z_TOTAL}
    assert received.progress is not None
    assert (received.progress.complete, received.progress.holding) == (True, False)
    assert not history.lane.exceptions()
    assert not [key for key in history.lane.runtime.state() if key[:1] in b"qzwpkyv"]
