"""Tell a source's lane something, by a control record in its own log."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message, Producer

from schemas.errors import EnvironmentFault
from streams.connect.folder import log_topic
from streams.core.log.control import Control, encode_control

TIMEOUT_S = 15.0
RECORD_BYTES = 4 << 20
"""A mapping's text, in base64, goes into one record."""


def send_control(bootstrap: str, source: str, control: Control) -> int:
    """Write the record and answer its offset.  Raises EnvironmentFault when the log does not take it."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "message.timeout.ms": int(TIMEOUT_S * 1000),
            "message.max.bytes": RECORD_BYTES,
            "log_level": 2,
        }
    )
    offsets: list[int] = []
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error)
        else:
            offsets.append(int(message.offset() or 0))

    key, value = encode_control(control)
    producer.produce(log_topic(source), value=value, key=key, partition=0, on_delivery=delivered)
    producer.flush(TIMEOUT_S)
    if not offsets:
        reason = errors[0].str() if errors else "no answer"
        raise EnvironmentFault(
            f"{log_topic(source)} at {bootstrap} does not take the record ({reason}); is Kafka up, and was "
            f"`onhand source apply {source}` run?"
        )
    return offsets[0]
