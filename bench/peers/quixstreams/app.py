"""quixstreams: its State on RocksDB with a changelog, checkpoints, at least once.

`python -m bench.peers.quixstreams.app KAFKA OUTPUT_TOPIC DATA_DIR`

Its state belongs to the message key.  A join by other keys would need every record keyed anew through a topic of its
own; so here all records of the (single) partition have one key, which costs it nothing.
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application, message_context
from quixstreams.models import Deserializer, Serializer

from bench.peers.step import INPUT, Message, Step


class OneKey(Deserializer):  # type: ignore[misc]
    """Gives every record the same key."""

    def __call__(self, value: bytes, ctx: Any) -> bytes:
        return b"lane"


class ValueOf(Serializer):  # type: ignore[misc]
    """A message's value; its key is taken by `to_topic`."""

    def __call__(self, value: Message, ctx: Any) -> bytes:
        return value[1]


class StateStore:
    """The step's store, over the state of one message."""

    def __init__(self, state: Any) -> None:
        self.get = state.get_bytes
        self.set = state.set_bytes


def build(kafka: str, output: str, data_dir: str) -> Any:
    """One stateful function between two topics; everything else is the framework's default."""
    app = Application(
        broker_address=kafka,
        consumer_group="peer-quixstreams",
        auto_offset_reset="earliest",
        state_dir=data_dir,
        loglevel="WARNING",
    )
    step = Step()

    def fold(value: bytes, state: Any) -> list[Message]:
        step.store = StateStore(state)
        return step(value, message_context().offset)

    log = app.topic(INPUT, key_deserializer=OneKey(), value_deserializer="bytes")
    out = app.topic(output, key_serializer="bytes", value_serializer=ValueOf())
    frame = app.dataframe(log).apply(fold, stateful=True, expand=True)
    frame.to_topic(out, key=lambda message: message[0])
    return app


if __name__ == "__main__":
    build(*sys.argv[1:4]).run()
