"""One channel's desk: what to push next, and what an answer means.  Pure; the worker moves the bytes.

Theory of operation.  One push is under way at a time.  `next_push` composes it from the newest facts (so a version is
never sent after a newer one) and hands out the intents, which the worker makes durable *before* it pushes.  `answered`
turns the answer into outcomes to record, and decides what happens to the items:

    accepted                          told
    rejected, several items           halved until the bad one stands alone; healthy ones never wait behind it
    rejected, one item                parked with its reason, until a newer version or a person comes
    busy, unreachable, misconfigured  made again as it was, under the same id, after the wait
    failed, timed out                 likewise, and in doubt; from the second time halved; a single item that goes on
                                      failing while others pass is held back alone, and in the end parked
    gone (410)                        the channel is disabled until a person resumes it

When many pushes in a row fail the channel as a whole is down: nothing is searched for, everything goes back to the
dirty map, where newer versions replace older ones, and one item at a time asks whether it is back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec

from schemas.intervals import is_over
from schemas.records import ExceptionRecord, Publication, PublicationState
from sinks.core.answer import Answer, Outcome
from sinks.core.book import CONTROL, EVERY_KEY, SECOND_US, Book
from sinks.core.complaints import Complaints
from sinks.core.dirty import Key, Waiting
from sinks.core.groups import Group, Groups
from sinks.core.ids import message_id
from sinks.core.ledger import Fact
from sinks.core.pace import TokenBucket, backoff_s
from sinks.core.rule import Rule

DOWN_AFTER = 8
"""Failures in a row after which the channel as a whole is taken to be down."""

PROBES = 64
"""So many different items are tried in turn while the channel seems down."""

ITEM_REJECTED = "channel-item-rejected"
ITEM_FAILING = "channel-item-failing"
UNREACHABLE = "channel-unreachable"
MISCONFIGURED = "channel-misconfigured"
DISABLED = "channel-disabled"

STATE_KEY = "state"
RESEND_KEY = "resend/"


class ChannelState(StrEnum):
    """What a person, or a 410, ordered."""

    RUNNING = "running"
    PAUSED = "paused"
    DISABLED = "disabled"


class Item(NamedTuple):
    """One key of a push."""

    publication: Publication
    """The intent; its id is the item's idempotency key."""
    waiting: Waiting
    fact: Fact | None
    """None: withdrawn."""


class Push(NamedTuple):
    """One request to the channel: items of one kind."""

    id: str
    kind: str
    items: tuple[Item, ...]
    sent_us: int

    @property
    def group(self) -> Group:
        """The keys, to be told again."""
        return [((item.publication.kind, item.publication.key), item.waiting) for item in self.items]


@dataclass(slots=True)
class Records:
    """What has to be written after an answer."""

    publications: list[Publication] = field(default_factory=list)
    exceptions: list[ExceptionRecord] = field(default_factory=list)
    control: Publication | None = None
    """An order for every worker of the channel."""


