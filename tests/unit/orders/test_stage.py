"""What an order is, told as tables: who is believed, what deletion means, when it is sent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from schemas.records import Conflict, ExceptionStatus, ShipmentLine
from schemas.versions import version_of
from tests.memory import Durable
from tests.unit.orders.scene import CODEC, Scene, gone, header, line, shipment
from tests.unit.orders.test_stages import demo_words

DAY_S = 86_400


def test_each_attribute_comes_from_its_owner() -> None:
    scene = Scene()
    scene.say("wms", header(execution_status="picking", delivery_status="not_shipped", customer="from wms"))
    order = scene.tell(
        "erp",
        header(number="1", customer="C1", due="2026-03-01", placed_at="1700000000000000", financial_status="open"),
        line(sku="A", location="W1", ordered="5", shipped="0", due="2026-03-01"),
    )
    assert (order.customer, order.number, order.placed_us) == ("C1", "1", 1_700_000_000_000_000)
    assert order.due == dt.date(2026, 3, 1)
    assert (order.execution_status, order.delivery_status) == ("picking", "not_shipped")
    assert (order.financial_status, order.presentation_status) == ("open", "unknown")
    assert [(x.line_id, x.sku, x.ordered, x.shipped, x.picked) for x in order.lines] == [
        ("SO-1-1", "A", Decimal(5), Decimal(0), None)
    ]
    assert order.complete
    assert order.source_versions.keys() == {"erp", "wms"}


def test_the_wms_ships_at_ten_and_the_erp_posts_at_a_quarter_past() -> None:
    scene = Scene()
    scene.say("erp", header(number="1"), line(ordered="5", shipped="0"))
    order = scene.tell("wms", line(shipped="5.00"))
    assert order.lines[0].shipped == Decimal(5)
    opened_us = scene.runtime.now_us
    expected = Conflict(
        attribute="lines/SO-1-1/shipped", owner="wms", owner_value="5", other="erp", other_value="0", since_us=opened_us
    )
    assert order.conflicts == (expected,)
    scene.runtime.tick(60)
    assert scene.tell("erp", header(number="1", customer="C")).conflicts == (expected,), "its age stays"
    [problem] = scene.exceptions().values()
    assert (problem.code, problem.source, problem.status) == ("order-conflict", "erp", ExceptionStatus.OPEN)
    order = scene.tell("erp", line(ordered="5", shipped="5"))
    assert order.conflicts == ()
    assert order.lines[0].shipped == Decimal(5)
    [problem] = scene.exceptions().values()
    assert (problem.status, problem.opened_us) == (ExceptionStatus.CLOSED, opened_us)


def test_an_owner_that_says_nothing_leaves_it_to_the_next() -> None:
    scene = Scene()
    order = scene.tell("erp", header(execution_status="entered", delivery_status="delivered"))
    assert order.execution_status == "entered"
    assert order.delivery_status == "unknown", "a source that owns nothing is never believed"
    order = scene.tell("wms", header(execution_status="unknown"))
    assert order.execution_status == "entered"
    assert scene.tell("wms", header(execution_status="packed")).execution_status == "packed"


def test_a_young_conflict_is_no_exception_yet() -> None:
    scene = Scene(drift_after_s=3600)
    scene.say("erp", header(number="1"), line(shipped="0"))
    assert scene.tell("wms", line(shipped="5")).conflicts
    assert scene.exceptions() == {}
    scene.runtime.tick(3599)
    assert scene.exceptions() == {}
    scene.runtime.tick(1)
    assert [problem.code for problem in scene.exceptions().values()] == ["order-conflict"]


@pytest.mark.parametrize(
    ("deletion", "withdrawn", "customer", "status"),
    [
        ("archived", "archived", "C1", "shipped"),
        ("cancelled", "cancelled", "C1", "cancelled"),
        ("removed", "removed", None, "unknown"),
    ],
)
def test_what_deleting_an_order_means(deletion: str, withdrawn: str, customer: str | None, status: str) -> None:
    scene = Scene()
    scene.tell("erp", header(customer="C1", execution_status="shipped"))
    order = scene.tell("erp", gone("header", "SO-1", deletion))
    assert (order.withdrawn, order.customer, order.execution_status) == (withdrawn, customer, status)
    order = scene.tell("erp", header(customer="C2", execution_status="entered"))
    assert (order.withdrawn, order.customer, order.execution_status) == (None, "C2", "entered")


@pytest.mark.parametrize(
    ("deletion", "lines"),
    [
        ("archived", [(Decimal(5), Decimal(2), None)]),
        ("cancelled", [(Decimal(5), Decimal(2), Decimal(3))]),
        ("removed", []),
    ],
)
def test_what_deleting_a_line_means(deletion: str, lines: list[tuple[Decimal, Decimal, Decimal | None]]) -> None:
    scene = Scene()
    scene.tell("erp", header(number="1"), line(ordered="5", shipped="2"))
    order = scene.tell("erp", gone("line", "SO-1-1", deletion))
    assert [(x.ordered, x.shipped, x.cancelled) for x in order.lines] == lines
    assert order.withdrawn is None


def test_a_line_archived_into_a_history_table_keeps_the_order() -> None:
    """One transaction deletes it from ordlin and inserts it into ordlnh: both rows are the same line."""
    scene = Scene()
    scene.tell("erp", header(number="1"), line(ordered="5", shipped="5"))
    for deletion in ("archived", "removed"):
        order = scene.tell("erp", line(ordered="5", shipped="5"), gone("line", "SO-1-1", deletion))
        assert order.lines[0].shipped == Decimal(5)
    order = scene.tell("erp", line(ordered="5", shipped="5", returned="1"))
    assert order.lines[0].returned == Decimal(1), "it lives in the history table"


def test_the_wms_archives_what_it_has_shipped_and_its_word_stands() -> None:
    scene = Scene()
    scene.say("erp", header(number="1"), line(ordered="5", shipped="0"))
    scene.say("wms", line(shipped="5", ordered="4"), shipment(status="shipped", quantity="5"))
    scene.run()
    assert [c.attribute for c in scene.order().conflicts] == ["lines/SO-1-1/ordered", "lines/SO-1-1/shipped"]
    order = scene.tell("wms", gone("line", "SO-1-1", "archived"), gone("shipment", "SHP-1/SO-1-1", "archived"))
    assert (order.lines[0].ordered, order.lines[0].shipped) == (Decimal(5), Decimal(5))
    assert [c.attribute for c in order.conflicts] == ["lines/SO-1-1/shipped"], "what is archived argues no more"
    assert scene.shipments()["SHP-1"].status == "shipped"


def test_a_removed_order_is_forgotten_with_a_tombstone_a_week_later() -> None:
    scene = Scene()
    scene.tell("erp", header(number="1"), line(ordered="5"))
    assert scene.tell("erp", gone("header", "SO-1"), gone("line", "SO-1-1")).withdrawn == "removed"
    scene.runtime.tick(6 * DAY_S)
    assert scene.orders().keys() == {"SO-1"}
    scene.runtime.tick(1 * DAY_S)
    assert scene.orders() == {}
    assert not [key for key in scene.runtime.state() if key.startswith((b"o", b"t"))]


def test_an_order_that_comes_back_is_not_forgotten() -> None:
    scene = Scene()
    scene.tell("erp", header(number="1"))
    scene.tell("erp", gone("header", "SO-1"))
    scene.runtime.tick(3 * DAY_S)
    scene.tell("erp", header(number="1"))
    scene.runtime.tick(8 * DAY_S)
    assert scene.order().number == "1"


def test_older_messages_are_dropped_whole() -> None:
    scene = Scene()
    scene.tell("erp", header(number="new"), version=version_of(3, 7))
    for version in (version_of(3, 7), version_of(3, 6), version_of(2, 900)):
        assert scene.tell("erp", header(number="old"), version=version).number == "new"
    assert scene.tell("erp", header(number="newer"), version=version_of(4, 0)).number == "newer"


def test_a_version_in_parts_is_sent_once_whole() -> None:
    scene = Scene()
    scene.tell("erp", header(number="1"), line("SO-1-1", ordered="1"))
    sent = scene.sent("order.v1")
    version = version_of(9, 1)
    scene.say("erp", line("SO-1-1", ordered="2"), version=version, part=1, parts_count=2, committed_us=100)
    scene.say("wms", header(delivery_status="in_transit"), committed_us=200)
    scene.run()
    assert scene.sent("order.v1") == sent, "half a version is never shown"
    order = scene.tell("erp", line("SO-1-2", ordered="3"), version=version, part=2, parts_count=2, committed_us=300)
    assert [x.ordered for x in order.lines] == [Decimal(2), Decimal(3)]
    assert order.delivery_status == "in_transit"
    assert order.stamps.committed_us == 100, "the oldest change it stands for"


def test_when_the_newest_row_of_a_status_history_is_deleted_the_one_before_it_counts_again() -> None:
    scene = Scene()
    scene.tell("wms", header(delivery_status="in_transit", as_of="200"))
    assert scene.tell("wms", header(delivery_status="delivered", as_of="300")).delivery_status == "delivered"
    assert scene.tell("wms", header(delivery_status="in_transit", as_of="200")).delivery_status == "in_transit"


def test_shipments_stand_in_the_orders_partition_and_vanish_with_a_tombstone() -> None:
    scene = Scene(partition=3)
    scene.say("erp", header(number="1"))
    scene.say(
        "wms",
        shipment("SHP-1", "SO-1-1", status="shipped", carrier="X", quantity="2", shipped_at="5", tracking="77"),
        shipment("SHP-1", "SO-1-2", status="shipped", carrier="X", quantity="1", shipped_at="5", tracking="77"),
    )
    scene.run()
    [known] = scene.shipments().values()
    assert (known.order_id, known.source, known.carrier, known.shipped_us) == ("SO-1", "wms", "X", 5)
    assert known.lines == (
        ShipmentLine(line_id="SO-1-1", quantity=Decimal(2)),
        ShipmentLine(line_id="SO-1-2", quantity=Decimal(1)),
    )
    assert {s.output.partition for s in scene.runtime.durable.sent if s.output.topic == "shipment.v1"} == {3}
    scene.say("wms", gone("shipment", "SHP-1/SO-1-1"), gone("shipment", "SHP-1/SO-1-2"))
    scene.run()
    assert scene.shipments() == {}


def test_a_slash_in_a_shipments_number_or_line_is_only_a_character() -> None:
    scene = Scene()
    scene.say("erp", header(number="1"))
    scene.say("wms", shipment("9/1", "7/2", shipment_id="9/1", quantity="1"))
    scene.run()
    [known] = scene.shipments().values()
    assert (known.shipment_id, [x.line_id for x in known.lines]) == ("9/1", ["7/2"])


@pytest.mark.parametrize("withdrawn_first", [True, False])
def test_a_shipment_moves_to_another_order(withdrawn_first: bool) -> None:
    scene = Scene()
    for order_id in ("SO-1", "SO-2"):
        scene.say("erp", header(order_id, number=order_id), order_id=order_id)
    scene.say("wms", shipment("SHP-1", "L", quantity="1"), order_id="SO-1")
    scene.run()
    moves = [("SO-1", gone("shipment", "SHP-1/L")), ("SO-2", shipment("SHP-1", "L", quantity="1"))]
    for order_id, part in moves if withdrawn_first else reversed(moves):
        scene.say("wms", part, order_id=order_id)
        scene.run()
    assert scene.shipments()["SHP-1"].order_id == "SO-2"


def test_a_shipment_without_its_order_is_an_exception_until_the_order_comes() -> None:
    scene = Scene(complete=False)
    scene.say("wms", shipment(quantity="1"))
    scene.progress("wms")
    scene.run()
    assert scene.exceptions() == {}, "the ERP's snapshot may still bring it"
    assert scene.orders() == {}
    scene.progress("erp")
    scene.run()
    [problem] = scene.exceptions().values()
    assert (problem.code, problem.status, problem.subject) == ("shipment-without-order", ExceptionStatus.OPEN, "SO-1")
    scene.tell("erp", header(number="1"))
    [problem] = scene.exceptions().values()
    assert problem.status == ExceptionStatus.CLOSED


def test_an_unknown_symbol_is_an_exception_and_never_a_guess() -> None:
    scene = Scene()
    order = scene.tell("erp", header(financial_status="paidish", due="soon"), line(ordered="1.2345678901"))
    assert (order.financial_status, order.due, order.lines[0].ordered) == ("unknown", None, None)
    assert sorted(problem.code for problem in scene.exceptions().values()) == [
        "order-part-unreadable",
        "status-unmapped",
    ]
    scene.tell("erp", header(financial_status="paid"), line(ordered="1"))
    assert {problem.status for problem in scene.exceptions().values()} == {ExceptionStatus.CLOSED}


def test_orders_are_sent_again_when_the_last_source_is_complete() -> None:
    scene = Scene(complete=False)
    scene.say("erp", header("SO-1", number="1"))
    scene.progress("erp")
    scene.run()
    assert not scene.order().complete
    scene.progress("wms", complete=False)
    scene.run()
    assert not scene.order().complete
    scene.progress("wms")
    scene.run()
    assert scene.order().complete
    sent = scene.sent("order.v1")
    scene.progress("wms", complete=False)
    scene.run()
    assert scene.sent("order.v1") == sent, "the last word holds while a source is read again"


def test_what_a_source_has_not_restated_is_withdrawn() -> None:
    scene = Scene()
    for number in range(1200):
        order_id = f"SO-{number}"
        scene.say("erp", header(order_id, number=str(number)), line(f"{order_id}-1", ordered="1"), order_id=order_id)
        scene.say("wms", header(order_id, execution_status="picking"), order_id=order_id)
    scene.run()
    since, scene.epoch = version_of(2, 0), 2
    scene.say("wms", header("SO-7", execution_status="picking"), order_id="SO-7", version=version_of(2, 3))
    scene.say("wms", header("SO-9", execution_status="packed"), order_id="SO-9", version=version_of(1, 9_999))
    scene.progress("wms", restated_since=since)
    scene.run()
    statuses = {order_id: order.execution_status for order_id, order in scene.orders().items()}
    assert len(statuses) == 1200
    assert {order_id for order_id, status in statuses.items() if status != "unknown"} == {"SO-7"}
    late = scene.tell("wms", header("SO-9", execution_status="packed"), order_id="SO-9", version=version_of(1, 99_999))
    assert late.execution_status == "unknown", "a former owner's late word is older than the restatement"


def test_while_a_source_is_read_again_no_order_shows_new_rows_beside_old_ones() -> None:
    scene = Scene()
    scene.say("erp", header(number="1"), line("SO-1-1", ordered="1"), line("SO-1-2", ordered="2"))
    scene.tell("erp", header("SO-2", number="2"), order_id="SO-2")
    sent = scene.sent("order.v1")
    scene.progress("erp", holding=True)
    scene.tell("erp", line("SO-1-1", ordered="5"), committed_us=100)
    scene.tell("wms", header(execution_status="picking"), committed_us=200)
    assert scene.sent("order.v1") == sent
    scene.say("erp", gone("line", "SO-1-2"))  # the snapshot is whole, and did not bring it
    scene.progress("erp")
    scene.run()
    order = scene.order()
    assert [(one.line_id, one.ordered) for one in order.lines] == [("SO-1-1", Decimal(5))]
    assert order.execution_status == "picking"
    assert order.stamps.committed_us == 100, "the oldest change it stands for"
    assert scene.sent("order.v1") == sent + 1, "orders that nothing happened to are not sent again"


def test_orders_go_on_while_a_source_that_lost_a_stretch_waits_for_a_person() -> None:
    scene = Scene()
    scene.progress("erp", holding=True, uncertain=True)
    assert scene.tell("erp", header(number="1")).number == "1"


def test_what_a_source_has_not_restated_is_not_sent_for_the_sake_of_another() -> None:
    scene = Scene()
    scene.tell("erp", header(number="1"), line(ordered="1"))
    scene.epoch = 2
    scene.progress("erp", restated_since=version_of(2, 0))
    scene.say("wms", header(execution_status="picking"))
    scene.run()
    sent = [one.output.value for one in scene.runtime.durable.sent if one.output.topic == "order.v1"]
    orders = [CODEC.decode("order.v1", value) for value in sent if value is not None]
    assert [(len(order.lines), order.execution_status) for order in orders] == [(1, "unknown"), (0, "picking")]


def test_an_order_that_a_restatement_changes_is_sent_without_what_it_left_out() -> None:
    """Also when the unit that hears of the end of the restatement is the one that brings the order."""
    scene = Scene()
    scene.tell("erp", header(number="1"), line("SO-1-1", ordered="1"))
    scene.epoch = 2
    scene.say("erp", header(number="2"), line("SO-1-2", ordered="1"))
    scene.progress("erp", restated_since=version_of(2, 0))
    scene.run()
    sent = [one.output.value for one in scene.runtime.durable.sent if one.output.topic == "order.v1"]
    orders = [CODEC.decode("order.v1", value) for value in sent if value is not None]
    assert [[one.line_id for one in order.lines] for order in orders] == [["SO-1-1"], ["SO-1-2"]]


def test_a_restatement_of_the_same_sends_nothing() -> None:
    scene = Scene()
    scene.tell("erp", header(number="1"), line(ordered="1"))
    sent = scene.sent("order.v1")
    scene.tell("erp", header(number="1"), line(ordered="1"))
    assert scene.sent("order.v1") == sent


def test_progress_is_stated_a_unit_after_what_it_covers() -> None:
    scene = Scene()
    scene.say("erp", header(number="1"))
    scene.progress("erp", offset=55)
    scene.run()
    sent = scene.runtime.durable.sent
    order_version = next(s.version for s in sent if s.output.topic == "order.v1")
    stated = [s for s in sent if s.output.topic == "progress.v1" and s.output.key == b"orders/erp/0"]
    assert stated[-1].version > order_version
    assert scene.stated()["orders/erp/0"].input_offset == 55


def test_poison_goes_to_exceptions_and_the_rest_goes_on() -> None:
    scene = Scene()
    offset = scene.runtime.feed(b"SO-1", b"\x00\x00\x00\x00\x01nonsense")
    order = scene.tell("erp", header(number="1"))
    assert order.number == "1"
    [problem] = scene.exceptions().values()
    assert (problem.code, problem.subject, problem.offset) == ("contract-undecodable", "SO-1", offset)
    assert problem.raw == b"\x00\x00\x00\x00\x01nonsense"


def test_a_source_that_learns_a_word_has_every_order_compared_again() -> None:
    scene = Scene(words=demo_words(), durable=Durable())
    scene.say("erp", header(execution_status="released"))
    assert scene.tell("wms", header(execution_status="packed")).conflicts == ()
    symbols = scene.words["erp", "header", "execution_status"]
    scene.words = {**scene.words, ("erp", "header", "execution_status"): symbols | {"packed"}}
    scene.runtime.restart()
    scene.run()
    [conflict] = scene.order().conflicts
    assert (conflict.owner_value, conflict.other_value) == ("packed", "released")


def test_a_changed_ownership_file_moves_every_order() -> None:
    durable = Durable()
    scene = Scene(durable=durable)
    scene.say("erp", header(execution_status="entered"))
    scene.say("wms", header(execution_status="picking"))
    scene.run()
    assert scene.order().execution_status == "picking"
    scene.tell("erp", header("SO-2"), order_id="SO-2")  # nothing is owed for SO-1 any more
    scene.owners = scene.owners.model_copy(
        update={"orders": scene.owners.orders.model_copy(update={"header": {"*": ("erp", "wms")}})}
    )
    scene.owners.__dict__.pop("fingerprint", None)
    scene.runtime.restart()
    scene.run()
    assert scene.order().execution_status == "entered"


def test_a_late_write_of_a_former_owner_can_be_rendered_again() -> None:
    scene = Scene()
    scene.say("erp", header(number="1"))
    scene.say("wms", shipment(quantity="1"))
    scene.run()
    stage = scene.stage()
    stage.open(scene.runtime.view, 0, None, None, 0, 0)
    keys = [
        stage.owed_for("order.v1", b"SO-1"),
        stage.owed_for("shipment.v1", b"SHP-1"),
        stage.owed_for("order.v1", b"X"),
    ]
    outputs = list(stage.render(scene.runtime.view, [key for key in keys if key], 99, 0))
    assert msgspec.structs.replace(scene.order(), version=99) == CODEC.decode("order.v1", outputs[0].value or b"")
    assert CODEC.decode("shipment.v1", outputs[1].value or b"").order_id == "SO-1"
    assert outputs[2].value is None, "what the state does not know gets a tombstone"
    assert stage.owed_for("progress.v1", b"x") is None


def test_a_commit_waits_with_its_order_until_the_order_is_complete() -> None:
    scene = Scene(complete=False)
    scene.progress("erp")
    scene.say("erp", header(number="1"), committed_us=100)
    scene.run()
    scene.say("erp", header(number="2"), committed_us=200)
    scene.run()
    assert not scene.order().complete
    scene.progress("wms")
    scene.run()
    assert (scene.order().complete, scene.order().number, scene.order().stamps.committed_us) == (True, "2", 100)
    assert scene.tell("erp", header(number="3"), committed_us=300).stamps.committed_us == 300


def test_an_order_of_four_thousand_disputed_lines_fits_a_message_and_a_unit() -> None:
    """Counterexample 26, of orders."""
    scene = Scene()
    scene.say("erp", header(number="1"))
    for first in range(0, 4_000, 500):
        numbers = range(first, first + 500)
        for source, at in (("erp", "NORTH"), ("wms", "SOUTH")):
            parts = [
                line(f"SO-1-{n:04}", sku=f"SKU-{n:06}", location=at, ordered="12", shipped=str(n)) for n in numbers
            ]
            scene.say(source, *parts)
    scene.run()
    order = scene.order()
    assert (len(order.lines), len(order.conflicts)) == (4_000, 1_000)
    [problem] = scene.exceptions().values()
    assert problem.count == 4_000
    limit = 4 << 20
    assert max(len(sent.output.value or b"") for sent in scene.runtime.durable.sent) < limit
    assert max(sum(len(k) + len(v or b"") for k, v in c.items()) for c, _ in scene.runtime.durable.changelog) < limit


def test_a_state_that_missed_what_was_said_before_waits_for_a_restatement() -> None:
    scene = Scene(complete=False)
    for source in ("erp", "wms"):
        scene.progress(source, restated_since=1)
        scene.progress(source, restated_since=1)
    assert scene.tell("erp", header(financial_status="paid")).complete is False
    for source in ("erp", "wms"):
        scene.progress(source, restated_since=version_of(scene.epoch, 1) + 1)
    scene.run()
    assert scene.order().complete is True


def test_how_far_a_source_is_waits_for_the_next_unit_and_how_it_stands_does_not() -> None:
    scene = Scene()

    def asks_for_more(offset: int, uncertain: bool = False) -> bool:
        scene.progress("wms", offset=offset, uncertain=uncertain)
        runtime = scene.runtime
        settled = runtime.stage.work(runtime.view, runtime.durable.inputs[runtime.marker.offset :], runtime.now_us)
        runtime._close(settled)
        return settled.more

    scene.progress("wms")
    scene.run()
    assert not asks_for_more(offset=2)
    scene.runtime.tick()
    assert scene.stated()["orders/wms/0"].input_offset == 2
    assert asks_for_more(offset=3, uncertain=True)
