"""Everything a channel's worker knows about its keys: facts, what was told, and what is therefore still dirty.

Theory of operation.  `wants` compares a key's newest fact, the rule and the staleness step with what the channel has
acknowledged; every change of any of them touches the keys it concerns, and a touched key is dirty exactly as long as
`wants` says so.  So a changed rule, a stale source, a resend and a new version are one mechanism, and a restart, which
reads facts and publications back, arrives at the same dirty keys.

An order whose newest state was acknowledged long ago is *let go*: of all that is known of it the version stays, by
which what is read or sent again is recognised; a newer version is told like any other.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import NamedTuple

from schemas.records import Publication, PublicationState, Stamps
from sinks.core.dirty import DirtyMap, Key, Waiting
from sinks.core.ids import publication_id
from sinks.core.ledger import WITHDRAWN, Fact, Telling, stamp_of, waiting_of
from sinks.core.offer import OrderState, Promise, offer, source_step, step_of, withdrawn_offer
from sinks.core.rule import NETWORK, Rule
from sinks.core.versions import VersionMap

INVENTORY = "inventory"
ORDER = "order"
CONTROL = "control"
EVERY_KEY = "*"
ZERO = Decimal(0)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
LET_GO_AT_ONCE = 1_000
"""So many orders are let go in one tick."""


class Want(NamedTuple):
    """What has to be told of one key now."""

    version: tuple[int, int, int]
    """(source version, rule version, staleness step)"""
    quantities: dict[str, Decimal]
    status: str | None
    stamps: Stamps
    cause: str


class SourceState(NamedTuple):
    """How far inventory is with one source."""

    time_us: int
    """Of the last commit or heartbeat it has settled."""
    uncertain: bool = False
    """The source's whole contribution is uncertain: a mapping or a row of it is parked."""


def rule_versions(rule: Rule) -> dict[str, int]:
    """Kind → version of the part of the rule that says what is told of it."""
    return {INVENTORY: rule.inventory_version, ORDER: rule.order_version}


