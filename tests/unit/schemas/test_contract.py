"""Structs and contracts are the same, field by field."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.contract import CONTRACTS_DIR, RECORDS, differences, schema_of
from schemas.errors import InvalidInput


@pytest.mark.parametrize("topic", sorted(RECORDS))
def test_struct_and_avro_schema_are_equal(topic: str) -> None:
    assert differences(RECORDS[topic], schema_of(topic)) == []
    assert schema_of(topic)["namespace"] == "onhand.v1"


def test_every_contract_folder_has_a_record() -> None:
    assert sorted(path.name for path in CONTRACTS_DIR.iterdir()) == sorted(RECORDS)


def _edit(schema: dict[str, Any], field: str, **changes: Any) -> None:
    entry = next(entry for entry in schema["fields"] if entry["name"] == field)
    entry.update(changes)


@pytest.mark.parametrize(
    ("field", "changes", "complaint"),
    [
        ("customer", {"type": "string"}, "Order.customer"),
        ("placed_us", {"type": ["null", "long"]}, "Order.placed_us"),
        ("due", {"type": ["null", "string"]}, "Order.due"),
        ("customer", {"doc": ""}, "has no doc"),
        ("conflicts", {"default": None}, "default"),
        ("source_versions", {"type": {"type": "map", "values": "string"}}, "Order.source_versions"),
    ],
)
def test_a_difference_is_named(field: str, changes: dict[str, Any], complaint: str) -> None:
    schema = copy.deepcopy(schema_of("order.v1"))
    _edit(schema, field, **changes)
    assert any(complaint in line for line in differences(RECORDS["order.v1"], schema))


def test_a_missing_field_and_a_missing_symbol_are_named() -> None:
    schema = schema_of("exception.v1")
    symbols = next(entry for entry in schema["fields"] if entry["name"] == "status")["type"]["symbols"]
    symbols.remove("retried")
    assert any("ExceptionRecord.status" in line for line in differences(RECORDS["exception.v1"], schema))
    schema = schema_of("item.v1")
    schema["fields"].pop()
    assert any(line.startswith("Item: fields") for line in differences(RECORDS["item.v1"], schema))


def test_a_topic_without_contract_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no contract"):
        schema_of("order.v2")
