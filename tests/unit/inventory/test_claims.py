"""One claim: who counts, and what is still open of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Bucket
from streams.core.inventory.claims import open_amounts, settle
from streams.core.inventory.state import Entry
from tests.unit.inventory.harness import day, ownership_of

N, S, ANY = "N", "S", "*"
Amount = tuple[str, dt.date | None, int]


@pytest.mark.parametrize(
    ("claimed", "done", "still_open"),
    [
        pytest.param([(N, None, 5)], [], {(N, None): 5}, id="nothing done"),
        pytest.param([(N, None, 5)], [(N, 5)], {}, id="all done"),
        pytest.param([(N, None, 5)], [(N, 7)], {}, id="never below zero"),
        pytest.param([(N, None, 5), (S, None, 5)], [(S, 3)], {(N, None): 5, (S, None): 2}, id="own location first"),
        pytest.param([(N, None, 5), (ANY, None, 5)], [(S, 7)], {(N, None): 3}, id="then the star"),
        pytest.param([(S, None, 5), (N, None, 5)], [("X", 7)], {(S, None): 3}, id="then the others by name"),
        pytest.param(
            [(N, None, 5), (S, None, 2)], [(S, 4), (N, 1)], {(N, None): 2}, id="own of every location before others"
        ),
        pytest.param([(N, day(2), 5), (N, day(1), 5)], [(N, 7)], {(N, day(2)): 3}, id="earliest due first"),
        pytest.param([(N, day(1), 5), (N, None, 5)], [(N, 7)], {(N, day(1)): 3}, id="demand without a date is due now"),
        pytest.param([(N, None, 5), (N, None, -2)], [], {(N, None): 3}, id="a negative line counts as done"),
        pytest.param([(N, day(1), 5)], [(N, -2)], {(N, day(1)): 5, (N, None): 2}, id="a correction is open again"),
        pytest.param([(N, None, 5)], [(N, 3), (N, -3)], {(N, None): 5}, id="done is summed before it counts"),
        pytest.param([(N, None, 0)], [(N, 3)], {}, id="nothing claimed"),
    ],
)
def test_what_is_still_open(
    claimed: list[Amount], done: list[tuple[str, int]], still_open: dict[tuple[str, dt.date | None], int]
) -> None:
    found = open_amounts(
        [(at, due, Decimal(q)) for at, due, q in claimed], [(at, Decimal(q)) for at, q in done], undated_first=True
    )
    assert dict(found) == still_open


def test_receipts_take_from_dated_inbound_first() -> None:
    """Undated inbound never counts: reducing it first would flatter the promise."""
    found = open_amounts([(N, None, Decimal(5)), (N, day(1), Decimal(5))], [(N, Decimal(7))], undated_first=False)
    assert dict(found) == {(N, None): 3}


def test_an_order_takes_from_what_is_reserved_longest() -> None:
    """What is over tomorrow must not have been what was ordered: then all of the other would count."""
    reserved = [(N, day(1), Decimal(5)), (N, None, Decimal(3)), (N, day(2), Decimal(4))]
    found = open_amounts(reserved, [(N, Decimal(5))], undated_first=False, latest_first=True)
    assert dict(found) == {(N, day(1)): 5, (N, day(2)): 2}


places = st.sampled_from([N, S, ANY])
dues = st.sampled_from([None, day(-1), day(0), day(3)])
amounts = st.integers(-3, 9).map(Decimal)


@given(
    st.lists(st.tuples(places, dues, amounts), max_size=5),
    st.lists(st.tuples(places, amounts), max_size=5),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_the_whole_is_the_clamped_difference_in_any_order(
    claimed: list[tuple[str, dt.date | None, Decimal]], done: list[tuple[str, Decimal]], first: bool, random: object
) -> None:
    found = open_amounts(claimed, done, undated_first=first)
    assert all(quantity > 0 for quantity in found.values())
    assert sum(found.values()) == max(0, sum(q for *_, q in claimed) - sum(q for _, q in done))
    shuffle = random.shuffle  # type: ignore[attr-defined]
    shuffle(claimed), shuffle(done)
    assert open_amounts(claimed, done, undated_first=first) == found


def entry(source: str, bucket: str, quantity: int, location: str = N, view: str = "") -> Entry:
    return Entry(source, view, location, Bucket(bucket), None, Decimal(quantity), 1)


OWNERS = ownership_of(fulfilled='{"*": [wms, erp], S: [south, erp]}')


@pytest.mark.parametrize(
    ("entries", "open_demand"),
    [
        pytest.param([entry("erp", "demand", 9)], 9, id="nobody shipped"),
        pytest.param([entry("erp", "demand", 9), entry("erp", "fulfilled", 2)], 7, id="only the second speaks"),
        pytest.param(
            [entry("erp", "demand", 9), entry("erp", "fulfilled", 2), entry("wms", "fulfilled", 5)],
            4,
            id="the first counts alone",
        ),
        pytest.param(
            [entry("erp", "demand", 9), entry("erp", "fulfilled", 9), entry("wms", "fulfilled", 0)],
            9,
            id="zero is something",
        ),
        pytest.param(
            [entry("erp", "demand", 9), entry("wms", "fulfilled", 3), entry("erp", "fulfilled", 5, S)],
            1,
            id="each location has its own list",
        ),
        pytest.param(
            [entry("erp", "demand", 9), entry("south", "fulfilled", 2, N), entry("erp", "fulfilled", 3)],
            6,
            id="where a source owns nothing it is not asked",
        ),
        pytest.param(
            [entry("erp", "demand", 9), entry("wms", "fulfilled", 3, view="ledger")],
            9,
            id="another view is another owner",
        ),
        pytest.param([entry("wms", "demand", 9)], 0, id="not the owner's demand"),
    ],
)
def test_who_counts_for_a_reference(entries: list[Entry], open_demand: int) -> None:
    for order in (entries, entries[::-1]):
        lines = settle(order, True, OWNERS, 0).lines
        assert sum(q for key, q in lines.items() if key[1] is Bucket.DEMAND) == open_demand


def test_without_a_reference_only_the_first_owner_counts_and_nothing_is_clamped() -> None:
    entries = [entry("erp", "demand", 3), entry("wms", "fulfilled", 5), entry("erp", "fulfilled", 9)]
    assert settle(entries[2:], False, OWNERS, 0).lines == {}
    effect = settle(entries, False, OWNERS, 0)
    assert effect.lines == {(N, Bucket.DEMAND, None): -2}
    assert list(effect.drifts) == [(N, Bucket.FULFILLED, "wms", "erp")]


def test_a_bucket_nobody_owns_counts_nowhere() -> None:
    effect = settle([entry("wms", "on_hand", 3)], False, ownership_of(on_hand="[]"), 0)
    assert (effect.lines, effect.sums, effect.drifts) == ({}, {}, {})
