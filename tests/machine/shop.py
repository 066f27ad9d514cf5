"""A channel in memory, and its workers around the product's `Desk`, each of which may die or stop between two steps.

It follows `sinks.workers.channel`: what was told is read back first, then the facts; an intent is durable before its
push; records of other workers are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from schemas.records import Atp, ExceptionRecord, Order, Progress, Publication
from sinks.core.answer import Answer, Outcome
from sinks.core.book import CONTROL, INVENTORY, ORDER, SourceState
from sinks.core.desk import Desk, Push, control_record, resend_record
from sinks.core.offer import order_state_of, promise_of
from sinks.core.rule import Rule
from tests.machine.world import PARTITIONS, Kafka
from tests.unit.sinks.model import ModelChannel

PUBLICATION, ATP, ORDERS = "channel.publication.v1", "inventory.atp.v1", "order.v1"
SETTLE_S = 20
SECOND_US = 1_000_000
TYPES: dict[str, Any] = {PUBLICATION: Publication, ATP: Atp, ORDERS: Order, "progress.v1": Progress}
TYPES["exception.v1"] = ExceptionRecord
encode = msgspec.msgpack.Encoder().encode
DECODERS = {topic: msgspec.msgpack.Decoder(type_).decode for topic, type_ in TYPES.items()}


def rule(buffer: int, *, slow: bool = False) -> Rule:
    """The shop's rule; only buffer and pace differ."""
    return Rule.model_validate(
        {
            "name": "shop",
            "adapter": "webhook",
            "url": "http://127.0.0.1:9",
            "secret": "${env:SECRET}",
            "settle_s": SETTLE_S,
            "batch_size": 3,
            "buffer": buffer,
            "park_after_attempts": 4,
            "oldest_first_after_s": 5,
            "pace": {"per_second": 1, "burst": 1} if slow else {},
            "staleness": {"steps": [{"after_s": 7200, "buffer": 1}], "uncertain_step": 1},
        }
    )


class Worker:
    """One process of the channel."""

    def __init__(self, number: int, kafka: Kafka, rule: Rule, clock: Callable[[], int]) -> None:
        self.number, self.kafka, self.clock = number, kafka, clock
        self.desk = Desk(rule, clock())
        self.owned: set[int] = set()
        self._at: dict[tuple[str, int], int] = {}
        self._states: dict[tuple[int, str], SourceState] = {}
        self._whole: set[int] = set()
        """Partitions of which inventory said last that it knows no more than stands in its topic."""
        self._follow_side()

    def assign(self, partitions: set[int]) -> None:
        """Partitions come and go."""
        self.desk.book.forget(self.owned - partitions)
        added, self.owned = partitions - self.owned, partitions
        for partition in sorted(added):
            self._read_told(partition, foreign=False)
            for (of, source), state in self._states.items():
                if of == partition:
                    self.desk.book.progress(partition, source, state, self.clock())
            for topic in (ATP, ORDERS):
                self._at[topic, partition] = 0
                self._read_facts(topic, partition)
            self.desk.book.caught_up(partition)

    def read(self) -> None:
        """Whatever is new."""
        self._follow_side()
        for partition in sorted(self.owned):
            for topic in (ATP, ORDERS):
                self._read_facts(topic, partition)
            if partition in self._whole:
                self.desk.book.nothing_else(partition, self.clock())
            self._read_told(partition, foreign=True)

    def _new(self, topic: str, partition: int) -> Iterable[tuple[bytes, Any, int]]:
        for record in self.kafka.since(topic, partition, self._at.get((topic, partition), 0)):
            self._at[topic, partition] = record.offset + 1
            value = None if record.value is None else DECODERS[topic](record.value)
            worker = int(dict(record.headers).get("w", b"0"))
            yield record.key or b"", value, worker

    def _follow_side(self) -> None:
        for _, complaint, worker in self._new("exception.v1", 0):
            if worker != self.number:
                self.desk.complaints.recall(complaint)
        for _, noted, _ in self._new("progress.v1", 0):
            if noted.stage == INVENTORY:
                (self._whole.add if noted.whole_topic_id else self._whole.discard)(noted.partition)
            if noted.stage == INVENTORY and noted.source_time_us is not None:
                state = SourceState(noted.source_time_us, noted.uncertain)
                self._states[noted.partition, noted.source] = state
                if noted.partition in self.owned:
                    self.desk.book.progress(noted.partition, noted.source, state, self.clock())

    def _read_facts(self, topic: str, partition: int) -> None:
        kind, book = (INVENTORY if topic == ATP else ORDER), self.desk.book
        for raw, fact, _ in self._new(topic, partition):
            key = (kind, raw.decode())
            if fact is None or not fact.complete:
                if fact is None:
                    book.state(partition, key, None, self.clock())
                else:
                    book.incomplete(partition, key)
            else:
                known = promise_of(fact) if isinstance(fact, Atp) else order_state_of(fact)
                book.state(partition, key, known, self.clock())

    def _read_told(self, partition: int, *, foreign: bool) -> None:
        if not foreign:
            self._at[PUBLICATION, partition] = 0
        for _, told, worker in self._new(PUBLICATION, partition):
            if foreign and worker == self.number:
                continue
            if told.kind == CONTROL:
                self._complain(self.desk.order(told, self.clock()))
            else:
                self.desk.book.recall(partition, told, self.clock(), foreign=foreign)
        self._write(self.desk.book.claims(self.clock()))

    # -- telling

    def compose(self) -> Push | None:
        """The next push, its intents durable."""
        self.desk.book.tick(self.clock())
        push = self.desk.next_push(self.clock())
        if push is not None:
            self._write(item.publication for item in push.items)
        return push

    def take(self, push: Push, outcome: Outcome) -> None:
        """The answer came."""
        records = self.desk.answered(push, Answer(outcome, str(outcome)), self.clock())
        self._write(records.publications)
        self._complain(records.exceptions)
        if records.control is not None:
            for partition in range(PARTITIONS):
                self._send(records.control, partition)

    def _write(self, publications: Iterable[Publication]) -> None:
        for told in publications:
            telling = self.desk.book.tellings.get((told.kind, told.key))
            if telling is not None:
                self._send(told, telling.partition)

    def _send(self, told: Publication, partition: int) -> None:
        key = f"shop/{told.kind}/{told.key}".encode()
        self.kafka.append(PUBLICATION, partition, [(key, encode(told))], [("w", b"%d" % self.number)])

    def _complain(self, exceptions: Iterable[ExceptionRecord]) -> None:
        for exception in exceptions:
            self.kafka.append(
                "exception.v1", 0, [(exception.id.encode(), encode(exception))], [("w", b"%d" % self.number)]
            )


