"""Struct ⇄ Avro in Confluent's wire format: a zero byte, the schema's id in four bytes, the Avro body.

A codec knows at its start the id of every contract and every version the registry holds, so a registry that is down
later does not stop the flow.  A body written under another version of the contract is resolved by Avro's rules.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

import fastavro
import msgspec

from schemas.binary import Decoder, Encoder, compile_decoder, compile_encoder
from schemas.contract import RECORDS, Schema, schema_of
from schemas.errors import InvalidInput, PoisonRecord

ParsedSchema = Any
"""A schema as fastavro prepared it."""

MAGIC = b"\x00"
HEADER_BYTES = 5
UNENCODABLE = "contract-unencodable"
UNDECODABLE = "contract-undecodable"


class SchemaSource(Protocol):
    """Where schema ids come from: `schemas.registry.Registry`."""

    def contract_ids(self) -> Mapping[str, int]:
        """Topic → id under which its contract of today is registered."""

    def schemas_by_id(self) -> Mapping[int, Schema]:
        """Every registered version of every contract."""

    def schema(self, schema_id: int) -> Schema:
        """One schema; asked only for an id that appeared later.  Raises InvalidInput, EnvironmentFault."""


class Codec:
    """Encodes and decodes the values of every contract topic; ids are fixed when it is built."""

    def __init__(
        self,
        ids: Mapping[str, int],
        known: Mapping[int, Schema] | None = None,
        fetch: Callable[[int], Schema] | None = None,
    ) -> None:
        self._ids = dict(ids)
        self._headers = {topic: MAGIC + schema_id.to_bytes(4, "big") for topic, schema_id in ids.items()}
        self._encoders: dict[str, tuple[bytes, Encoder]] = {}
        self._topics = {schema_id: topic for topic, schema_id in ids.items()}
        self._known = dict(known or {})
        self._fetch = fetch
        self._resolved: dict[int, ParsedSchema] = {}

    @classmethod
    def local(cls) -> Codec:
        """Without a registry: ids count from 1 in the order of the topics' names.  For tests and tools offline."""
        return cls({topic: number for number, topic in enumerate(sorted(RECORDS), start=1)})

    @classmethod
    def connected(cls, source: SchemaSource) -> Codec:
        """Ids and versions of a registry, read once.  Raises EnvironmentFault when it does not answer."""
        return cls(source.contract_ids(), source.schemas_by_id(), source.schema)

    def encode(self, topic: str, record: msgspec.Struct) -> bytes:
        """The value to send.  Raises PoisonRecord `contract-unencodable`, naming the field."""
        known = self._encoders.get(topic)
        if known is None:
            header = self._headers.get(topic)
            if header is None:
                raise InvalidInput(f"topic {topic} has no contract")
            known = self._encoders[topic] = header, _encoder(topic)
        try:
            return known[0] + known[1](record)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            field = _wrong_field(topic, record)
            raise PoisonRecord(UNENCODABLE, f"{topic}: {field or type(record).__name__}: {error}") from error

    def decode(self, topic: str, data: bytes) -> Any:
        """The record a value holds.  Raises PoisonRecord `contract-undecodable`."""
        header = self._headers.get(topic)
        if header is None:
            raise InvalidInput(f"topic {topic} has no contract")
        try:
            if data[:HEADER_BYTES] != header:
                data = header + self._as_todays(topic, data)
            record, end = _decoder(topic)(data, HEADER_BYTES)
            if end != len(data):
                raise ValueError(f"the record ends at byte {end} of {len(data)}")
        except (ValueError, IndexError) as error:
            raise PoisonRecord(UNDECODABLE, f"{topic}: {error}") from error
        return record

    def _as_todays(self, topic: str, data: bytes) -> bytes:
        """The body of another version of the contract, rewritten under today's."""
        if len(data) < HEADER_BYTES or data[:1] != MAGIC:
            raise ValueError("the value does not begin with a schema id")
        schema_id = int.from_bytes(data[1:HEADER_BYTES], "big")
        other = self._topics.get(schema_id)
        if other is not None and other != topic:
            raise ValueError(f"schema id {schema_id} is the contract of {other}")
        writer = self._writer(schema_id)
        body = io.BytesIO(data[HEADER_BYTES:])
        try:
            datum = fastavro.schemaless_reader(body, writer, _plain_reader(topic))
        except (EOFError, KeyError, TypeError, AttributeError, ValueError, IndexError, StopIteration) as error:
            raise ValueError(f"cannot be read under schema id {schema_id}: {error!r}") from error
        except fastavro.read.SchemaResolutionError as error:
            raise ValueError(f"schema id {schema_id} does not fit the contract: {error}") from error
        if body.read(1):
            raise ValueError("bytes are left behind the record")
        out = io.BytesIO()
        fastavro.schemaless_writer(out, _plain_reader(topic), datum)
        return out.getvalue()

    def _writer(self, schema_id: int) -> ParsedSchema:
        parsed = self._resolved.get(schema_id)
        if parsed is None:
            schema = self._known.get(schema_id)
            if schema is None and self._fetch is not None:
                try:
                    schema = self._known[schema_id] = self._fetch(schema_id)
                except InvalidInput as error:
                    raise ValueError(str(error)) from error
            if schema is None:
                raise ValueError(f"schema id {schema_id} is not known")
            parsed = self._resolved[schema_id] = fastavro.parse_schema(without_logical_types(schema))
        return parsed


