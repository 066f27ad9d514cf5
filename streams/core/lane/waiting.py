"""Records that wait, in order, behind one that cannot be processed.

A queue is a raw record key (behind poison bytes; the key does not tell the table) or a table (behind an absent column).
`retry` takes a queue up again from its front; `close` gives up what is still bad in it.  An initial snapshot reads
everything anew, so what waits from before it is *superseded*: nothing waits behind it any more, and it is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from streams.core.lane.keys import ZERO
from streams.core.unit import InputRecord, View

Superseded = tuple[tuple[bytes, int], ...]
"""(queue, offset): records of the queue below the offset are superseded."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(InputRecord)


def key_queue(key: bytes | None) -> bytes:
    """The queue behind a raw record key; a record without key has one of its own that nobody else enters."""
    return b"k" + blake2b(key or b"", digest_size=8).hexdigest().encode()


def table_queue(table: str) -> bytes:
    return b"t" + table.encode()


def enqueue(state: View, queue: bytes, record: InputRecord) -> None:
    """Put a record at the end of a queue."""
    state.put(b"w" + queue + ZERO + record.offset.to_bytes(8, "big"), _encoder.encode(record))


def queued(state: View, queue: bytes) -> Iterator[tuple[bytes, InputRecord]]:
    """(state key, record), in order."""
    for key, value in state.scan(b"w" + queue + ZERO):
        yield key, _decoder.decode(value)


def waits(state: View, queue: bytes, since: int = 0) -> bool:
    """Whether a record of this offset or a later one is in the queue."""
    prefix = b"w" + queue + ZERO
    return next(state.scan(prefix, prefix + since.to_bytes(8, "big")), None) is not None


def drop_superseded(state: View, superseded: Superseded, room: int) -> Superseded:
    """Delete at most `room` superseded records; what is left of the work list."""
    while superseded:
        queue, since = superseded[0]
        end = b"w" + queue + ZERO + since.to_bytes(8, "big")
        for key, _ in state.scan(b"w" + queue + ZERO):
            if key >= end:
                break
            if room <= 0:
                return superseded
            state.put(key, None)
            room -= 1
        superseded = superseded[1:]
    return ()


def waiting_queues(state: View, superseded: Superseded) -> set[bytes]:
    """All queues that hold something that is not superseded, for a lane that opens."""
    since = dict(superseded)
    return {queue for queue in _queues(state) if waits(state, queue, since.get(queue, 0))}


def _queues(state: View) -> set[bytes]:
    found: set[bytes] = set()
    start = b""
    while True:
        for key, _ in state.scan(b"w", start):
            queue = key[1 : key.index(ZERO)]
            found.add(queue)
            start = b"w" + queue + b"\1"
            break
        else:
            return found
