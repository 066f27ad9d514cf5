"""What a poll is to the process: all its partitions are worked on at once, small polls wait for it, fetches do not."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams.agents.runtime.app import StageApp
from streams.agents.runtime.transport import FEW, GATHER_S, Chunk, Consumer, ConsumerThread
from streams.agents.runtime.tuning import Tuning
from streams.core.unit import InputRecord


class Slow:
    """An owner whose work lasts until it is let go."""

    name, released, working = "slow", False, False

    def __init__(self) -> None:
        self.inbox: list[Chunk] = []
        self.taken: list[list[int]] = []
        self.go = asyncio.Event()

    async def work(self, *chunks: Chunk) -> None:
        self.taken.append([record.offset for chunk in chunks for record in chunk])
        await self.go.wait()

    async def told(self) -> None:
        """Its outputs are acknowledged at once."""


class App:
    """The part of `StageApp` that hands out and starts work, on owners made up here."""

    hand_out, has_room, settled = StageApp.hand_out, StageApp.has_room, StageApp.settled
    _feed, _work, _busy, fail_stop = StageApp._feed, StageApp._work, StageApp._busy, StageApp.fail_stop

    def __init__(self) -> None:
        self.tuning = Tuning(max_poll_records=2)
        self.owners = {0: Slow(), 1: Slow()}
        self._settled = asyncio.Event()
        self._work_under_way: set[asyncio.Task[None]] = set()

    async def poll(self, *chunks: Chunk) -> None:
        """As consumer and agent do it."""
        for chunk in chunks:
            cast(Any, self).hand_out(chunk)

        async def polls() -> Any:
            yield list(chunks)

        await cast(Any, self)._feed(polls())


def chunk(partition: int, *offsets: int) -> Chunk:
    return Chunk(TP("in", partition), [InputRecord("in", partition, offset, 0, None, None) for offset in offsets])


def test_all_partitions_of_a_poll_are_worked_on_at_once_and_what_comes_meanwhile_is_taken_together() -> None:
    async def steps() -> None:
        app = App()
        await app.poll(chunk(0, 1), chunk(1, 1))
        await asyncio.sleep(0)
        assert [owner.taken for owner in app.owners.values()] == [[[1]], [[1]]]
        await app.poll(chunk(0, 2))
        assert cast(Any, app).has_room(TP("in", 0))
        await app.poll(chunk(0, 3))
        assert not cast(Any, app).has_room(TP("in", 0))
        assert cast(Any, app).has_room(TP("in", 1))
        waiting = asyncio.create_task(cast(Any, app).settled(60.0))
        app.owners[0].go.set()
        while app.owners[0].working:
            await asyncio.sleep(0)
        await asyncio.wait((waiting,), timeout=0)
        assert not waiting.done(), "partition 1 is still at work"
        app.owners[1].go.set()
        await waiting
        assert app.owners[0].taken == [[1], [2, 3]]

    asyncio.run(steps())


def test_what_takes_long_holds_nobody_up_for_long() -> None:
    async def steps() -> None:
        app = App()
        await app.poll(chunk(0, 1))
        await asyncio.sleep(0)
        await cast(Any, app).settled(0.001)
        assert app.owners[0].working
        app.owners[0].go.set()
        await cast(Any, app).settled(60.0)
        assert not app.owners[0].working

    asyncio.run(steps())


@pytest.mark.parametrize(
    ("records", "ago_s", "least_s", "most_s"),
    [(FEW, 0.0, 0.0, GATHER_S), (FEW, 1.0, 0.0, 0.0), (FEW + 1, 1.0, GATHER_S, GATHER_S)],
)
def test_the_work_on_few_records_counts_towards_the_pause_after_them(
    records: int, ago_s: float, least_s: float, most_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def settled(within_s: float) -> None:
        assert not slept, "what was handed out comes first"

    consumer = SimpleNamespace(
        app=SimpleNamespace(settled=settled),
        flow_active=True,
        _get_active_partitions=set,
        _few=records,
        _polled_at=time.monotonic() - ago_s,
    )

    async def poll() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        async for _ in Consumer.getmany(cast(Any, consumer), 1.0):
            pass

    asyncio.run(poll())
    assert least_s <= slept[0] <= most_s


def test_a_fetch_is_long_unless_it_leaves_a_partition_out() -> None:
    waits: list[int] = []
    fetcher = SimpleNamespace(_records={}, _fetch_max_wait_ms=0)
    fetcher._get_actions_per_node = lambda assignment: waits.append(fetcher._fetch_max_wait_ms)
    tuning = Tuning(fetch_wait_ms=10, idle_fetch_wait_ms=250)
    thread = SimpleNamespace(app=SimpleNamespace(tuning=tuning))
    ConsumerThread._wait_by_what_is_fetched(cast(Any, thread), fetcher)
    fetcher._get_actions_per_node(None)
    fetcher._records[TP("in", 0)] = object()
    fetcher._get_actions_per_node(None)
    assert waits == [250, 10]


def test_a_changelog_that_is_not_fetched_is_no_partition_that_stands_still() -> None:
    looked_at: list[TP] = []
    consumer = SimpleNamespace(
        assignment=lambda: [TP("s-state-changelog", 0)],
        sleep=asyncio.sleep,
        should_stop=False,
        verify_event_path=lambda now, tp: looked_at.append(tp),
    )
    asyncio.run(Consumer.verify_all_partitions_active(cast(Any, consumer)))
    assert looked_at == []
