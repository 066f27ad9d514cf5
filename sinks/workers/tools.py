"""What the command line reads from and writes to the topics of channels and exceptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from schemas.codec import Codec
from schemas.errors import PoisonRecord
from schemas.records import ExceptionRecord, Publication, PublicationState
from sinks.core.book import CONTROL
from sinks.core.desk import STATE_KEY, ChannelState
from sinks.workers import wire
from sinks.workers.channel import send_control
from sinks.workers.wire import Outbox

CLIENT = "onhand-cli"


class ChannelSummary(NamedTuple):
    """What channel.publication.v1 says about one channel."""

    state: ChannelState
    since_us: int | None
    """When that was ordered; None: never."""
    why: str
    states: dict[str, int]
    """Newest record per key, counted by state."""
    newest_us: int | None
    """Last acknowledgement."""


def newest_publications(bootstrap: str, codec: Codec, channel: str) -> dict[str, Publication]:
    """Kafka key → newest record of one channel, control records included.  Raises EnvironmentFault."""
    return {key: record for key, record in _newest(bootstrap, codec, wire.PUBLICATION) if key.startswith(f"{channel}/")}


def newest_exceptions(bootstrap: str, codec: Codec) -> dict[str, ExceptionRecord]:
    """Exception id → newest record.  Raises EnvironmentFault."""
    return dict(_newest(bootstrap, codec, wire.EXCEPTION))


def summary_of(publications: dict[str, Publication]) -> ChannelSummary:
    """One channel's state from its newest records."""
    states: Counter[str] = Counter()
    newest_us: int | None = None
    order: Publication | None = None
    for told in publications.values():
        if told.kind != CONTROL:
            states[str(told.state)] += 1
            if told.state is PublicationState.ACKNOWLEDGED and told.acknowledged_us is not None:
                newest_us = max(newest_us or 0, told.acknowledged_us)
        elif told.key == STATE_KEY and (order is None or told.source_version > order.source_version):
            order = told
    state = ChannelState(order.status or ChannelState.RUNNING) if order else ChannelState.RUNNING
    since_us = order.source_version if order else None
    return ChannelSummary(state, since_us, order.answer if order else "", dict(states), newest_us)


def write_control(bootstrap: str, codec: Codec, control: Publication) -> None:
    """Give an order to every worker of a channel.  Raises EnvironmentFault, Fatal."""
    outbox = Outbox(bootstrap, CLIENT, codec)
    send_control(outbox, control, len(wire.partitions_of(outbox.producer, wire.PUBLICATION)))
    outbox.settle()
    outbox.close()


def write_exceptions(bootstrap: str, codec: Codec, *records: ExceptionRecord) -> None:
    """State exceptions anew.  Raises EnvironmentFault, Fatal."""
    outbox = Outbox(bootstrap, CLIENT, codec)
    for record in records:
        outbox.send(wire.EXCEPTION, record.id, record)
    outbox.settle()
    outbox.close()


def write_raw(bootstrap: str, topic: str, key: bytes, value: bytes) -> None:
    """One record as it is into partition 0.  Raises EnvironmentFault when there is no such topic, Fatal."""
    outbox = Outbox(bootstrap, CLIENT, Codec({}))
    wire.partitions_of(outbox.producer, topic)
    outbox.send_raw(topic, key, value, 0)
    outbox.settle()
    outbox.close()


def _newest(bootstrap: str, codec: Codec, topic: str) -> Iterator[tuple[str, Any]]:
    client = wire.consumer(bootstrap, CLIENT)
    try:
        newest: dict[str, msgspec.Struct] = {}
        places = {(topic, partition): None for partition in wire.partitions_of(client, topic)}
        for record in wire.read_to_end(client, places):
            if record.value is None:
                newest.pop(record.key, None)
                continue
            try:
                decoded = codec.decode(topic, record.value)
            except PoisonRecord:
                continue
            before: Any = newest.get(record.key)
            if (
                before is None
                or not isinstance(decoded, Publication)
                or decoded.source_version >= before.source_version
            ):
                newest[record.key] = decoded
    finally:
        client.close()
    yield from newest.items()
