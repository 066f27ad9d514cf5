"""Orders do not depend on how sources interleave, on duplicates, on crashes, or on how the input is cut into units."""

from __future__ import annotations

import random

import msgspec
import pytest

from schemas.codec import Codec
from schemas.messages import OrderPart, OrderPartMessage
from schemas.records import Order, Shipment, Stamps
from schemas.versions import version_of
from streams.core.orders.stage import INPUT_TOPIC
from tests.memory import Crashed, run_with_crashes
from tests.unit.orders.scene import Scene, gone, header, line, shipment

Said = tuple[str, str, int, tuple[OrderPart, ...]]
"""(source, order_id, unit, parts)."""

SEEDS = range(40)


def script(random_: random.Random, source: str) -> list[Said]:
    """What one source says, oldest first."""
    said = []
    for unit in range(1, random_.randint(5, 40)):
        order_id = f"SO-{random_.randint(1, 4)}"
        parts: list[OrderPart] = []
        for _ in range(random_.randint(1, 3)):
            number = random_.randint(1, 3)
            line_id, shipment_id = f"{order_id}-{number}", f"SHP-{order_id}-{number}"
            parts.append(
                random_.choice(
                    [
                        header(order_id, execution_status=random_.choice(["picking", "packed", None]), customer=source),
                        line(line_id, shipped=str(random_.randint(0, 3)), ordered=str(random_.randint(1, 3))),
                        shipment(shipment_id, line_id, status=random_.choice(["open", "shipped"]), quantity="1"),
                        gone("header", order_id, random_.choice(["archived", "cancelled", "removed"])),
                        gone("line", line_id, random_.choice(["archived", "cancelled", "removed"])),
                        gone("shipment", f"{shipment_id}/{line_id}", random_.choice(["archived", "removed"])),
                    ]
                )
            )
        one_each = {(part.kind, part.part_id): part for part in parts}
        said.append((source, order_id, unit, tuple(one_each.values())))
    return said


def interleaved(random_: random.Random, *scripts: list[Said]) -> list[Said]:
    rest = [list(script) for script in scripts]
    merged = []
    while any(rest):
        merged.append(random_.choice([script for script in rest if script]).pop(0))
    return merged


def speak(scene: Scene, said: list[Said]) -> None:
    for source, order_id, unit, parts in said:
        scene.say(source, *parts, order_id=order_id, version=version_of(5, unit))


def outcome(scene: Scene) -> tuple[dict[str, Order], dict[str, Shipment], set[str]]:
    """What a reader of the compacted topics holds, without what names the unit and the time."""
    orders = {
        order_id: msgspec.structs.replace(
            order,
            version=0,
            stamps=Stamps(),
            conflicts=tuple(msgspec.structs.replace(conflict, since_us=0) for conflict in order.conflicts),
            source_versions={},
        )
        for order_id, order in scene.orders().items()
    }
    shipments = {
        key: msgspec.structs.replace(known, version=0, stamps=Stamps()) for key, known in scene.shipments().items()
    }
    return orders, shipments, {e.id for e in scene.exceptions().values() if e.status == "open"}


@pytest.mark.parametrize("seed", SEEDS)
def test_sources_may_interleave_and_repeat(seed: int) -> None:
    random_ = random.Random(seed)
    erp, wms = script(random_, "erp"), script(random_, "wms")
    one = Scene()
    speak(one, erp + wms)
    one.run()
    other = Scene(batch=random_.randint(1, 9))
    said = interleaved(random_, erp, wms)
    for at in sorted(random_.sample(range(len(said)), len(said) // 3), reverse=True):
        said.insert(random_.randint(at, len(said)), said[at])  # an older message comes again, later
    speak(other, said)
    other.run()
    assert outcome(other) == outcome(one)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_anywhere_changes_nothing(seed: int) -> None:
    random_ = random.Random(1000 + seed)
    said = interleaved(random_, script(random_, "erp"), script(random_, "wms"))
    calm = Scene()
    speak(calm, said)
    calm.run()
    stormy = Scene(batch=random_.randint(1, 9))
    speak(stormy, said)
    crashes = run_with_crashes(stormy.runtime, [random_.randint(0, 25) for _ in range(8)])
    assert crashes > 0
    assert outcome(stormy) == outcome(calm)
    for topic in ("order.v1", "shipment.v1"):
        newest: dict[bytes, int] = {}
        for sent in stormy.runtime.durable.sent:
            if sent.output.topic == topic:
                assert sent.version >= newest.get(sent.output.key, 0), "versions never fall"
                newest[sent.output.key] = sent.version


def test_a_crash_in_the_middle_of_a_walk_goes_on_with_it() -> None:
    scene = Scene(complete=False)
    for number in range(1500):
        scene.say("erp", header(f"SO-{number}", number="1"), order_id=f"SO-{number}")
    scene.progress("erp")
    scene.progress("wms")
    for allowed in (40, 500, 900, 1300, 3):
        scene.runtime.crash_after = allowed
        with pytest.raises(Crashed):
            scene.run()
        scene.runtime.crash_after = None
        scene.runtime.restart()
    scene.run()
    assert len(scene.orders()) == 1500
    assert all(order.complete for order in scene.orders().values())
    assert scene.stated().keys() == {"orders/erp/0", "orders/wms/0"}


def test_undecodable_bytes_of_any_kind_stop_nothing() -> None:
    scene = Scene()
    random_ = random.Random(7)
    good = Codec.local().encode(INPUT_TOPIC, _message())
    for _ in range(200):
        bad = bytearray(good)
        for _ in range(random_.randint(1, 4)):
            bad[random_.randrange(len(bad))] = random_.randrange(256)
        scene.runtime.feed(b"SO-5", bytes(bad[: random_.randint(0, len(bad))]))
    assert scene.tell("erp", header(number="1")).number == "1"
    assert all(e.code.startswith(("contract-", "order-", "status-")) for e in scene.exceptions().values())


def _message() -> msgspec.Struct:
    return OrderPartMessage(
        kind="parts",
        source="erp",
        version=5,
        order_id="SO-5",
        order_parts=(header("SO-5", number="1", due="2026-01-01"),),
    )
