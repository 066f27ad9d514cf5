"""The worker of one channel: facts in, pushes out, every outcome recorded.

Theory of operation.  Workers of one channel share the partitions of `inventory.atp.v1` and `order.v1` as one consumer
group.  Who is given partition p

1. reads partition p of `channel.publication.v1` to its end: what the channel acknowledged, which intents are open, and
   what people ordered (a publication stands in the partition of the fact it tells, not in that of its own key);
2. reads the compacted facts of partition p from the beginning to the end; only then pushes anything, and takes back
   what is not there only when inventory has said that it knows no more (`wholeness`);
3. keeps following `channel.publication.v1`: a record there that another worker wrote is a former owner's late request,
   whose key is told once more.

An intent is durable before its push.  A worker that held still for longer than its lease asks the group whether it is
still a member before it pushes anything; the last look at the lease comes right before the bytes leave.  Offsets in
Kafka are committed for that question and for monitoring only.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from schemas.codec import Codec
from schemas.errors import OnhandError, PoisonRecord
from schemas.intervals import is_over
from schemas.records import Atp, ExceptionRecord, Order, Progress, Publication
from sinks.channels.adapter import ChannelAdapter
from sinks.core.answer import Answer, Outcome
from sinks.core.book import CONTROL, INVENTORY, ORDER, SourceState
from sinks.core.complaints import Place
from sinks.core.desk import Desk, Push, Records
from sinks.core.offer import order_state_of, promise_of
from sinks.core.rule import Rule
from sinks.core.told import Place as Where
from sinks.core.told import Promised, Stated
from sinks.workers import wire
from sinks.workers.told import Teller, promised_by, stated
from sinks.workers.wholeness import Wholeness
from sinks.workers.wire import Outbox, Received

logger = logging.getLogger(__name__)

IDLE_POLL_S = 0.05
BUSY_POLL_S = 0.004
TICK_US = 100_000
RULE_CHECK_US = 1_000_000
RAW_BYTES = 64 << 10
SECOND_US = 1_000_000

KINDS = {wire.ATP: INVENTORY, wire.ORDER: ORDER}
ORDERS = "orders"
STAGES = (INVENTORY, ORDERS)
"""Whose progress says how far the facts of `rule.tells` are."""
RULE_INVALID = "channel-rule-invalid"


class Answered(NamedTuple):
    """An answer and when it came."""

    answer: Answer
    at_us: int


class ChannelWorker:
    """One process of one channel."""

    def __init__(
        self,
        rule: Rule,
        *,
        bootstrap: str,
        session_timeout_s: float,
        codec: Codec,
        reload_rule: Callable[[], Rule | None],
        adapter: Callable[[Rule], ChannelAdapter],
        clock_us: Callable[[], int],
    ) -> None:
        """`reload_rule` gives the rule when its file changed, else None, and raises InvalidInput."""
        self._codec = codec
        self._reload_rule = reload_rule
        self._new_adapter = adapter
        self._clock_us = clock_us
        self._lease_s = session_timeout_s / 2
        self._worker = uuid.uuid4().hex
        self.desk = Desk(rule, clock_us())
        self._adapter = adapter(rule)
        group = f"channel-{rule.name}"
        self._facts = wire.consumer(
            bootstrap,
            group,
            **{
                "enable.auto.commit": True,
                "session.timeout.ms": int(session_timeout_s * 1000),
                "heartbeat.interval.ms": int(session_timeout_s * 250),
                "partition.assignment.strategy": "range",
            },
        )
        self._side = wire.consumer(bootstrap, f"{group}-side-{self._worker}", **wire.UNHURRIED)
        self._outbox = Outbox(bootstrap, self._worker, codec)
        self._side_next: dict[tuple[str, int], int] = {}
        self._progress: dict[tuple[int, str], SourceState] = {}
        self._said: dict[tuple[str, int, str], Stated] = {}
        """By stage, partition and source, its newest progress."""
        self._pulse = wire.Pulse(bootstrap)
        self._teller = Teller(bootstrap, rule.name)
        self._wholeness = Wholeness(bootstrap, group)
        self._outcomes: Counter[str] = Counter()
        self._ended: dict[Where, int] = {}
        """Where the end of a partition of facts was met last."""
        self._owned: set[int] = set()
        self._behind: set[tuple[str, int]] = set()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="push")
        self._pushing: tuple[Push, Future[Answered]] | None = None
        self._polled_s = _boottime_s()
        self._unsure = False
        """We held still for longer than the lease, and the group has not said since that we are one of it."""
        self._ticked_us = 0
        self._health: dict[str, Any] = {"healthy": True, "state": "starting"}
        self._rule_checked_us = clock_us()
        self._partitions = len(wire.partitions_of(self._facts, wire.PUBLICATION))

    # Life ----------------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set.  Raises Fatal: start again."""
        self._read_side_topics()
        self._facts.subscribe(
            [wire.ATP, wire.ORDER], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        try:
            while not stop.is_set():
                self._turn()
        finally:
            self._close()

    def health(self) -> dict[str, Any]:
        """For the health answer and `onhand channel status`; made ten times a second, read from another thread.

        Asks Kafka whether it is there: without it nothing can be told, and the worker waits.
        """
        answer = dict(self._health)
        if not self._pulse.beats():
            answer |= {"healthy": False, "ready": False, "error": wire.NO_ANSWER}
        return answer

    def _turn(self) -> None:
        self._read_facts()
        self._follow_side()
        now_us = self._clock_us()
        if is_over(self._ticked_us, TICK_US, now_us):
            self._ticked_us = now_us
            self.desk.book.tick(now_us)
            self._take_back(now_us)
            self._state_told(now_us)
            self._health = self._state(now_us)
        if is_over(self._rule_checked_us, RULE_CHECK_US, now_us):
            self._rule_checked_us = now_us
            self._watch_rule(now_us)
        if self._pushing is not None and self._pushing[1].done():
            self._take_answer()
        if self._pushing is None and self._owned and not self._behind:
            self._push(now_us)
        self._outbox.poll()

    def _state(self, now_us: int) -> dict[str, Any]:
        desk = self.desk
        oldest_us = desk.book.dirty.oldest_us()
        return {
            "healthy": True,
            "state": desk.channel_state.value,
            "partitions": sorted(self._owned),
            "ready": bool(self._owned) and not self._behind,
            "keys": len(desk.book.tellings),
            "waiting": len(desk),
            "withheld": desk.book.withheld,
            "oldest_waiting_s": None if oldest_us is None else round((now_us - oldest_us) / SECOND_US, 3),
            "failures_in_a_row": desk.failures,
            "last_answer": desk.last_answer,
            "last_accepted_us": desk.last_accepted_us,
            "open_exceptions": len(desk.complaints),
            "pushed": dict(self._outcomes),
            "told_up_to_us": self._teller.told_up_to_us(),
        }

    def _take_back(self, now_us: int) -> None:
        """What the channel was told of items that nobody knows any more."""
        if not self._wholeness.waits:
            return
        read = {
            partition: position
            for (topic, partition), position in self._positions().items()
            if topic == wire.ATP and (topic, partition) not in self._behind
        }
        for partition in self._wholeness.turn(read):
            self.desk.book.nothing_else(partition, now_us)

    def _state_told(self, now_us: int) -> None:
        """One step towards saying up to when the channel has been told all."""
        if self._behind or not self._owned:
            return
        under_way = (
            min((item.waiting.since_us for item in self._pushing[0].items), default=None) if self._pushing else None
        )
        waits = [at for at in (self.desk.oldest_us(), under_way) if at is not None]
        for progress in self._teller.turn(self._promised, self._positions, min(waits, default=None), now_us):
            key = f"{progress.stage}/{progress.source}/{progress.partition}"
            self._outbox.send(wire.PROGRESS, key, progress)

    def _promised(self) -> Promised:
        return promised_by([stage for stage in STAGES if stage in self.desk.rule.tells], self._owned, self._said)

    def _positions(self) -> dict[Where, int]:
        """Next offset to read of every partition of facts."""
        places = [TopicPartition(topic, partition) for topic in KINDS for partition in self._owned]
        return {
            (place.topic, place.partition): max(place.offset, self._ended.get((place.topic, place.partition), 0))
            for place in self._facts.position(places)
        }

    def _close(self) -> None:
        if self._pushing is not None:
            self._take_answer()
        self._outbox.settle()
        self._facts.close()
        self._side.close()
        self._outbox.close()
        self._pool.shutdown()
        self._adapter.close()

    # Reading -------------------------------------------------------------------------------------------------------

    def _read_side_topics(self) -> None:
        """Progress and exceptions, to their ends."""
        for record in wire.read_to_end(self._side, {(wire.EXCEPTION, 0): None, (wire.PROGRESS, 0): None}):
            self._side_next[record.topic, 0] = record.offset + 1
            self._note(record)
        self._assign_side()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions are ours: read back what was told, then the facts from the beginning."""
        now_us = self._clock_us()
        owned = {place.partition for place in partitions}
        for record in wire.read_to_end(self._side, {(wire.PUBLICATION, p): None for p in owned}):
            self._side_next[wire.PUBLICATION, record.partition] = record.offset + 1
            self._recall(record, now_us, foreign=False)
        self._owned |= owned
        self._teller.forget(self._owned)
        self._wholeness.begin(owned)
        self._behind |= {(place.topic, place.partition) for place in partitions}
        for (partition, source), state in self._progress.items():
            if partition in owned:
                self.desk.book.progress(partition, source, state, now_us)
        self._assign_side()
        consumer.assign([TopicPartition(place.topic, place.partition, OFFSET_BEGINNING) for place in partitions])
        logger.info("channel %s: partitions %s are ours", self.desk.rule.name, sorted(self._owned))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Another worker takes over: finish the push that is under way, then forget."""
        if self._pushing is not None:
            self._take_answer()
        self._outbox.settle()
        gone = {place.partition for place in partitions}
        self._owned -= gone
        self._teller.forget(self._owned)
        self._behind -= {(place.topic, place.partition) for place in partitions}
        self.desk.book.forget(gone)
        self._wholeness.forget(gone)
        for partition in gone:
            self._side_next.pop((wire.PUBLICATION, partition), None)
        self._assign_side()

    def _assign_side(self) -> None:
        places = {(wire.PROGRESS, 0), (wire.EXCEPTION, 0), *((wire.PUBLICATION, p) for p in self._owned)}
        self._side.assign([TopicPartition(*place, self._side_next.get(place, OFFSET_BEGINNING)) for place in places])

    def _read_facts(self) -> None:
        """One poll, and whatever else has come by then."""
        if self._pushing is None:
            first = self._facts.poll(self._patience_s())
        else:  # nothing can be told before the answer is in: it is what is waited for
            wait((self._pushing[1],), BUSY_POLL_S)
            first = self._facts.poll(0)
        now_s = _boottime_s()
        self._unsure = self._unsure or now_s - self._polled_s > self._lease_s
        self._polled_s = now_s
        if first is None:
            return
        now_us = self._clock_us()
        for message in [first, *self._facts.consume(2000, 0)]:
            record = wire.received(message)
            if record is None or record.partition not in self._owned:
                continue
            if record.end:
                self._reached_end(record, now_us)
            else:
                self._fact(record, now_us)

    def _patience_s(self) -> float:
        if self._behind:
            return BUSY_POLL_S
        if not len(self.desk):
            return IDLE_POLL_S
        return min(IDLE_POLL_S, max(BUSY_POLL_S, self.desk.wait_us(self._clock_us()) / SECOND_US))

    def _reached_end(self, record: Received, now_us: int) -> None:
        place = (record.topic, record.partition)
        self._ended[place] = record.offset
        if place in self._behind:
            self._behind.discard(place)
            if record.topic == wire.ATP:
                self.desk.book.caught_up(record.partition)

    def _fact(self, record: Received, now_us: int) -> None:
        key = (KINDS[record.topic], record.key)
        if record.value is None:
            self.desk.book.state(record.partition, key, None, now_us)
            return
        fact = self._decoded(record)
        if isinstance(fact, Atp) and fact.complete:
            self.desk.book.state(record.partition, key, promise_of(fact), now_us)
        elif isinstance(fact, Order) and fact.complete:
            self.desk.book.state(record.partition, key, order_state_of(fact), now_us)
        else:
            self.desk.book.incomplete(record.partition, key)

    def _follow_side(self) -> None:
        now_us = self._clock_us()
        for message in self._side.consume(1000, 0):
            record = wire.received(message)
            if record is None or record.end:
                continue
            self._side_next[record.topic, record.partition] = record.offset + 1
            if record.topic != wire.PUBLICATION:
                self._note(record)
            elif record.partition in self._owned and record.worker != self._worker:
                self._recall(record, now_us, foreign=True)

    def _note(self, record: Received) -> None:
        """Progress of inventory and orders, and exceptions that people closed."""
        noted = self._decoded(record)
        if isinstance(noted, ExceptionRecord) and record.worker != self._worker:
            self.desk.complaints.recall(noted)
        elif isinstance(noted, Progress) and noted.stage in STAGES:
            self._said[noted.stage, noted.partition, noted.source] = stated(noted)
            if noted.stage != INVENTORY:
                return
            self._wholeness.note(noted)
            if noted.source_time_us is None:
                return
            state = SourceState(noted.source_time_us, noted.uncertain)
            self._progress[noted.partition, noted.source] = state
            if noted.partition in self._owned:
                self.desk.book.progress(noted.partition, noted.source, state, self._clock_us())

    def _recall(self, record: Received, now_us: int, *, foreign: bool) -> None:
        channel = self.desk.rule.name
        if not record.key.startswith(f"{channel}/") or record.value is None:
            return
        publication = self._decoded(record)
        if not isinstance(publication, Publication) or publication.channel != channel:
            return
        if publication.kind == CONTROL:
            self._write_exceptions(self.desk.order(publication, now_us))
        else:
            self.desk.book.recall(record.partition, publication, now_us, foreign=foreign)
            if foreign:
                self._write(self.desk.book.claims(now_us))

    def _decoded(self, record: Received) -> Any:
        """The record, or None after it went to exception.v1: one bad record stops nothing but its key."""
        if record.value is None:
            return None
        try:
            return self._codec.decode(record.topic, record.value)
        except PoisonRecord as error:
            logger.error("%s/%d/%d: %s", record.topic, record.partition, record.offset, error)
            place = Place(record.topic, record.partition, record.offset, record.value[:RAW_BYTES])
            subject = f"{record.topic}/{record.key}"
            action = "find who wrote it; the key waits for the next readable record"
            now_us = self._clock_us()
            opened = self.desk.complaints.open(error.code, subject, str(error), action, now_us, place)
            self._write_exceptions(opened)
            return None

    # Pushing -------------------------------------------------------------------------------------------------------

    def _push(self, now_us: int) -> None:
        if self._unsure and not self._is_member():
            return
        push = self.desk.next_push(now_us)
        if push is None:
            return
        self._write(item.publication for item in push.items)
        self._outbox.settle()
        self._pushing = (push, self._pool.submit(self._pushed, push))

    def _is_member(self) -> bool:
        """Ask the group; when it has given our partitions to another worker, the next poll takes them from us."""
        places = self._facts.position(self._facts.assignment())
        known = [TopicPartition(place.topic, place.partition, max(0, place.offset)) for place in places]
        try:
            self._facts.commit(offsets=known, asynchronous=False)
        except KafkaException as error:
            logger.info("channel %s: held still, and no member any more: %s", self.desk.rule.name, error.args[0].str())
            return False
        self._unsure = False
        return True

    def _pushed(self, push: Push) -> Answered:
        """In the push thread: the last look at the lease, then the bytes."""
        stopped_s = _boottime_s() - self._polled_s
        if stopped_s > self._lease_s:
            return Answered(Answer(Outcome.NOT_SENT, f"stopped for {stopped_s:.1f} s, longer than the lease"), 0)
        return Answered(self._adapter.push(push), self._clock_us())

    def _take_answer(self) -> None:
        """Record what became of the push; waits for it when it is still under way."""
        if self._pushing is None:
            return
        push, future = self._pushing
        self._pushing = None
        answer, at_us = future.result()
        self._outcomes[answer.outcome.value] += len(push.items)
        if answer.outcome is not Outcome.ACCEPTED:
            logger.warning(
                "channel %s: %s (%d items): %s", self.desk.rule.name, answer.outcome, len(push.items), answer
            )
        records = self.desk.answered(push, answer, at_us or self._clock_us())
        self._write_records(records)

    def _write_records(self, records: Records) -> None:
        self._write(records.publications)
        self._write_exceptions(records.exceptions)
        if records.control is not None:
            send_control(self._outbox, records.control, self._partitions)

    def _write(self, publications: Iterable[Publication]) -> None:
        for publication in publications:
            telling = self.desk.book.tellings.get((publication.kind, publication.key))
            if telling is not None:
                self._outbox.send(wire.PUBLICATION, publication_key(publication), publication, telling.partition)

    def _write_exceptions(self, exceptions: Iterable[ExceptionRecord]) -> None:
        for exception in exceptions:
            self._outbox.send(wire.EXCEPTION, exception.id, exception)

    def _watch_rule(self, now_us: int) -> None:
        channel = self.desk.rule.name
        try:
            rule = self._reload_rule()
            if rule is None:
                return
            adapter = self._new_adapter(rule)
        except OnhandError as error:
            logger.error("channel %s: the changed rule is not used: %s", channel, error)
            action = "correct the channel's file; until then the former rule stays in force"
            self._write_exceptions(self.desk.complaints.open(RULE_INVALID, channel, str(error), action, now_us))
            return
        if self._pushing is not None:
            self._take_answer()
        self._adapter.close()
        self._adapter = adapter
        self.desk.change_rule(rule, now_us)
        self._write_exceptions(self.desk.complaints.close(RULE_INVALID, channel, now_us))
        logger.info("channel %s: the changed rule is in force", channel)


def publication_key(publication: Publication) -> str:
    """Key of channel.publication.v1."""
    return f"{publication.channel}/{publication.kind}/{publication.key}"


def send_control(outbox: Outbox, control: Publication, partitions: int) -> None:
    """An order for every worker of a channel: into every partition."""
    for partition in range(partitions):
        outbox.send(wire.PUBLICATION, publication_key(control), control, partition)


def _boottime_s() -> float:
    """Runs on while the machine sleeps and the process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
