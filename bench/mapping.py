"""Rows a second, decoding and evaluating: `python -m bench.mapping` (CPU time, best of 5).

The demo's mappings; a stock table as most systems have one (`quant`: two joins, one CASE); and a bill of material whose
line posts for each of five parts (`bom_line`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.core.mapping.catalogue import Catalogue, Column, Table
from streams.core.mapping.mapping import CompiledMapping, compile_mapping, load_mapping
from streams.core.mapping.source import parse_source

ROWS = 20_000
CONFIGS = Path(__file__).parents[1] / "connect-configs"
STOCK = """
SELECT i.code AS sku, w.code AS location, CASE WHEN q.state = 'blocked' THEN 'on_hold' ELSE 'on_hand' END AS bucket,
       q.quantity AS quantity
  FROM quant q JOIN item i ON i.id = q.item_id JOIN warehouse w ON w.id = q.warehouse_id
UNION ALL
SELECT i.code, '*', 'demand', l.quantity * b.per
  FROM bom_line l JOIN bom b ON b.kit_id = l.kit_id JOIN item i ON i.id = b.item_id"""


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


def images_of(row: Callable[[int], dict[str, Any]]) -> list[bytes]:
    """Events' `after`."""
    return [msgspec.json.encode(row(n)) for n in range(ROWS)]


def main() -> None:
    print(f"{'table':<20} {'outputs':>7} {'decode/s':>10} {'evaluate/s':>10} {'both/s':>10}")
    erp = load_mapping(CONFIGS / "erp")
    lines = images_of(
        lambda n: {
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
    measure(erp, "erp.ordlin", lines, [])
    balances = images_of(
        lambda n: {"ibitem": f"A{n % 2000:05}      ", "ibwhse": "W1  ", "ibqoh": "1200", "ibsfty": "0"}
    )
    measure(erp, "erp.itmbal", balances, [])
    wms = load_mapping(CONFIGS / "wms")
    views = lookups(
        wms,
        {
            "wms.item": [{"item_id": n, "item_code": f"a-{n:05}"} for n in range(2000)],
            "wms.warehouse": [{"wh_id": n, "wh_code": f"w{n}"} for n in range(2)],
            "wms.bin": [{"bin_id": n, "wh_id": n % 2, "bin_type": "PICK"} for n in range(80)],
            "wms.lot": [{"lot_id": n, "hold_status": n % 2} for n in range(9)],
        },
    )
    stock = images_of(
        lambda n: {"stock_id": n, "bin_id": n % 80, "item_id": n % 2000, "lot_id": n % 9, "qty": "12.000"}
    )
    measure(wms, "wms.bin_stock", stock, views)
    typical()


def typical() -> None:
    """What a source looks like that nobody wrote for a demo."""
    tables = {
        "quant": (
            ("id", "int"),
            ("item_id", "int"),
            ("warehouse_id", "int"),
            ("state", "text"),
            ("quantity", "numeric"),
        ),
        "bom_line": (("id", "int"), ("kit_id", "int"), ("quantity", "numeric")),
        "bom": (("id", "int"), ("kit_id", "int"), ("item_id", "int"), ("per", "numeric")),
        "item": (("id", "int"), ("code", "text")),
        "warehouse": (("id", "int"), ("code", "text")),
    }
    known = {
        name: Table(
            name=f"public.{name}",
            columns={
                column: Column(name=column, type=type_, nullable=False, scale=3 if type_ == "numeric" else None)
                for column, type_ in columns
            },
            primary=("id",),
            unique=(("id",),),
            indexes=(("kit_id",),) if name == "bom" else (),
        )
        for name, columns in tables.items()
    }
    source = parse_source("name: typical\nkind: postgres\nschema: public\nmany: [bom]\n")
    catalogue = Catalogue(kind="postgres", schema="public", tables=known)
    mapping = compile_mapping(source, catalogue, {"postings.sql": STOCK}, b"\0" * 32)
    views = lookups(
        mapping,
        {
            "public.item": [{"id": n, "code": f"A-{n:05}"} for n in range(2000)],
            "public.warehouse": [{"id": n, "code": f"W{n}"} for n in range(20)],
            "public.bom": [{"id": n, "kit_id": n // 5, "item_id": n % 2000, "per": "2.000"} for n in range(2000)],
        },
    )
    quants = images_of(
        lambda n: {
            "id": n,
            "item_id": n % 2000,
            "warehouse_id": n % 20,
            "state": "free" if n % 9 else "blocked",
            "quantity": "12.000",
        }
    )
    measure(mapping, "public.quant", quants, views)
    kits = images_of(lambda n: {"id": n, "kit_id": n % 400, "quantity": "3.000"})
    measure(mapping, "public.bom_line", kits, views)


def lookups(mapping: CompiledMapping, rows: dict[str, Iterable[dict[str, Any]]]) -> list[dict[Any, Any]]:
    """The rows of tables by key."""
    views: list[dict[Any, Any]] = [{} for _ in mapping.lookups]
    for name, made in rows.items():
        table = mapping.tables[name]
        for row in made:
            decoded = table.decode(msgspec.json.encode(row))
            for index, key in table.lookup_keys(decoded):
                if mapping.lookups[index].many:
                    views[index].setdefault(key, []).append(decoded)
                else:
                    views[index][key] = decoded
    return views


if __name__ == "__main__":
    main()
