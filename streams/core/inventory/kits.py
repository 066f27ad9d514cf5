"""Kits: what partitions of inventory tell each other of kits and of their components.

A kit's partition knows from the lanes what it is made of.  It tells each component what it takes and which demand
falls on it (*use*); the component's partition answers with what it allows (*offer*).  Both are absolute, versioned by
their sender, and owed outputs of the unit that made them.  Neither rests on the other: a use comes from the kit's own
stock and demand, an offer from the component's own and from uses of other kits.  So what a change sets off ends.

A component that is a kit itself offers nothing and says so: two ways from a kit to one component would each count it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

import msgspec

from schemas.messages import BalanceMessage, ComponentOffer, KitMessage, KitUse, Makeable
from schemas.records import Bucket, Item, KitComponent, KitPlace, KitWhy, Stamps
from streams.core.inventory.exceptions import Finding
from streams.core.inventory.kit_intake import keep_kit, load_kit, load_parts
from streams.core.inventory.kit_paths import Offers, asked, common_locations, made, makeable
from streams.core.inventory.kit_state import (
    Asked,
    Bill,
    Kit,
    Parts,
    Telling,
    Use,
    decode_asked,
    decode_telling,
    decode_use,
    encode,
    first_of_pair,
    pair,
    split_pair,
)
from streams.core.inventory.promise import Promise
from streams.core.inventory.sources import Sources
from streams.core.inventory.state import ZERO, LineKey, Made, Sku, decode_made
from streams.core.inventory.working import Working
from streams.core.ownership import ANY, Ownership
from streams.core.unit import UNIT_BYTES, View

OFFERS = 500
"""Offers that one unit makes at most; the kits left over are told in slices, units of their own."""
Lines = Mapping[LineKey, tuple[Decimal, int]]
Compute = Callable[[Lines], Promise]
"""The promise of these lines, at the component's todays."""

_decode_offer = msgspec.msgpack.Decoder(ComponentOffer).decode


class Own(NamedTuple):
    """What a sku promises without kits, demand of kits on it included."""

    promise: Promise
    ready: bool
    uncertain: bool
    item: Item
    rests_on: dict[str, int]
    todays: dict[str, dt.date]
    stamps: Stamps
    cause: str


class Told(NamedTuple):
    """The same with kits."""

    promise: Promise
    ready: bool
    uncertain: bool
    tracked: bool
    rests_on: dict[str, int]
    why: KitWhy | None
    findings: list[Finding]
    owed: list[bytes]


