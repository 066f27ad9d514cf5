"""Inventory as a stage: folds `onhand.balance.v1`, partition by partition, into positions and promises.

One unit: forget what was closed and state what was covered by earlier units; fold messages into claims and sums; make
the outputs of every touched sku once; write.  Work lists (withdrawals, then recomputing, then kits still to be told,
then the clock) go in slices, each a unit of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from decimal import localcontext
from itertools import islice

import msgspec

from schemas.errors import Fatal, PoisonRecord
from schemas.messages import BalanceMessage, KitMessage
from schemas.records import Progress, Stamps
from streams.core.inventory import exceptions
from streams.core.inventory.balances import receive, withdraw, withdraw_item
from streams.core.inventory.clock import Calendar, due_wakes
from streams.core.inventory.kit_intake import take_offer, take_use
from streams.core.inventory.kits import Kits, offer_message, use_message
from streams.core.inventory.locations import Locations
from streams.core.inventory.made import finished, load_made
from streams.core.inventory.publish import Publisher, Rules
from streams.core.inventory.sources import Sources, reached_message, stated, stated_whole
from streams.core.inventory.state import (
    EXACT,
    LATEST_KEY,
    RECOMPUTE_KEY,
    STATE_FORMAT,
    Recompute,
    Sku,
    Withdraw,
    decode_claim,
    decode_recompute,
    decode_sku,
    encode,
    sku_of_claim,
)
from streams.core.inventory.working import Working, note
from streams.core.unit import ALL_PARTITIONS, UNIT_BYTES, InputRecord, Output, Settled, View

INPUT_TOPIC = "onhand.balance.v1"
POSITION_TOPIC = "inventory.position.v1"
ATP_TOPIC = "inventory.atp.v1"
ITEM_TOPIC = "item.v1"
PROGRESS_TOPIC = "progress.v1"
EXCEPTION_TOPIC = "exception.v1"

_OWED = {POSITION_TOPIC: b"p", ATP_TOPIC: b"a", ITEM_TOPIC: b"i"}
_TOPICS = {kind: topic for topic, kind in _OWED.items()}
_SLICE = 300
"""Skus of a work list in one unit: between two slices new messages get their turn."""
_SEEN = 3_000
"""The same, of skus that are looked at and mostly stay as they are."""
_UNIT_BYTES = UNIT_BYTES // 2
"""Estimated bytes at which a unit is closed: half of what may be, because the outputs are kept too."""
_OWED_BYTES = 512 << 10
_CLAIM_SLICE = 1_000
"""The same, of claims that are looked through."""
_PARTED = " withdrawn"

QUARTER_US = 900_000_000

Decode = Callable[[str, bytes], BalanceMessage]
"""(topic, bytes) → message.  Raises PoisonRecord."""
Encode = Callable[[str, msgspec.Struct], bytes]
"""(topic, record) → bytes."""


class InventoryStage:
    """One partition of inventory; see `streams.core.unit.Stage` for the order of calls."""

    name = "inventory"
    input_topic = INPUT_TOPIC
    sole_writer_of = frozenset(_OWED)

    def __init__(
        self,
        rules: Rules,
        decode: Decode,
        encode_output: Encode,
        partitions: int = 1,
        promises_id: str | None = None,
    ) -> None:
        """`partitions` of the input: with kits, each must be heard of.  `promises_id`: Kafka's id of ATP_TOPIC."""
        self._rules, self._decode, self._encode = rules, decode, encode_output
        self._partitions, self._promises_id = partitions, promises_id
        self.fingerprint = hashlib.sha256(
            STATE_FORMAT + rules.ownership.fingerprint + b"%d/%d" % (rules.horizon_days, rules.grace_days)
        ).digest()
        self._rule = self.fingerprint[:8]
        self._partition = 0
        self._calendar = Calendar(rules.ownership.time_zone)
        self._locations: Locations
        self._sources: Sources
        self._kits: Kits
        self._publisher: Publisher
        self._recompute: Recompute | None = None
        self._latest: int | None = None
        """As under LATEST_KEY; None: not read yet."""

    # -- Stage

    def open(
        self, state: View, partition: int, memo: bytes | None, fingerprint: bytes | None, now_us: int, end: int
    ) -> Settled:
        """Take the partition over; under other rules than the last owner's every sku is recomputed."""
        self._partition = partition
        self._locations = Locations(state, self._rules.ownership, self._calendar, partition)
        self._sources = Sources(state, self._rules.ownership, self._partitions)
        self._kits = Kits(state, self._rules.ownership, self._sources)
        self._publisher = Publisher(self._rules, self._sources, self._calendar, self._kits)
        stored = state.get(RECOMPUTE_KEY)
        self._recompute = decode_recompute(stored) if stored is not None else None
        if fingerprint is not None and fingerprint != self.fingerprint:
            self._start_recompute(state, Recompute("rule"))
        return Settled(more=True)

    def work(self, state: View, records: Sequence[InputRecord], now_us: int) -> Settled:
        """Fold messages until the unit is full."""
        with localcontext(EXACT):
            working, owed = self._begin(state, now_us)
            consumed = poison = 0
            for record in records:
                owes = len(working.skus) * 90 + working.components * 60
                if working.bytes + state.size > _UNIT_BYTES or owes > _OWED_BYTES:
                    break
                consumed += 1
                if record.value is None:
                    continue
                try:
                    message = self._decode(record.topic, record.value)
                except PoisonRecord as error:
                    poison += 1
                    owed.append(self._park(working, record, error))
                    continue
                owed.extend(self._take(working, message))
            if poison >= 100 and poison * 2 > consumed:
                raise Fatal(
                    f"{poison} of {consumed} records of {INPUT_TOPIC} [{self._partition}] before offset "
                    f"{records[consumed - 1].offset + 1} cannot be decoded: a wrong release or registry; nothing of "
                    "them was taken, put that right and start again"
                )
            self._finish(working, owed)
            return Settled(consumed, _once(owed), more=self._has_more)

    def tick(self, state: View, now_us: int) -> Settled:
        """One slice of the first work list that is not empty; then what time has made due."""
        with localcontext(EXACT):
            working, owed = self._begin(state, now_us)
            more = True
            if self._sources.withdrawals:
                owed += self._withdraw_slice(working)
            elif self._recompute is not None:
                self._recompute_slice(working, self._recompute)
            elif self._kits.take_up(working) and self._kits.has_more:
                more = False  # unless the list could go on
            else:  # also while all that are listed wait for a source: time does not
                more = self._wake_slice(working)
            self._finish(working, owed)
            return Settled(0, _once(owed), more=more or self._has_more)

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        """The records of the owed keys, as they were made, under this version."""
        with localcontext(EXACT):
            return [output for key in owed if (output := self._render(state, key, version, now_us)) is not None]

    def owed_for(self, topic: str, key: bytes) -> bytes | None:
        kind = _OWED.get(topic)
        return kind + key if kind is not None else None

    # -- one unit

    def _begin(self, state: View, now_us: int) -> tuple[Working, list[bytes]]:
        """What earlier units left to be done first, in this one."""
        self._calendar.at(now_us)
        self._look_at_clock(state, now_us)
        self._publisher.made.clear()
        exceptions.forget_closed(state)
        self._kits.begin()
        owed = [] if self._listed else self._sources.state_covered(state)
        return Working(state, self._rules.ownership, self._rule, now_us), owed

    def _look_at_clock(self, state: View, now_us: int) -> None:
        """A clock that was ahead and is set back leaves promises of days that have not come: every sku anew."""
        quarter = now_us // QUARTER_US
        if self._latest is None:
            stored = state.get(LATEST_KEY)
            self._latest = int.from_bytes(stored, "big") if stored is not None else 0
        if quarter <= self._latest <= quarter + 1:
            return
        if self._latest > quarter:
            self._start_recompute(state, Recompute("clock"))
        self._latest = quarter
        state.put(LATEST_KEY, quarter.to_bytes(8, "big"))

    def _finish(self, working: Working, owed: list[bytes]) -> None:
        working.fold()
        for sku in working.skus:
            owed.extend(self._publisher.publish(working, sku))
        self._kits.finish(working)
        working.save()

    @property
    def _listed(self) -> bool:
        """A work list is not empty: what was folded is not wholly in the outputs yet."""
        return bool(self._sources.withdrawals) or self._recompute is not None or bool(self._kits.telling)

    @property
    def _has_more(self) -> bool:
        lists = bool(self._sources.withdrawals) or self._recompute is not None or self._kits.has_more
        return lists or (self._sources.has_news and not self._listed)

    def _take(self, working: Working, message: BalanceMessage) -> list[bytes]:
        state = working.state
        if message.kind == "balances":
            self._sources.said(state, message.source, message.version)
            receive(working, message, self._sources.floor(message.source))
        elif message.kind == "progress":
            if (work := self._sources.accept(state, message)) is not None:
                self._start_recompute(state, work)
        elif message.kind == "location":
            return self._take_location(working, message)
        elif message.kits is not None:
            self._take_kits(working, message, message.kits)
        return []

    def _take_kits(self, working: Working, message: BalanceMessage, said: KitMessage) -> None:
        """What another partition, or this one, says of kits."""
        if said.use is not None:
            take_use(working, message, said.use)
        elif said.offer is not None:
            take_offer(working, message, said.offer)
        elif said.reached is not None:
            state, source = working.state, message.source
            if self._sources.take_reached(state, source, message.version, said.reached):
                self._start_recompute(state, Recompute(source))

    def _take_location(self, working: Working, message: BalanceMessage) -> list[bytes]:
        if message.location is None or message.version < self._sources.floor(message.source):
            return []
        self._sources.said(working.state, message.source, message.version)
        owed = self._locations.take(working.state, message.source, message.version, message.location, working.now_us)
        if self._locations.changed:
            self._locations.changed = False
            self._start_recompute(working.state, Recompute(message.source))
        return owed

    def _park(self, working: Working, record: InputRecord, error: PoisonRecord) -> bytes:
        """The exception first; the sku, if it is one, is uncertain until its sources are restated."""
        self._sources.missed(working.state)
        key = (record.key or b"").decode("utf-8", "replace")
        if key and not key.startswith("~"):
            touched = working.sku(key)
            touched.uncertain = sorted({*touched.uncertain, POISON})
        finding = exceptions.Finding(
            code=error.code,
            source=key.removeprefix("~") if key.startswith("~") else "",
            subject=f"{record.topic}/{record.partition}/{record.offset}",
            detail=f"key {key!r}: {error}",
            action="run `onhand source restate` for the source that sent it, then close it",
        )
        raw = record.value or b""
        origin = exceptions.Origin(record.topic, record.partition, record.offset, raw)
        return exceptions.open_new(working.state, finding, working.now_us, origin)[1]

    # -- work lists

    def _start_recompute(self, state: View, work: Recompute) -> None:
        """From the first sku again, also when it runs already."""
        work.unless_whole = work.unless_whole and (self._recompute is None or self._recompute.unless_whole)
        self._recompute = work
        state.put(RECOMPUTE_KEY, encode(work))

    def _recompute_slice(self, working: Working, work: Recompute) -> None:
        rest = b""
        for seen, (key, value) in enumerate(working.state.scan(b"s", work.cursor)):
            if len(working.skus) >= _SLICE or seen >= _SEEN or working.bytes > _UNIT_BYTES:
                rest = key
                break
            if work.unless_whole and self._stays(decode_sku(value)):
                continue
            note(working.sku(key[1:].decode()), Stamps(), work.cause)
        if rest:
            work.cursor = rest
            working.state.put(RECOMPUTE_KEY, encode(work))
        else:
            self._recompute = None
            working.state.put(RECOMPUTE_KEY, None)

    def _stays(self, record: Sku) -> bool:
        """That another source has become ready changes nothing in what was made last."""
        return record.whole and record.rule == self._rule

    def _withdraw_slice(self, working: Working) -> list[bytes]:
        """Claims first, then items, then locations; at the end every promise anew.  A sku of which only a part of the
        claims is done is not published.  The owed keys."""
        state = working.state
        source, work = next(iter(self._sources.withdrawals.items()))
        parted = source + _PARTED
        claims = work.cursor[:1] != b"s"
        if claims and work.cursor:
            working.sku(sku_of_claim(work.cursor)[0]).unfinished.pop(parted, None)
        pairs = list(islice(state.scan(b"c" if claims else b"s", work.cursor), _CLAIM_SLICE + 1))
        rest = pairs[-1][0] if len(pairs) > _CLAIM_SLICE else b""
        last = ""
        for key, value in pairs[:_CLAIM_SLICE]:
            if working.bytes > _UNIT_BYTES:
                rest = key
                break
            if claims:
                last = self._withdraw_claim(working, key, value, source, work.since)
            else:
                self._withdraw_rest(working, key, value, source, work.since)
        if rest and claims and sku_of_claim(rest)[0] == last:
            working.sku(last).unfinished[parted] = work.since
        if not rest and claims:
            rest = b"s"
        self._sources.set_withdrawal(state, source, Withdraw(work.since, rest) if rest else None)
        if rest:
            return []
        self._start_recompute(state, Recompute(source))
        return self._locations.withdraw(state, source, work.since, working.now_us)

    @staticmethod
    def _withdraw_claim(working: Working, key: bytes, value: bytes, source: str, since: int) -> str:
        sku = sku_of_claim(key)[0]
        if any(entry.source == source and entry.version < since for entry in decode_claim(value).entries):
            withdraw(working.claim_at(key), source, since)
            note(working.sku(sku), Stamps(), source)
        return sku

    @staticmethod
    def _withdraw_rest(working: Working, key: bytes, value: bytes, source: str, since: int) -> None:
        peek = decode_sku(value)
        item = peek.items.get(source)
        if item is None and not (peek.uncertain or peek.unfinished or peek.components or peek.component):
            return
        sku = key[1:].decode()
        record = working.sku(sku)
        if withdraw_item(working, sku, source, since):
            note(record, Stamps(), source)
        if record.unfinished.get(source, since) < since:
            del record.unfinished[source]
        record.uncertain = [name for name in record.uncertain if name != POISON]

    def _wake_slice(self, working: Working) -> bool:
        """Whatever became due by now; True when the slice was full."""
        wakes = list(islice(due_wakes(working.state, working.now_us), _SLICE + 1))
        for index_key, key in wakes[:_SLICE]:
            if working.bytes > _UNIT_BYTES:
                return True
            working.state.put(index_key, None)
            if key[:1] == b"c":
                sku = sku_of_claim(key)[0]
                working.claim_at(key).wake_us = None
            else:
                sku = key[1:].decode()
                working.sku(sku).wake_us = None
            note(working.sku(sku), Stamps(), "clock")
        return len(wakes) > _SLICE

    # -- outputs

    def _render(self, state: View, owed: bytes, version: int, now_us: int) -> Output | None:
        kind, key = owed[:1], owed[1:]
        if kind == b"x":
            exception = exceptions.load(state, owed)
            if exception is None:
                return None
            exception = msgspec.structs.replace(exception, version=version)
            return Output(EXCEPTION_TOPIC, key, self._encode(EXCEPTION_TOPIC, exception))
        if kind == b"d":
            return self._told(use_message(state, owed, version))
        if kind == b"o":
            return self._told(offer_message(state, owed, version))
        if kind == b"m":
            reached = reached_message(state, key.decode(), self._partition, version)
            if reached is None:
                return None
            return Output(INPUT_TOPIC, b"~" + key, self._encode(INPUT_TOPIC, reached), ALL_PARTITIONS)
        if kind == b"g":
            return self._render_progress(state, key.decode(), version, now_us)
        topic = _TOPICS[kind]
        found = self._publisher.made.get(owed) or load_made(state, owed)
        value = self._encode(topic, finished(*found, version, now_us)) if found is not None else None
        return Output(topic, key, value, self._partition)

    def _told(self, told: tuple[str, BalanceMessage] | None) -> Output | None:
        """A message to the partition of another sku, or of this one."""
        if told is None:
            return None
        return Output(INPUT_TOPIC, told[0].encode(), self._encode(INPUT_TOPIC, told[1]))

    def _render_progress(self, state: View, source: str, version: int, now_us: int) -> Output | None:
        progress = stated(state, source)
        if progress is None:
            return None
        record = Progress(
            stage=self.name,
            source=source,
            partition=self._partition,
            version=version,
            input_offset=progress.input_offset,
            source_position=progress.source_position,
            source_time_us=progress.source_time_us,
            complete=progress.complete,
            holding=progress.holding,
            uncertain=progress.uncertain,
            stated_us=now_us,
            whole_topic_id=self._promises_id if stated_whole(state, self._rules.ownership.sku_sources) else None,
        )
        key = f"{self.name}/{source}/{self._partition}".encode()
        return Output(PROGRESS_TOPIC, key, self._encode(PROGRESS_TOPIC, record))


POISON = "?"
"""Stands in `Sku.uncertain` for a message that could not be read."""


def _once(owed: list[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(owed))
