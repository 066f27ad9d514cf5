"""Random lives of a channel: whatever fails and whoever dies, in the end the channel holds the newest of everything.

Requests of unknown outcome land at once, late or never; workers die between any two durable steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from sinks.core import ledger
from sinks.core.answer import Answer, Outcome
from sinks.core.book import INVENTORY, Book
from sinks.core.desk import Push
from sinks.core.ledger import Telling
from sinks.core.offer import offer, promise_of
from tests.unit.sinks.facts import ZERO, atp, rule
from tests.unit.sinks.model import ModelChannel, ModelWorker, any_outcome

SKUS = [f"S{n}" for n in range(6)]
LOCATIONS = ("W1", "W2", "W3")
SETTLE_S = 20
LATEST_LANDING_US = (SETTLE_S - 4) * 1_000_000
"""Less than the settling time by more than one step of these lives."""


def live(seed: int) -> None:
    """One life; raises AssertionError when something stands that should not."""
    chance = random.Random(seed)
    rules = [rule(settle_s=SETTLE_S, batch_size=chance.choice([1, 3, 50]), buffer=buffer) for buffer in (0, 2)]
    worker, channel = ModelWorker(rules[0]), ModelChannel()
    in_the_air: list[tuple[int, Push]] = []
    newest_sent: dict[str, int] = {}
    version = 0
    for _ in range(chance.randrange(20, 120)):
        worker.now_us += chance.choice([1_000, 200_000, 3_000_000])
        for landing in [entry for entry in in_the_air if entry[0] <= worker.now_us]:
            in_the_air.remove(landing)
            channel.land(landing[1])
        step = chance.random()
        if step < 0.45:
            version += 1
            sku = chance.choice(SKUS)
            figures = {name: chance.randrange(-3, 20) for name in LOCATIONS if chance.random() < 0.5}
            worker.publish(atp(sku, version, chance.randrange(-3, 20), locations=figures))
        elif step < 0.48:
            worker.withdraw(chance.choice(SKUS))
        elif step < 0.52:
            worker.rule = chance.choice(rules)
            worker.desk.change_rule(worker.rule, worker.now_us)
        elif step < 0.59:
            worker.restart()
        elif (push := worker.next_push()) is not None:
            channel.see(push)
            for item in push.items:
                told = item.publication
                assert told.source_version >= newest_sent.get(told.key, 0), "an older version after a newer one"
                newest_sent[told.key] = told.source_version
            outcome = Outcome.REJECTED if chance.random() < 0.05 else any_outcome(chance)
            dies = chance.random() < 0.15
            if outcome is Outcome.ACCEPTED:
                channel.land(push)
            elif outcome.unknown and chance.random() < 0.8:
                in_the_air.append((worker.now_us + chance.randrange(LATEST_LANDING_US), push))
            if dies:
                worker.restart()
            else:
                worker.take(push, Answer(outcome, str(outcome)))
    end_us = worker.now_us + LATEST_LANDING_US
    while worker.now_us <= end_us:
        worker.drain(channel, 0.5)
        for _, push in [entry for entry in in_the_air if entry[0] <= worker.now_us]:
            channel.land(push)
        in_the_air = [entry for entry in in_the_air if entry[0] > worker.now_us]
    worker.drain(channel, 200)
    for sku in SKUS:
        check(worker, channel, sku)
    assert len(worker.desk) == 0
    worker.restart()
    assert worker.next_push() is None, "a replay repeats an effect"


def check(worker: ModelWorker, channel: ModelChannel, sku: str) -> None:
    """The channel holds the newest promise of a sku, zero where it names nothing; nothing is said of a parked one."""
    telling = worker.desk.book.tellings.get((INVENTORY, sku))
    newest = worker.atps.get(sku)
    if telling is None or telling.parked is not None:
        return
    version, holds = channel.holds.get(sku, (0, {}))
    if newest is None:
        assert not any(holds.values()), f"{sku} is gone"
        return
    assert version == newest.version, sku
    assert holds == {**dict.fromkeys(holds, ZERO), **offer(promise_of(newest), worker.rule, 0)}, sku


def test_the_newest_stands_in_the_end() -> None:
    for seed in range(400):
        live(seed)


def break_doubt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Telling, "doubt", lambda self, *request: None)


def break_settling(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Book, "_settle_us", property(lambda self: 0))


def break_take_over(patch: pytest.MonkeyPatch) -> None:
    recall = Telling.recall

    def forgetful(self: Telling, publication: object, settle_us: int, *, foreign: bool = False) -> None:
        recall(self, publication, settle_us, foreign=foreign)  # type: ignore[arg-type]
        self.renew, self.doubt_us = False, None

    patch.setattr(Telling, "recall", forgetful)


def break_sequence(patch: pytest.MonkeyPatch) -> None:
    stamp = Telling.next_stamp
    patch.setattr(Telling, "next_stamp", lambda self, *version: stamp(self, *version)._replace(sequence=0))


def break_versions(patch: pytest.MonkeyPatch) -> None:
    compose = Book.compose

    def stale(self: Book, key: tuple[str, str], waiting: object, now_us: int) -> object:
        telling = self.tellings[key]
        if telling.fact is not None and telling.last is not None and telling.last.source_version > 1:
            older = telling.last._replace(source_version=telling.last.source_version - 1)
            telling.last = older
            telling.fact = telling.fact._replace(version=older.source_version)
        return compose(self, key, waiting, now_us)  # type: ignore[arg-type]

    patch.setattr(Book, "compose", stale)


def break_locations(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger, "most", lambda one, other: dict(one))


def break_withdrawal(patch: pytest.MonkeyPatch) -> None:
    stamp = Telling.next_stamp
    patch.setattr(
        Telling, "next_stamp", lambda self, *version: stamp(self, version[0], version[1], version[2], self.withdraws)
    )


@pytest.mark.parametrize(
    "guard",
    [
        *(break_doubt, break_settling, break_take_over, break_sequence, break_versions, break_locations),
        break_withdrawal,
    ],
)
def test_each_guard_is_needed(guard: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    guard(monkeypatch)

    def lives() -> None:
        for seed in range(400):
            live(seed)

    with pytest.raises(AssertionError):
        lives()