class Terms:
    """One sku that is a kit, a component, or both, while its outputs are made."""

    def __init__(self, kits: Kits, working: Working, sku: str, record: Sku) -> None:
        self._kits, self._working, self._sku, self._record = kits, working, sku, record
        self._kit = load_kit(working.state, sku)
        self._parts = load_parts(working.state, sku)
        self._source, bill = kits.chosen(self._kit)
        self._components, self._version = bill.components, bill.version
        said = self._kit.offers
        self._nested = sorted(name for name in bill.components if name in said and said[name].kit)
        self._offers = {name: offer for name, offer in said.items() if offer.is_for(bill.components.get(name))}
        """An offer for another quantity is none: the component has not heard of the present bill."""
        offers = self._offers
        self._limits: Offers = {
            name: {} if name not in offers or self._nested else offers[name].makeable
            for name in bill.components
            if name not in offers or self._nested or offers[name].tracked
        }

    @property
    def known(self) -> bool:
        """There is something to promise or to report."""
        return bool(self._components or self._parts.demand)

    @property
    def locations(self) -> set[str]:
        """Where kits can be made, beside where there is stock or demand."""
        return common_locations(self._limits)

    def lines(self, own: Lines) -> Lines:
        """The open quantities with the demand of kits."""
        return _with_demand(own, self._parts) if self._parts.demand else own

    def publish(self, own: Own, lines: Lines, compute: Compute) -> Told:
        """`lines` as the method of that name gave them."""
        own = self._with_bills(own)
        owed = self._ask(own) if self._record.components else []
        ready, uncertain, promise = own.ready, own.uncertain, own.promise
        demand: Decimal | None = None
        if self._record.component:
            ready = ready and not self._parts.incomplete and self._kits.heard_of_all(self._parts)
            uncertain = uncertain or bool(self._parts.uncertain)
            owed += self._tell(own, ready, uncertain, lines, compute)
            demand = sum((quantity for quantity, _ in self._parts.demand.values()), ZERO)
        if not self._components:
            why = KitWhy(demand=demand) if self._record.component else None
            rests_on = dict(sorted(own.rests_on.items()))
            return Told(promise, ready, uncertain, own.item.tracked, rests_on, why, [], owed)
        rests_on = dict(own.rests_on)
        for name in self._components:
            offer = self._offers.get(name)
            ready = ready and offer is not None and offer.complete
            if offer is not None:
                uncertain = uncertain or offer.uncertain
                for source, version in offer.source_versions.items():
                    rests_on[source] = max(version, rests_on.get(source, 0))
        can_make: dict[str, Decimal] = {}
        if self._limits:
            promise, can_make = made(promise, self._limits, own.todays)
        why = self._why(promise, can_make, demand)
        rests_on = dict(sorted(rests_on.items()))
        return Told(promise, ready, uncertain, bool(self._limits), rests_on, why, self._findings(), owed)

    def _with_bills(self, own: Own) -> Own:
        """What is promised of a kit and of its components rests on those who say what it is made of, too."""
        says = dict(self._parts.sources) if self._record.component else {}
        ready = own.ready
        if self._components:
            says[self._source] = self._version
            ready = ready and self._kits.bill_stands(self._source)
        uncertain = own.uncertain or any(self._kits.uncertain(source) for source in says)
        return own._replace(ready=ready, uncertain=uncertain, rests_on={**says, **own.rests_on})

    def _ask(self, own: Own) -> list[bytes]:
        """Tell every component what this kit asks of it; the owed keys."""
        state, kit, owed = self._working.state, self._kit, []
        for name, quantity in self._components.items():
            demand = () if self._nested else asked(own.promise, quantity)
            ask = kit.again or name not in self._offers
            use = Asked(quantity, own.ready, own.uncertain, demand, ask, own.stamps, own.cause)
            key = b"d" + pair(self._sku, name)
            stored = state.get(key)
            if kit.again or not use.says(decode_asked(stored) if stored is not None else None):
                state.put(key, encode(use))
                owed.append(key)
        gone = [name for name in kit.told if name not in self._components]
        for name in gone:
            key = b"d" + pair(self._sku, name)
            state.put(key, None)
            kit.offers.pop(name, None)
            owed.append(key)
        if kit.again or gone or len(kit.told) != len(self._components):
            kit.again, kit.told = False, list(self._components)
            keep_kit(self._working, self._sku, self._record, kit)
        return owed

    def _tell(self, own: Own, ready: bool, uncertain: bool, lines: Lines, compute: Compute) -> list[bytes]:
        """Tell the kits what this component offers them, as many as the unit has room for; the owed keys."""
        state, sku, kits = self._working.state, self._sku, self._kits
        prefix = b"u" + first_of_pair(sku)
        cursor = kits.taken_up.pop(sku, None)
        if sku in kits.telling:
            kits.goes_on()
        if cursor is None and sku in kits.telling:
            kits.list(state, sku, msgspec.structs.replace(kits.telling[sku], again=True))
            return []
        owed: list[bytes] = []
        same: dict[Decimal, tuple[Makeable, ...]] = {}
        uses = ((key, decode_use(value)) for key, value in state.scan(prefix, cursor or prefix))
        # Withdrawn ones take no room and are none of the kits left over: out before the slice.
        for key, use in list(islice((found for found in uses if not found[1].withdrawn), kits.room + 1)):
            if not kits.room or state.size > UNIT_BYTES // 2:
                again = sku in kits.telling and kits.telling[sku].again
                kits.list(state, sku, Telling(key, again))
                return owed
            kits.room -= 1
            places: tuple[Makeable, ...] = ()
            if not self._components:
                if use.demand:
                    places = makeable(compute(_without(lines, self._record.lines, use)), use.quantity)
                else:
                    found = same.get(use.quantity)
                    places = found if found is not None else makeable(own.promise, use.quantity)
                    same[use.quantity] = places
            offer = ComponentOffer(
                component=sku,
                complete=ready,
                uncertain=uncertain,
                tracked=own.item.tracked,
                kit=bool(self._components),
                quantity=use.quantity,
                makeable=places,
                source_versions=dict.fromkeys(own.rests_on, 0),
            )
            content, told = encode(offer), b"o" + key[1:]
            stored = state.get(told)
            if use.asks or stored is None or decode_made(stored).content != content:
                state.put(told, encode(Made(content, own.rests_on, own.stamps, own.cause)))
                owed.append(told)
            if use.asks:
                use.asks = False
                state.put(key, encode(use))
        listed = kits.telling.get(sku)
        if listed is not None:
            kits.list(state, sku, Telling(prefix) if listed.again else None)
        return owed

    def _why(self, promise: Promise, can_make: Mapping[str, Decimal], demand: Decimal | None) -> KitWhy:
        components = []
        for name, quantity in self._components.items():
            offer, limit = self._offers.get(name), self._limits.get(name)
            network = limit.get(ANY) if limit is not None else None
            components.append(
                KitComponent(
                    sku=name,
                    quantity=quantity,
                    makeable=None if limit is None else network.now if network is not None else ZERO,
                    complete=offer is not None and offer.complete,
                    uncertain=offer is not None and offer.uncertain,
                )
            )
        places = (promise.network, *promise.locations)
        return KitWhy(
            components=tuple(components),
            places=tuple(KitPlace(location=at.location, makeable=can_make.get(at.location)) for at in places),
            demand=demand,
        )

    def _findings(self) -> list[Finding]:
        if not self._nested:
            return []
        names = ", ".join(self._nested)
        return [
            Finding(
                code="kit-nested",
                source=self._source,
                subject=self._sku,
                detail=f"of the components of kit {self._sku} {names} is a kit itself: nothing can be made of it",
                action="name in components.sql what that kit is made of in its place, or stop keeping it as a kit",
            )
        ]


