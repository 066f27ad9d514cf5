"""Latency of the whole chain beside hop 0 alone, in one run on the real parts.

A writer changes the safety stock of items in the ERP at a set rate, open loop, each time to a value that item never
had.  A consumer on `cdc.erp` notes when the change is in the source log (hop 0: commit → source log); the shop's HTTP
handler notes when it is told the promise that follows (chain: commit → acknowledged).  Both clocks are this machine's.
A change that a newer one overtook counts with the newer one's arrival, so conflation never flatters.

    python -m bench.chain [--rate 200] [--seconds 40] [--items 2000] [--json]
"""

from __future__ import annotations

import json
import random
import secrets
import tempfile
import threading
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from onhand.demo import databases as db
from onhand.demo.shop import ShelfTag
from onhand.demo.system import DemoSystem
from onhand.demo.truth import erp_item

WARM_UP_S = 12.0
DRAIN_S = 20.0
CHANGE = "UPDATE erp.itmbal SET ibsfty = %s WHERE ibitem = %s AND ibwhse = 'W1'"


class _Source(msgspec.Struct):
    table: str


class _After(msgspec.Struct):
    ibitem: str
    ibwhse: str
    ibsfty: Decimal


class _Event(msgspec.Struct):
    source: _Source | None = None
    after: msgspec.Raw = msgspec.Raw()


class Arrivals:
    """When the n-th change of each item arrived somewhere; a later one stands for those it overtook."""

    def __init__(self) -> None:
        self.at: dict[str, list[tuple[int, float]]] = defaultdict(list)

    def note(self, sku: str, change: int) -> None:
        self.at[sku].append((change, time.perf_counter()))

    def latencies_ms(self, written: dict[tuple[str, int], float]) -> list[float]:
        """Milliseconds from each commit to the first arrival of it or of a newer one; infinite when none came."""
        found = []
        for (sku, change), committed in written.items():
            times = [at for number, at in self.at[sku] if number >= change]
            found.append((min(times) - committed) * 1000 if times else float("inf"))
        return found


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p99.9": at(0.999), "max": round(ordered[-1], 1)}


def watch_source_log(kafka: str, arrivals: Arrivals, ready: threading.Event, stopping: threading.Event) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"bench-{secrets.token_hex(4)}",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.assign([TopicPartition("cdc.erp", 0, OFFSET_END)])
    event, after = msgspec.json.Decoder(_Event), msgspec.json.Decoder(_After)
    while not stopping.is_set():
        for message in consumer.consume(500, 0.05):
            ready.set()
            if message.error() is not None or not message.value():
                continue
            found = event.decode(message.value() or b"")
            if found.source is None or found.source.table != "itmbal" or not bytes(found.after).startswith(b"{"):
                continue
            row = after.decode(found.after)
            if row.ibwhse.strip() == "W1":
                arrivals.note(row.ibitem.strip(), int(row.ibsfty) // 100)
    consumer.close()


def changing(system: DemoSystem) -> list[str]:
    """Items whose promise follows their safety stock: counted, active and without a backorder limit."""
    return [sku for n, sku in enumerate(system.business.skus) if n % 97 != 96 and n % 101 != 100 and n % 50 != 49]


def write(
    system: DemoSystem, rate: float, seconds: float, changes: dict[str, int]
) -> tuple[dict[tuple[str, int], float], int]:
    """Commit times by (sku, change), of everything after the warm-up; and how many began more than 50 ms late."""
    rng, written, late = random.Random(7), {}, 0
    skus = changing(system)
    with db.connect_erp(system.erp) as erp:
        begun = due = time.perf_counter()
        while due < begun + WARM_UP_S + seconds:
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            late += wait < -0.05
            sku = rng.choice(skus)
            changes[sku] += 1
            started = time.perf_counter()
            erp.execute(CHANGE, (changes[sku] * 100, erp_item(sku)))
            if due >= begun + WARM_UP_S:
                written[sku, changes[sku]] = started
            due += 1 / rate
    return written, late


def measure(system: DemoSystem, rate: float, seconds: float) -> dict[str, Any]:
    hop0, chain = Arrivals(), Arrivals()
    before = {sku: atp.network for sku, atp in system.newest("inventory.atp.v1").items()}
    settled = {sku: at.available_now + at.safety_stock for sku, at in before.items()}
    changes: dict[str, int] = defaultdict(lambda: 1000)

    def told(sku: str, tag: ShelfTag) -> None:
        chain.note(sku, int(settled[sku] - tag.available - other.get(sku, 0)))

    with db.connect_erp(system.erp) as erp:
        rows = erp.execute("SELECT rtrim(ibitem), ibsfty FROM erp.itmbal WHERE ibwhse = 'W2'").fetchall()
        other = {sku: int(safety) // 100 for sku, safety in rows}
        # Far more stock than safety, so that no promise is clamped at zero.
    with db.connect_wms(system.wms) as wms, wms.cursor() as cursor:
        cursor.execute("UPDATE bin_stock SET qty = qty + 100000 WHERE lot_id % 2 = 0")
    bound = 2 * 100_000

    def raised() -> bool:
        tags = dict(system.shop.tags)
        return all(sku in tags and tags[sku].available > 100_000 for sku in changing(system))

    system.wait("the raised stock to reach the shop", raised)
    settled = {sku: quantity + bound for sku, quantity in settled.items()}
    stopping, ready = threading.Event(), threading.Event()
    watcher = threading.Thread(target=watch_source_log, args=(system.settings.kafka, hop0, ready, stopping))
    watcher.start()
    system.wait("the first record of the source log", ready.is_set)
    system.shop.on_tag = told
    written, late = write(system, rate, seconds, changes)
    deadline = time.monotonic() + DRAIN_S
    newest: dict[str, int] = {sku: number for sku, number in changes.items() if number > 1000}
    while time.monotonic() < deadline and any(
        not chain.at[sku] or chain.at[sku][-1][0] < number for sku, number in newest.items()
    ):
        time.sleep(0.1)
    stopping.set()
    watcher.join()
    first, whole = percentiles(hop0.latencies_ms(written)), percentiles(chain.latencies_ms(written))
    return {
        "rate": rate,
        "changes": len(written),
        "began_late": late,
        "hop0_ms": first,
        "chain_ms": whole,
        "ratio": {name: round(whole[name] / first[name], 2) for name in first},
    }


@click.command()
@click.option("--rate", default=200.0, show_default=True, help="Changes a second.")
@click.option("--seconds", default=40.0, show_default=True, help="Measured time, after a warm-up.")
@click.option("--items", default=2000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rate: float, seconds: float, items: int, as_json: bool) -> None:
    """Latency commit → source log and commit → acknowledged, in one run."""
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        Path(folder).chmod(0o755)
        with DemoSystem(
            Path(folder) / "data", items=items, seed=1, say=lambda line: click.echo(line, err=True)
        ) as system:
            result = measure(system, rate, seconds)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"{result['changes']} changes at {rate:g}/s, {result['began_late']} began late")
    for name in ("hop0_ms", "chain_ms", "ratio"):
        click.echo(f"  {name:9} " + "  ".join(f"{key} {value}" for key, value in result[name].items()))


if __name__ == "__main__":
    main()
