"""What a channel is told: a promise, the channel's rule and how stale the sources are, made into quantities.

This is the only place that clamps at zero: everywhere before, a negative promise is an oversell that must be seen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import NamedTuple

from schemas.records import Atp, Order, Stamps
from sinks.core.rule import NETWORK, Rule

ZERO = Decimal(0)


class Promise(NamedTuple):
    """As much of an `inventory.atp.v1` record as a channel needs; kept for every sku."""

    version: int
    uncertain: bool
    tracked: bool
    backorder_limit: Decimal | None
    active: bool
    available: tuple[tuple[str, Decimal], ...]
    """(location, signed available now); the network is '*' and comes first."""
    sources: tuple[str, ...]
    """Sources the promise rests on."""
    stamps: Stamps
    cause: str


class OrderState(NamedTuple):
    """As much of an `order.v1` record as a channel needs."""

    version: int
    number: str | None
    channel: str | None
    statuses: tuple[tuple[str, str], ...]
    """(financial, execution, delivery, presentation) with their names."""
    withdrawn: str | None
    stamps: Stamps
    cause: str

    @property
    def text(self) -> str:
        """One line that changes when a status does."""
        told = " ".join(f"{name}={status}" for name, status in self.statuses)
        return f"{told} withdrawn={self.withdrawn}" if self.withdrawn else told


def promise_of(atp: Atp) -> Promise:
    """The part of a promise that channels need."""
    locations = ((sys.intern(at.location), at.available_now) for at in atp.locations if at.location != NETWORK)
    return Promise(
        atp.version,
        atp.uncertain,
        atp.tracked,
        atp.backorder_limit,
        atp.active,
        ((NETWORK, atp.network.available_now), *locations),
        _shared(tuple(sorted(atp.source_versions))),
        atp.stamps,
        sys.intern(atp.cause),
    )


def order_state_of(order: Order) -> OrderState:
    """The part of an order that channels need."""
    statuses = _statuses(
        order.financial_status, order.execution_status, order.delivery_status, order.presentation_status
    )
    cause = sys.intern(next(iter(order.source_versions))) if len(order.source_versions) == 1 else ""
    channel = None if order.channel is None else sys.intern(order.channel)
    return OrderState(order.version, order.number, channel, statuses, order.withdrawn, order.stamps, cause)


@lru_cache(maxsize=4096)
def _statuses(*statuses: str) -> tuple[tuple[str, str], ...]:
    """Orders are many and their statuses few: they share them."""
    return tuple(zip(("financial", "execution", "delivery", "presentation"), map(str, statuses), strict=True))


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


def step_of(promise: Promise, rule: Rule, source_steps: Mapping[str, int]) -> int:
    """The staleness step of one promise: its stalest source's; a source nobody has heard of is as stale as can be."""
    last = len(rule.staleness.steps)
    if not last:
        return 0
    step = max((source_steps.get(source, last) for source in promise.sources), default=0)
    return max(step, min(rule.staleness.uncertain_step, last)) if promise.uncertain else step


def source_step(rule: Rule, lag_s: float, current: int) -> int:
    """The step of a source that lies `lag_s` back.  It goes up at `after_s` and down below half of it, so that a
    source around the limit does not have all its skus told again and again."""
    steps = rule.staleness.steps
    up = sum(lag_s >= step.after_s for step in steps)
    stays = sum(lag_s >= step.after_s / 2 for step in steps)
    return max(up, min(current, stays))


def offer(promise: Promise, rule: Rule, step: int) -> dict[str, Decimal]:
    """Location → quantity to tell, never below zero.

    Shape: '*' (the network) is always there; a location's figure never exceeds the network's.
    Units: the item's stock unit, rounded down to `rule.digits`.
    """
    visible = [(location, available) for location, available in promise.available[1:] if rule.sees(location)]
    if not promise.active:
        return dict.fromkeys((NETWORK, *(location for location, _ in visible)), ZERO)
    if not promise.tracked:
        return dict.fromkeys((NETWORK, *(location for location, _ in visible)), rule.untracked_quantity)
    backorder = (promise.backorder_limit or ZERO) if rule.backorders else ZERO
    network = promise.available[0][1]
    if NETWORK not in rule.locations:
        network = min(network, sum((max(available, ZERO) for _, available in visible), ZERO))
    told = {NETWORK: _figure(network + backorder, rule, step)}
    for location, available in visible:
        told[location] = min(_figure(available + backorder, rule, step), told[NETWORK])
    return told


def withdrawn_offer(locations: Iterable[str]) -> dict[str, Decimal]:
    """What is told of a sku that no source knows any more."""
    return dict.fromkeys((NETWORK, *locations), ZERO)


def _figure(available: Decimal, rule: Rule, step: int) -> Decimal:
    steps = rule.staleness.steps[:step]
    if steps and steps[-1].stop:
        return ZERO
    left = max(ZERO, available - rule.buffer - (steps[-1].buffer if steps else ZERO))
    share = rule.share
    part = max(left * share.percent / 100, min(left, share.protected_minimum))
    if share.maximum is not None:
        part = min(part, share.maximum)
    if part < rule.threshold:
        return ZERO
    return part.quantize(Decimal(1).scaleb(-rule.digits), rounding=ROUND_FLOOR)
