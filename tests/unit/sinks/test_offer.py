"""What is told of a promise, as tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.core.offer import offer, source_step, step_of
from tests.unit.sinks.facts import promise, rule

STALE = {"staleness": {"steps": [{"after_s": 60, "buffer": 4}, {"after_s": 600, "stop": True}]}}


@pytest.mark.parametrize(
    ("network", "locations", "changes", "step", "told"),
    [
        (10, {"A": 6, "B": 4}, {}, 0, {"*": 10, "A": 6, "B": 4}),
        (-3, {"A": -5, "B": 2}, {}, 0, {"*": 0, "A": 0, "B": 0}),
        (3, {"A": 6, "B": 4}, {}, 0, {"*": 3, "A": 3, "B": 3}),  # demand that names no warehouse
        (10, {"A": 6, "B": 4}, {"locations": ["A"]}, 0, {"*": 6, "A": 6}),
        (3, {"A": 6, "B": 4}, {"locations": ["A"]}, 0, {"*": 3, "A": 3}),
        (10, {"A": -2, "B": 4, "C": 5}, {"locations": ["A", "B"]}, 0, {"*": 4, "A": 0, "B": 4}),
        (10, {}, {"buffer": 3}, 0, {"*": 7}),
        (2, {}, {"buffer": 3}, 0, {"*": 0}),
        (10, {}, {"share": {"percent": 25}}, 0, {"*": 2}),
        (10, {}, {"share": {"percent": 25, "protected_minimum": 4}}, 0, {"*": 4}),
        (3, {}, {"share": {"percent": 25, "protected_minimum": 4}}, 0, {"*": 3}),
        (100, {}, {"share": {"maximum": 5}}, 0, {"*": 5}),
        (2, {}, {"threshold": 3}, 0, {"*": 0}),
        (3, {}, {"threshold": 3}, 0, {"*": 3}),
        ("2.9", {}, {}, 0, {"*": 2}),
        ("2.96", {}, {"digits": 1}, 0, {"*": "2.9"}),
        (10, {}, STALE, 1, {"*": 6}),
        (10, {"A": 10}, STALE, 2, {"*": 0, "A": 0}),
    ],
)
def test_told(
    network: int | str, locations: dict[str, int], changes: dict[str, Any], step: int, told: dict[str, Any]
) -> None:
    expected = {location: Decimal(quantity) for location, quantity in told.items()}
    assert offer(promise(network=network, locations=locations), rule(**changes), step) == expected


def test_items_that_are_not_counted_backordered_or_not_sold() -> None:
    assert offer(promise(network=-3, tracked=False), rule(untracked_quantity=50), 0) == {"*": 50}
    assert offer(promise(network=-3, backorder_limit=Decimal(5)), rule(), 0) == {"*": 2}
    assert offer(promise(network=-3, backorder_limit=Decimal(5)), rule(backorders=False), 0) == {"*": 0}
    assert offer(promise(network=9, locations={"A": 9}, active=False), rule(), 0) == {"*": 0, "A": 0}


@given(
    network=st.integers(-50, 50),
    locations=st.dictionaries(st.sampled_from("ABC"), st.integers(-50, 50)),
    percent=st.integers(0, 100),
    buffer=st.integers(0, 9),
    minimum=st.integers(0, 9),
    step=st.integers(0, 2),
    seen=st.sampled_from([["*"], ["A"], ["A", "B"]]),
)
def test_never_more_than_there_is_and_never_below_zero(
    network: int, locations: dict[str, int], percent: int, buffer: int, minimum: int, step: int, seen: list[str]
) -> None:
    changes = {"buffer": buffer, "share": {"percent": percent, "protected_minimum": minimum}, "locations": seen}
    told = offer(promise(network=network, locations=locations), rule(**changes, **STALE), step)
    assert all(0 <= quantity <= max(0, network - buffer) for quantity in told.values())
    assert all(quantity <= max(0, locations[at] - buffer) for at, quantity in told.items() if at != "*")
    assert set(told) == {"*", *(at for at in locations if "*" in seen or at in seen)}


def test_the_stalest_source_counts_and_an_unknown_one_is_stalest() -> None:
    stale = rule(**STALE)
    assert step_of(promise(), stale, {"erp": 0, "wms": 1}) == 1
    assert step_of(promise(), stale, {"erp": 0}) == 2
    assert step_of(promise(), rule(), {}) == 0
    assert step_of(promise(uncertain=True), stale, {"erp": 0, "wms": 0}) == 1
    ignoring = rule(staleness={**STALE["staleness"], "uncertain_step": 0})
    assert step_of(promise(uncertain=True), ignoring, {"erp": 0, "wms": 0}) == 0


@pytest.mark.parametrize(
    ("lag_s", "current", "step"),
    [(0, 0, 0), (59, 0, 0), (60, 0, 1), (59, 1, 1), (31, 1, 1), (29, 1, 0), (700, 0, 2), (400, 2, 2), (299, 2, 1)],
)
def test_a_step_goes_up_at_its_limit_and_down_below_half(lag_s: float, current: int, step: int) -> None:
    assert source_step(rule(**STALE), lag_s, current) == step
