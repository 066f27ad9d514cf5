"""Desk and webhook against a real HTTP receiver; time is the test's, the wire is real."""

from __future__ import annotations

import datetime as dt
import threading
from email.utils import format_datetime
from typing import Any

import pytest

from schemas.errors import InvalidInput
from schemas.records import Order, PublicationState, Stamps
from sinks.channels.webhook import WebhookSink, answer_of, retry_after, signed
from sinks.core.answer import Answer, Outcome
from sinks.core.book import ORDER
from sinks.core.desk import Push
from sinks.core.offer import order_state_of
from tests.receiver import SECRET, Receiver, Reply, Request
from tests.unit.sinks.facts import SECOND, atp, rule
from tests.unit.sinks.model import ModelWorker

START_US = 1_800_000_000 * SECOND


class Shop:
    """A worker whose pushes go over the wire."""

    def __init__(self, receiver: Receiver, **changes: Any) -> None:
        self.worker = ModelWorker(rule(url=receiver.url, **changes), now_us=START_US)
        self.sink = WebhookSink(receiver.url, SECRET, self.worker.rule.timeout_s, lambda: self.worker.now_us)

    def push(self) -> tuple[Push, Answer] | None:
        push = self.worker.next_push()
        if push is None:
            return None
        answer = self.sink.push(push)
        self.worker.take(push, answer)
        return push, answer

    def run(self, seconds: int) -> list[Outcome]:
        """Let time pass in tenths of a second."""
        outcomes = []
        for _ in range(seconds * 10):
            while (done := self.push()) is not None:
                outcomes.append(done[1].outcome)
            self.worker.now_us += SECOND // 10
        return outcomes


