"""Latency of the whole chain beside hop 0 alone, in one run on the real parts.

A writer changes the safety stock of items in the ERP at a set rate, open loop, each time to a value that item never
had.  A consumer on `cdc.erp` notes when the change is in the source log (hop 0: commit → source log); the shop's HTTP
handler notes when it is told the promise that follows (chain: commit → acknowledged).  Both clocks are this machine's,
and begin before the commit is asked for.  A change that a newer one overtook counts with the newer one's arrival, so
conflation never flatters.  The hops in between are read from the stamps of `channel.publication.v1`; CPU time is taken
from the kernel, of every process of the system, over the measured time.

    python -m bench.chain [--rate 200,500] [--seconds 40] [--balances 1000000] [--data-dir DIR] [--defaults] [--json]
"""

from __future__ import annotations

import json
import multiprocessing
import random
import secrets
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from bench.chain_defaults import MODULE, project_with_defaults
from bench.cpu import CpuMeter
from bench.loaded import LoadedSystem
from onhand.demo import databases as db
from onhand.demo.shop import ShelfTag
from onhand.demo.system import DemoSystem
from onhand.demo.truth import erp_item
from schemas.records import Publication, PublicationState
from schemas.registry import connected_codec

WARM_UP_S = 8.0
DRAIN_S = 20.0
CONNECTIONS = 4
"""Of the writer."""
LATE_S = 0.02
"""A change that begins so much after its time is counted: with many of them the run was not open loop."""
PIECES = 100_000
"""Put into every bin, so that no promise is clamped at zero."""
CHANGE = "UPDATE erp.itmbal SET ibsfty = %s WHERE ibitem = %s AND ibwhse = 'W1'"
PUBLICATIONS = "channel.publication.v1"

HOPS = (
    ("committed → captured", "committed_us", "captured_us"),
    ("captured → laned", "captured_us", "laned_us"),
    ("laned → promised", "laned_us", "promised_us"),
    ("promised → picked up", "promised_us", "picked_up_us"),
    ("picked up → sent", "picked_up_us", "sent_us"),
    ("sent → acknowledged", "sent_us", "acknowledged_us"),
)
STAMPS = ("committed_us", "captured_us", "laned_us", "promised_us", "picked_up_us", "sent_us", "acknowledged_us")


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

    def note(self, sku: str, change: int, at: float | None = None) -> None:
        self.at[sku].append((change, time.perf_counter() if at is None else at))

    def latencies_ms(self, written: dict[tuple[str, int], float]) -> list[float]:
        """Milliseconds from each commit to the first arrival of it or of a newer one; infinite when none came."""
        found = []
        for (sku, change), committed in written.items():
            times = [at for number, at in self.at[sku] if number >= change]
            found.append((min(times) - committed) * 1000 if times else float("inf"))
        return found


def percentiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p99.9": at(0.999), "max": round(ordered[-1], 1)}


class Follower:
    """Reads a topic from its end on in a thread of its own, as soon as something comes, and keeps it with its time."""

    def __init__(self, kafka: str, topic: str, partitions: int) -> None:
        self.records: list[tuple[float, bytes]] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": f"bench-{secrets.token_hex(4)}",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 500,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_END) for partition in range(partitions)])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            # `consume` with a time-out waits all of it for its number of messages: hop 0 would seem that much longer
            if (first := self._consumer.poll(0.05)) is None:
                continue
            at = time.perf_counter()
            for message in [first, *self._consumer.consume(500, 0)]:
                if message.error() is None and (value := message.value()):
                    self.records.append((at, value))
        self._consumer.close()

    def close(self) -> list[tuple[float, bytes]]:
        """Everything that came."""
        self._stopping.set()
        self._thread.join()
        return self.records


