"""The Faust application of one stage: agent, table and the owners of the partitions the group gave us.

What is Faust's: consumer group, assignment of input and changelog partitions together, agent and streams, start and
stop.  What is not: positions, recovery, settling and commits, which belong to `PartitionOwner`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Callable
from pathlib import Path
from typing import Any, NoReturn

import faust
from faust.tables import TableManager
from faust.tables.recovery import Recovery as FaustRecovery
from faust.types import TP

from schemas.versions import epoch_of
from streams.agents.runtime.durations import merged
from streams.agents.runtime.fail_stop import fail_stop
from streams.agents.runtime.lease import Lease
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import TABLE, changelog_topic
from streams.agents.runtime.owner import PartitionOwner, Ports
from streams.agents.runtime.store import RowStore
from streams.agents.runtime.topic_desk import TopicDesk
from streams.agents.runtime.transport import Chunk, Consumer, Partitioner, Poll, PollSchema, Producer
from streams.agents.runtime.tuning import Tuning
from streams.core.unit import Stage

log = logging.getLogger(__name__)


class UnitTable(faust.Table[bytes, bytes]):
    """Table of bytes whose partitions belong to owners: Faust assigns it, owners recover and write it."""

    app: StageApp

    def __init__(self, app: Any, **options: Any) -> None:
        options = {"key_type": bytes, "value_type": bytes, "schema": PollSchema(), "store": "rows://disk", **options}
        super().__init__(app, **options)

    @property
    def rows(self) -> RowStore:
        store: Any = self.data
        assert isinstance(store, RowStore)
        return store

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        await self.app.take_over(sorted(tp.partition for tp in active_tps))
        await super().on_recovery_completed(active_tps, standby_tps)


class OwnersRecover(FaustRecovery):
    """Faust's recovery without its reading of changelogs: owners do that when `on_recovery_completed` calls them.

    Faust feeds changelogs through the same queues as everything else and empties those during a rebalance; for a
    compacted log a record lost there cannot be noticed.
    """

    app: StageApp

    def need_recovery(self) -> bool:
        return False

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:
        destination.clear()

    async def _build_offsets(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:
        destination.clear()

    async def _seek_offsets(self, consumer: Any, tps: set[TP], offsets: Any, title: str) -> None:
        """Do not fetch changelog partitions at all."""
        await self.app.units_consumer.pause_fetching(tps)


class UnitTableManager(TableManager):
    """Faust's, with `OwnersRecover`, and without its second of sleep at the start."""

    app: StageApp

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    @property
    def recovery(self) -> FaustRecovery:
        if self._recovery is None:
            self._recovery = OwnersRecover(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        self.app.assigned_in_rebalance = self.app.rebalancing_count
        if not assigned and not self.app.standby:
            log.warning("%s: standing by: every partition has an owner", self.app.conf.id)
        self.app.standby = not assigned
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)


