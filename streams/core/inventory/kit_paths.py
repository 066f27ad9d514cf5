"""Kits and components over time: what a component allows, what a kit asks, what can be promised of it.  Pure.

A kit K takes n of component A.  `own(t)` is K's promise of its own stock, demand of K in it.

* **Offer.**  A's promise without K's demand, made never to fall (its minimum from t on: what is taken at t is gone
  later, too), in whole kits, never below none.
* **Demand** that K's own stock does not cover falls on A: the most by which `own` has been below zero up to t.
* **Promise.**  own(t) + the least offer of all components at t.  So K's demand counts once on either side: in `own`
  here, in A's demand there; K's promise falls with its demand at once, before A has heard of it.

At a location only what is there counts.  What of location `*` and of the locations' own shortages the network cannot
cover falls on the network of the component.  Untracked components limit nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Context, Decimal

from schemas.messages import KitDemand, Makeable
from schemas.records import QUANTITY_SCALE, AtpStep, LocationAtp
from streams.core.inventory.promise import Promise, available_on, nothing_at, with_path
from streams.core.inventory.state import ZERO
from streams.core.ownership import ANY

MAX_OFFER_STEPS = 2_000
"""Steps of one offer over all locations; of more, some are left out, which promises less."""
MAX_DEMANDS = 2_000
"""Lines of what a kit asks of one component; of more, all of a location is asked for now."""

NOW = dt.date.min
_FINEST = Decimal(1).scaleb(-QUANTITY_SCALE)
_ROUNDING = Context(prec=120)


def makeable(promise: Promise, per_kit: Decimal) -> tuple[Makeable, ...]:
    """What a component of this promise allows, the network first."""
    places = (promise.network, *promise.locations)
    most = max(1, MAX_OFFER_STEPS // len(places))
    return tuple(_makeable(at, per_kit, most) for at in places)


def _makeable(at: LocationAtp, per_kit: Decimal, most: int) -> Makeable:
    lowest: Decimal | None = None
    falling: list[tuple[dt.date, Decimal]] = []
    for step in reversed(at.steps):
        lowest = step.available if lowest is None else min(lowest, step.available)
        falling.append((step.date, max(lowest, ZERO) // per_kit))
    falling.reverse()
    now = falling[0][1]
    later, before = [], now
    for date, kits in falling[1:]:
        if kits != before:
            later.append(AtpStep(date=date, available=kits))
            before = kits
    if len(later) > most:
        later = later[:: -(-len(later) // most)]
    return Makeable(location=at.location, now=now, later=tuple(later))


def asked(promise: Promise, per_kit: Decimal) -> tuple[KitDemand, ...]:
    """What a kit of this promise of its own stock asks of a component, by location and date."""
    short = {at.location: _shortage(_changes(at)) for at in promise.locations}
    network = _changes(promise.network)
    rest = []
    for day in sorted({*network, *(day for found in short.values() for day in found)}):
        covered = sum((_at(found, day) for found in short.values()), ZERO)
        rest.append((day, available_on(promise.network, day) + covered))
    short[ANY] = _shortage(dict(rest))
    found = []
    for location, steps in sorted(short.items()):
        before = ZERO
        for day, quantity in steps.items():
            more = _rounded_up(per_kit * (quantity - before))
            found.append(KitDemand(location=location, quantity=more, due=None if day == NOW else day))
            before = quantity
    return tuple(found) if len(found) <= MAX_DEMANDS else _at_once(found)


def _changes(at: LocationAtp) -> dict[dt.date, Decimal]:
    """By date; the first is NOW, whatever a location's today is."""
    return {NOW: at.steps[0].available, **{step.date: step.available for step in at.steps[1:]}}


def _rounded_up(quantity: Decimal) -> Decimal:
    """To what a contract holds."""
    if int(quantity.as_tuple().exponent) >= -QUANTITY_SCALE:
        return quantity
    return quantity.quantize(_FINEST, ROUND_CEILING, _ROUNDING)


def _at_once(demands: Iterable[KitDemand]) -> tuple[KitDemand, ...]:
    totals: dict[str, Decimal] = {}
    for demand in demands:
        totals[demand.location] = totals.get(demand.location, ZERO) + demand.quantity
    return tuple(KitDemand(location=location, quantity=quantity) for location, quantity in totals.items())


def _shortage(available: Mapping[dt.date, Decimal]) -> dict[dt.date, Decimal]:
    """Day → the most that was missing up to it, where it rises; days come and go ascending."""
    found: dict[dt.date, Decimal] = {}
    most = ZERO
    for day, quantity in available.items():
        if -quantity > most:
            most = found[day] = -quantity
    return found


def _at(shortage: dict[dt.date, Decimal], day: dt.date) -> Decimal:
    """The shortage on a day."""
    return next((quantity for since, quantity in reversed(shortage.items()) if since <= day), ZERO)


Offers = Mapping[str, Mapping[str, Makeable]]
"""Component → location → what it allows; of those that limit the kit."""


def common_locations(offers: Offers) -> set[str]:
    """Locations, the network left out, at which every component that limits the kit is."""
    found: set[str] | None = None
    for places in offers.values():
        found = set(places) if found is None else found & places.keys()
    return (found or set()) - {ANY}


def made(own: Promise, offers: Offers, todays: Mapping[str, dt.date]) -> tuple[Promise, dict[str, Decimal]]:
    """The kit's promise, and what can be made now by location.

    `todays`: today at each of `common_locations` and of the own locations.
    """
    alone = {at.location: at for at in own.locations}
    places: list[LocationAtp] = []
    kits: dict[str, Decimal] = {}
    days: set[dt.date] = set(own.change_days)
    for location in sorted(alone.keys() | common_locations(offers)):
        at = alone.get(location) or nothing_at(location, todays[location])
        places.append(_made(at, [of.get(location) for of in offers.values()], at.steps[0].date, kits, days))
    first = min((own.network.steps[0].date, *(todays[at.location] for at in places)))
    network = _made(own.network, [of.get(ANY) for of in offers.values()], first, kits, days)
    return Promise(network, tuple(places), own.overdue, sorted(days)), kits


def _made(
    own: LocationAtp,
    offers: Iterable[Makeable | None],
    today: dt.date,
    kits: dict[str, Decimal],
    days: set[dt.date],
) -> LocationAtp:
    known = list(offers)
    later = {step.date for offer in known if offer is not None for step in offer.later}
    dates = sorted({today, *(step.date for step in own.steps if step.date > today), *(d for d in later if d > today)})
    days |= later
    path = []
    for date in dates:
        allowed = min(_allowed(offer, date) for offer in known)
        if date == today:
            kits[own.location] = allowed
        path.append((date, available_on(own, date) + allowed))
    return with_path(own, path)


def _allowed(offer: Makeable | None, day: dt.date) -> Decimal:
    if offer is None:
        return ZERO
    found = offer.now
    for step in offer.later:
        if step.date > day:
            break
        found = step.available
    return found
