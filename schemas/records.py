"""The records of the canonical topics, as Python sees them.  `contracts/` is the contract; a test holds them equal.

Instants are integer epoch microseconds UTC (`_us`), dates `datetime.date`, quantities `Decimal` in the item's stock
unit, versions the integers of `schemas.versions`.  Every record is absolute: the whole state of what it names.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import StrEnum

import msgspec

QUANTITY_SCALE = 9
"""Digits after the point that a contract's quantity holds (Avro decimal(38, 9)); finer ones are a row error."""


class Bucket(StrEnum):
    """What a quantity means for the promise (DESIGN §5)."""

    UNKNOWN = "unknown"
    ON_HAND = "on_hand"
    ON_HOLD = "on_hold"
    SAFETY_STOCK = "safety_stock"
    DEMAND = "demand"
    FULFILLED = "fulfilled"
    INBOUND = "inbound"
    RECEIVED = "received"
    RESERVED = "reserved"


class Stamps(msgspec.Struct, frozen=True, kw_only=True):
    """When each system knew; a conflated message carries the oldest change it stands for."""

    committed_us: int | None = None
    """Commit time in the source database, at the source clock's precision (MariaDB binlog: 1 s)."""
    captured_us: int | None = None
    """When the Debezium connector processed it."""
    laned_us: int | None = None
    """When the source lane settled it."""
    promised_us: int | None = None
    """When inventory or orders settled it."""


class AtpStep(msgspec.Struct, frozen=True, kw_only=True):
    """From `date` on, so much is available to promise."""

    date: dt.date
    available: Decimal


class PositionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One sum of a position, as its owner has it."""

    location: str
    bucket: Bucket
    quantity: Decimal
    source: str
    due: dt.date | None = None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A source that is not the owner says something else."""

    location: str
    bucket: Bucket
    owner: str
    owner_quantity: Decimal
    other: str
    """Source, or source/view, that disagrees."""
    other_quantity: Decimal
    since_us: int


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """inventory.position.v1.  Key: sku.  Canonical inventory of one sku, merged over sources by owner."""

    sku: str
    version: int
    complete: bool
    uncertain: bool
    lines: tuple[PositionLine, ...]
    drifts: tuple[Drift, ...] = ()
    source_versions: dict[str, int] = msgspec.field(default_factory=dict)
    stamps: Stamps = Stamps()


class LocationAtp(msgspec.Struct, frozen=True, kw_only=True):
    """ATP of one location, or of the network (location '*'), and why: the terms of the sum at its minimum."""

    location: str
    available_now: Decimal
    """Signed: minimum of ATP(t) from now to the horizon; negative is an oversell."""
    on_hand: Decimal
    on_hold: Decimal
    safety_stock: Decimal
    demand: Decimal
    """Open demand within the horizon."""
    inbound: Decimal
    """Open inbound within the horizon."""
    reserved: Decimal
    steps: tuple[AtpStep, ...] = ()
    """ATP(t) by date, ascending.  Today's is the last one not after today: the first may lie in the past."""


class KitComponent(msgspec.Struct, frozen=True, kw_only=True):
    """One component of a kit, and what it allows."""

    sku: str
    quantity: Decimal
    """Per kit."""
    makeable: Decimal | None = None
    """Whole kits that it alone allows now in the network; None: it does not limit the kit."""
    complete: bool = True
    """False: its promise is not complete, or not known yet."""
    uncertain: bool = False


class KitPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What the components allow at one location ('*': the network)."""

    location: str
    makeable: Decimal | None = None
    """Whole kits that all components together allow now; None: none of them limits it."""


class KitWhy(msgspec.Struct, frozen=True, kw_only=True):
    """What kits have to do with a promise."""

    components: tuple[KitComponent, ...] = ()
    """Of a kit: what one is made of."""
    places: tuple[KitPlace, ...] = ()
    """Of a kit: what can be made, by location, the network first; in `available_now` and the steps, beyond the terms of
    the kit's own stock."""
    demand: Decimal | None = None
    """Of a component: open demand of kits within the horizon that falls on it; it is in the terms' `demand`."""


