"""Inventory between its contracts: balances in as Avro, canonical records out as Avro."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.codec import Codec
from schemas.messages import Balance, BalanceMessage, ItemPart, LaneProgress
from schemas.records import Bucket, Stamps
from streams.core.inventory.publish import Rules
from streams.core.inventory.stage import InventoryStage
from streams.core.ownership import load_ownership
from tests.memory import MemoryRuntime

PROJECT = Path(__file__).parents[2]
INPUT = "onhand.balance.v1"


class Demo:
    """The demo's owners, one partition."""

    def __init__(self) -> None:
        self.codec = Codec.local()
        rules = Rules(load_ownership(PROJECT / "connect-configs" / "ownership.yaml"), horizon_days=90, grace_days=7)
        self.runtime = MemoryRuntime(lambda: InventoryStage(rules, self.decode, self.codec.encode))
        self.version = 0

    def decode(self, topic: str, value: bytes) -> BalanceMessage:
        return cast(BalanceMessage, self.codec.decode(topic, value))

    def tell(self, kind: str, source: str, **fields: Any) -> None:
        self.version += 1
        message = BalanceMessage(kind=kind, source=source, version=self.version, **fields)
        self.runtime.feed(fields.get("sku", f"~{source}").encode(), self.codec.encode(INPUT, message))
        self.runtime.run()

    def newest(self, topic: str, key: str) -> Any:
        return self.codec.decode(topic, self.runtime.latest(topic)[key.encode()])


@pytest.fixture
def demo() -> Demo:
    one = Demo()
    for source in ("erp", "wms"):
        progress = LaneProgress(input_offset=1, source_position="1", source_time_us=1, complete=True)
        one.tell("progress", source, progress=progress)
    return one


def balance(bucket: Bucket, quantity: str, reference: str | None = None) -> Balance:
    return Balance(location="W1", bucket=bucket, quantity=Decimal(quantity), postings=1, reference=reference)


def test_every_output_keeps_its_contract(demo: Demo) -> None:
    stamps = Stamps(committed_us=10, captured_us=20, laned_us=30)
    item = ItemPart(sku="ü-1", name="Bolt", unit="PC", unit_digits=2, backorder_limit=Decimal("2.5"))
    demo.tell("balances", "wms", sku="ü-1", balances=(balance(Bucket.ON_HAND, "10.125"),), stamps=stamps)
    demo.tell(
        "balances", "erp", sku="ü-1", balances=(balance(Bucket.DEMAND, "14.5", "SO-1-1"),), item=item, stamps=stamps
    )
    atp, position = demo.newest("inventory.atp.v1", "ü-1"), demo.newest("inventory.position.v1", "ü-1")
    assert atp.network.available_now == Decimal("-4.375")
    assert (atp.complete, atp.backorder_limit, atp.cause) == (True, Decimal("2.5"), "erp")
    assert atp.stamps == Stamps(committed_us=10, captured_us=20, laned_us=30, promised_us=demo.runtime.now_us)
    assert set(atp.source_versions) == {"erp", "wms"}
    assert [(line.bucket, line.quantity, line.source) for line in position.lines] == [
        (Bucket.DEMAND, Decimal("14.5"), "erp"),
        (Bucket.ON_HAND, Decimal("10.125"), "wms"),
    ]
    assert demo.newest("item.v1", "ü-1").name == "Bolt"
    assert demo.newest("progress.v1", "inventory/erp/0").source_position == "1"
    exception = demo.newest("exception.v1", "inventory/erp/oversell/ü-1")
    assert (exception.status, exception.subject) == ("open", "ü-1")
    demo.tell("balances", "wms", sku="ü-1", balances=(balance(Bucket.ON_HAND, "20"),), stamps=stamps)
    assert demo.newest("exception.v1", "inventory/erp/oversell/ü-1").status == "closed"


def test_bytes_that_are_not_the_contract_are_parked_with_their_place(demo: Demo) -> None:
    offset = demo.runtime.feed(b"A", b"\x00\x00\x00\x00\x09nonsense")
    demo.runtime.run()
    exception = demo.newest("exception.v1", f"inventory//contract-undecodable/{INPUT}/0/{offset}")
    assert (exception.offset, exception.raw) == (offset, b"\x00\x00\x00\x00\x09nonsense")


def test_progress_whose_source_time_is_unknown_is_stated_too(demo: Demo) -> None:
    progress = LaneProgress(input_offset=9, source_position="", source_time_us=None, complete=True)
    demo.tell("progress", "erp", progress=progress)
    assert demo.newest("progress.v1", "inventory/erp/0").input_offset == 9
