"""Balances and bills: as the database sums the mapping's own files, and as a lane holds them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from streams.core.lane.keys import balance_name, split_sku
from streams.core.lane.sums import decode_sum
from streams.core.mapping.mapping import CompiledMapping

COMPONENT = "component"
"""Stands in place of a bucket for a line of a bill: sku is the kit, reference the component."""
Query = Callable[[str], list[tuple[Any, ...]]]


class Balance(NamedTuple):
    """What tells one from another."""

    sku: str
    location: str
    bucket: str
    due: str | None
    reference: str | None


Totals = dict[Balance, tuple[Decimal, int]]
"""Quantity, and of how many postings; of a bill's line always one."""


def database_totals(mapping: CompiledMapping, query: Query) -> Totals:
    """The file texts as they are, wrapped in GROUP BY."""
    exactly = "BINARY " if mapping.source.kind == "mariadb" else ""
    totals: Totals = {}
    for file, text in mapping.files.items():
        body = text.strip().removesuffix(";")
        if file == "components.sql":
            groups = f"{exactly}sku, {exactly}component"
            for kit, part, quantity in query(
                f"SELECT sku, component, SUM(quantity)\nFROM (\n{body}\n) AS m\nGROUP BY {groups}"
            ):
                totals[Balance(kit, "", COMPONENT, None, part)] = Decimal(str(quantity)).normalize(), 1
        if file == "postings.sql":
            names = "sku, location, bucket, due, reference"
            groups = f"{exactly}sku, {exactly}location, {exactly}bucket, due, {exactly}reference"
            for sku, location, bucket, due, reference, quantity, postings in query(
                f"SELECT {names}, SUM(quantity), COUNT(*)\nFROM (\n{body}\n) AS m\nGROUP BY {groups}"
            ):
                day = due.isoformat() if isinstance(due, dt.date) else due
                totals[Balance(sku, location, bucket, day, reference)] = (
                    Decimal(str(quantity)).normalize(),
                    int(postings),
                )
    return totals


def lane_totals(state: Mapping[bytes, bytes]) -> Totals:
    """From a lane's whole state."""
    totals: Totals = {}
    for name, value in state.items():
        if name[:1] == b"b":
            kit, rest = split_sku(name[1:])
            key = Balance(kit.decode(), "", COMPONENT, None, split_sku(rest)[0].decode())
            totals[key] = (totals.get(key, (Decimal(0), 1))[0] + Decimal(value.decode())).normalize(), 1
        elif name[:1] == b"s":
            found = decode_sum(value)
            sku, balance = split_sku(name[1:])
            what = balance_name(balance)
            if found.postings:
                due = what.due.isoformat() if what.due else None
                key = Balance(sku.decode(), what.location, what.bucket.value, due, what.reference)
                totals[key] = found.quantity.normalize(), found.postings
    return totals