def arrivals_in_source_log(records: list[tuple[float, bytes]]) -> Arrivals:
    arrivals, event, after = Arrivals(), msgspec.json.Decoder(_Event), msgspec.json.Decoder(_After)
    for at, value in records:
        found = event.decode(value)
        if found.source is None or found.source.table != "itmbal" or not bytes(found.after).startswith(b"{"):
            continue
        row = after.decode(found.after)
        if row.ibwhse.strip() == "W1":
            arrivals.note(row.ibitem.strip(), int(row.ibsfty) // 100, at)
    return arrivals


def hops_ms(system: DemoSystem, records: list[tuple[float, bytes]], since_us: int) -> dict[str, dict[str, float]]:
    """Percentiles of every hop over the acknowledged inventory publications of changes committed since then."""
    codec = connected_codec(system.settings.registry_url)
    taken: dict[str, list[float]] = defaultdict(list)
    for _, value in records:
        told: Any = codec.decode(PUBLICATIONS, value)
        if not isinstance(told, Publication) or told.state is not PublicationState.ACKNOWLEDGED:
            continue
        at: dict[str, Any] = {name: getattr(told.stamps, name, None) or getattr(told, name, None) for name in STAMPS}
        if any(moment is None for moment in at.values()) or at["committed_us"] < since_us:
            continue
        for hop, begin, end in HOPS:
            taken[hop].append((at[end] - at[begin]) / 1000)
        taken["whole"].append((at["acknowledged_us"] - at["committed_us"]) / 1000)
    return {hop: percentiles(values) for hop, values in taken.items()}


def changing(skus: list[str]) -> list[str]:
    """Items whose promise follows their safety stock: counted, active and without a backorder limit."""
    return [sku for n, sku in enumerate(skus) if n % 97 != 96 and n % 101 != 100 and n % 50 != 49]


def write(
    erp_at: db.Endpoint, skus: list[str], changes: dict[str, int], rate: float, seconds: float
) -> tuple[dict[tuple[str, int], float], int]:
    """When each commit was asked for, by (sku, change), of everything after the warm-up; and how many began late."""
    begun = time.perf_counter()

    def some(number: int) -> tuple[dict[tuple[str, int], float], int]:
        """One of several connections, each with items of its own: a commit that takes its time holds few others up."""
        ours, rng, written, late = skus[number::CONNECTIONS], random.Random(), {}, 0
        with db.connect_erp(erp_at) as erp:
            due = begun + number / rate
            while due < begun + WARM_UP_S + seconds:
                if (wait := due - time.perf_counter()) > 0:
                    time.sleep(wait)
                sku = rng.choice(ours)
                changes[sku] += 1
                started = time.perf_counter()
                erp.execute(CHANGE, (changes[sku] * 100, erp_item(sku)))
                if due >= begun + WARM_UP_S:
                    written[sku, changes[sku]] = started
                    late += started - due > LATE_S
                due += CONNECTIONS / rate
        return written, late

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = list(pool.map(some, range(CONNECTIONS)))
    return {key: at for written, _ in parts for key, at in written.items()}, sum(late for _, late in parts)


def raise_stock(system: DemoSystem) -> None:
    """Far more stock than safety, in every bin."""
    with db.connect_wms(system.wms) as wms, wms.cursor() as cursor:
        cursor.execute("UPDATE bin_stock SET qty = qty + %s WHERE lot_id %% 2 = 0 AND qty < %s", (PIECES, PIECES))
    raised_us = time.time_ns() // 1000 + 1_000_000  # the binlog's clock has seconds
    system.wait("the raised stock to be promised", lambda: system.promised_up_to(raised_us))


def measure(system: DemoSystem, rate: float, seconds: float) -> dict[str, Any]:
    """One rate; call `raise_stock` before the first."""
    skus = changing(system.business.skus)
    with db.connect_erp(system.erp) as erp:
        rows = erp.execute("SELECT rtrim(ibitem), ibwhse, ibsfty FROM erp.itmbal").fetchall()
    safety = {(sku, warehouse.strip()): int(quantity) // 100 for sku, warehouse, quantity in rows}
    changes = {sku: max(1000, safety[sku, "W1"]) for sku in skus}
    base = {sku: atp.network.available_now + atp.network.safety_stock for sku, atp in promises(system).items()}
    settings, chain = system.settings, Arrivals()

    def told(sku: str, tag: ShelfTag) -> None:
        chain.note(sku, int(base[sku] - tag.available - safety[sku, "W2"]))

    source_log = Follower(settings.kafka, "cdc.erp", 1)
    publications = Follower(settings.kafka, PUBLICATIONS, settings.partitions)
    system.shop.on_tag = told
    time.sleep(1)
    since_us = time.time_ns() // 1000 + int(WARM_UP_S * 1e6)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # a process of its own: nothing here delays it
        writing = pool.apply_async(write, (system.erp, skus, changes, rate, seconds))
        time.sleep(WARM_UP_S)
        cpu = CpuMeter(system.stack)
        written, late = writing.get()
        used = cpu.used()
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline and float("inf") in chain.latencies_ms(written):
        time.sleep(0.5)
    system.shop.on_tag = None
    first = percentiles(arrivals_in_source_log(source_log.close()).latencies_ms(written))
    whole = percentiles(chain.latencies_ms(written))
    return {
        "rate": rate,
        "changes": len(written),
        "began_late": late,
        "hop0_ms": first,
        "chain_ms": whole,
        "ratio": {name: round(whole[name] / first[name], 2) for name in first},
        "hops_ms": hops_ms(system, publications.close(), since_us),
        "cpu_ms_per_change": {name: round(1000 * seconds / len(written), 2) for name, seconds in used.items()},
    }


def promises(system: DemoSystem) -> dict[str, Any]:
    return system.newest("inventory.atp.v1")


def show(result: dict[str, Any]) -> None:
    click.echo(f"{result['changes']} changes at {result['rate']:g}/s, {result['began_late']} began late")
    for name in ("hop0_ms", "chain_ms", "ratio"):
        click.echo(f"  {name:22} " + "  ".join(f"{key} {value}" for key, value in result[name].items()))
    for name, values in result["hops_ms"].items():
        click.echo(f"  {name:22} " + "  ".join(f"{key} {value}" for key, value in values.items()))
    spent = result["cpu_ms_per_change"]
    click.echo(f"  CPU ms a change {sum(spent.values()):.2f}: " + ", ".join(f"{who} {ms}" for who, ms in spent.items()))


@click.command()
@click.option("--rate", "rates", default="200,500", show_default=True, help="Changes a second, one after the other.")
@click.option("--seconds", default=40.0, show_default=True, help="Measured time of each rate, after a warm-up.")
@click.option("--items", default=20_000, show_default=True)
@click.option("--balances", default=0, show_default=True, help="At least so many; the rest is purchase history.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default=None, help="Keep the loaded chain here, use it again."
)
@click.option("--defaults", is_flag=True, help="With Debezium's defaults and Faust's wait for a fetch.")
@click.option("--json", "as_json", is_flag=True)
def main(
    rates: str, seconds: float, items: int, balances: int, data_dir: Path | None, defaults: bool, as_json: bool
) -> None:
    """Latency commit → source log and commit → acknowledged, in one run."""
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as folder:
        Path(folder).chmod(0o755)
        more: dict[str, Any] = {}
        if defaults:
            more = {"project_dir": project_with_defaults(Path(folder)), "module": MODULE}
        system = LoadedSystem(
            data_dir or Path(folder) / "data",
            items=items,
            balances=balances,
            say=lambda line: click.echo(line, err=True),
            **more,
        )
        with system:
            raise_stock(system)
            results = [measure(system, float(rate), seconds) for rate in rates.split(",")]
    if as_json:
        click.echo(json.dumps(results, indent=2, ensure_ascii=False))
        return
    for result in results:
        show(result)


if __name__ == "__main__":
    main()
