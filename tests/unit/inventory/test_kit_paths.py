"""What components offer and kits ask, as functions of time."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal, localcontext

import pytest

from schemas.messages import KitDemand, Makeable
from schemas.records import AtpStep, Bucket
from streams.core.inventory import kit_paths
from streams.core.inventory.kit_paths import asked, made, makeable
from streams.core.inventory.promise import Promise, available_on, compute
from streams.core.inventory.state import EXACT, LineKey
from tests.unit.inventory.harness import TODAY, day

Lines = dict[LineKey, tuple[Decimal, int]]


def promise(*lines: tuple[str, str, float | str, int | None], todays: dict[str, dt.date] | None = None) -> Promise:
    """(location, bucket, quantity, day)"""
    found: Lines = {}
    for location, bucket, quantity, due in lines:
        key = (location, Bucket(bucket), None if due is None else day(due))
        found[key] = (found.get(key, (Decimal(0), 0))[0] + Decimal(str(quantity)), 1)
    known = dict.fromkeys(("W1", "W2", "*"), TODAY) | (todays or {})
    return compute(found, known, horizon_days=90, grace_days=7)


def offered(of: tuple[Makeable, ...], location: str = "*") -> dict[dt.date | None, Decimal]:
    at = next(at for at in of if at.location == location)
    return {None: at.now, **{step.date: step.available for step in at.later}}


@pytest.mark.parametrize(
    ("lines", "per_kit", "wanted"),
    [
        ([("W1", "on_hand", 7, None)], 2, {None: 3}),
        ([("W1", "on_hand", 7, None), ("W1", "inbound", 4, 5)], 2, {None: 3, day(5): 5}),
        ([("W1", "on_hand", 7, None), ("W1", "demand", 5, 3)], 2, {None: 1}),
        ([("W1", "on_hand", 7, None), ("W1", "demand", 5, 3), ("W1", "inbound", 9, 6)], 2, {None: 1, day(6): 5}),
        ([("W1", "demand", 5, None)], 1, {None: 0}),
        ([("W1", "on_hand", 1, None)], "0.3", {None: 3}),
        ([], 1, {None: 0}),
    ],
)
def test_an_offer_is_what_stays_available_in_whole_kits(
    lines: list[tuple[str, str, float | str, int | None]], per_kit: float | str, wanted: dict[dt.date | None, int]
) -> None:
    with localcontext(EXACT):
        assert offered(makeable(promise(*lines), Decimal(str(per_kit)))) == wanted


def test_an_offer_of_very_many_dates_is_shortened_downwards(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = promise(*(("W1", "inbound", 1, n) for n in range(1, 80)))
    full = makeable(whole, Decimal(1))
    monkeypatch.setattr(kit_paths, "MAX_OFFER_STEPS", 20)
    short = makeable(whole, Decimal(1))
    assert all(len(at.later) <= 10 for at in short)
    for n in range(90):
        for of, at in zip(full, short, strict=True):
            assert kit_paths._allowed(at, day(n)) <= kit_paths._allowed(of, day(n))


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([("W1", "on_hand", 5, None), ("W1", "demand", 5, None)], []),
        ([("W1", "demand", 5, None)], [("W1", 10, None)]),
        ([("W1", "on_hand", 2, None), ("W1", "demand", 5, 4)], [("W1", 6, day(4))]),
        ([("W1", "demand", 5, 4), ("W1", "inbound", 9, 6), ("W1", "demand", 9, 8)], [("W1", 10, day(4))]),
        ([("W1", "on_hand", 3, None), ("*", "demand", 5, None)], [("*", 4, None)]),
        ([("W1", "on_hand", 5, None), ("W2", "demand", 5, None)], [("W2", 10, None)]),
        ([("W1", "on_hand", 5, None), ("W2", "demand", 5, None), ("*", "demand", 2, None)], [("W2", 10, None)]),
        ([("W1", "on_hand", 5, None), ("W2", "demand", 5, None), ("*", "demand", 7, None)],
         [("*", 4, None), ("W2", 10, None)]),
    ],
)  # fmt: skip
def test_what_own_stock_does_not_cover_is_asked_where_and_when_it_is_missing(
    lines: list[tuple[str, str, float | str, int | None]], wanted: list[tuple[str, int, dt.date | None]]
) -> None:
    with localcontext(EXACT):
        found = asked(promise(*lines), Decimal(2))
    assert [(demand.location, int(demand.quantity), demand.due) for demand in found] == wanted


def test_a_quantity_finer_than_the_contract_is_asked_rounded_up() -> None:
    with localcontext(EXACT):
        (demand,) = asked(promise(("W1", "demand", "0.000000001", None)), Decimal("0.5"))
    assert demand.quantity == Decimal("0.000000001")


def test_a_location_whose_day_is_ahead_asks_once() -> None:
    """The network's today is the earliest of its locations'."""
    with localcontext(EXACT):
        own = promise(("W1", "demand", 3, None), ("W2", "demand", 4, None), todays={"W2": day(1)})
        found = asked(own, Decimal(1))
    assert found == (KitDemand(location="W1", quantity=Decimal(3)), KitDemand(location="W2", quantity=Decimal(4)))


@pytest.mark.parametrize("seed", range(30))
def test_demand_that_is_passed_on_is_as_much_as_is_missing(seed: int) -> None:
    """For every day and place: own stock and what was asked for cover the demand."""
    rng = random.Random(seed)
    lines: list[tuple[str, str, float | str, int | None]] = [
        (rng.choice(("W1", "W2", "*")), rng.choice(("demand", "demand", "inbound", "on_hand")), rng.randrange(1, 9),
         rng.randrange(1, 9))
        for _ in range(rng.randrange(1, 9))
    ]  # fmt: skip
    lines = [(at, bucket, quantity, None if bucket == "on_hand" else due) for at, bucket, quantity, due in lines]
    with localcontext(EXACT):
        own = promise(*lines)
        found = asked(own, Decimal(1))
        for n in range(10):
            for at in (own.network, *own.locations):
                taken = sum(
                    demand.quantity
                    for demand in found
                    if at.location in (demand.location, "*") and (demand.due is None or demand.due <= day(n))
                )
                assert available_on(at, day(n)) + taken >= 0


def test_a_kit_is_promised_on_the_days_its_components_come() -> None:
    offer = {"A": {"*": Makeable(location="*", now=Decimal(1), later=(AtpStep(date=day(4), available=Decimal(6)),))}}
    with localcontext(EXACT):
        own = promise(("W1", "on_hand", 2, None), ("W1", "demand", 4, 2))
        kit, can_make = made(own, offer, {"W1": TODAY, "*": TODAY})
    assert [(step.date, int(step.available)) for step in kit.network.steps] == [(TODAY, 3), (day(2), -1), (day(4), 4)]
    assert (int(kit.network.available_now), int(can_make["*"]), int(can_make["W1"])) == (-1, 1, 0)
    assert day(4) in kit.change_days
