"""How long partitions stand still when workers come and go: three workers of one group under steady input.

Faust rebalances eagerly: whoever comes or goes, every worker lets go of everything and takes over anew.  A worker that
starts again from its own directory is the same member of the group, and disturbs nobody.

    python -m bench.membership [--kafka HOST:PORT] [--session 10] [--rate 100] [--json]
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import click
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bench.output import broker, show
from streams.agents.runtime.marker import changelog_topic
from tests.integration.runtime_harness import wait_for
from tests.integration.runtime_stages import PARTITIONS, Row, load_part, pack

KEYS = 400
DEADLINE_S = 90.0
STEADY_S = 4.0
"""How long every partition must have been talking before somebody comes or goes, and after."""


class Group:
    """Workers of one stage, what they are fed, and when each partition said something."""

    def __init__(self, kafka: str, session_s: float, rate: float) -> None:
        self.kafka, self.session_s, self.rate = kafka, session_s, rate
        self.run = f"members-{uuid.uuid4().hex[:8]}"
        self.input, self.output = f"raw-{self.run}", f"sums-{self.run}"
        self.folder = Path(tempfile.mkdtemp(prefix="onhand-bench-"))
        self.admin = AdminClient({"bootstrap.servers": kafka})
        for future in self.admin.create_topics(
            [NewTopic(t, PARTITIONS, 1) for t in (self.input, self.output)]
        ).values():
            future.result()
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.heard: dict[int, list[float]] = {partition: [] for partition in range(PARTITIONS)}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._feed, self._listen)]
        for thread in self._threads:
            thread.start()

    def start(self, number: int) -> None:
        arguments = ["rows", self.run, self.kafka, str(self.folder), str(number), str(self.session_s)]
        with (self.folder / f"{number}.log").open("ab") as log:
            self.workers[number] = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.runtime_stages", *arguments], stderr=log
            )

    def end(self, number: int, how: signal.Signals) -> None:
        process = self.workers.pop(number)
        process.send_signal(how)
        process.wait()

    def take_overs(self, number: int) -> int:
        file = self.folder / f"{number}.log"
        return file.read_text().count("taken over") if file.exists() else 0

    def steady(self) -> None:
        """Wait until every partition has been talking for a while from now on."""
        begun = time.monotonic()

        def talking() -> bool:
            now = time.monotonic()
            recent = ([at for at in times if at > now - STEADY_S] for times in self.heard.values())
            enough = STEADY_S * self.rate / PARTITIONS / 2
            return now > begun + STEADY_S and all(len(each) > enough and each[-1] > now - 0.5 for each in recent)

        wait_for(talking, f"every partition to be worked; logs in {self.folder}", DEADLINE_S)

    def silence(self, what: Callable[[], None], taker: int) -> dict[str, float]:
        """Longest silence of the worst and of the best partition, from `what` on until worker `taker` has taken over
        and all talk again."""
        self.steady()
        begun = time.monotonic()
        before = self.take_overs(taker)
        what()
        wait_for(lambda: self.take_overs(taker) > before, f"a take-over; logs in {self.folder}", DEADLINE_S)
        self.steady()
        gaps = []
        for times in self.heard.values():
            after = [begun, *(at for at in times if at > begun)]
            gaps.append(max(later - earlier for earlier, later in pairwise(after)))
        return {"worst_partition_s": round(max(gaps), 2), "best_partition_s": round(min(gaps), 2)}

    def _feed(self) -> None:
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 0})
        begun, fed = time.monotonic(), 0
        while not self._over.wait(0.01):
            while fed < (time.monotonic() - begun) * self.rate:
                key = b"row%d" % (fed % KEYS)
                producer.produce(
                    self.input, key=key, value=pack(Row(f"SKU-{fed % KEYS}", fed)), partition=fed % PARTITIONS
                )
                fed += 1
            producer.poll(0)
        producer.flush(10)

    def _listen(self) -> None:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "bench", "fetch.wait.max.ms": 5})
        consumer.assign([TopicPartition(self.output, partition, 0) for partition in range(PARTITIONS)])
        while not self._over.is_set():
            for message in consumer.consume(500, 0.05):
                value = message.value()
                if message.error() is None and isinstance(value, bytes):
                    self.heard[load_part(value).sender].append(time.monotonic())
        consumer.close()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for process in self.workers.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        for future in self.admin.delete_topics([self.input, self.output, changelog_topic(f"rows-{self.run}")]).values():
            future.exception()


def measure(kafka: str, session_s: float = 10.0, rate: float = 100.0) -> dict[str, dict[str, float]]:
    """Silences, by what happened."""
    with contextlib.closing(Group(kafka, session_s, rate)) as group:
        group.start(0)
        group.start(1)

        def again() -> None:
            group.end(2, signal.SIGKILL)
            group.start(2)

        return {
            "a third worker joins": group.silence(lambda: group.start(2), 2),
            "the third is killed and starts again": group.silence(again, 2),
            "the third leaves (SIGTERM)": group.silence(lambda: group.end(2, signal.SIGTERM), 0),
            "the second is killed and stays away": group.silence(lambda: group.end(1, signal.SIGKILL), 0),
        }


@click.command()
@click.option("--kafka", default=None, help="Bootstrap servers; default: a stack of its own.")
@click.option("--session", default=10.0, show_default=True, help="Seconds of the group's session.")
@click.option("--rate", default=100.0, show_default=True, help="Rows a second.")
@click.option("--json", "as_json", is_flag=True)
def main(kafka: str | None, session: float, rate: float, as_json: bool) -> None:
    """Longest silence of a partition when a worker joins, leaves, dies or comes back."""
    with broker(kafka) as servers:
        found = measure(servers, session, rate)
    show(found, as_json=as_json)


if __name__ == "__main__":
    main()
