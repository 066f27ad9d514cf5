"""Rows of a production database, in one read-only snapshot, chunks along the primary key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pymysql

from schemas.errors import InvalidInput
from streams.connect.live.images import image, selected
from streams.connect.preflight import Target
from streams.connect.reading import (
    Condition,
    Key,
    Limits,
    Reading,
    beyond,
    literal,
    one_of,
    quoted,
    quoted_table,
    reading,
)
from streams.core.mapping.catalogue import Catalogue, Column, Kind, Table
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import MANY, Lookup, LookupKey

LIMITS = Limits(chunk_rows=1_000, rows_per_s=20_000)
IN_ONE_QUESTION = 500
"""Keys asked for in one statement."""
_BITS = {"smallint": 15, "integer": 31}


class LiveRows:
    """Rows of the tables a mapping needs, as Debezium would send them, in one snapshot.

    Raises EnvironmentFault when the database fails.
    """

    def __init__(self, database: Reading, mapping: CompiledMapping) -> None:
        self._database, self._mapping = database, mapping
        self._kind = mapping.source.kind
        self.read = 0

    @property
    def catalogue(self) -> Catalogue:
        return self._mapping.catalogue

    def chunks(self, table: str, limit: int | None = None, *, newest: bool = False) -> Iterator[list[bytes]]:
        """Rows along the primary key, from its end if `newest`."""
        names = self._key_names(table)
        order = f" ORDER BY {', '.join(f'{name} DESC' if newest else name for name in names)}"
        chunk = self._database.limits.chunk_rows
        rest, left = Condition(), limit
        while left is None or left > 0:
            size = chunk if left is None else min(chunk, left)
            found = self._rows(table, rest, f"{order} LIMIT {size}")
            if found:
                yield [one for one, _ in found]
            if len(found) < size:
                return
            rest = beyond(self._kind, names, found[-1][1], before=newest)
            left = None if left is None else left - size

    def where(self, table: str, condition: str, limit: int) -> list[bytes]:
        """Rows that meet a condition in the database's SQL.  Raises InvalidInput when it does not take it."""
        order = ", ".join(self._key_names(table))
        try:
            only = Condition(f"({literal(condition)})")
            return [one for one, _ in self._rows(table, only, f" ORDER BY {order} LIMIT {limit}")]
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            raise InvalidInput(f"--where {condition!r}: {str(error).partition(chr(10))[0]}") from None
        except (pymysql.err.ProgrammingError, pymysql.err.OperationalError) as error:
            raise InvalidInput(f"--where {condition!r}: {error.args[-1]}") from None

    def by_key(self, table: str, keys: Sequence[LookupKey]) -> list[bytes]:
        """Rows by primary key."""
        return self._equal(table, self._table(table).primary, keys)

    def found(self, lookup: Lookup, keys: Collection[LookupKey]) -> list[bytes]:
        """Rows under lookup keys, more when the database's equality is wider."""
        if not lookup.columns:
            return [one for one, _ in self._rows(lookup.table, Condition(), " LIMIT 2")]
        return self._equal(lookup.table, lookup.columns, list(keys), MANY + 1 if lookup.many else None)

    def _equal(
        self, table: str, names: Sequence[str], keys: Sequence[LookupKey], each: int | None = None
    ) -> list[bytes]:
        columns = [self._table(table).columns[name] for name in names]
        asked = [bound for key in keys if (bound := self._bound(columns, key)) is not None]
        left = [quoted(self._kind, name) for name in names]
        out: list[bytes] = []
        for at in range(0, len(asked), IN_ONE_QUESTION):
            some = asked[at : at + IN_ONE_QUESTION]
            limit = "" if each is None else f" LIMIT {each * len(some)}"
            out += [one for one, _ in self._rows(table, one_of(left, some), limit)]
        return out

    def _bound(self, columns: Sequence[Column], key: LookupKey) -> Key | None:
        """Values as parameters; None: this column cannot hold such a value."""
        out: list[Any] = []
        for column, value in zip(columns, key, strict=True):
            if column.kind == Kind.INT and isinstance(value, (int, Decimal)):
                if value != int(value):
                    return None
                value = int(value)
                bits = _BITS.get(column.type, 63)
                if self._kind == "postgres" and not -(1 << bits) <= value < 1 << bits:
                    return None  # an error there, where MariaDB finds nothing
            if self._kind == "postgres":
                value = str(value)
                if "\0" in value:
                    return None
            out.append(value)
        return tuple(out)

    def _key_names(self, table: str) -> list[str]:
        return [quoted(self._kind, name) for name in self._table(table).primary]

    def _table(self, table: str) -> Table:
        return self.catalogue.tables[table.rpartition(".")[2]]

    def _rows(self, table: str, rest: Condition, order: str = "") -> list[tuple[bytes, Key]]:
        """(image, primary key as a parameter takes it) of the rows that `rest` chooses."""
        known = self._table(table).columns
        columns = [known[name] for name in self._mapping.tables[table].columns]
        keys = self._key_names(table)
        if self._kind == "postgres":
            keys = [selected(self._kind, known[name]) for name in self._table(table).primary]
        wanted = ", ".join([*(selected(self._kind, column) for column in columns), *keys])
        where = f" WHERE {rest.sql}" if rest.sql else ""
        text = f"SELECT {wanted} FROM {quoted_table(self._kind, table)}{where}{order}"
        self._database.wait_for_turn()
        answer = self._database.run(text, rest.values).fetchall()
        out = [(image(self._kind, columns, row[: -len(keys)]), row[-len(keys) :]) for row in answer]
        self._database.count(len(out))
        self.read += len(out)
        return out


@contextmanager
def live_rows(mapping: CompiledMapping, at: Target, limits: Limits = LIMITS) -> Iterator[LiveRows]:
    """Opens the snapshot.  Raises EnvironmentFault."""
    source = mapping.source
    if source.kind not in ("postgres", "mariadb"):
        raise InvalidInput(
            f"source {source.name}: live rows are read from postgres and mariadb, not from {source.kind}"
        )
    with reading(source.kind, source.schema_, at, limits) as database, database.snapshot():
        yield LiveRows(database, mapping)
