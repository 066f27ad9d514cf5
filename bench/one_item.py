"""Very many rows of one item: what a change costs, how large anything becomes, and what a new code of the item costs.

All rows of the stock table rest on the same rows of item, bin, warehouse and lot, and make one balance.  The state is
RocksDB, as a lane has it.  Sizes are of keys and values, of everything that is written after the first snapshot.

    python -m bench.one_item [rows …]        100,000 and 1,000,000 unless said
"""

from __future__ import annotations

import gc
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rocksdict import Cache

from bench import lane as log
from onhand.collector import COLLECT_AFTER
from schemas.codec import Codec
from streams.agents.runtime.marker import Standing
from streams.agents.runtime.store import PartitionStore
from streams.agents.runtime.view import UnitView
from streams.core.lane.stage import LaneStage
from streams.core.mapping.mapping import load_mapping
from streams.core.unit import Settled

NOW_US = 1_795_472_113_000_000
CHANGES = 2_000
SLICE = 20_000


class Lane:
    """One lane over RocksDB that notes how large what it writes becomes."""

    def __init__(self, folder: Path) -> None:
        self.stage = LaneStage("wms", load_mapping(log.CONFIGS / "wms"), Codec.local().encode)
        self.store = PartitionStore(folder / "state", Cache(64 << 20))
        self.offset = self.units = self.version = self.largest_unit = self.largest_record = 0
        self._unit(lambda view: self.stage.open(view, 0, None, None, NOW_US, 0))

    def fold(self, writer: log.Writer) -> float:
        """CPU seconds of everything that the records cause."""
        started, self.units = time.process_time(), 0
        self.largest_unit = self.largest_record = 0
        records = [record._replace(offset=self.offset + n) for n, record in enumerate(writer.records)]
        writer.records.clear()
        self.offset += len(records)
        taken = 0
        while taken < len(records):
            batch = records[taken : taken + log.BATCH]
            done = self._unit(lambda view, batch=batch: self.stage.work(view, batch, NOW_US))  # type: ignore[misc]
            taken += done.consumed
            while done.more:
                done = self._unit(lambda view: self.stage.tick(view, NOW_US))
        return time.process_time() - started

    def _unit(self, call: Callable[[UnitView], Settled]) -> Settled:
        view = UnitView(self.store)
        done = call(view)
        sizes = [len(key) + len(value or b"") for key, value in view.changes.items()]
        self.largest_unit = max(self.largest_unit, sum(sizes))
        self.largest_record = max([self.largest_record, *sizes])
        self.store.settle(view.changes, Standing())
        self.version += 1
        self.units += 1
        for _ in self.stage.render(UnitView(self.store), done.owed, self.version, NOW_US):
            pass
        return done


def stock(writer: log.Writer, number: int, quantity: int) -> None:
    """A row of the one item, in a transaction of its own."""
    row = {"stock_id": number, "bin_id": 1, "item_id": 1, "lot_id": 1, "qty": f"{quantity}.000"}
    writer.row("wms.bin_stock", ("stock_id",), row)
    writer.end()


def measure(rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        lane = Lane(Path(folder))
        writer = log.first("wms", list(load_mapping(log.CONFIGS / "wms").tables))
        lane.fold(writer)
        for start in range(0, rows, SLICE):
            for number in range(start, min(rows, start + SLICE)):
                stock(writer, number, 1)
            lane.fold(writer)
        for number in range(0, rows, max(1, rows // CHANGES)):
            stock(writer, number, 2)
        changes = len(writer.records) // 2
        change_us = lane.fold(writer) / changes * 1e6
        writer.row("wms.item", ("item_id",), {"item_id": 1, "item_code": "renamed"})
        writer.end()
        rename_s = lane.fold(writer)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(
            f"{rows:>10,} {change_us:>10.1f} {rename_s:>9.1f} {rename_s / rows * 1e6:>10.1f} {lane.units:>7,} "
            f"{lane.largest_unit >> 10:>13,} {lane.largest_record:>15,} {peak:>9,}"
        )
        lane.store.close()


def main() -> None:
    gc.set_threshold(COLLECT_AFTER)
    print(
        f"{'rows':>10} {'change µs':>10} {'rename s':>9} {'µs a row':>10} {'units':>7} {'largest KiB':>13} "
        f"{'record bytes':>15} {'peak MiB':>9}"
    )
    for rows in [int(text.replace(",", "")) for text in sys.argv[1:]] or [100_000, 1_000_000]:
        measure(rows)


if __name__ == "__main__":
    main()
