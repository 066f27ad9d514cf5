"""What the orders stage remembers, per partition.

State keys, by first letter: `o` + order_id → OrderState · `h` + shipment_id → order_id that holds it · `s` + source →
SourceState · `t` + instant + order_id → look at this order again then · `x` + exception id → ExceptionRecord about an
input record · `w` → where a walk over all orders has come to.
"""

from __future__ import annotations

import msgspec

from schemas.messages import LaneProgress
from schemas.records import ExceptionRecord, Stamps
from streams.core.unit import View

WALK_KEY = b"w"
SEPARATOR = "\0"


class Statement(msgspec.Struct, array_like=True):
    """What one source says about one header, line or shipment line."""

    version: int
    """Version of the message that said so last."""
    withdrawn: str | None
    """None: the row lives; cancelled | archived: it is gone, what it said stands; removed: it says nothing."""
    as_of_us: int | None
    """The row's own date, for files whose newest row counts."""
    attributes: dict[str, str]
    """Column → text; a column that is NULL or absent is left out."""


class Voice(msgspec.Struct, array_like=True):
    """One source's part in an order."""

    version: int = -1
    """Newest version received."""
    part: int = 0
    """Last part of it that came."""
    pending: bool = False
    """More parts of this version are to come."""
    statements: dict[str, Statement] = msgspec.field(default_factory=dict)
    """`kind` NUL `part_id` → statement."""


class OpenException(msgspec.Struct, array_like=True):
    """A business exception of one order; a closed one stays until the order is touched again."""

    source: str
    code: str
    detail: str
    action: str
    count: int
    opened_us: int
    updated_us: int
    closed_us: int | None = None


class OrderState(msgspec.Struct, array_like=True):
    """Everything known about one order."""

    voices: dict[str, Voice] = msgspec.field(default_factory=dict)
    conflicts: dict[str, int] = msgspec.field(default_factory=dict)
    """attribute NUL source that disagrees → since when, epoch microseconds."""
    exceptions: dict[str, OpenException] = msgspec.field(default_factory=dict)
    digests: dict[str, bytes] = msgspec.field(default_factory=dict)
    """Of what was last sent: '' for the order, else by shipment_id."""
    stamps: Stamps = msgspec.field(default_factory=Stamps)
    """Oldest change that has not been sent."""
    held: bool = False
    """A change is received but not sent to anyone who tells it: parts of its version, or of the order, are missing."""
    removed_us: int | None = None
    """Since when no source says anything about it."""

    def pending(self) -> bool:
        return any(voice.pending for voice in self.voices.values())

    def said(self, kind: str) -> dict[str, dict[str, Statement]]:
        """part_id → source → statement, of one kind; sources by name."""
        found: dict[str, dict[str, Statement]] = {}
        prefix = kind + SEPARATOR
        for source in sorted(self.voices):
            for key, statement in self.voices[source].statements.items():
                if key.startswith(prefix):
                    found.setdefault(key[len(prefix) :], {})[source] = statement
        return found


class SourceState(msgspec.Struct, array_like=True):
    """How far one source's lane is, as this partition has seen it."""

    version: int = -1
    restated_since: int = -1
    """Statements older than this are withdrawn."""
    received: LaneProgress | None = None
    stated: LaneProgress | None = None
    """What progress.v1 may say: everything it covers has been acknowledged."""
    since: int = 0
    """Version of the first progress this state has heard; 0: heard before this was kept."""


_order_decoder = msgspec.msgpack.Decoder(OrderState)
_source_decoder = msgspec.msgpack.Decoder(SourceState)
_exception_decoder = msgspec.msgpack.Decoder(ExceptionRecord)
_encoder = msgspec.msgpack.Encoder()


def order_key(order_id: str) -> bytes:
    return b"o" + order_id.encode()


def shipment_key(shipment_id: str) -> bytes:
    return b"h" + shipment_id.encode()


def source_key(source: str) -> bytes:
    return b"s" + source.encode()


def alarm_key(at_us: int, order_id: str) -> bytes:
    return b"t" + at_us.to_bytes(8, "big") + order_id.encode()


def exception_key(exception_id: str) -> bytes:
    return b"x" + exception_id.encode()


def load_order(view: View, order_id: str) -> OrderState | None:
    stored = view.get(order_key(order_id))
    return None if stored is None else _order_decoder.decode(stored)


def store_order(view: View, order_id: str, state: OrderState | None) -> None:
    view.put(order_key(order_id), None if state is None else _encoder.encode(state))


def parse_order(stored: bytes) -> OrderState:
    return _order_decoder.decode(stored)


def load_sources(view: View) -> dict[str, SourceState]:
    return {key[1:].decode(): _source_decoder.decode(value) for key, value in view.scan(b"s")}


def store_source(view: View, source: str, state: SourceState) -> None:
    view.put(source_key(source), _encoder.encode(state))


def load_exception(view: View, exception_id: str) -> ExceptionRecord | None:
    stored = view.get(exception_key(exception_id))
    return None if stored is None else _exception_decoder.decode(stored)


def store_exception(view: View, record: ExceptionRecord) -> None:
    view.put(exception_key(record.id), _encoder.encode(record))
