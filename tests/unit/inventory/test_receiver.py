"""Messages: late ones, parts, restatements, unreadable ones; and what a change of rules does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.codec import Codec
from schemas.errors import Fatal
from schemas.messages import ItemPart
from schemas.records import Atp, Bucket
from streams.core.inventory.promise import compute
from streams.core.inventory.publish import bounded, make_position
from streams.core.inventory.state import LineKey, Sku, SumKey, claims_prefix, decode_sku, encode, sku_key
from tests.memory import MemoryView
from tests.unit.inventory.harness import TODAY, Inventory, balance, day, ownership_of


def stocked() -> Inventory:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 10), version=200)
    return inventory


@pytest.mark.parametrize(("version", "expected"), [(199, 10), (200, 7), (201, 7)])
def test_a_message_older_than_the_newest_is_dropped_whole(version: int, expected: int) -> None:
    inventory = stocked()
    inventory.say("wms", "A", balance("N", "on_hand", 7), balance("M", "on_hand", 0), version=version)
    assert inventory.now("A") == expected
    assert ("M" in {at.location for at in inventory.atp("A").locations}) is (version >= 200)


def test_versions_are_counted_per_sku_and_source() -> None:
    inventory = stocked()
    inventory.say("erp", "A", balance("N", "demand", 1, "L1"), version=3)
    inventory.say("wms", "B", balance("N", "on_hand", 2), version=3)
    assert (inventory.now("A"), inventory.now("B")) == (9, 2)


def test_a_duplicate_changes_nothing_and_sends_nothing() -> None:
    inventory = stocked()
    message = inventory.say("erp", "A", balance("N", "demand", 1, "L1"), version=300)
    sent = len(inventory.runtime.durable.sent)
    for _ in range(3):
        inventory.feed(message)
        inventory.runtime.run()
    assert (inventory.now("A"), len(inventory.runtime.durable.sent)) == (9, sent)


def test_parts_of_a_version_are_published_after_the_last() -> None:
    inventory = stocked()
    inventory.say("wms", "A", balance("N", "on_hand", 6), version=300, part=1, parts=2)
    assert inventory.now("A") == 10
    inventory.say("erp", "A", balance("N", "demand", 1, "L1"))
    assert inventory.now("A") == 10
    inventory.say("wms", "A", balance("N", "on_hold", 2), version=300, part=2, parts=2)
    assert inventory.now("A") == 3


def test_a_version_whose_last_part_never_came_is_ended_by_the_next_one() -> None:
    inventory = stocked()
    inventory.say("wms", "A", balance("N", "on_hand", 6), version=300, part=1, parts=2)
    inventory.say("wms", "A", balance("N", "on_hand", 5), version=301)
    assert inventory.now("A") == 5


def test_a_withdrawn_claim_leaves_nothing_and_an_older_one_does_not_come_back() -> None:
    """Counterexample 8."""
    inventory = stocked()
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"), version=300)
    inventory.say("erp", "A", balance("N", "demand", 0, "L1", postings=0), version=301)
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"), version=300)
    assert inventory.now("A") == 10
    assert not [key for key in inventory.runtime.state() if key.startswith(claims_prefix("A") + b"=")]
    assert Bucket.DEMAND not in {key[1] for key in decode_sku(inventory.runtime.state()[sku_key("A")]).lines}


def test_a_restatement_withdraws_what_the_source_said_before_it() -> None:
    """Counterexample 17: the lane's state was lost and rebuilt from a snapshot; L1 was deleted meanwhile."""
    inventory = stocked()
    inventory.say("erp", "A", balance("N", "demand", 4, "L1"), balance("N", "demand", 1, "L2"), version=300)
    inventory.say("erp", "B", balance("N", "demand", 4, "L3"), item=ItemPart(sku="B"), version=300)
    inventory.progress("erp", complete=False, version=400)
    inventory.say("erp", "A", balance("N", "demand", 1, "L2"), version=401)
    assert inventory.now("A") == 5
    inventory.progress("erp", version=402, restated_since=400)
    assert inventory.now("A") == 9
    assert (inventory.item("B"), inventory.atp("B")) == (None, None)
    inventory.say("erp", "C", balance("N", "demand", 4, "L4"), version=399)  # a former owner, late
    assert inventory.atp("C") is None
    inventory.progress("erp", version=403, restated_since=400)
    assert inventory.now("A") == 9


