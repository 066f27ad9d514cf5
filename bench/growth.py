"""Cost per change as something grows: the state both kept in memory and in RocksDB, and the exponent of the growth."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rocksdict import Cache
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from streams.agents.runtime.marker import Standing
from streams.agents.runtime.store import PartitionStore
from streams.agents.runtime.view import UnitView
from streams.core.unit import InputRecord, Settled, Stage

TARGET = 0.05
"""The exponent may be so great at most: 1.26 times the cost at a hundred times the size."""
SAMPLES = 5
MORE = 40
"""Ticks at most after a unit: work lists must not go on for ever."""


class MemoryState:
    """`SettledState` in memory, in key order."""

    def __init__(self) -> None:
        self.pairs = SortedDict()

    def get(self, key: bytes) -> bytes | None:
        found: bytes | None = self.pairs.get(key)
        return found

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        found = []
        for key in self.pairs.irange(max(prefix, start)):
            if not key.startswith(prefix):
                break
            found.append((key, self.pairs[key]))
        return iter(found)

    def write(self, changes: dict[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value


class Twin:
    """One partition of a stage whose state stands in memory and in RocksDB alike; either can be worked on."""

    def __init__(self, stage: Stage, now_us: int) -> None:
        self.stage, self.now_us = stage, now_us
        self._folder = tempfile.TemporaryDirectory(prefix="onhand-bench-")
        self.memory = MemoryState()
        self.rocks = PartitionStore(Path(self._folder.name) / "state", Cache(64 << 20))
        self.version = 0
        self.offset = 0
        self._unit(self.memory, lambda view: stage.open(view, 0, None, None, now_us, 0), render=False)

    def close(self) -> None:
        self.rocks.close()
        self._folder.cleanup()

    def fold(self, values: Sequence[tuple[bytes | None, bytes]], *, rocks: bool = False, render: bool = False) -> float:
        """CPU seconds of folding (key, value) records, work lists included; the other state follows unmeasured."""
        topic = self.stage.input_topic
        records = [
            InputRecord(topic, 0, self.offset + n, self.now_us, key, value) for n, (key, value) in enumerate(values)
        ]
        self.offset += len(records)
        used, taken = 0.0, 0
        settled: MemoryState | PartitionStore = self.rocks if rocks else self.memory
        while taken < len(records):
            batch = records[taken : taken + 4000]
            seconds, done = self._unit(settled, partial(self._work, batch), render=render)
            used += seconds
            taken += done.consumed
            for _ in range(MORE if done.more else 0):
                seconds, ticked = self._unit(settled, lambda view: self.stage.tick(view, self.now_us), render=render)
                used += seconds
                if not ticked.more:
                    break
            if not done.consumed:
                raise AssertionError(f"{self.stage.name} takes nothing of {len(batch)} records")
        return used

    def _work(self, records: Sequence[InputRecord], view: UnitView) -> Settled:
        return self.stage.work(view, records, self.now_us)

    def _unit(
        self, settled: MemoryState | PartitionStore, call: Callable[[UnitView], Settled], *, render: bool
    ) -> tuple[float, Settled]:
        started = time.process_time()
        view = UnitView(settled)
        done = call(view)
        self.version += 1
        changes = view.changes
        self._write(settled, changes)
        if render:
            for _ in self.stage.render(UnitView(settled), done.owed, self.version, self.now_us):
                pass
        used = time.process_time() - started
        self._write(self.memory if settled is self.rocks else self.rocks, changes)
        return used, done

    @staticmethod
    def _write(settled: MemoryState | PartitionStore, changes: dict[bytes, bytes | None]) -> None:
        if isinstance(settled, MemoryState):
            settled.write(changes)
        else:
            settled.settle(changes, Standing())


@dataclass(frozen=True)
class Growth:
    """Microseconds of CPU per change at each size."""

    what: str
    sizes: tuple[int, ...]
    cost_us: tuple[float, ...]

    def exponent(self) -> tuple[float, float]:
        """(slope of log cost over log size by least squares, its standard error)."""
        x, y = [math.log(size) for size in self.sizes], [math.log(cost) for cost in self.cost_us]
        mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
        spread = sum((one - mean_x) ** 2 for one in x)
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
        rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
        return slope, math.sqrt(rest / max(1, len(x) - 2) / spread)

    def document(self) -> dict[str, object]:
        slope, error = self.exponent()
        return {
            "what": self.what,
            "us_per_change": {str(size): round(cost, 1) for size, cost in zip(self.sizes, self.cost_us, strict=True)},
            "exponent": round(slope, 3),
            "standard_error": round(error, 3),
            "reached": slope <= TARGET,
        }


def least(sample: Callable[[], float], samples: int = SAMPLES) -> float:
    """The least of several: everything else that runs here can only add to it."""
    return min(sample() for _ in range(samples))
