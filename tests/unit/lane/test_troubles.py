"""Records that cannot be read, mappings that change, positions that begin anew."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from schemas.errors import Fatal
from streams.core.lane.stage import LaneLimits, LaneStage
from streams.core.log.control import Action
from streams.core.mapping.model import Posting
from tests.unit.lane.conftest import Lane, demand_row, encode, item_row, progress_of, stock_row
from tests.unit.lane.toy import Log, ToyMapping, tables

A_ON_HAND = ("A", "W1", "on_hand", None)
DEMAND_7 = ("A", "*", "demand", "SO-7")


# -- resends and position spaces


def test_a_resent_stretch_changes_nothing_even_with_end_of_another_transaction(lane: Lane) -> None:
    """Counterexample 1: `BEGIN U, u1 | t3', t4', END T (resent), BEGIN U, u1', u2, END U`."""
    lane.start()
    mark = len(lane.log.records)
    lane.log.transaction(*(("c", "toy.demand", demand_row(number, "A", "1")) for number in range(4)))
    t_records = lane.log.records[mark:]
    lane.run()
    mark = len(lane.log.records)
    lane.log.transaction(("u", "toy.demand", demand_row(0, "A", "5")), ("u", "toy.demand", demand_row(1, "A", "6")))
    u_records = lane.log.records[mark:]
    lane.log.records[mark:] = [*u_records[:2], *t_records[3:], *u_records[:2]]
    before = lane.run().quantities()
    assert before["A", "*", "demand", "SO-0"] == Decimal(1), "half of U is not shown"
    lane.log.records.extend(u_records[2:])
    after = lane.run().quantities()
    assert after["A", "*", "demand", "SO-0"] == Decimal(5)
    assert after["A", "*", "demand", "SO-1"] == Decimal(6)


def test_a_resend_of_whole_older_transactions_inside_an_open_one_does_not_close_it(lane: Lane) -> None:
    lane.start()
    mark = len(lane.log.records)
    lane.log.transaction(("c", "toy.demand", demand_row(1, "A", "1")))
    lane.log.transaction(("c", "toy.demand", demand_row(2, "A", "1")))
    older = lane.log.records[mark:]
    mark = len(lane.log.records)
    lane.log.transaction(("u", "toy.demand", demand_row(1, "A", "5")), ("u", "toy.demand", demand_row(2, "A", "6")))
    u_records = lane.log.records[mark:]
    lane.log.records[mark:] = [*u_records[:2], *older, *u_records[:2]]
    assert lane.run().quantities()["A", "*", "demand", "SO-1"] == Decimal(1)
    lane.log.records.extend(u_records[2:])
    assert lane.run().quantities()["A", "*", "demand", "SO-1"] == Decimal(5)


def test_positions_that_begin_anew_are_not_taken_for_resends(lane: Lane) -> None:
    """Counterexample 3: a restored server; its positions are low and its commits are new."""
    lane.start()
    lane.log.transaction(("c", "toy.demand", demand_row(7, "A", "1")))
    lane.run()
    restored = Log(start=10)
    restored.transactions = 900
    restored.transaction(("u", "toy.demand", demand_row(7, "A", "9")))
    for key, value in restored.records:
        lane.log.records.append((key, value.replace(b'"ts_us": 179547200', b'"ts_us": 179547900')))
    assert lane.run().quantities()[DEMAND_7] == Decimal(9)
    assert progress_of(lane) == (True, True, True)
    assert list(lane.exceptions()) == ["lane/toy/position-space-changed/source"]


# -- what cannot be processed


def test_poison_bytes_become_an_exception_and_their_key_waits_in_order(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(7, "A", "1"), demand_row(8, "A", "1")]})
    lane.log.records.append((b'{"id": 7}', b"\xff\x00 not JSON"))
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "5")), ("u", "toy.demand", demand_row(8, "A", "6")))
    received = lane.run()
    assert received.quantities()[DEMAND_7] == Decimal(1), "its key waits behind it"
    assert received.quantities()["A", "*", "demand", "SO-8"] == Decimal(6), "others go on"
    assert received.uncertain["A"] is True
    (identity,) = lane.exceptions()
    record = lane.exceptions()[identity]
    assert (record.code, record.topic, record.partition) == ("poison-record", "cdc.toy", 0)
    assert record.raw == b"\xff\x00 not JSON"
    assert record.offset is not None
    lane.control(Action.RETRY, identity)
    assert lane.run().quantities()[DEMAND_7] == Decimal(1)
    lane.runtime.restart()
    lane.control(Action.CLOSE, identity)
    received = lane.run()
    assert received.quantities()[DEMAND_7] == Decimal(5)
    assert received.uncertain["A"] is False
    assert lane.exceptions() == {}
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "6")))
    assert lane.run().quantities()[DEMAND_7] == Decimal(6)


def test_what_waits_behind_poison_bytes_does_not_outlive_a_truncate(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(7, "A", "1"), demand_row(8, "A", "1")]})
    lane.log.records.append((b'{"id": 7}', b"\xff\x00 not JSON"))
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "5")), ("u", "toy.item", item_row(7, "B")))
    lane.log.transaction(("t", "toy.demand", None), ("c", "toy.demand", demand_row(8, "A", "2")))
    lane.run()
    (identity,) = [name for name in lane.exceptions() if "poison" in name]
    lane.control(Action.CLOSE, identity)
    received = lane.run()
    assert received.quantities() == {("A", "*", "demand", "SO-8"): Decimal(2)}
    assert "B" in received.items, "of other tables it is taken up"


def test_poison_of_which_nobody_knows_the_row_makes_the_source_uncertain(lane: Lane) -> None:
    lane.start()
    lane.log.records.append((None, b"{"))
    lane.run()
    assert progress_of(lane) == (True, False, True)
    (identity,) = lane.exceptions()
    lane.control(Action.CLOSE, identity)
    lane.run()
    assert progress_of(lane) == (True, False, False)


@pytest.mark.parametrize("bad", [demand_row(7, "A", "NAN"), demand_row(7, None, "3"), demand_row(7, "A", "x")])
def test_an_unmappable_row_keeps_what_it_said_and_its_sku_is_uncertain(lane: Lane, bad: dict[str, object]) -> None:
    lane.start({"toy.demand": [demand_row(7, "A", "2"), demand_row(8, "A", "1")]})
    lane.log.transaction(("u", "toy.demand", bad), ("u", "toy.demand", demand_row(8, "A", "3")))
    received = lane.run()
    assert received.quantities() == {DEMAND_7: Decimal(2), ("A", "*", "demand", "SO-8"): Decimal(3)}
    assert received.uncertain["A"] is True
    (record,) = lane.exceptions().values()
    assert (record.code, record.subject) == ("row-unmappable", "toy.demand [7]")
    assert (record.topic, record.partition) == ("cdc.toy", 0)
    assert record.offset is not None
    assert record.raw is not None
    assert json.loads(record.raw)["after"] == bad
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "4")))
    received = lane.run()
    assert received.quantities()[DEMAND_7] == Decimal(4)
    assert received.uncertain["A"] is False
    assert lane.exceptions() == {}


def test_an_unmappable_row_of_an_unknown_sku_makes_the_source_uncertain(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(("c", "toy.demand", demand_row(7, None, "2")))
    lane.run()
    assert progress_of(lane) == (True, False, True)
    lane.log.transaction(("d", "toy.demand", {"id": 7}))
    lane.run()
    assert progress_of(lane) == (True, False, False)
    assert lane.exceptions() == {}


def test_closing_an_unmappable_row_takes_the_last_image_as_certain(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(7, "A", "2")]})
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "NAN")))
    lane.run()
    (identity,) = lane.exceptions()
    lane.control(Action.RETRY, identity)
    lane.run()
    assert [record.count for record in lane.exceptions().values()] == [2]
    lane.control(Action.CLOSE, identity)
    received = lane.run()
    assert received.uncertain["A"] is False
    assert received.quantities()[DEMAND_7] == Decimal(2)
    assert lane.exceptions() == {}


def test_an_absent_column_parks_its_table_and_nothing_else(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.demand": [demand_row(7, "A", "2")]})
    lane.log.transaction(
        ("u", "toy.demand", {"id": 7, "item_code": "A", "factor": None}), ("c", "toy.stock", stock_row(1, 1, "5"))
    )
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "3")))
    received = lane.run()
    assert received.quantities() == {DEMAND_7: Decimal(2), A_ON_HAND: Decimal(5)}
    assert progress_of(lane) == (True, False, True), "uncertain; increases of everything else go on"
    (identity,) = lane.exceptions()
    assert identity == "lane/toy/column-absent/toy.demand"
    lane.control(Action.RETRY, identity)
    assert lane.run().quantities()[DEMAND_7] == Decimal(2)
    lane.control(Action.CLOSE, identity)
    assert lane.run().quantities()[DEMAND_7] == Decimal(3)
    assert progress_of(lane) == (True, False, False)
    assert lane.exceptions() == {}


OTHERS = [demand_row(number, "C", "1") for number in range(100, 130)]


def absent_column(lane: Lane) -> None:
    """Row 7 changes, and row 8 goes, while a needed column is not there."""
    lane.start({"toy.demand": [demand_row(7, "A", "2"), demand_row(8, "B", "1"), *OTHERS]})
    lane.log.transaction(("u", "toy.demand", {"id": 7, "item_code": "A", "factor": None}))
    lane.log.transaction(("d", "toy.demand", {"id": 8}))
    lane.run()
    assert progress_of(lane) == (True, False, True)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_snapshot_supersedes_what_waits_behind_an_absent_column(lane: Lane, restarted: bool) -> None:
    absent_column(lane)
    lane.log.snapshot({"toy.demand": [demand_row(7, "A", "5"), *OTHERS]}, complete=False)
    lane.run()
    assert progress_of(lane)[2], "uncertain until the snapshot is in"
    if restarted:
        lane.runtime.restart()
    lane.log.notify("COMPLETED")
    lane.log.transaction(("c", "toy.demand", demand_row(9, "A", "1")))
    received = lane.run()
    found = received.quantities()
    assert (found[DEMAND_7], found["A", "*", "demand", "SO-9"]) == (Decimal(5), Decimal(1))
    assert len(found) == 2 + len(OTHERS), "8 is gone"
    assert lane.exceptions() == {}
    assert progress_of(lane) == (True, False, False)
    assert not [key for key in lane.runtime.state() if key.startswith(b"w")]


def test_a_snapshot_that_still_lacks_the_column_leaves_its_table_parked(lane: Lane) -> None:
    absent_column(lane)
    lane.log.snapshot({"toy.demand": [{"id": 7, "item_code": "A", "factor": None}, *OTHERS]})
    assert lane.run().quantities()[DEMAND_7] == Decimal(2)
    assert progress_of(lane) == (True, True, True)
    assert {record.code for record in lane.exceptions().values()} == {"column-absent", "snapshot-incomplete"}
    lane.log.snapshot({"toy.demand": [demand_row(7, "A", "6"), *OTHERS]})
    lane.log.transaction(("c", "toy.item", item_row(1, "A")))
    assert lane.run().quantities()[DEMAND_7] == Decimal(6)
    assert lane.exceptions() == {}
    assert progress_of(lane) == (True, False, False)


def test_a_snapshot_reads_a_row_that_waits_behind_poison_anew(lane: Lane) -> None:
    """Not superseded, the row would wait in the snapshot too, count as not brought and be withdrawn."""
    lane.start({"toy.demand": [demand_row(7, "A", "2")]})
    lane.log.write({"id": 7}, ["poison"])
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "3")))
    assert lane.run().quantities()[DEMAND_7] == Decimal(2)
    lane.log.snapshot({"toy.demand": [demand_row(7, "A", "4")]})
    lane.log.transaction(("c", "toy.item", item_row(1, "A")))
    received = lane.run()
    assert received.quantities()[DEMAND_7] == Decimal(4)
    assert received.uncertain["A"] is False
    assert lane.exceptions() == {}


def test_an_unmapped_status_is_an_exception_and_no_guess(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(("c", "toy.orders", {"id": 1, "status": "77"}))
    received = lane.run()
    assert received.parts["SO-1", "header", "SO-1"][1].attributes == {}
    assert received.parts["SO-1", "header", "SO-1"][1].raw_statuses == {"execution_status": "77"}
    assert list(lane.exceptions()) == ["lane/toy/status-unmapped/header execution_status 77"]


def test_an_unmapped_status_closes_with_the_last_row_that_has_it(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(*(("c", "toy.orders", {"id": number, "status": "77"}) for number in (1, 2, 3)))
    lane.run()
    lane.log.transaction(("u", "toy.orders", {"id": 1, "status": "77"}), ("u", "toy.orders", {"id": 2, "status": "20"}))
    lane.log.transaction(("d", "toy.orders", {"id": 3}))
    lane.run()
    lane.runtime.restart()
    assert list(lane.exceptions()) == ["lane/toy/status-unmapped/header execution_status 77"]
    lane.log.transaction(("u", "toy.orders", {"id": 1, "status": "20"}))
    lane.run()
    assert lane.exceptions() == {}
    assert not [key for key in lane.runtime.state() if key.startswith(b"n")]


def test_two_lookup_rows_on_one_key_are_never_picked_from() -> None:
    made = tables()
    item = made["toy.item"]
    item.lookup_keys = lambda row: ((0, (1,)),)  # type: ignore[method-assign]
    lane = Lane(ToyMapping(made))
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]})
    lane.log.transaction(("c", "toy.item", item_row(2, "B")))
    assert lane.run().quantities() == {A_ON_HAND: Decimal(5)}
    assert [record.code for record in lane.exceptions().values()] == ["lookup-ambiguous"]
    lane.log.transaction(("d", "toy.item", {"id": 1}))
    assert lane.run().quantities() == {("B", "W1", "on_hand", None): Decimal(5)}
    assert lane.exceptions() == {}


def test_rows_that_wait_for_a_lookup_become_an_exception_after_a_while(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(("c", "toy.stock", stock_row(1, 1, "5")))
    lane.run()
    assert lane.exceptions() == {}
    lane.runtime.tick(61)
    assert list(lane.exceptions()) == ["lane/toy/lookup-missing/source"]
    lane.log.transaction(("c", "toy.item", item_row(1, "A")))
    lane.run()
    assert lane.exceptions() == {}


def test_when_most_of_what_arrives_is_bad_the_lane_stops(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(*(("c", "toy.demand", demand_row(number, None, "1")) for number in range(120)))
    with pytest.raises(Fatal, match=r"120 of the last 12\d rows"):
        lane.run()
    assert not lane.runtime.durable.changelog[-1][0], "nothing of it was settled"


def test_few_bad_rows_among_many_do_not_stop_it(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(number, "A", "1") for number in range(1000)]})
    lane.log.transaction(*(("u", "toy.demand", demand_row(number, None, "1")) for number in range(90)))
    lane.run()
    assert len(lane.exceptions()) == 90


# -- another mapping


def test_a_changed_mapping_waits_for_its_switch_in_the_log(lane: Lane) -> None:
    """Counterexample 14."""
    lane.start({"toy.demand": [demand_row(7, "A", "2")]})
    doubled = tables()
    made = doubled["toy.demand"]
    before = made._evaluate
    assert before is not None
    made._evaluate = lambda t, row, lookups, rests, missing: [
        output._replace(quantity=output.quantity * 2)
        for output in before(t, row, lookups, rests, missing)
        if isinstance(output, Posting)
    ]
    lane.mapping = ToyMapping(doubled, b"\2" * 32)
    lane.runtime.restart()
    lane.log.transaction(("c", "toy.demand", demand_row(8, "A", "1")))
    assert lane.run().quantities() == {DEMAND_7: Decimal(2)}, "no new row under the new mapping"
    assert lane.runtime.marker.fingerprint == b"\1" * 32, "the marker says what made the state"
    assert list(lane.exceptions()) == ["lane/toy/mapping-not-applied/source"]
    lane.control(Action.MAPPING, fingerprint=(b"\2" * 32).hex())
    assert lane.run().quantities() == {DEMAND_7: Decimal(4), ("A", "*", "demand", "SO-8"): Decimal(2)}
    assert progress_of(lane) == (True, False, False)
    assert not lane.exceptions()
    lane.runtime.restart()
    lane.log.transaction(("u", "toy.demand", demand_row(7, "A", "3")))
    assert lane.run().quantities()[DEMAND_7] == Decimal(6)


def test_a_process_without_the_mapping_the_log_switches_to_stops_to_be_started_again(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(7, "A", "2")]})
    lane.control(Action.MAPPING, fingerprint=(b"\2" * 32).hex())
    with pytest.raises(Fatal, match="started again"):
        lane.run()


def test_a_mapping_that_needs_new_columns_waits_for_a_snapshot(lane: Lane) -> None:
    rows = {"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]}
    lane.start(rows)
    wide = ("id", "item", "location", "quantity", "note", "bin")
    made = tables(stock_columns=wide)
    narrow = made["toy.stock"]._evaluate
    assert narrow is not None
    made["toy.stock"]._evaluate = lambda t, row, lookups, rests, missing: narrow(
        t, type(row)(row.values[:5]), lookups, rests, missing
    )
    lane.mapping = ToyMapping(made, b"\2" * 32)
    lane.runtime.restart()
    lane.control(Action.MAPPING, fingerprint=(b"\2" * 32).hex())
    assert lane.run().quantities() == {A_ON_HAND: Decimal(5)}, "what was said stands"
    assert progress_of(lane) == (True, True, True)
    assert list(lane.exceptions()) == ["lane/toy/snapshot-required/source"]
    lane.log.snapshot({**rows, "toy.stock": [{**stock_row(1, 1, "6"), "bin": "B1"}]})
    lane.log.transaction(("c", "toy.demand", demand_row(7, "A", "1")))
    assert lane.run().quantities() == {A_ON_HAND: Decimal(6), DEMAND_7: Decimal(1)}
    assert progress_of(lane) == (True, False, False)


@pytest.mark.parametrize("action", [Action.CLOSE, Action.RELEASE])
def test_what_a_lost_state_opened_can_be_closed(lane: Lane, action: Action) -> None:
    lane.log.transaction(("c", "toy.demand", demand_row(7, "A", "2")))
    lane.run()
    (identity,) = lane.exceptions()
    lane.runtime.durable.changelog.clear()
    lane.runtime.restart()
    lane.log.records.clear()
    lane.runtime.durable.inputs.clear()
    lane.fed = 0
    lane.start()
    assert list(lane.exceptions()) == [identity], "nobody who knows it is left"
    lane.control(action, identity)
    lane.control(action, "lane/other/poison-record/x")
    lane.run()
    lane.runtime.tick()
    assert not lane.exceptions()
    assert not [key for key in lane.runtime.state() if key.startswith(b"x")]


def test_restate_sends_everything_again(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.demand": [demand_row(n, f"S{n}", "1") for n in range(1200)]})
    before = lane.received()
    assert before.progress is not None
    since = before.progress.restated_since
    count = len(before.history)
    lane.control(Action.RESTATE)
    received = lane.run()
    assert received.progress is not None
    assert since is not None
    assert received.progress.restated_since is not None
    assert received.progress.restated_since > since
    stated = [m.progress for m in received.history[count:] if m.progress is not None]
    first = next(n for n, m in enumerate(received.history[count:]) if m.kind == "balances")
    assert [m.progress.holding for m in received.history[count : count + first] if m.progress][-1:] == [True], (
        "what goes by other names under a new mapping stands twice until the old is withdrawn"
    )
    assert not stated[-1].holding
    assert {m.sku for m in received.history[count:] if m.kind == "balances"} == {"A", *(f"S{n}" for n in range(1200))}
    assert received.quantities() == before.quantities()


def test_an_unreadable_control_record_is_an_exception(lane: Lane) -> None:
    lane.start()
    lane.log.records.append((b'{"onhand":"control"}', b'{"action":"dance"}'))
    lane.run()
    assert [record.code for record in lane.exceptions().values()] == ["control-unreadable"]


def test_a_source_log_has_one_partition() -> None:
    with pytest.raises(Fatal, match="one partition"):
        LaneStage("toy", ToyMapping(), encode).open(Lane().runtime.view, 1, None, None, 0, 0)


def test_a_sku_with_very_many_balances_leaves_in_parts_of_one_version() -> None:
    """Counterexample 26."""
    lane = Lane(limits=LaneLimits(), batch=5000)
    lane.start({"toy.demand": [demand_row(number, "A" * 200, "1") for number in range(9000)]})
    messages = [m for m in lane.received().history if m.kind == "balances"]
    assert len({m.version for m in messages}) == 1
    assert [(m.part, m.parts) for m in messages] == [(n + 1, len(messages)) for n in range(len(messages))]
    assert len(messages) > 1
    assert sum(len(m.balances) for m in messages) == 9000


def test_health_says_what_the_lane_waits_for(lane: Lane) -> None:
    def waits_for() -> str:
        lane.run()
        stage = lane.runtime.stage
        assert isinstance(stage, LaneStage)
        return str(stage.health()["waits_for"])

    assert waits_for().startswith("its first snapshot: `onhand source apply toy`")
    rows = [demand_row(number, "A", "1") for number in range(3)]
    lane.log.snapshot({"toy.demand": rows}, complete=False)
    assert waits_for() == "the end of its first snapshot"
    lane.log.snapshot({"toy.demand": rows})
    assert waits_for() == ""
    lane.log.snapshot({"toy.demand": rows[:1]})
    assert waits_for().startswith("a person's decision about a snapshot")
    lane.mapping = ToyMapping(tables(), b"\2" * 32)
    lane.runtime.restart()
    assert waits_for() == "its mapping's switch in the log: `onhand source apply toy`"


def test_health_of_a_lane_that_stands_by(lane: Lane) -> None:
    """It has no partition, so no state and no mapping in force."""
    answer = LaneStage("toy", lane.mapping, lambda topic, record: b"", None).health()
    assert answer["complete"] is False
