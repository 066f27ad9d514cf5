"""Records that wait, in order, behind one that cannot be processed.

A queue is a raw record key (behind poison bytes; the key does not tell the table) or a table (behind an absent column).
`retry` takes a queue up again from its front; `close` gives up what is still bad in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from streams.core.lane.keys import ZERO
from streams.core.unit import InputRecord, View

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


def queues(state: View) -> set[bytes]:
    """All queues that hold something, for a lane that opens."""
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