class Book:
    """Keys of the partitions this worker owns."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._rule_versions = rule_versions(rule)
        self.tellings: dict[Key, Telling] = {}
        self.dirty = DirtyMap()
        self._later: list[tuple[int, Key]] = []
        self._ticked_us = 0
        self._held: dict[Key, Waiting] = {}
        self._sources: dict[tuple[int, str], SourceState] = {}
        self._source_steps: dict[int, dict[str, int]] = {}
        self._at_rest: list[tuple[int, Key]] = []
        """(since when, order): to be let go in time."""
        self._let_go: dict[int, VersionMap] = {}
        """By partition, orders that were let go, and the version told last."""
        self._overwritten: dict[Key, None] = {}
        """What a former owner wrote of them stands behind what we did."""
        self._absent: dict[int, set[Key]] = {}
        """By partition that has been read, items that were told and are not there, while they may be still to come."""

    # What happened -------------------------------------------------------------------------------------------------

    def recall(self, partition: int, publication: Publication, now_us: int, *, foreign: bool = False) -> None:
        """A record of channel.publication.v1 (not control), oldest first; `foreign` as `Telling.recall` says."""
        key = (publication.kind, publication.key)
        if foreign and self._was_let_go(partition, key, publication.source_version):
            return
        if not foreign and (gone := self._let_go.get(partition)) is not None and key[0] == ORDER:
            gone.discard(key[1])
        telling = self.tellings.setdefault(key, Telling(partition))
        if telling.recall(publication, self._settle_us, foreign=foreign):
            self._overwritten[key] = None
        self._confirm_later(key, telling)
        if foreign:
            self._touch(key, now_us)
        if foreign or not self._let_go_of(key, telling, now_us):
            self._comes_to_rest(key, telling)

    def state(self, partition: int, key: Key, fact: Fact | None, now_us: int) -> None:
        """The newest promise or order of a key; None: a tombstone, no source knows it any more.

        An incomplete one goes to `incomplete`: until a complete one comes, the last one holds.
        """
        if self._was_let_go(partition, key, None if fact is None else fact.version):
            return
        telling = self.tellings.setdefault(key, Telling(partition))
        if fact is not None and telling.fact is not None and fact.version < telling.fact.version:
            return
        telling.fact, telling.withdrawn = fact, fact is None
        self._is_there(key, telling)
        self._touch(key, now_us)

    def incomplete(self, partition: int, key: Key) -> None:
        """There is a record, but no complete one: what the channel was told last holds."""
        if not self._was_let_go(partition, key, 0):
            self._is_there(key, self.tellings.setdefault(key, Telling(partition)))

    def caught_up(self, partition: int) -> None:
        """Everything the compacted topic holds of this partition has been read.  An item that was told and is not there
        may be still to come, so what was told holds, until `nothing_else`."""
        self._absent[partition] = {
            key
            for key, telling in self.tellings.items()
            if telling.partition == partition and key[0] == INVENTORY and not telling.present and telling.possible
        }

    def nothing_else(self, partition: int, now_us: int) -> None:
        """Whatever any source knows has been read: what was told of an item that is not there is taken back."""
        for key in sorted(self._absent.pop(partition, ())):
            self.tellings[key].withdrawn = True
            self._touch(key, now_us)

    @property
    def withheld(self) -> int:
        """Items that were told, are not there, and are not taken back yet."""
        return sum(map(len, self._absent.values()))

    def progress(self, partition: int, source: str, state: SourceState, now_us: int) -> None:
        """How far inventory partition `partition` is with a source."""
        self._sources[partition, source] = state
        self._step(partition, source, now_us)

    def resend(self, target: str, ordered_us: int, now_us: int) -> None:
        """Tell again what was told before `ordered_us`; `target`: `<kind>/<key>`, or '*' for every key."""
        kind, _, name = target.partition("/")
        for key in self.tellings if target == EVERY_KEY else [(kind, name)]:
            if (telling := self.tellings.get(key)) is not None:
                telling.tell_again(ordered_us)
                self._touch(key, now_us)

    def change_rule(self, rule: Rule, now_us: int) -> None:
        """A changed rule is told at once, of the kind of keys whose telling it changes."""
        before, self.rule = self.rule, rule
        versions = rule_versions(rule)
        if versions != self._rule_versions or rule.tells != before.tells or rule.order_channel != before.order_channel:
            self._rule_versions = versions
            for partition, source in list(self._sources):
                self._step(partition, source, now_us)
            for key in self.tellings:
                self._touch(key, now_us)

    def tick(self, now_us: int) -> None:
        """Time passes: sources become stale, doubts and held items come due."""
        for partition, source in list(self._sources):
            self._step(partition, source, now_us)
        if now_us < self._ticked_us:
            self._clock_was_set_back(now_us)
        self._ticked_us = now_us
        while self._later and self._later[0][0] <= now_us:
            _, key = heapq.heappop(self._later)
            telling = self.tellings.get(key)
            if telling is None:
                continue
            doubted_us = telling.in_doubt_us
            if doubted_us is not None and now_us >= doubted_us + self._settle_us and telling.is_settled:
                telling.renew = True
            self._touch(key, now_us)
        self._let_go_in_time(now_us)

    def _clock_was_set_back(self, now_us: int) -> None:
        """What waits for an instant comes due now, and a request in doubt was sent now: else they would wait for as
        long as the clock was wrong."""
        self._later = [(min(at_us, now_us), key) for at_us, key in self._later]
        heapq.heapify(self._later)
        for key, telling in self.tellings.items():
            if telling.in_doubt_us is not None and telling.in_doubt_us > now_us:
                telling.was_sent_by(now_us)
                self._confirm_later(key, telling)

    def forget(self, partitions: Collection[int]) -> None:
        """Partitions that belong to another worker now."""
        for key in [key for key, telling in self.tellings.items() if telling.partition in partitions]:
            del self.tellings[key]
            self.dirty.discard(key)
            self._held.pop(key, None)
        for place in [place for place in self._sources if place[0] in partitions]:
            del self._sources[place]
        for partition in partitions:
            self._source_steps.pop(partition, None)
            self._absent.pop(partition, None)
            self._let_go.pop(partition, None)

    # What has to be told -------------------------------------------------------------------------------------------

    def wants(self, key: Key) -> Want | None:
        """What the channel has to be told of this key; None: nothing."""
        telling = self.tellings[key]
        told, fact = telling.acknowledged, telling.fact
        if fact is None:
            return self._withdrawal(telling) if telling.withdrawn and key[0] == INVENTORY else None
        if isinstance(fact, OrderState):
            if "orders" not in self.rule.tells or self.rule.order_channel not in (None, fact.channel):
                return None
            version, quantities, status = (fact.version, self._rule_versions[ORDER], 0), {}, fact.text
        else:
            if "inventory" not in self.rule.tells:
                return None
            step = step_of(fact, self.rule, self._source_steps.get(telling.partition, {}))
            version, status = (fact.version, self._rule_versions[INVENTORY], step), None
            quantities = offer(fact, self.rule, step)
            for location in sorted(telling.possible.keys() - quantities.keys()):
                quantities[location] = ZERO
        if telling.last is not None and version[0] < telling.last.source_version:
            return None
        settled = telling.parked or told
        if settled is not None and settled == telling.last and settled[:3] == version and not telling.renew:
            return None
        if told is None or told.source_version != version[0]:
            return Want(version, quantities, status, fact.stamps, fact.cause)
        cause = "rule" if told.rule_version != version[1] else "staleness" if told.staleness_step != version[2] else ""
        return Want(version, quantities, status, Stamps(), cause or "again")

    def compose(self, key: Key, waiting: Waiting, now_us: int) -> Publication | None:
        """The intent to push this key now, or None when there is nothing to tell.  Notes the intent."""
        telling = self.tellings.get(key)
        want = self.wants(key) if telling is not None else None
        if telling is None or want is None:
            return None
        withdraws = want.cause == WITHDRAWN
        stamp = telling.next_stamp(*want.version, withdraws)
        attempts = telling.intend(stamp, withdraws)
        return Publication(
            id=publication_id(self.rule.name, *key, stamp),
            channel=self.rule.name,
            kind=key[0],
            key=key[1],
            state=PublicationState.INTENT,
            source_version=stamp.source_version,
            rule_version=stamp.rule_version,
            staleness_step=stamp.staleness_step,
            attempts=attempts,
            sequence=stamp.sequence,
            quantities=want.quantities,
            changed=tuple(at for at, told in want.quantities.items() if telling.quantities.get(at) != told),
            status=want.status,
            cause=want.cause,
            stamps=waiting.stamps,
            picked_up_us=waiting.since_us,
            sent_us=now_us,
        )

    def claims(self, now_us: int) -> list[Publication]:
        """Intents to be written at once, long before they are pushed perhaps: what was told last stands there again."""
        overwritten, self._overwritten = self._overwritten, {}
        made = []
        for key in overwritten:
            if (waiting := self.dirty.discard(key)) is None:
                continue
            if (intent := self.compose(key, waiting, now_us)) is not None:
                made.append(intent)
                self.dirty.put(key, waiting)
        return made

    def acknowledged(self, publication: Publication, now_us: int) -> bool:
        """The channel took it; True when the key was parked before."""
        key = (publication.kind, publication.key)
        telling = self.tellings.get(key)
        if telling is None:
            return False
        was_parked = telling.parked is not None
        stamp, sent_us = stamp_of(publication), publication.sent_us or now_us
        telling.settle(stamp, publication.quantities, sent_us, self._settle_us)
        self._confirm_later(key, telling)
        self._comes_to_rest(key, telling)
        self._touch(key, now_us)  # also when it waits already: falling is against what the channel holds now
        return was_parked

    def parked(self, publication: Publication, now_us: int) -> None:
        """The channel refuses it for good; it waits for a newer version or for a person."""
        key = (publication.kind, publication.key)
        if (telling := self.tellings.get(key)) is not None:
            telling.park(stamp_of(publication), publication.sent_us or now_us)
            telling.untold = waiting_of(publication)
            self._touch(key, now_us)

    def hold(self, key: Key, waiting: Waiting, until_us: int) -> None:
        """Try this key again at `until_us`, or when something newer comes."""
        self._held[key] = waiting
        heapq.heappush(self._later, (until_us, key))

    def put_back(self, items: Iterable[tuple[Key, Waiting]], now_us: int) -> None:
        """Not told after all."""
        for key, waiting in items:
            if key in self.tellings:
                self._held[key] = waiting
                self._touch(key, now_us)

    def oldest_us(self) -> int | None:
        """Since when the first key waits, dirty or held back."""
        held = min((waiting.since_us for waiting in self._held.values()), default=None)
        dirty = self.dirty.oldest_us()
        return held if dirty is None else dirty if held is None else min(held, dirty)

    # Orders at rest ------------------------------------------------------------------------------------------------

    @property
    def let_go(self) -> int:
        """Orders of which only the version is remembered."""
        return sum(map(len, self._let_go.values()))

    def _was_let_go(self, partition: int, key: Key, version: int | None) -> bool:
        """Whether this version of an order was told before it was let go; None: nobody knows the order any more.  By a
        newer version it is remembered again."""
        gone = self._let_go.get(partition)
        told = gone.get(key[1]) if gone is not None and key[0] == ORDER else None
        if gone is None or told is None:
            return False
        if version is None or version > told:
            gone.discard(key[1])
        return version is None or version <= told

    def _comes_to_rest(self, key: Key, telling: Telling) -> None:
        if key[0] == ORDER and telling.is_at_rest and not telling.queued:
            telling.queued = True
            heapq.heappush(self._at_rest, (telling.sent_us, key))

    def _let_go_in_time(self, now_us: int) -> None:
        for _ in range(LET_GO_AT_ONCE):
            if not self._at_rest or self._at_rest[0][0] + self._remembered_us > now_us:
                return
            _, key = heapq.heappop(self._at_rest)
            if (telling := self.tellings.get(key)) is not None:
                telling.queued = False
                if not self._let_go_of(key, telling, now_us) and telling.sent_us + self._remembered_us > now_us:
                    self._comes_to_rest(key, telling)

    def _let_go_of(self, key: Key, telling: Telling, now_us: int) -> bool:
        """True when the order has been at rest for long enough, and is let go."""
        last, fact = telling.last, telling.fact
        if key[0] != ORDER or last is None or not telling.is_at_rest or key in self.dirty or key in self._held:
            return False
        if telling.sent_us + self._remembered_us > now_us or (fact is not None and fact.version != last.source_version):
            return False
        if (gone := self._let_go.get(telling.partition)) is None:
            gone = self._let_go[telling.partition] = VersionMap()
        gone.put(key[1], last.source_version)
        del self.tellings[key]
        return True

    @property
    def _remembered_us(self) -> int:
        return int(self.rule.orders_remembered_days * DAY_US)

    # What everything rests on --------------------------------------------------------------------------------------

    @property
    def _settle_us(self) -> int:
        return int(self.rule.settle_s * SECOND_US)

    def _withdrawal(self, telling: Telling) -> Want | None:
        last = telling.last
        if last is None:
            return None
        done = telling.withdraws and last in (telling.acknowledged, telling.parked)
        if not telling.renew and (done or not telling.possible):
            return None
        version = (last.source_version, self._rule_versions[INVENTORY], 0)
        known = sorted({*telling.quantities, *telling.possible} - {NETWORK})
        return Want(version, withdrawn_offer(known), None, Stamps(), WITHDRAWN)

    def _is_there(self, key: Key, telling: Telling) -> None:
        """The topic says something of it, and be it that nobody knows it."""
        telling.present = True
        if (absent := self._absent.get(telling.partition)) is not None:
            absent.discard(key)

    def _touch(self, key: Key, now_us: int) -> None:
        want = self.wants(key)
        held = self._held.pop(key, None)
        telling = self.tellings[key]
        if want is None:
            self.dirty.discard(key)
            telling.rest()
            return
        falling = any(quantity < telling.possible.get(at, ZERO) for at, quantity in want.quantities.items())
        for earlier in (held, telling.untold):
            if earlier is not None:
                self.dirty.put(key, earlier._replace(falling=falling))
        self.dirty.put(key, Waiting(now_us, falling, want.stamps, want.cause))

    def _confirm_later(self, key: Key, telling: Telling) -> None:
        if telling.in_doubt_us is not None:
            heapq.heappush(self._later, (telling.in_doubt_us + self._settle_us, key))

    def _step(self, partition: int, source: str, now_us: int) -> None:
        """Work a source's staleness step out again, and touch what rests on it when it changed."""
        steps = self._source_steps.setdefault(partition, {})
        before = steps.get(source)
        state = self._sources[partition, source]
        staleness = self.rule.staleness
        step = source_step(self.rule, (now_us - state.time_us) / SECOND_US, before or 0)
        uncertain = min(staleness.uncertain_step, len(staleness.steps)) if state.uncertain else 0
        steps[source] = max(step, uncertain)
        if steps[source] == before or not staleness.steps:
            return
        for key, telling in self.tellings.items():
            fact = telling.fact
            if telling.partition == partition and isinstance(fact, Promise) and source in fact.sources:
                self._touch(key, now_us)