def test_a_restatement_withdraws_locations_that_were_not_stated_again() -> None:
    """At noon UTC it is tomorrow in Kiritimati: inbound due then counts only while the location's zone is known."""
    inventory = Inventory()
    inventory.locate("erp", "K", "Pacific/Kiritimati", version=300)
    inventory.locate("erp", "M", "Mars/Olympus", version=300)
    inventory.say("wms", "A", balance("K", "on_hand", 1))
    inventory.say("erp", "A", balance("K", "inbound", 5, "P1", day(1)), version=300)
    assert inventory.now("A", "K") == 6
    assert set(inventory.open_exceptions()) == {"location-time-zone/M"}
    inventory.progress("erp", complete=False, version=400)
    inventory.say("erp", "A", balance("K", "inbound", 5, "P1", day(1)), version=401)
    inventory.progress("erp", version=402, restated_since=400)
    assert inventory.now("A", "K") == 1
    assert inventory.open_exceptions() == {}
    assert not [key for key in inventory.runtime.state() if key[:1] == b"l"]
    inventory.locate("erp", "K", "Pacific/Kiritimati", version=399)  # a former owner, late
    assert inventory.now("A", "K") == 1
    inventory.locate("erp", "K", "Pacific/Kiritimati", version=403)
    inventory.restart()
    assert inventory.now("A", "K") == 6


def test_a_large_restatement_never_shows_half_a_sku() -> None:
    """Stock and demand of one sku go in different slices; in between, nothing leaves."""
    inventory = Inventory(ownership_of(on_hand="[erp]"))
    lines = [balance("N", "demand", 1, f"L{n:05}") for n in range(2_500)]
    inventory.say("erp", "A", balance("N", "on_hand", 2_600), *lines, version=300)
    assert inventory.now("A") == 100
    inventory.progress("erp", complete=False, version=400)
    inventory.say("erp", "A", balance("M", "on_hand", 3), version=401)
    inventory.progress("erp", version=402, restated_since=401)
    assert set(inventory.told("A")) == {100, 3}


def test_a_message_before_the_withdrawal_is_done_does_not_raise_the_promise() -> None:
    """What stood at M was deleted while the lane's state was lost; until it is withdrawn it is counted beside N."""
    inventory = Inventory()
    inventory.say("wms", "A", balance("M", "on_hand", 10), version=300)
    inventory.progress("wms", complete=False, version=400)
    inventory.say("wms", "A", balance("N", "on_hand", 5), version=401, run=False)
    inventory.progress("wms", version=402, restated_since=400, run=False)
    inventory.say("wms", "A", balance("N", "on_hand", 6), version=403, run=False)
    inventory.runtime.run()
    assert max(inventory.told("A")) == 10
    assert inventory.now("A") == 6


def test_a_restatement_survives_a_crash_in_the_middle() -> None:
    inventory = Inventory()
    for n in range(40):
        inventory.say(
            "wms", f"S{n}", *(balance("N", "fulfilled", 1, f"R{m}") for m in range(60)), version=300, run=False
        )
        inventory.say("wms", f"S{n}", balance("N", "on_hand", 5), version=301, run=False)
    inventory.runtime.run()
    inventory.progress("wms", version=402, restated_since=400, run=False)
    settled = inventory.runtime.stage.work(inventory.runtime.view, inventory.runtime.durable.inputs[-1:], 1)
    assert settled.more
    inventory.runtime.view.changes.clear()
    inventory.runtime.run()
    assert not [key for key in inventory.runtime.state() if key[:1] in (b"c", b"w")]


def test_poison_bytes_are_an_exception_and_make_their_sku_uncertain() -> None:
    inventory = stocked()
    inventory.runtime.feed(b"A", b"\x00not avro")
    inventory.runtime.feed(b"~erp", b"\x00")
    inventory.say("wms", "A", balance("N", "on_hand", 9), version=300)
    assert (inventory.now("A"), inventory.atp("A").uncertain) == (9, True)
    found = list(inventory.open_exceptions().values())
    assert [record.code for record in found] == ["contract-undecodable"] * 2
    assert (found[0].topic, found[0].partition, found[0].raw) == ("onhand.balance.v1", 0, b"\x00not avro")
    inventory.progress("wms", version=301, restated_since=300)
    assert inventory.atp("A").uncertain is False


def test_mostly_poison_stops_the_process() -> None:
    inventory = stocked()
    for _ in range(100):
        inventory.runtime.feed(b"A", b"\x00")
    with pytest.raises(Fatal, match="100 of 100 records"):
        inventory.runtime.run(batch=200)


