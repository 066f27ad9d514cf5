"""What one driving row says, on both sides, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from streams.connect.audit.selects import Wanted
from streams.core.lane.keys import ZERO, balance_name, split_sku
from streams.core.lane.mapped import Mapped, mapped
from streams.core.lane.state import EXACT, ItemState, LocationState, PartState
from streams.core.mapping.files import FILE_KINDS, Rule
from streams.core.mapping.model import Evaluation, OutputRow

_ORDER_FILES = {"header": "orders", "line": "order_lines", "shipment": "shipments"}
_NUMBERS = {
    name for file in _ORDER_FILES.values() for name, rule in FILE_KINDS[file].columns.items() if rule is Rule.QUANTITY
}
_item_decoder = msgspec.msgpack.Decoder(ItemState)
_location_decoder = msgspec.msgpack.Decoder(LocationState)
_part_decoder = msgspec.msgpack.Decoder(PartState)

Columns = dict[str, Any]
Said = dict[bytes, Columns]
"""Name of a balance or part (its kind's letter, then its state name) → columns and their values; of a balance
`quantity` and `postings`."""

ABSENT: Columns = {}


class Line(NamedTuple):
    """One column of one balance or part on which the two sides differ."""

    output: str
    """The file: postings, items, …"""
    about: tuple[tuple[str, str], ...]
    """What tells it apart: sku, location, bucket, …"""
    column: str
    """`(all)`: only one side has it at all."""
    database: Any
    """None: the database says NULL, or nothing."""
    lane: Any


def said_by(postings: Iterable[tuple[bytes, str]], parts: Iterable[tuple[bytes, bytes]], reference: bytes) -> Said:
    """From what a lane keeps of a row, or would keep."""
    found: Said = {}
    for balance, quantity in postings:
        total = found.setdefault(b"s" + balance, {"quantity": Decimal(0), "postings": 0})
        total["quantity"] = EXACT.add(total["quantity"], Decimal(quantity))
        total["postings"] += 1
    for key, value in parts:
        if key[:1] != b"t":
            found[key[: -len(reference) - 1]] = columns_of(key[:1], value)
    return found


def mapped_of(outputs: list[OutputRow], reference: bytes) -> Mapped:
    """What the lane would keep of what the database computed.  Raises RowError."""
    return mapped(Evaluation(tuple(outputs), (), ()), reference)


def columns_of(kind: bytes, value: bytes) -> Columns:
    """The columns of a part, from the state."""
    if kind == b"b":
        return {"quantity": Decimal(value.decode())}
    if kind == b"i":
        return msgspec.structs.asdict(_item_decoder.decode(value))
    if kind == b"l":
        return msgspec.structs.asdict(_location_decoder.decode(value))
    part = _part_decoder.decode(value)
    said: Columns = {
        name: Decimal(text) if text is not None and name in _NUMBERS else text for name, text in part.attributes.items()
    }
    return said | {f"{name} (code)": code for name, code in part.raw_statuses.items()}


def only_wanted(said: Said, wanted: Wanted) -> Said:
    """What is about the skus and orders asked for."""
    if not wanted:
        return said
    return {name: columns for name, columns in said.items() if named_about(name, wanted)}


def named_about(name: bytes, wanted: Wanted) -> bool:
    """Is this balance or part about something asked for?  A row reference may stand behind the name."""
    kind, rest = name[:1], name[1:]
    first, behind = split_sku(rest)
    if kind == b"o":
        return first.decode() in wanted.orders
    if kind == b"b":
        return first.decode() in wanted.skus or split_sku(behind)[0].decode() in wanted.skus
    return kind in (b"s", b"i") and first.decode() in wanted.skus


def differing(there: Mapping[bytes, Columns], here: Mapping[bytes, Columns]) -> list[bytes]:
    """Names on which database and lane disagree."""
    return sorted(name for name in there.keys() | here.keys() if there.get(name, ABSENT) != here.get(name, ABSENT))


def lines(name: bytes, there: Columns, here: Columns) -> Iterator[Line]:
    """The columns on which one balance or part differs."""
    output, about = named(name)
    if name[:1] in (b"s", b"b"):
        columns = ["quantity"]
        if there.get("quantity") == here.get("quantity"):
            columns = ["postings"]
    elif not there or not here:
        yield Line(output, about, "(all)", "there" if there else None, "there" if here else None)
        return
    else:
        columns = sorted(column for column in there.keys() | here.keys() if there.get(column) != here.get(column))
    for column in columns:
        yield Line(output, about, column, there.get(column), here.get(column))


def named(name: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """(file, what tells this balance or part apart)."""
    kind, rest = name[:1], name[1:]
    first, behind = split_sku(rest)
    if kind == b"s":
        said = balance_name(behind)
        parts = {
            "sku": first.decode(),
            "location": said.location,
            "bucket": said.bucket.value,
            "due": said.due.isoformat() if said.due else "",
            "reference": said.reference or "",
        }
        file = f"postings.{said.view}" if said.view else "postings"
        return file, tuple((name, text) for name, text in parts.items() if text)
    if kind == b"b":
        return "components", (("sku", first.decode()), ("component", behind.decode()))
    if kind == b"i":
        return "items", (("sku", rest.decode()),)
    if kind == b"l":
        return "locations", (("location", rest.decode()),)
    order_kind, _, part = behind.partition(ZERO)
    return _ORDER_FILES[order_kind.decode()], (("order", first.decode()), ("part", part.decode()))
