"""Snapshots: first ones, repeated ones, those of one table, and those that are not whole; a state that begins anew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import Any

import pytest

from streams.core.lane import owed, worklists
from streams.core.lane.fold import Fold
from streams.core.lane.state import dump_memo, load_memo
from streams.core.lane.touched import Entry
from streams.core.log.control import Action
from tests.unit.lane.conftest import Lane, demand_row, item_row, progress_of, raw, stock_row
from tests.unit.lane.toy import tables

A_ON_HAND = ("A", "W1", "on_hand", None)


def test_a_table_that_the_first_snapshot_skipped_keeps_the_source_incomplete(lane: Lane) -> None:
    """Counterexample 11: no SELECT on a table, and COMPLETED arrives all the same."""
    names = [name for name in tables() if name != "toy.demand"]
    lane.log.snapshot({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]}, names=names)
    assert lane.run().quantities() == {}
    assert progress_of(lane)[0] is False
    (identity,) = lane.exceptions()
    assert identity == "lane/toy/snapshot-incomplete/toy.demand"
    lane.control(Action.RELEASE, identity)
    assert lane.run().quantities() == {A_ON_HAND: Decimal(5)}
    assert progress_of(lane) == (True, False, False)
    assert lane.exceptions() == {}


def evaluated_rows(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables of the rows evaluated from now on, one entry for each evaluation."""
    seen: list[str] = []
    evaluate = Fold.evaluate

    def noted(fold: Fold, entry: Entry, *rest: Any) -> None:
        seen.append(entry.name)
        evaluate(fold, entry, *rest)

    monkeypatch.setattr(Fold, "evaluate", noted)
    return seen


STOCK = {
    "toy.item": [item_row(n, f"S{n}") for n in range(5)],
    "toy.stock": [stock_row(n, n % 5, "1") for n in range(9)],
}


@pytest.mark.parametrize("row_early", [False, True])
def test_a_row_whose_lookups_have_been_read_is_evaluated_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, row_early: bool
) -> None:
    lane = Lane(batch=4)
    seen = evaluated_rows(lane, monkeypatch)
    names = ["toy.item", *(name for name in tables() if name != "toy.item")]
    lane.log.snapshot(STOCK, names=names, row_early=row_early, complete=False)
    lane.run()
    assert (seen.count("toy.stock"), seen.count("toy.item")) == (9, 5)
    lane.log.notify("COMPLETED")
    assert len(lane.run().quantities()) == 5
    assert (seen.count("toy.stock"), seen.count("toy.item")) == (9, 5)


def test_rows_that_come_before_their_lookups_are_evaluated_once_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(batch=4)
    seen = evaluated_rows(lane, monkeypatch)
    lane.log.snapshot(STOCK, complete=False)
    lane.feed()
    lane.runtime.run()
    assert "toy.stock" not in seen
    lane.log.notify("COMPLETED")
    assert len(lane.run().quantities()) == 5
    assert (seen.count("toy.stock"), seen.count("toy.item")) == (9, 5)


def test_a_snapshot_that_begins_again_evaluates_every_row_at_its_end(lane: Lane) -> None:
    """The aborted one evaluated stock with an item that has another code by now."""
    names = ["toy.item", *(name for name in tables() if name != "toy.item")]
    lane.log.snapshot(STOCK, names=names, complete=False)
    lane.feed()
    lane.runtime.run()
    lane.log.snapshot({**STOCK, "toy.item": [item_row(n, f"T{n}") for n in range(5)]}, names=names)
    assert {key[0] for key in lane.run().quantities()} == {f"T{n}" for n in range(5)}


