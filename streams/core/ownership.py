"""connect-configs/ownership.yaml: which source owns which bucket at which location, and which order attribute.

The file is described in docs/ownership.md.  An owner is written `source`, or `source/view` when a view of that source
(`postings.<view>.sql`) owns the bucket instead of its `postings.sql`.  Every list is ordered, the first counts first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from schemas.errors import InvalidInput
from schemas.records import Bucket
from schemas.yaml_file import parse_yaml, said_of

OWNERSHIP_FILE = "ownership.yaml"
ANY = "*"

HEADER_ATTRIBUTES = frozenset({
    "number", "channel", "customer", "placed_at", "due",
    "financial_status", "execution_status", "delivery_status", "presentation_status",
})  # fmt: skip
LINE_ATTRIBUTES = frozenset({
    "sku", "location", "unit", "due",
    "ordered", "allocated", "picked", "packed", "shipped", "delivered", "returned", "cancelled",
})  # fmt: skip
SHIPMENT_ATTRIBUTES = frozenset({
    "number", "carrier", "tracking", "status", "quantity", "shipped_at", "delivered_at",
})  # fmt: skip


class Owner(NamedTuple):
    """One entry of an owner list."""

    source: str
    view: str = ""
    """Posting view; '' for postings.sql."""

    def __str__(self) -> str:
        return f"{self.source}/{self.view}" if self.view else self.source


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} stands twice in the list")
    return names


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {name!r} is not known; write one like Europe/Berlin or UTC") from None
    return name


def _by_location(value: Any) -> Any:
    return {ANY: value} if isinstance(value, list) else value


def _has_default(value: dict[str, Any]) -> dict[str, Any]:
    if ANY not in value:
        raise ValueError('a default is missing: add "*": [sources], for every location or attribute not named')
    return value


SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
OwnerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*(/[A-Za-z0-9_-]+)?$")]
SourceList = Annotated[tuple[SourceName, ...], AfterValidator(_unique)]
OwnerList = Annotated[tuple[OwnerName, ...], AfterValidator(_unique)]
ByLocation = Annotated[dict[str, OwnerList], BeforeValidator(_by_location), AfterValidator(_has_default)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InventoryOwners(_Strict):
    """Every bucket must be named, so that none is left out by mistake; nobody: `[]`."""

    on_hand: ByLocation
    on_hold: ByLocation
    safety_stock: ByLocation
    demand: ByLocation
    fulfilled: ByLocation
    inbound: ByLocation
    received: ByLocation
    reserved: ByLocation


def _known(attributes: frozenset[str]) -> AfterValidator:
    def check(value: dict[str, SourceList]) -> dict[str, SourceList]:
        unknown = sorted(value.keys() - attributes - {ANY})
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such attribute; there are {', '.join(sorted(attributes))}")
        return _has_default(value)

    return AfterValidator(check)


ByAttribute = dict[str, SourceList]


class OrderOwners(_Strict):
    """Owners of order attributes, by the column of orders.sql, order_lines.sql and shipments.sql; "*": the others."""

    header: Annotated[ByAttribute, BeforeValidator(_by_location), _known(HEADER_ATTRIBUTES)]
    lines: Annotated[ByAttribute, BeforeValidator(_by_location), _known(LINE_ATTRIBUTES)]
    shipments: Annotated[ByAttribute, BeforeValidator(_by_location), _known(SHIPMENT_ATTRIBUTES)]


class Ownership(_Strict):
    """The whole file."""

    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """Of locations that state none, and of location `*`."""
    drift_after_s: int = Field(default=0, ge=0)
    """A drift, or an order's conflict, becomes an exception when it has lasted so long; position and order show it at
    once."""
    items: Annotated[SourceList, Field(min_length=1)]
    """Whose items.sql counts: for each sku the first source that has it."""
    components: SourceList | None = None
    """Whose components.sql counts: for each kit the first source that has any of it; not given: as `items`."""
    locations: Annotated[SourceList, Field(min_length=1)]
    """Whose locations.sql counts: for each location the first source that has it."""
    inventory: InventoryOwners
    orders: OrderOwners

    @cached_property
    def fingerprint(self) -> bytes:
        """32 bytes; equal files in another layout have the same."""
        rules = self.model_dump(mode="json", exclude_none=True)
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).digest()

    @property
    def kit_owners(self) -> tuple[str, ...]:
        """Whose components count, in order."""
        return self.items if self.components is None else self.components

    @cached_property
    def _owners(self) -> dict[Bucket, dict[str, tuple[Owner, ...]]]:
        return {
            Bucket(bucket): {
                location: tuple(Owner(*name.split("/", 1)) for name in names) for location, names in lists.items()
            }
            for bucket, lists in self.inventory
        }

    def owners(self, bucket: Bucket, location: str) -> tuple[Owner, ...]:
        """In order; empty: nobody owns it."""
        lists = self._owners.get(bucket, {})
        return lists[location] if location in lists else lists.get(ANY, ())

    def sources_at(self, location: str) -> frozenset[str]:
        """Every source that owns a bucket at this location: the promise there rests on them."""
        return frozenset(owner.source for bucket in self._owners for owner in self.owners(bucket, location))

    @cached_property
    def sku_sources(self) -> frozenset[str]:
        """Every source from which a sku may be known: owners of buckets, of items and of kits."""
        owners = {owner.source for lists in self._owners.values() for names in lists.values() for owner in names}
        return frozenset({*owners, *self.items, *self.kit_owners})

    def attribute_owners(self, kind: str, attribute: str) -> tuple[str, ...]:
        """Owners, in order, of an order attribute; `kind` as `OrderPart.kind`: header, line or shipment."""
        section = {"header": self.orders.header, "line": self.orders.lines, "shipment": self.orders.shipments}[kind]
        return section[attribute] if attribute in section else section[ANY]

    @property
    def sources(self) -> frozenset[str]:
        """Every source the file names."""
        names = [*self.items, *self.kit_owners, *self.locations]
        for lists in (*(section for _, section in self.inventory), *(section for _, section in self.orders)):
            names.extend(name.split("/", 1)[0] for owners in lists.values() for name in owners)
        return frozenset(names)


def parse_ownership(text: str, file: str = OWNERSHIP_FILE, sources: Collection[str] | None = None) -> Ownership:
    """The file's text as a model.

    Raises: InvalidInput with every problem, one a line, as `file:line: where: what is wrong`.  With `sources` given,
    a name that is none of them is a problem too.
    """
    root, document = parse_yaml(text, file)
    if root is None:
        raise InvalidInput(f"{file}:1: empty; write it as docs/ownership.md shows")
    problems = [(line, f"{name}: stands twice") for line, name in _repeated(root)]
    ownership = None
    try:
        ownership = Ownership.model_validate(document)
    except ValidationError as error:
        for e in error.errors():
            problems.append((_line(root, e["loc"]), _said(dict(e))))
    if ownership is not None and sources is not None:
        known = ", ".join(sorted(sources)) or "none"
        for name, line in _source_names(root):
            if name.split("/", 1)[0] not in sources:
                problems.append((line, f"{name}: no such source in connect-configs; there are: {known}"))
    if problems or ownership is None:
        raise InvalidInput("\n".join(f"{file}:{line}: {text}" for line, text in sorted(problems)))
    return ownership


def load_ownership(path: Path, sources: Collection[str] | None = None) -> Ownership:
    """Raises InvalidInput as `parse_ownership`, and when there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; write it as docs/ownership.md shows") from None
    return parse_ownership(text, str(path), sources)


def _said(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{where}: is missing"
    if error["type"] == "string_pattern_mismatch":
        return f"{where}: {error['input']!r} is no source name; write source or source/view"
    return said_of(error, Ownership)


def _line(root: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Line of the node at `location`, or of the nearest one above it that is there."""
    node, line = root, 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    node, line = value, key.start_mark.line + 1
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _repeated(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, str(key.value)
            seen.add(key.value)
            yield from _repeated(value)


def _source_names(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """Every name in a list: there are no lists but of sources."""
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _source_names(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield str(item.value), item.start_mark.line + 1
