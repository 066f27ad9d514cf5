"""Kafka in memory, and processes that run the product's own partition owners on it and can die between any two steps.

Owner, recovery, tenure, view and stages are the product's; log, disk and clock are made up here.  A *durable step* is a
record batch in a changelog, one write of a local store, or one run of outputs.  A `Fault` says before which step a
process dies, and what becomes of that step:

    before   it never happened                          after   it happened, and nobody learned of it
    late     it happens later, after another owner      torn    only the first records of the batch are there
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from schemas.errors import OnhandError
from streams.agents.runtime.log_reader import LogReader, LogRecord
from streams.agents.runtime.marker import WRITER_HEADER, ChangelogRun, Changes, Standing, Writer
from streams.agents.runtime.owner import PartitionOwner, Ports
from streams.agents.runtime.recovery import Apply
from streams.agents.runtime.store import Origin, PartitionStore
from streams.agents.runtime.topic_desk import TopicDesk
from streams.agents.runtime.tuning import Tuning
from streams.core.unit import InputRecord, Stage

PARTITIONS = 2
HOUR_US = 3_600_000_000
Where = Literal["here", "empty", "older"]
How = Literal["before", "after", "late", "torn"]
Pairs = Sequence[tuple[bytes, bytes | None]]


class Died(Exception):
    """The process is gone; another one must take over."""


class Record(NamedTuple):
    """One record as the log has it."""

    offset: int
    timestamp: int
    """Milliseconds."""
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


Watcher = Callable[[str, int, Record], None]


class Kafka:
    """Topics of one or `PARTITIONS` partitions; implements reader and desk of an owner."""

    def __init__(self, clock: Callable[[], int], watch: Watcher) -> None:
        self._clock, self._watch = clock, watch
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.ends: dict[tuple[str, int], int] = defaultdict(int)
        self.lows: dict[tuple[str, int], int] = defaultdict(int)
        self.ids: dict[str, int] = defaultdict(int)

    def append(self, topic: str, partition: int, records: Pairs, headers: list[tuple[str, bytes]]) -> int:
        first = self.ends[topic, partition]
        for key, value in records:
            record = Record(self.ends[topic, partition], self._clock() // 1000, key, value, headers)
            self.logs[topic, partition].append(record)
            self.ends[topic, partition] += 1
            self._watch(topic, partition, record)
        return first

    def since(self, topic: str, partition: int, offset: int, count: int = 1 << 30) -> list[Record]:
        log = self.logs[topic, partition]
        start = offset - self.lows[topic, partition]
        if len(log) != self.ends[topic, partition] - self.lows[topic, partition]:  # compacted
            start = next((n for n, record in enumerate(log) if record.offset >= offset), len(log))
        return log[max(0, start) : max(0, start) + count]

    def fetch(self, topic: str, partition: int, offset: int, count: int) -> list[InputRecord]:
        """What a consumer hands out."""
        return [
            InputRecord(topic, partition, r.offset, r.timestamp * 1000, r.key, r.value, tuple(r.headers))
            for r in self.since(topic, partition, offset, count)
        ]

    def compact(self, topic: str, partition: int) -> None:
        """Keep the last record of each key; those of the last hour stay, and take nothing's place (as in Kafka, whose
        cleaner does not look at them: an owner may not have noticed them yet)."""
        log = self.logs[topic, partition]
        hour_ago = self._clock() // 1000 - HOUR_US // 1000
        old = list(takewhile(lambda record: record.timestamp <= hour_ago, log))
        last = {record.key: record.offset for record in old}
        self.logs[topic, partition] = [r for r in old if last[r.key] == r.offset] + log[len(old) :]

    def cut(self, topic: str, partition: int, low: int) -> None:
        """Retention."""
        self.logs[topic, partition] = [r for r in self.logs[topic, partition] if r.offset >= low]
        self.lows[topic, partition] = low

    def drop(self, topic: str) -> None:
        """Delete the topic; whoever writes next makes it anew."""
        for place in [place for place in self.ends if place[0] == topic]:
            del self.logs[place], self.ends[place]
            self.lows.pop(place, None)
        self.ids[topic] += 1

    # Reader and desk of an owner

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self.lows[topic, partition], self.ends[topic, partition]

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[LogRecord]:
        for record in self.since(topic, partition, start):
            if record.offset >= end:
                return
            yield LogRecord(record.offset, record.key, record.value, dict(record.headers))

    def runs(self, topic: str, partition: int, start: int, end: int) -> Iterator[ChangelogRun]:
        """What is left of each batch: its records share one list of headers."""
        records = [record for record in self.since(topic, partition, start) if record.offset < end]
        for _, group in groupby(records, key=lambda record: id(record.headers)):
            batch = list(group)
            writer = Writer.load(dict(batch[0].headers)[WRITER_HEADER])
            yield ChangelogRun.of(batch[-1].offset, writer, [(r.key or b"", r.value) for r in batch])

    def describe(self, topic: str) -> tuple[str, int]:
        return f"{topic}/{self.ids[topic]}", PARTITIONS


def partitions_of(topic: str) -> int:
    return (
        1 if topic in ("progress.v1", "exception.v1", "location.v1", "onhand.order-part.v1", "order.v1") else PARTITIONS
    )


def partition_for(key: bytes, partitions: int) -> int:
    return sum(key) % partitions


class Disk(dict[bytes, bytes]):
    """A local store on one machine; survives a crash."""

    def __init__(self) -> None:
        super().__init__()
        self.stands = Standing()
        self.came: Origin | None = None

    def copied(self) -> Disk:
        """An older copy, as a machine has it that was not the owner for a while."""
        other = Disk()
        other.update(self)
        other.stands, other.came = self.stands, self.came
        return other


class DiskStore:
    """`PartitionStore` over a `Disk`."""

    path = Path("memory")

    def __init__(self, disk: Disk, step: Callable[[Callable[[], Any]], Any]) -> None:
        self._disk, self._step = disk, step
        self.get = disk.get

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        lowest = max(prefix, start)
        yield from sorted((k, v) for k, v in self._disk.items() if k.startswith(prefix) and k >= lowest)

    def standing(self) -> Standing:
        return self._disk.stands

    def origin(self) -> Origin | None:
        return self._disk.came

    def begin(self, changelog_id: str) -> None:
        self._disk.came = Origin(changelog_id, int(time.time()))

    def wipe(self) -> None:
        self._disk.clear()
        self._disk.stands, self._disk.came = Standing(), None

    @contextmanager
    def restoring(self, records: int) -> Iterator[Apply]:
        yield self.settle

    def settle(self, changes: Changes, standing: Standing) -> None:
        self._step(lambda: self._write(changes, standing))

    def _write(self, changes: Changes, standing: Standing) -> None:
        for key, value in changes.items():
            if value is None:
                self._disk.pop(key, None)
            else:
                self._disk[key] = value
        self._disk.stands = standing

    def close(self) -> None:
        pass


@dataclass
class Fault:
    steps: int
    """Durable steps that still succeed."""
    how: How


class _Here(ThreadPoolExecutor):
    """Runs at once, so that every run is the same."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on
            done.set_exception(error)
        return done


