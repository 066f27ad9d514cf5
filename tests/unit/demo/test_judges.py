"""The judge must be right by hand before it judges anybody: small cases worked out on paper."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
import requests

from onhand.demo.audit import compare_positions, compare_promises, compare_shop
from onhand.demo.judge import Verdicts
from onhand.demo.mistakes import History, Mistake, Telling
from onhand.demo.shop import ShadowShop, Shop
from onhand.demo.truth import Claim, Facts, from_cyyddd
from schemas.records import Atp, AtpStep, Bucket, LocationAtp, Position, PositionLine

TODAY = dt.date(2026, 11, 24)
D = Decimal


def day(n: int) -> dt.date:
    return TODAY + dt.timedelta(n)


def facts(**changes: object) -> Facts:
    found = Facts()
    found.on_hand["W1"] = D(10)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("number", "date"),
    [(0, None), (126001, dt.date(2026, 1, 1)), (126328, dt.date(2026, 11, 24)), (99365, dt.date(1999, 12, 31))],
)
def test_cyyddd_is_century_year_and_day(number: int, date: dt.date | None) -> None:
    assert from_cyyddd(number) == date


@pytest.mark.parametrize(
    ("case", "now"),
    [
        (facts(), D(10)),
        (facts(on_hold={"W1": D(3)}, safety={"W1": D(2)}), D(5)),
        (facts(demand={"1-1": Claim("W1", None, D(4), D(0))}), D(6)),
        (facts(demand={"1-1": Claim("W1", day(5), D(14), D(0))}), D(-4)),
        (facts(demand={"1-1": Claim("W1", day(-3), D(4), D(4))}), D(10)),
        # The warehouse shipped 5 of 8, the ERP has posted none: 3 are open, whoever is late.
        (facts(demand={"1-1": Claim("W1", None, D(8), D(0), D(5))}), D(7)),
        # Inbound never raises today's promise unless demand later needs it.
        (facts(inbound={"9-1": Claim("W1", day(0), D(5), D(0))}), D(15)),
        (facts(inbound={"9-1": Claim("W1", day(-1), D(5), D(0))}), D(10)),
        (facts(inbound={"9-1": Claim("W1", None, D(5), D(0))}), D(10)),
        (
            facts(demand={"1-1": Claim("W1", day(3), D(12), D(0))}, inbound={"9-1": Claim("W1", day(2), D(5), D(0))}),
            D(3),
        ),
        (facts(transfers=[("W2", day(1), D(4))]), D(10)),
    ],
)
def test_available_now_is_the_least_of_all_days(case: Facts, now: Decimal) -> None:
    assert case.available(TODAY) == now


def test_a_location_sees_only_its_own() -> None:
    case = facts(on_hand={"W1": D(10), "W2": D(3)}, demand={"1-1": Claim("W2", None, D(4), D(0))})
    assert (case.available(TODAY, "W1"), case.available(TODAY, "W2"), case.available(TODAY)) == (D(10), D(-1), D(9))


def test_inbound_past_its_grace_counts_no_more() -> None:
    case = facts(inbound={"9-1": Claim("W1", day(-7), D(5), D(0)), "9-2": Claim("W1", day(-8), D(50), D(0))})
    assert case.by_day(TODAY)[:3] == [D(10), D(15), D(15)]


@pytest.mark.parametrize(
    ("sold", "there", "outcome"),
    [(True, True, "right"), (False, False, "right"), (True, False, "oversold"), (False, True, "wrongly_refused")],
)
def test_verdicts(sold: bool, there: bool, outcome: str) -> None:
    assert Verdicts().record(sold, there, 2) == outcome


def test_fill_rate_is_of_those_who_could_be_served() -> None:
    verdicts = Verdicts()
    for sold, there in ((True, True), (True, True), (True, True), (False, True), (True, False), (False, False)):
        verdicts.record(sold, there, 1)
    assert verdicts.fill_rate == 0.75


def promise(**network: object) -> Atp:
    at = LocationAtp(
        **{  # type: ignore[arg-type]
            "location": "*",
            "available_now": D(10),
            "on_hand": D(10),
            "on_hold": D(0),
            "safety_stock": D(0),
            "demand": D(0),
            "inbound": D(0),
            "reserved": D(0),
            "steps": (AtpStep(date=TODAY, available=D(10)),),
            **network,
        }
    )
    return Atp(
        sku="A1",
        version=1,
        complete=True,
        uncertain=False,
        tracked=True,
        backorder_limit=None,
        active=True,
        network=at,
        locations=(LocationAtp(**{**{f: getattr(at, f) for f in at.__struct_fields__}, "location": "W1"}),),
    )


def test_an_audit_of_equal_things_is_empty() -> None:
    line = PositionLine(location="W1", bucket=Bucket.ON_HAND, quantity=D("10.000"), source="wms")
    position = Position(sku="A1", version=1, complete=True, uncertain=False, lines=(line,))
    assert compare_positions({"A1": facts()}, {"A1": position}) == []
    assert compare_promises({"A1": facts()}, {"A1": promise()}, TODAY) == []
    assert compare_shop({"A1": promise()}, {"A1": D(10)}) == []


def test_an_audit_finds_each_kind_of_difference() -> None:
    assert [d.found for d in compare_positions({"A1": facts()}, {})] == [D(0)]
    assert [d.what for d in compare_promises({"A1": facts()}, {"A1": promise(available_now=D(11))}, TODAY)] == [
        "promise at network",
        "promise at W1",
    ]
    later = promise(steps=(AtpStep(date=TODAY, available=D(10)), AtpStep(date=day(4), available=D(9))))
    assert "on 2026-11-28" in str(compare_promises({"A1": facts()}, {"A1": later}, TODAY)[0])
    assert compare_promises({"A1": facts()}, {}, TODAY)[0].found is None
    assert compare_shop({"A1": promise(available_now=D(-2))}, {"A1": D(1)})[0].expected == D(0)


def signed(secret: bytes, identity: str, body: bytes) -> dict[str, str]:
    stamp = str(int(time.time()))
    digest = hmac.new(secret, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": signature}


def test_the_shop_believes_only_signed_news_once_and_never_an_older_one() -> None:
    secret = b"0123456789abcdef01234567"
    placed: list[tuple[str, str, int]] = []

    def place(sku: str, where: str, quantity: int) -> int:
        placed.append((sku, where, quantity))
        return 7

    shop = Shop("whsec_" + base64.b64encode(secret).decode(), place)
    shop.start()
    try:

        def tell(identity: str, version: int, quantity: str, key: bytes = secret) -> int:
            item = {"sku": "A1", "version": version, "quantities": {"*": quantity, "W1": quantity}}
            body = json.dumps({"type": "inventory.atp", "data": {"items": [item]}}).encode()
            headers = signed(key, identity, body)
            return requests.post(f"{shop.url}/hooks/onhand", data=body, headers=headers, timeout=5).status_code

        assert tell("m0", 5, "3", b"wrong") == 401
        assert shop.held() == {}
        assert tell("m1", 5, "3") == 200
        assert tell("m1", 5, "3") == 200
        assert tell("m2", 4, "9") == 200
        assert (shop.held(), shop.repeated, shop.versions_back) == ({"A1": D(3)}, 1, 1)
        ask = {"sku": "A1", "quantity": 2}
        answers = [requests.post(f"{shop.url}/orders", json=ask, timeout=5).status_code for _ in range(2)]
        assert answers == [201, 409]
        assert placed == [("A1", "W1", 2)]
    finally:
        shop.stop()


def test_the_shadow_shop_keeps_its_own_sales_off_until_the_next_export() -> None:
    shadow = ShadowShop()
    shadow.export({"A1": D(3)})
    assert [shadow.offer("A1", 2), shadow.offer("A1", 2)] == [True, False]
    shadow.export({"A1": D(3)})
    assert shadow.offer("A1", 2)


MISTAKE = Mistake("A1", "oversold", quantity=3, there=D(1), held=D("4.000"), asked_us=1_000_000)


@pytest.mark.parametrize(
    ("told_us", "committed_us", "end"),
    [
        (1_012_000, 960_000, "1 arrived 12 ms after the question, of a change committed 40 ms before it"),
        (
            1_012_000,
            1_005_000,
            "1 arrived 12 ms after the question, of a change only committed 5 ms after it: nothing was on its way",
        ),
        (1_012_000, None, "1 arrived 12 ms after the question"),
        (990_000, 960_000, "it was told nothing after that"),
    ],
)
def test_a_mistake_says_what_was_on_its_way(told_us: int, committed_us: int | None, end: str) -> None:
    history = History()
    history.note("A1", Telling(900_000, 890_000, D(4)))
    history.note("A1", Telling(told_us, committed_us, D(1)))
    what = "A1 oversold, 3 wanted: the shop believed in 4, 1 were there; "
    assert history.explain(MISTAKE) == what + end


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Told that there are 4 of A1; its orders have the number 7."""
    shop = Shop("whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode(), lambda sku, where, quantity: 7)
    shop.start()
    tell(shop, 1, "4")
    yield shop
    shop.stop()


def tell(shop: Shop, version: int, quantity: str) -> None:
    item = {"sku": "A1", "version": version, "quantities": {"*": quantity, "W1": quantity}}
    shop.told(f"item {version}", {"type": "inventory.atp", "data": {"items": [item]}})


def come_back(shop: Shop, number: str) -> None:
    order = {"order_id": f"SO-{number}", "number": number}
    shop.told(f"order {number}", {"type": "order.status", "data": {"items": [order]}})


def test_the_shop_keeps_a_sale_off_until_its_order_came_back_and_the_item_was_told_anew(shop: Shop) -> None:
    assert shop.order("A1", 3) == 7
    tell(shop, 2, "4")  # was on its way when the order was made
    assert (shop.left("A1"), shop.order("A1", 3)) == (D(1), None)
    come_back(shop, "7")
    assert shop.left("A1") == D(4)
    tell(shop, 3, "1")
    assert shop.left("A1") == D(1)


def test_an_order_that_comes_back_before_its_item_is_told_stays_off(shop: Shop) -> None:
    shop.order("A1", 3)
    come_back(shop, "7")
    assert shop.left("A1") == D(1)
    tell(shop, 2, "1")
    assert shop.left("A1") == D(1)


def test_an_order_that_comes_back_before_its_number_is_known_is_no_longer_kept_off(shop: Shop) -> None:
    come_back(shop, "7")
    shop.order("A1", 3)
    tell(shop, 2, "1")
    assert shop.left("A1") == D(1)
