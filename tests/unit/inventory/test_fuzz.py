"""Random messages, duplicates, orders and crashes against a model that keeps nothing but what was said last."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.messages import Balance, BalanceMessage
from streams.core.inventory.state import Claim, decode_claim, decode_made, decode_sku
from tests.memory import run_with_crashes
from tests.unit.inventory.harness import Inventory, balance, day

SKUS, PLACES = ("A", "B", "~C"), ("N", "S", "*")
OWNERS = {
    "on_hand": ("wms",), "on_hold": ("wms",), "safety_stock": ("erp",), "demand": ("erp",),
    "fulfilled": ("wms", "erp"), "inbound": ("erp", "wms"), "received": ("wms", "erp"), "reserved": ("shop",),
}  # fmt: skip
DATES = (None, -9, -1, 0, 2, 100)
Said = dict[tuple[Any, ...], tuple[int, Decimal]]
"""(sku, reference, bucket, source, location, due) → (version, quantity)."""


def model_now(said: Said, sku: str) -> Decimal:
    """ATP now of the network, from what was said last; the places of a claim do not matter to the network's sum, its
    dates do."""
    days: dict[int, Decimal] = defaultdict(Decimal)
    claims: dict[Any, dict[str, list[tuple[str, Any, Decimal]]]] = defaultdict(lambda: defaultdict(list))
    for (of, reference, bucket, source, _, due), (_, quantity) in said.items():
        if of == sku:
            claims[reference][bucket].append((source, due, quantity))

    def counted(claim: dict[str, Any], bucket: str, reference: Any) -> list[tuple[Any, Decimal]]:
        speaks = [owner for owner in OWNERS[bucket] if any(s == owner for s, *_ in claim[bucket])]
        owner = (speaks or [""])[0] if reference else OWNERS[bucket][0]
        return [(due, q) for s, due, q in claim[bucket] if s == owner]

    def due_in(due: Any, inbound: bool) -> int | None:
        if due is None or due < 0:
            return (1 if due is not None and due >= -7 else None) if inbound else 0
        return due if due <= 90 else None

    for reference, claim in claims.items():
        for bucket, sign in (("on_hand", 1), ("on_hold", -1), ("safety_stock", -1)):
            days[0] += sign * sum(q for _, q in counted(claim, bucket, reference))
        demanded = sum(q for _, q in counted(claim, "demand", reference))
        reserved = sum(q for due, q in counted(claim, "reserved", reference) if due is None or due >= 0)
        days[0] -= max(Decimal(0), reserved - demanded) if reference else reserved
        for bucket, done, sign in (("demand", "fulfilled", -1), ("inbound", "received", 1)):
            inbound = bucket == "inbound"
            left = sum((q for _, q in counted(claim, done, reference)), Decimal(0))
            last = 10**6 if inbound else -(10**6)
            for due, quantity in sorted(
                counted(claim, bucket, reference), key=lambda c: last if c[0] is None else c[0]
            ):
                taken = min(left, quantity)
                left -= taken
                if (n := due_in(due, inbound)) is not None:
                    days[n] += sign * (quantity - taken)
    running, lowest = Decimal(0), None
    for n in range(91):
        running += days[n]
        lowest = running if lowest is None else min(lowest, running)
    assert lowest is not None
    return lowest


def random_balance(rng: random.Random) -> Balance:
    """One place per claim, so that the network's dates are the claim's; see `test_claims` for the places."""
    bucket = rng.choice(list(OWNERS))
    reference = rng.choice(("R1", "R2", "R3")) if bucket not in ("on_hand", "on_hold", "safety_stock") else None
    due = rng.choice(DATES) if bucket in ("demand", "inbound", "reserved") else None
    place = rng.choice(PLACES) if reference is None else PLACES[int(reference[1]) - 1]
    gone = rng.random() < 0.25
    quantity = 0 if gone else rng.randrange(0, 9)
    return balance(place, bucket, quantity, reference, day(due) if due is not None else None, postings=int(not gone))


def random_log(rng: random.Random, messages: int) -> tuple[list[BalanceMessage], Said]:
    log: list[BalanceMessage] = []
    said: Said = {}
    versions: dict[tuple[str, str], int] = defaultdict(lambda: 1_000)
    for _ in range(messages):
        source, sku = rng.choice(("erp", "wms", "shop")), rng.choice(SKUS)
        versions[source, sku] += 1
        version = versions[source, sku]
        found = {(b.bucket, b.location, b.due, b.reference): b for b in (random_balance(rng) for _ in range(3))}
        log.append(
            BalanceMessage(kind="balances", source=source, sku=sku, version=version, balances=tuple(found.values()))
        )
        for b in found.values():
            due = (b.due - day(0)).days if b.due is not None else None
            key = (sku, b.reference, b.bucket.value, source, b.location, due)
            if b.postings:
                said[key] = (version, b.quantity)
            else:
                said.pop(key, None)
    return log, said


def feed(inventory: Inventory, log: list[BalanceMessage]) -> None:
    for message in log:
        inventory.runtime.feed(message.sku.encode(), msgspec.msgpack.encode(message))


def contents(inventory: Inventory) -> dict[bytes, Any]:
    """State without what depends on how messages fell into units."""
    found: dict[bytes, Any] = {}
    for key, value in inventory.runtime.state().items():
        if key[:1] == b"s":
            record = decode_sku(value)
            found[key] = (record.versions, record.lines, record.sums, record.drifts, record.wake_us, record.items)
        elif key[:1] == b"c":
            claim: Claim = decode_claim(value)
            found[key] = sorted(claim.entries, key=repr)
        elif key[:1] in (b"a", b"p"):
            found[key] = decode_made(value).content
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_promise_is_what_was_said_last(seed: int) -> None:
    rng = random.Random(seed)
    log, said = random_log(rng, 60)
    inventory = Inventory(batch=rng.randrange(1, 30))
    feed(inventory, log)
    inventory.runtime.run()
    for sku in SKUS:
        if inventory.atp(sku) is not None:
            assert inventory.now(sku) == model_now(said, sku), f"seed {seed}, sku {sku}"
        else:
            assert model_now(said, sku) == 0


@pytest.mark.parametrize("seed", range(30))
def test_crashes_duplicates_and_the_order_of_sources_change_nothing(seed: int) -> None:
    """The same end state and the same promises; what left is never older than what the state says."""
    rng = random.Random(1_000 + seed)
    log, _ = random_log(rng, 50)
    plain = Inventory()
    feed(plain, log)
    plain.runtime.run()

    noisy = Inventory()
    queues: dict[tuple[str, str], list[BalanceMessage]] = defaultdict(list)
    for message in log:
        queues[message.source, message.sku].append(message)
    mixed: list[BalanceMessage] = []
    while queues:  # any order that keeps each source's own
        key = rng.choice(list(queues))
        mixed.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
        if rng.random() < 0.3:
            mixed.append(rng.choice(mixed))  # again, perhaps late
    feed(noisy, mixed)
    noisy.runtime.batch = rng.randrange(1, 20)
    run_with_crashes(noisy.runtime, [rng.randrange(0, 30) for _ in range(6)])

    assert contents(noisy) == contents(plain)
    for topic in ("inventory.atp.v1", "inventory.position.v1"):
        assert noisy.runtime.latest(topic).keys() == plain.runtime.latest(topic).keys()
    for sku in SKUS:
        assert stripped(noisy.atp(sku)) == stripped(plain.atp(sku))
        assert stripped(noisy.position(sku)) == stripped(plain.position(sku))


def stripped(record: Any) -> Any:
    """Without version, stamps, cause and source versions: an equal promise is not sent again under newer ones."""
    if record is None:
        return None
    bare: dict[str, Any] = {"version": 0, "stamps": None, "source_versions": {}}
    if hasattr(record, "cause"):
        bare["cause"] = ""
    return msgspec.structs.replace(record, **bare)


@pytest.mark.parametrize("seed", range(10))
def test_replay_from_zero_gives_the_same_state(seed: int) -> None:
    rng = random.Random(2_000 + seed)
    log, _ = random_log(rng, 50)
    first, again = Inventory(batch=7), Inventory(batch=1)
    for inventory in (first, again):
        feed(inventory, log)
        inventory.runtime.run()
    assert contents(first) == contents(again)


@pytest.mark.parametrize("seed", range(10))
def test_a_restatement_leaves_exactly_what_was_restated(seed: int) -> None:
    rng = random.Random(3_000 + seed)
    log, said = random_log(rng, 40)
    inventory = Inventory()
    feed(inventory, log)
    kept: Said = {key: value for key, value in said.items() if key[3] != "erp"}
    for key, (_, quantity) in said.items():
        sku, reference, bucket, source, place, due = key
        if source == "erp" and rng.random() < 0.6:
            kept[key] = (5_000, quantity)
            again = balance(place, bucket, quantity, reference, day(due) if due is not None else None)
            inventory.say("erp", sku, again, version=5_000, run=False)
    inventory.progress("erp", version=5_001, restated_since=5_000, run=False)
    run_with_crashes(inventory.runtime, [rng.randrange(0, 20) for _ in range(4)])
    for sku in SKUS:
        assert (inventory.now(sku) or 0) == model_now(kept, sku)
