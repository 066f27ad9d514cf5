"""Stored state as a release wrote it, so that every later one can be shown to read it.

`state/<commit>/records.json` has two samples of each kind of record, with no field at its default and no number twice:
the bytes, and what they say by name.  `state/<commit>/<stage>.json` is a partition in which something is going on.
A folder is written once, by the code of its commit, and never again:

    python -m tests.contract.state_samples tests/contract/state/COMMIT
"""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from tests.memory import MemoryRuntime
from tests.unit.inventory.harness import Inventory, balance
from tests.unit.lane.conftest import Lane, demand_row, item_row, raw, stock_row
from tests.unit.orders.scene import Scene, header, line

FOLDER = Path(__file__).with_name("state")

RECORDS: dict[str, Any] = {
    "runtime marker": "streams.agents.runtime.marker:Marker",
    "runtime standing": "streams.agents.runtime.marker:Standing",
    "runtime origin": "streams.agents.runtime.store:Origin",
    "lane memo": "streams.core.lane.state:Memo",
    "lane row": "streams.core.lane.state:RowRecord",
    "lane sum": "streams.core.lane.state:Sum",
    "lane balance name": "streams.core.lane.keys:BalanceName",
    "lane item": "streams.core.lane.state:ItemState",
    "lane location": "streams.core.lane.state:LocationState",
    "lane order part": "streams.core.lane.state:PartState",
    "lane exception": "schemas.records:ExceptionRecord",
    "lane target": "streams.core.lane.faults:Target",
    "lane waiting record": "streams.core.unit:InputRecord",
    "lane reassertion": tuple[bytes, int | None, int | None],
    "lane put off": "streams.core.lane.owed:_Meta",
    "lane owed sku": "streams.core.lane.owed:SkuOwed",
    "lane owed order": "streams.core.lane.owed:OrderOwed",
    "lane owed location": "streams.core.lane.owed:LocationOwed",
    "lane owed exception": "streams.core.lane.owed:ExceptionOwed",
    "lane owed progress": "streams.core.lane.owed:ProgressOwed",
    "lane owed hold": "streams.core.lane.owed:HoldOwed",
    "inventory sku": "streams.core.inventory.state:Sku",
    "inventory claim": "streams.core.inventory.state:Claim",
    "inventory source": "streams.core.inventory.state:SourceState",
    "inventory reached": "streams.core.inventory.state:ReachedState",
    "inventory location": "streams.core.inventory.state:LocationState",
    "inventory made": "streams.core.inventory.state:Made",
    "inventory made promise": "schemas.records:Atp",
    "inventory made position": "schemas.records:Position",
    "inventory made item": "schemas.records:Item",
    "inventory recompute": "streams.core.inventory.state:Recompute",
    "inventory withdraw": "streams.core.inventory.state:Withdraw",
    "inventory kit": "streams.core.inventory.kit_state:Kit",
    "inventory asked": "streams.core.inventory.kit_state:Asked",
    "inventory parts": "streams.core.inventory.kit_state:Parts",
    "inventory use": "streams.core.inventory.kit_state:Use",
    "inventory offer": "schemas.messages:ComponentOffer",
    "inventory telling": "streams.core.inventory.kit_state:Telling",
    "orders order": "streams.core.orders.state:OrderState",
    "orders source": "streams.core.orders.state:SourceState",
}


