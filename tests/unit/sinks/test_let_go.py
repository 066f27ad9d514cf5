"""Orders at rest are let go: bounded work, a fiftieth of the memory, and nothing is told twice or not at all."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from schemas.records import Publication, Stamps
from sinks.core.answer import Answer, Outcome
from sinks.core.book import LET_GO_AT_ONCE, ORDER
from sinks.core.desk import Desk, Push, resend_record
from sinks.core.offer import OrderState
from sinks.core.versions import VersionMap
from tests.unit.sinks.facts import SECOND, rule

DAY = 86_400 * SECOND
DAYS = 30


def order(version: int, execution: str = "picked") -> OrderState:
    statuses = (("financial", "paid"), ("execution", execution), ("delivery", "unknown"), ("presentation", "unknown"))
    return OrderState(version, "1", "web", statuses, None, Stamps(), "erp")


class Teller:
    """A desk, the topic of orders, and what stands in channel.publication.v1."""

    def __init__(self) -> None:
        self.now_us = DAY
        self.topic: list[tuple[str, OrderState | None]] = []
        self.publications: list[Publication] = []
        self.rule = rule(pace={"per_second": 1e6, "burst": 100_000}, orders_remembered_days=DAYS, batch_size=1000)
        self.desk = Desk(self.rule, self.now_us)

    def say(self, name: str, fact: OrderState | None) -> None:
        self.topic.append((name, fact))
        self.desk.book.state(0, (ORDER, name), fact, self.now_us)

    def push(self, outcome: Outcome = Outcome.ACCEPTED) -> list[tuple[str, int]]:
        """(order, version) of everything that is told now."""
        told = []
        while (push := self.desk.next_push(self.now_us)) is not None:
            told += self.answer(push, outcome)
        return told

    def answer(self, push: Push, outcome: Outcome) -> list[tuple[str, int]]:
        self.publications += [item.publication for item in push.items]
        self.publications += self.desk.answered(push, Answer(outcome, ""), self.now_us).publications
        return [(item.publication.key, item.publication.source_version) for item in push.items]

    def pass_days(self, days: float, ticks: int = 1) -> None:
        self.now_us += int(days * DAY)
        for _ in range(ticks):
            self.desk.book.tick(self.now_us)
            self.desk.oldest_us()  # as the worker does

    def restart(self) -> None:
        self.desk = Desk(self.rule, self.now_us)
        for publication in self.publications:
            self.desk.book.recall(0, publication, self.now_us)
        for name, fact in self.topic:
            self.desk.book.state(0, (ORDER, name), fact, self.now_us)
        self.desk.book.caught_up(0)

    @property
    def remembered(self) -> set[str]:
        return {key[1] for key in self.desk.book.tellings}


def told_once() -> Teller:
    teller = Teller()
    teller.say("A", order(1))
    teller.say("A", order(2, "packed"))
    assert teller.push() == [("A", 2)]
    return teller


def test_an_order_is_let_go_only_when_the_channel_took_its_newest_state_long_ago() -> None:
    teller = told_once()
    teller.pass_days(DAYS - 1)
    assert (teller.remembered, teller.desk.book.let_go) == ({"A"}, 0)
    teller.pass_days(2)
    assert (teller.remembered, teller.desk.book.let_go) == (set(), 1)


def test_a_newer_state_begins_the_time_anew() -> None:
    teller = told_once()
    teller.pass_days(DAYS - 1)
    teller.say("A", order(3))
    teller.push()
    teller.pass_days(2)
    assert teller.remembered == {"A"}
    teller.pass_days(DAYS)
    assert teller.remembered == set()


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED, Outcome.BUSY])
def test_an_order_that_the_channel_did_not_take_is_never_let_go(outcome: Outcome) -> None:
    teller = Teller()
    teller.say("A", order(1))
    push = teller.desk.next_push(teller.now_us)
    assert push is not None
    teller.answer(push, outcome)
    teller.pass_days(2 * DAYS, ticks=3)
    assert teller.remembered == {"A"}


def test_what_comes_again_of_an_order_that_was_let_go_is_not_told_again_and_what_is_new_is() -> None:
    teller = told_once()
    teller.pass_days(DAYS + 1)
    teller.say("A", order(2, "packed"))  # a duplicate
    teller.say("A", order(1))  # a former owner's late write
    assert teller.push() == []
    assert teller.remembered == set()
    teller.say("A", order(3, "shipped"))
    assert teller.push() == [("A", 3)]
    teller.pass_days(DAYS + 1)
    assert (teller.remembered, teller.desk.book.let_go) == (set(), 1)


def test_after_a_restart_it_is_let_go_at_once_and_nothing_is_told_again() -> None:
    teller = told_once()
    teller.say("B", order(5))
    teller.pass_days(DAYS + 1)
    teller.push()  # B, now
    teller.restart()
    assert teller.remembered == {"B"}
    assert teller.push() == []
    teller.topic.append(("A", order(9)))
    teller.restart()
    assert teller.push() == [("A", 9)]


def test_an_open_intent_behind_what_was_let_go_is_told_once_more() -> None:
    """A person had it told again, and the worker died before the answer."""
    teller = told_once()
    teller.desk.order(resend_record("shop", "order/A", teller.now_us + 1), teller.now_us + 1)
    teller.now_us += 2
    push = teller.desk.next_push(teller.now_us)
    assert push is not None
    teller.publications += [item.publication for item in push.items]
    teller.now_us += (DAYS + 1) * DAY
    teller.restart()
    assert teller.push() == [("A", 2)]


def test_a_former_owners_late_request_of_what_was_let_go_brings_nothing_back() -> None:
    teller = told_once()
    teller.pass_days(DAYS + 1)
    teller.desk.book.recall(0, teller.publications[-1], teller.now_us, foreign=True)
    assert (teller.remembered, teller.push()) == (set(), [])


def test_a_partition_that_goes_to_another_worker_takes_all_with_it() -> None:
    teller = told_once()
    teller.pass_days(DAYS + 1)
    teller.desk.book.forget({0})
    assert teller.desk.book.let_go == 0


def test_an_order_that_nobody_knows_any_more_leaves_nothing_behind() -> None:
    teller = told_once()
    teller.pass_days(DAYS + 1)
    teller.say("A", None)
    assert (teller.desk.book.let_go, teller.remembered) == (0, set())


def test_a_tick_lets_go_of_so_many_and_an_order_costs_little_then() -> None:
    count = 3 * LET_GO_AT_ONCE
    teller = Teller()
    tracemalloc.start()
    try:
        empty, _ = tracemalloc.get_traced_memory()
        for n in range(count):
            teller.desk.book.state(0, (ORDER, f"4711-{n:09}"), order(n + 1), teller.now_us)
        while (push := teller.desk.next_push(teller.now_us)) is not None:
            teller.desk.answered(push, Answer(Outcome.ACCEPTED, ""), teller.now_us)
        full, _ = tracemalloc.get_traced_memory()
        teller.pass_days(DAYS + 1)
        assert len(teller.remembered) == count - LET_GO_AT_ONCE
        teller.pass_days(0, ticks=2)
        assert (len(teller.remembered), teller.desk.book.let_go) == (0, count)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    fixed = 800_000  # empty buckets, and what dictionaries keep to grow into
    assert left - empty - fixed < (full - empty) / 10


def test_a_version_map_is_a_dictionary() -> None:
    chance = random.Random(1)
    versions, model = VersionMap(), dict[str, int]()
    for _ in range(20_000):
        key = f"K{chance.randrange(3000)}"
        match chance.randrange(4):
            case 0:
                versions.discard(key)
                model.pop(key, None)
            case 1:
                assert versions.get(key) == model.get(key)
            case _:
                model[key] = chance.randrange(1 << 62)
                versions.put(key, model[key])
    assert len(versions) == len(model)
    assert {key: versions.get(key) for key in model} == model