class StageApp(faust.App):
    """One stage in one consumer group.  `fail_stop` ends the process; nothing that goes wrong is survived."""

    fail_stop: Callable[[str], NoReturn] = staticmethod(fail_stop)

    def __init__(
        self,
        stage_factory: Callable[[], Stage],
        *,
        group: str,
        partitions: int,
        kafka: str,
        state_dir: Path,
        changelog_id: str,
        member: str,
        desk: TopicDesk,
        tuning: Tuning,
    ) -> None:
        """`member` names the process in the group: who starts again under its name is given its partitions back."""
        self.tuning = tuning
        self.lease = Lease(tuning.session_timeout_s)
        self.owners: dict[int, PartitionOwner] = {}
        self.assigned_in_rebalance = 0
        self.standby = False
        """The group has more workers than partitions, and this one is left over until another goes."""
        self.takeovers = 0
        self._settled = asyncio.Event()
        self._work_under_way: set[asyncio.Task[None]] = set()
        self._stage_factory = stage_factory
        self._tickers: dict[int, asyncio.Task[None]] = {}
        self._partitioner = Partitioner()
        self._input = stage_factory().input_topic
        super().__init__(
            group,
            broker=";".join(f"chunked://{address.strip()}" for address in kafka.split(",")),
            datadir=state_dir,
            topic_partitions=partitions,
            topic_disable_leader=True,
            web_enabled=False,
            table_standby_replicas=0,
            TableManager=UnitTableManager,
            stream_wait_empty=False,  # releasing the owners waits for the unit in work
            stream_buffer_maxsize=64,  # polls; never reached: the consumer asks `has_room`
            stream_recovery_delay=0.0,
            consumer_group_instance_id=member,
            broker_session_timeout=tuning.session_timeout_s,
            broker_heartbeat_interval=tuning.session_timeout_s / 4,
            broker_rebalance_timeout=max(15.0, tuning.session_timeout_s),
            broker_commit_interval=1.0,
            broker_max_poll_records=tuning.max_poll_records,
            consumer_max_fetch_size=tuning.max_fetch_bytes,
            consumer_auto_offset_reset="earliest",
            # A broker that has just started may not know our topics yet, and who joins then is given nothing until the
            # metadata is read again; Faust's default is 5 minutes.
            consumer_metadata_max_age_ms=5000,
            # aiokafka's lz4 works at level 9: ten times as long, for 15 % fewer bytes
            producer_compression_type="snappy",
            producer_max_batch_size=7 << 20,
            producer_max_request_size=8 << 20,
            producer_linger=0,
            worker_redirect_stdouts=False,
        )
        self.rows = UnitTable(self, name=TABLE, partitions=partitions)
        self.tables.add(self.rows)
        self._ports = Ports(
            wire=self,
            reader=LogReader(kafka),
            desk=desk,
            changelog=changelog_topic(group),
            changelog_id=changelog_id,
            tuning=tuning,
            now_us=lambda: time.time_ns() // 1000,
        )
        self.agent(self.topic(self._input, schema=PollSchema()), name="units")(self._feed)

    async def _feed(self, polls: AsyncIterable[Poll]) -> None:
        """Start work on what a poll brought: all of its partitions in one turn of the loop, so that their batches
        leave in one request."""
        async for poll in polls:
            for chunk in poll:
                owner = self.owners.get(chunk.tp.partition)
                if owner is not None and owner.inbox and not owner.working:
                    owner.working = True
                    self._work_under_way.add(task := asyncio.create_task(self._work(owner), name=f"work {owner.name}"))
                    task.add_done_callback(self._work_under_way.discard)

    async def _work(self, owner: PartitionOwner) -> None:
        """Work off the owner's inbox; what comes meanwhile is taken together."""
        try:
            while owner.inbox and not owner.released:
                chunks, owner.inbox = owner.inbox, []
                await owner.work(*chunks)
                if not owner.inbox:  # the next unit closes no sooner; what comes by then goes into it
                    await owner.told()
        except Exception as error:  # noqa: BLE001 - whatever it is, going on could lose or repeat something
            self.fail_stop(f"{owner.name}: {error}")
        owner.working = False
        if not self._busy():
            self._settled.set()

    def _busy(self) -> bool:
        return any(owner.working or owner.inbox for owner in self.owners.values())

    def hand_out(self, chunk: Chunk) -> None:
        """Put a chunk into its owner's inbox; the poll it belongs to tells the agent."""
        if (owner := self.owners.get(chunk.tp.partition)) is not None:
            owner.inbox.append(chunk)

    def has_room(self, tp: TP) -> bool:
        """Whether the owner of an input partition may be given another chunk."""
        owner = self.owners.get(tp.partition)
        return owner is not None and sum(map(len, owner.inbox)) < self.tuning.max_poll_records

    async def settled(self, within_s: float) -> None:
        """Until nothing that was handed out is in work any more, but no longer than this."""
        if self._busy():
            self._settled.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._settled.wait()
            except TimeoutError:
                pass

    # Ownership

    async def take_over(self, partitions: list[int]) -> None:
        """Own these partitions; returns when each has its state and its claim."""
        if self.rebalancing_count != self.assigned_in_rebalance:
            return  # the next rebalance has begun: it will assign again
        try:
            await asyncio.gather(*(self._take_over(partition) for partition in partitions))
        except Exception as error:  # noqa: BLE001
            self.fail_stop(f"{self.conf.id}: take-over of partitions {partitions}: {error}")

    async def _take_over(self, partition: int) -> None:
        store = self.rows.rows.partition(partition)
        owner = self.owners[partition] = PartitionOwner(self._stage_factory(), partition, store, self._ports)
        await owner.take_over()
        self.takeovers += 1
        if not owner.released:
            self._tickers[partition] = asyncio.create_task(self._tick(owner), name=f"tick {owner.name}")

    async def _tick(self, owner: PartitionOwner) -> None:
        tick_s = self.tuning.tick_s
        due = time.monotonic() + tick_s
        while not owner.released:
            wait_s = due - time.monotonic()
            if wait_s > 0 and not owner.more.is_set():
                try:
                    await asyncio.wait_for(owner.more.wait(), wait_s)
                except TimeoutError:
                    pass
            due = time.monotonic() + tick_s
            try:
                await owner.tick()
            except Exception as error:  # noqa: BLE001
                self.fail_stop(f"{owner.name}: {error}")

    async def release_partitions(self) -> None:
        """Finish the units in work and own nothing any more."""
        owners, self.owners = self.owners, {}
        try:
            await asyncio.gather(*(owner.release() for owner in owners.values()))
        except Exception as error:  # noqa: BLE001
            self.fail_stop(f"{self.conf.id}: releasing partitions: {error}")
        tickers, self._tickers = self._tickers, {}
        await asyncio.gather(*tickers.values())
        for partition in owners:
            self.rows.rows.close_partition(partition)

    def needs(self, tp: TP) -> int | None:
        """Next offset the owner of this input partition needs; None: nobody here owns it."""
        owner = self.owners.get(tp.partition) if tp.topic == self._input else None
        return owner.needed if owner is not None else None

    def positions(self) -> dict[TP, int]:
        """Input partition → next offset behind what is settled."""
        return {
            TP(self._input, partition): owner.position
            for partition, owner in self.owners.items()
            if owner.position is not None
        }

    # Wire of the owners

    @property
    def units_producer(self) -> Producer:
        producer: Any = self.producer
        assert isinstance(producer, Producer)
        return producer

    @property
    def units_consumer(self) -> Consumer:
        consumer: Any = self.consumer
        assert isinstance(consumer, Consumer)
        return consumer

    async def append(self, topic: str, partition: int, records: Any, headers: Any) -> int:
        return await self.units_producer.append(topic, partition, records, headers)

    async def send_run(self, topic: str, partition: int, records: Any, headers: Any) -> list[tuple[int, int]]:
        return await self.units_producer.send_run(topic, partition, records, headers)

    async def partitions_of(self, topic: str) -> int:
        return await self.units_producer.partitions_of(topic)

    def partition_for(self, key: bytes, partitions: int) -> int:
        return self._partitioner(key, partitions)

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        await self.units_consumer.seek(TP(topic, partition), offset)

    async def fetch_position(self, topic: str, partition: int) -> int | None:
        return await self.units_consumer.fetch_position(TP(topic, partition))

    # Fail-stop

    async def _on_agent_error(self, agent: Any, error: BaseException) -> None:
        self.fail_stop(f"{agent}: {error!r}")

    def _crash(self, reason: BaseException) -> None:
        self.fail_stop(f"{self.conf.id}: {reason!r}")

    def health(self) -> dict[str, Any]:
        """What the process does, for people and probes."""
        lag: dict[str, int] = {}
        units: dict[str, int] = {}
        last = 0
        owners = dict(self.owners)
        for partition, owner in sorted(owners.items()):
            units[str(partition)] = owner.version
            last = max(last, owner.settled_us)
            end = self.monitor.tp_end_offsets.get(TP(self._input, partition))
            if end is not None and owner.position is not None:
                lag[str(partition)] = max(0, end - owner.position)
        leased = self.lease.left_s > 0
        return {
            # without the broker a write waits for it, and only then finds the lease gone
            "healthy": leased or not owners,
            "group": self.conf.id,
            "input": self._input,
            "partitions": sorted(owners),
            "ready": leased and not self.rebalancing and bool(owners),
            "standby": self.standby,
            "lag": lag,
            "version": units,
            "epoch": {partition: epoch_of(version) for partition, version in units.items()},
            "units": sum(owner.units for owner in owners.values()),
            "records": sum(owner.records for owner in owners.values()),
            "owed": sum(owner.owed for owner in owners.values()),
            "unit_seconds": merged([owner.unit_seconds for owner in owners.values()]),
            "store_bytes": sum(owner.store.size() for owner in owners.values()),
            "last_unit_us": last or None,
            "lease_left_s": round(self.lease.left_s, 1),
            "takeovers": self.takeovers,
        }