def test_what_a_whole_lane_sends_for_the_first_time_is_all_it_knows_of_a_sku(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of what changes meanwhile, whether its turn has come or not."""
    monkeypatch.setattr(worklists, "RESTATE_NAMES", 1)
    lane = Lane(batch=3)
    stock = [stock_row(n, n % 9, "5", "W1" if n < 9 else "W2") for n in range(18)]
    lane.log.snapshot({"toy.item": [item_row(n, f"S{n}") for n in range(9)], "toy.stock": stock})
    lane.log.transaction(("u", "toy.stock", stock_row(8, 8, "6")))
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "6")))
    lane.log.transaction(("u", "toy.stock", stock_row(8, 8, "7")))
    lane.log.transaction(("d", "toy.stock", {"id": 0}))
    lane.log.transaction(("u", "toy.stock", stock_row(8, 8, "8")))
    received = lane.run()
    said = [message.progress for message in received.history if message.progress is not None]
    since = next(progress.restating_since for progress in said if progress.restating_since is not None)
    assert (said[-1].complete, said[-1].restating_since, said[-1].restated_since) == (True, None, since)
    first = list(takewhile(lambda m: m.progress is None or not m.progress.complete, received.history))
    told = {sku: [m for m in first if m.sku == sku] for sku in ("S0", "S8")}
    assert {len(m.balances) for each in told.values() for m in each} == {2}
    assert [min(b.postings for b in m.balances) for m in told["S0"]] == [1, 0], "sent, and deleted before the end"
    assert all(m.version >= since and m.item is not None for m in told["S8"])
    assert len(told["S8"]) >= 2, "changed before its turn"


def test_a_hold_is_said_in_front_of_what_it_is_about_while_a_lane_sends_for_the_first_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worklists, "RESTATE_NAMES", 1)
    lane = Lane(batch=3)
    lane.log.snapshot({"toy.demand": [demand_row(n, f"S{n}", "5") for n in range(9)]})
    for _ in range(5):
        lane.log.transaction(("u", "toy.demand", demand_row(8, "S8", "5")))
    lane.log.transaction(("t", "toy.demand", None))
    received = lane.run()
    holds = False
    for message in received.history:
        if message.progress is not None:
            holds = message.progress.restating_since is None
        assert holds or not any(b.postings == 0 for b in message.balances), "the demand that a TRUNCATE takes away"
    assert any(b.postings == 0 for m in received.history for b in m.balances)


def test_a_table_with_fewer_rows_in_the_log_than_scanned_is_not_believed(lane: Lane) -> None:
    lane.log.snapshot({"toy.demand": [demand_row(7, "A", "1")]}, counts={"toy.demand": 2})
    lane.run()
    assert progress_of(lane)[0] is False
    assert list(lane.exceptions()) == ["lane/toy/snapshot-incomplete/toy.demand"]


def test_a_repeated_snapshot_sweeps_what_it_did_not_bring(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(100)]
    lane.start({"toy.demand": rows})
    lane.log.snapshot({"toy.demand": rows[:97]})
    received = lane.run()
    assert len(received.quantities()) == 97
    assert lane.exceptions() == {}


def test_increases_wait_from_a_repeated_snapshot_until_the_log_has_passed_it(lane: Lane) -> None:
    """Counterexample 21: an older slot sends v1, v2, v3 after the snapshot of v3."""
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "3")]})
    older = lane.log.lsn
    lane.log.lsn += 10_000
    lane.log.snapshot({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "3")]})
    lane.log.lsn = older
    lane.run()
    assert progress_of(lane) == (True, True, False)
    for quantity in ("1", "2"):
        lane.log.transaction(("u", "toy.stock", stock_row(1, 1, quantity)))
        lane.run()
        assert progress_of(lane) == (True, True, False)
    lane.log.lsn += 10_000
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "3")))
    assert lane.run().quantities()[A_ON_HAND] == Decimal(3)
    assert progress_of(lane) == (True, False, False)


def test_increases_wait_while_an_older_slot_tells_again_what_a_first_snapshot_has(lane: Lane) -> None:
    older = lane.log.lsn
    lane.log.lsn += 10_000
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "3")]})
    assert progress_of(lane) == (True, False, False)
    newer, lane.log.lsn = lane.log.lsn, older
    for quantity in ("5", "2"):
        lane.log.transaction(("u", "toy.stock", stock_row(1, 1, quantity)))
        lane.run()
        assert progress_of(lane) == (True, True, False)
    lane.log.lsn = newer
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "3")))
    assert lane.run().quantities()[A_ON_HAND] == Decimal(3)
    assert progress_of(lane) == (True, False, False)
    lane.log.lsn += 1
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "9")))
    lane.run()
    assert progress_of(lane) == (True, False, False)


def test_a_large_sweep_waits_for_a_person(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(100)]
    lane.start({"toy.demand": rows})
    lane.log.snapshot({"toy.demand": rows[:90]})
    lane.log.transaction(("c", "toy.demand", demand_row(500, "A", "1")))
    assert len(lane.run().quantities()) == 101
    assert progress_of(lane) == (True, True, False)
    (identity,) = lane.exceptions()
    assert identity == "lane/toy/sweep-waits/toy.demand"
    lane.control(Action.RELEASE, identity)
    assert len(lane.run().quantities()) == 91
    assert progress_of(lane) == (True, False, False)


def test_an_aborted_snapshot_withdraws_nothing_and_asks_for_another(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(3)]
    lane.start({"toy.demand": rows})
    lane.log.snapshot({"toy.demand": rows[:1]}, complete=False)
    lane.log.notify("ABORTED")
    assert len(lane.run().quantities()) == 3
    assert progress_of(lane) == (True, True, True)
    assert list(lane.exceptions()) == ["lane/toy/snapshot-required/source"]
    lane.log.snapshot({"toy.demand": rows})
    lane.log.transaction(("u", "toy.demand", demand_row(0, "A", "5")))
    assert lane.run().quantities()[("A", "*", "demand", "SO-0")] == Decimal(5)
    assert progress_of(lane) == (True, False, False)
    assert not lane.exceptions()


def test_a_skipped_table_is_not_emptied_by_a_repeated_snapshot(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(3)]
    lane.start({"toy.demand": rows})
    lane.log.snapshot({}, names=[name for name in tables() if name != "toy.demand"])
    assert len(lane.run().quantities()) == 3
    assert progress_of(lane) == (True, True, False)
    assert list(lane.exceptions()) == ["lane/toy/snapshot-incomplete/toy.demand"]


def demands(lane: Lane) -> dict[str, Decimal]:
    """Quantity by number of the demand row."""
    return {str(key[3]).removeprefix("SO-"): value for key, value in lane.run().quantities().items()}


def test_rows_of_an_incremental_snapshot_are_changes_and_what_it_did_not_bring_is_gone(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(40)]
    lane.start({"toy.demand": rows})
    lane.log.begin_reading("toy.demand")
    lane.run()
    lane.log.transaction(("u", "toy.demand", demand_row(1, "A", "3")), ("c", "toy.demand", demand_row(50, "A", "9")))
    lane.log.read_again("toy.demand", [demand_row(number, "A", "4") for number in range(2, 39)] + rows[:1], scanned=40)
    expected = {str(number): Decimal(4) for number in range(2, 39)}
    assert demands(lane) == {"0": Decimal(1), "1": Decimal(3), "50": Decimal(9), **expected}
    assert progress_of(lane) == (True, False, False)


@pytest.mark.parametrize("scanned", [30, 39])
def test_an_incremental_snapshot_that_is_not_whole_in_the_log_sweeps_nothing(lane: Lane, scanned: int) -> None:
    rows = [demand_row(number, "A", "1") for number in range(40)]
    lane.start({"toy.demand": rows})
    lane.log.begin_reading("toy.demand")
    lane.log.read_again("toy.demand", rows[:38], scanned=scanned)
    assert len(demands(lane)) == 40


def test_an_incremental_snapshot_sweeps_no_row_that_waits_behind_poison(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(40)]
    lane.start({"toy.demand": rows})
    lane.runtime.feed(raw({"id": 39}), b"poison")
    lane.log.begin_reading("toy.demand")
    lane.log.read_again("toy.demand", rows)
    assert len(demands(lane)) == 40


def test_a_large_sweep_of_an_incremental_snapshot_waits_for_a_person(lane: Lane) -> None:
    rows = [demand_row(number, "A", "1") for number in range(40)]
    lane.start({"toy.demand": rows})
    lane.log.begin_reading("toy.demand")
    lane.log.read_again("toy.demand", rows[:30])
    assert len(demands(lane)) == 40
    (identity,) = lane.exceptions()
    assert identity == "lane/toy/sweep-waits/toy.demand"
    assert progress_of(lane) == (True, True, False)
    lane.log.begin_reading("toy.demand")
    lane.run()
    lane.control(Action.RELEASE, identity)
    assert len(demands(lane)) == 30, "a reading that has just begun does not empty the table"
    lane.log.read_again("toy.demand", rows[:30])
    assert len(demands(lane)) == 30
    assert progress_of(lane) == (True, False, False)


def test_a_log_that_does_not_begin_with_a_snapshot_asks_for_one(lane: Lane) -> None:
    """Counterexample 16, as far as the stage sees it: the beginning is gone."""
    lane.log.transaction(("c", "toy.demand", demand_row(1, "A", "1")))
    assert lane.run().quantities() == {}
    assert progress_of(lane)[0] is False
    assert list(lane.exceptions()) == ["lane/toy/snapshot-required/source"]
    lane.log.snapshot({"toy.demand": [demand_row(1, "A", "1")]})
    lane.run()
    assert progress_of(lane) == (True, False, False)
    assert lane.exceptions() == {}


def test_after_a_lost_state_receivers_withdraw_what_the_new_snapshot_does_not_have(lane: Lane) -> None:
    """Counterexample 17."""
    lane.start({"toy.demand": [demand_row(1, "A", "1"), demand_row(2, "A", "1")]})
    assert len(lane.received().quantities()) == 2
    lane.runtime.durable.changelog.clear()
    lane.runtime.durable.inputs.clear()
    lane.runtime.marker.epoch = 9
    sent = list(lane.runtime.durable.sent)
    fresh = Lane()
    fresh.runtime.durable.sent.extend(sent)
    fresh.runtime.marker.epoch = 50
    fresh.log.snapshot({"toy.demand": [demand_row(2, "A", "1")]})
    assert list(fresh.run().quantities()) == [("A", "*", "demand", "SO-2")]


def begun_anew(lane: Lane, replayed: int = -3) -> None:
    """A state that was lost has folded so many records of its log and holds."""
    lane.start({"toy.demand": [demand_row(1, "A", "1")]})
    lane.log.transaction(("u", "toy.demand", demand_row(1, "A", "3")))
    lane.run()
    lane.runtime.durable.changelog.clear()
    lane.runtime.restart()
    records, lane.runtime.durable.inputs = lane.runtime.durable.inputs, lane.runtime.durable.inputs[:replayed]
    lane.runtime.run()
    assert progress_of(lane) == (True, True, False), "the log's past is no promise"
    lane.runtime.durable.inputs = records


def test_a_state_that_begins_anew_holds_increases_until_history_is_in(lane: Lane) -> None:
    begun_anew(lane)
    lane.runtime.restart()
    assert progress_of(lane) == (True, True, False)
    lane.runtime.run()
    assert progress_of(lane) == (True, False, False)
    assert lane.received().quantities()[("A", "*", "demand", "SO-1")] == Decimal(3)


def test_a_hold_is_over_when_what_was_put_off_meanwhile_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from the past, B could be promised; the demand that it has now has left its unit for the list `q`."""
    monkeypatch.setattr(owed, "OWED_BYTES", 1)
    lane = Lane()
    lane.start({"toy.demand": [demand_row(1, "A", "1"), demand_row(2, "B", "1")]})
    lane.log.transaction(("u", "toy.demand", demand_row(1, "A", "9")), ("u", "toy.demand", demand_row(2, "B", "9")))
    lane.run()
    lane.runtime.durable.changelog.clear()
    lane.runtime.restart()
    inputs = lane.runtime.durable.inputs
    last = [inputs.pop() for _ in range(4)]
    assert progress_after_run(lane) == (True, True, False)
    heard = len(lane.received().history)
    inputs.extend(reversed(last))
    assert progress_after_run(lane) == (True, False, False)
    told = lane.received().history[heard:]
    over = next(n for n, m in enumerate(told) if m.progress is not None and not m.progress.holding)
    assert {m.sku for m in told[:over] if m.kind == "balances"} == {"A", "B"}


def progress_after_run(lane: Lane) -> tuple[bool, bool, bool]:
    lane.runtime.run()
    lane.runtime.tick()
    return progress_of(lane)


def test_a_state_that_begins_anew_from_a_log_that_ends_within_a_transaction_comes_to_its_end(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(1, "A", "1")]})
    lane.log.transaction(("u", "toy.demand", demand_row(1, "A", "3")))
    lane.log.transaction(("u", "toy.demand", demand_row(1, "A", "2")))
    lane.run()
    lane.runtime.durable.changelog.clear()
    del lane.runtime.durable.inputs[-1]
    lane.runtime.restart()
    whole, lane.runtime.durable.inputs = lane.runtime.durable.inputs, lane.runtime.durable.inputs[:-1]
    lane.runtime.run()
    lane.pass_time(10)
    assert progress_of(lane) == (True, True, False), "it has more, however long that takes to come"
    lane.runtime.durable.inputs = whole
    lane.runtime.run()
    assert progress_of(lane) == (True, False, False)
    assert lane.received().quantities()[("A", "*", "demand", "SO-1")] == Decimal(3)


