"""The promise against a clerk with a calendar, who goes through every day."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import AtpStep, Bucket, LocationAtp
from streams.core.inventory.promise import available_on, coarser, compute, lower_of
from streams.core.inventory.state import LineKey
from tests.unit.inventory.harness import TODAY, Inventory, balance, day

HORIZON, GRACE = 20, 7
Lines = dict[LineKey, tuple[Decimal, int]]


def clerk(lines: Lines, location: str, todays: dict[str, dt.date], today: dt.date) -> list[Decimal]:
    """ATP of each day from `today`, straight from the rules."""
    days = []
    for n in range(HORIZON + 3):
        at = today + dt.timedelta(n)
        total = Decimal(0)
        for (where, bucket, due), (quantity, _) in lines.items():
            if location not in ("*", where):
                continue
            here = todays[where]
            if bucket in (Bucket.ON_HAND,):
                total += quantity
            elif bucket in (Bucket.ON_HOLD, Bucket.SAFETY_STOCK):
                total -= quantity
            elif bucket is Bucket.RESERVED:
                total -= quantity if due is None or due >= here else 0
            elif bucket is Bucket.DEMAND:
                due_now = due is None or due <= here
                if due_now or (due and due <= at and due <= here + dt.timedelta(HORIZON)):
                    total -= quantity
            elif due is not None and here - dt.timedelta(GRACE) <= due <= here + dt.timedelta(HORIZON):
                counts_from = due if due >= here else here + dt.timedelta(1)
                # What is here today where it is already today is no later than the network's today.
                if counts_from <= at or (counts_from <= here and at >= today):
                    total += quantity
        days.append(total)
    return days


keys = st.tuples(
    st.sampled_from(["N", "S", "*"]),
    st.sampled_from(
        [Bucket.ON_HAND, Bucket.ON_HOLD, Bucket.SAFETY_STOCK, Bucket.DEMAND, Bucket.INBOUND, Bucket.RESERVED]
    ),
    st.one_of(st.none(), st.integers(-12, 30).map(day)),
)
quantities = st.tuples(st.decimals(0, 50, places=3), st.just(1))


@given(st.dictionaries(keys, quantities, max_size=12), st.integers(0, 1), st.integers(0, 1))
def test_every_day_is_as_the_clerk_finds_it(lines: Lines, ahead: int, star_ahead: int) -> None:
    todays = {"N": TODAY, "S": day(ahead), "*": day(star_ahead)}
    found = compute(lines, todays, horizon_days=HORIZON, grace_days=GRACE)
    present = {key[0] for key in lines}
    network_today = min((todays[at] for at in present), default=todays["*"])
    for atp, today in [(found.network, network_today), *((at, todays[at.location]) for at in found.locations)]:
        expected = clerk(lines, atp.location, todays, today)
        assert [available_on(atp, today + dt.timedelta(n)) for n in range(len(expected))] == expected
        assert atp.available_now == min(expected)
        assert atp.steps[0].date == today
        assert [step.date for step in atp.steps] == sorted({step.date for step in atp.steps})
    assert [at.location for at in found.locations] == sorted(present - {"*"})


@given(st.dictionaries(keys, quantities, max_size=12), st.integers(1, 40))
def test_between_two_change_days_time_changes_nothing(lines: Lines, later: int) -> None:
    """What the clock's index must know: a promise told on one day holds until the next change day."""
    found = compute(lines, dict.fromkeys("NS*", TODAY), horizon_days=HORIZON, grace_days=GRACE)
    first = min((d for d in found.change_days if d > TODAY), default=dt.date.max)
    then = day(later)
    if then >= first:
        return
    again = compute(lines, dict.fromkeys("NS*", then), horizon_days=HORIZON, grace_days=GRACE)
    for old, new in zip((found.network, *found.locations), (again.network, *again.locations), strict=True):
        assert new.available_now == old.available_now
        for n in range(later, HORIZON + 50):
            assert available_on(new, day(n)) == available_on(old, day(n))


def atp(*steps: tuple[int, int]) -> LocationAtp:
    zero = Decimal(0)
    return LocationAtp(
        location="N",
        available_now=Decimal(min(q for _, q in steps)),
        on_hand=zero,
        on_hold=zero,
        safety_stock=zero,
        demand=zero,
        inbound=zero,
        reserved=zero,
        steps=tuple(AtpStep(date=day(n), available=Decimal(q)) for n, q in steps),
    )


def steps_of(atp: LocationAtp) -> list[tuple[int, Any]]:
    return [((step.date - TODAY).days, step.available) for step in atp.steps]


@pytest.mark.parametrize(
    ("last", "new", "lower"),
    [
        ([(0, 5)], [(0, 7)], [(0, 5)]),
        ([(0, 5)], [(0, 3)], [(0, 3)]),
        ([(0, 5), (3, 9)], [(0, 6), (2, 4), (4, 20)], [(0, 5), (2, 4), (4, 9)]),
        ([(-2, 5), (-1, 8), (3, 2)], [(0, 6)], [(0, 6), (3, 2)]),
    ],
)
def test_the_lower_of_two_promises(
    last: list[tuple[int, int]], new: list[tuple[int, int]], lower: list[tuple[int, int]]
) -> None:
    found = lower_of(atp(*last), atp(*new), TODAY)
    assert steps_of(found) == lower
    assert found.available_now == min(quantity for _, quantity in lower)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=40), st.integers(2, 12))
