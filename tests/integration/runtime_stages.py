"""Two small pure stages in chain, and the process that runs one: rows → sums per sku → positions.

`rows` keeps source rows and their sums per sku, as far as its partition sees them; `positions` merges the partitions'
sums.  Run as `python -m tests.integration.runtime_stages rows|positions RUN KAFKA DATA_DIR INSTANCE SESSION_S [POLL]`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from onhand.collector import collect_seldom
from schemas.errors import OnhandError
from streams.agents.runtime.tuning import Tuning
from streams.agents.runtime.worker import StageWorker
from streams.core.unit import UNIT_BYTES, InputRecord, Output, Settled, View

PARTITIONS = 4


class Row(msgspec.Struct, array_like=True):
    sku: str
    quantity: int


class PartSum(msgspec.Struct, array_like=True):
    """What one partition of `rows` says about a sku."""

    sender: int
    version: int
    quantity: int


class Position(msgspec.Struct, array_like=True):
    version: int
    quantity: int


pack = msgspec.msgpack.Encoder().encode
load_row = msgspec.msgpack.Decoder(Row).decode
load_part = msgspec.msgpack.Decoder(PartSum).decode
load_position = msgspec.msgpack.Decoder(Position).decode


class _Counting:
    """The memo counts records folded since the beginning: it must agree with the input offset after every crash."""

    fingerprint = b"test"
    sole_writer_of: frozenset[str] = frozenset()

    def __init__(self, name: str, input_topic: str, output_topic: str) -> None:
        self.name, self.input_topic, self.output_topic = name, input_topic, output_topic
        self.partition = 0
        self.count = 0

    def open(
        self, state: View, partition: int, memo: bytes | None, fingerprint: bytes | None, now_us: int, end: int
    ) -> Settled:
        self.partition = partition
        self.count = int(memo or b"0")
        return Settled(memo=self._memo())

    def work(self, state: View, records: Sequence[InputRecord], now_us: int) -> Settled:
        dirty: dict[bytes, None] = {}
        consumed = 0
        for record in records:
            if record.offset != self.count:
                raise AssertionError(f"{self.name}: folded {self.count} records, handed offset {record.offset}")
            if record.key is None:
                raise AssertionError("a record without a key")
            self.fold(state, record.key, record.value, dirty)
            self.count += 1
            consumed += 1
            if state.size > UNIT_BYTES:
                break
        return Settled(consumed=consumed, owed=tuple(dirty), memo=self._memo())

    def tick(self, state: View, now_us: int) -> Settled:
        return Settled(memo=self._memo())

    def fold(self, state: View, key: bytes, value: bytes | None, dirty: dict[bytes, None]) -> None:
        raise NotImplementedError

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        raise NotImplementedError

    def owed_for(self, topic: str, key: bytes) -> bytes | None:
        return key

    def _memo(self) -> bytes:
        return b"%d" % self.count


class RowsStage(_Counting):
    def fold(self, state: View, key: bytes, value: bytes | None, dirty: dict[bytes, None]) -> None:
        raw = state.get(b"r" + key)
        for image, sign in ((raw, -1), (value, 1)):
            if image is not None:
                row = load_row(image)
                total = b"s" + row.sku.encode()
                state.put(total, b"%d" % (int(state.get(total) or 0) + sign * row.quantity))
                dirty[row.sku.encode()] = None
        state.put(b"r" + key, value)

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        for sku in owed:
            part = PartSum(self.partition, version, int(state.get(b"s" + sku) or 0))
            yield Output(self.output_topic, sku, pack(part))


class PositionsStage(_Counting):
    def __init__(self, name: str, input_topic: str, output_topic: str) -> None:
        super().__init__(name, input_topic, output_topic)
        self.sole_writer_of = frozenset({output_topic})

    def fold(self, state: View, key: bytes, value: bytes | None, dirty: dict[bytes, None]) -> None:
        if value is None:
            raise AssertionError("a sum without a value")
        part = load_part(value)
        place = b"p" + key + b"|%d" % part.sender
        raw = state.get(place)
        if raw is None or load_part(raw).version < part.version:
            state.put(place, value)
            dirty[key] = None

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        for sku in owed:
            total = sum(load_part(raw).quantity for _, raw in state.scan(b"p" + sku + b"|"))
            yield Output(self.output_topic, sku, pack(Position(version, total)), self.partition)


def build(kind: str, run: str) -> _Counting:
    if kind == "rows":
        return RowsStage(f"rows-{run}", f"raw-{run}", f"sums-{run}")
    return PositionsStage(f"positions-{run}", f"sums-{run}", f"positions-{run}")


def main(kind: str, run: str, kafka: str, data_dir: str, instance: str, session_s: str, poll: str = "400") -> int:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s {kind}/{instance} %(levelname)s %(name)s %(message)s",
    )
    collect_seldom()  # as every process of onhand does
    stage = build(kind, run)
    return StageWorker(
        lambda: build(kind, run),
        group=stage.name,
        partitions=PARTITIONS,
        kafka=kafka,
        data_dir=Path(data_dir),
        instance=instance,
        tuning=Tuning(session_timeout_s=float(session_s), max_poll_records=int(poll)),
    ).run()


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OnhandError as fault:
        logging.critical("%s", fault)
        sys.exit(fault.exit_code)