class Kits:
    """Room of a unit, and the work list of kits still to be told; a mirror of the `f` records."""

    def __init__(self, state: View, ownership: Ownership, sources: Sources) -> None:
        self._ownership, self._sources = ownership, sources
        self.telling = {key[1:].decode(): decode_telling(value) for key, value in state.scan(b"f")}
        self.taken_up: dict[str, bytes] = {}
        """Component → `u` key from which on this unit tells its kits."""
        self.room = OFFERS
        self._in_vain = 0
        """Components that were taken up one after the other and make no outputs yet."""

    def begin(self) -> None:
        """A unit begins."""
        self.room = OFFERS
        self.taken_up.clear()

    def take_up(self, working: Working) -> bool:
        """Go on with the first component of the work list; False: it is empty."""
        for sku, telling in self.telling.items():
            self.taken_up[sku] = telling.cursor
            working.sku(sku)
            return True
        return False

    def finish(self, working: Working) -> None:
        """A unit ends: what is no component any more has nobody to tell; a component that was taken up and makes no
        outputs yet stands behind the others."""
        for sku in sorted(working.skus.keys() & self.telling.keys()):
            if not working.skus[sku].component:
                self.list(working.state, sku, None)
                self.taken_up.pop(sku, None)
        for sku in self.taken_up:
            self.telling[sku] = self.telling.pop(sku)
            self._in_vain += 1

    def goes_on(self) -> None:
        """A component of the work list makes outputs."""
        self._in_vain = 0

    @property
    def has_more(self) -> bool:
        """The work list could go on."""
        return self._in_vain < len(self.telling)

    def list(self, state: View, sku: str, telling: Telling | None) -> None:
        """The work list goes on from here, or (None) all of its kits are told."""
        if telling is None:
            del self.telling[sku]
        else:
            self.telling[sku] = telling
        state.put(b"f" + sku.encode(), encode(telling) if telling is not None else None)

    def terms(self, working: Working, sku: str, record: Sku) -> Terms | None:
        """None: neither a kit nor a component."""
        return Terms(self, working, sku, record) if record.components or record.component else None

    def heard_of_all(self, of: Parts) -> bool:
        """Every partition whose kits may ask for this component has said what they ask."""
        return all(self._sources.reached_everywhere(source) for source in of.sources)

    def uncertain(self, source: str) -> bool:
        """Something that it says of kits may be parked."""
        return self._sources.uncertain(source)

    def bill_stands(self, chosen: str) -> bool:
        """This source's bills are all known, and nobody whose word counts before it is still being read."""
        owners = self._ownership.kit_owners
        earlier = owners[: owners.index(chosen)]
        return self._sources.ready(chosen) and not any(self._sources.being_read(source) for source in earlier)

    def chosen(self, kit: Kit) -> tuple[str, Bill]:
        """(source, what a kit is made of): the first owner's that says anything."""
        for source in self._ownership.kit_owners:
            if source in kit.bills:
                return source, kit.bills[source]
        return "", _NOTHING


