"""Why an order has its values: attribute by attribute who is believed, what the others say, and the rows behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from schemas.errors import InvalidInput
from schemas.records import Shipment
from streams.connect.explain.lane import HeldPart
from streams.connect.explain.rows import row_documents
from streams.connect.explain.world import World

_UNKNOWN = "unknown"
_KINDS = {"header": 0, "line": 1, "shipment": 2}


def explain_order(world: World, order_id: str) -> dict[str, Any]:
    """Raises InvalidInput when nobody knows the order, EnvironmentFault."""
    order = world.canonical.newest("order.v1", order_id)
    said: dict[tuple[str, str], dict[str, list[HeldPart]]] = defaultdict(lambda: defaultdict(list))
    rows: list[dict[str, Any]] = []
    for lane in world.lanes:
        parts = lane.parts(order_id)
        says: dict[bytes, list[str]] = defaultdict(list)
        for part in parts:
            said[part.kind, part.part_id][lane.source].append(part)
            says[part.reference].append(f"{part.kind} {part.part_id}")
        found = [lane.row(reference) for reference in says]
        rows += row_documents(world, lane, found, says)
    if order is None and not said:
        raise InvalidInput(
            f"order {order_id!r}: no source says anything about it; write its id as orders.sql makes it, like SO-4711"
        )
    shipments = world.canonical.about("shipment.v1", order_id)
    return {
        "order": order_id,
        "value": None if order is None else msgspec.to_builtins(order),
        "shipments": [
            msgspec.to_builtins(one) for one in shipments if isinstance(one, Shipment) and one.order_id == order_id
        ],
        "attributes": [
            attribute
            for (kind, part_id), by_source in sorted(said.items(), key=lambda each: (_KINDS[each[0][0]], each[0][1]))
            for attribute in _attributes(world, kind, part_id, by_source)
        ],
        "rows": rows,
        "sources": world.sources,
        "silent": world.silent,
        "exceptions": world.exceptions(order_id),
    }


def _attributes(
    world: World, kind: str, part_id: str, by_source: Mapping[str, list[HeldPart]]
) -> Iterator[dict[str, Any]]:
    """Every attribute that some source says, with who is believed."""
    values: dict[str, dict[str, str]] = defaultdict(dict)
    codes: dict[str, dict[str, str]] = defaultdict(dict)
    for source, parts in by_source.items():
        newest = max(parts, key=lambda part: int(part.attributes.get("as_of") or -1))
        for name, value in newest.attributes.items():
            if value is not None and name not in ("as_of", "shipment_id", "line_id"):
                values[name][source] = value
        for name, code in newest.raw_statuses.items():
            if code is not None:
                codes[name][source] = code
                values[name].setdefault(source, _UNKNOWN)
    for name, said in values.items():
        owners = world.ownership.attribute_owners(kind, name)
        believed = next((source for source in owners if said.get(source, _UNKNOWN) != _UNKNOWN), None)
        yield {
            "part": f"{kind} {part_id}",
            "attribute": name,
            "value": None if believed is None else said[believed],
            "from": believed,
            "code": None if believed is None else codes[name].get(believed),
            "owners": list(owners),
            "others": {source: value for source, value in said.items() if source != believed},
            "unmapped": {source: codes[name][source] for source, value in said.items() if value == _UNKNOWN},
        }
