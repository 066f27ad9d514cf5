"""A channel in memory, and a worker around a `Desk` that can die between any two durable steps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal

from schemas.records import Atp, ExceptionRecord, Publication, PublicationState
from sinks.core.answer import Answer, Outcome
from sinks.core.book import CONTROL, INVENTORY
from sinks.core.desk import Desk, Item, Push
from sinks.core.offer import promise_of
from sinks.core.rule import Rule


@dataclass
class ModelChannel:
    """Applies what lands, without looking at versions, and keeps each location until it is told of it again; the same
    message or item id is applied once."""

    holds: dict[str, tuple[int, dict[str, Decimal]]] = field(default_factory=dict)
    contents: dict[str, object] = field(default_factory=dict)
    """Id → what it told, to see that an id never tells two things."""
    applied: set[str] = field(default_factory=set)

    def see(self, push: Push) -> None:
        for identity, told in [(push.id, [_told(item) for item in push.items])] + [
            (item.publication.id, _told(item)) for item in push.items
        ]:
            assert self.contents.setdefault(identity, told) == told, f"{identity} tells two things"

    def land(self, push: Push) -> None:
        if push.id not in self.applied:
            self.applied.add(push.id)
            for told in (item.publication for item in push.items):
                if told.id not in self.applied:
                    self.applied.add(told.id)
                    _, before = self.holds.get(told.key, (0, {}))
                    self.holds[told.key] = (told.source_version, {**before, **told.quantities})


def _told(item: Item) -> tuple[str, int, tuple[tuple[str, Decimal], ...]]:
    publication = item.publication
    return publication.key, publication.source_version, tuple(publication.quantities.items())


@dataclass
class ModelWorker:
    """Durable: publications and exceptions.  Everything else dies with the desk."""

    rule: Rule
    atps: dict[str, Atp] = field(default_factory=dict)
    """The compacted topic."""
    publications: list[Publication] = field(default_factory=list)
    exceptions: list[ExceptionRecord] = field(default_factory=list)
    now_us: int = 1_000_000
    whole: bool = True
    """Inventory has said that it knows no more than `atps`."""

    def __post_init__(self) -> None:
        self.desk = Desk(self.rule, self.now_us)

    def restart(self) -> None:
        """A new owner reads back."""
        self.desk = Desk(self.rule, self.now_us)
        for exception in self.exceptions:
            self.desk.complaints.recall(exception)
        for publication in self.publications:
            if publication.kind == CONTROL:
                self.desk.order(publication, self.now_us)
            else:
                self.desk.book.recall(0, publication, self.now_us)
        for atp in self.atps.values():
            self.desk.book.state(0, (INVENTORY, atp.sku), promise_of(atp), self.now_us)
        self.desk.book.caught_up(0)
        if self.whole:
            self.desk.book.nothing_else(0, self.now_us)

    def publish(self, atp: Atp) -> None:
        self.atps[atp.sku] = atp
        self.desk.book.state(0, (INVENTORY, atp.sku), promise_of(atp), self.now_us)

    def withdraw(self, sku: str) -> None:
        """A tombstone."""
        self.atps.pop(sku, None)
        self.desk.book.state(0, (INVENTORY, sku), None, self.now_us)

    def order(self, control: Publication) -> None:
        self.publications.append(control)
        self.exceptions += self.desk.order(control, self.now_us)

    def next_push(self) -> Push | None:
        """With its intents durable."""
        self.desk.book.tick(self.now_us)
        push = self.desk.next_push(self.now_us)
        if push is not None:
            self.publications += [item.publication for item in push.items]
        return push

    def take(self, push: Push, answer: Answer) -> None:
        records = self.desk.answered(push, answer, self.now_us)
        self.publications += records.publications
        self.exceptions += records.exceptions
        if records.control is not None:
            self.publications.append(records.control)

    def told(self, key: str) -> list[Publication]:
        acknowledged = PublicationState.ACKNOWLEDGED
        return [told for told in self.publications if told.key == key and told.state is acknowledged]

    def drain(self, channel: ModelChannel, seconds: float = 600.0, bad: frozenset[str] = frozenset()) -> list[Push]:
        """Let time pass while the channel takes everything but `bad`; the pushes made."""
        pushes, end_us = [], self.now_us + int(seconds * 1_000_000)
        while self.now_us < end_us:
            push = self.next_push()
            if push is None:
                self.now_us += 100_000
                continue
            pushes.append(push)
            channel.see(push)
            if bad & {item.publication.key for item in push.items}:
                self.take(push, Answer(Outcome.REJECTED, "422 no"))
            else:
                channel.land(push)
                self.take(push, Answer(Outcome.ACCEPTED, "200"))
        return pushes


def any_outcome(chance: random.Random) -> Outcome:
    """Anything a channel can do but GONE and REJECTED, which need a person or a bad item."""
    return chance.choice(
        [Outcome.ACCEPTED] * 5
        + [
            Outcome.BUSY,
            Outcome.UNREACHABLE,
            Outcome.FAILED,
            Outcome.TIMED_OUT,
            Outcome.MISCONFIGURED,
            Outcome.NOT_SENT,
        ]
    )