@pytest.mark.parametrize("at_work", [False, True])
@pytest.mark.parametrize("step_s", [-0.001, -20.0, -7200.0, 20.0, 7200.0])
def test_a_clock_that_steps_does_not_end_the_hold_in_the_middle_of_history(
    lane: Lane, step_s: float, at_work: bool
) -> None:
    begun_anew(lane)
    records, lane.runtime.durable.inputs = lane.runtime.durable.inputs, lane.runtime.durable.inputs[:-2]
    lane.runtime.now_us += int(step_s * 1_000_000)
    if at_work:
        lane.runtime.run()
    else:
        lane.runtime.tick(0)
    for _ in range(2):
        lane.runtime.tick(1)
    assert progress_of(lane) == (True, True, False), "the log has more"
    lane.runtime.durable.inputs = records
    lane.runtime.run()
    assert progress_of(lane) == (True, False, False)


def test_a_state_of_a_release_that_went_by_instants_holds_until_what_the_log_has_now_is_in(lane: Lane) -> None:
    begun_anew(lane)
    changes, marker = lane.runtime.durable.changelog[-1]
    memo = load_memo(marker.memo or b"")
    memo.history_until_us, memo.history_until = 1_764_000_000_000_000, 0
    lane.runtime.durable.changelog[-1] = changes, replace(marker, memo=dump_memo(memo))
    lane.runtime.restart()
    lane.runtime.tick(1)
    assert progress_of(lane) == (True, True, False)
    lane.runtime.run()
    assert progress_of(lane) == (True, False, False)


def test_complete_is_not_taken_back_by_a_restart(lane: Lane) -> None:
    """Counterexample 27."""
    lane.start({"toy.demand": [demand_row(1, "A", "1")]})
    before = len(lane.received().history)
    lane.runtime.restart()
    lane.run()
    assert all(m.progress.complete for m in lane.received().history[before:] if m.progress)


def test_a_lookup_that_changes_behind_the_beginning_of_a_reading_is_seen_by_rows_before_it(lane: Lane) -> None:
    """The beginning settles what stands before it in the unit; those rows rest on lookups like all others."""
    lane.start({"toy.item": [item_row(1, "A")]})
    lane.log.transaction(("c", "toy.stock", stock_row(1, 1, "5")))
    lane.log.begin_reading("toy.demand")
    lane.log.transaction(("u", "toy.item", item_row(1, "B")))
    assert lane.run().quantities() == {("B", "W1", "on_hand", None): Decimal(5)}
