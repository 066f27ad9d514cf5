"""Owed keys and settled state → messages, all under one version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from schemas.messages import (
    Balance,
    BalanceMessage,
    Component,
    ItemPart,
    KitMessage,
    LaneProgress,
    LocationPart,
    OrderPart,
    OrderPartMessage,
)
from schemas.records import Location, Progress, Stamps
from streams.core.lane.faults import load_exception
from streams.core.lane.keys import ZERO, BalanceName, balance_name, split_sku
from streams.core.lane.owed import ExceptionOwed, HoldOwed, LocationOwed, OrderOwed, ProgressOwed, SkuOwed, decode_owed
from streams.core.lane.snapshots import first_sending, holding, sends_everything, uncertain
from streams.core.lane.state import EXACT, ItemState, LocationState, Memo, PartState, as_of
from streams.core.lane.sums import decode_sum
from streams.core.unit import ALL_PARTITIONS, Output, View

BALANCE_TOPIC = "onhand.balance.v1"
ORDER_PART_TOPIC = "onhand.order-part.v1"
LOCATION_TOPIC = "location.v1"
EXCEPTION_TOPIC = "exception.v1"
PROGRESS_TOPIC = "progress.v1"

PART_BYTES = 512 << 10
"""Size of a message above which a sku's balances leave in parts of one version; counted from the names."""
BALANCE_BYTES = 48
"""What a balance costs in a message beside its name, at most."""

KNOWN_NAMES = 10_000
"""Balance names held in memory at most."""

Encode = Callable[[str, msgspec.Struct], bytes]
"""Topic and record → the bytes of its value, as `schemas.codec.Codec.encode`."""

_item_decoder = msgspec.msgpack.Decoder(ItemState)
_location_decoder = msgspec.msgpack.Decoder(LocationState)
_part_decoder = msgspec.msgpack.Decoder(PartState)
_NOTHING = Decimal(0)
_new = tuple.__new__


class _KnownNames(dict[bytes, BalanceName]):
    """Balance names that were read: those without a reference stand in every sku."""

    def __missing__(self, name: bytes) -> BalanceName:
        if len(self) >= KNOWN_NAMES:
            self.clear()
        said = self[name] = balance_name(name)
        return said


_known_names = _KnownNames()


