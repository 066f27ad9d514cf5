"""One partition and its owner: take-over, then unit after unit, until it is released.

Order of a unit (DESIGN §3): the predecessor's outputs acknowledged → changes and marker in the changelog, one batch →
local store, one write → outputs sent, from the settled state.  The next unit is worked out while outputs are under
way and closes when they are acknowledged.

Order of a take-over: state recovered from the changelog → input checked → claim → late writes put again → outputs of
which we are the only writer checked → `stage.open` → a unit that owes what the last marker owed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.errors import Fatal
from schemas.versions import epoch_of, next_epoch, version_of
from streams.agents.runtime.durations import Durations
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import WRITER_HEADER, InputMark, Marker, Standing, Writer
from streams.agents.runtime.recovery import Recovery
from streams.agents.runtime.store import PartitionStore
from streams.agents.runtime.tenure import Batch, Tenure
from streams.agents.runtime.topic_desk import STORE_AGE_S, TopicDesk
from streams.agents.runtime.transport import Chunk
from streams.agents.runtime.tuning import Tuning
from streams.agents.runtime.view import UnitView
from streams.core.unit import ALL_PARTITIONS, InputRecord, Output, Settled, Stage

log = logging.getLogger(__name__)

VERSION_HEADER = "onhand-version"
"""On records of `sole_writer_of` topics and of progress: the epoch survives there when the changelog is lost."""

OWNER_HEADER = "onhand-owner"
"""On records of progress, which many partitions write: whose it is."""

RECOVERING = 2
"""Partitions that recover at once: one decodes while the other waits for the broker; more would only cost memory."""

KeyValue = tuple[bytes, bytes | None]
Header = tuple[str, bytes]


class Wire(Protocol):
    """What an owner needs of producer and consumer."""

    async def append(self, topic: str, partition: int, records: Sequence[KeyValue], headers: list[Header]) -> int: ...

    async def send_run(
        self, topic: str, partition: int, records: Sequence[KeyValue], headers: list[Header]
    ) -> list[tuple[int, int]]: ...

    async def partitions_of(self, topic: str) -> int: ...

    def partition_for(self, key: bytes, partitions: int) -> int: ...

    async def seek(self, topic: str, partition: int, offset: int) -> None: ...

    async def fetch_position(self, topic: str, partition: int) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What an owner is given; one set per process."""

    wire: Wire
    reader: LogReader
    desk: TopicDesk
    changelog: str
    changelog_id: str
    tuning: Tuning
    now_us: Callable[[], int]
    recovering: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RECOVERING))


