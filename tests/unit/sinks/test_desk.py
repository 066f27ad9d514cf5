"""The desk: every answer, as a small story."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.records import ExceptionStatus, PublicationState, Stamps
from sinks.core.answer import Answer, Outcome
from sinks.core.book import SourceState
from sinks.core.desk import DISABLED, STATE_KEY, UNREACHABLE, ChannelState, control_record, resend_record
from sinks.core.ledger import Telling
from sinks.core.offer import promise_of
from tests.unit.sinks.facts import SECOND, atp, rule
from tests.unit.sinks.model import ModelChannel, ModelWorker

OK = Answer(Outcome.ACCEPTED, "200")
TIMED_OUT = Answer(Outcome.TIMED_OUT, "no answer within 10 s")


def worker(**changes: object) -> ModelWorker:
    return ModelWorker(rule(**changes))


def test_an_intent_stands_before_the_push_and_the_outcome_after_it() -> None:
    shop = worker()
    shop.publish(atp("A", 5, 7, locations={"W": 7}))
    push = shop.next_push()
    assert push is not None
    (intent,) = shop.publications
    assert (intent.state, intent.source_version, intent.quantities, intent.changed) == (
        PublicationState.INTENT,
        5,
        {"*": Decimal(7), "W": Decimal(7)},
        ("*", "W"),
    )
    shop.now_us += 30
    shop.take(push, OK)
    told = shop.publications[-1]
    assert told.state is PublicationState.ACKNOWLEDGED
    assert told.id == intent.id
    assert told.stamps == Stamps(committed_us=1, captured_us=2, laned_us=3, promised_us=4)
    assert (told.picked_up_us, told.sent_us, told.acknowledged_us) == (1_000_000, 1_000_000, 1_000_030)
    assert shop.next_push() is None


def test_a_restart_tells_nothing_that_was_acknowledged() -> None:
    shop = worker()
    shop.publish(atp("A"))
    shop.drain(ModelChannel(), 1)
    shop.restart()
    assert shop.next_push() is None


def test_an_open_intent_at_take_over_is_told_under_a_new_id() -> None:
    shop = worker()
    shop.publish(atp("A"))
    lost = shop.next_push()
    shop.restart()
    again = shop.next_push()
    assert lost is not None
    assert again is not None
    assert again.items[0].publication.sequence == 1
    assert again.items[0].publication.id != lost.items[0].publication.id


def test_a_clock_that_was_set_back_ends_the_wait_after_a_failure() -> None:
    shop = worker()
    shop.publish(atp("A"))
    first = shop.next_push()
    assert first is not None
    shop.take(first, TIMED_OUT)
    assert shop.next_push() is None
    shop.now_us -= SECOND // 2
    assert shop.next_push() is not None


def test_a_clock_that_was_set_back_does_not_put_off_what_is_told_once_more() -> None:
    shop, channel = worker(settle_s=2), ModelChannel()
    shop.now_us += 3600 * SECOND
    shop.publish(atp("A"))
    slow = shop.next_push()
    assert slow is not None
    shop.take(slow, TIMED_OUT)
    shop.desk.book.tick(shop.now_us)
    shop.now_us -= 3600 * SECOND
    shop.desk.book.tick(shop.now_us)
    shop.drain(channel, 1)
    shop.now_us += 3 * SECOND
    shop.desk.book.tick(shop.now_us)
    again = shop.next_push()
    assert again is not None, "an old request that lands late cannot stand"
    assert again.items[0].publication.sequence == 1


def test_a_time_out_is_retried_under_the_same_id_after_the_wait() -> None:
    shop = worker()
    for sku in "ABC":
        shop.publish(atp(sku))
    first = shop.next_push()
    assert first is not None
    shop.take(first, TIMED_OUT)
    assert shop.next_push() is None
    shop.now_us += SECOND
    second = shop.next_push()
    assert second is not None
    assert (second.id, [item.publication.attempts for item in second.items]) == (first.id, [2, 2, 2])


def test_counterexample_18_an_old_request_landing_late_cannot_stand() -> None:
    shop, channel = worker(settle_s=30), ModelChannel()
    shop.publish(atp("A", 5, 50))
    slow = shop.next_push()
    assert slow is not None
    shop.take(slow, TIMED_OUT)
    shop.publish(atp("A", 6, 60))
    shop.drain(channel, 5)
    assert channel.holds["A"][0] == 6
    channel.land(slow)
    assert channel.holds["A"][0] == 5
    pushes = shop.drain(channel, 60)
    assert channel.holds["A"] == (6, {"*": Decimal(60)})
    assert [push.items[0].publication.sequence for push in pushes] == [1]
    assert shop.drain(channel, 300) == []


def test_a_restart_between_does_not_forget_the_doubt() -> None:
    shop, channel = worker(settle_s=30), ModelChannel()
    shop.publish(atp("A", 5, 50))
    slow = shop.next_push()
    assert slow is not None
    shop.take(slow, TIMED_OUT)
    shop.publish(atp("A", 6, 60))
    shop.drain(channel, 5)
    shop.restart()
    channel.land(slow)
    shop.drain(channel, 60)
    assert channel.holds["A"][0] == 6


def test_counterexample_29_a_former_owners_late_record_has_the_newest_told_again() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 5, 50))
    former = shop.next_push()
    assert former is not None
    shop.restart()
    shop.publish(atp("A", 6, 60))
    shop.drain(channel, 60)
    channel.land(former)
    shop.desk.book.recall(0, former.items[0].publication, shop.now_us, foreign=True)
    shop.drain(channel, 1)
    assert channel.holds["A"][0] == 6


def test_a_former_owners_late_record_does_not_stay_the_last_of_its_key() -> None:
    """Whoever knows no other would tell something else under an id that was used."""
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 5, 50))
    former = shop.next_push()
    assert former is not None
    shop.restart()
    shop.drain(channel, 60)
    told = shop.publications[-1]
    assert told.state is PublicationState.ACKNOWLEDGED
    book = shop.desk.book
    book.recall(0, former.items[0].publication, shop.now_us, foreign=True)
    (claim,) = book.claims(shop.now_us)
    assert (claim.state, claim.source_version, claim.sequence) == (PublicationState.INTENT, 5, told.sequence + 1)
    assert book.claims(shop.now_us) == []
    push = shop.next_push()
    assert push is not None
    assert push.items[0].publication.id == claim.id, "what was claimed is what is told"
    shop.take(push, OK)
    book.recall(0, push.items[0].publication, shop.now_us, foreign=True)
    assert book.claims(shop.now_us) == [], "the same record stands well where it is"


def test_one_rejected_item_is_found_and_parked_and_the_others_are_told() -> None:
    shop, channel = worker(batch_size=16), ModelChannel()
    for n in range(16):
        shop.publish(atp(f"S{n}"))
    pushes = shop.drain(channel, 5, bad=frozenset({"S7"}))
    assert set(channel.holds) == {f"S{n}" for n in range(16)} - {"S7"}
    assert len(pushes) <= 9
    (exception,) = shop.exceptions
    assert (exception.code, exception.subject, exception.status) == (
        "channel-item-rejected",
        "inventory/S7",
        ExceptionStatus.OPEN,
    )
    shop.restart()
    assert shop.next_push() is None, "a parked version is not tried again by itself"
    shop.publish(atp("S7", 2))
    shop.drain(channel, 5)
    assert shop.exceptions[-1].status is ExceptionStatus.CLOSED


def test_healthy_items_never_wait_behind_the_search() -> None:
    shop, channel = worker(batch_size=64), ModelChannel()
    for n in range(64):
        shop.publish(atp(f"S{n:02}"))
    first = shop.next_push()
    assert first is not None
    shop.take(first, Answer(Outcome.REJECTED, "422"))
    shop.publish(atp("fresh"))
    told = []
    for _ in range(2):
        push = shop.next_push()
        assert push is not None
        told += [item.publication.key for item in push.items]
        shop.take(push, OK)
        channel.land(push)
    assert "fresh" in told


def test_retry_after_is_obeyed_and_time_alone_ends_it() -> None:
    shop = worker()
    shop.publish(atp("A"))
    push = shop.next_push()
    assert push is not None
    shop.take(push, Answer(Outcome.BUSY, "429", retry_after_s=20))
    assert shop.desk.wait_us(shop.now_us) == 20 * SECOND
    shop.now_us += 20 * SECOND - 1
    assert shop.next_push() is None
    shop.now_us += 1
    again = shop.next_push()
    assert again is not None
    assert again.id == push.id


def test_410_disables_until_a_person_resumes_also_after_a_restart() -> None:
    shop = worker()
    shop.publish(atp("A"))
    push = shop.next_push()
    assert push is not None
    shop.take(push, Answer(Outcome.GONE, "410"))
    shop.restart()
    shop.now_us += 3600 * SECOND
    assert shop.next_push() is None
    assert shop.exceptions[-1].code == DISABLED
    shop.order(control_record("shop", STATE_KEY, ChannelState.RUNNING, shop.now_us))
    assert shop.next_push() is not None
    assert shop.exceptions[-1].status is ExceptionStatus.CLOSED


def test_an_older_order_that_is_read_again_closes_nothing() -> None:
    shop = worker()
    before_us = shop.now_us
    shop.now_us += SECOND
    shop.publish(atp("A"))
    push = shop.next_push()
    assert push is not None
    shop.take(push, Answer(Outcome.GONE, "410"))
    shop.restart()
    told = len(shop.exceptions)
    shop.order(control_record("shop", STATE_KEY, ChannelState.RUNNING, before_us))
    assert shop.exceptions[-1].code == DISABLED
    assert shop.exceptions[told:] == []
    fresh = worker()
    fresh.desk.complaints.recall(shop.exceptions[-1])
    assert fresh.desk.order(control_record("shop", STATE_KEY, ChannelState.RUNNING, before_us), shop.now_us) == []


def test_pause_holds_everything_and_only_the_newest_leaves_after_it() -> None:
    shop, channel = worker(), ModelChannel()
    shop.order(control_record("shop", STATE_KEY, ChannelState.PAUSED, 1))
    for version in range(1, 9):
        shop.publish(atp("A", version, version, stamps=Stamps(committed_us=version)))
    assert shop.next_push() is None
    shop.order(control_record("shop", STATE_KEY, ChannelState.RUNNING, 2))
    (push,) = shop.drain(channel, 5)
    assert push.items[0].publication.source_version == 8
    assert push.items[0].publication.stamps.committed_us == 1, "lag is not flattered by conflation"


def test_counterexample_13_a_rule_that_changes_and_comes_back_is_told_each_time() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 10))
    for buffer, told in ((0, 10), (4, 6), (0, 10), (4, 6)):
        shop.desk.change_rule(rule(buffer=buffer), shop.now_us)
        shop.drain(channel, 1)
        assert channel.holds["A"] == (1, {"*": Decimal(told)})
    assert shop.told("A")[-1].cause == "rule"
    assert shop.told("A")[-1].stamps == Stamps()


def test_counterexample_13_a_source_that_falls_behind_and_comes_back() -> None:
    shop, channel = (
        worker(staleness={"steps": [{"after_s": 60, "buffer": 4}, {"after_s": 600, "stop": True}]}),
        ModelChannel(),
    )
    shop.publish(atp("A", 1, 10, source_versions={"erp": 1}))
    for lag_s, told in ((0, 10), (61, 6), (601, 0), (10, 10)):
        shop.desk.book.progress(0, "erp", SourceState(shop.now_us - lag_s * SECOND), shop.now_us)
        shop.drain(channel, 1)
        assert channel.holds["A"] == (1, {"*": Decimal(told)})
    shop.drain(channel, 60)
    assert channel.holds["A"] == (1, {"*": Decimal(6)}), "time alone makes a silent source stale"
    for uncertain, told in ((False, 10), (True, 6), (False, 10)):
        shop.desk.book.progress(0, "erp", SourceState(shop.now_us, uncertain), shop.now_us)
        shop.drain(channel, 1)
        assert channel.holds["A"] == (1, {"*": Decimal(told)}), "an uncertain source counts as stale"


def test_resend_tells_again_once_and_a_restart_does_not_repeat_it() -> None:
    shop, channel = worker(), ModelChannel()
    for sku in "AB":
        shop.publish(atp(sku))
    shop.drain(channel, 1)
    shop.order(resend_record("shop", "inventory/A", shop.now_us))
    (push,) = shop.drain(channel, 1)
    assert [item.publication.key for item in push.items] == ["A"]
    shop.restart()
    assert shop.next_push() is None
    shop.order(resend_record("shop", "*", shop.now_us))
    (push,) = shop.drain(channel, 1)
    assert {item.publication.key for item in push.items} == {"A", "B"}


def test_a_sku_that_no_source_knows_any_more_is_taken_back() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 10))
    shop.drain(channel, 1)
    del shop.atps["A"]
    shop.restart()
    shop.drain(channel, 1)
    assert channel.holds["A"][1] == {"*": Decimal(0)}
    shop.restart()
    assert shop.next_push() is None
    shop.publish(atp("A", 2, 3))
    shop.drain(channel, 1)
    assert channel.holds["A"] == (2, {"*": Decimal(3)})


def test_an_incomplete_promise_lets_the_last_one_hold() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 10))
    shop.drain(channel, 1)
    del shop.atps["A"]
    shop.desk.book.tellings.clear()
    for publication in shop.publications:
        shop.desk.book.recall(0, publication, shop.now_us)
    shop.desk.book.incomplete(0, ("inventory", "A"))
    shop.desk.book.caught_up(0)
    assert shop.desk.book.withheld == 0
    shop.desk.book.nothing_else(0, shop.now_us)
    assert shop.next_push() is None


def test_an_item_that_is_not_there_yet_is_not_taken_back() -> None:
    """The topic was made anew, and inventory has not said everything again."""
    shop, channel = worker(), ModelChannel()
    for sku in "ABC":
        shop.publish(atp(sku, 1, 10))
    shop.drain(channel, 3)
    shop.atps, shop.whole = {"A": atp("A", 2, 9)}, False
    shop.restart()
    assert shop.desk.book.withheld == 2
    shop.drain(channel, 3)
    shop.now_us += 3600 * SECOND
    shop.desk.book.tick(shop.now_us)
    assert shop.next_push() is None
    assert {sku: held[1]["*"] for sku, held in channel.holds.items()} == {"A": 9, "B": 10, "C": 10}
    shop.publish(atp("B", 2, 8))
    assert shop.desk.book.withheld == 1
    shop.desk.book.nothing_else(0, shop.now_us)
    assert shop.desk.book.withheld == 0
    shop.drain(channel, 3)
    assert {sku: held[1]["*"] for sku, held in channel.holds.items()} == {"A": 9, "B": 8, "C": 0}


def test_an_older_version_is_never_told_after_a_newer_one() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 9, 90))
    shop.drain(channel, 1)
    shop.atps["A"] = atp("A", 8, 80)
    shop.restart()
    assert shop.next_push() is None
    telling = shop.desk.book.tellings["inventory", "A"]
    with pytest.raises(AssertionError):
        telling.intend(telling.next_stamp(8, 0, 0))
    assert telling.last is not None
    assert telling.last.source_version == 9


def test_a_channel_that_is_down_is_asked_at_most_once_a_minute_and_everything_conflates() -> None:
    shop, channel = worker(batch_size=4), ModelChannel()
    for n in range(8):
        shop.publish(atp(f"S{n}", 1))
    asked = 0
    for second in range(3600):
        shop.now_us += SECOND
        if second % 10 == 0:
            shop.publish(atp("S0", 2 + second, second))
        if (push := shop.next_push()) is not None:
            asked += 1
            shop.take(push, Answer(Outcome.FAILED, "500"))
    assert asked < 80
    assert [exception.code for exception in shop.exceptions] == [UNREACHABLE]
    shop.drain(channel, 120)
    assert channel.holds["S0"][0] == 3592
    assert len(channel.holds) == 8
    assert shop.exceptions[-1].status is ExceptionStatus.CLOSED


def test_an_item_that_fails_alone_is_held_back_and_in_the_end_parked() -> None:
    shop, channel = worker(batch_size=4, park_after_attempts=3, settle_s=1), ModelChannel()
    for n in range(4):
        shop.publish(atp(f"S{n}"))
    for second in range(200):
        shop.now_us += SECOND
        shop.publish(atp("S3", second + 2))
        while (push := shop.next_push()) is not None:
            if "S1" in {item.publication.key for item in push.items}:
                shop.take(push, Answer(Outcome.FAILED, "500"))
            else:
                channel.land(push)
                shop.take(push, OK)
    assert set(channel.holds) == {"S0", "S2", "S3"}
    assert channel.holds["S3"][0] > 195
    opened = [exception for exception in shop.exceptions if exception.code == "channel-item-failing"]
    assert [exception.subject for exception in opened] == ["inventory/S1"]


def test_forgotten_partitions_leave_nothing_behind() -> None:
    shop = worker()
    shop.publish(atp("A"))
    shop.desk.book.state(1, ("inventory", "B"), promise_of(atp("B")), shop.now_us)
    shop.desk.book.forget({0})
    push = shop.next_push()
    assert push is not None
    assert [item.publication.key for item in push.items] == ["B"]


def test_a_late_record_of_another_worker_does_not_lower_what_was_told() -> None:
    telling = Telling(0)
    newest = telling.next_stamp(9, 1, 0)
    telling.intend(newest)
    shop = worker()
    shop.publish(atp("A", 4))
    old = shop.next_push()
    assert old is not None
    telling.recall(old.items[0].publication, 0, foreign=True)
    assert telling.last == newest