def type_of(name: str) -> Any:
    """The type of a kind of record.  Raises ImportError, AttributeError: this code does not know it."""
    place = RECORDS[name]
    if not isinstance(place, str):
        return place
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Filler:
    """Makes values in which no field is at its default."""

    def __init__(self, *, alternate: bool) -> None:
        """`alternate`: flags are true and false in turn, so that two of them cannot change places unseen."""
        self._alternate = alternate
        self._numbers = itertools.count(1)

    def value(self, kind: inspect.Type, default: Any = False) -> Any:
        number = next(self._numbers)
        match kind:
            case inspect.BoolType():
                return number % 2 == 0 if self._alternate else not default
            case inspect.IntType():
                return number
            case inspect.StrType():
                return f"text {number}"
            case inspect.BytesType():
                return b"bytes %d" % number
            case inspect.DecimalType():
                return Decimal(number) / 8
            case inspect.DateType():
                return dt.date(2026, 1, 1) + dt.timedelta(days=number)
            case inspect.EnumType():
                return list(kind.cls)[number % len(kind.cls)]
            case inspect.UnionType():
                return self.value(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
            case inspect.ListType():
                return [self.value(kind.item_type)]
            case inspect.VarTupleType():
                return (self.value(kind.item_type),)
            case inspect.FrozenSetType():
                return frozenset((self.value(kind.item_type),))
            case inspect.TupleType():
                return tuple(self.value(one) for one in kind.item_types)
            case inspect.DictType():
                return {self.value(kind.key_type): self.value(kind.value_type)}
            case inspect.StructType() | inspect.NamedTupleType():
                return kind.cls(**{field.name: self.value(field.type, field.default) for field in kind.fields})
            case _:
                raise TypeError(f"no sample of {kind}")


def by_name(value: Any) -> Any:
    """A value as JSON can say it: records by name, mappings as pairs."""
    if isinstance(value, msgspec.Struct):
        return {name: by_name(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: by_name(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return [[by_name(key), by_name(one)] for key, one in value.items()]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple | frozenset):
        return [by_name(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def records() -> dict[str, list[dict[str, Any]]]:
    """Two samples of each kind that this code knows."""
    found = {}
    for name in RECORDS:
        try:
            kind = type_of(name)
        except (ImportError, AttributeError):
            continue
        samples = [Filler(alternate=alternate).value(inspect.type_info(kind)) for alternate in (False, True)]
        found[name] = [{"stored": msgspec.msgpack.encode(one).hex(), "says": by_name(one)} for one in samples]
    return found


def lane() -> MemoryRuntime:
    """Rows that join, archived evidence, a row that waits and one that is bad; the last outputs may not have left."""
    lane = Lane()
    lane.start(
        {
            "toy.item": [item_row(1, "A")],
            "toy.stock": [stock_row(1, 1, "5"), stock_row(2, 1, "7", "W2"), stock_row(3, 9, "1")],
            "toy.demand": [demand_row(1, "A", "2")],
            "toy.receipt": [{"id": 1, "line": 1, "quantity": "4"}],
            "toy.orders": [{"id": 1, "status": "20"}],
        }
    )
    lane.log.transaction(("d", "toy.receipt", {"id": 1}), ("c", "toy.demand", demand_row(2, "A", "NAN")))
    lane.log.records.append((raw({"id": 5}), b"{"))
    lane.run()
    lane.log.transaction(("u", "toy.stock", stock_row(1, 1, "6")))
    lane.feed()
    lane.runtime.run()
    return lane.runtime


def inventory() -> MemoryRuntime:
    """A promise of stock and demand of two sources."""
    inventory = Inventory()
    inventory.say("wms", "A", balance("W1", "on_hand", 10))
    inventory.say("erp", "A", balance("W1", "demand", 3, "SO-1"))
    inventory.runtime.run()
    return inventory.runtime


def orders() -> MemoryRuntime:
    """An order with one line."""
    scene = Scene()
    scene.tell("erp", header(customer="C"), line(sku="A", ordered="3"))
    return scene.runtime


STAGES: dict[str, Callable[[], MemoryRuntime]] = {"lane": lane, "inventory": inventory, "orders": orders}


def partition(runtime: MemoryRuntime) -> dict[str, Any]:
    """What a changelog keeps of it."""
    marker = runtime.marker
    return {
        "state": {key.hex(): value.hex() for key, value in sorted(runtime.state().items())},
        "memo": (marker.memo or b"").hex(),
        "fingerprint": (marker.fingerprint or b"").hex(),
        "owed": [owed.hex() for owed in marker.owed],
        "epoch": marker.epoch,
    }


def write(folder: Path, documents: Iterable[tuple[str, dict[str, Any]]]) -> None:
    folder.mkdir(parents=True)
    for name, document in documents:
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.items()]
        (folder / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write(
        Path(sys.argv[1]),
        [("records", records()), *((name, partition(stage())) for name, stage in STAGES.items())],
    )
