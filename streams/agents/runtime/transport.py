"""Faust, a poll at a time: the transport `chunked://`.

Faust hands an agent one record.  This transport hands it one *poll*: a *chunk* per partition, with every record the
poll returned.  To the rest of Faust a poll is a single message, so streams, flow control and rebalancing work
unchanged and their cost is paid per poll.

Faust may lose a poll on the way (it empties its queues at the end of a rebalance) and acknowledges whatever leaves a
stream's loop.  So nothing here trusts it with positions: the owner of a partition knows the next offset it needs,
asks for it again when another comes (`seek`), and only what it has settled is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import faust
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from schemas.errors import Fatal
from streams.agents.runtime.leaving import leave
from streams.core.unit import InputRecord

if TYPE_CHECKING:
    from streams.agents.runtime.app import StageApp

OUTPUT_BATCH_BYTES = 900_000
"""Outputs leave in batches of about this size: topics that are not ours have Kafka's default limit of 1 MiB."""

UNIT_BATCH_BYTES = 7 << 20
"""A unit's one batch: stages close at 3 MiB, owed keys come on top; the changelog takes 8 MiB."""

SMALL_POLL = 100
"""Records; after a smaller poll the next waits until its units are settled: a small poll costs as much as a large."""

GATHER_S = 0.01
"""... but no longer than this: one of them may take its time.  And it comes no sooner than this after a poll of few
records, and after the work on one of more: then more comes than a poll each is worth."""

FEW = 10
"""Records."""

BUSY_WAIT_S = 0.01
"""How long a poll waits for quiet partitions while another has as many chunks waiting as it may."""

IDLE_WAIT_S = 0.1
"""Pause between looks when nothing is owned."""

KeyValue = tuple[bytes, bytes | None]
Header = tuple[str, bytes]


_new = tuple.__new__
"""Makes a NamedTuple in half the time of its own constructor, for what is made once a record."""


def _input_record(_: Any, tp: Any, record: Any) -> InputRecord:
    """What aiokafka hands out for a record: its own dataclass would be made and thrown away, a twentieth of a lane."""
    return _new(
        InputRecord,
        (
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp * 1000,
            record.key,
            record.value,
            tuple(record.headers),
        ),
    )


aiokafka_fetcher.PartitionRecords._consumer_record = _input_record


class Chunk(list[InputRecord]):
    """The records of one partition from one poll, ascending by offset."""

    __slots__ = ("tp",)

    def __init__(self, tp: TP, records: Iterable[InputRecord]) -> None:
        super().__init__(records)
        self.tp = tp


Poll = list[Chunk]
"""What one poll returned, a chunk per partition."""


class PollSchema(faust.Schema[Any, Any]):
    """Passes a poll through untouched: nothing is decoded, so nothing is acknowledged for a decoding error."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, None, message)

        return decode


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that polls; renews the lease by its heartbeats."""

    app: StageApp

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self._ensure_consumer()
        self._wait_by_what_is_fetched(consumer._fetcher)
        coordinator = consumer._coordinator
        beat = coordinator._do_heartbeat
        lease = self.app.lease

        async def leased() -> bool:
            sent_at = lease.clock()
            accepted = bool(await beat())
            if accepted:
                lease.renew(sent_at)
            return accepted

        coordinator._do_heartbeat = leased

    def _wait_by_what_is_fetched(self, fetcher: Any) -> None:
        """aiokafka has one fetch in flight per broker: long, as long as no partition is left out of it.

        A partition whose last records nobody has taken is left out, and would wait until that fetch returns.
        """
        tuning, plan = self.app.tuning, fetcher._get_actions_per_node

        def planned(assignment: Any) -> Any:
            fetcher._fetch_max_wait_ms = tuning.fetch_wait_ms if fetcher._records else tuning.idle_fetch_wait_ms
            return plan(assignment)

        fetcher._get_actions_per_node = planned

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.app.lease.renew(self.app.lease.clock())
        await super().on_partitions_assigned(assigned, generation_id)

    async def pause(self, tps: Iterable[TP]) -> None:
        """Do not even fetch from these (Faust's own pause only holds back what was fetched)."""
        await self.call_thread(self._pause, list(tps))

    async def _pause(self, tps: list[TP]) -> None:
        consumer = self._ensure_consumer()
        assignment = consumer.assignment()
        consumer.pause(*(tp for tp in map(driver.ensure_aiokafka_TP, tps) if tp in assignment))

    async def seek_if_assigned(self, tp: TP, offset: int) -> None:
        """Fetch from `offset` next; nothing when the partition is no longer ours."""
        await self.call_thread(self._seek_if_assigned, tp, offset)

    async def _seek_if_assigned(self, tp: TP, offset: int) -> None:
        consumer = self._ensure_consumer()
        if tp in consumer.assignment():
            consumer.seek(driver.ensure_aiokafka_TP(tp), offset)

    async def leave_group(self) -> None:
        """Tell the group at once that our partitions are free."""
        await self.call_thread(self._leave_group)

    async def _leave_group(self) -> None:
        await leave(self._ensure_consumer()._coordinator, self.app.conf.consumer_group_instance_id)

    async def fetch_position(self, tp: TP) -> int | None:
        """Next offset that will be handed out; None when not known."""
        position: int | None = await self.call_thread(self._fetch_position, tp)
        return position

    async def _fetch_position(self, tp: TP) -> int | None:
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None or tp not in assignment.tps:
            return None
        state = assignment.state_value(tp)
        return state.position if state is not None and state.has_valid_position else None


