"""Rows a second of the demo mappings, decoding and evaluating: `python -m bench.mapping` (CPU time, best of 5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.core.mapping.mapping import CompiledMapping, load_mapping

ROWS = 20_000
CONFIGS = Path(__file__).parents[1] / "connect-configs"


def best(work: Callable[[], None]) -> float:
    """CPU seconds of the fastest of five runs."""
    times = []
    for _ in range(5):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def measure(mapping: CompiledMapping, name: str, images: Sequence[bytes], views: list[dict[Any, Any]]) -> None:
    table = mapping.tables[name]
    rows = [table.decode(image) for image in images]

    def decode() -> None:
        for image in images:
            table.decode(image)

    def evaluate() -> None:
        for row in rows:
            table.evaluate(row, views)

    def both() -> None:
        for image in images:
            table.evaluate(table.decode(image), views)

    outputs = sum(len(table.evaluate(row, views).outputs) for row in rows) / len(rows)
    rates = " ".join(f"{len(images) / best(work):>10,.0f}" for work in (decode, evaluate, both))
    print(f"{name:<20} {outputs:>7.1f} {rates}")


def main() -> None:
    print(f"{'table':<20} {'outputs':>7} {'decode/s':>10} {'evaluate/s':>10} {'both/s':>10}")
    erp = load_mapping(CONFIGS / "erp")
    lines = [
        msgspec.json.encode(
            {
                "olordn": n,
                "ollinn": 1,
                "olitem": f"A{n % 2000:05}      ",
                "olwhse": "W1  ",
                "olqord": "400",
                "olqshp": "100" if n % 4 == 0 else "0",
                "olqcan": "0",
                "olstat": 40,
                "olreqd": 126330 if n % 3 else 0,
            }
        )
        for n in range(ROWS)
    ]
    measure(erp, "erp.ordlin", lines, [])
    balances = [
        msgspec.json.encode({"ibitem": f"A{n % 2000:05}      ", "ibwhse": "W1  ", "ibqoh": "1200", "ibsfty": "0"})
        for n in range(ROWS)
    ]
    measure(erp, "erp.itmbal", balances, [])
    wms = load_mapping(CONFIGS / "wms")
    views = lookups(wms)
    stock = [
        msgspec.json.encode({"stock_id": n, "bin_id": n % 80, "item_id": n % 2000, "lot_id": n % 9, "qty": "12.000"})
        for n in range(ROWS)
    ]
    measure(wms, "wms.bin_stock", stock, views)


def lookups(wms: CompiledMapping) -> list[dict[Any, Any]]:
    """Items, warehouses, bins and lots by key."""
    rows: dict[str, list[dict[str, Any]]] = {
        "wms.item": [{"item_id": n, "item_code": f"a-{n:05}"} for n in range(2000)],
        "wms.warehouse": [{"wh_id": n, "wh_code": f"w{n}"} for n in range(2)],
        "wms.bin": [{"bin_id": n, "wh_id": n % 2, "bin_type": "PICK"} for n in range(80)],
        "wms.lot": [{"lot_id": n, "hold_status": n % 2} for n in range(9)],
    }
    views: list[dict[Any, Any]] = [{} for _ in wms.lookups]
    for name, made in rows.items():
        table = wms.tables[name]
        for row in made:
            decoded = table.decode(msgspec.json.encode(row))
            for index, key in table.lookup_keys(decoded):
                views[index][key] = decoded
    return views


if __name__ == "__main__":
    main()
