"""A small cast for the tests of orders: an ERP, a WMS, and one partition in memory."""

from __future__ import annotations

from typing import Any

from schemas.codec import Codec
from schemas.messages import LaneProgress, OrderPart, OrderPartMessage
from schemas.records import ExceptionRecord, Order, Progress, Shipment, Stamps
from schemas.versions import version_of
from streams.agents.orders import owning_sources
from streams.core.orders.stage import INPUT_TOPIC, OrdersStage
from streams.core.orders.stages import Words
from streams.core.ownership import Ownership, parse_ownership
from tests.memory import Durable, MemoryRuntime

CODEC = Codec.local()
OWNERSHIP = """
items: [erp]
locations: [erp]
drift_after_s: {drift_after_s}
inventory: {{on_hand: [wms], on_hold: [wms], safety_stock: [erp], demand: [erp], fulfilled: [wms], inbound: [erp],
            received: [wms], reserved: []}}
orders:
  header: {{"*": [erp, wms], execution_status: [wms, erp], delivery_status: [wms]}}
  lines: {{"*": [erp, wms], shipped: [wms, erp]}}
  shipments: [wms, erp]
"""


def ownership(drift_after_s: int = 0) -> Ownership:
    return parse_ownership(OWNERSHIP.format(drift_after_s=drift_after_s))


def header(order_id: str = "SO-1", **attributes: str | None) -> OrderPart:
    return OrderPart(kind="header", part_id=order_id, attributes=attributes)


def line(line_id: str = "SO-1-1", **attributes: str | None) -> OrderPart:
    return OrderPart(kind="line", part_id=line_id, attributes=attributes)


def shipment(number: str = "SHP-1", line_id: str = "SO-1-1", **attributes: str | None) -> OrderPart:
    return OrderPart(kind="shipment", part_id=f"{number}/{line_id}", attributes=attributes)


def gone(kind: str, part_id: str, deletion: str = "removed") -> OrderPart:
    return OrderPart(kind=kind, part_id=part_id, withdrawn=True, deletion=deletion)


class Scene:
    """One partition of orders; sources speak, and what was sent can be read."""

    def __init__(
        self,
        *,
        complete: bool = True,
        drift_after_s: int = 0,
        words: Words | None = None,
        durable: Durable | None = None,
        **options: Any,
    ) -> None:
        self.owners, self.words = ownership(drift_after_s), words or {}
        self.runtime = MemoryRuntime(self.stage, durable=durable, **options)
        self.units: dict[str, int] = {}
        self.epoch = 1
        if complete:
            self.progress("erp")
            self.progress("wms")
            self.run()

    def stage(self) -> OrdersStage:
        return OrdersStage(self.owners, owning_sources(self.owners), CODEC.encode, CODEC.decode, self.words)

    def next_version(self, source: str) -> int:
        self.units[source] = self.units.get(source, 0) + 1
        return version_of(self.epoch, self.units[source])

    def say(
        self,
        source: str,
        *parts: OrderPart,
        order_id: str = "SO-1",
        version: int | None = None,
        part: int = 1,
        parts_count: int = 1,
        committed_us: int | None = None,
    ) -> int:
        version = self.next_version(source) if version is None else version
        message = OrderPartMessage(
            kind="parts",
            source=source,
            version=version,
            order_id=order_id,
            part=part,
            parts=parts_count,
            order_parts=parts,
            stamps=Stamps(committed_us=committed_us),
        )
        self.runtime.feed(order_id.encode(), CODEC.encode(INPUT_TOPIC, message))
        return version

    def progress(
        self,
        source: str,
        *,
        complete: bool = True,
        restated_since: int | None = None,
        offset: int = 1,
        holding: bool = False,
        uncertain: bool = False,
    ) -> None:
        progress = LaneProgress(
            input_offset=offset,
            source_position="p",
            source_time_us=1,
            complete=complete,
            restated_since=restated_since,
            holding=holding,
            uncertain=uncertain,
        )
        message = OrderPartMessage(kind="progress", source=source, version=self.next_version(source), progress=progress)
        self.runtime.feed(f"~{source}".encode(), CODEC.encode(INPUT_TOPIC, message))

    def run(self) -> None:
        self.runtime.run()

    def tell(self, source: str, *parts: OrderPart, **options: Any) -> Order:
        """Say, run, and the order as it is now."""
        self.say(source, *parts, **options)
        self.run()
        return self.order(options.get("order_id", "SO-1"))

    def order(self, order_id: str = "SO-1") -> Order:
        order: Order = CODEC.decode("order.v1", self.runtime.latest("order.v1")[order_id.encode()])
        return order

    def orders(self) -> dict[str, Order]:
        latest = self.runtime.latest("order.v1")
        return {key.decode(): CODEC.decode("order.v1", value) for key, value in latest.items()}

    def shipments(self) -> dict[str, Shipment]:
        latest = self.runtime.latest("shipment.v1")
        return {key.decode(): CODEC.decode("shipment.v1", value) for key, value in latest.items()}

    def exceptions(self) -> dict[str, ExceptionRecord]:
        latest = self.runtime.latest("exception.v1")
        return {key.decode(): CODEC.decode("exception.v1", value) for key, value in latest.items()}

    def stated(self) -> dict[str, Progress]:
        latest = self.runtime.latest("progress.v1")
        return {key.decode(): CODEC.decode("progress.v1", value) for key, value in latest.items()}

    def sent(self, topic: str) -> int:
        """How many records went to the topic so far."""
        return sum(1 for sent in self.runtime.durable.sent if sent.output.topic == topic)