_NOTHING = Bill(0, {})


def _with_demand(own: Lines, of: Parts) -> dict[LineKey, tuple[Decimal, int]]:
    lines = dict(own)
    for (location, due), (quantity, kits) in of.demand.items():
        key = (location, Bucket.DEMAND, due)
        had, claims = lines.get(key, (ZERO, 0))
        lines[key] = (had + quantity, claims + kits)
    return lines


def _without(lines: Lines, own: Lines, use: Use) -> dict[LineKey, tuple[Decimal, int]]:
    """The lines without what one kit asks."""
    left = dict(lines)
    for demand in use.demand:
        key = (demand.location, Bucket.DEMAND, demand.due)
        quantity, claims = left[key]
        if claims == 1 and key not in own:
            del left[key]
        else:
            left[key] = (quantity - demand.quantity, claims - 1)
    return left


# -- messages


def use_message(state: View, owed: bytes, version: int) -> tuple[str, BalanceMessage]:
    """(component, message) of an owed key `d`; withdrawn when the kit asks nothing any more."""
    kit, component = split_pair(owed[1:])
    stored = state.get(owed)
    use = KitUse(kit=kit, quantity=ZERO, complete=True, uncertain=False, ask=False, withdrawn=True)
    stamps, cause = Stamps(), ""
    if stored is not None:
        said = decode_asked(stored)
        stamps, cause = said.stamps, said.cause
        use = KitUse(
            kit=kit,
            quantity=said.quantity,
            complete=said.complete,
            uncertain=said.uncertain,
            ask=said.ask,
            demand=said.demand,
        )
    kits = KitMessage(use=use)
    return component, BalanceMessage(kind="use", source=cause, version=version, sku=component, stamps=stamps, kits=kits)


def offer_message(state: View, owed: bytes, version: int) -> tuple[str, BalanceMessage] | None:
    """(kit, message) of an owed key `o`; None: the kit has withdrawn."""
    stored = state.get(owed)
    if stored is None:
        return None
    said = decode_made(stored)
    offer = msgspec.structs.replace(_decode_offer(said.content), source_versions=said.source_versions)
    kit, kits = split_pair(owed[1:])[1], KitMessage(offer=offer)
    message = BalanceMessage(kind="offer", source=said.cause, version=version, sku=kit, stamps=said.stamps, kits=kits)
    return kit, message