class Desk:
    """Pushes, answers, pace and back-off over a `Book`."""

    def __init__(self, rule: Rule, now_us: int) -> None:
        self.rule = rule
        self.book = Book(rule)
        self.complaints = Complaints(rule.name)
        self.channel_state = ChannelState.RUNNING
        self.failures = 0
        """In a row."""
        self.last_answer = ""
        self.last_accepted_us: int | None = None
        self._groups = Groups()
        self._bucket = TokenBucket(rule.pace.per_second, rule.pace.burst, now_us)
        self._waits_since_us = self._not_before_us = 0
        self._ordered_us = 0
        self._probed: set[Key] = set()

    def change_rule(self, rule: Rule, now_us: int) -> None:
        """Obey a changed rule from now on."""
        self.rule = rule
        self._bucket.change(rule.pace.per_second, rule.pace.burst)
        self.book.change_rule(rule, now_us)

    def order(self, control: Publication, now_us: int) -> list[ExceptionRecord]:
        """Obey a control record; each stands in every partition, and the newest counts."""
        ordered_us = control.source_version
        if control.key.startswith(RESEND_KEY):
            self.book.resend(control.key.removeprefix(RESEND_KEY), ordered_us, now_us)
        elif control.key == STATE_KEY and ordered_us > self._ordered_us:
            self._ordered_us = ordered_us
            self.channel_state = ChannelState(control.status or ChannelState.RUNNING)
            if self.channel_state is ChannelState.RUNNING:
                self._not_before_us, self.failures = 0, 0
                return self.complaints.close(DISABLED, self.rule.name, now_us, by_us=ordered_us)
        return []

    def next_push(self, now_us: int) -> Push | None:
        """What to push now; None: nothing, or not yet.  Its intents must be durable before it is pushed."""
        if self.channel_state is not ChannelState.RUNNING or not self._may_try(now_us):
            return None
        while self._groups or self.book.dirty:
            tokens = self._bucket.available(now_us)
            if tokens < 1:
                return None
            group = self._groups.take(fresh=bool(self.book.dirty))
            if group is None and self.failures >= DOWN_AFTER:
                group = self._probe(now_us)
            elif group is None:
                group = self._fresh(min(tokens, self.rule.batch_size), now_us)
            items = self._compose(group, now_us)
            if items:
                self._bucket.take(len(items))
                identity = message_id(item.publication.id for item in items)
                return Push(identity, items[0].publication.kind, tuple(items), now_us)
        return None

    def wait_us(self, now_us: int) -> int:
        """Microseconds until `next_push` may have something because of time alone; 0: now."""
        paused_us = 0 if self._may_try(now_us) else self._not_before_us - now_us
        return max(paused_us, self._bucket.wait_us())

    def _may_try(self, now_us: int) -> bool:
        """No pause after a failure runs."""
        return is_over(self._waits_since_us, self._not_before_us - self._waits_since_us, now_us)

    def oldest_us(self) -> int | None:
        """Since when the first key waits that is not in a push under way."""
        both = (self.book.oldest_us(), self._groups.oldest_us())
        return min((at for at in both if at is not None), default=None)

    def __len__(self) -> int:
        return len(self.book.dirty) + len(self._groups)

    def answered(self, push: Push, answer: Answer, now_us: int) -> Records:
        """Take an answer in: outcomes to record, and the items' next turn."""
        self.last_answer = answer.text
        match answer.outcome:
            case Outcome.ACCEPTED:
                return self._accepted(push, answer, now_us)
            case Outcome.REJECTED:
                return self._rejected(push, answer, now_us)
            case Outcome.FAILED | Outcome.TIMED_OUT:
                return self._failed(push, answer, now_us)
            case Outcome.GONE:
                return self._gone(push, answer, now_us)
            case _:
                return self._not_taken(push, answer, now_us)

    @property
    def _limit_us(self) -> int:
        return int(self.rule.oldest_first_after_s * SECOND_US)

    def _fresh(self, count: int, now_us: int) -> Group:
        """Keys from the dirty map; what was refused before gets a push of its own, lest it spoil batch after batch."""
        group = []
        for entry in self.book.dirty.take(count, now_us, self._limit_us):
            if self.book.tellings[entry[0]].parked is None:
                group.append(entry)
            else:
                self._groups.later([entry])
        return group

    def _probe(self, now_us: int) -> Group:
        """One item, another one each time: if a single bad item were all that is wrong, the next one shows it."""
        taken = self.book.dirty.take(len(self._probed) + 1, now_us, self._limit_us)
        chosen = next((entry for entry in taken if entry[0] not in self._probed), None)
        if chosen is None or len(self._probed) >= PROBES:
            self._probed.clear()
            chosen = chosen or taken[0]
        self._probed.add(chosen[0])
        for entry in taken:
            if entry is not chosen:
                self.book.dirty.put(*entry)
        return [chosen]

    def _compose(self, group: Group, now_us: int) -> list[Item]:
        """Items of one kind; keys that need not be told any more are left out, other kinds get a turn of their own."""
        kind = group[0][0][0] if group else ""
        if others := [entry for entry in group if entry[0][0] != kind]:
            self._groups.later(others)
        items = []
        for key, waiting in group:
            if key[0] != kind:
                continue
            if (earlier := self._groups.remove(key)) is not None:
                waiting = earlier.joined(waiting)
            if (newer := self.book.dirty.discard(key)) is not None:
                waiting = waiting.joined(newer)
            publication = self.book.compose(key, waiting, now_us)
            if publication is not None:
                items.append(Item(publication, waiting, self.book.tellings[key].fact))
        return items

    def _accepted(self, push: Push, answer: Answer, now_us: int) -> Records:
        done = Records()
        self.failures, self.last_accepted_us = 0, now_us
        self._probed.clear()
        for code in (UNREACHABLE, MISCONFIGURED):
            done.exceptions += self.complaints.close(code, self.rule.name, now_us)
        for item in push.items:
            told = _outcome(item, PublicationState.ACKNOWLEDGED, answer, now_us)
            done.publications.append(told)
            self.book.acknowledged(told, now_us)
            for code in (ITEM_REJECTED, ITEM_FAILING):
                done.exceptions += self.complaints.close(code, f"{told.kind}/{told.key}", now_us)
        return done

    def _rejected(self, push: Push, answer: Answer, now_us: int) -> Records:
        self.failures = 0
        if len(push.items) == 1:
            return self._park(push, answer, ITEM_REJECTED, now_us)
        self._groups.halve(push.group)
        return self._record(push, PublicationState.REJECTED, answer, now_us)

    def _failed(self, push: Push, answer: Answer, now_us: int) -> Records:
        self.failures += 1
        self._wait(answer, now_us)
        tellings = []
        for item in push.items:
            told = item.publication
            if (telling := self.book.tellings.get((told.kind, told.key))) is not None:
                telling.doubt(push.sent_us, told.quantities)
                tellings.append(telling)
        if self.failures >= DOWN_AFTER:
            return self._down(push, PublicationState.UNKNOWN, answer, now_us)
        if len(push.items) > 1:
            if any(telling.attempts > 1 for telling in tellings):
                self._groups.halve(push.group)
            else:
                self._groups.again(push.group)
        elif tellings:
            (key, waiting), telling = push.group[0], tellings[0]
            telling.strikes += 1
            if telling.strikes >= self.rule.park_after_attempts:
                return self._park(push, answer, ITEM_FAILING, now_us)
            self.book.hold(key, waiting, now_us + int(backoff_s(telling.strikes) * SECOND_US))
        return self._record(push, PublicationState.UNKNOWN, answer, now_us)

    def _not_taken(self, push: Push, answer: Answer, now_us: int) -> Records:
        if answer.outcome is Outcome.NOT_SENT:
            self.book.put_back(push.group, now_us)
            return self._record(push, PublicationState.REJECTED, answer, now_us)
        self.failures += 1
        self._wait(answer, now_us)
        if self.failures >= DOWN_AFTER and answer.outcome is not Outcome.MISCONFIGURED:
            return self._down(push, PublicationState.REJECTED, answer, now_us)
        self._groups.again(push.group)
        if answer.outcome is Outcome.MISCONFIGURED:
            done = self._record(push, PublicationState.REJECTED, answer, now_us)
            action = "correct url or secret in the channel's file, or the rights there; it is tried again by itself"
            done.exceptions += self.complaints.open(MISCONFIGURED, self.rule.name, answer.text, action, now_us)
            return done
        return self._record(push, PublicationState.REJECTED, answer, now_us)

    def _gone(self, push: Push, answer: Answer, now_us: int) -> Records:
        self.channel_state = ChannelState.DISABLED
        self._ordered_us = now_us
        self.book.put_back(push.group, now_us)
        self.book.put_back(self._groups.dissolve(), now_us)
        done = self._record(push, PublicationState.REJECTED, answer, now_us)
        done.control = control_record(self.rule.name, STATE_KEY, ChannelState.DISABLED, now_us, answer.text)
        action = f"find out why the channel answers 410, then `onhand channel resume {self.rule.name}`"
        done.exceptions += self.complaints.open(DISABLED, self.rule.name, answer.text, action, now_us)
        return done

    def _down(self, push: Push, state: PublicationState, answer: Answer, now_us: int) -> Records:
        """The channel as a whole is down: everything goes back to the dirty map."""
        self.book.put_back(push.group, now_us)
        self.book.put_back(self._groups.dissolve(), now_us)
        done = self._record(push, state, answer, now_us)
        detail = f"{self.failures} pushes in a row failed"
        if self.failures == DOWN_AFTER:
            action = "see whether the channel is up; it is asked again by itself, at least once a minute"
            detail = f"{detail}; last answer: {answer.text}"
            done.exceptions += self.complaints.open(UNREACHABLE, self.rule.name, detail, action, now_us)
        return done

    def _park(self, push: Push, answer: Answer, code: str, now_us: int) -> Records:
        done = self._record(push, PublicationState.PARKED, answer, now_us)
        for publication in done.publications:
            self.book.parked(publication, now_us)
            action = "correct the item here or at the channel; a newer version or `onhand exceptions retry` tries again"
            subject = f"{publication.kind}/{publication.key}"
            done.exceptions += self.complaints.open(code, subject, answer.text, action, now_us)
        return done

    def _record(self, push: Push, state: PublicationState, answer: Answer, now_us: int) -> Records:
        return Records([_outcome(item, state, answer, now_us) for item in push.items])

    def _wait(self, answer: Answer, now_us: int) -> None:
        own_s = backoff_s(self.failures)
        wait_s = own_s if answer.retry_after_s is None else answer.retry_after_s
        self._waits_since_us, self._not_before_us = now_us, now_us + int(wait_s * SECOND_US)


def control_record(channel: str, key: str, status: str, ordered_us: int, answer: str = "") -> Publication:
    """An order to every worker of a channel: `state` running | paused | disabled, or `resend/<kind>/<key>`,
    `resend/*`.  Written to every partition of channel.publication.v1."""
    return Publication(
        id=f"{channel}/{CONTROL}/{key}/{ordered_us}",
        channel=channel,
        kind=CONTROL,
        key=key,
        state=PublicationState.ACKNOWLEDGED,
        source_version=ordered_us,
        rule_version=0,
        staleness_step=0,
        attempts=0,
        status=status,
        answer=answer,
        sent_us=ordered_us,
    )


def resend_record(channel: str, target: str, ordered_us: int) -> Publication:
    """The order to tell `<kind>/<key>`, or '*', again."""
    return control_record(channel, RESEND_KEY + (target or EVERY_KEY), "resend", ordered_us)


def _outcome(item: Item, state: PublicationState, answer: Answer, now_us: int) -> Publication:
    taken_us = now_us if state is PublicationState.ACKNOWLEDGED else None
    return msgspec.structs.replace(item.publication, state=state, answer=answer.text, acknowledged_us=taken_us)