class Atp(msgspec.Struct, frozen=True, kw_only=True):
    """inventory.atp.v1.  Key: sku.  What may be promised, by location and date, and why."""

    sku: str
    version: int
    complete: bool
    """False: not published onwards by a channel; a source that owns a bucket is not complete."""
    uncertain: bool
    tracked: bool
    backorder_limit: Decimal | None
    active: bool
    network: LocationAtp
    locations: tuple[LocationAtp, ...]
    source_versions: dict[str, int] = msgspec.field(default_factory=dict)
    """Every source that owns a bucket here → version of its newest message about the sku; 0: it has said nothing."""
    stamps: Stamps = Stamps()
    cause: str = ""
    """What made this version: the source's name, `clock` or `rule`."""
    kit: KitWhy | None = None
    """Why, of a kit or of a component of kits; None: it is neither."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """item.v1.  Key: sku.  Owner's attributes; a tombstone when no source knows it any more."""

    sku: str
    version: int
    source: str
    name: str | None = None
    unit: str | None = None
    unit_digits: int | None = None
    tracked: bool = True
    backorder_limit: Decimal | None = None
    active: bool = True


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """location.v1.  Key: location."""

    location: str
    version: int
    source: str
    name: str | None = None
    kind: str | None = None
    time_zone: str | None = None
    active: bool = True


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A source that does not own an attribute disagrees with the owner's value."""

    attribute: str
    """`financial_status`, or `lines/<line_id>/shipped`."""
    owner: str
    owner_value: str | None
    other: str
    other_value: str | None
    since_us: int


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order; quantities in the line's unit."""

    line_id: str
    sku: str | None = None
    location: str | None = None
    unit: str | None = None
    ordered: Decimal | None = None
    allocated: Decimal | None = None
    picked: Decimal | None = None
    packed: Decimal | None = None
    shipped: Decimal | None = None
    delivered: Decimal | None = None
    returned: Decimal | None = None
    cancelled: Decimal | None = None
    due: dt.date | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """order.v1.  Key: order_id.  Each attribute from the system that owns it (DESIGN §6)."""

    order_id: str
    version: int
    complete: bool
    number: str | None = None
    channel: str | None = None
    customer: str | None = None
    placed_us: int | None = None
    due: dt.date | None = None
    financial_status: str = "unknown"
    execution_status: str = "unknown"
    delivery_status: str = "unknown"
    presentation_status: str = "unknown"
    withdrawn: str | None = None
    """cancelled | archived | removed: what the deletion of the order meant; None: live."""
    lines: tuple[OrderLine, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    source_versions: dict[str, int] = msgspec.field(default_factory=dict)
    stamps: Stamps = Stamps()


class ShipmentLine(msgspec.Struct, frozen=True, kw_only=True):
    line_id: str
    quantity: Decimal | None = None


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """shipment.v1.  Key: shipment_id."""

    shipment_id: str
    version: int
    order_id: str
    number: str | None = None
    carrier: str | None = None
    tracking: str | None = None
    status: str = "unknown"
    shipped_us: int | None = None
    delivered_us: int | None = None
    lines: tuple[ShipmentLine, ...] = ()
    source: str = ""
    stamps: Stamps = Stamps()


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """progress.v1.  Key: `<stage>/<source>/<partition>`.  Are all changes committed before T in the promise?"""

    stage: str
    """lane | inventory | orders | channel-<channel>"""
    source: str
    partition: int
    version: int
    input_offset: int
    source_position: str
    source_time_us: int | None
    complete: bool
    holding: bool = False
    uncertain: bool = False
    stated_us: int = 0
    """When the stage said so, after its outputs were acknowledged."""
    whole_topic_id: str | None = None
    """Only of inventory: Kafka's id of the `inventory.atp.v1` in which every sku stands that its sources know in this
    partition: what is not there no source knows.  None: they have not been read whole."""


class PublicationState(StrEnum):
    """intent → acknowledged | rejected | unknown; parked: rejected for good and waiting for a person."""

    UNKNOWN = "unknown"
    INTENT = "intent"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PARKED = "parked"


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """channel.publication.v1.  Key: `<channel>/<kind>/<key>`.  One thing told to one channel."""

    id: str
    """Deterministic from channel, key and versions; stable over retries; the receiver's idempotency key."""
    channel: str
    kind: str
    """inventory | order | control (pause, resume, disabled, resend: what the workers were told to do)"""
    key: str
    state: PublicationState
    source_version: int
    """Version of the promise or order it tells."""
    rule_version: int
    """Fingerprint of the channel's rule, non-negative 63 bits."""
    staleness_step: int
    """0: fresh; higher: how many steps the staleness rule has gone."""
    attempts: int
    sequence: int = 0
    """Rises when the newest value is sent once more after an unknown outcome."""
    quantities: dict[str, Decimal] = msgspec.field(default_factory=dict)
    """Location ('*': network) → what the channel was told; clamped at zero."""
    changed: tuple[str, ...] = ()
    """Locations whose quantity differs from what the channel had acknowledged before."""
    status: str | None = None
    """Order status told, for kind order; what was ordered, for kind control."""
    answer: str = ""
    """HTTP status or error, for people."""
    cause: str = ""
    stamps: Stamps = Stamps()
    picked_up_us: int | None = None
    sent_us: int | None = None
    acknowledged_us: int | None = None


class ExceptionStatus(StrEnum):
    UNKNOWN = "unknown"
    OPEN = "open"
    RETRIED = "retried"
    CLOSED = "closed"


class ExceptionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """exception.v1.  Key: id.  What could not be processed, and every open business exception, with its lifecycle."""

    id: str
    """Deterministic: `<stage>/<source or channel>/<code>/<subject>`."""
    version: int
    stage: str
    """lane | inventory | orders | channel | source"""
    source: str
    code: str
    """Stable code of docs/exceptions.md, e.g. `row-unmappable`."""
    status: ExceptionStatus
    subject: str
    """Row key, sku, order, or channel key it is about."""
    detail: str
    """What is wrong, for people."""
    action: str
    """What to do next, for people."""
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    raw: bytes | None = None
    """The record's bytes as they came, cut at 64 KiB."""
    count: int = 1
    opened_us: int = 0
    updated_us: int = 0
    closed_us: int | None = None
