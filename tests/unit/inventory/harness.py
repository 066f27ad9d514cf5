"""Inventory in memory, spoken to in a test's words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from schemas.errors import PoisonRecord
from schemas.messages import Balance, BalanceMessage, ItemPart, LaneProgress, LocationPart
from schemas.records import Atp, Bucket, ExceptionRecord, Item, Position, Progress, Stamps
from streams.core.inventory.publish import Rules
from streams.core.inventory.stage import InventoryStage
from streams.core.ownership import Ownership, parse_ownership
from tests.memory import Durable, MemoryRuntime

NOON_US = 1_764_158_400_000_000
"""2025-11-26T12:00:00Z."""
TODAY = dt.date(2025, 11, 26)

OWNERSHIP = """
items: [erp, wms]
locations: [erp, wms]
inventory:
  on_hand: [wms]
  on_hold: [wms]
  safety_stock: [erp]
  demand: [erp]
  fulfilled: [wms, erp]
  inbound: [erp, wms]
  received: [wms, erp]
  reserved: [shop]
orders: {header: [erp], lines: [erp], shipments: [wms]}
"""
SOURCES = ("erp", "wms", "shop")

_TYPES: dict[str, type[msgspec.Struct]] = {
    "inventory.atp.v1": Atp,
    "inventory.position.v1": Position,
    "item.v1": Item,
    "progress.v1": Progress,
    "exception.v1": ExceptionRecord,
    "onhand.balance.v1": BalanceMessage,
}

PROMISES_ID = "id-of-the-topic"


def day(n: int) -> dt.date:
    """So many days from today."""
    return TODAY + dt.timedelta(days=n)


def decode(topic: str, value: bytes) -> BalanceMessage:
    try:
        return msgspec.msgpack.decode(value, type=BalanceMessage)
    except msgspec.MsgspecError as error:
        raise PoisonRecord("contract-undecodable", f"{topic}: {error}") from None


def encode(topic: str, record: msgspec.Struct) -> bytes:
    assert type(record) is _TYPES[topic]
    return msgspec.msgpack.encode(record)


def balance(
    location: str,
    bucket: str,
    quantity: float | str | Decimal,
    reference: str | None = None,
    due: dt.date | None = None,
    *,
    postings: int = 1,
    view: str = "",
    expires_us: int | None = None,
) -> Balance:
    return Balance(
        location=location,
        bucket=Bucket(bucket),
        quantity=Decimal(str(quantity)),
        postings=postings,
        due=due,
        reference=reference,
        view=view,
        expires_us=expires_us,
    )


def ownership_of(text: str = OWNERSHIP, **changed: str) -> Ownership:
    """The test's ownership, with some lines of it changed."""
    for bucket, owners in changed.items():
        lines = [f"  {bucket}: {owners}" if line.startswith(f"  {bucket}:") else line for line in text.splitlines()]
        text = "\n".join(lines)
    return parse_ownership(text)


class Inventory:
    """One partition; versions count up by themselves unless given."""

    def __init__(
        self,
        ownership: Ownership | None = None,
        *,
        ready: Iterable[str] = SOURCES,
        durable: Durable | None = None,
        now_us: int = NOON_US,
        batch: int = 50,
        partition: int = 0,
        partitions: int = 1,
    ) -> None:
        self.partitions = partitions
        self.rules = Rules(ownership or ownership_of(), horizon_days=90, grace_days=7)
        self.version = 100
        self.runtime = MemoryRuntime(self.stage, now_us=now_us, durable=durable, batch=batch, partition=partition)
        for source in ready:
            self.progress(source)

    def stage(self) -> InventoryStage:
        return InventoryStage(self.rules, decode, encode, self.partitions, PROMISES_ID)

    def restart(self, ownership: Ownership | None = None) -> None:
        if ownership is not None:
            self.rules = Rules(ownership, self.rules.horizon_days, self.rules.grace_days)
        self.runtime.restart()
        self.runtime.run()

    def feed(self, message: BalanceMessage) -> BalanceMessage:
        key = message.sku if message.kind == "balances" else f"~{message.source}"
        self.runtime.feed(key.encode(), msgspec.msgpack.encode(message))
        return message

    def _version(self, version: int | None) -> int:
        if version is None:
            self.version += 1
            return self.version
        return version

    def say(
        self,
        source: str,
        sku: str,
        *balances: Balance,
        item: ItemPart | None = None,
        version: int | None = None,
        committed_us: int | None = None,
        run: bool = True,
        **more: Any,
    ) -> BalanceMessage:
        """A source says something about a sku; folded at once unless `run` is False."""
        message = BalanceMessage(
            kind="balances",
            source=source,
            sku=sku,
            version=self._version(version),
            balances=balances,
            item=item,
            stamps=Stamps(committed_us=committed_us),
            **more,
        )
        self.feed(message)
        if run:
            self.runtime.run()
        return message

    def progress(
        self,
        source: str,
        *,
        complete: bool = True,
        version: int | None = None,
        offset: int = 7,
        run: bool = True,
        **more: Any,
    ) -> None:
        self.feed(
            BalanceMessage(
                kind="progress",
                source=source,
                version=self._version(version),
                progress=LaneProgress(
                    input_offset=offset,
                    source_position=f"0/{offset}",
                    source_time_us=NOON_US,
                    complete=complete,
                    **more,
                ),
            )
        )
        if run:
            self.runtime.run()

    def locate(self, source: str, location: str, time_zone: str | None, version: int | None = None) -> None:
        part = LocationPart(location=location, time_zone=time_zone)
        self.feed(BalanceMessage(kind="location", source=source, version=self._version(version), location=part))
        self.runtime.run()

    def told(self, sku: str) -> list[Any]:
        """ATP now of the network in every promise that left, oldest first."""
        return [
            msgspec.msgpack.decode(output.value, type=Atp).network.available_now
            for output, _ in self.runtime.durable.sent
            if output.topic == "inventory.atp.v1" and output.key == sku.encode() and output.value is not None
        ]

    # -- what left; Any, so that a test compares quantities with plain numbers and fails on None by itself

    def _latest(self, topic: str, key: str) -> Any:
        value = self.runtime.latest(topic).get(key.encode())
        return msgspec.msgpack.decode(value, type=_TYPES[topic]) if value is not None else None

    def atp(self, sku: str) -> Any:
        return self._latest("inventory.atp.v1", sku)

    def position(self, sku: str) -> Any:
        return self._latest("inventory.position.v1", sku)

    def item(self, sku: str) -> Any:
        return self._latest("item.v1", sku)

    def stated(self, source: str) -> Any:
        return self._latest("progress.v1", f"inventory/{source}/0")

    def now(self, sku: str, location: str = "*") -> Any:
        """ATP now; None: there is no promise."""
        atp = self.atp(sku)
        if atp is None:
            return None
        return {at.location: at for at in (atp.network, *atp.locations)}[location].available_now

    def sent(self, topic: str) -> int:
        """How many records have left so far."""
        return sum(output.topic == topic for output, _ in self.runtime.durable.sent)

    def open_exceptions(self) -> dict[str, ExceptionRecord]:
        """`<code>/<subject>` → what is open."""
        found = {}
        for value in self.runtime.latest("exception.v1").values():
            record = msgspec.msgpack.decode(value, type=ExceptionRecord)
            if record.status == "open":
                found[f"{record.code}/{record.subject}"] = record
        return found
