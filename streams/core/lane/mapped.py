"""What a row says, in the form the lane keeps: postings by balance key, parts by state key."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from schemas.messages import ItemPart, LocationPart
from streams.core.lane.keys import ZERO, balance_key, clean
from streams.core.lane.state import EXACT, ItemState, LocationState, PartState, as_of
from streams.core.mapping.model import ComponentRow, Evaluation, Posting

_encoder = msgspec.msgpack.Encoder()


class Note(NamedTuple):
    """Something about an output that is not right and stops nothing."""

    code: str
    subject: str
    """Empty: the row itself."""
    detail: str


class Mapped(NamedTuple):
    """All that one row says."""

    postings: tuple[tuple[bytes, str], ...]
    parts: tuple[tuple[bytes, bytes], ...]
    notes: tuple[Note, ...]


NOTHING = Mapped((), (), ())


def mapped(evaluation: Evaluation, reference: bytes) -> Mapped:
    """Of several outputs about one part it keeps what `render` would of several rows: the newest as_of, else the first.

    Raises RowError for a text that cannot stand in a state key.
    """
    if not evaluation.outputs:
        return NOTHING
    postings: list[tuple[bytes, str]] = []
    parts: dict[bytes, bytes] = {}
    notes: list[Note] = []
    bill: dict[tuple[str, str], Decimal] = {}
    for output in evaluation.outputs:
        if isinstance(output, Posting):
            postings.append((balance_key(output), str(output.quantity)))
        elif isinstance(output, ItemPart):
            item = ItemState(
                output.name, output.unit, output.unit_digits, output.tracked, output.backorder_limit, output.active
            )
            parts.setdefault(b"i" + clean(output.sku, "sku") + ZERO + reference, _encoder.encode(item))
        elif isinstance(output, ComponentRow):
            pair = (output.kit, output.component)
            bill[pair] = EXACT.add(bill[pair], output.quantity) if pair in bill else output.quantity
        elif isinstance(output, LocationPart):
            location = LocationState(output.name, output.kind, output.time_zone, output.active)
            parts.setdefault(b"l" + clean(output.location, "location") + ZERO + reference, _encoder.encode(location))
        else:
            for column in output.unmapped:
                code = output.raw_statuses.get(column)
                notes.append(
                    Note(
                        "status-unmapped",
                        f"{output.kind} {column} {code}",
                        f"source.yaml maps no status for {column} = {code!r} of order {output.kind}s",
                    )
                )
            if output.order_id is None:
                notes.append(Note("shipment-without-order", "", f"{output.kind} {output.part_id} names no order"))
                continue
            key = (
                b"o"
                + clean(output.order_id, "order")
                + ZERO
                + output.kind.encode()
                + ZERO
                + clean(output.part_id, output.kind)
                + ZERO
                + reference
            )
            said = _encoder.encode(PartState(output.attributes, output.raw_statuses))
            if key not in parts or as_of(said) > as_of(parts[key]):
                parts[key] = said
    for (kit, component), quantity in bill.items():
        of = clean(component, "component")
        parts[b"b" + clean(kit, "sku") + ZERO + of + ZERO + reference] = str(quantity).encode()
        parts[b"t" + of + ZERO + reference] = b""
    return Mapped(tuple(postings), tuple(parts.items()), tuple(notes))