class Consumer(driver.Consumer):
    """Hands out chunks of partitions that have an owner, and commits what the owners have settled."""

    app: StageApp
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._committed: dict[TP, int] = {}
        self._few = 0
        """Records of the last poll, if it was a small one."""
        self._polled_at = 0.0

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        if self._few:  # what comes while its units are settled, and a little later, is one poll, not many
            await self.app.settled(GATHER_S)
            passed_s = time.monotonic() - self._polled_at if self._few <= FEW else 0.0
            await asyncio.sleep(max(0.0, GATHER_S - passed_s))
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        # Faust's own back-pressure lets a poll wait a second for quiet partitions while a busy one has room again.
        active = {tp for tp in self._get_active_partitions() if self.app.needs(tp) is not None}
        ready = {tp for tp in active if self.app.has_room(tp)}
        if not ready:
            await asyncio.sleep(BUSY_WAIT_S if active else IDLE_WAIT_S)
            return
        records = await self._getmany(active_partitions=ready, timeout=timeout if ready == active else BUSY_WAIT_S)
        self._polled_at = time.monotonic()
        count = sum(map(len, records.values()))
        self._few = count if count < SMALL_POLL else 0
        poll: Poll = []
        for raw_tp, batch in records.items():
            tp = ensure_TP(raw_tp)
            needed = self.app.needs(tp)
            if self.should_stop or needed is None:
                continue  # nobody owns it now; the next owner seeks to where it stands
            if not self.flow_active or self.app.rebalancing:
                # Until a rebalance has ended Faust may empty its queues: hand out nothing, fetch it again.
                await self.seek(tp, needed)
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            poll.append(Chunk(tp, batch))
        for chunk in poll:
            self.app.hand_out(chunk)
        if poll:
            yield poll[0].tp, self._to_message(poll[0].tp, poll)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        """One message for all partitions of a poll; to Faust it is the last record of the first of them."""
        last = record[0][-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp_us / 1_000_000,
            0,
            [],
            None,
            record,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def seek(self, partition: TP, offset: int) -> None:
        self._read_offset[partition] = None
        await self._thread.seek_if_assigned(partition, offset)

    async def perform_seek(self) -> None:
        """Every owned partition goes to where its state stands; committed offsets are for monitoring."""
        for tp, offset in self.app.positions().items():
            await self.seek(tp, offset)

    async def fetch_position(self, tp: TP) -> int | None:
        return await self._thread.fetch_position(tp)

    async def pause_fetching(self, tps: Iterable[TP]) -> None:
        await self._thread.pause(tps)

    async def commit_positions(self, positions: dict[TP, int]) -> None:
        """A last commit before leaving."""
        if positions:
            await self._commit(positions)

    async def leave_group(self) -> None:
        await self._thread.leave_group()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        for acked, index in zip(self._acked.values(), self._acked_index.values(), strict=True):
            acked.clear()
            index.clear()
        yield from (tp for tp, offset in self.app.positions().items() if self._committed.get(tp) != offset)

    def _new_offset(self, tp: TP) -> int | None:
        offset = self.app.positions().get(tp)
        if offset is not None:
            self._committed[tp] = offset
        return offset

    def _should_commit(self, tp: TP, offset: int | None) -> bool:
        return offset is not None

    async def verify_all_partitions_active(self) -> None:
        """Faust's search for partitions that stand still: owners watch theirs, and changelogs are not fetched here."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Faust's bookkeeping of offsets that never come; ours needs none."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.app.release_partitions()
        self._committed.clear()
        await super().on_partitions_revoked(revoked)


class Producer(driver.Producer):
    """Sends whole batches, idempotent and acknowledged by all replicas, and only under a valid lease."""

    app: StageApp

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        client = producer.client
        send = client.send
        lease, fail_stop = self.app.lease, self.app.fail_stop

        async def leased(node: Any, request: Any, **kwargs: Any) -> Any:
            if type(request).__name__ == "ProduceRequest":
                try:
                    lease.check()
                except Fatal as error:
                    fail_stop(str(error))
            return await send(node, request, **kwargs)

        client.send = leased
        return producer

    async def append(self, topic: str, partition: int, records: Sequence[KeyValue], headers: list[Header]) -> int:
        """Append all records as one batch, whole or not at all; the offset of the first, acknowledged."""
        producer = self._ensure_producer()
        batch = producer.create_batch()
        add = batch.append
        for key, value in records:
            if add(timestamp=None, key=key, value=value, headers=headers) is None:
                size = sum(len(k) + len(v or b"") for k, v in records)
                raise Fatal(
                    f"{topic}-{partition}: a unit of {len(records)} records and {size} bytes does not fit one batch of "
                    f"{UNIT_BATCH_BYTES} bytes: the stage must close its units earlier (streams.core.unit.UNIT_BYTES)"
                )
        future = await producer.send_batch(batch, topic, partition=partition)
        return int((await future).offset)

    async def send_run(
        self, topic: str, partition: int, records: Sequence[KeyValue], headers: list[Header]
    ) -> list[tuple[int, int]]:
        """Send records in order, in batches; (first offset, count) of each batch, acknowledged."""
        producer = self._ensure_producer()
        pending: list[tuple[Any, int]] = []
        batch, size, count = producer.create_batch(), 0, 0
        for key, value in records:
            length = len(key) + len(value or b"") + 64
            if count and size + length > OUTPUT_BATCH_BYTES:
                pending.append((await producer.send_batch(batch, topic, partition=partition), count))
                batch, size, count = producer.create_batch(), 0, 0
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                raise Fatal(f"{topic}-{partition}: the output {key!r} of {length} bytes does not fit a batch")
            size += length
            count += 1
        if count:
            pending.append((await producer.send_batch(batch, topic, partition=partition), count))
        return [(int((await future).offset), number) for future, number in pending]

    async def partitions_of(self, topic: str) -> int:
        """Number of partitions.  Raises Fatal when the topic does not exist."""
        try:
            found = await self._ensure_producer().partitions_for(topic)
        except KafkaError as error:
            raise Fatal(f"output topic {topic}: {error!r}; create it: onhand topics apply") from error
        if not found:
            raise Fatal(f"output topic {topic} does not exist; create it: onhand topics apply")
        return len(found)


class Partitioner:
    """murmur2, as Java and `murmur2_random` do it; remembered, because aiokafka's is slow."""

    def __init__(self) -> None:
        self._hashes: dict[bytes, int] = {}

    def __call__(self, key: bytes, partitions: int) -> int:
        if partitions == 1:
            return 0
        found = self._hashes.get(key)
        if found is None:
            if len(self._hashes) > 200_000:
                self._hashes.clear()
            found = self._hashes[key] = murmur2(key) & 0x7FFFFFFF
        return found % partitions


class Transport(driver.Transport):
    """Faust transport `chunked://host:port`."""

    Consumer = Consumer
    Producer = Producer