class Shop:
    """The channel and whoever works for it: one or two workers that share the partitions."""

    def __init__(self, kafka: Kafka, clock: Callable[[], int]) -> None:
        self.kafka, self.clock = kafka, clock
        self.channel = ModelChannel()
        self.rule = rule(0)
        self.refuses: set[str] = set()
        self.in_the_air: list[tuple[int, Push]] = []
        """(when it lands, request) of unknown outcome."""
        self.unread: list[tuple[Worker, Push, Outcome]] = []
        """Answers that a stopped worker has not written down yet."""
        self.newest: dict[tuple[str, str], int] = {}
        self.wrong: list[str] = []
        self._numbers = 0
        self.workers = [self._worker(set(range(PARTITIONS)))]

    def _worker(self, partitions: set[int]) -> Worker:
        self._numbers += 1
        worker = Worker(self._numbers, self.kafka, self.rule, self.clock)
        worker.assign(partitions)
        return worker

    def push(self, outcome: Outcome, *, lands_s: int | None, dies: bool, turn: int = 0) -> Push | None:
        """One push of one worker and what becomes of it; `lands_s`: when a request of unknown outcome lands."""
        worker = self.workers[turn % len(self.workers)]
        worker.read()
        push = worker.compose()
        if push is None:
            return None
        self.channel.see(push)
        for item in push.items:
            told = item.publication
            if told.source_version < self.newest.get((told.kind, told.key), 0):
                self.wrong.append(f"{told.key}: version {told.source_version} was sent after a newer one")
            self.newest[told.kind, told.key] = told.source_version
        if outcome is Outcome.ACCEPTED and self.refuses & {item.publication.key for item in push.items}:
            outcome = Outcome.REJECTED
        if outcome is Outcome.ACCEPTED:
            self.channel.land(push)
        elif outcome.unknown and lands_s is not None:
            self.in_the_air.append((self.clock() + lands_s * SECOND_US, push))
        if dies:
            self.unread.append((worker, push, outcome))
            self.replace(turn)
        else:
            worker.take(push, outcome)
        return push

    def follow(self) -> None:
        """Workers read, also while the channel takes nothing."""
        for worker in self.workers:
            worker.read()

    def land(self) -> bool:
        """Requests whose time has come; True: there were some."""
        due = [entry for entry in self.in_the_air if entry[0] <= self.clock()]
        self.in_the_air = [entry for entry in self.in_the_air if entry[0] > self.clock()]
        for _, push in due:
            self.channel.land(push)
        return bool(due)

    def replace(self, turn: int) -> None:
        """A worker dies, and another one takes its partitions."""
        index = turn % len(self.workers)
        self.workers[index] = self._worker(self.workers[index].owned)

    def rebalance(self) -> None:
        """From one worker to two, or back."""
        if len(self.workers) == 1:
            self.workers[0].assign({0})
            self.workers.append(self._worker({1}))
        else:
            self.workers.pop().assign(set())
            self.workers[0].assign(set(range(PARTITIONS)))

    def wake(self) -> None:
        """A stopped worker writes its answer down, long after another took its place."""
        for worker, push, outcome in self.unread:
            worker.take(push, outcome)
        self.unread.clear()

    def change_rule(self, buffer: int, *, slow: bool = False) -> None:
        self.rule = rule(buffer, slow=slow)
        for worker in self.workers:
            worker.desk.change_rule(self.rule, self.clock())

    def resume(self) -> None:
        """A person: the channel wants something again."""
        self._person(control_record("shop", "state", "running", self.clock()))

    def retry(self, subject: str) -> None:
        """A person has one item told again that was parked."""
        self._person(resend_record("shop", subject, self.clock()))

    def _person(self, control: Publication) -> None:
        key = f"shop/{control.kind}/{control.key}".encode()
        for partition in range(PARTITIONS):
            self.kafka.append(PUBLICATION, partition, [(key, encode(control))], [])