def test_fewer_steps_never_promise_more(numbers: list[int], most: int) -> None:
    fine = atp(*enumerate(numbers))
    coarse = coarser(fine, most)
    assert len(coarse.steps) <= most
    assert coarse.available_now == min(step.available for step in coarse.steps) == fine.available_now
    for n in range(50):
        assert available_on(coarse, day(n)) <= available_on(fine, day(n))


def test_inbound_past_its_date() -> None:
    """Counterexample 12: due yesterday and not received is not promised today; after seven days not at all."""
    inventory = Inventory()
    inventory.say("erp", "A", balance("N", "inbound", 5, "P1", day(1)))
    for n, steps in enumerate([[(0, 0), (1, 5)], [(1, 5)], *([(n, 0), (n + 1, 5)] for n in range(2, 9)), [(9, 0)]]):
        assert steps_of(inventory.atp("A").network) == steps, f"day {n}"
        assert ("inbound-overdue/A/N" in inventory.open_exceptions()) is (n == 9)
        inventory.runtime.tick(86_400)
    inventory.say("erp", "A", balance("N", "received", 5, "P1"))
    assert inventory.open_exceptions() == {}


def test_time_alone_raises_a_promise_and_says_so() -> None:
    """Counterexample 13: no new message, another number, a newer version."""
    inventory = Inventory()
    inventory.say("erp", "A", balance("N", "inbound", 5, "P1", day(1)))
    first = inventory.atp("A")
    inventory.runtime.tick(12 * 3600 - 1)
    assert inventory.atp("A") == first
    inventory.runtime.tick(1)
    second = inventory.atp("A")
    assert (second.network.available_now, second.cause) == (5, "clock")
    assert second.version > first.version


def test_demand_enters_at_the_horizon() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 5))
    inventory.say("erp", "A", balance("N", "demand", 2, "L1", day(91)))
    assert inventory.now("A") == 5
    inventory.runtime.tick(86_400)
    assert inventory.now("A") == 3


def test_a_day_that_only_moves_the_first_step_is_not_told() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 9))
    inventory.say("erp", "A", balance("N", "demand", 2, "L1", day(5)))
    sent = inventory.sent("inventory.atp.v1")
    for _ in range(8):
        inventory.runtime.tick(86_400)
    assert inventory.sent("inventory.atp.v1") == sent
    assert inventory.now("A") == 7


@pytest.mark.parametrize("seed", range(30))
def test_a_promise_that_was_not_told_again_still_reads_as_one_made_today(seed: int) -> None:
    """By the rule of docs/subscribe.md: a day's promise is the last step not after it."""
    chance = random.Random(seed)
    balances = [
        balance(
            chance.choice("NM*"),
            chance.choice(["demand", "inbound"]),
            chance.randrange(1, 5),
            f"R{n}",
            day(chance.randrange(-9, 100)),
        )
        for n in range(12)
    ]
    old = Inventory()
    old.say("wms", "A", balance("N", "on_hand", 9))
    old.say("erp", "A", *balances)
    for _ in range(14):
        old.runtime.tick(86_400)
        new = Inventory(now_us=old.runtime.now_us)
        new.say("wms", "A", balance("N", "on_hand", 9))
        new.say("erp", "A", *balances)
        told, fresh = old.atp("A"), new.atp("A")
        assert told.network.steps[0].date <= fresh.network.steps[0].date
        for one, other in zip((told.network, *told.locations), (fresh.network, *fresh.locations), strict=True):
            assert one.available_now == other.available_now
            for n in range(100):
                asked = fresh.network.steps[0].date + dt.timedelta(days=n)
                assert available_on(one, asked) == available_on(other, asked)


def test_the_index_holds_one_entry_per_sku() -> None:
    inventory = Inventory()
    for n in range(1, 30):
        inventory.say("erp", "A", balance("N", "inbound", 5, f"P{n}", day(n)))
        inventory.runtime.tick(3_600)
    assert len([key for key in inventory.runtime.state() if key[:1] == b"t"]) == 1


def test_a_clock_that_was_a_day_ahead_and_is_set_back_leaves_no_promise_of_tomorrow() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 9))
    inventory.say("erp", "A", balance("N", "inbound", 5, "P1", day(1)), balance("N", "demand", 2, "R1", day(2)))
    right = inventory.atp("A").network
    inventory.runtime.tick(90_000)
    assert inventory.atp("A").network.steps[0].date > right.steps[0].date
    inventory.restart()
    inventory.runtime.tick(-90_000)
    inventory.runtime.tick(1)
    told = inventory.atp("A").network
    assert [(step.date, step.available) for step in told.steps] == [(step.date, step.available) for step in right.steps]
    inventory.runtime.tick(90_000)
    assert inventory.atp("A").network.steps[0].date > right.steps[0].date, "tomorrow comes again"