class Loop:
    """One event loop per world, without threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_Here(1))
        self._loop.set_exception_handler(lambda loop, context: None)

    def run(self, steps: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(steps)

    def close(self) -> None:
        self._loop.close()


@dataclass
class Process:
    """One stage over one partition: whoever owns it now, and those who did."""

    name: str
    stage: Callable[[], Stage]
    partition: int
    kafka: Kafka
    loop: Loop
    clock: Callable[[], int]
    disks: list[Disk] = field(default_factory=lambda: [Disk()])
    owner: PartitionOwner | None = None
    fault: Fault | None = None
    late: list[Callable[[], Any]] = field(default_factory=list)
    """Steps that a former owner still has on the way to the socket."""
    former: list[PartitionOwner] = field(default_factory=list)
    committed: int = 0
    """Where the consumer group would begin: as far as was handed out, which is not how far the state is."""
    fetch: int = 0
    """Next offset of the owner's consumer."""
    where: Where = "here"
    """Where the next owner will be."""
    error: str = ""
    skew_us: int = 0
    """How wrong the clock of its machine is."""

    @property
    def changelog(self) -> str:
        return f"{self.name.rpartition('-')[0]}-state-changelog"

    # What an owner needs of producer and consumer

    async def append(self, topic: str, partition: int, records: Pairs, headers: list[tuple[str, bytes]]) -> int:
        torn = lambda: self.kafka.append(topic, partition, records[: len(records) // 2], headers)  # noqa: E731
        whole: int = self.step(lambda: self.kafka.append(topic, partition, records, headers), torn)
        return whole

    async def send_run(
        self, topic: str, partition: int, records: Pairs, headers: list[tuple[str, bytes]]
    ) -> list[tuple[int, int]]:
        torn = lambda: self.kafka.append(topic, partition, records[: len(records) // 2], headers)  # noqa: E731
        first: int = self.step(lambda: self.kafka.append(topic, partition, records, headers), torn)
        return [(first, len(records))]

    async def partitions_of(self, topic: str) -> int:
        return partitions_of(topic)

    def partition_for(self, key: bytes, partitions: int) -> int:
        return partition_for(key, partitions)

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        self.fetch = offset

    async def fetch_position(self, topic: str, partition: int) -> int | None:
        return None

    # Life

    def step(self, write: Callable[[], Any], torn: Callable[[], Any] | None = None) -> Any:
        """One durable step, or the end of the process; only what goes to Kafka (`torn`) can be late or in part."""
        fault = self.fault
        if fault is None:
            return write()
        if fault.steps > 0:
            fault.steps -= 1
            return write()
        self.fault = None
        if fault.how == "after":
            write()
        elif fault.how == "late" and torn is not None:
            self.late.append(write)
        elif fault.how == "torn" and torn is not None:
            torn()
        raise Died(self.name)

    def take_over(self) -> None:
        """A new owner; whoever owned it before is none any more."""
        self.owner, self.error = None, ""
        self.move()
        ports = Ports(
            wire=self,
            reader=cast(LogReader, self.kafka),
            desk=cast(TopicDesk, self.kafka),
            changelog=self.changelog,
            changelog_id=self.kafka.describe(self.changelog)[0],
            tuning=Tuning(watch_s=0),
            now_us=lambda: self.clock() + self.skew_us,
        )
        store = cast(PartitionStore, DiskStore(self.disks[0], self.step))
        owner = PartitionOwner(self.stage(), self.partition, store, ports)
        self.fetch = self.committed
        if self._alive(owner.take_over(), owner):
            self.owner = owner

    def pause(self) -> None:
        """The owner is stopped, and does not know that it has lost the partition when it goes on."""
        if self.owner is not None:
            self.former.append(self.owner)
            self.disks.insert(0, self.disks[0].copied())
            self.owner = None

    def move(self) -> None:
        """The next owner is on this machine, on a new one, or on one that was the owner a while ago."""
        where, self.where = self.where, "here"
        if where == "empty":
            self.disks.insert(0, Disk())
        elif where == "older":
            self.disks.insert(0, self.disks.pop())
        del self.disks[3:]

    def work(self, count: int) -> bool:
        """Hand the owner what its consumer has next; False: nothing is there."""
        if self.owner is None:
            return False
        topic = self.owner.stage.input_topic
        chunk = self.kafka.fetch(topic, self.partition, self.fetch, count)
        if not chunk:
            return False
        self.fetch = chunk[-1].offset + 1
        self.committed = self.fetch
        if not self._alive(self.owner.work(chunk), self.owner):
            self.owner = None
        return True

    @property
    def has_more(self) -> bool:
        """The stage has a work list."""
        return self.owner is not None and self.owner.more.is_set()

    def tick(self) -> None:
        """One unit of time."""
        if self.owner is not None and not self._alive(self.owner.tick(), self.owner):
            self.owner = None

    def wake(self, count: int) -> None:
        """A former owner goes on where it was stopped."""
        if not self.former:
            return
        former = self.former.pop()
        chunk = self.kafka.fetch(former.stage.input_topic, self.partition, former.needed or 0, count)
        fault, self.fault = self.fault, None
        self._alive(former.work(chunk) if chunk else former.tick(), former)
        self.fault = fault

    def land(self) -> bool:
        """What a former owner still had on the way arrives."""
        late, self.late = self.late, []
        for write in late:
            write()
        return bool(late)

    def _alive(self, steps: Coroutine[Any, Any, None], owner: PartitionOwner) -> bool:
        """Do it, outputs included; False: the process has stopped, and `error` says why."""

        async def all_of_it() -> None:
            await steps
            await owner._sent()

        try:
            self.loop.run(all_of_it())
        except (Died, OnhandError) as error:
            if not isinstance(error, Died):
                self.error = f"{type(error).__name__}: {error}"
            owner.released = True
            return False
        return True
