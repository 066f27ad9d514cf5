"""The contracts: which record crosses which topic, and the Avro schema that says so to everybody else.

`contracts/<topic>/schema.avsc` is the contract; the Structs of `schemas.records` and `schemas.messages` are how Python
sees it.  `differences` holds the two equal, field by field.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import types
import typing
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from schemas import messages, records
from schemas.errors import InvalidInput

Schema = dict[str, Any]
"""An Avro record schema as parsed JSON."""

CONTRACTS_DIR = Path(__file__).parent / "contracts"

RECORDS: dict[str, type[msgspec.Struct]] = {
    "channel.publication.v1": records.Publication,
    "exception.v1": records.ExceptionRecord,
    "inventory.atp.v1": records.Atp,
    "inventory.position.v1": records.Position,
    "item.v1": records.Item,
    "location.v1": records.Location,
    "onhand.balance.v1": messages.BalanceMessage,
    "onhand.order-part.v1": messages.OrderPartMessage,
    "order.v1": records.Order,
    "progress.v1": records.Progress,
    "shipment.v1": records.Shipment,
}
"""Topic → the record its values hold."""

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": records.QUANTITY_SCALE}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
DATE = {"type": "int", "logicalType": "date"}


def subject_of(topic: str) -> str:
    """The registry subject of a topic's values (TopicNameStrategy)."""
    return f"{topic}-value"


def schema_path(topic: str) -> Path:
    """Where the topic's contract stands."""
    return CONTRACTS_DIR / topic / "schema.avsc"


@functools.cache
def schema_text(topic: str) -> str:
    """The contract as it is registered.  Raises InvalidInput for a topic without one."""
    path = schema_path(topic)
    if not path.is_file():
        raise InvalidInput(f"topic {topic} has no contract {path.name}; known are {', '.join(sorted(RECORDS))}")
    return path.read_text()


def schema_of(topic: str) -> Schema:
    """The contract as parsed JSON, a fresh copy.  Raises InvalidInput for a topic without one."""
    schema: Schema = json.loads(schema_text(topic))
    return schema


def differences(record: type[msgspec.Struct], schema: Schema) -> list[str]:
    """Where a Struct and an Avro record schema are not the same contract; empty: equal."""
    found: list[str] = []
    _compare_record(record, schema, {}, found)
    return found


def _compare_record(record: type[msgspec.Struct], schema: Schema, named: dict[str, Schema], found: list[str]) -> None:
    where = record.__name__
    named[schema["name"]] = schema
    if schema["name"] != where:
        found.append(f"{where}: the schema's record is called {schema['name']}")
    hints = typing.get_type_hints(record)
    ours = [field.name for field in msgspec.structs.fields(record)]
    theirs = [field["name"] for field in schema["fields"]]
    if ours != theirs:
        found.append(f"{where}: fields {ours} in Python, {theirs} in Avro")
        return
    for field, entry in zip(msgspec.structs.fields(record), schema["fields"], strict=True):
        place = f"{where}.{field.name}"
        if not entry.get("doc"):
            found.append(f"{place}: has no doc")
        _compare_type(hints[field.name], entry["type"], place, named, found)
        expected = _expected_default(field, entry["type"])
        actual = entry.get("default", msgspec.NODEFAULT)
        if actual != expected or type(actual) is not type(expected):
            found.append(f"{place}: default {expected!r} in Python, {actual!r} in Avro")


def _expected_default(field: msgspec.structs.FieldInfo, avro: Any) -> Any:
    """A nullable field always defaults to null, so that it can come and go under FULL_TRANSITIVE."""
    if isinstance(avro, list):
        return None
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    if isinstance(field.default, msgspec.Struct):
        return msgspec.NODEFAULT
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _compare_type(hint: Any, avro: Any, place: str, named: dict[str, Schema], found: list[str]) -> None:
    if isinstance(hint, types.UnionType):
        inner = [part for part in typing.get_args(hint) if part is not type(None)]
        if not isinstance(avro, list) or len(avro) != 2 or avro[0] != "null" or len(inner) != 1:
            found.append(f"{place}: {hint} in Python needs [null, …] in Avro, not {avro}")
        else:
            _compare_type(inner[0], avro[1], place, named, found)
        return
    avro = named.get(avro, avro) if isinstance(avro, str) else avro
    kind = avro["type"] if isinstance(avro, dict) else avro
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if kind != "record":
            found.append(f"{place}: a record in Python, {kind} in Avro")
        elif avro["name"] in named:
            if avro["name"] != hint.__name__:
                found.append(f"{place}: {hint.__name__} in Python, {avro['name']} in Avro")
        else:
            _compare_record(hint, avro, named, found)
    elif kind == "enum":
        named[avro["name"]] = avro
        if not (isinstance(hint, type) and issubclass(hint, str)):
            found.append(f"{place}: {hint} in Python, an enumeration in Avro")
        elif issubclass(hint, StrEnum) and [member.value for member in hint] != avro["symbols"]:
            found.append(f"{place}: symbols {[member.value for member in hint]} in Python, {avro['symbols']} in Avro")
        if avro.get("default") != "unknown":
            found.append(f"{place}: an enumeration needs the default symbol `unknown`")
    elif typing.get_origin(hint) is tuple and kind == "array":
        _compare_type(typing.get_args(hint)[0], avro["items"], place, named, found)
    elif typing.get_origin(hint) is dict and kind == "map":
        _compare_type(typing.get_args(hint)[1], avro["values"], place, named, found)
    elif avro != _plain_type(hint, place):
        found.append(f"{place}: {hint} in Python, {avro} in Avro")


def _plain_type(hint: Any, place: str) -> Any:
    if hint is int:
        return INSTANT if place.endswith("_us") else "long"
    return {str: "string", bool: "boolean", bytes: "bytes", Decimal: DECIMAL, dt.date: DATE}.get(hint)


def without_docs(schema: Any) -> Any:
    """The schema as encoders and decoders see it."""
    if isinstance(schema, dict):
        return {key: without_docs(value) for key, value in schema.items() if key != "doc"}
    if isinstance(schema, list):
        return [without_docs(part) for part in schema]
    return schema
