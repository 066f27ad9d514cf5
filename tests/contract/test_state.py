"""State that an earlier release stored is read by this one (docs/operations.md, "Upgrade")."""

from __future__ import annotations

import importlib
import json
import pkgutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import streams
from tests.contract.state_samples import FOLDER, RECORDS, STAGES, by_name, type_of
from tests.memory import Durable, Marker
from tests.unit.inventory.harness import Inventory, balance
from tests.unit.lane.conftest import Lane, demand_row, item_row, progress_of, stock_row
from tests.unit.lane.toy import Log
from tests.unit.orders.scene import Scene, header, line

EARLIER = sorted(FOLDER.iterdir())
BY_CODE = {folder.name: json.loads((folder / "records.json").read_text()) for folder in EARLIER}
STORED = [(code, name) for code, samples in BY_CODE.items() for name in samples]


@pytest.mark.parametrize(("code", "name"), STORED, ids=lambda part: str(part))
def test_a_stored_record_says_what_it_said(code: str, name: str) -> None:
    for sample in BY_CODE[code][name]:
        read = msgspec.msgpack.decode(bytes.fromhex(sample["stored"]), type=type_of(name))
        assert_says(by_name(read), sample["says"], name)


def assert_says(now: Any, then: Any, place: str) -> None:
    """Fields that are new since are not looked at."""
    if isinstance(then, dict):
        for field, value in then.items():
            assert_says(now[field], value, f"{place}.{field}")
    elif isinstance(then, list):
        assert len(now) == len(then), place
        for mine, value in zip(now, then, strict=True):
            assert_says(mine, value, f"{place}[]")
    else:
        assert now == then, place


def test_every_kind_of_record_that_is_stored_by_position_has_samples() -> None:
    for module in pkgutil.walk_packages(streams.__path__, "streams."):
        importlib.import_module(module.name)
    stored = {kind for kind in _structs(msgspec.Struct) if kind.__struct_config__.array_like}
    known = {kind for name in RECORDS for kind in _within(inspect.type_info(type_of(name)))}
    assert {kind for kind in stored - known if kind.__module__.startswith("streams.")} == set()
    assert {name for samples in BY_CODE.values() for name in samples} == set(RECORDS)


def _structs(kind: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    return {found for one in kind.__subclasses__() for found in (one, *_structs(one))}


def _within(kind: Any) -> set[type]:
    """Records of which a type is made."""
    found = {kind.cls} if isinstance(kind, inspect.StructType) else set()
    if isinstance(kind, inspect.StructType | inspect.NamedTupleType):
        parts: tuple[Any, ...] = tuple(field.type for field in kind.fields)
    elif isinstance(kind, inspect.UnionType):
        parts = kind.types
    elif isinstance(kind, inspect.DictType):
        parts = (kind.key_type, kind.value_type)
    elif isinstance(kind, inspect.TupleType):
        parts = kind.item_types
    else:
        parts = (kind.item_type,) if hasattr(kind, "item_type") else ()
    return found.union(*(_within(part) for part in parts))


def stored_by(folder: Path, stage: str) -> Durable:
    """The partition as its changelog holds it, and an input that begins behind what is folded."""
    kept = json.loads((folder / f"{stage}.json").read_text())
    marker = Marker(
        epoch=kept["epoch"],
        fingerprint=bytes.fromhex(kept["fingerprint"]),
        memo=bytes.fromhex(kept["memo"]),
        owed=tuple(bytes.fromhex(owed) for owed in kept["owed"]),
    )
    state = {bytes.fromhex(key): bytes.fromhex(value) for key, value in kept["state"].items()}
    return Durable(changelog=[(dict(state), marker)])


@pytest.mark.parametrize("folder", EARLIER, ids=lambda folder: folder.name)
def test_a_lane_goes_on_from_stored_state(folder: Path) -> None:
    lane = Lane(durable=stored_by(folder, "lane"))
    lane.log = Log(start=1_000_000)
    lane.log.transaction(
        ("u", "toy.item", item_row(1, "B")),
        ("c", "toy.stock", stock_row(4, 1, "1", "W2")),
        ("u", "toy.demand", demand_row(1, "A", "3")),
    )
    received = lane.run()
    assert received.quantities() == {
        ("B", "W1", "on_hand", None): Decimal(6),
        ("B", "W2", "on_hand", None): Decimal(8),
        ("A", "*", "demand", "SO-1"): Decimal(3),
    }
    assert progress_of(lane) == (True, False, True), "a record of some key is poison, as it was"
    assert lane.runtime.stage.fingerprint == lane.mapping.fingerprint


@pytest.mark.parametrize("folder", EARLIER, ids=lambda folder: folder.name)
def test_inventory_goes_on_from_stored_state(folder: Path) -> None:
    inventory = Inventory(ready=(), durable=stored_by(folder, "inventory"))
    inventory.version = 10_000
    inventory.say("erp", "A", balance("W1", "demand", 2, "SO-2"))
    assert inventory.atp("A").network.available_now == 5
    assert inventory.atp("A").complete


@pytest.mark.parametrize("folder", EARLIER, ids=lambda folder: folder.name)
def test_orders_go_on_from_stored_state(folder: Path) -> None:
    scene = Scene(complete=False, durable=stored_by(folder, "orders"))
    scene.epoch = 50
    order = scene.tell("erp", line("SO-1-2", sku="B", ordered="1"), header(customer="D"))
    assert [one.sku for one in order.lines] == ["A", "B"]


def test_there_is_a_partition_of_every_stage() -> None:
    assert all((folder / f"{stage}.json").exists() for folder in EARLIER for stage in STAGES)