def test_another_owner_recomputes_every_sku() -> None:
    """Counterexample 14, at the receiver: sums made under the old rules are not mixed with new ones."""
    inventory = Inventory()
    for n in range(400):
        inventory.say("wms", f"S{n}", balance("N", "on_hand", 3), run=False)
        inventory.say("erp", f"S{n}", balance("N", "on_hand", 7), balance("N", "demand", 1, "L1"), run=False)
    inventory.runtime.run()
    assert inventory.now("S0") == 2
    inventory.restart(ownership_of(on_hand="[erp]"))
    assert {inventory.now(f"S{n}") for n in range(400)} == {6}
    assert (inventory.atp("S0").cause, inventory.position("S0").drifts[0].other) == ("rule", "wms")
    inventory.restart()
    assert {inventory.now(f"S{n}") for n in range(400)} == {6}


def test_a_message_between_the_slices_of_a_new_rule_is_folded_under_it() -> None:
    inventory = stocked()
    inventory.say("erp", "A", balance("N", "on_hand", 7), balance("N", "demand", 1, "L1"))
    inventory.rules = type(inventory.rules)(ownership_of(on_hand="[erp]"), 90, 7)
    inventory.runtime.restart()
    inventory.say("erp", "A", balance("N", "demand", 2, "L1"))  # before the first tick of the new owner
    assert inventory.now("A") == 5


def test_the_largest_messages_stay_under_a_mebibyte() -> None:
    """Counterexample 26: 400 locations with claims due on every day of the horizon, in figures of 20 digits."""
    places = [f"WAREHOUSE-{n:04}" for n in range(400)]
    quantity = Decimal("12345678901.123456789")
    sums: dict[SumKey, tuple[Decimal, int]] = {
        (place, bucket, "erp", day(n)): (quantity, 1)
        for place in places
        for bucket in (Bucket.DEMAND, Bucket.INBOUND)
        for n in range(91)
    }
    lines: dict[LineKey, tuple[Decimal, int]] = {
        (at, bucket, due): value for (at, bucket, _, due), value in sums.items()
    }
    codec = Codec.local()
    position = make_position("A", Sku(sums=sums), (), True, False)
    assert len(codec.encode("inventory.position.v1", position)) < 1 << 20
    assert sum(line.quantity for line in position.lines) == quantity * len(sums)

    promise = compute(lines, dict.fromkeys([*places, "*"], TODAY), horizon_days=90, grace_days=7)
    fine = Atp(
        sku="A",
        version=1,
        complete=True,
        uncertain=False,
        tracked=True,
        backorder_limit=None,
        active=True,
        network=promise.network,
        locations=promise.locations,
    )
    assert len(codec.encode("inventory.atp.v1", bounded(fine))) < 1 << 20


def test_only_the_promise_that_changed_is_sent() -> None:
    inventory = stocked()
    sent = inventory.sent("inventory.atp.v1"), inventory.sent("inventory.position.v1"), inventory.sent("item.v1")
    inventory.say("erp", "A", item=ItemPart(sku="A", name="Bolt"))
    assert (inventory.sent("inventory.atp.v1"), inventory.sent("inventory.position.v1")) == sent[:2]
    assert inventory.sent("item.v1") == sent[2] + 1


def test_what_was_made_is_not_read_to_see_that_something_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 10), item=ItemPart(sku="A"))
    read: list[bytes] = []
    get = MemoryView.get

    def noted(view: MemoryView, key: bytes) -> bytes | None:
        read.append(key[:1])
        return get(view, key)

    monkeypatch.setattr(MemoryView, "get", noted)
    inventory.say("wms", "A", balance("N", "on_hand", 11))
    inventory.say("wms", "A", balance("N", "on_hand", 11))
    assert inventory.told("A") == [10, 11]
    assert not {b"a", b"p", b"i"} & set(read)


def test_a_state_of_before_digests_were_kept_tells_nothing_twice() -> None:
    inventory = Inventory()
    inventory.say("wms", "A", balance("N", "on_hand", 10), item=ItemPart(sku="A"))
    pairs = inventory.runtime.view.store.pairs
    record = decode_sku(pairs[b"sA"])
    record.said, record.first_days = {}, b""
    pairs[b"sA"] = encode(record)
    inventory.say("wms", "A", balance("N", "on_hand", 10), item=ItemPart(sku="A"))
    assert [inventory.sent(f"{topic}.v1") for topic in ("inventory.position", "inventory.atp", "item")] == [1, 1, 1]
    inventory.say("wms", "A", balance("N", "on_hand", 0, postings=0), item=ItemPart(sku="A", withdrawn=True))
    assert inventory.atp("A") is None
