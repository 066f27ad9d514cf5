"""What a process costs when little happens: CPU by rate, of the chunk runtime's two hops and of plain Faust's one.

Rows trickle into one topic, open loop, at each rate in turn; CPU time is read from the kernel around that time.  Plain
Faust does the first hop only, on the same rows at the same moment, so `rows` is what to compare it with.

    python -m bench.low_rate [--kafka ADDRESS] [--rates 0,50,200,500] [--seconds 10] [--plain/--no-plain]
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import click
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.runtime import Run, cpu_seconds, percentile, wait_until
from onhand.settings import load_settings
from tests.integration.runtime_stages import PARTITIONS, Row, pack

SETTLE_S = 2.0
"""Between two rates, so that what one left does not count for the next."""


class Trickle:
    """Produces rows at a rate and notes how long each took to become a position."""

    def __init__(self, run: Run) -> None:
        self._topic = f"raw-{run.name}"
        self._producer = Producer({"bootstrap.servers": run.kafka, "partitioner": "murmur2_random", "linger.ms": 0})
        self._judge = Consumer(
            {"bootstrap.servers": run.kafka, "group.id": f"judge-{run.name}", "fetch.wait.max.ms": 500}
        )
        self._judge.assign([TopicPartition(f"positions-{run.name}", p, 0) for p in range(PARTITIONS)])
        self._sent: dict[bytes, float] = {}
        self._number = 0
        self._stopping = threading.Event()
        self.seen: list[float] = []
        """Milliseconds from row to position."""
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        while not self._stopping.is_set():
            # `consume` with a time-out waits all of it for its number of messages
            if (first := self._judge.poll(0.1)) is None:
                continue
            for message in [first, *self._judge.consume(500, 0)]:
                key = message.key()
                if message.error() is None and isinstance(key, bytes) and (at := self._sent.pop(key, None)):
                    self.seen.append((time.monotonic() - at) * 1000)

    def feed(self) -> None:
        self._number += 1
        sku = f"L{self._number:08d}"
        self._sent[sku.encode()] = time.monotonic()
        self._producer.produce(self._topic, key=sku.encode(), value=pack(Row(sku, 1)))
        self._producer.poll(0)

    def flows(self) -> bool:
        """Feeds one row and waits a moment: whether rows become positions."""
        self.feed()
        time.sleep(0.1)
        return bool(self.seen)

    def run(self, rate: float, seconds: float) -> None:
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            if (left := begun + number / rate - time.monotonic()) > 0:
                time.sleep(left)
            self.feed()
        if (left := begun + seconds - time.monotonic()) > 0:
            time.sleep(left)

    def close(self) -> None:
        self._producer.flush(10)
        self._stopping.set()
        self._reader.join()
        self._judge.close()


def measure(kafka: str, rates: list[float], seconds: float, plain: bool) -> list[dict[str, Any]]:
    """One row per rate: percent of a core of each process, and both hops' latency in milliseconds."""
    run, found = Run(kafka), []
    try:
        processes = {"rows": run.stage("rows"), "positions": run.stage("positions")}
        if plain:
            processes["plain_faust"] = run.start("bench.plain_faust", run.name, kafka, run.folder)
        trickle = Trickle(run)
        wait_until(trickle.flows, 60)
        time.sleep(3 * SETTLE_S)  # plain Faust has come up too
        for rate in rates:
            time.sleep(SETTLE_S)
            trickle.seen.clear()
            before = {name: cpu_seconds(process) for name, process in processes.items()}
            trickle.run(rate, seconds)
            line: dict[str, Any] = {"rate": rate}
            for name, process in processes.items():
                line[f"{name}_cpu_percent"] = round((cpu_seconds(process) - before[name]) / seconds * 100, 1)
            if rate:
                values = sorted(trickle.seen)
                line |= {f"p{share:g}_ms": percentile(values, share / 100) for share in (50, 99)}
            if ended := [name for name, process in processes.items() if process.poll() is not None]:
                raise SystemExit(f"ended by itself, so nothing was measured: {', '.join(ended)}")
            found.append(line)
        trickle.close()
    finally:
        run.close()
    return found


@click.command()
@click.option("--kafka", default=None, help="Bootstrap servers; default: the settings'.")
@click.option("--rates", default="0,50,200,500", show_default=True, help="Rows a second, one after the other.")
@click.option("--seconds", default=10.0, show_default=True, help="Measured time at each rate.")
@click.option("--plain/--no-plain", default=True, show_default=True, help="Plain Faust beside it.")
def main(kafka: str | None, rates: str, seconds: float, plain: bool) -> None:
    """Percent of a core at low rates."""
    wanted = [float(rate) for rate in rates.split(",")]
    for line in measure(kafka or load_settings().kafka, wanted, seconds, plain):
        click.echo(json.dumps(line))


if __name__ == "__main__":
    main()
