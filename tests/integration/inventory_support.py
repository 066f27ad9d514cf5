"""Inventory on real Kafka and registry: its processes, two sources, and what must be promised."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from confluent_kafka import Producer

from onhand.settings import Settings
from schemas import administration
from schemas.codec import Codec
from schemas.messages import Balance, BalanceMessage, KitMessage, LaneProgress
from schemas.records import Atp, Bucket, Progress
from schemas.registry import Registry
from streams.agents.runtime.log_reader import LogReader
from tests.integration.worker_support import DEADLINE_S, Workers
from tests.stack import RunningStack, unique

PARTITION_UA = -1
"""librdkafka: by the partitioner."""
INPUT = "onhand.balance.v1"


class InventoryProcesses(Workers):
    """Workers of inventory in a project of their own, what two sources tell them, and what they promise."""

    def __init__(self, settings: Settings, stock: str, sales: str) -> None:
        super().__init__(settings, "inventory")
        self.stock, self.sales = stock, sales
        with Registry(settings.registry_url) as registry:
            self.codec = Codec.connected(registry)
        self.reader = LogReader(settings.kafka)
        self.producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
        self.version = time.time_ns() // 1_000
        self.prefix = unique("sku")
        self.on_hand: dict[str, int] = defaultdict(int)
        self.demand: dict[str, dict[str, int]] = defaultdict(dict)
        self.sent = 0

    # -- sources

    def _produce(self, key: str, message: BalanceMessage, partition: int = PARTITION_UA) -> None:
        self.producer.produce(INPUT, self.codec.encode(INPUT, message), key.encode(), partition)
        self.producer.poll(0)

    def say(self, source: str, sku: str, *balances: Balance, kits: KitMessage | None = None) -> None:
        self.version += 1
        message = BalanceMessage(
            kind="balances", source=source, sku=sku, version=self.version, balances=balances, kits=kits
        )
        self._produce(sku, message)

    def progress(self, *, kits: bool = False) -> None:
        """Both sources have told everything so far."""
        self.producer.flush(DEADLINE_S)
        self.sent += 1
        for source in (self.stock, self.sales):
            self.version += 1
            lane = LaneProgress(
                input_offset=self.sent,
                source_position=str(self.sent),
                source_time_us=None,
                complete=True,
                kits=kits,
            )
            message = BalanceMessage(kind="progress", source=source, version=self.version, progress=lane)
            for partition in range(self.settings.partitions):
                self._produce(f"~{source}", message, partition)
        self.producer.flush(DEADLINE_S)

    def trade(self, rng: random.Random, changes: int) -> None:
        for _ in range(changes):
            sku = f"{self.prefix}-{rng.randrange(40)}"
            if rng.random() < 0.5:
                self.on_hand[sku] = rng.randrange(0, 100)
                self.say(self.stock, sku, balance(Bucket.ON_HAND, self.on_hand[sku]))
            else:
                line = f"L{rng.randrange(6)}"
                self.demand[sku][line] = rng.randrange(0, 9)
                self.say(self.sales, sku, balance(Bucket.DEMAND, self.demand[sku][line], line))
        self.progress()

    # -- promises

    def expected(self) -> dict[str, Decimal]:
        names = self.on_hand.keys() | self.demand.keys()
        return {sku: Decimal(self.on_hand[sku] - sum(self.demand[sku].values())) for sku in names}

    def promises(self) -> dict[str, Atp]:
        """Newest promise per sku; versions of a sku never fall."""
        found: dict[str, Atp] = {}
        for partition in range(self.settings.partitions):
            low, end = self.reader.bounds("inventory.atp.v1", partition)
            for record in self.reader.read("inventory.atp.v1", partition, low, end):
                if record.key is None or not record.key.startswith(self.prefix.encode()):
                    continue
                assert record.value is not None, f"{record.key!r} has a tombstone"
                atp = self.codec.decode("inventory.atp.v1", record.value)
                assert isinstance(atp, Atp)
                before = found.get(atp.sku)
                assert before is None or before.version < atp.version, f"{atp.sku} went back"
                found[atp.sku] = atp
        return found

    def stated(self) -> int:
        """How much of both sources is in the promises of every partition, by what inventory says."""
        newest: dict[str, int] = {}
        low, end = self.reader.bounds("progress.v1", 0)
        for record in self.reader.read("progress.v1", 0, low, end):
            if record.key is not None and record.value is not None and record.key.startswith(b"inventory/"):
                progress = self.codec.decode("progress.v1", record.value)
                assert isinstance(progress, Progress)
                if progress.source in (self.stock, self.sales):
                    newest[record.key.decode()] = progress.input_offset
        return min(newest.values()) if len(newest) == 2 * self.settings.partitions else 0

    def await_all(self) -> None:
        """Once everything is stated, every promise is right at once."""
        self.wait_for(lambda: self.stated() >= self.sent, f"progress {self.sent}")
        promises = self.promises()
        assert {sku: atp.network.available_now for sku, atp in promises.items()} == self.expected()
        assert all(atp.complete for atp in promises.values())


def balance(bucket: Bucket, quantity: int, reference: str | None = None) -> Balance:
    return Balance(location="N", bucket=bucket, quantity=Decimal(quantity), postings=1, reference=reference)


@contextmanager
def inventory_processes(stack: RunningStack, tmp_path: Path) -> Iterator[InventoryProcesses]:
    """None runs yet; all that do are killed in the end."""
    stock, sales = unique("stock"), unique("sales")
    project = tmp_path / "project"
    for source in (stock, sales):
        (project / "connect-configs" / source).mkdir(parents=True)
        (project / "connect-configs" / source / "source.yaml").write_text(f"name: {source}\n")
    (project / "connect-configs" / "ownership.yaml").write_text(
        f"items: [{sales}]\nlocations: [{sales}]\n"
        f"inventory: {{on_hand: [{stock}], on_hold: [], safety_stock: [], demand: [{sales}], fulfilled: [],"
        f" inbound: [], received: [], reserved: []}}\n"
        f"orders: {{header: [{sales}], lines: [{sales}], shipments: [{sales}]}}\n"
    )
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    settings = stack.settings(data_dir=data_dir, project_dir=project, session_timeout_s=6.0)
    administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    one = InventoryProcesses(settings, stock, sales)
    try:
        yield one
    finally:
        one.close()
