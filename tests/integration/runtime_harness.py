"""Two chained stages, several workers of each, faults by observed progress, and a dict as the oracle.

`python -m tests.integration.runtime_harness KAFKA SEED FAULTS` runs one by hand.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.errors import EXIT_ENVIRONMENT, EXIT_FAIL_STOP
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import Changes, Marker, Standing, changelog_topic
from streams.agents.runtime.recovery import Recovery
from tests.integration.runtime_stages import PARTITIONS, Position, Row, load_part, load_position, load_row, pack

SESSION_S = 6
ROWS, SKUS = 3000, 400
KINDS = ("rows", "positions")
FAULTS = ("kill", "kill", "term", "stop", "wipe")
STOPPED_S = SESSION_S + 6.0
"""How long a stopped worker stays so: longer than its session, so that another owns its partitions when it wakes up."""

EXPECTED_EXITS = {0, EXIT_ENVIRONMENT, EXIT_FAIL_STOP, -signal.SIGKILL, -signal.SIGTERM}
"""Clean stop, a start while the broker is away, fail-stop, our kill, and SIGTERM before the worker listens to it."""

WorkerId = tuple[str, int]


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:.0f} s in vain: {what}")
        time.sleep(0.05)


def read_partition(bootstrap: str, topic: str, partition: int) -> tuple[Marker | None, dict[bytes, bytes]]:
    """The last marker and the state it closes; (None, {}) when nothing was ever settled.

    Shape: state key → value, without the runtime's keys.  The marker's `inputs[topic].offset` says up to where the
    input is folded in.  Raises EnvironmentFault when the topic or the broker is missing.
    """
    state: dict[bytes, bytes] = {}

    def settle(changes: Changes, standing: Standing) -> None:
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value

    reader = LogReader(bootstrap)
    try:
        low, end = reader.bounds(topic, partition)
        recovery = Recovery(Standing(), settle)
        for run in reader.runs(topic, partition, low, end):
            recovery.feed(run)
        return recovery.finish().marker, state
    finally:
        reader.close()


@dataclass
class Verdict:
    """What a run showed; everything but the counts must be empty."""

    wrong_last: list[str] = field(default_factory=list)
    """Skus whose last record differs from the oracle: what a fresh reader of the compacted topic sees."""
    wrong_newest: list[str] = field(default_factory=list)
    """Skus whose newest version differs from the oracle: what a receiver that keeps the newest holds."""
    wrong_state: list[str] = field(default_factory=list)
    """What the changelogs alone rebuild and should not."""
    back: int = 0
    """Records with a version below one before them, sent again since: late writes of former owners."""
    fed: int = 0
    positions: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)

    @property
    def right(self) -> bool:
        return not (self.wrong_last or self.wrong_newest or self.wrong_state or set(self.exits) - EXPECTED_EXITS)


class Harness:
    def __init__(
        self,
        kafka: str,
        seed: int,
        faults: int,
        rate: int = 400,
        disturb: Callable[[], None] | None = None,
        workers_of: Mapping[str, int] = {"rows": 2, "positions": 2},
    ) -> None:
        """`disturb` is called when all faults are done, under traffic, and must leave Kafka running."""
        self.kafka, self.seed, self.fault_count, self.rate = kafka, seed, faults, rate
        self.disturb = disturb
        self.workers_of = workers_of
        self.random = random.Random(seed)
        self.run_name = f"k{seed}-{random.SystemRandom().randrange(1 << 32):08x}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"onhand-kill-{seed}-"))
        self.verdict = Verdict()
        self.workers: dict[WorkerId, subprocess.Popen[bytes]] = {}
        self.stopped: dict[WorkerId, float] = {}
        self.rows: dict[bytes, Row | None] = {}
        self.last: dict[str, Position] = {}
        self.newest: dict[str, Position] = {}
        self._done = threading.Event()
        self._over = threading.Event()
        self._failure: list[BaseException] = []
        self._admin = AdminClient({"bootstrap.servers": kafka})

    @property
    def topics(self) -> list[str]:
        return [f"{name}-{self.run_name}" for name in ("raw", "sums", "positions")]

    def new_topics(self) -> list[NewTopic]:
        """What to create before the workers start."""
        return [NewTopic(topic, PARTITIONS, 1) for topic in self.topics]

    def run(self) -> Verdict:
        for future in self._admin.create_topics(self.new_topics()).values():
            future.result()
        threads = [threading.Thread(target=self._guarded, args=(part,)) for part in (self._feed, self._read)]
        try:
            for kind in KINDS:
                for number in range(self.workers_of[kind]):
                    self._start((kind, number))
            threads[1].start()
            threads[0].start()
            self._inject()
            self._done.set()
            threads[0].join()
            self._settle()
        finally:
            self._done.set()
            self._over.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            self._stop_workers()
        if self._failure:
            raise self._failure[0]
        self._judge()
        self._clean()
        return self.verdict

    # Workers and faults

    def _start(self, worker: WorkerId) -> None:
        kind, number = worker
        arguments = [kind, self.run_name, self.kafka, str(self.folder), str(number), str(SESSION_S)]
        with (self.folder / f"{kind}-{number}.log").open("ab") as log:
            self.workers[worker] = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.runtime_stages", *arguments], stdout=log, stderr=log
            )

    def _tend(self) -> None:
        """What a supervisor does: start again what has ended; wake up what has been stopped long enough."""
        for worker, process in list(self.workers.items()):
            if worker in self.stopped:
                if time.monotonic() > self.stopped[worker]:
                    process.send_signal(signal.SIGCONT)
                    del self.stopped[worker]
            elif process.poll() is not None:
                self.verdict.exits[process.returncode] += 1
                self._start(worker)

    def _progress(self, records: int, deadline_s: float = 120.0) -> None:
        """Wait until so many more positions have been seen."""
        goal = self.verdict.positions + records

        def reached() -> bool:
            self._tend()
            return self.verdict.positions >= goal or bool(self._failure)

        wait_for(reached, f"{records} more positions, log in {self.folder}", deadline_s)

    def _inject(self) -> None:
        self._progress(500)
        for _ in range(self.fault_count):
            self._fault(self.random.choice(sorted(set(self.workers) - set(self.stopped))))
            self._progress(self.random.randrange(50, 600))
        self._wake()
        if self.disturb is not None:
            self.disturb()
            self._progress(500)

    def _fault(self, worker: WorkerId) -> None:
        fault = self.random.choice(FAULTS)
        process = self.workers[worker]
        self.verdict.faults[fault] += 1
        if fault == "stop":
            process.send_signal(signal.SIGSTOP)
            self.stopped[worker] = time.monotonic() + STOPPED_S
        elif fault == "term":
            process.send_signal(signal.SIGTERM)
        else:
            process.kill()
            process.wait()
            if fault == "wipe":
                kind, number = worker
                shutil.rmtree(self.folder / "state" / f"{kind}-{self.run_name}" / str(number), ignore_errors=True)

    def _wake(self) -> None:
        """Wait until nobody is stopped any more."""

        def awake() -> bool:
            self._tend()
            return not self.stopped

        wait_for(awake, "stopped workers to wake up", STOPPED_S + 10)

    def _stop_workers(self) -> None:
        for process in self.workers.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    # Feeding and reading

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure.append(error)

    def _feed(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self.kafka, "partitioner": "murmur2_random", "enable.idempotence": True}
        )
        chance = random.Random(self.seed + 1)
        started = time.monotonic()
        while not self._done.is_set():
            due = int((time.monotonic() - started) * self.rate)
            while self.verdict.fed < due:
                key = b"row%d" % chance.randrange(ROWS)
                gone = chance.random() < 0.02
                row = None if gone else Row(f"SKU-{chance.randrange(SKUS):05d}", chance.randrange(1, 500))
                producer.produce(self.topics[0], key=key, value=None if row is None else pack(row))
                self.rows[key] = row
                self.verdict.fed += 1
            producer.poll(0)
            self._done.wait(0.02)
        if producer.flush(60):
            raise AssertionError("rows were not delivered")

    def _read(self) -> None:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": f"judge-{self.run_name}"})
        consumer.assign([TopicPartition(self.topics[2], partition, 0) for partition in range(PARTITIONS)])
        while not self._over.is_set():
            for message in consumer.consume(1000, 0.1):
                if message.error() is not None:
                    continue
                key, value = message.key(), message.value()
                assert isinstance(key, bytes)
                assert isinstance(value, bytes)
                sku, position = key.decode(), load_position(value)
                if sku in self.newest and position.version < self.newest[sku].version:
                    self.verdict.back += 1
                else:
                    self.newest[sku] = position
                self.last[sku] = position
                self.verdict.positions += 1
        consumer.close()

    # Judgement

    def _oracle(self) -> dict[str, int]:
        want: dict[str, int] = {}
        for row in self.rows.values():
            if row is not None:
                want[row.sku] = want.get(row.sku, 0) + row.quantity
        return want

    def _wrong(self, held: dict[str, Position]) -> list[str]:
        want = self._oracle()
        copy = dict(held)
        return sorted(
            sku for sku in want.keys() | copy.keys() if want.get(sku, 0) != (copy[sku].quantity if sku in copy else 0)
        )

    def _settle(self) -> None:
        """Wait until everything fed has arrived; what is still wrong at the deadline is the verdict."""

        def arrived() -> bool:
            self._tend()
            return not self._wrong(self.last) or bool(self._failure)

        try:
            wait_for(arrived, "the last positions", 90)
        except AssertionError:
            pass

    def _judge(self) -> None:
        self.verdict.wrong_last = self._wrong(self.last)
        self.verdict.wrong_newest = self._wrong(self.newest)
        want = self._oracle()
        totals: Counter[str] = Counter()
        positions: dict[str, int] = {}
        for kind, source in zip(KINDS, self.topics, strict=False):
            for partition in range(PARTITIONS):
                marker, state = read_partition(self.kafka, changelog_topic(f"{kind}-{self.run_name}"), partition)
                if marker is None or int(marker.memo) != marker.inputs[source].offset:
                    self.verdict.wrong_state.append(f"{kind}-{partition}: memo and offset differ: {marker}")
                for key, value in state.items():
                    if key[:1] == b"s":
                        totals[key[1:].decode()] += int(value)
                    elif key[:1] == b"p":
                        sku = key[1:].partition(b"|")[0].decode()
                        positions[sku] = positions.get(sku, 0) + load_part(value).quantity
                    elif key[:1] == b"r" and self.rows.get(key[1:]) != load_row(value):
                        self.verdict.wrong_state.append(f"row {key!r}")
        for name, held in (("rows", totals), ("positions", positions)):
            self.verdict.wrong_state += [
                f"{name} {sku}" for sku in want.keys() | held.keys() if want.get(sku, 0) != held.get(sku, 0)
            ]

    def _clean(self) -> None:
        if not self.verdict.right:
            print(f"kept {self.folder}, run {self.run_name}", file=sys.stderr)
            return
        shutil.rmtree(self.folder)
        names = [*self.topics, *(changelog_topic(f"{kind}-{self.run_name}") for kind in KINDS)]
        for future in self._admin.delete_topics(names).values():
            future.result()


if __name__ == "__main__":
    begun = time.monotonic()
    outcome = Harness(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()
    print(
        msgspec.json.encode(outcome).decode(),
        f"{time.monotonic() - begun:.0f} s",
        "right" if outcome.right else "WRONG",
    )
