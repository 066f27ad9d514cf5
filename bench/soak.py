"""The runtime for an hour at a low rate: does it stay right, and do memory and file descriptors stay flat?

Rows go through two chained stages, two and three workers of them.  Every few minutes one worker is killed, stopped
politely, paused beyond its session, or loses its store; worker 0 of each stage is left alone through all the rebalances
and is what is measured.  Changelogs and positions are compacted all the while, in short segments.

    python -m bench.soak [--minutes 60] [--rate 10] [--every 150] [--json]
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

import click
import psutil
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from bench.output import broker, show
from schemas.errors import EnvironmentFault
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import changelog_topic
from streams.agents.runtime.topic_desk import CHANGELOG_CONFIG
from tests.integration.runtime_harness import KINDS, Harness, WorkerId
from tests.integration.runtime_stages import PARTITIONS

WORKERS = {"rows": 2, "positions": 3}
SAMPLE_S = 10.0
LEFT_ALONE = frozenset((kind, 0) for kind in KINDS)

SHORT_SEGMENTS = {
    "cleanup.policy": "compact",
    "segment.ms": "60000",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "60000",  # longer than a worker is paused, as an hour is in the product
    "max.compaction.lag.ms": "90000",
}


class Soak(Harness):
    """The kill harness, paced by time."""

    def __init__(self, kafka: str, seed: int, *, rate: int, minutes: float, every_s: float) -> None:
        super().__init__(kafka, seed, faults=0, rate=rate, workers_of=WORKERS)
        self.every_s = every_s
        self.until = time.monotonic() + minutes * 60
        self.samples: dict[WorkerId, list[tuple[int, int]]] = {worker: [] for worker in LEFT_ALONE}
        """Of the workers that are left alone: resident bytes and open file descriptors."""
        self.cpu_s: dict[WorkerId, float] = {}
        self.lives: dict[WorkerId, set[int]] = {worker: set() for worker in LEFT_ALONE}
        """Their process ids: more than one means that it stopped by itself."""
        self.compacted: dict[str, float] = {}
        self._sampled_at = 0.0

    def new_topics(self) -> list[NewTopic]:
        rows, sums, positions = self.topics
        compacted = [changelog_topic(f"{kind}-{self.run_name}") for kind in KINDS]
        return [
            *(NewTopic(name, PARTITIONS, 1, config={"retention.ms": "600000"}) for name in (rows, sums)),
            NewTopic(positions, PARTITIONS, 1, config=SHORT_SEGMENTS),
            *(NewTopic(name, PARTITIONS, 1, config={**CHANGELOG_CONFIG, **SHORT_SEGMENTS}) for name in compacted),
        ]

    def _inject(self) -> None:
        self._progress(50)
        while (left := self.until - time.monotonic()) > 0:
            self._progress(max(1, int(min(left, self.every_s) * self.rate)), 4 * self.every_s + 120)
            if time.monotonic() < self.until:
                self._fault(self.random.choice(sorted(set(self.workers) - set(self.stopped) - LEFT_ALONE)))
        self._wake()
        self._progress(1)

    def _tend(self) -> None:
        super()._tend()
        if time.monotonic() - self._sampled_at > SAMPLE_S:
            self._sampled_at = time.monotonic()
            for worker, samples in self.samples.items():
                process = psutil.Process(self.workers[worker].pid)
                self.lives[worker].add(process.pid)
                samples.append((process.memory_info().rss, process.num_fds()))
                used = process.cpu_times()
                self.cpu_s[worker] = used.user + used.system

    def _judge(self) -> None:
        super()._judge()
        changelogs = [changelog_topic(f"{kind}-{self.run_name}") for kind in KINDS]
        self.compacted = compacted(self.kafka, [*changelogs, self.topics[2]])


def flatness(samples: list[tuple[int, int]]) -> dict[str, Any]:
    """Medians of the quarters: memory in MB, and file descriptors."""
    quarter = max(1, len(samples) // 4)
    parts = [samples[start : start + quarter] for start in range(0, quarter * 4, quarter)]
    return {
        "rss_mb": [round(statistics.median(rss for rss, _ in part) / 1e6, 1) for part in parts if part],
        "file_descriptors": [statistics.median(fds for _, fds in part) for part in parts if part],
    }


def compacted(kafka: str, topics: list[str]) -> dict[str, float]:
    """Share of each topic's offsets that compaction has taken away."""
    reader, found = LogReader(kafka), {}
    try:
        for topic in topics:
            there = span = 0
            for partition in range(PARTITIONS):
                low, high = reader.bounds(topic, partition)
                there += sum(1 for _ in reader.read(topic, partition, low, high))
                span += high
            found[topic] = round(1 - there / span, 3) if span else 0.0
    finally:
        reader.close()
    return found


class Watch(threading.Thread):
    """Says every minute how far it is."""

    def __init__(self, soak: Soak) -> None:
        super().__init__(daemon=True)
        self.soak, self.over = soak, threading.Event()

    def run(self) -> None:
        while not self.over.wait(60):
            verdict = self.soak.verdict
            click.echo(
                f"{verdict.fed} rows fed, {verdict.positions} positions, faults {dict(verdict.faults)}, "
                f"exits {dict(verdict.exits)}, {max(0.0, self.soak.until - time.monotonic()) / 60:.0f} min left",
                err=True,
            )


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--rate", default=10, show_default=True, help="Rows a second.")
@click.option("--every", default=150.0, show_default=True, help="Seconds between faults.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(minutes: float, rate: int, every: float, seed: int, as_json: bool) -> None:
    """Run, judge, and say whether memory and file descriptors stayed where they were."""
    with broker(None) as kafka:
        soak = Soak(kafka, seed, rate=rate, minutes=minutes, every_s=every)
        watch = Watch(soak)
        watch.start()
        begun = time.monotonic()
        try:
            verdict = soak.run()
        finally:
            watch.over.set()
        found = {
            "right": verdict.right,
            "minutes": round((time.monotonic() - begun) / 60, 1),
            "rows": verdict.fed,
            "positions": verdict.positions,
            "sent_late_by_former_owners": verdict.back,
            "faults": dict(verdict.faults),
            "exits": {str(code): count for code, count in verdict.exits.items()},
            **{f"{kind}_{number}": flatness(soak.samples[kind, number]) for kind, number in sorted(LEFT_ALONE)},
            "processes_of_those_left_alone": sum(map(len, soak.lives.values())),
            "cpu_percent": {
                f"{kind}_{number}": round(used / (time.monotonic() - begun) * 100, 1)
                for (kind, number), used in sorted(soak.cpu_s.items())
            },
            "compacted": soak.compacted,
        }
    show(found, as_json=as_json)
    if not verdict.right:
        raise EnvironmentFault(f"the result is wrong: {verdict}")


if __name__ == "__main__":
    main()