class Renderer:
    """Makes the outputs of a lane."""

    def __init__(self, source: str, encode: Encode, kits: bool = False) -> None:
        """`kits`: the mapping has components."""
        self._source, self._encode, self._kits = source, encode, kits
        self._in_band = f"~{source}".encode()

    def outputs(self, state: View, memo: Memo, owed: Sequence[bytes], version: int, now_us: int) -> Iterator[Output]:
        """Messages in the order of the owed keys; progress stands behind what it covers, a hold in front."""
        progress = False
        for key in owed:
            due = decode_owed(key)
            if isinstance(due, SkuOwed):
                if sends_everything(memo):
                    due.everything = due.item = due.uncertain = True
                yield from self._balances(state, due, version, now_us)
            elif isinstance(due, OrderOwed):
                yield from self._order_parts(state, due, version, now_us)
            elif isinstance(due, LocationOwed):
                yield from self._location(state, due.location, version)
            elif isinstance(due, ExceptionOwed):
                yield from self._exception(state, due.id, version)
            elif isinstance(due, HoldOwed):
                yield from self._in_band_progress(_hold(memo, due, self._kits), version)
            elif isinstance(due, ProgressOwed):
                progress = True
        if progress:
            yield from self._progress(memo, version, now_us)

    # -- balances

    def _balances(self, state: View, due: SkuOwed, version: int, now_us: int) -> Iterator[Output]:
        prefix = b"s" + due.sku + ZERO
        if due.everything:
            gone: dict[bytes, bytes | None] = dict.fromkeys(due.balances)
            here = {key[len(prefix) :]: value for key, value in state.scan(prefix)}
            names: Iterable[tuple[bytes, bytes | None]] = (gone | here).items()
        else:
            names = [(name, state.get(prefix + name)) for name in due.balances]
        parts: list[list[Balance]] = [[]]
        size = 0
        for name, stored in names:
            if size > PART_BYTES:
                parts.append([])
                size = 0
            parts[-1].append(_balance(name, stored))
            size += len(name) + BALANCE_BYTES
        sku = due.sku.decode()
        stamps = Stamps(committed_us=due.committed_us, captured_us=due.captured_us, laned_us=now_us)
        item = _item(state, due.sku, sku) if due.item else None
        certain = None
        if due.uncertain:
            certain = next(state.scan(b"y" + due.sku + ZERO), None) is not None
        kits = _kits(state, due, self._kits)
        for number, balances in enumerate(parts, 1):
            message = BalanceMessage(
                kind="balances",
                source=self._source,
                version=version,
                sku=sku,
                part=number,
                parts=len(parts),
                balances=tuple(balances),
                item=item if number == 1 else None,
                uncertain=certain if number == 1 else None,
                stamps=stamps,
                kits=kits if number == 1 else None,
            )
            value = self._encode(BALANCE_TOPIC, message)
            yield _new(Output, (BALANCE_TOPIC, due.sku, value, None))

    # -- orders

    def _order_parts(self, state: View, due: OrderOwed, version: int, now_us: int) -> Iterator[Output]:
        prefix = b"o" + due.order + ZERO
        found: list[OrderPart] = []
        if due.everything:
            last = b""
            for key, _ in state.scan(prefix):
                part = _part_name(key[len(prefix) :])
                if part != last:
                    found.append(_order_part(part, _newest(state, prefix + part + ZERO), None))
                    last = part
        else:
            for part, deletion in due.parts:
                found.append(_order_part(part, _newest(state, prefix + part + ZERO), deletion))
        order = due.order.decode()
        stamps = Stamps(committed_us=due.committed_us, captured_us=due.captured_us, laned_us=now_us)
        groups = _in_parts(found)
        for number, parts in enumerate(groups, 1):
            message = OrderPartMessage(
                kind="parts",
                source=self._source,
                version=version,
                order_id=order,
                part=number,
                parts=len(groups),
                order_parts=tuple(parts),
                stamps=stamps,
            )
            yield Output(ORDER_PART_TOPIC, due.order, self._encode(ORDER_PART_TOPIC, message))

    # -- locations, exceptions, progress

    def _location(self, state: View, location: bytes, version: int) -> Iterator[Output]:
        first = next(state.scan(b"l" + location + ZERO), None)
        name = location.decode()
        if first is None:
            part = LocationPart(location=name, withdrawn=True)
            yield Output(LOCATION_TOPIC, location, None)
        else:
            said = _location_decoder.decode(first[1])
            part = LocationPart(
                location=name, name=said.name, kind=said.kind, time_zone=said.time_zone, active=said.active
            )
            record = Location(
                location=name,
                version=version,
                source=self._source,
                name=said.name,
                kind=said.kind,
                time_zone=said.time_zone,
                active=said.active,
            )
            yield Output(LOCATION_TOPIC, location, self._encode(LOCATION_TOPIC, record))
        message = BalanceMessage(kind="location", source=self._source, version=version, location=part)
        yield Output(BALANCE_TOPIC, self._in_band, self._encode(BALANCE_TOPIC, message), ALL_PARTITIONS)

    def _exception(self, state: View, identity: str, version: int) -> Iterator[Output]:
        record = load_exception(state, identity)
        if record is not None:
            value = self._encode(EXCEPTION_TOPIC, msgspec.structs.replace(record, version=version))
            yield Output(EXCEPTION_TOPIC, identity.encode(), value)

    def _in_band_progress(self, lane: LaneProgress, version: int) -> Iterator[Output]:
        balance = BalanceMessage(kind="progress", source=self._source, version=version, progress=lane)
        yield Output(BALANCE_TOPIC, self._in_band, self._encode(BALANCE_TOPIC, balance), ALL_PARTITIONS)
        part = OrderPartMessage(kind="progress", source=self._source, version=version, progress=lane)
        yield Output(ORDER_PART_TOPIC, self._in_band, self._encode(ORDER_PART_TOPIC, part), ALL_PARTITIONS)

    def _progress(self, memo: Memo, version: int, now_us: int) -> Iterator[Output]:
        lane = LaneProgress(
            input_offset=memo.covered_offset,
            source_position=memo.covered,
            source_time_us=memo.covered_us,
            complete=memo.complete,
            holding=holding(memo),
            uncertain=uncertain(memo),
            restated_since=memo.restated_since,
            restating_since=None if self._kits else first_sending(memo),
            kits=self._kits,
        )
        yield from self._in_band_progress(lane, version)
        progress = Progress(
            stage="lane",
            source=self._source,
            partition=0,
            version=version,
            input_offset=lane.input_offset,
            source_position=lane.source_position,
            source_time_us=lane.source_time_us,
            complete=lane.complete,
            holding=lane.holding,
            uncertain=lane.uncertain,
            stated_us=now_us,
        )
        key = f"lane/{self._source}/0".encode()
        yield Output(PROGRESS_TOPIC, key, self._encode(PROGRESS_TOPIC, progress))


