"""What the stages tell each other: the records of the internal topics `onhand.*`, by the rules of `schemas.records`."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from schemas.records import AtpStep, Bucket, Stamps


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of a source's live postings with equal (view, sku, location, bucket, due, reference)."""

    location: str
    bucket: Bucket
    quantity: Decimal
    postings: int
    """Number of live postings it rests on; 0: nothing is said any more (differs from a sum of zero)."""
    due: dt.date | None = None
    """Calendar date in the location's time zone; of `reserved` the last day it counts."""
    reference: str | None = None
    """Order line, purchase line or cart that the claim is about."""
    view: str = ""
    """Posting view: '' for postings.sql, else the part of postings.<view>.sql."""
    expires_us: int | None = None
    """Only for `reserved`: when it stops to count."""


class ItemPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says about an item (items.sql)."""

    sku: str
    name: str | None = None
    unit: str | None = None
    unit_digits: int | None = None
    tracked: bool = True
    backorder_limit: Decimal | None = None
    """None: no limit is stated (no backorder); a number: how far the promise may go below zero."""
    active: bool = True
    withdrawn: bool = False
    """The source says nothing about this item any more."""


class LocationPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says about a location (locations.sql)."""

    location: str
    name: str | None = None
    kind: str | None = None
    time_zone: str | None = None
    active: bool = True
    withdrawn: bool = False


class LaneProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a lane is, in-band behind everything it covers."""

    input_offset: int
    """Next offset of cdc.<source> the lane will read."""
    source_position: str
    """Position in the source database up to which all commits are covered, as `streams.core.log` writes it."""
    source_time_us: int | None
    """Commit or heartbeat time of that position."""
    complete: bool
    """Every table's snapshot is in; promises may rest on this source."""
    holding: bool = False
    """Only decreases may leave: a snapshot, or the reload of a truncated table, is outstanding."""
    uncertain: bool = False
    """A row parked out of demand, hold or buffer makes this source's whole contribution uncertain."""
    restated_since: int | None = None
    """Every live balance of this source has been sent at or above this version: withdraw what is older."""
    restating_since: int | None = None
    """The lane is whole, holds nothing else back, and is sending everything for the first time: what it says of a sku
    at or above this version is all it knows of it.  None: it does not, or the mapping has components."""
    kits: bool = False
    """The source's mapping has components: some item of it may be a kit."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """So much of an item goes into one kit."""

    sku: str
    quantity: Decimal
    """Per kit; more than 0."""


class KitDemand(msgspec.Struct, frozen=True, kw_only=True):
    """Demand of a kit that falls on its component."""

    location: str
    quantity: Decimal
    """More than 0, in the component's stock unit."""
    due: dt.date | None = None
    """None: now."""


class KitUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a kit asks of one component; absolute."""

    kit: str
    quantity: Decimal
    """Of the component, per kit; 0: not used."""
    complete: bool
    """The kit's own sources are complete."""
    uncertain: bool
    """The kit's demand is uncertain."""
    ask: bool
    """The kit does not know the component's offer and asks for it."""
    withdrawn: bool = False
    """The kit has nothing to do with this component any more."""
    demand: tuple[KitDemand, ...] = ()
    """What the kit's own stock does not cover."""


class Makeable(msgspec.Struct, frozen=True, kw_only=True):
    """Whole kits that one component allows at one location; never falls from one date to a later one."""

    location: str
    now: Decimal
    later: tuple[AtpStep, ...] = ()
    """From each date on, ascending; `available` in whole kits."""


class ComponentOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What a component allows one kit; absolute.  The kit's own demand is not taken out of it."""

    component: str
    complete: bool
    """Its own sources are complete, and every kit's demand on it is known."""
    uncertain: bool
    tracked: bool
    """False: it is always available and limits no kit."""
    kit: bool
    """It is a kit itself: nothing can be made of it."""
    quantity: Decimal | None = None
    """Of the component, per kit, that it was made for; another one asks for another offer.  None: not named."""
    makeable: tuple[Makeable, ...] = ()
    """By location, the network first; a location that is not there: none."""
    source_versions: dict[str, int] = msgspec.field(default_factory=dict)
    """Sources it rests on, as in `Atp`."""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How far one partition of inventory is with a source, told to every partition."""

    partition: int
    lane_version: int
    """Version of the lane's progress up to which what kits ask of components has been sent."""
    progress: LaneProgress
    """That progress."""


class KitMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says about kits; exactly what is not None is meant."""

    components: tuple[Component, ...] | None = None
    """From a lane: everything this item is made of, empty: it is no kit of this source; None: unchanged."""
    component: bool | None = None
    """From a lane: whether this item goes into any kit of the source; None: unchanged."""
    use: KitUse | None = None
    """For kind use, keyed by the component."""
    offer: ComponentOffer | None = None
    """For kind offer, keyed by the kit."""
    reached: Reached | None = None
    """For kind reached, keyed by `~<source>`, to every partition."""


class BalanceMessage(msgspec.Struct, frozen=True, kw_only=True):
    """onhand.balance.v1.  Key: sku; for progress and locations `~<source>`, sent to every partition.

    Exactly one of balances/item, location, progress is meant, told by `kind`.
    A sku's balances of one version may come in several parts; the receiver applies each part as it comes and
    publishes after the last (part == parts).
    """

    kind: str
    """balances | location | progress; use | offer | reached: what partitions of inventory tell each other of kits"""
    source: str
    """Whose lane sends; of use and offer whose change is told, of reached whom it is about."""
    version: int
    sku: str = ""
    part: int = 1
    parts: int = 1
    balances: tuple[Balance, ...] = ()
    """Only the balances that changed."""
    item: ItemPart | None = None
    uncertain: bool | None = None
    """True: a row of this sku is parked out of demand, hold or buffer; False: no longer; None: unchanged."""
    location: LocationPart | None = None
    progress: LaneProgress | None = None
    stamps: Stamps = Stamps()
    kits: KitMessage | None = None


class OrderPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says about an order header, line or shipment line."""

    kind: str
    """header | line | shipment"""
    part_id: str
    """order_id for a header, line_id for a line, `shipment_id` + '/' + line_id for a shipment line."""
    withdrawn: bool = False
    """The source's row is gone; `deletion` says what that means."""
    deletion: str | None = None
    """cancelled | archived | removed, as source.yaml declares for the table; only with `withdrawn`."""
    attributes: dict[str, str | None] = msgspec.field(default_factory=dict)
    """Column of orders/order_lines/shipments.sql → text: decimals plain, dates ISO, instants epoch microseconds,
    statuses already the contract's symbols.  A column the source does not have is absent."""
    raw_statuses: dict[str, str | None] = msgspec.field(default_factory=dict)
    """Status column → the source's own code."""


class OrderPartMessage(msgspec.Struct, frozen=True, kw_only=True):
    """onhand.order-part.v1.  Key: order_id; progress `~<source>` to every partition."""

    kind: str
    """parts | progress"""
    source: str
    version: int
    order_id: str = ""
    part: int = 1
    parts: int = 1
    order_parts: tuple[OrderPart, ...] = ()
    progress: LaneProgress | None = None
    stamps: Stamps = Stamps()
