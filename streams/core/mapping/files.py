"""The output files a mapping may have, and what each column must be, in the words of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.contract import schema_of


class Rule(StrEnum):
    """What a column must be."""

    KEY = "key"
    """Text, never NULL or empty, not beginning with ~."""
    TEXT = "text"
    QUANTITY = "quantity"
    INT = "integer"
    CONDITION = "condition"
    DATE = "date"
    MOMENT = "time stamp"
    STATUS = "status"
    BUCKET = "bucket"


@dataclass(frozen=True)
class FileKind:
    """One kind of output file: its columns, in the words of the contract."""

    name: str
    required: Mapping[str, Rule]
    optional: Mapping[str, Rule]

    @property
    def columns(self) -> dict[str, Rule]:
        return {**self.required, **self.optional}


_QUANTITIES = ("ordered", "allocated", "picked", "packed", "shipped", "delivered", "returned", "cancelled")
FILE_KINDS = {
    kind.name: kind
    for kind in (
        FileKind(
            "postings",
            {"sku": Rule.KEY, "location": Rule.TEXT, "bucket": Rule.BUCKET, "quantity": Rule.QUANTITY},
            {"due": Rule.DATE, "reference": Rule.TEXT},
        ),
        FileKind(
            "items",
            {"sku": Rule.KEY},
            {
                "name": Rule.TEXT,
                "unit": Rule.TEXT,
                "unit_digits": Rule.INT,
                "tracked": Rule.CONDITION,
                "backorder_limit": Rule.QUANTITY,
                "active": Rule.CONDITION,
            },
        ),
        FileKind("components", {"sku": Rule.KEY, "component": Rule.KEY, "quantity": Rule.QUANTITY}, {}),
        FileKind(
            "locations",
            {"location": Rule.KEY},
            {"name": Rule.TEXT, "kind": Rule.TEXT, "time_zone": Rule.TEXT, "active": Rule.CONDITION},
        ),
        FileKind(
            "orders",
            {"order_id": Rule.KEY},
            {
                "number": Rule.TEXT,
                "channel": Rule.TEXT,
                "customer": Rule.TEXT,
                "placed_at": Rule.MOMENT,
                "due": Rule.DATE,
                "financial_status": Rule.STATUS,
                "execution_status": Rule.STATUS,
                "delivery_status": Rule.STATUS,
                "presentation_status": Rule.STATUS,
                "as_of": Rule.MOMENT,
            },
        ),
        FileKind(
            "order_lines",
            {"order_id": Rule.KEY, "line_id": Rule.KEY},
            {
                "sku": Rule.TEXT,
                "location": Rule.TEXT,
                "unit": Rule.TEXT,
                **dict.fromkeys(_QUANTITIES, Rule.QUANTITY),
                "due": Rule.DATE,
                "as_of": Rule.MOMENT,
            },
        ),
        FileKind(
            "shipments",
            {"shipment_id": Rule.KEY},
            {
                "order_id": Rule.TEXT,
                "line_id": Rule.TEXT,
                "number": Rule.TEXT,
                "carrier": Rule.TEXT,
                "tracking": Rule.TEXT,
                "status": Rule.STATUS,
                "quantity": Rule.QUANTITY,
                "shipped_at": Rule.MOMENT,
                "delivered_at": Rule.MOMENT,
                "as_of": Rule.MOMENT,
            },
        ),
    )
}
MOMENT_COLUMNS = frozenset(
    name for kind in FILE_KINDS.values() for name, rule in kind.columns.items() if rule is Rule.MOMENT
)
"""Columns whose values are epoch microseconds, as text."""
_LATER = {"crosswalk": "crosswalks"}


def file_kind(file: str) -> tuple[FileKind, str] | str:
    """The kind and posting view of a file name without `.sql`, or why there is none."""
    name, _, view = file.partition(".")
    if name in _LATER:
        return f"{_LATER[name]} are not built yet: leave {file}.sql out"
    kind = FILE_KINDS.get(name)
    if kind is None:
        return f"no output has this name: {', '.join(f'{known}.sql' for known in FILE_KINDS)} or postings.<view>.sql"
    if view and name != "postings":
        return f"only postings has views: {name}.sql"
    return kind, view


def status_symbols(file: str, column: str) -> tuple[str, ...]:
    """What a status column may be mapped to, by the contract; empty: the file has no such status column."""
    kind = FILE_KINDS.get(file)
    if kind is None or kind.columns.get(column) != Rule.STATUS:
        return ()
    for part in schema_of("shipment.v1" if file == "shipments" else "order.v1")["fields"]:
        if part["name"] == column:
            return tuple(symbol for symbol in part["type"]["symbols"] if symbol != "unknown")
    return ()