def without_logical_types(avro: Any) -> Any:
    """The schema with bytes, int and long as they are on the wire; what the generated decoder reads again itself."""
    if isinstance(avro, list):
        return [without_logical_types(part) for part in avro]
    if isinstance(avro, dict):
        if "logicalType" in avro:
            return avro["type"]
        return {key: value if key == "default" else without_logical_types(value) for key, value in avro.items()}
    return avro


@cache
def _encoder(topic: str) -> Encoder:
    return compile_encoder(schema_of(topic))


@cache
def _decoder(topic: str) -> Decoder:
    return compile_decoder(RECORDS[topic], schema_of(topic))


@cache
def _plain_reader(topic: str) -> ParsedSchema:
    return fastavro.parse_schema(without_logical_types(schema_of(topic)))


def _wrong_field(topic: str, record: msgspec.Struct) -> str | None:
    """Which field, with the path to it, cannot be encoded; only asked after it failed."""
    if type(record) is not RECORDS[topic]:
        return f"a {RECORDS[topic].__name__} is wanted, not {type(record).__name__}"
    return _search(record, schema_of(topic), {}, "")


def _search(value: Any, avro: Any, named: dict[str, Any], path: str) -> str | None:
    if isinstance(avro, list):
        return None if value is None else _search(value, avro[1], named, path)
    avro = named.get(avro, avro) if isinstance(avro, str) else avro
    kind = avro["type"] if isinstance(avro, dict) else avro
    if kind in ("record", "enum"):
        named[avro["name"]] = avro
    entries: list[tuple[Any, Any, str]] = []
    try:
        if kind == "record":
            dot = f"{path}." if path else ""
            entries = [(getattr(value, f["name"]), f["type"], f"{dot}{f['name']}") for f in avro["fields"]]
        elif kind == "array":
            entries = [(item, avro["items"], f"{path}[{number}]") for number, item in enumerate(value)]
        elif kind == "map":
            entries = [(item, avro["values"], f"{path}[{key!r}]") for key, item in value.items()]
        else:
            probe = {"type": "record", "name": "Probe", "fields": [{"name": "value", "type": avro}]}
            compile_encoder(probe)(_Probe(value))
    except (ValueError, TypeError, AttributeError, KeyError):
        return path
    for item, inner, place in entries:
        found = _search(item, inner, named, place)
        if found is not None:
            return found
    return None


class _Probe:
    def __init__(self, value: Any) -> None:
        self.value = value
