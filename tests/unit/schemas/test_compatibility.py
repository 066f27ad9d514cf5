"""FULL compatibility: what may change in a contract, and what is named when it may not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from schemas.compatibility import obstacles
from schemas.contract import schema_of

Edit = Callable[[list[dict[str, Any]]], None]


def field(fields: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in fields if entry["name"] == name)


def retype(name: str, avro: Any) -> Edit:
    return lambda fields: field(fields, name).update(type=avro)


def add(name: str, **rest: Any) -> Edit:
    return lambda fields: fields.append({"name": name, "doc": "new", **rest})


def drop(name: str) -> Edit:
    return lambda fields: fields.remove(field(fields, name))


ALLOWED: dict[str, Edit] = {
    "nullable field added": add("priority", type=["null", "long"], default=None),
    "defaulted field added": add("tags", type={"type": "array", "items": "string"}, default=[]),
    "nullable field dropped": drop("channel"),
    "symbol added": lambda fields: field(fields, "execution_status")["type"]["symbols"].append("parked"),
    "doc changed": lambda fields: field(fields, "number").update(doc="another"),
    "fields in another order": lambda fields: fields.reverse(),
}
FORBIDDEN: dict[str, tuple[Edit, str]] = {
    "field without default added": (add("priority", type="long"), "new cannot read old: priority: was not written"),
    "required field dropped": (drop("version"), "old cannot read new: version: was not written"),
    "type changed": (retype("version", "string"), "version: long was written, string is read"),
    "nullable became required": (retype("number", "string"), "new cannot read old: number"),
    "widened, so old cannot read": (retype("version", "double"), "old cannot read new: version"),
    "unit of an instant changed": (
        retype("placed_us", ["null", {"type": "long", "logicalType": "timestamp-millis"}]),
        "placed_us: logicalType",
    ),
    "instant became a number": (retype("placed_us", ["null", "long"]), "placed_us"),
}


def edited(edit: Edit) -> Any:
    schema = copy.deepcopy(schema_of("order.v1"))
    edit(schema["fields"])
    return schema


@pytest.mark.parametrize("what", ALLOWED)
def test_allowed(what: str) -> None:
    assert obstacles(schema_of("order.v1"), edited(ALLOWED[what])) == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_forbidden(what: str) -> None:
    edit, complaint = FORBIDDEN[what]
    assert any(complaint in line for line in obstacles(schema_of("order.v1"), edited(edit)))


def test_a_change_of_scale_deep_inside_is_named_with_its_path() -> None:
    def rescale(fields: list[dict[str, Any]]) -> None:
        line = field(fields, "lines")["type"]["items"]
        field(line["fields"], "ordered")["type"][1]["scale"] = 4

    found = obstacles(schema_of("order.v1"), edited(rescale))
    assert any("lines[].ordered: scale 9 was written, 4 is read" in line for line in found)
