"""Reading a stretch of a Kafka partition from outside the consumer group: changelogs, and outputs that are checked.

Whole record batches are fetched with aiokafka's client and decoded by its C code, a fetch ahead of the reader: a record
costs a quarter of a microsecond, where a message of a consumer costs ten times that.  Recovery is bound by it.
"""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from schemas.errors import EnvironmentFault, Fatal
from streams.agents.runtime.marker import WRITER_HEADER, ChangelogRun, Writer

PATIENCE_S = 60.0
"""How long the broker may take to hand over the next record before we give up."""

BOUNDS_PATIENCE_S = 20.0
"""The same for the bounds of a partition."""

AGAIN_S = 0.1
"""Pause before a question is asked again."""

FETCH_BYTES = 4 << 20
FETCH_WAIT_MS = 100
EARLIEST, LATEST = -2, -1

_BATCH_HEAD = struct.Struct(">qi")
"""Of a record batch: its first offset, and its length behind this."""
_LAST_DELTA = struct.Struct(">i")
_LAST_DELTA_AT = 23


class LogRecord(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class LogReader:
    """Needs no group.  Its calls block, and several threads may make them at once, each as it likes.

    All raise EnvironmentFault when the broker does not answer, or the reader has been closed.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AIOKafkaClient | None = None
        self._closed = False
        self._connecting = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="log reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What others still read ends with EnvironmentFault; later calls do nothing."""
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset still there, next offset to be written)."""
        low, high = self._result(self._start(self._bounds(topic, partition)), topic)
        return low, high

    def read(self, topic: str, partition: int, start: int, end: int) -> Generator[LogRecord, None, None]:
        """Records with start ≤ offset < end, in order; compaction may have left holes."""
        for batch in self._batches(topic, partition, start, end):
            for record in batch:
                headers = {name: header or b"" for name, header in record.headers}
                yield LogRecord(record.offset, record.key, record.value, headers)

    def runs(self, topic: str, partition: int, start: int, end: int) -> Generator[ChangelogRun, None, None]:
        """The same of a changelog, a record batch at a time.  Raises Fatal when it was not written by this runtime."""
        for batch in self._batches(topic, partition, start, end):
            first, last = batch[0], batch[-1]
            writer = next((value for name, value in first.headers if name == WRITER_HEADER), None)
            if writer is None or last.key is None:
                raise Fatal(f"{topic}-{partition} offset {first.offset}: not written by this runtime")
            yield ChangelogRun.of(last.offset, Writer.load(writer), [(r.key, r.value) for r in batch])

    def _batches(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[Any]]:
        """What is left of each record batch, never empty."""
        low, _ = self.bounds(topic, partition)
        position = max(start, low)
        if position >= end:
            return
        ahead = self._start(self._fetch(topic, partition, position))
        try:
            while position < end:
                fetched = self._result(ahead, topic)
                begun, position = position, behind(fetched)
                if position < end:
                    ahead = self._start(self._fetch(topic, partition, position))
                records = MemoryRecords(fetched)
                while records.has_next():
                    batch = records.next_batch()
                    if not batch.validate_crc():
                        raise Fatal(
                            f"{topic}-{partition} from offset {batch.base_offset}: damaged, its checksum differs"
                        )
                    if batch.is_control_batch:
                        continue
                    found = list(batch)
                    if batch.base_offset < begun or batch.next_offset > end:
                        found = [record for record in found if begun <= record.offset < end]
                    if found:
                        yield found
        finally:
            ahead.cancel()

    # In the thread of the event loop

    def _start(self, call: Coroutine[Any, Any, Any]) -> Future[Any]:
        if self._closed:
            call.close()
            raise EnvironmentFault(f"the reader of {self._bootstrap} has been closed")
        return asyncio.run_coroutine_threadsafe(call, self._loop)

    def _result(self, future: Future[Any], topic: str) -> Any:
        try:
            return future.result()
        except CancelledError:
            raise EnvironmentFault(f"{topic} at {self._bootstrap}: the reader has been closed") from None

    async def _connected(self) -> AIOKafkaClient:
        async with self._connecting:
            if self._client is None:
                client = AIOKafkaClient(bootstrap_servers=self._bootstrap, request_timeout_ms=15_000)
                await client.bootstrap()
                self._client = client
            return self._client

    async def _disconnect(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if self._client is not None:
            await self._client.close()
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _ask(self, request: Any, topic: str, partition: int) -> Any:
        """The leader's answer for this partition.  Raises KafkaError: ask again, or not."""
        client = await self._connected()
        await client.add_topic(topic)
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader < 0:
            raise KafkaError("no leader is known")
        answer = (await client.send(leader, request)).topics[0][1][0]
        if (error := for_code(answer[1])) is not None and answer[1]:
            raise error()
        return answer

    async def _patiently(self, request: Any, topic: str, partition: int, patience_s: float) -> Any:
        """Asked again for a while: of a new topic, or after a change of leader, a broker may know nothing yet."""
        end = time.monotonic() + patience_s
        while True:
            try:
                return await self._ask(request, topic, partition)
            except (KafkaError, OSError, TimeoutError) as error:
                if isinstance(error, OffsetOutOfRangeError) or time.monotonic() > end:
                    raise EnvironmentFault(f"{topic}-{partition} at {self._bootstrap}: no answer: {error!r}") from error
            await asyncio.sleep(AGAIN_S)
            if self._client is not None:
                await self._client.force_metadata_update()

    async def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        low, high = await asyncio.gather(*(self._offset(topic, partition, at) for at in (EARLIEST, LATEST)))
        return low, high

    async def _offset(self, topic: str, partition: int, at: int) -> int:
        request = OffsetRequest(-1, 0, [(topic, [(partition, at)])])
        return int((await self._patiently(request, topic, partition, BOUNDS_PATIENCE_S))[3])

    async def _fetch(self, topic: str, partition: int, offset: int) -> bytes:
        """The record batches from `offset` on, at least a whole one."""
        request = FetchRequest(FETCH_WAIT_MS, 1, FETCH_BYTES, 0, [(topic, [(partition, offset, FETCH_BYTES)])])
        end = time.monotonic() + PATIENCE_S
        while True:
            fetched: bytes = (await self._patiently(request, topic, partition, PATIENCE_S))[-1] or b""
            if behind(fetched) >= 0:
                return fetched
            if time.monotonic() > end:
                raise EnvironmentFault(f"{topic}-{partition} at {self._bootstrap}: nothing came for {PATIENCE_S:.0f} s")


def behind(fetched: bytes) -> int:
    """Offset behind the last whole record batch; -1 when there is none."""
    found, at, size = -1, 0, len(fetched)
    while at + _BATCH_HEAD.size <= size:
        base, length = _BATCH_HEAD.unpack_from(fetched, at)
        if at + _BATCH_HEAD.size + length > size:
            break
        found = base + _LAST_DELTA.unpack_from(fetched, at + _LAST_DELTA_AT)[0] + 1
        at += _BATCH_HEAD.size + length
    return found