def _hold(memo: Memo, due: HoldOwed, kits: bool) -> LaneProgress:
    return LaneProgress(
        input_offset=due.covered_offset,
        source_position=due.covered,
        source_time_us=due.covered_us,
        complete=memo.complete,
        holding=True,
        uncertain=uncertain(memo),
        kits=kits,
    )


def _balance(name: bytes, stored: bytes | None) -> Balance:
    said = _known_names[name]
    quantity, postings = _NOTHING, 0
    if stored is not None:
        found = decode_sum(stored)
        quantity, postings = found.quantity, found.postings
    return Balance(
        location=said.location,
        bucket=said.bucket,
        quantity=quantity,
        postings=postings,
        due=said.due,
        reference=said.reference,
        view=said.view,
    )


def _item(state: View, sku: bytes, text: str) -> ItemPart | None:
    """What the first row that says anything about the item says; withdrawn when none does."""
    first = next(state.scan(b"i" + sku + ZERO), None)
    if first is None:
        return ItemPart(sku=text, withdrawn=True)
    said = _item_decoder.decode(first[1])
    return ItemPart(
        sku=text,
        name=said.name,
        unit=said.unit,
        unit_digits=said.unit_digits,
        tracked=said.tracked,
        backorder_limit=said.backorder_limit,
        active=said.active,
    )


def _kits(state: View, due: SkuOwed, everything: bool) -> KitMessage | None:
    """What changed about a sku as a kit and as a component; `everything`: with the whole sku, both."""
    bill = due.bill or (due.everything and everything)
    part_of = due.part_of or (due.everything and everything)
    if not (bill or part_of):
        return None
    quantities: dict[bytes, Decimal] = {}
    if bill:
        prefix = b"b" + due.sku + ZERO
        for key, value in state.scan(prefix):
            component = split_sku(key[len(prefix) :])[0]
            quantities[component] = EXACT.add(quantities.get(component, _NOTHING), Decimal(value.decode()))
    components = tuple(Component(sku=sku.decode(), quantity=quantity) for sku, quantity in quantities.items())
    goes_in = next(state.scan(b"t" + due.sku + ZERO), None) is not None if part_of else None
    return KitMessage(components=components if bill else None, component=goes_in)


def _part_name(rest: bytes) -> bytes:
    """`<kind> 0 <part> 0 <row reference>` → `<kind> 0 <part>`."""
    return rest[: rest.index(ZERO, rest.index(ZERO) + 1)]


def _order_part(name: bytes, stored: bytes | None, deletion: str | None) -> OrderPart:
    kind, _, part = name.partition(ZERO)
    if stored is None:
        return OrderPart(kind=kind.decode(), part_id=part.decode(), withdrawn=True, deletion=deletion)
    said = _part_decoder.decode(stored)
    return OrderPart(
        kind=kind.decode(), part_id=part.decode(), attributes=said.attributes, raw_statuses=said.raw_statuses
    )


def _newest(state: View, prefix: bytes) -> bytes | None:
    """Of several rows about one part the one with the greatest as_of speaks; without one, the first."""
    rows = [value for _, value in state.scan(prefix)]
    return max(rows, key=as_of, default=None) if len(rows) > 1 else next(iter(rows), None)


def _in_parts(found: list[OrderPart]) -> list[list[OrderPart]]:
    groups: list[list[OrderPart]] = [[]]
    size = 0
    for part in found:
        if size > PART_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(part)
        texts = (*part.attributes.items(), *part.raw_statuses.items())
        size += 64 + sum(len(name) + 4 + len(value or "") * 2 for name, value in texts)
    return groups
