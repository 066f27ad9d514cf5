"""The orders process on the real broker: parts in, orders out, through a kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

DEADLINE_S = 90.0
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


@contextmanager
def orders_process(settings: Settings, project: Path, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "ONHAND_KAFKA": settings.kafka,
        "ONHAND_REGISTRY_URL": settings.registry_url,
        "ONHAND_PARTITIONS": str(settings.partitions),
        "ONHAND_PROJECT_DIR": str(project),
        "ONHAND_DATA_DIR": str(data_dir),
    }
    process = subprocess.Popen([sys.executable, "-m", "onhand.cli.main", "run", "orders"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def test_orders_are_merged_through_a_kill(stack: RunningStack, tmp_path: Path) -> None:
    settings = stack.settings()
    apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    with Registry(settings.registry_url) as registry:
        codec = Codec.connected(registry)
    project = tmp_path / "project"
    (project / "connect-configs").mkdir(parents=True)
    (project / "connect-configs" / "ownership.yaml").write_text(OWNERSHIP)
    lanes, run = Lanes(settings, codec), uuid.uuid4().hex[:8]
    ids = [f"SO-{run}-{number}" for number in range(300)]

    def ours() -> dict[str, Order]:
        records = newest(read_topic(settings.kafka, "order.v1", codec))
        return {record.key: record.value for record in records if run in record.key}

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
    with orders_process(settings, project, tmp_path / "data") as process:
        _until(lambda: len(ours()) == len(ids), process)
        for order_id in ids:
            lanes.say(
                "wms",
                order_id,
                OrderPart(kind="header", part_id=order_id, attributes={"execution_status": "shipped"}),
                OrderPart(kind="line", part_id=f"{order_id}-1", attributes={"shipped": "5"}),
            )
        lanes.flush()
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
    lanes.progress("wms", 777)
    lanes.flush()
    with orders_process(settings, project, tmp_path / "data") as process:
        _until(
            lambda: (
                [r.value.input_offset for r in newest(read_topic(settings.kafka, "progress.v1", codec))
                 if r.key.startswith("orders/wms/")].count(777) == settings.partitions
            ),
            process,
        )  # fmt: skip
        orders = ours()
        assert {order.execution_status for order in orders.values()} == {"shipped"}
        assert {order.lines[0].shipped for order in orders.values()} == {Decimal(5)}
        assert {order.complete for order in orders.values()} == {True}
        assert {next(c.attribute for c in order.conflicts) for order in orders.values()} == {"execution_status"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, f"the process ended with {process.returncode}"
        assert time.monotonic() < deadline, "not so in time"
