"""One owner, step by step: what it hands to the stage, asks of the consumer, writes and sends, and in which order.

Store and scheme are the product's; the log, the consumer and the producer are made up here, so that each message can
be made to come late, twice or not at all.  The real ones: tests/integration/test_runtime_*.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from rocksdict import Cache

from schemas.errors import Fatal
from streams.agents.runtime.log_reader import LogReader, LogRecord
from streams.agents.runtime.marker import MARK_KEY, WRITER_HEADER, ChangelogRun, Writer
from streams.agents.runtime.owner import PartitionOwner, Ports
from streams.agents.runtime.store import PartitionStore
from streams.agents.runtime.topic_desk import TopicDesk
from streams.agents.runtime.tuning import Tuning
from streams.core.unit import ALL_PARTITIONS, InputRecord, Output, Settled, View

CHANGELOG = "s-state-changelog"


class Broker:
    """Logs by (topic, partition), and everything that was done, in order."""

    def __init__(self) -> None:
        self.logs: dict[tuple[str, int], list[LogRecord]] = defaultdict(list)
        self.did: list[tuple[str, Any]] = []
        self.low: dict[tuple[str, int], int] = defaultdict(int)

    def put(self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Any = ()) -> int:
        log = self.logs[topic, partition]
        log.append(LogRecord(len(log), key, value, dict(headers)))
        return len(log) - 1

    # Reader and desk

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self.low[topic, partition], len(self.logs[topic, partition])

    def read(self, topic: str, partition: int, start: int, end: int) -> Generator[LogRecord, None, None]:
        yield from (r for r in self.logs[topic, partition][start:end] if r.key != b"marker of a transaction")

    def describe(self, topic: str) -> tuple[str, int]:
        return f"id of {topic}", 2

    def runs(self, topic: str, partition: int, start: int, end: int) -> Generator[ChangelogRun, None, None]:
        """A marker ends a batch here."""
        batch: list[LogRecord] = []
        for record in self.logs[topic, partition][start:end]:
            batch.append(record)
            if record.key == MARK_KEY:
                pairs = [(r.key or b"", r.value) for r in batch]
                yield ChangelogRun.of(record.offset, Writer.load(record.headers[WRITER_HEADER]), pairs)
                batch = []

    # Wire

    async def append(self, topic: str, partition: int, records: Sequence[Any], headers: Any) -> int:
        self.did.append(("append", len(records) - 1))
        return min([self.put(topic, partition, key, value, headers) for key, value in records])

    async def send_run(self, topic: str, partition: int, records: Sequence[Any], headers: Any) -> list[tuple[int, int]]:
        await asyncio.sleep(0)
        first = min([self.put(topic, partition, key, value, headers) for key, value in records])
        self.did.append(("sent", f"{topic}-{partition}"))
        return [(first, len(records))]

    async def partitions_of(self, topic: str) -> int:
        return 2

    def partition_for(self, key: bytes, partitions: int) -> int:
        return key[0] % partitions

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        self.did.append(("seek", offset))

    async def fetch_position(self, topic: str, partition: int) -> int | None:
        return None


class Groups:
    """Closes a unit at each record whose value is `end`; keeps the last value per key."""

    name, input_topic, fingerprint = "s", "in", b"f"
    sole_writer_of = frozenset({"out"})

    def __init__(self) -> None:
        self.handed: list[list[int]] = []
        self.opened: list[bytes | None] = []
        self.outputs: Callable[[bytes], list[Output]] = lambda key: [Output("out", key, b"v", 0)]

    def open(
        self, state: View, partition: int, memo: bytes | None, fingerprint: bytes | None, now_us: int, end: int
    ) -> Settled:
        self.opened.append(memo)
        return Settled(memo=memo or b"")

    def work(self, state: View, records: Sequence[InputRecord], now_us: int) -> Settled:
        self.handed.append([record.offset for record in records])
        ends = [index for index, record in enumerate(records) if record.value == b"end"]
        if not ends:
            return Settled()
        done = records[: ends[0] + 1]
        for record in done:
            state.put(record.key or b"", record.value)
        return Settled(consumed=len(done), owed=tuple(dict.fromkeys(r.key or b"" for r in done)), memo=b"worked")

    def tick(self, state: View, now_us: int) -> Settled:
        return Settled(memo=b"ticked")

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        for key in owed:
            yield from self.outputs(key)

    def owed_for(self, topic: str, key: bytes) -> bytes | None:
        return key


class Place:
    """A store, a broker and the owners that come and go."""

    def __init__(self, folder: Path, tuning: Tuning | None = None) -> None:
        self.broker = Broker()
        self.store = PartitionStore(folder / "0", Cache(1 << 20))
        self.stage = Groups()
        self.ports = Ports(
            wire=self.broker,
            reader=cast(LogReader, self.broker),
            desk=cast(TopicDesk, self.broker),
            changelog=CHANGELOG,
            changelog_id="c",
            tuning=tuning or Tuning(watch_s=0),
            now_us=lambda: 0,
        )

    def feed(self, *values: bytes) -> None:
        for value in values:
            self.broker.put("in", 0, b"k%d" % len(self.broker.logs["in", 0]), value)

    def chunk(self, start: int, end: int) -> list[InputRecord]:
        return [InputRecord("in", 0, r.offset, 1000, r.key, r.value) for r in self.broker.logs["in", 0][start:end]]

    async def owner(self) -> PartitionOwner:
        owner = PartitionOwner(self.stage, 0, self.store, self.ports)
        await owner.take_over()
        self.broker.did.clear()
        return owner


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(steps)


def test_what_a_unit_does_not_cover_is_handed_over_again_in_front(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"a", b"b", b"end", b"c")
        await owner.work(place.chunk(0, 2))
        assert place.broker.did == []
        await owner.work(place.chunk(2, 4))
        assert place.stage.handed == [[0, 1], [0, 1, 2, 3], [3]]
        assert (owner.position, owner.needed) == (3, 4)
        await owner.release()
        assert [what for what, _ in place.broker.did] == ["append", "sent"]

    run(steps())


def test_the_next_owner_begins_at_the_marker_and_owes_what_was_not_acknowledged(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"end", b"held")
        await owner.work(place.chunk(0, 2))
        owner.released = True  # died before its outputs were acknowledged
        sending = owner._sending
        assert sending is not None
        sending.cancel()
        sent = len(place.broker.logs["out", 0])
        successor = PartitionOwner(place.stage, 0, place.store, place.ports)
        await successor.take_over()
        await successor.release()
        assert successor.position == 1
        assert place.stage.opened[-1] == b"worked"
        assert [record.key for record in place.broker.logs["out", 0][sent:]] == [b"k0"]

    run(steps())


def test_chunks_that_came_meanwhile_are_taken_together(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"a", b"end", b"b", b"end")
        await owner.work(place.chunk(0, 1), place.chunk(1, 2))
        assert place.stage.handed == [[0, 1]]
        await owner.work(place.chunk(3, 4), place.chunk(2, 3), place.chunk(2, 4))
        assert place.broker.did[-1] != ("seek", 2)
        assert ("seek", 2) in place.broker.did
        assert place.stage.handed == [[0, 1], [2, 3]]
        assert owner.position == 4
        await owner.release()

    run(steps())


def test_a_first_owner_that_died_behind_its_claim_leaves_nothing_to_open(place: Place) -> None:
    async def steps() -> None:
        first = PartitionOwner(place.stage, 0, place.store, place.ports)

        async def dies(*args: Any) -> None:
            raise Fatal("gone")

        first._settle = dies  # type: ignore[method-assign, assignment]
        with pytest.raises(Fatal, match="gone"):
            await first.take_over()
        assert len(place.broker.logs[CHANGELOG, 0]) == 1, "the claim"
        second = PartitionOwner(place.stage, 0, place.store, place.ports)
        await second.take_over()
        await second.release()
        assert place.stage.opened == [None, None]

    run(steps())


def test_missing_records_are_asked_for_and_what_is_there_is_skipped(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"a", b"b", b"c", b"end")
        await owner.work(place.chunk(2, 4))
        assert place.broker.did == [("seek", 0)]
        assert place.stage.handed == []
        await owner.work(place.chunk(0, 3))
        await owner.work(place.chunk(1, 4))
        assert place.stage.handed == [[0, 1, 2], [0, 1, 2, 3]]
        await owner.release()

    run(steps())


def test_offsets_that_hold_no_record_are_no_gap(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.broker.put("in", 0, b"marker of a transaction", b"")
        place.feed(b"end")
        await owner.work(place.chunk(1, 2))
        assert owner.position == 2
        await owner.release()

    run(steps())


def test_records_that_retention_took_before_they_were_read_stop_the_owner(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"a", b"b", b"end")
        place.broker.low["in", 0] = 2
        with pytest.raises(Fatal, match="removed by retention"):
            await owner.work(place.chunk(2, 3))

    run(steps())


def test_more_unconsumed_input_than_allowed_stops_the_owner(tmp_path: Path) -> None:
    async def steps() -> None:
        place = Place(tmp_path, Tuning(held_bytes=500))
        owner = await place.owner()
        place.feed(*[b"a"] * 9)
        with pytest.raises(Fatal, match="wait unconsumed"):
            await owner.work(place.chunk(0, 9))

    run(steps())


def test_another_writer_in_the_changelog_stops_the_owner_before_anything_is_sent(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"end")
        place.broker.put(CHANGELOG, 0, b"x", b"late")
        with pytest.raises(Fatal, match="another process wrote to it"):
            await owner.work(place.chunk(0, 1))
        assert place.store.get(b"k0") is None
        assert place.broker.logs["out", 0] == []

    run(steps())


def test_outputs_that_somebody_else_wrote_over_are_due_with_the_next_unit(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.broker.put("out", 0, b"k7", b"late")
        await owner.tick()
        await owner.release()
        assert [(r.key, r.value) for r in place.broker.logs["out", 0]] == [(b"k7", b"late"), (b"k7", b"v")]

    run(steps())


def test_records_do_not_wait_for_the_look_at_our_outputs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer, bounds = threading.Event(), threading.Event(), place.broker.bounds

    def slow(topic: str, partition: int) -> tuple[int, int]:
        found = bounds(topic, partition)
        asked.set()
        answer.wait()
        return found

    async def steps() -> None:
        owner = await place.owner()
        monkeypatch.setattr(place.broker, "bounds", slow)
        tick = asyncio.create_task(owner.tick())
        await asyncio.to_thread(asked.wait)
        place.feed(b"end")
        try:
            await asyncio.wait_for(owner.work(place.chunk(0, 1)), 10.0)
        finally:
            answer.set()
        await tick
        await owner.release()
        assert [r.key for r in place.broker.logs["out", 0]] == [b"k0"], "what was sent meanwhile is ours"

    run(steps())


def test_a_gap_before_our_own_outputs_is_somebody_elses_and_is_sent_again(tmp_path: Path) -> None:
    async def steps() -> None:
        place = Place(tmp_path, Tuning(watch_s=1e9))
        owner = await place.owner()
        place.broker.put("out", 0, b"k7", b"late")
        place.feed(b"end")
        await owner.work(place.chunk(0, 1))
        await owner.tick()
        await owner.release()
        assert [(r.key, r.value) for r in place.broker.logs["out", 0]] == [
            (b"k7", b"late"),
            (b"k0", b"v"),
            (b"k7", b"v"),
        ]

    run(steps())


def test_progress_leaves_when_everything_else_is_acknowledged_and_all_means_every_partition(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.stage.outputs = lambda key: [
            Output("progress.v1", key, b"p", 0),
            Output("wide", key, b"v", ALL_PARTITIONS),
            Output("keyed", b"\1", b"v"),
        ]
        place.feed(b"end")
        await owner.work(place.chunk(0, 1))
        await owner.release()
        sent = [where for what, where in place.broker.did if what == "sent"]
        assert sorted(sent) == ["keyed-1", "progress.v1-0", "wide-0", "wide-1"]
        assert sent[-1] == "progress.v1-0"

    run(steps())


def test_an_output_that_lost_records_stops_the_owner_and_the_next_one_with_the_way_out(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"end", b"end")
        await owner.work(place.chunk(0, 2))
        await owner.tick()
        del place.broker.logs["out", 0][1:]
        with pytest.raises(Fatal, match="onhand stage reset s"):
            await owner.tick()
        with pytest.raises(Fatal, match="has lost records"):
            await place.owner()

    run(steps())


def test_the_epoch_outlives_changelog_and_store_in_what_was_stated_as_progress(place: Place, tmp_path: Path) -> None:
    async def steps() -> None:
        place.stage.sole_writer_of = frozenset()
        place.stage.outputs = lambda key: [Output("progress.v1", key, b"p", 0)]
        owner = await place.owner()
        place.feed(b"end")
        await owner.work(place.chunk(0, 1))
        await owner.release()
        del place.broker.logs[CHANGELOG, 0][:]
        place.store = PartitionStore(tmp_path / "new", Cache(1 << 20))
        successor = await place.owner()
        assert successor.version > owner.version

    run(steps())


def test_an_owner_released_while_it_recovers_stops_reading_and_claims_nothing(place: Place, tmp_path: Path) -> None:
    async def steps() -> None:
        owner = await place.owner()
        place.feed(b"end", b"end", b"end")
        for number in range(3):
            await owner.work(place.chunk(number, number + 1))
        await owner.release()
        place.store = PartitionStore(tmp_path / "new", Cache(1 << 20))
        successor = PartitionOwner(place.stage, 0, place.store, place.ports)
        read = list(place.broker.runs(CHANGELOG, 0, 0, 1 << 30))

        def interrupted(*where: Any) -> Generator[ChangelogRun, None, None]:
            for run in read:
                yield run
                successor.released = run.offset >= read[2].offset

        place.broker.runs = interrupted  # type: ignore[method-assign, assignment]
        written = len(place.broker.logs[CHANGELOG, 0])
        await successor.take_over()
        assert len(place.broker.logs[CHANGELOG, 0]) == written
        assert place.store.standing().offset == read[2].offset
        assert successor.position is None

    run(steps())


def test_a_released_owner_does_nothing_any_more(place: Place) -> None:
    async def steps() -> None:
        owner = await place.owner()
        await owner.release()
        place.feed(b"end")
        await owner.work(place.chunk(0, 1))
        await owner.tick()
        assert place.broker.did == []

    run(steps())
