"""Parts of a mapping that say nothing new, because a column they use is no longer sent: what they said stands."""

from __future__ import annotations

import msgspec

from streams.core.lane.keys import ZERO, balance_name, split_sku
from streams.core.lane.state import RowRecord
from streams.core.mapping.partial import Part

_PARTS = {b"i": "items.sql", b"l": "locations.sql", b"b": "components.sql", b"t": "components.sql"}
_ORDER_PARTS = {b"header": "orders.sql", b"line": "order_lines.sql", b"shipment": "shipments.sql"}


class LeftOut:
    """Tells what a row said by which file."""

    def __init__(self, parts: frozenset[Part]) -> None:
        self._files: dict[str, set[str]] = {}
        for part in parts:
            self._files.setdefault(part.table, set()).add(part.file)

    def without(self, table: str, record: RowRecord) -> RowRecord:
        """The row as if these parts had never said anything."""
        if table not in self._files:
            return record
        postings, parts = set(self.postings(table, record)), set(self.parts(table, record))
        return msgspec.structs.replace(
            record,
            postings=tuple(one for one in record.postings if one not in postings),
            parts=tuple(one for one in record.parts if one not in parts),
        )

    def postings(self, table: str, record: RowRecord) -> tuple[tuple[bytes, str], ...]:
        """The postings of a row of this table that stand, though nothing evaluates them."""
        files = self._files.get(table, ())
        return tuple(posting for posting in record.postings if files and _file_of_posting(posting[0]) in files)

    def parts(self, table: str, record: RowRecord) -> tuple[tuple[bytes, bytes], ...]:
        """The items, locations, bills and order parts that do."""
        files = self._files.get(table, ())
        return tuple(part for part in record.parts if files and _file_of_part(part[0]) in files)


def _file_of_posting(balance: bytes) -> str:
    view = balance_name(split_sku(balance)[1]).view
    return f"postings.{view}.sql" if view else "postings.sql"


def _file_of_part(key: bytes) -> str:
    if key[:1] == b"o":
        return _ORDER_PARTS[key.split(ZERO)[1]]
    return _PARTS[key[:1]]
