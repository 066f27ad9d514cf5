"""A claim explained: who counts, who is only compared, and what is open of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from schemas.records import Bucket, LocationAtp
from streams.connect.explain.sku import by_date, claim_document, terms
from streams.core.inventory.promise import compute
from streams.core.inventory.state import Entry
from streams.core.ownership import OWNERSHIP_FILE, load_ownership

OWNERSHIP = load_ownership(Path(__file__).parents[3] / "connect-configs" / OWNERSHIP_FILE)
DUE = dt.date(2026, 12, 1)


def entry(source: str, bucket: Bucket, quantity: int, due: dt.date | None = None) -> Entry:
    return Entry(source, "", "W1", bucket, due, Decimal(quantity), 0)


ERP_DEMAND, ERP_SHIPPED = entry("erp", Bucket.DEMAND, 5, DUE), entry("erp", Bucket.FULFILLED, 1)
WMS_SHIPPED = entry("wms", Bucket.FULFILLED, 2)


@pytest.mark.parametrize(
    ("entries", "roles", "words"),
    [
        ([ERP_DEMAND], ["counts"], ["SO-1: open demand 5 at W1 due 2026-12-01"]),
        (
            [WMS_SHIPPED, ERP_SHIPPED, ERP_DEMAND],
            ["counts", "compared: wms owns it", "counts"],
            ["SO-1: open demand 3 at W1 due 2026-12-01"],
        ),
        ([ERP_SHIPPED, ERP_DEMAND], ["counts", "counts"], ["SO-1: open demand 4 at W1 due 2026-12-01"]),
        (
            [ERP_DEMAND, entry("wms", Bucket.FULFILLED, 5)],
            ["counts", "counts"],
            ["SO-1: demand is closed: nothing of it counts any more"],
        ),
        ([entry("wms", Bucket.RECEIVED, 7)], ["counts"], ["SO-1: received without inbound: nothing is open"]),
        ([entry("erp", Bucket.RESERVED, 1)], ["nobody owns it"], []),
        (
            [entry("wms", Bucket.DEMAND, 5)],
            ["compared: erp owns it"],
            ["SO-1: demand is said only by a source that does not own it: it does not count"],
        ),
    ],
)
def test_a_claim_in_words(entries: list[Entry], roles: list[str], words: list[str]) -> None:
    told = claim_document(OWNERSHIP, "SO-1", entries, 0)
    assert [one["role"] for one in told["entries"]] == roles
    assert told["words"] == words


def test_balances_without_a_reference_are_compared_and_need_no_words() -> None:
    told = claim_document(OWNERSHIP, None, [entry("erp", Bucket.ON_HAND, 4), entry("wms", Bucket.ON_HAND, 6)], 0)
    assert [(one["source"], one["role"]) for one in told["entries"]] == [
        ("erp", "compared: wms owns it"),
        ("wms", "counts"),
    ]
    assert [(one["bucket"], one["quantity"]) for one in told["counts"]] == [("on_hand", Decimal(6))]
    assert told["words"] == []


def test_a_promise_is_shown_as_its_sum() -> None:
    zero = Decimal(0)
    at = LocationAtp(
        location="W1", available_now=Decimal("-1.50"), on_hand=Decimal("2.00"), on_hold=zero,
        safety_stock=Decimal("0.5"), demand=Decimal(10), inbound=Decimal(7), reserved=zero,
    )  # fmt: skip
    said = "on hand 2 − safety stock 0.5 + inbound 7 − demand 10"
    assert terms(at) == f"-1.5 = {said}"
    made = msgspec.structs.replace(at, available_now=Decimal("2.5"))
    assert terms(made, kit=True) == f"2.5 = {said} + kits that can be made 4"
    held = msgspec.structs.replace(at, available_now=Decimal(-3))
    assert terms(held) == f"-3 = {said} − held while a source is incomplete 1.5"


def test_what_comes_after_the_lowest_day_is_not_available_now() -> None:
    todays, due = {"W1": dt.date(2026, 11, 25), "*": dt.date(2026, 11, 25)}, dt.date(2026, 12, 9)
    lines = {
        ("W1", Bucket.ON_HAND, None): (Decimal("90.5"), 1),
        ("W1", Bucket.DEMAND, dt.date(2026, 11, 30)): (Decimal(48), 1),
        ("W1", Bucket.INBOUND, due): (Decimal(140), 1),
        ("W1", Bucket.DEMAND, due): (Decimal(15), 1),
    }
    at = compute(lines, todays, horizon_days=90, grace_days=7).network
    assert terms(at) == "42.5 = on hand 90.5 + inbound 140 − demand 63 − not there in time 125"
    assert by_date(at) == "90.5 from 2026-11-25, 42.5 from 2026-11-30, 167.5 from 2026-12-09"
    today = compute({("W1", Bucket.ON_HAND, None): (Decimal(4), 1)}, todays, horizon_days=90, grace_days=7).network
    assert (terms(today), by_date(today)) == ("4 = on hand 4", "")
