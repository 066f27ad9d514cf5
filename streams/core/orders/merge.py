"""Merge by owner: each attribute from the first of its owners that says something; who disagrees is a conflict.

Statuses that differ only because one system has fewer words for the way do not disagree (`stages`).
An owner that says NULL, or the status `unknown`, says nothing.  A source that owns nothing is never believed, only
compared.  What an archived row said keeps its place, but does not disagree with anybody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from schemas.records import QUANTITY_SCALE, Conflict, Order, OrderLine, Shipment, ShipmentLine
from schemas.statuses import STATUSES, Deletion
from streams.core.orders.stages import Words, agree
from streams.core.orders.state import SEPARATOR, OrderState, Statement

UNKNOWN = "unknown"
MAX_DIGITS_BEFORE_POINT = 38 - QUANTITY_SCALE
MAX_CONFLICTS = 1_000
"""An order shows no more of them, so that its message stays bounded; its exception counts all."""


class Owners(Protocol):
    """The part of ownership.yaml this needs."""

    def attribute_owners(self, kind: str, attribute: str) -> tuple[str, ...]:
        """Owners in order of an attribute of a header, line or shipment."""


class Unreadable(NamedTuple):
    """A value that is not what its column must be; it counts as not said."""

    source: str
    place: str
    text: str
    code: str
    """status-unmapped | order-part-unreadable"""


@dataclass
class Merged:
    """One order, merged; version, completeness, stamps are the caller's."""

    order: Order | None
    """None: no source says anything about a header or line."""
    shipments: list[Shipment] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    has_header: bool = False
    """Some source knows the order itself."""


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or -exponent > QUANTITY_SCALE or len(digits) + exponent > MAX_DIGITS_BEFORE_POINT:
        raise ValueError(text)
    return value


def _instant(text: str) -> int:
    value = int(text)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(text)
    return value


def _status(file: str, column: str) -> Callable[[str], str]:
    symbols = frozenset(member.value for member in STATUSES[file, column])

    def parse(text: str) -> str:
        if text not in symbols:
            raise ValueError(text)
        return text

    return parse


_QUANTITIES = ("ordered", "allocated", "picked", "packed", "shipped", "delivered", "returned", "cancelled")
_HEADER: dict[str, Callable[[str], Any]] = {
    "number": str,
    "channel": str,
    "customer": str,
    "placed_at": _instant,
    "due": dt.date.fromisoformat,
    **{column: _status(file, column) for file, column in STATUSES if file == "orders"},
}
_LINE: dict[str, Callable[[str], Any]] = {
    "sku": str,
    "location": str,
    "unit": str,
    **dict.fromkeys(_QUANTITIES, _decimal),
    "due": dt.date.fromisoformat,
}
_SHIPMENT: dict[str, Callable[[str], Any]] = {
    "number": str,
    "carrier": str,
    "tracking": str,
    "status": _status("shipments", "status"),
    "shipped_at": _instant,
    "delivered_at": _instant,
}
_SHIPMENT_LINE: dict[str, Callable[[str], Any]] = {"quantity": _decimal}


def merge(order_id: str, state: OrderState, owners: Owners, words: Words, now_us: int) -> Merged:
    """The order as its owners have it.  Conflicts keep the age that `state.conflicts` remembers."""
    merging = _Merging(state, owners, words, now_us)
    header = state.said("header").get(order_id, {})
    values = merging.attributes("header", "", header, _HEADER)
    lines = []
    for line_id, said in sorted(state.said("line").items()):
        line = merging.attributes("line", f"lines/{line_id}/", said, _LINE)
        lines.append(OrderLine(line_id=line_id, **line))
    result = Merged(
        None, list(merging.shipments(order_id)), merging.conflicts, merging.unreadable, has_header=bool(header)
    )
    if not header and not lines:
        return result
    if "placed_at" in values:
        values["placed_us"] = values.pop("placed_at")
    result.order = Order(
        order_id=order_id,
        version=0,
        complete=True,
        withdrawn=_withdrawn(header, owners),
        lines=tuple(lines),
        conflicts=tuple(merging.conflicts[:MAX_CONFLICTS]),
        **values,
    )
    return result


