"""A lane in memory, read as a receiver would read it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.messages import Balance, BalanceMessage, ItemPart, LaneProgress, OrderPart, OrderPartMessage
from schemas.records import ExceptionRecord, ExceptionStatus
from streams.core.lane.render import BALANCE_TOPIC, EXCEPTION_TOPIC, ORDER_PART_TOPIC
from streams.core.lane.stage import LaneLimits, LaneStage
from streams.core.log.control import Action, Control, encode_control
from streams.core.mapping.model import Mapping
from tests.memory import Durable, MemoryRuntime
from tests.unit.lane.toy import Log, ToyMapping

TYPES: dict[str, Any] = {
    BALANCE_TOPIC: BalanceMessage,
    ORDER_PART_TOPIC: OrderPartMessage,
    EXCEPTION_TOPIC: ExceptionRecord,
}


def encode(topic: str, record: msgspec.Struct) -> bytes:
    """JSON instead of Avro: the codec has tests of its own."""
    return msgspec.json.encode(record)


class Receiver:
    """Keeps the newest version of each balance of each sku, as inventory does."""

    def __init__(self) -> None:
        self.balances: dict[tuple[str, str, str, str | None], tuple[int, Balance]] = {}
        self.items: dict[str, ItemPart | None] = {}
        self.parts: dict[tuple[str, str, str], tuple[int, OrderPart]] = {}
        self.uncertain: dict[str, bool] = {}
        self.progress: LaneProgress | None = None
        self.history: list[BalanceMessage] = []

    def take(self, message: BalanceMessage) -> None:
        self.history.append(message)
        if message.progress is not None:
            self.progress = message.progress
            since = message.progress.restated_since
            if since is not None:
                self.balances = {key: kept for key, kept in self.balances.items() if kept[0] >= since}
                self.parts = {key: kept for key, kept in self.parts.items() if kept[0] >= since}
        for balance in message.balances:
            key = (message.sku, balance.location, balance.bucket.value, balance.reference)
            if balance.postings:
                self.balances[key] = (message.version, balance)
            else:
                self.balances.pop(key, None)
        if message.item is not None:
            self.items[message.sku] = None if message.item.withdrawn else message.item
        if message.uncertain is not None:
            self.uncertain[message.sku] = message.uncertain

    def quantities(self) -> dict[tuple[str, str, str, str | None], Decimal]:
        return {key: balance.quantity for key, (_, balance) in self.balances.items()}


class Lane:
    """One lane and its source log."""

    def __init__(
        self,
        mapping: Mapping | None = None,
        limits: LaneLimits | None = None,
        batch: int = 50,
        durable: Durable | None = None,
    ) -> None:
        self.mapping: Mapping = mapping or ToyMapping()
        self.limits = limits
        self.log = Log()
        self.fed = 0
        self.runtime = MemoryRuntime(
            lambda: LaneStage("toy", self.mapping, encode, self.limits), batch=batch, durable=durable
        )

    def feed(self) -> None:
        """What the log has gained goes into the topic."""
        for key, value in self.log.records[self.fed :]:
            self.runtime.feed(key, value)
        self.fed = len(self.log.records)

    def run(self) -> Receiver:
        """Feed, work off, read everything as a receiver that starts now."""
        self.feed()
        self.runtime.run()
        self.runtime.tick()
        return self.received()

    def pass_time(self, seconds: int) -> None:
        """Second by second, as an owner notices it."""
        for _ in range(seconds):
            self.runtime.tick(1)

    def received(self) -> Receiver:
        receiver = Receiver()
        for output, version in self.runtime.durable.sent:
            if output.topic == BALANCE_TOPIC and output.value is not None:
                receiver.take(msgspec.json.decode(output.value, type=BalanceMessage))
            elif output.topic == ORDER_PART_TOPIC and output.value is not None:
                message = msgspec.json.decode(output.value, type=OrderPartMessage)
                for part in message.order_parts:
                    receiver.parts[message.order_id, part.kind, part.part_id] = (version, part)
        return receiver

    def troubles(self) -> list[ExceptionRecord]:
        """All that was said on exception.v1, in order."""
        return [
            msgspec.json.decode(output.value, type=ExceptionRecord)
            for output, _ in self.runtime.durable.sent
            if output.topic == EXCEPTION_TOPIC and output.value is not None
        ]

    def exceptions(self) -> dict[str, ExceptionRecord]:
        """Open exceptions by id, as exception.v1 has them."""
        found = {record.id: record for record in self.troubles()}
        return {key: record for key, record in found.items() if record.status is ExceptionStatus.OPEN}

    def control(self, action: Action, identity: str = "", fingerprint: str = "") -> None:
        key, value = encode_control(Control(action=action, id=identity, fingerprint=fingerprint))
        self.log.records.append((key, value))

    def start(self, rows: dict[str, list[dict[str, Any]]] | None = None) -> Receiver:
        """A first snapshot, worked off."""
        self.log.snapshot(rows or {})
        return self.run()


@pytest.fixture
def lane() -> Lane:
    return Lane()


def stock_row(identity: int, item: int, quantity: str, location: str = "W1", note: str = "n") -> dict[str, Any]:
    return {"id": identity, "item": item, "location": location, "quantity": quantity, "note": note}


def item_row(identity: int, code: str, name: str = "name") -> dict[str, Any]:
    return {"id": identity, "code": code, "name": name}


def demand_row(identity: int, sku: str | None, quantity: str, factor: int | None = None) -> dict[str, Any]:
    return {"id": identity, "item_code": sku, "quantity": quantity, "factor": factor}


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def progress_of(lane: Lane) -> tuple[bool, bool, bool]:
    """(complete, holding, uncertain)"""
    progress = lane.received().progress
    assert progress is not None
    return progress.complete, progress.holding, progress.uncertain
