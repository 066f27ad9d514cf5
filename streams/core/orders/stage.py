"""Orders: what every source says about an order becomes one order.

Input is `onhand.order-part.v1`, partition p; outputs are `order.v1` and `shipment.v1`, partition p, progress and
exceptions.  An order is sent when its merged content differs from what was sent last, so a restatement costs messages
inward and none outward.

* A version that comes in parts is folded as it comes and sent after its last part.
* `complete` is false while a source that owns an order attribute has not been read whole; when the last one is, all
  orders are gone through once and those that change are sent again.  The same walk withdraws what a source has not
  restated, and follows a changed ownership file.
* While a source that was read whole is read again, or reloads a table, what its orders have lost is not known yet:
  changes are *held*, so that no order shows new rows beside old ones, and afterwards all orders are gone through.
* Progress is stated one unit later than it is received, because only then everything it covers is acknowledged; and not
  while a walk is under way.
* An order that no source knows any more is sent once as `removed`, and forgotten, with a tombstone, a week later.

Owed keys: `o` + order_id → order.v1 · `h` + shipment_id → shipment.v1 · `e` + order_id NUL exception id and `x` +
exception id → exception.v1 · `p` + source → progress.v1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from schemas.errors import PoisonRecord
from schemas.messages import LaneProgress, OrderPartMessage
from schemas.records import ExceptionRecord, ExceptionStatus, Progress, Shipment, Stamps
from streams.core.heard import heard_whole, standing
from streams.core.orders.merge import Merged, Owners, merge
from streams.core.orders.receive import oldest, receive, sweep
from streams.core.orders.stages import Words, fingerprint_of
from streams.core.orders.state import (
    SEPARATOR,
    WALK_KEY,
    OrderState,
    SourceState,
    alarm_key,
    exception_key,
    load_exception,
    load_order,
    load_sources,
    order_key,
    parse_order,
    shipment_key,
    store_exception,
    store_order,
    store_source,
)
from streams.core.orders.trouble import STAGE, exception_record, update_exceptions
from streams.core.unit import UNIT_BYTES, InputRecord, Output, Settled, View

INPUT_TOPIC = "onhand.order-part.v1"
ORDER_TOPIC, SHIPMENT_TOPIC = "order.v1", "shipment.v1"
PROGRESS_TOPIC, EXCEPTION_TOPIC = "progress.v1", "exception.v1"

WALK_SLICE = 500
"""Orders a unit of a walk looks at."""
UNIT_RECORDS = 2_000
FORGET_AFTER_US = 7 * 86_400 * 1_000_000
RAW_BYTES = 64 << 10

Encode = Callable[[str, Any], bytes]
Decode = Callable[[str, bytes], Any]


class OrderOwnership(Owners, Protocol):
    """The part of ownership.yaml the stage needs."""

    @property
    def drift_after_s(self) -> int:
        """A conflict becomes an exception when it has lasted so long."""

    @property
    def fingerprint(self) -> bytes:
        """Of the whole file."""


class OrdersStage:
    """`streams.core.unit.Stage` over one partition of order parts."""

    name = "orders"
    input_topic = INPUT_TOPIC
    sole_writer_of = frozenset({ORDER_TOPIC, SHIPMENT_TOPIC})

    def __init__(
        self, ownership: OrderOwnership, sources: frozenset[str], encode: Encode, decode: Decode, words: Words
    ) -> None:
        """`sources`: those that own an order attribute; all of them must be complete before an order is."""
        self.fingerprint = hashlib.sha256(ownership.fingerprint + fingerprint_of(words)).digest()
        self._owners: Owners = ownership
        self._words = words
        self._owning = sources
        self._conflict_after_us = ownership.drift_after_s * 1_000_000
        self._encode, self._decode = encode, decode
        self._partition = 0
        self._sources: dict[str, SourceState] = {}
        self._unstated: set[str] = set()

    # -- the unit

    def open(
        self, state: View, partition: int, memo: bytes | None, fingerprint: bytes | None, now_us: int, end: int
    ) -> Settled:
        self._partition = partition
        self._sources = load_sources(state)
        self._unstated = {source for source, known in self._sources.items() if known.received != known.stated}
        if fingerprint is not None and fingerprint != self.fingerprint:
            state.put(WALK_KEY, b"")
        return Settled(more=self._more(state))

    def work(self, state: View, records: Sequence[InputRecord], now_us: int) -> Settled:
        unit = _Unit(self, state, now_us)
        unit.state_progress()
        consumed = 0
        for record in records[:UNIT_RECORDS]:
            unit.fold(record)
            consumed += 1
            if unit.bytes > UNIT_BYTES // 3:
                break
        unit.settle()
        return Settled(consumed, tuple(unit.owed), more=self._more(state))

    def tick(self, state: View, now_us: int) -> Settled:
        unit = _Unit(self, state, now_us)
        unit.state_progress()
        unit.walk()
        unit.ring()
        unit.settle()
        return Settled(0, tuple(unit.owed), more=self._more(state) or unit.ringing)

    def owed_for(self, topic: str, key: bytes) -> bytes | None:
        return {ORDER_TOPIC: b"o", SHIPMENT_TOPIC: b"h"}[topic] + key if topic in self.sole_writer_of else None

    def _more(self, state: View) -> bool:
        """A walk, or a source that stands otherwise than was stated; how far it is leaves with the next unit."""
        unstated = (self._sources[source] for source in self._unstated)
        return state.get(WALK_KEY) is not None or any(standing(k.received) != standing(k.stated) for k in unstated)

    @property
    def complete(self) -> bool:
        """Every source that owns an order attribute has been read whole."""
        return all(
            (known := self._sources.get(source)) is not None and known.received is not None and known.received.complete
            for source in self._owning
        )

    @property
    def holding(self) -> bool:
        """One of them was, and something that could take rows away is outstanding."""
        return any(
            (known := self._sources.get(source)) is not None and known.received is not None and _holds(known.received)
            for source in self._owning
        )

    # -- outputs

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        cache: dict[str, tuple[OrderState | None, Merged | None]] = {}

        def order(order_id: str) -> tuple[OrderState | None, Merged | None]:
            if order_id not in cache:
                known = load_order(state, order_id)
                cache[order_id] = (known, merge(order_id, known, self._owners, self._words, now_us) if known else None)
            return cache[order_id]

        for key in owed:
            kind, rest = key[:1], key[1:]
            if kind == b"o":
                known, merged = order(rest.decode())
                yield self._order_output(rest, known, merged, version)
            elif kind == b"h":
                yield self._shipment_output(state, rest, order, version)
            elif kind == b"e":
                order_id, _, exception_id = rest.decode().partition(SEPARATOR)
                known, _ = order(order_id)
                if known is not None and exception_id in known.exceptions:
                    record = exception_record(exception_id, order_id, known.exceptions[exception_id], version)
                    yield Output(EXCEPTION_TOPIC, exception_id.encode(), self._encode(EXCEPTION_TOPIC, record))
            elif kind == b"x":
                poison = load_exception(state, rest.decode())
                if poison is not None:
                    poison = msgspec.structs.replace(poison, version=version)
                    yield Output(EXCEPTION_TOPIC, rest, self._encode(EXCEPTION_TOPIC, poison))
            elif kind == b"p":
                yield from self._progress_output(rest.decode(), version, now_us)

    def _order_output(self, key: bytes, known: OrderState | None, merged: Merged | None, version: int) -> Output:
        if known is None or merged is None or merged.order is None:
            return Output(ORDER_TOPIC, key, None, self._partition)
        order = msgspec.structs.replace(
            merged.order,
            version=version,
            complete=self.complete,
            source_versions={source: voice.version for source, voice in known.voices.items()},
            stamps=known.stamps,
        )
        return Output(ORDER_TOPIC, key, self._encode(ORDER_TOPIC, order), self._partition)

    def _shipment_output(self, state: View, key: bytes, order: Callable[[str], Any], version: int) -> Output:
        holder = state.get(b"h" + key)
        known, merged = order(holder.decode()) if holder is not None else (None, None)
        found: Shipment | None = None
        if merged is not None:
            found = next((s for s in merged.shipments if s.shipment_id.encode() == key), None)
        if known is None or found is None:
            return Output(SHIPMENT_TOPIC, key, None, self._partition)
        shipment = msgspec.structs.replace(found, version=version, stamps=known.stamps)
        return Output(SHIPMENT_TOPIC, key, self._encode(SHIPMENT_TOPIC, shipment), self._partition)

    def _progress_output(self, source: str, version: int, now_us: int) -> Iterator[Output]:
        known = self._sources.get(source)
        if known is None or known.stated is None:
            return
        progress = Progress(
            stage=STAGE,
            source=source,
            partition=self._partition,
            version=version,
            input_offset=known.stated.input_offset,
            source_position=known.stated.source_position,
            source_time_us=known.stated.source_time_us,
            complete=known.stated.complete,
            holding=known.stated.holding,
            uncertain=known.stated.uncertain,
            stated_us=now_us,
        )
        key = f"{STAGE}/{source}/{self._partition}"
        yield Output(PROGRESS_TOPIC, key.encode(), self._encode(PROGRESS_TOPIC, progress))


class _Unit:
    """One unit under construction: orders touched, keys owed."""

    def __init__(self, stage: OrdersStage, state: View, now_us: int) -> None:
        self.stage, self.state, self.now_us = stage, state, now_us
        self.owed: dict[bytes, None] = {}
        self.bytes = 0
        """Roughly what the unit will write and owe."""
        self.ringing = False
        """More alarms are due than this unit took."""
        self._orders: dict[str, OrderState] = {}
        self._changed: set[str] = set()
        """Orders whose stamps stand for a change of this unit."""
        self._progress: list[bytes] = []

    # -- input

    def fold(self, record: InputRecord) -> None:
        self.bytes += len(record.value or b"") + 200
        if record.value is None:
            return
        try:
            message: OrderPartMessage = self.stage._decode(INPUT_TOPIC, record.value)
        except PoisonRecord as error:
            self._poison(record, error)
            return
        if message.kind == "progress":
            self._fold_progress(message)
        elif message.kind == "parts":
            self._fold_parts(message)
        else:
            self._poison(record, PoisonRecord("order-part-unknown-kind", f"kind {message.kind!r} is not known"))

    def _fold_parts(self, message: OrderPartMessage) -> None:
        known = self.stage._sources.get(message.source)
        order = self._order(message.order_id)
        held = order.held
        if not receive(order, message, known.restated_since if known else -1):
            return
        first = message.order_id not in self._changed
        order.stamps = message.stamps if first and not held else oldest(order.stamps, message.stamps)
        self._changed.add(message.order_id)

    def _fold_progress(self, message: OrderPartMessage) -> None:
        known = self.stage._sources.setdefault(message.source, SourceState(since=message.version))
        if message.progress is None or message.version < known.version:
            return
        was_complete, was_holding = self.stage.complete, self.stage.holding
        known.version, known.received = message.version, heard_whole(message.progress, known.since)
        restated = message.progress.restated_since
        if restated is not None and restated > known.restated_since:
            known.restated_since = restated
            self.state.put(WALK_KEY, b"")
        if (self.stage.complete and not was_complete) or (was_holding and not self.stage.holding):
            self.state.put(WALK_KEY, b"")
        store_source(self.state, message.source, known)
        self.stage._unstated.add(message.source)

    def _poison(self, record: InputRecord, error: PoisonRecord) -> None:
        """State the record as an exception; what it said comes again when its lane restates."""
        place = f"{record.topic}-{record.partition}-{record.offset}"
        subject = (record.key or b"").decode(errors="replace")
        poison = ExceptionRecord(
            id=f"{STAGE}/{record.topic}/{error.code}/{place}",
            version=0,
            stage=STAGE,
            source=record.topic,
            code=error.code,
            status=ExceptionStatus.OPEN,
            subject=subject,
            detail=str(error),
            action="run `onhand source restate` for every source of this order, then close it",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            raw=(record.value or b"")[:RAW_BYTES],
            opened_us=self.now_us,
            updated_us=self.now_us,
        )
        store_exception(self.state, poison)
        self.owed[exception_key(poison.id)] = None
        self.bytes += len(poison.raw or b"")

    # -- progress, walks, alarms

    def state_progress(self) -> None:
        """What earlier units received may be stated now: their outputs are acknowledged.  Not during a walk."""
        if self.state.get(WALK_KEY) is not None:
            return
        for source in sorted(self.stage._unstated):
            known = self.stage._sources[source]
            known.stated = known.received
            store_source(self.state, source, known)
            self._progress.append(b"p" + source.encode())
        self.stage._unstated.clear()

    def walk(self) -> None:
        """Look at the next orders of a walk: withdraw what was not restated, send what changed."""
        cursor = self.state.get(WALK_KEY)
        if cursor is None:
            return
        for seen, (key, stored) in enumerate(self.state.scan(b"o", cursor)):
            if seen == WALK_SLICE or self.bytes > UNIT_BYTES // 3:
                self.state.put(WALK_KEY, key)
                return
            order_id = key[1:].decode()
            self.bytes += len(stored)
            self._sweep(self._orders.setdefault(order_id, parse_order(stored)))
        self.state.put(WALK_KEY, None)

    def ring(self) -> None:
        """Look again at the orders whose time has come."""
        due = self.now_us.to_bytes(8, "big")
        taken: list[bytes] = []
        for key, _ in self.state.scan(b"t"):
            if key[1:9] > due:
                break
            if len(taken) == WALK_SLICE:
                self.ringing = True
                break
            taken.append(key)
        for key in taken:
            self.state.put(key, None)
            order_id = key[9:].decode()
            if load_order(self.state, order_id) is not None:
                self._order(order_id)

    # -- settling

    def settle(self) -> None:
        """Write every touched order and owe what changed; progress last, behind what it covers."""
        walks = self.state.get(WALK_KEY) is not None
        for order_id, order in self._orders.items():
            if walks:  # and has not come here, perhaps
                self._sweep(order)
            self._settle_order(order_id, order)
        self.owed.update(dict.fromkeys(self._progress))

    def _settle_order(self, order_id: str, order: OrderState) -> None:
        if order.pending():
            order.held = True
            store_order(self.state, order_id, order)
            return
        if self.stage.holding:
            order.held = order.held or order_id in self._changed
            store_order(self.state, order_id, order)
            return
        held, order.held = order.held, False
        if self._forgotten(order):
            store_order(self.state, order_id, None)
            self.owed[b"o" + order_id.encode()] = None
            return
        if order_id not in self._changed and not held:
            # Sent again because of time, completeness or a rule: no commit is being propagated.
            order.stamps = Stamps()
        merged = merge(order_id, order, self.stage._owners, self.stage._words, self.now_us)
        order.conflicts = {c.attribute + SEPARATOR + c.other: c.since_us for c in merged.conflicts}
        order.stamps = msgspec.structs.replace(order.stamps, promised_us=self.now_us)
        # No channel is told an incomplete order, so the commit waits on.
        order.held = not self.stage.complete and order.stamps.committed_us is not None
        self._follow_removal(order_id, order, merged)
        self._owe_exceptions(order_id, order, merged)
        self._owe_changed(order_id, order, merged)
        store_order(self.state, order_id, order)

    def _forgotten(self, order: OrderState) -> bool:
        return order.removed_us is not None and order.removed_us + FORGET_AFTER_US <= self.now_us

    def _follow_removal(self, order_id: str, order: OrderState, merged: Merged) -> None:
        living = any(
            statement.withdrawn != "removed"
            for voice in order.voices.values()
            for statement in voice.statements.values()
        )
        if living:
            order.removed_us = None
        elif order.removed_us is None:
            order.removed_us = self.now_us
            self.state.put(alarm_key(self.now_us + FORGET_AFTER_US, order_id), b"")

    def _owe_exceptions(self, order_id: str, order: OrderState, merged: Merged) -> None:
        after_us = self.stage._conflict_after_us
        changed = update_exceptions(
            order_id,
            order,
            merged,
            complete=self.stage.complete,
            conflict_after_us=after_us,
            now_us=self.now_us,
        )
        for exception_id in changed:
            self.owed[b"e" + f"{order_id}{SEPARATOR}{exception_id}".encode()] = None
        for conflict in merged.conflicts:
            if conflict.since_us == self.now_us and after_us:
                self.state.put(alarm_key(self.now_us + after_us, order_id), b"")

    def _owe_changed(self, order_id: str, order: OrderState, merged: Merged) -> None:
        digests: dict[str, bytes] = {}
        if merged.order is not None:
            digests[""] = _digest((merged.order, self.stage.complete))
        for shipment in merged.shipments:
            digests[shipment.shipment_id] = _digest(shipment)
            self.state.put(shipment_key(shipment.shipment_id), order_id.encode())
        for name in order.digests.keys() - digests.keys():
            if name:
                self._forget_shipment(name, order_id)
            else:
                self.owed[b"o" + order_id.encode()] = None
        for name, digest in digests.items():
            if order.digests.get(name) != digest:
                self.owed[shipment_key(name) if name else b"o" + order_id.encode()] = None
                self.bytes += 200
        order.digests = digests

    def _forget_shipment(self, shipment_id: str, order_id: str) -> None:
        """It may stand under another order of this partition by now; then that one's word counts."""
        key = shipment_key(shipment_id)
        holder = self.state.get(key)
        if holder is None or holder == order_id.encode():
            self.state.put(key, None)
        self.owed[key] = None

    def _order(self, order_id: str) -> OrderState:
        order = self._orders.get(order_id)
        if order is None:
            stored = self.state.get(order_key(order_id))
            self.bytes += len(stored or b"")
            order = self._orders[order_id] = OrderState() if stored is None else parse_order(stored)
        return order

    def _sweep(self, order: OrderState) -> None:
        for source, known in self.stage._sources.items():
            sweep(order, source, known.restated_since)


def _holds(progress: LaneProgress) -> bool:
    """One that nobody can say the extent of (a lost stretch of the log) waits for a person, and its orders do not."""
    return progress.complete and progress.holding and not progress.uncertain


_digest_encoder = msgspec.msgpack.Encoder(order="deterministic")


def _digest(content: Any) -> bytes:
    """12 bytes over what is sent, without version and stamps."""
    return hashlib.blake2b(_digest_encoder.encode(content), digest_size=12).digest()
