"""What one thing told stands for: the oldest change, every location, and no more memory than there are keys."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest

from schemas.records import Order, PublicationState, Stamps
from sinks.core.answer import Answer, Outcome
from sinks.core.book import INVENTORY, ORDER
from sinks.core.offer import OrderState, order_state_of
from tests.unit.sinks.facts import SECOND, ZERO, atp, rule
from tests.unit.sinks.model import ModelChannel, ModelWorker

OK = Answer(Outcome.ACCEPTED, "200")
TIMED_OUT = Answer(Outcome.TIMED_OUT, "no answer within 10 s")
REJECTED = Answer(Outcome.REJECTED, "422")


def worker(**changes: object) -> ModelWorker:
    return ModelWorker(rule(**changes))


def committed(at_us: int) -> Stamps:
    return Stamps(committed_us=at_us, captured_us=at_us + 1, laned_us=at_us + 2, promised_us=at_us + 3)


# Locations and skus that vanish


def test_a_location_that_vanished_is_told_as_zero_once() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 9, locations={"W1": 4, "W2": 5}))
    shop.drain(channel, 1)
    shop.publish(atp("A", 2, 4, locations={"W1": 4}))
    shop.drain(channel, 1)
    assert channel.holds["A"] == (2, {"*": Decimal(4), "W1": Decimal(4), "W2": ZERO})
    assert shop.told("A")[-1].changed == ("*", "W2")
    shop.publish(atp("A", 3, 3, locations={"W1": 3}))
    shop.drain(channel, 1)
    assert set(shop.told("A")[-1].quantities) == {"*", "W1"}


def test_a_location_that_the_rule_hides_is_told_as_zero() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 9, locations={"W1": 4, "W2": 5}))
    shop.drain(channel, 1)
    shop.desk.change_rule(rule(locations=["W1"]), shop.now_us)
    shop.drain(channel, 1)
    assert channel.holds["A"][1] == {"*": Decimal(4), "W1": Decimal(4), "W2": ZERO}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_location_told_only_by_a_request_in_doubt_is_told_as_zero_too(restarts: bool) -> None:
    shop, channel = worker(settle_s=1), ModelChannel()
    shop.publish(atp("A", 1, 9, locations={"W1": 4, "W2": 5}))
    lost = shop.next_push()
    assert lost is not None
    channel.land(lost)
    shop.take(lost, TIMED_OUT)
    shop.publish(atp("A", 2, 4, locations={"W1": 4}))
    if restarts:
        shop.restart()
    shop.drain(channel, 5)
    assert channel.holds["A"] == (2, {"*": Decimal(4), "W1": Decimal(4), "W2": ZERO})


@pytest.mark.parametrize("restarts", [False, True])
def test_a_zero_that_was_not_acknowledged_is_told_again_also_when_only_its_intent_is_left(restarts: bool) -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 9, locations={"W2": 9}))
    shop.drain(channel, 1)
    shop.publish(atp("A", 2, 0))
    assert shop.next_push() is not None
    if restarts:
        del shop.publications[:-1]  # compacted: the newest record of the key
    shop.restart()
    shop.drain(channel, 60)
    assert channel.holds["A"] == (2, {"*": ZERO, "W2": ZERO})


@pytest.mark.parametrize("lands", [False, True])
def test_a_sku_that_vanishes_after_a_request_in_doubt_is_taken_back_under_an_id_of_its_own(lands: bool) -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 9))
    lost = shop.next_push()
    assert lost is not None
    if lands:
        channel.land(lost)
    shop.take(lost, TIMED_OUT)
    shop.withdraw("A")
    pushes = shop.drain(channel, 60)
    assert channel.holds["A"][1] == {"*": ZERO}
    assert lost.items[0].publication.id not in {push.items[0].publication.id for push in pushes}
    assert shop.drain(channel, 300) == []


def test_a_withdrawal_that_is_refused_is_parked_not_repeated() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 9))
    shop.drain(channel, 1)
    shop.withdraw("A")
    assert len(shop.drain(channel, 60, bad=frozenset({"A"}))) == 1
    shop.restart()
    assert shop.next_push() is None


# A former owner's record that stands between ours


def test_a_record_that_stands_behind_a_newer_one_is_a_former_owners() -> None:
    """A paused owner tells 5 late and writes so; the owner that had told 6 dies before it sees that record."""
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 5, 50))
    former = shop.next_push()
    assert former is not None
    shop.restart()
    shop.publish(atp("A", 6, 60))
    shop.drain(channel, 90)
    channel.land(former)
    late = former.items[0].publication
    shop.publications.append(
        msgspec.structs.replace(late, state=PublicationState.ACKNOWLEDGED, acknowledged_us=shop.now_us)
    )
    shop.restart()
    shop.drain(channel, 90)
    assert channel.holds["A"] == (6, {"*": Decimal(60)})


# Stamps


def test_the_oldest_commit_survives_failures_halving_and_newer_versions() -> None:
    shop = worker(batch_size=2)
    shop.publish(atp("A", 1, 1, stamps=committed(100)))
    shop.publish(atp("B", 1, 1, stamps=committed(200)))
    push = shop.next_push()
    assert push is not None
    shop.publish(atp("A", 2, 2, stamps=committed(300)))
    shop.take(push, REJECTED)
    told = {}
    for _ in range(2):
        half = shop.next_push()
        assert half is not None
        told.update({item.publication.key: item.publication for item in half.items})
        shop.take(half, OK)
    assert (told["A"].source_version, told["A"].stamps) == (2, committed(100))
    assert told["B"].stamps == committed(200)


def test_a_commit_that_was_told_is_not_carried_on() -> None:
    shop = worker()
    shop.publish(atp("A", 1, 1, stamps=committed(100)))
    push = shop.next_push()
    assert push is not None
    shop.publish(atp("A", 2, 2, stamps=committed(300)))
    shop.take(push, OK)
    push = shop.next_push()
    assert push is not None
    assert push.items[0].publication.stamps == committed(300)


@pytest.mark.parametrize("answer", [None, TIMED_OUT, Answer(Outcome.BUSY, "429"), REJECTED])
def test_the_oldest_commit_survives_a_restart(answer: Answer | None) -> None:
    """Version 1 never reached the channel; the compacted topic has only version 2 when the next owner reads it."""
    shop, channel = worker(settle_s=1), ModelChannel()
    shop.publish(atp("A", 1, 1, stamps=committed(100)))
    push = shop.next_push()
    assert push is not None
    if answer is not None:
        shop.take(push, answer)
    shop.now_us += 10 * SECOND
    shop.atps["A"] = atp("A", 2, 2, stamps=committed(300))
    shop.restart()
    shop.drain(channel, 1)
    told = shop.told("A")[0]
    assert (told.source_version, told.stamps, told.picked_up_us) == (2, committed(100), 1_000_000)
    shop.publish(atp("A", 3, 3, stamps=committed(400)))
    shop.drain(channel, 1)
    assert shop.told("A")[-1].stamps == committed(400)


def test_a_refused_change_counts_until_something_newer_is_taken() -> None:
    shop, channel = worker(), ModelChannel()
    shop.publish(atp("A", 1, 1, stamps=committed(100)))
    shop.drain(channel, 1, bad=frozenset({"A"}))
    shop.publish(atp("A", 2, 2, stamps=committed(300)))
    shop.drain(channel, 1)
    assert shop.told("A")[-1].stamps == committed(100)


def test_what_falls_is_judged_by_what_the_channel_holds_now() -> None:
    """While 10 is under way, 5 comes: less than 10, though more than the 2 that had been acknowledged."""
    shop = worker(batch_size=1)
    shop.publish(atp("A", 1, 2))
    for version, figure in ((1, 2), (2, 10)):
        shop.publish(atp("A", version, figure))
        push = shop.next_push()
        assert push is not None
        if version == 2:
            shop.publish(atp("B", 1, 7))
            shop.now_us += 1
            shop.publish(atp("A", 3, 5))
        shop.take(push, OK)
    push = shop.next_push()
    assert push is not None
    assert push.items[0].publication.key == "A"


# Memory


def test_a_key_that_is_always_refused_spoils_no_batch_after_its_first() -> None:
    shop, channel = worker(batch_size=50), ModelChannel()
    for version in range(1, 200):
        for sku in ("bad", *(f"S{n:02}" for n in range(49))):
            shop.publish(atp(sku, version, version))
        shop.now_us += SECOND
        refused = [push for push in shop.drain(channel, 0.2, bad=frozenset({"bad"})) if len(push.items) > 1]
        if version > 2:
            assert all(item.publication.key != "bad" for push in refused for item in push.items)
            assert channel.holds["S48"][0] == version


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED, Outcome.BUSY, Outcome.UNREACHABLE])
def test_memory_is_bounded_by_keys_whatever_the_channel_answers(outcome: Outcome) -> None:
    chance, keys = random.Random(7), 40
    shop = worker(batch_size=10, pace={"per_second": 1e6, "burst": 1000})
    desk, book = shop.desk, shop.desk.book
    for version in range(1, 8_000):
        shop.publish(atp(f"S{chance.randrange(keys)}", version, chance.randrange(100)))
        shop.now_us += 50_000
        if (push := shop.next_push()) is not None:
            good = chance.random() < 0.2
            shop.take(push, OK if good else Answer(outcome, "no"))
        del shop.publications[:]
        assert len(desk) <= 2 * keys
        assert len(book.tellings) <= keys
        assert len(book._held) <= keys
        assert len(book._later) <= 20 * keys
        heaps = book.dirty._all, book.dirty._falling, book.dirty._others
        assert sum(map(len, heaps)) <= 5 * keys + 64
        assert sum(map(len, (*desk._groups._again, *desk._groups._suspects))) <= keys
        assert len(desk._groups._suspects) + len(desk._groups._again) <= 2 * keys + 32
        assert all(len(telling.possible) <= 1 for telling in book.tellings.values())
    assert (INVENTORY, "S0") in book.tellings


# A changed rule


def order(order_id: str, version: int, channel: str = "shop") -> OrderState:
    return order_state_of(
        Order(order_id=order_id, version=version, complete=True, channel=channel, source_versions={"erp": 1})
    )


def test_a_changed_rule_is_told_at_once_of_the_keys_it_concerns() -> None:
    shop, channel = worker(order_channel="shop"), ModelChannel()
    shop.publish(atp("A", 1, 9))
    for name, of in (("SO-1", "shop"), ("SO-2", "telephone")):
        shop.desk.book.state(0, (ORDER, name), order(name, 1, of), shop.now_us)

    def told_under(**changes: object) -> set[str]:
        shop.desk.change_rule(rule(**changes), shop.now_us)
        return {item.publication.key for push in shop.drain(channel, 1) for item in push.items}

    assert told_under(order_channel="shop") == {"A", "SO-1"}
    assert told_under(order_channel="shop", buffer=1) == {"A"}, "no order is told again for a buffer"
    assert told_under(buffer=1) == {"SO-2"}, "an order that the channel sees from now on"
    assert told_under(buffer=1, batch_size=7) == set()
    assert told_under(buffer=1, url="http://127.0.0.1:10") == {"A", "SO-1", "SO-2"}, "another receiver knows nothing"
    assert told_under(buffer=2, url="http://127.0.0.1:10", tells=["orders"]) == set()
    assert told_under(buffer=2, url="http://127.0.0.1:10") == {"A"}


def test_what_was_told_keeps_no_stamps() -> None:
    shop = worker()
    shop.publish(atp("A", 1, 9, stamps=committed(100)))
    shop.drain(ModelChannel(), 1)
    fact = shop.desk.book.tellings[INVENTORY, "A"].fact
    assert fact is not None
    assert fact.stamps == Stamps()


def test_counterexample_28_a_restock_leaves_under_more_decreases_than_the_pace() -> None:
    shop, channel = worker(pace={"per_second": 2, "burst": 2}, oldest_first_after_s=10), ModelChannel()
    for n in range(200):
        shop.publish(atp(f"S{n:03}", 1, 1_000))
    shop.publish(atp("restock", 1, 0))
    shop.drain(channel, 150)
    shop.publish(atp("restock", 2, 50))
    ordered_us = shop.now_us
    for second in range(60):
        for n in range(5):
            shop.publish(atp(f"S{(second * 5 + n) % 200:03}", 2 + second, 900 - second))
        shop.drain(channel, 1)
    told = shop.told("restock")[-1]
    assert told.quantities["*"] == 50
    assert told.acknowledged_us is not None
    assert told.acknowledged_us - ordered_us <= 13 * SECOND