def test_a_promise_is_told_signed_and_in_the_documented_shape() -> None:
    with Receiver() as receiver:
        shop = Shop(receiver)
        shop.worker.publish(atp("A-1", 1 << 60, "7.5", locations={"W1": 9, "W2": "-2"}))
        assert shop.run(1) == [Outcome.ACCEPTED]
        (request,) = receiver.requests
        assert (request.genuine, request.kind, request.timestamp) == (True, "inventory.atp", START_US // SECOND)
        (item,) = request.items
        assert item.pop("id").startswith("pub_")
        assert item == {
            "sku": "A-1",
            "version": str(1 << 60),
            "sequence": 0,
            "quantities": {"*": "7", "W1": "7", "W2": "0"},
            "committed_us": 1,
        }


def test_an_order_status_is_told() -> None:
    order = Order(order_id="O1", version=3, complete=True, number="77", financial_status="paid", stamps=Stamps())
    with Receiver() as receiver:
        shop = Shop(receiver)
        shop.worker.desk.book.state(0, (ORDER, "O1"), order_state_of(order), START_US)
        shop.run(1)
        (item,) = receiver.requests[0].items
        assert (receiver.requests[0].kind, item["order_id"], item["number"]) == ("order.status", "O1", "77")
        assert (item["financial_status"], item["execution_status"], item["withdrawn"]) == ("paid", "unknown", None)


def test_500_is_retried_under_the_same_id() -> None:
    replies = iter([Reply(500, apply=False), Reply(502, apply=False), Reply()])
    with Receiver(lambda request: next(replies, Reply())) as receiver:
        shop = Shop(receiver)
        shop.worker.publish(atp("A", 1, 5))
        assert shop.run(5) == [Outcome.FAILED, Outcome.FAILED, Outcome.ACCEPTED]
        assert len({request.id for request in receiver.requests}) == 1


def test_a_time_out_after_applying_is_no_second_effect() -> None:
    release = threading.Event()

    def slow_once(request: Request) -> Reply:
        return Reply(wait=release if len(receiver.requests) == 1 else None)

    with Receiver(slow_once) as receiver:
        shop = Shop(receiver, timeout_s=0.2)
        shop.worker.publish(atp("A", 1, 5))
        assert shop.run(2) == [Outcome.TIMED_OUT, Outcome.ACCEPTED]
        release.set()
        assert receiver.requests[0].id == receiver.requests[1].id
        states = [told.state for told in shop.worker.publications]
        assert states[:2] == [PublicationState.INTENT, PublicationState.UNKNOWN]


def test_counterexample_18_over_the_wire() -> None:
    release = threading.Event()

    def slow_once(request: Request) -> Reply:
        return Reply(wait=release if len(receiver.requests) == 1 else None)

    with Receiver(slow_once) as receiver:
        shop = Shop(receiver, timeout_s=0.2, settle_s=30)
        shop.worker.publish(atp("A", 5, 50))
        shop.push()
        shop.worker.publish(atp("A", 6, 60))
        shop.run(2)
        assert receiver.holds["A"]["version"] == "6"
        release.set()
        receiver.wait_for(lambda at: at.holds["A"]["version"] == "5", "the old request lands late")
        shop.run(31)
        assert (receiver.holds["A"]["version"], receiver.holds["A"]["sequence"]) == ("6", 1)


def test_a_channel_that_is_down_comes_back() -> None:
    with Receiver() as gone:
        pass
    with Receiver() as receiver:
        shop = Shop(receiver)
        shop.sink = WebhookSink(gone.url, SECRET, 1.0, lambda: shop.worker.now_us)
        shop.worker.publish(atp("A", 1, 5))
        assert set(shop.run(60)) == {Outcome.UNREACHABLE}
        shop.worker.publish(atp("A", 2, 6))
        shop.sink = WebhookSink(receiver.url, SECRET, 1.0, lambda: shop.worker.now_us)
        shop.run(61)
        assert [request.items[0]["version"] for request in receiver.requests] == ["2"]


def test_410_disables() -> None:
    with Receiver(lambda request: Reply(410, apply=False)) as receiver:
        shop = Shop(receiver)
        shop.worker.publish(atp("A"))
        assert shop.run(30) == [Outcome.GONE]
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_429_retry_after_is_obeyed(as_date: bool) -> None:
    until = format_datetime(dt.datetime.fromtimestamp(START_US / SECOND + 7, dt.UTC), usegmt=True) if as_date else "7"
    replies = iter([Reply(429, {"Retry-After": until}, apply=False)])
    with Receiver(lambda request: next(replies, Reply())) as receiver:
        shop = Shop(receiver)
        shop.worker.publish(atp("A"))
        shop.run(7)
        assert len(receiver.requests) == 1
        shop.run(1)
        assert len(receiver.requests) == 2
        assert receiver.requests[0].id == receiver.requests[1].id


def test_one_rejected_item_in_a_batch() -> None:
    def picky(request: Request) -> Reply:
        bad = "S13" in request.keys
        return Reply(422, apply=False, body="unknown item S13") if bad else Reply()

    with Receiver(picky) as receiver:
        shop = Shop(receiver)
        for n in range(32):
            shop.worker.publish(atp(f"S{n}"))
        shop.run(2)
        assert set(receiver.holds) == {f"S{n}" for n in range(32)} - {"S13"}
        (exception,) = shop.worker.exceptions
        assert (exception.subject, exception.detail) == ("inventory/S13", "422 unknown item S13")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.ACCEPTED),
        (204, Outcome.ACCEPTED),
        (301, Outcome.MISCONFIGURED),
        (400, Outcome.REJECTED),
        (401, Outcome.MISCONFIGURED),
        (404, Outcome.MISCONFIGURED),
        (408, Outcome.TIMED_OUT),
        (409, Outcome.REJECTED),
        (410, Outcome.GONE),
        (413, Outcome.REJECTED),
        (422, Outcome.REJECTED),
        (429, Outcome.BUSY),
        (500, Outcome.FAILED),
        (503, Outcome.BUSY),
        (504, Outcome.FAILED),
    ],
)
def test_what_an_answer_means(status: int, outcome: Outcome) -> None:
    assert answer_of(status, {}, "", 0).outcome is outcome


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("12", 12), ("soon", None), ("-5", None), ("Thu, 01 Jan 1970 00:00:30 GMT", 20), ("", None)],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now_s=10) == seconds


def test_the_signature_is_the_specifications_example() -> None:
    sink = WebhookSink("http://127.0.0.1:9", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1.0, lambda: 0)
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', sink._keys)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "abc", "whsec_?"])
def test_a_wrong_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        WebhookSink("http://127.0.0.1:9", secret, 1.0, lambda: 0)
    assert "abc" not in str(refused.value)
    assert "?" not in str(refused.value)
