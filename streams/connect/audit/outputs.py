"""A row that the database computed for a mapping's SELECT, as the output row the lane would make of it."""

from __future__ import annotations

import base64
import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.messages import ItemPart, LocationPart
from streams.connect.audit.selects import Selected
from streams.core.mapping import row_checks, semantics
from streams.core.mapping.catalogue import Column, Kind
from streams.core.mapping.files import Rule
from streams.core.mapping.model import ComponentRow, OrderRow, OutputRow, Posting

_ORDER_KINDS = {"orders": "header", "order_lines": "line", "shipments": "shipment"}
_TEXTS = (Rule.KEY, Rule.TEXT, Rule.BUCKET, Rule.STATUS)
_INSTANT_MARIADB = 7
"""Field type TIMESTAMP: it comes in UTC, as the session asks."""


class OutputMaker:
    """Makes the output rows of one SELECT."""

    def __init__(self, of: Selected, statuses: Mapping[str, Mapping[str, str]], time_zone: str) -> None:
        self._of = of
        self._statuses = statuses
        self._zone = dt.UTC if time_zone == "UTC" else zoneinfo.ZoneInfo(time_zone)
        rules = of.kind.columns
        self._columns = [(name, rules[name]) for name in of.columns]
        self._keys = [name for name, rule in of.kind.required.items() if rule is Rule.KEY]

    def make(self, values: Sequence[Any], types: Sequence[Any]) -> OutputRow:
        """`types` are the driver's.  Raises RowError for what no contract can hold, as the lane does."""
        row: dict[str, Any] = {
            name: value if value is None else self._read(rule, self._plain(name, value), type_ == _INSTANT_MARIADB)
            for (name, rule), value, type_ in zip(self._columns, values, types, strict=True)
        }
        for name in self._keys:
            row_checks.check_key(name, row[name])
        match self._of.kind.name:
            case "postings":
                return self._posting(row)
            case "components":
                if row["quantity"] is None:
                    row_checks.bad_quantity(None)
                row_checks.fine_enough(row["quantity"])
                if row["quantity"] <= 0 or row["sku"] == row["component"]:
                    row_checks.bad_component(row["sku"], row["component"], row["quantity"])
                return ComponentRow(row["sku"], row["component"], row["quantity"])
            case "items":
                return ItemPart(**_true_unless_said(row, "tracked", "active"))
            case "locations":
                return LocationPart(**_true_unless_said(row, "active"))
        return self._order_row(row)

    def _posting(self, row: Mapping[str, Any]) -> Posting:
        if not row["location"] or row["location"][0] in row_checks.BLANKS:
            row_checks.check_key("location", row["location"])
        if row["bucket"] not in row_checks.BUCKETS:
            row_checks.bad_bucket(row["bucket"])
        if row["quantity"] is None:
            row_checks.bad_quantity(None)
        row_checks.fine_enough(row["quantity"])
        due = dt.date.fromisoformat(row["due"]) if row.get("due") else None
        bucket = row_checks.BUCKETS[row["bucket"]]
        return Posting(self._of.view, row["sku"], row["location"], bucket, due, row.get("reference"), row["quantity"])

    def _order_row(self, row: dict[str, Any]) -> OrderRow:
        kind = _ORDER_KINDS[self._of.kind.name]
        identity = {*self._of.kind.required, *(("order_id",) if kind == "shipment" else ())}
        order = row.get("order_id")
        attributes: dict[str, str | None] = {}
        raw: dict[str, str | None] = {}
        unmapped: list[str] = []
        if kind == "header":
            part = row["order_id"]
        elif kind == "line":
            part = row["line_id"]
        else:
            part = f"{row['shipment_id']}/{row.get('line_id') or ''}"
            attributes["shipment_id"] = row["shipment_id"]
            order = order or None
            if order is not None:
                row_checks.check_key("order_id", order)
        for name, rule in self._columns:
            value = row[name]
            if rule is Rule.STATUS:
                row_checks.map_status(attributes, raw, unmapped, name, value, self._statuses.get(name, {}))
            elif name not in identity:
                attributes[name] = row_checks.quantity_text(value) if isinstance(value, Decimal) else value
        return OrderRow(kind, order, part, attributes, raw, tuple(unmapped))

    def _plain(self, name: str, value: Any) -> Any:
        if not isinstance(value, bytes):
            return value
        return int.from_bytes(value) if name in self._of.bits else value.decode()

    def _read(self, rule: Rule, value: Any, instant: bool) -> Any:
        if type(value) is str and rule in _TEXTS:
            return value
        match rule:
            case Rule.QUANTITY:
                return _number(value)
            case Rule.INT:
                return int(value)
            case Rule.CONDITION:
                return bool(int(value))
            case Rule.DATE:
                return _day(value)
            case Rule.MOMENT:
                return self._moment(value, instant)
        return str(value)

    def _moment(self, value: Any, instant: bool) -> str:
        text = value.isoformat() if isinstance(value, dt.datetime) else str(value).replace(" ", "T", 1)
        if text.endswith("+00"):
            text, instant = text.removesuffix("+00"), True
        if len(text) < 19 or text[4] != "-" or text.endswith("BC"):
            raise semantics.unmappable(f"time stamp {text} is outside the years 1 to 9999")
        return semantics.microseconds(text, dt.UTC if instant else self._zone)


def lane_key(columns: Sequence[Column], key: Sequence[Any], postgres: bool) -> tuple[Any, ...]:
    """A key of the database as the lane has it from Debezium."""
    return tuple(_lane_value(column, value, postgres) for column, value in zip(columns, key, strict=True))


def database_key(columns: Sequence[Column], key: Sequence[Any], postgres: bool) -> tuple[Any, ...]:
    """Inverse of `lane_key`, as the database takes it in a condition."""
    return tuple(_database_value(column, value, postgres) for column, value in zip(columns, key, strict=True))


def _lane_value(column: Column, value: Any, postgres: bool) -> Any:
    match column.kind:
        case Kind.INT:
            return int(value)
        case Kind.EXACT:
            return Decimal(str(value))
        case Kind.FLOAT:
            return float(value)
        case Kind.BOOL:
            return value in (True, 1, "true", "t")
        case Kind.DATE:
            return f"{_day(value)}Z"
        case Kind.STAMP | Kind.INSTANT:
            text = value.isoformat() if isinstance(value, dt.datetime) else str(value).replace(" ", "T", 1)
            return semantics.stamp(text.removesuffix("+00") + "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if column.type == "bytea":
        return base64.b64encode(bytes.fromhex(str(value).removeprefix("\\x"))).decode()
    text = str(value)
    return text.ljust(column.length or 0) if postgres and column.padded else text


def _database_value(column: Column, value: Any, postgres: bool) -> Any:
    if column.kind is Kind.DATE:
        return str(value).removesuffix("Z")
    if column.type == "bytea":
        return "\\x" + base64.b64decode(value).hex()
    if "binary" in column.type or "blob" in column.type:
        return base64.b64decode(value)
    return str(value) if postgres else value


def _number(value: Any) -> Decimal:
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise semantics.unmappable(f"quantity {value!r} is no number") from None
    if not number.is_finite():
        raise semantics.unmappable(f"quantity {number}: no quantity can hold it")
    return number


def _day(value: Any) -> str:
    text = value.isoformat()[:10] if isinstance(value, dt.date) else str(value)
    return semantics.date(text + "Z")


def _true_unless_said(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """A condition that is NULL or left out counts as true, the contract's default."""
    return row | {name: row.get(name) is not False for name in names}