class PartitionOwner:
    """Owns one partition of one stage, from `take_over` to `release`; its calls never overlap."""

    def __init__(self, stage: Stage, partition: int, store: PartitionStore, ports: Ports) -> None:
        self.stage = stage
        self.partition = partition
        self.store = store
        self.ports = ports
        self.released = False
        self.position: int | None = None
        """Next input offset the settled state needs; None until taken over."""
        self.needed: int | None = None
        """Next input offset to fetch: behind what is held in memory."""
        self.inbox: list[Chunk] = []
        """What the consumer handed out and `work` has not taken yet."""
        self.working = False
        """Somebody works off the inbox."""
        self.units = 0
        self.records = 0
        self.unit_seconds = Durations()
        """From the first look at a unit's records until it is in changelog and store."""
        self.settled_us = 0
        self.more = asyncio.Event()
        """The stage has a work list: tick at once."""
        self._lock = asyncio.Lock()
        self._held: list[InputRecord] = []
        self._input_id = ""
        self._sending: asyncio.Task[None] | None = None
        self._outputs: dict[str, int] = {}
        """Sole-writer topic → next offset we expect there."""
        self._restate: dict[bytes, None] = {}
        """Owed keys of outputs that somebody else wrote over; due with the next unit."""
        self._watched_at = time.monotonic()
        self._begun = time.monotonic()
        """When the stage was given the unit in work."""
        self._stuck_at: int | None = None
        self._touched_at = time.monotonic()
        self._tenure: Tenure

    @property
    def name(self) -> str:
        return f"{self.stage.name}-{self.partition}"

    @property
    def version(self) -> int:
        """Version of the last unit; 0 before the first."""
        marker = self._tenure.marker if self.position is not None else None
        return version_of(marker.epoch, marker.unit) if marker else 0

    @property
    def owed(self) -> int:
        """Keys whose outputs the last unit owes; that they are acknowledged is known when the next one closes."""
        marker = self._tenure.marker if self.position is not None else None
        return len(marker.owed) if marker else 0

    # Take-over

    async def take_over(self) -> None:
        """Become the owner.  Raises Fatal when the input no longer has what the state needs."""
        async with self._lock:
            ports, partition = self.ports, self.partition
            started = time.monotonic()
            async with ports.recovering:
                recovery, standing, end, forgotten = await asyncio.to_thread(self._recover)
            if self.released:
                return
            self._input_id, position, input_end = await asyncio.to_thread(self._check_input, standing.marker)
            late, seen = await asyncio.to_thread(self._check_outputs, standing.marker)
            epoch = next_epoch(max(recovery.top.epoch, seen, forgotten), ports.now_us())
            tenure = self._tenure = Tenure(
                standing, Writer(epoch, secrets.randbits(64)), end, name=f"{ports.changelog}-{partition}"
            )
            last = standing.marker
            await self._append(tenure.claim())
            while (again := tenure.put_again(self.store.get)) is not None:
                await self._append(again, settle=False)
            view = UnitView(self.store)
            # a claim that no unit followed has nothing of the stage yet
            known = last if last and last.fingerprint else None
            memo, fingerprint = (known.memo, known.fingerprint) if known else (None, None)
            settled = self.stage.open(view, partition, memo, fingerprint, ports.now_us(), input_end)
            self.position = self.needed = position
            owed = dict.fromkeys((*(last.owed if last else ()), *late))
            self._restate = owed
            await self._settle(view, settled, position)
            log.info(
                "%s: taken over in %.2f s at epoch %d, input offset %d, %d owed, %d put again",
                self.name, time.monotonic() - started, epoch, position, len(owed), len(standing.redo),
            )  # fmt: skip

    def _recover(self) -> tuple[Recovery, Standing, int, int]:
        """Bring the local store forward to the last closed unit of the changelog.

        Answers what was found, where it stands, the changelog's end, and the epoch of a state that had to be dropped.
        """
        ports, store, partition = self.ports, self.store, self.partition
        low, end = ports.reader.bounds(ports.changelog, partition)
        standing, origin = store.standing(), store.origin()
        forgotten = standing.marker.epoch if standing.marker else 0
        stale = origin is not None and (
            origin.changelog_id != ports.changelog_id or time.time() - origin.written_s > STORE_AGE_S
        )
        if stale or standing.offset >= end:
            log.warning("%s: the local state in %s is of another changelog or too old: rebuilt", self.name, store.path)
            store.wipe()
            standing = Standing()
        store.begin(ports.changelog_id)
        begin = max(low, standing.offset + 1)
        with store.restoring(end - begin) as apply:
            recovery = Recovery(standing, apply)
            for run in ports.reader.runs(ports.changelog, partition, begin, end):
                if self.released:
                    return recovery, standing, end, forgotten
                recovery.feed(run)
            return recovery, recovery.finish(), end, forgotten

    def _check_input(self, marker: Marker | None) -> tuple[str, int, int]:
        """(topic id, offset to start at, end offset).  Raises Fatal when records between marker and input are gone."""
        topic, partition = self.stage.input_topic, self.partition
        found = self.ports.desk.describe(topic)
        if found is None:
            raise Fatal(f"input topic {topic} does not exist any more")
        low, high = self.ports.reader.bounds(topic, partition)
        mark = marker.inputs.get(topic) if marker else None
        if mark is None:
            return found[0], low, high
        what = f"{self.name}: the state stands at offset {mark.offset} of {topic}-{partition}, but"
        if mark.topic_id != found[0]:
            raise Fatal(
                f"{what} that topic was recreated (id {mark.topic_id} then, {found[0]} now): records in between may be "
                f"lost. Reset this stage (delete {self.ports.changelog}) and snapshot its sources again"
            )
        if not low <= mark.offset <= high:
            raise Fatal(
                f"{what} the topic holds {low} to {high}: retention removed what was not read yet. Reset this stage "
                f"(delete {self.ports.changelog}) and snapshot its sources again"
            )
        return found[0], mark.offset, high

    def _check_outputs(self, marker: Marker | None) -> tuple[list[bytes], int]:
        """Owed keys of what stands in our outputs behind the last marker, and the greatest epoch seen there."""
        owed: dict[bytes, None] = {}
        seen = 0
        for topic in sorted(self.stage.sole_writer_of):
            low, high = self.ports.reader.bounds(topic, self.partition)
            start = marker.outputs.get(topic, high - 1) if marker else high - 1
            if start > high:
                raise self._outputs_lost(topic, start, high)
            for record in self.ports.reader.read(topic, self.partition, max(low, start), high):
                if VERSION_HEADER in record.headers:
                    seen = max(seen, epoch_of(int(record.headers[VERSION_HEADER])))
                if record.key is not None and (key := self.stage.owed_for(topic, record.key)) is not None:
                    owed[key] = None
            self._outputs[topic] = high
        if marker is None:
            seen = max(seen, self._stated_epoch())
        return list(owed), seen

    def _outputs_lost(self, topic: str, sent: int, high: int) -> Fatal:
        return Fatal(
            f"{self.name}: {topic}-{self.partition} ends at offset {high}, and up to {sent} was sent: it was recreated "
            f"or has lost records, and who reads it anew would miss them. Stop this stage and onhand stage reset "
            f"{self.stage.name}: everything is said again when it starts"
        )

    def _stated_epoch(self) -> int:
        """The greatest epoch with which this partition has stated its progress: it outlives changelog and store."""
        epoch, name = 0, self.name.encode()
        for topic in self.ports.tuning.sent_last:
            if self.ports.desk.describe(topic) is None:
                continue
            for record in self.ports.reader.read(topic, 0, *self.ports.reader.bounds(topic, 0)):
                if record.headers.get(OWNER_HEADER) == name:
                    epoch = max(epoch, epoch_of(int(record.headers[VERSION_HEADER])))
        return epoch

    # Work

    async def work(self, *chunks: Sequence[InputRecord]) -> None:
        """Take the next records and settle what the stage can close."""
        async with self._lock:
            if self.released or self.needed is None:
                return
            if not any([await self._continuous(chunk) for chunk in chunks]):
                return
            while self._held and not self.released:
                view = UnitView(self.store)
                self._begun = time.monotonic()
                settled = self.stage.work(view, self._held, self.ports.now_us())
                if not settled.consumed and not view.changes and not settled.owed:
                    break
                done = self._held[: settled.consumed]
                await self._settle(view, settled, done[-1].offset + 1 if done else None)
                self._held = self._held[settled.consumed :]
            held_bytes = sum(map(_size, self._held))
            if held_bytes > self.ports.tuning.held_bytes:
                first = self._held[0]
                raise Fatal(
                    f"{self.name}: {len(self._held)} records from offset {first.offset} of {first.topic} wait "
                    f"unconsumed ({held_bytes >> 20} MiB): the stage cannot close its unit; lower its bound on "
                    "transactions"
                )

    async def _continuous(self, chunk: Sequence[InputRecord]) -> bool:
        """Hold the chunk's records that are new; when some before them are missing, ask for those instead."""
        needed, first = self.needed, chunk[0].offset
        assert needed is not None
        if first > needed:
            topic = self.stage.input_topic
            following = await asyncio.to_thread(self._first_at, topic, needed)
            if following != first:
                await self.ports.wire.seek(topic, self.partition, needed)
                return False
        records = chunk if first >= needed else [record for record in chunk if record.offset >= needed]
        if records:
            self._held.extend(records)
            self.needed = records[-1].offset + 1
        return bool(records)

    def _first_at(self, topic: str, offset: int) -> int | None:
        """Offset of the first record at or after `offset`.  Raises Fatal when retention has passed it."""
        low, high = self.ports.reader.bounds(topic, self.partition)
        if low > offset:
            raise Fatal(
                f"{self.name}: offset {offset} of {topic}-{self.partition} was removed by retention before it was read "
                f"(the topic begins at {low} now). Reset this stage and snapshot its sources again"
            )
        records = self.ports.reader.read(topic, self.partition, offset, high)
        try:
            return next((record.offset for record in records), None)
        finally:
            records.close()

    async def tick(self) -> None:
        """One unit of time: clock, work lists, progress; and the watch over what should be ours alone."""
        seen = await self._look()
        async with self._lock:
            if self.released or self.position is None:
                return
            self.more.clear()
            if seen is not None:
                await self._watch(*seen)
            view = UnitView(self.store)
            self._begun = time.monotonic()
            settled = self.stage.tick(view, self.ports.now_us())
            await self._settle(view, settled, None)

    async def _settle(self, view: UnitView, settled: Settled, position: int | None) -> None:
        """Close one unit; `position` is the next input offset when it moved."""
        await self._sent()
        assert self.position is not None
        if position is not None:
            self.position = position
        owed = tuple(dict.fromkeys((*self._restate, *settled.owed))) if self._restate else tuple(settled.owed)
        batch = self._tenure.close(
            view.changes,
            inputs={self.stage.input_topic: InputMark(self._input_id, self.position)},
            outputs=self._outputs,
            owed=owed,
            memo=settled.memo,
            fingerprint=self.stage.fingerprint,
        )
        await self._append(batch)
        self._restate = {}
        self.units += 1
        self.records += settled.consumed
        self.unit_seconds.add(time.monotonic() - self._begun)
        self.settled_us = self.ports.now_us()
        if settled.more:
            self.more.set()
        if owed:
            # `view` shows what is settled now: the store, and in front of it what was just written there
            outputs = list(self.stage.render(view, owed, batch.version, self.settled_us))
            if outputs:
                self._sending = asyncio.create_task(self._send(outputs, batch.version), name=f"outputs {self.name}")
                await asyncio.sleep(0)  # let it reach the socket before the next unit is worked out

    async def _append(self, batch: Batch, settle: bool = True) -> None:
        """Changelog, then local store.  `settle` False: the values are in the store already."""
        headers = [(WRITER_HEADER, self._tenure.writer.dump())]
        first = await self.ports.wire.append(self.ports.changelog, self.partition, batch.records, headers)
        standing = self._tenure.acknowledged(batch, first)
        self.store.settle(dict(batch.records[:-1]) if settle else {}, standing)

    # Outputs

    async def _send(self, outputs: Iterable[Output], version: int) -> None:
        wire, sole, last = self.ports.wire, self.stage.sole_writer_of, self.ports.tuning.sent_last
        runs: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = defaultdict(list)
        counts: dict[str, int] = {}
        for topic, key, value, partition in outputs:
            if partition is None or partition == ALL_PARTITIONS:
                if topic not in counts:
                    counts[topic] = await wire.partitions_of(topic)
                if partition is None:
                    runs[topic, wire.partition_for(key, counts[topic])].append((key, value))
                else:
                    for each in range(counts[topic]):
                        runs[topic, each].append((key, value))
            else:
                runs[topic, partition].append((key, value))
        header = [(VERSION_HEADER, b"%d" % version)]
        stated = [*header, (OWNER_HEADER, self.name.encode())]
        for wave in (False, True):
            sent = [
                self._send_run(topic, partition, records, stated if wave else header if topic in sole else [])
                for (topic, partition), records in runs.items()
                if (topic in last) is wave
            ]
            if len(sent) == 1:
                await sent[0]
            elif sent:
                await asyncio.gather(*sent)

    async def _send_run(
        self, topic: str, partition: int, records: list[tuple[bytes, bytes | None]], header: list[tuple[str, bytes]]
    ) -> None:
        batches = await self.ports.wire.send_run(topic, partition, records, header)
        if topic not in self._outputs or partition != self.partition:
            return
        for first, count in batches:
            if first != self._outputs[topic]:
                await self._overwritten(topic, first)
            self._outputs[topic] = first + count

    async def _sent(self) -> None:
        """Wait until the outputs under way are acknowledged."""
        if self._sending is not None:
            await self._sending
            self._sending = None

    async def told(self) -> None:
        """Until the outputs under way are acknowledged, or failed: that is for the next unit to say."""
        if self._sending is not None:
            await asyncio.wait((self._sending,))

    async def _overwritten(self, topic: str, end: int) -> None:
        """Somebody else wrote to our output before `end`: render those keys again with the next unit."""
        start = self._outputs[topic]
        keys = await asyncio.to_thread(self._keys_between, topic, start, end)
        owed = {key: None for each in keys if (key := self.stage.owed_for(topic, each)) is not None}
        log.warning(
            "%s: a former owner wrote to %s-%d at offsets %d to %d: %d keys are sent again",
            self.name, topic, self.partition, start, end - 1, len(owed),
        )  # fmt: skip
        self._restate.update(owed)

    def _keys_between(self, topic: str, start: int, end: int) -> list[bytes]:
        found = self.ports.reader.read(topic, self.partition, start, end)
        return list(dict.fromkeys(record.key for record in found if record.key is not None))

    async def _look(self) -> tuple[list[tuple[str, int]], int | None] | None:
        """Every few seconds: where our outputs end, and which input is fetched next; units go on until it is known."""
        now = time.monotonic()
        if self.released or self.position is None or now - self._watched_at < self.ports.tuning.watch_s:
            return None
        self._watched_at = now
        acknowledged, ends = dict(self._outputs), []
        bounds = (asyncio.to_thread(self.ports.reader.bounds, topic, self.partition) for topic in acknowledged)
        for (topic, sent), (_, high) in zip(acknowledged.items(), await asyncio.gather(*bounds), strict=True):
            if high < sent:
                raise self._outputs_lost(topic, sent, high)
            ends.append((topic, high))
        return ends, await self.ports.wire.fetch_position(self.stage.input_topic, self.partition)

    async def _watch(self, ends: list[tuple[str, int]], fetched: int | None) -> None:
        """Are our outputs as we left them, and does the input come from where we need it?"""
        now = time.monotonic()
        await self._sent()
        for topic, high in ends:
            if high > self._outputs[topic]:
                await self._overwritten(topic, high)
                self._outputs[topic] = high
        needed = self.needed
        assert needed is not None
        if fetched is not None and fetched != needed:
            if self._stuck_at == needed:
                self.inbox.clear()  # it comes again
                await self.ports.wire.seek(self.stage.input_topic, self.partition, needed)
            self._stuck_at = needed
        else:
            self._stuck_at = None
        if now - self._touched_at > 3600:
            self._touched_at = now
            self.store.begin(self.ports.changelog_id)

    async def release(self) -> None:
        """Finish the unit in work and let go; later calls do nothing."""
        self.released = True
        self.inbox.clear()
        self.more.set()
        async with self._lock:
            await self._sent()


def _size(record: InputRecord) -> int:
    return len(record.key or b"") + len(record.value or b"") + 100
