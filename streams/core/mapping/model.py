"""What a compiled mapping offers to the lane, the audit and the tools.

A *mapping* is all SQL files of one source, compiled once.  Rows come in as typed structs of just the needed columns;
evaluating a driving row yields outputs, the lookups it rests on, and the INNER lookups that are missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from schemas.messages import ItemPart, LocationPart
from schemas.records import Bucket

LookupKey = tuple[Any, ...]
"""Key of a lookup row: the folded values of the lookup's columns; hashable."""


class RowError(Exception):
    """One row cannot be evaluated: NaN, a text that is no number, a NULL sku …  One exception record, never a stop."""

    def __init__(self, code: str, message: str, subject: str = "") -> None:
        super().__init__(message)
        self.code = code
        """Stable code: `row-unmappable` unless a finer one exists."""
        self.subject = subject
        """What is wrong, when many rows suffer from it: they share one exception; empty: the row itself."""


class Lookup(NamedTuple):
    """One keyed view of a table."""

    table: str
    """Qualified table, as `TableMapping.name`."""
    columns: tuple[str, ...]
    """None: the table has one row, found under the empty key."""
    where: str = ""
    """What a row must meet to be found, when the key is unique only then."""
    many: bool = False
    """Several rows may share a key; `LookupSource.get` gives all of them."""

    def __str__(self) -> str:
        where = f" WHERE {self.where}" if self.where else ""
        return f"{self.table} ({', '.join(self.columns)}){where}"


MANY = 10_000
"""Rows that one key of a `many` lookup may have, and outputs that one driving row may have because of it."""


def ambiguous(lookup: Lookup, key: LookupKey, found: str) -> RowError:
    """Several rows (`found` says which) where the mapping relies on one: never a silent pick."""
    subject = f"{lookup} {list(map(str, key))}"
    return RowError("lookup-ambiguous", f"lookup {subject}: {found} share one key", subject)


def too_many(lookup: Lookup, key: LookupKey) -> RowError:
    """More rows under one key than `MANY`."""
    subject = f"{lookup} {list(map(str, key))}"
    return RowError("lookup-too-many", f"lookup {subject}: more than {MANY:,} rows share this key", subject)


class Posting(NamedTuple):
    """One output row of postings.sql or postings.<view>.sql, checked: keys not NULL, bucket known, scale ≤ 9."""

    view: str
    sku: str
    location: str
    bucket: Bucket
    due: dt.date | None
    reference: str | None
    quantity: Decimal


class ComponentRow(NamedTuple):
    """One output row of components.sql, checked: keys not NULL, quantity more than zero, scale ≤ 9."""

    kit: str
    component: str
    quantity: Decimal
    """Per kit."""


class OrderRow(NamedTuple):
    """One output row of orders.sql, order_lines.sql or shipments.sql."""

    kind: str
    """header | line | shipment"""
    order_id: str | None
    """None for a shipment whose file has no order_id or a NULL one: parked, code `shipment-without-order`."""
    part_id: str
    attributes: dict[str, str | None]
    """As `schemas.records.OrderPart.attributes`; statuses mapped by source.yaml."""
    raw_statuses: dict[str, str | None]
    unmapped: tuple[str, ...]
    """Status columns whose code source.yaml does not map: attribute is absent, code `status-unmapped`."""


OutputRow = Posting | ItemPart | ComponentRow | LocationPart | OrderRow


class Evaluation(NamedTuple):
    """What one driving row yields, over all SELECTs of all files it drives."""

    outputs: tuple[OutputRow, ...]
    rests_on: tuple[tuple[int, LookupKey], ...]
    """(index into Mapping.lookups, key) of every direct lookup, found or not; the same one may stand there
    more than once."""
    missing: tuple[tuple[int, LookupKey], ...]
    """INNER lookups that were not there: the SELECT yielded nothing and the row waits (is parked) for them."""


class LookupSource(Protocol):
    """Where evaluation finds lookup rows: one per entry of `Mapping.lookups`."""

    def get(self, key: LookupKey) -> Any | None:
        """The row struct of the lookup's table, or None; of a `many` lookup a sequence of them by primary key, or
        None.  Raises RowError `lookup-ambiguous`, `lookup-too-many`."""


class TableMapping(Protocol):
    """One captured table: decoding, storing, and its part in the mapping."""

    name: str
    """`schema.table` (PostgreSQL) or `database.table` (MariaDB), as in Debezium's source block."""
    key: tuple[str, ...]
    """Primary key columns, in the order of the catalogue."""
    columns: tuple[str, ...]
    """Needed columns, primary key included, sorted."""
    feeds: frozenset[str]
    """Output files this table can change as driver or lookup: postings, items, …"""
    buckets: frozenset[Bucket]
    """Buckets its postings can touch, as driver or lookup (from the SQL's literals; all of them when not literal)."""
    joins: frozenset[str]
    """Tables (`TableMapping.name`) in which evaluation may look something up for a row of this one."""
    spreads: bool
    """A SELECT it drives joins several rows to one, so that one row may say thousands of things."""
    deletion: str
    """cancelled | archived | removed: what the delete of a row means (source.yaml `deletions`; default removed)."""

    def decode(self, after: bytes) -> Any:
        """Row struct from Debezium's `after` JSON.  Absent columns are msgspec.UNSET, never None.  Raises RowError."""

    def decode_key(self, key: bytes) -> tuple[Any, ...]:
        """Primary key values, in the order of `key`, from the record key's JSON; equal to `key_of` of the row."""

    def key_of(self, row: Any) -> tuple[Any, ...]:
        """Primary key values of a row struct."""

    def absent(self, row: Any) -> tuple[str, ...]:
        """Needed columns the event does not carry: dropped or renamed at the source; the mapping parks."""

    def merged(self, row: Any, previous: Any | None) -> Any:
        """The row with every unavailable-value placeholder (unchanged TOAST or LOB) taken from `previous`.  Raises
        RowError `toast-without-previous` when there is none."""

    def dump(self, row: Any) -> bytes:
        """Compact bytes for the row store; equal rows give equal bytes."""

    def load(self, stored: bytes) -> Any:
        """Inverse of `dump`."""

    def evaluate(self, row: Any, lookups: Sequence[LookupSource]) -> Evaluation:
        """All outputs of this row as a driving row.  Raises RowError."""

    def lookup_keys(self, row: Any) -> tuple[tuple[int, LookupKey], ...]:
        """(lookup, key) under which this row is found as a lookup row; a NULL key is left out."""

    def chains(self, row: Any) -> tuple[tuple[int, LookupKey], ...]:
        """(lookup, key) that this row, as a lookup row, leads on to."""


class Mapping(Protocol):
    """All files of one source, compiled."""

    fingerprint: bytes
    """32 bytes over SQL texts, source.yaml and catalog.json."""

    @property
    def tables(self) -> MappingType[str, TableMapping]:
        """By qualified name: every table the SQL needs."""

    @property
    def lookups(self) -> Sequence[Lookup]:
        """Every keyed view of a table that some SELECT joins."""

    def dump_lookup_key(self, key: LookupKey) -> bytes:
        """Bytes of a lookup key for the dependency index: equal keys give equal bytes; order does not matter."""
