"""What leaves a lane: whole transactions, snapshots, lookups, truncation, and what waits."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from schemas.messages import LaneProgress, OrderPartMessage
from streams.core.lane import render
from streams.core.lane.render import LOCATION_TOPIC, PROGRESS_TOPIC
from streams.core.lane.stage import LaneLimits
from streams.core.log.position import reached
from streams.core.mapping.model import OrderRow
from streams.core.unit import ALL_PARTITIONS
from tests.unit.lane.conftest import Lane, demand_row, item_row, progress_of, stock_row
from tests.unit.lane.toy import Row, ToyMapping, ToyTable, tables

A_ON_HAND = ("A", "W1", "on_hand", None)


def test_nothing_leaves_before_the_first_snapshot_is_in(lane: Lane) -> None:
    lane.log.snapshot({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]}, complete=False)
    received = lane.run()
    assert received.quantities() == {}
    assert received.progress is not None
    assert not received.progress.complete
    assert received.progress.holding
    lane.log.notify("COMPLETED")
    received = lane.run()
    assert received.quantities() == {A_ON_HAND: Decimal(5)}
    assert received.items["A"] is not None
    assert received.progress is not None
    assert received.progress.complete
    assert not received.progress.holding
    assert received.progress.restated_since is not None


def test_progress_stands_behind_what_it_covers(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]})
    complete = [m.progress.complete for m in lane.received().history if m.progress]
    first = complete.index(True)
    kinds = [("p", m.progress.complete) if m.progress else ("b", True) for m in lane.received().history]
    assert ("b", True) in kinds[: kinds.index(("p", True))]
    assert all(complete[first:])


def test_an_idle_lane_states_progress_and_a_heartbeats_row_moves_it(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]})

    def stated() -> list[LaneProgress]:
        return [m.progress for m in lane.received().history if m.progress is not None]

    before = stated()
    lane.runtime.tick(1)
    lane.runtime.tick(1)
    assert len(stated()) >= len(before) + 2, "once a second, with nothing to do"
    assert stated()[-1] == before[-1], "and it says that nothing came"
    lane.log.heartbeat()
    lane.log.transaction(("u", "toy.onhand_heartbeat", {"id": 1}))
    lane.run()
    after = stated()[-1]
    assert after.input_offset == before[-1].input_offset + 4
    assert reached(after.source_position, f"lsn:{lane.log.commit}")
    assert (after.source_time_us or 0) > (before[-1].source_time_us or 0)
    partitions = {output.partition for output, _ in lane.runtime.durable.sent if output.key == b"~toy"}
    assert partitions == {ALL_PARTITIONS}


def test_one_transaction_leaves_in_one_message(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]})
    before = len(lane.received().history)
    lane.log.transaction(
        ("u", "toy.stock", stock_row(1, 1, "3")),
        ("c", "toy.demand", demand_row(7, "A", "2")),
        ("c", "toy.stock", stock_row(2, 1, "4", "W2")),
    )
    received = lane.run()
    changes = [m for m in received.history[before:] if m.kind == "balances"]
    assert len(changes) == 1
    assert {(b.location, b.bucket.value, b.quantity) for b in changes[0].balances} == {
        ("W1", "on_hand", Decimal(3)),
        ("W2", "on_hand", Decimal(4)),
        ("*", "demand", Decimal(2)),
    }
    assert changes[0].stamps.committed_us is not None
    assert changes[0].stamps.captured_us is not None


def test_a_zero_sum_is_said_once_and_forgotten(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(("c", "toy.demand", demand_row(7, "A", "2")))
    lane.run()
    lane.log.transaction(("d", "toy.demand", {"id": 7}))
    before = len(lane.received().history)
    received = lane.run()
    said = [b for m in received.history[before:] for b in m.balances]
    assert [(b.quantity, b.postings) for b in said] == [(Decimal(0), 0)]
    assert not [key for key in lane.runtime.state() if key.startswith(b"s")]


def test_sums_are_exact_beyond_the_default_context(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")]})
    big = "12345678901234567890123456789.123456789"
    lane.log.transaction(("c", "toy.stock", stock_row(1, 1, big)), ("c", "toy.stock", stock_row(2, 1, "0.000000001")))
    assert lane.run().quantities()[A_ON_HAND] == Decimal("12345678901234567890123456789.123456790")


def test_an_open_transaction_waits_for_its_end(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5")]})
    identity = lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "1")), end=False)
    lane.log.heartbeat()
    assert lane.run().quantities()[A_ON_HAND] == Decimal(5)
    lane.log.end(identity)
    assert lane.run().quantities()[A_ON_HAND] == Decimal(1)


def test_a_large_transaction_settles_in_parts_and_leaves_at_its_end() -> None:
    lane = Lane(limits=LaneLimits(transaction_rows=10), batch=7)
    lane.start({"toy.item": [item_row(1, "A")]})
    rows = [("c", "toy.stock", stock_row(number, 1, "1")) for number in range(35)]
    identity = lane.log.transaction(*rows, end=False)
    assert A_ON_HAND not in lane.run().quantities()
    offsets = len([k for k in lane.runtime.state() if k.startswith(b"rtoy.stock")])
    assert offsets > 10, "the beginning is settled already"
    progress = lane.received().progress
    lane.runtime.restart()
    lane.log.end(identity)
    before = len(lane.received().history)
    received = lane.run()
    said = [m for m in received.history[before:] if m.kind == "balances"]
    assert [b.quantity for m in said for b in m.balances] == [Decimal(35)]
    assert progress is not None
    assert received.progress is not None
    assert progress.source_position < received.progress.source_position


def test_a_transaction_of_many_bytes_settles_in_parts() -> None:
    lane = Lane(limits=LaneLimits(transaction_bytes=5000), batch=7)
    lane.start({"toy.item": [item_row(1, "A")]})
    rows = [("c", "toy.stock", stock_row(number, 1, "1", note="n" * 400)) for number in range(20)]
    identity = lane.log.transaction(*rows, end=False)
    assert A_ON_HAND not in lane.run().quantities()
    assert len([k for k in lane.runtime.state() if k.startswith(b"rtoy.stock")]) > 5, "the beginning is settled"
    lane.log.end(identity)
    assert lane.run().quantities()[A_ON_HAND] == Decimal(20)


def test_key_change_is_a_withdrawal_and_an_assertion(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A"), item_row(2, "B")], "toy.stock": [stock_row(1, 1, "5")]})
    lane.log.transaction(("d", "toy.stock", {"id": 1}), ("c", "toy.stock", stock_row(9, 2, "5")))
    assert lane.run().quantities() == {("B", "W1", "on_hand", None): Decimal(5)}


def test_unchanged_toast_keeps_the_previous_value(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "5", note="long")]})
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "6", note="__debezium_unavailable_value")))
    assert lane.run().quantities()[A_ON_HAND] == Decimal(6)
    (stored,) = [v for k, v in lane.runtime.state().items() if k.startswith(b"rtoy.stock")]
    assert b"long" in stored


def test_toast_without_a_previous_row_is_parked_and_healed_by_a_whole_image(lane: Lane) -> None:
    lane.start({"toy.item": [item_row(1, "A")]})
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "6", note="__debezium_unavailable_value")))
    assert lane.run().quantities() == {}
    assert [record.code for record in lane.exceptions().values()] == ["toast-without-previous"]
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "7")))
    assert lane.run().quantities()[A_ON_HAND] == Decimal(7)
    assert lane.exceptions() == {}


def test_inner_lookup_missing_waits_left_lookup_does_not(lane: Lane) -> None:
    lane.start()
    lane.log.transaction(
        ("c", "toy.stock", stock_row(1, 1, "5")), ("c", "toy.demand", demand_row(7, "A", "2", factor=4))
    )
    received = lane.run()
    assert received.quantities() == {("A", "*", "demand", "SO-7"): Decimal(2)}
    lane.log.transaction(
        ("c", "toy.item", item_row(1, "A")), ("c", "toy.factor", {"id": 4, "value": "12", "parent": None})
    )
    assert lane.run().quantities() == {("A", "*", "demand", "SO-7"): Decimal(24), A_ON_HAND: Decimal(5)}


def test_a_lookup_that_changes_or_goes_reaches_its_dependents_through_chains(lane: Lane) -> None:
    lane.start(
        {
            "toy.factor": [{"id": 1, "value": "2", "parent": 2}, {"id": 2, "value": "3", "parent": None}],
            "toy.demand": [demand_row(7, "A", "1", factor=1)],
        }
    )
    key = ("A", "*", "demand", "SO-7")
    assert lane.received().quantities()[key] == Decimal(6)
    lane.log.transaction(("u", "toy.factor", {"id": 2, "value": "5", "parent": None}))
    assert lane.run().quantities()[key] == Decimal(10)
    lane.log.transaction(("d", "toy.factor", {"id": 2}))
    assert lane.run().quantities()[key] == Decimal(2)
    lane.log.transaction(("u", "toy.factor", {"id": 1, "value": "7", "parent": 9}))
    assert lane.run().quantities()[key] == Decimal(7)
    lane.log.transaction(("c", "toy.factor", {"id": 9, "value": "11", "parent": None}))
    assert lane.run().quantities()[key] == Decimal(77)


def test_a_lookup_with_many_dependents_reasserts_in_slices(lane: Lane) -> None:
    rows = [stock_row(number, 1, "1") for number in range(2500)]
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": rows})
    lane.log.transaction(("u", "toy.item", item_row(1, "B")))
    lane.feed()
    units = len(lane.runtime.durable.changelog)
    received = lane.run()
    assert len(lane.runtime.durable.changelog) - units >= 3
    assert received.quantities() == {("B", "W1", "on_hand", None): Decimal(2500)}
    assert received.items["A"] is None


def test_truncate_withdraws_and_increases_wait_for_the_reload(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(number, "A", "1") for number in range(3)]})
    lane.log.transaction(("t", "toy.demand", None))
    received = lane.run()
    assert received.quantities() == {}
    assert received.progress is not None
    assert received.progress.holding
    lane.log.transaction(*(("c", "toy.demand", demand_row(number, "A", "1")) for number in range(3)))
    received = lane.run()
    assert received.progress is not None
    assert not received.progress.holding


def test_truncate_without_reload_holds_for_the_time_limit(lane: Lane) -> None:
    lane.start({"toy.demand": [demand_row(1, "A", "1")]})
    lane.log.transaction(("t", "toy.demand", None))
    lane.run()
    lane.pass_time(250)
    progress = lane.received().progress
    assert progress is not None
    assert progress.holding
    lane.pass_time(60)
    progress = lane.received().progress
    assert progress is not None
    assert not progress.holding


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_step_of_the_clock_neither_ends_the_hold_of_a_truncate_nor_stretches_it(lane: Lane, step_s: int) -> None:
    lane.start({"toy.demand": [demand_row(1, "A", "1")]})
    lane.log.transaction(("t", "toy.demand", None))
    lane.run()
    lane.runtime.tick(step_s)
    lane.runtime.now_us += step_s * 1_000_000
    lane.runtime.restart()
    assert progress_of(lane)[1], "a step of the clock brings no rows back"
    lane.pass_time(296)
    assert progress_of(lane)[1]
    lane.pass_time(4)
    assert not progress_of(lane)[1]


def test_rows_that_wait_are_told_in_time_after_a_clock_was_set_back(lane: Lane) -> None:
    lane.start({"toy.stock": [stock_row(1, 1, "5")]})
    lane.runtime.tick(-86_400)
    lane.runtime.tick(59)
    assert not lane.exceptions()
    lane.runtime.tick(1)
    assert list(lane.exceptions()) == ["lane/toy/lookup-missing/source"]


def test_a_large_truncate_and_reload_never_shows_both(lane: Lane) -> None:
    rows = [stock_row(number, 1, "1") for number in range(2500)]
    lane.start({"toy.item": [item_row(1, "A")], "toy.stock": rows})
    lane.log.transaction(("t", "toy.stock", None), ("c", "toy.stock", stock_row(1, 1, "2500")))
    before = len(lane.received().history)
    received = lane.run()
    said = {b.quantity for m in received.history[before:] for b in m.balances}
    assert received.quantities()[A_ON_HAND] == Decimal(2500)
    assert max(said, default=Decimal(0)) <= Decimal(2500)
    assert len([k for k in lane.runtime.state() if k.startswith(b"rtoy.stock")]) == 1


def test_a_deleted_order_says_what_that_means_and_a_changed_status_is_told(lane: Lane) -> None:
    lane.start({"toy.orders": [{"id": 1, "status": "20"}]})
    assert lane.received().parts["SO-1", "header", "SO-1"][1].attributes == {"execution_status": "entered"}
    lane.log.transaction(("d", "toy.orders", {"id": 1}))
    part = lane.run().parts["SO-1", "header", "SO-1"][1]
    assert (part.withdrawn, part.deletion) == (True, "cancelled")


def test_of_several_rows_about_one_order_the_newest_as_of_speaks() -> None:
    """A log of statuses: every row says its own, and when the newest is gone the one before it speaks again."""

    def statuses(table: ToyTable, row: Row, *_: object) -> list[OrderRow]:
        said: dict[str, str | None] = {"execution_status": str(row.values[1]), "as_of": f"{row.values[0]}"}
        return [OrderRow("header", "SO-1", "SO-1", said, {}, ())]

    made = tables()
    made["toy.orders"] = ToyTable("toy.orders", ("id", "status"), evaluate=statuses)
    lane = Lane(ToyMapping(made))

    def told() -> str | None:
        return lane.run().parts["SO-1", "header", "SO-1"][1].attributes["execution_status"]

    lane.start({"toy.orders": [{"id": 2, "status": "picking"}, {"id": 5, "status": "shipped"}]})
    assert told() == "shipped"
    lane.log.transaction(("c", "toy.orders", {"id": 8, "status": "closed"}))
    assert told() == "closed"
    lane.log.transaction(("c", "toy.orders", {"id": 9, "status": "reopened"}), ("d", "toy.orders", {"id": 8}))
    assert told() == "reopened"
    lane.log.transaction(("d", "toy.orders", {"id": 9}))
    assert told() == "shipped"


def test_an_order_of_very_many_parts_leaves_in_parts_of_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "PART_BYTES", 2000)

    def lines(*_: object) -> list[OrderRow]:
        statuses: dict[str, str | None] = {"execution_status": "entered"}
        return [OrderRow("line", "SO-1", f"L{number:03}", statuses, {}, ()) for number in range(100)]

    made = tables()
    made["toy.orders"] = ToyTable("toy.orders", ("id", "status"), evaluate=lines)
    lane = Lane(ToyMapping(made))
    assert len(lane.start({"toy.orders": [{"id": 1, "status": "20"}]}).parts) == 100
    sent = [(output.value, version) for output, version in lane.runtime.durable.sent if output.key == b"SO-1"]
    messages = [msgspec.json.decode(value or b"", type=OrderPartMessage) for value, _ in sent]
    assert len({version for _, version in sent}) == 1
    assert len(messages) > 2
    assert [(m.part, m.parts) for m in messages] == [(n + 1, len(messages)) for n in range(len(messages))]


def test_locations_and_progress_topics_are_written(lane: Lane) -> None:
    lane.start()
    assert set(lane.runtime.latest(PROGRESS_TOPIC)) == {b"lane/toy/0"}
    assert lane.runtime.latest(LOCATION_TOPIC) == {}


def test_archived_receipts_keep_counting_until_their_claim_is_closed(lane: Lane) -> None:
    """Counterexample 24: two of three receipts archived, and no phantom inbound."""
    lane.start({"toy.purchase": [{"line": "1", "quantity": "9"}]})
    lane.log.transaction(*(("c", "toy.receipt", {"id": n, "line": "1", "quantity": "3"}) for n in range(3)))
    lane.run()
    lane.log.transaction(*(("d", "toy.receipt", {"id": n}) for n in range(2)))
    key = ("A", "W1", "received", "PO-1")
    assert lane.run().quantities()[key] == Decimal(9)
    lane.log.transaction(("d", "toy.purchase", {"line": "1"}))
    assert lane.run().quantities() == {key: Decimal(3)}
    lane.log.transaction(("c", "toy.receipt", {"id": 0, "line": "1", "quantity": "3"}))
    assert lane.run().quantities() == {key: Decimal(6)}


def test_archived_evidence_of_a_claim_that_nobody_closes_here_ends_after_its_days(lane: Lane) -> None:
    lane.start()
    key = ("A", "W1", "received", "PO-1")
    lane.log.transaction(*(("c", "toy.receipt", {"id": n, "line": "1", "quantity": "3"}) for n in range(2)))
    lane.run()
    lane.log.transaction(("d", "toy.receipt", {"id": 0}))
    assert lane.run().quantities()[key] == Decimal(6)
    lane.runtime.tick(86_400 * 60)
    lane.log.transaction(("d", "toy.receipt", {"id": 1}))
    assert lane.run().quantities()[key] == Decimal(6)
    lane.runtime.restart()
    lane.runtime.tick(86_400 * 30)
    assert lane.run().quantities()[key] == Decimal(3)
    lane.runtime.tick(86_400 * 60)
    assert key not in lane.run().quantities()
    assert {chr(kind[0]) for kind in lane.runtime.state()} & set("se") == set(), "nothing is left of it"


def test_a_row_moved_to_a_history_table_counts_once(lane: Lane) -> None:
    lane.start({"toy.purchase": [{"line": "1", "quantity": "9"}]})
    key = ("A", "W1", "received", "PO-1")
    lane.log.transaction(("c", "toy.receipt", {"id": 1, "line": "1", "quantity": "3"}))
    lane.run()
    lane.log.transaction(
        ("c", "toy.receipt_history", {"id": 1, "line": "1", "quantity": "3"}), ("d", "toy.receipt", {"id": 1})
    )
    assert lane.run().quantities()[key] == Decimal(3)
    lane.log.transaction(("c", "toy.receipt", {"id": 2, "line": "1", "quantity": "4"}))
    lane.run()
    lane.log.transaction(("d", "toy.receipt", {"id": 2}))
    lane.run()
    lane.log.transaction(("c", "toy.receipt_history", {"id": 2, "line": "1", "quantity": "4"}))
    assert lane.run().quantities()[key] == Decimal(7)


def test_a_unit_takes_as_many_rows_as_fit_not_as_were_feared() -> None:
    """A bad row would leave its record twice in the unit; these leave a hundredth of it, and their sku once."""
    lane = Lane(batch=15_000)
    lane.start({"toy.item": [item_row(1, "A")]})
    before = len(lane.received().history)
    for number in range(4000):
        lane.log.transaction(("c", "toy.stock", stock_row(number, 1, "1")))
    said = [message for message in lane.run().history[before:] if message.sku == "A"]
    assert [[balance.quantity for balance in message.balances] for message in said] == [[Decimal(4000)]]
