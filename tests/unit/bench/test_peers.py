"""The peers' step does the lane's work: the same sums of the same log."""

from __future__ import annotations

from decimal import Decimal

from bench import lane
from bench.peers.step import OUTPUT, Step
from schemas.codec import Codec
from schemas.messages import BalanceMessage
from streams.core.lane.keys import balance_name, split_sku
from streams.core.lane.stage import LaneStage
from streams.core.lane.sums import decode_sum
from streams.core.mapping.mapping import load_mapping
from streams.core.unit import InputRecord
from tests.memory import MemoryView

Sums = dict[tuple[str, str, str], Decimal]
ROWS = 24_000
"""More than there are stock rows, so that rows are replaced."""


class DictStore:
    """What a peer keeps."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        self.pairs[key] = value


def test_step_and_lane_come_to_the_same_sums() -> None:
    records = [*lane.first("wms", list(load_mapping(lane.CONFIGS / "wms").tables)).records, *lane.wms(ROWS).records]
    records = [record._replace(offset=offset) for offset, record in enumerate(records)]
    sums = of_step(records)
    assert sums == of_lane(records)
    assert len(sums) > lane.SKUS


def of_step(records: list[InputRecord]) -> Sums:
    step, codec, sums = Step(), Codec.local(), Sums()
    step.store = DictStore()
    for record in records:
        assert record.value is not None
        for _, value in step(record.value, record.offset):
            message = codec.decode(OUTPUT, value)
            assert isinstance(message, BalanceMessage)
            for balance in message.balances:
                sums[message.sku, balance.location, balance.bucket.value] = balance.quantity
    return sums


def of_lane(records: list[InputRecord]) -> Sums:
    stage, view = LaneStage("wms", load_mapping(lane.CONFIGS / "wms"), Codec.local().encode), MemoryView()
    stage.open(view, 0, None, None, 0, 0)
    lane.drive(stage, view, records, 1)
    sums = Sums()
    for key, stored in view.store.pairs.items():
        if key[:1] == b"s":
            sku, balance = split_sku(key[1:])
            name = balance_name(balance)
            sums[sku.decode(), name.location, name.bucket.value] = decode_sum(stored).quantity
    return sums