class _Merging:
    def __init__(self, state: OrderState, owners: Owners, words: Words, now_us: int) -> None:
        self.state, self.owners, self.words, self.now_us = state, owners, words, now_us
        self.conflicts: list[Conflict] = []
        self.unreadable: list[Unreadable] = []

    def attributes(
        self, kind: str, place: str, said: dict[str, Statement], columns: dict[str, Callable[[str], Any]]
    ) -> dict[str, Any]:
        """Column → value, of those that an owner states; conflicts and unreadable values are noted."""
        found = {}
        for column, parse in columns.items():
            stated: dict[str, Any] = {}
            for source, statement in said.items():
                text = statement.attributes.get(column)
                if text is None or text == UNKNOWN:
                    continue
                try:
                    stated[source] = parse(text)
                except (ValueError, ArithmeticError):
                    is_status = column.endswith("status")
                    code = "status-unmapped" if is_status else "order-part-unreadable"
                    self.unreadable.append(Unreadable(source, place + column, text, code))
            if not stated:
                continue
            owner = next((o for o in self.owners.attribute_owners(kind, column) if o in stated), None)
            if owner is None:
                continue
            found[column] = stated[owner]
            for source, value in stated.items():
                if value == stated[owner] or said[source].withdrawn is not None:
                    continue
                if not agree(self.words, kind, column, (owner, stated[owner]), (source, value)):
                    self._disagree(place + column, owner, stated[owner], source, value)
        return found

    def shipments(self, order_id: str) -> Iterator[Shipment]:
        """Every shipment of the order, by shipment_id."""
        by_shipment: dict[str, dict[str, dict[str, Statement]]] = {}
        for part_id, said in self.state.said("shipment").items():
            shipment_id, line_id = _split(part_id, said)
            by_shipment.setdefault(shipment_id, {})[line_id] = said
        for shipment_id, lines in sorted(by_shipment.items()):
            newest: dict[str, Statement] = {}
            for said in lines.values():
                for source, statement in said.items():
                    if source not in newest or _rank(statement) > _rank(newest[source]):
                        newest[source] = statement
            values = self.attributes("shipment", f"shipments/{shipment_id}/", newest, _SHIPMENT)
            contents = []
            for line_id, said in sorted(lines.items()):
                place = f"shipments/{shipment_id}/{line_id}/"
                quantity = self.attributes("shipment", place, said, _SHIPMENT_LINE).get("quantity")
                contents.append(ShipmentLine(line_id=line_id, quantity=quantity))
            for column in ("shipped", "delivered"):
                if f"{column}_at" in values:
                    values[f"{column}_us"] = values.pop(f"{column}_at")
            source = next((o for o in self.owners.attribute_owners("shipment", "*") if o in newest), min(newest))
            yield Shipment(
                shipment_id=shipment_id, version=0, order_id=order_id, lines=tuple(contents), source=source, **values
            )

    def _disagree(self, place: str, owner: str, owner_value: Any, other: str, other_value: Any) -> None:
        since_us = self.state.conflicts.get(place + SEPARATOR + other, self.now_us)
        self.conflicts.append(
            Conflict(
                attribute=place,
                owner=owner,
                owner_value=_text(owner_value),
                other=other,
                other_value=_text(other_value),
                since_us=since_us,
            )
        )


def _split(part_id: str, said: dict[str, Statement]) -> tuple[str, str]:
    """shipment_id and line_id of a shipment line; either may hold a slash, so the stated shipment_id decides."""
    for statement in said.values():
        stated = statement.attributes.get("shipment_id")
        if stated is not None and part_id.startswith(stated + "/"):
            return stated, part_id[len(stated) + 1 :]
    shipment_id, _, line_id = part_id.rpartition("/")
    return shipment_id or line_id, line_id if shipment_id else ""


def _rank(statement: Statement) -> tuple[bool, int, int]:
    """Which of one source's lines of a shipment speaks for the shipment: a living one, the greatest as_of, version."""
    as_of_us = -1 if statement.as_of_us is None else statement.as_of_us
    return statement.withdrawn is None, as_of_us, statement.version


def _withdrawn(header: dict[str, Statement], owners: Owners) -> str | None:
    """What the deletion of the order meant, by the first owner of the header that still says something."""
    known = [header[source] for source in owners.attribute_owners("header", "*") if source in header]
    standing = next((s for s in known if s.withdrawn != Deletion.REMOVED), None)
    if standing is not None:
        return standing.withdrawn
    return Deletion.REMOVED.value if known else None


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, dt.date) else str(value)
