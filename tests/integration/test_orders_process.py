"""The orders process on the real broker: parts in, orders out, through a kill -9."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Producer

from onhand.settings import Settings
from schemas.administration import apply
from schemas.codec import Codec
from schemas.messages import LaneProgress, OrderPart, OrderPartMessage
from schemas.reader import newest, read_topic
from schemas.records import Order
from schemas.registry import Registry
from schemas.versions import version_of
from tests.integration.worker_support import DEADLINE_S, Workers
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

INPUT = "onhand.order-part.v1"
OWNERSHIP = """
items: [erp]
locations: [erp]
inventory: {on_hand: [wms], on_hold: [wms], safety_stock: [erp], demand: [erp], fulfilled: [wms], inbound: [erp],
            received: [wms], reserved: []}
orders:
  header: {"*": [erp, wms], execution_status: [wms, erp]}
  lines: {"*": [erp, wms], shipped: [wms, erp]}
  shipments: [wms, erp]
"""


class Lanes:
    """Two lanes' words, as they would send them."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self._producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
        # Above whatever an earlier run on the same stack has said.
        self._epoch, self._unit = int(time.time()) - 1_577_836_800, 0

    def say(self, source: str, order_id: str, *parts: OrderPart) -> None:
        message = OrderPartMessage(
            kind="parts", source=source, version=self._version(), order_id=order_id, order_parts=parts
        )
        self._producer.produce(INPUT, key=order_id, value=self._codec.encode(INPUT, message))

    def progress(self, source: str, offset: int) -> None:
        progress = LaneProgress(input_offset=offset, source_position="p", source_time_us=1, complete=True)
        message = OrderPartMessage(kind="progress", source=source, version=self._version(), progress=progress)
        for partition in range(self._settings.partitions):
            self._producer.produce(
                INPUT, key=f"~{source}", value=self._codec.encode(INPUT, message), partition=partition
            )

    def flush(self) -> None:
        assert self._producer.flush(DEADLINE_S) == 0

    def _version(self) -> int:
        self._unit += 1
        return version_of(self._epoch, self._unit)


def test_orders_are_merged_through_a_kill(stack: RunningStack, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "connect-configs").mkdir(parents=True)
    (project / "connect-configs" / "ownership.yaml").write_text(OWNERSHIP)
    (tmp_path / "data").mkdir()
    settings = stack.settings(data_dir=tmp_path / "data", project_dir=project)
    apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    with Registry(settings.registry_url) as registry:
        codec = Codec.connected(registry)
    lanes, run = Lanes(settings, codec), uuid.uuid4().hex[:8]
    ids = [f"SO-{run}-{number}" for number in range(300)]

    def ours() -> dict[str, Order]:
        records = newest(read_topic(settings.kafka, "order.v1", codec))
        return {record.key: record.value for record in records if run in record.key}

    def stated() -> list[int]:
        records = newest(read_topic(settings.kafka, "progress.v1", codec))
        return [record.value.input_offset for record in records if record.key.startswith("orders/wms/")]

    for order_id in ids:
        lanes.say(
            "erp",
            order_id,
            OrderPart(kind="header", part_id=order_id, attributes={"number": order_id, "execution_status": "entered"}),
            OrderPart(kind="line", part_id=f"{order_id}-1", attributes={"ordered": "5", "shipped": "0"}),
        )
    lanes.progress("erp", 300)
    lanes.progress("wms", 0)
    lanes.flush()
    with closing(Workers(settings, "orders")) as workers:
        workers.start()
        workers.wait_for(lambda: len(ours()) == len(ids), "every order")
        for order_id in ids:
            lanes.say(
                "wms",
                order_id,
                OrderPart(kind="header", part_id=order_id, attributes={"execution_status": "shipped"}),
                OrderPart(kind="line", part_id=f"{order_id}-1", attributes={"shipped": "5"}),
            )
        lanes.flush()
        workers.kill()
        lanes.progress("wms", 777)
        lanes.flush()
        workers.start()
        workers.wait_for(lambda: stated().count(777) == settings.partitions, "progress of every partition")
        orders = ours()
        assert {order.execution_status for order in orders.values()} == {"shipped"}
        assert {order.lines[0].shipped for order in orders.values()} == {Decimal(5)}
        assert {order.complete for order in orders.values()} == {True}
        assert {next(c.attribute for c in order.conflicts) for order in orders.values()} == {"execution_status"}
        assert workers.end() == 0
