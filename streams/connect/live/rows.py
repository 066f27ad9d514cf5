"""Reads rows of a production database without being felt there.

One read-only snapshot, every statement under a time limit, chunks along the primary key, and no more rows a second than
the pace allows.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pymysql

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.catalogue import Cursor, session
from streams.connect.live.images import image, quoted, selected
from streams.connect.preflight import Target
from streams.core.mapping.catalogue import Catalogue, Column, Kind, Table
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import MANY, Lookup, LookupKey

IN_ONE_QUESTION = 500
"""Keys asked for in one statement."""
_BITS = {"smallint": 15, "integer": 31}
_TIMED_OUT = (3024, 1969)
"""MariaDB's codes for a statement that ran too long."""


@dataclass(frozen=True)
class Manners:
    """How a database is read."""

    chunk: int = 1000
    """Rows a statement."""
    rows_per_s: float = 20_000
    statement_s: float = 30


class LiveRows:
    """Rows of the tables a mapping needs, as Debezium would send them, in one snapshot.

    Raises EnvironmentFault when the database fails.
    """

    def __init__(self, cursor: Cursor, mapping: CompiledMapping, manners: Manners) -> None:
        self._cursor, self._mapping, self._manners = cursor, mapping, manners
        self._kind = mapping.source.kind
        self.read = 0

    @property
    def catalogue(self) -> Catalogue:
        return self._mapping.catalogue

    def chunks(self, table: str, limit: int | None = None, *, newest: bool = False) -> Iterator[list[bytes]]:
        """Rows along the primary key, from its end if `newest`."""
        last: Sequence[Any] = ()
        left = limit
        while left is None or left > 0:
            size = self._manners.chunk if left is None else min(self._manners.chunk, left)
            after, values = self._beyond(table, last, newest)
            order = ", ".join(f"{name}{' DESC' if newest else ''}" for name in self._key_names(table))
            found = self._rows(table, f"{after} ORDER BY {order} LIMIT {size}", values)
            if found:
                yield [one for one, _ in found]
            if len(found) < size:
                return
            last = found[-1][1]
            left = None if left is None else left - size

    def where(self, table: str, condition: str, limit: int) -> list[bytes]:
        """Rows that meet a condition in the database's SQL.  Raises InvalidInput when it does not take it."""
        order = ", ".join(self._key_names(table))
        try:
            escaped = condition.replace("%", "%%")
            return [one for one, _ in self._rows(table, f"WHERE ({escaped}) ORDER BY {order} LIMIT {limit}", ())]
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            raise InvalidInput(f"--where {condition!r}: {str(error).partition(chr(10))[0]}") from None
        except (pymysql.err.ProgrammingError, pymysql.err.OperationalError) as error:
            if error.args[0] in _TIMED_OUT:
                raise
            raise InvalidInput(f"--where {condition!r}: {error.args[-1]}") from None

    def by_key(self, table: str, keys: Sequence[LookupKey]) -> list[bytes]:
        """Rows by primary key."""
        return self._equal(table, self._table(table).primary, keys)

    def found(self, lookup: Lookup, keys: Collection[LookupKey]) -> list[bytes]:
        """Rows under lookup keys, more when the database's equality is wider."""
        if not lookup.columns:
            return [one for one, _ in self._rows(lookup.table, "LIMIT 2", ())]
        return self._equal(lookup.table, lookup.columns, list(keys), MANY + 1 if lookup.many else None)

    def _equal(
        self, table: str, names: Sequence[str], keys: Sequence[LookupKey], each: int | None = None
    ) -> list[bytes]:
        columns = [self._table(table).columns[name] for name in names]
        asked = [bound for key in keys if (bound := self._bound(columns, key)) is not None]
        left = ", ".join(quoted(self._kind, name) for name in names)
        place = f"({', '.join(['%s'] * len(names))})"
        out: list[bytes] = []
        for at in range(0, len(asked), IN_ONE_QUESTION):
            some = asked[at : at + IN_ONE_QUESTION]
            limit = "" if each is None else f" LIMIT {each * len(some)}"
            text = f"WHERE ({left}) IN ({', '.join([place] * len(some))}){limit}"
            out += [one for one, _ in self._rows(table, text, [value for key in some for value in key])]
        return out

    def _bound(self, columns: Sequence[Column], key: LookupKey) -> list[Any] | None:
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
        return out

    def _beyond(self, table: str, last: Sequence[Any], newest: bool) -> tuple[str, list[Any]]:
        """The rows beyond the last key; so written that the database begins there in its index, also when all rows
        share the first column of the key, a company."""
        if not last:
            return "", []
        names, sign = self._key_names(table), "<" if newest else ">"
        if self._kind == "postgres":
            return f"WHERE ({', '.join(names)}) {sign} ({', '.join(['%s'] * len(names))})", list(last)
        ladder = [
            f"({' AND '.join([*(f'{name} = %s' for name in names[:n]), f'{names[n]} {sign} %s'])})"
            for n in range(len(names))
        ]
        values = [value for n in range(len(names)) for value in last[: n + 1]]
        return f"WHERE {names[0]} {sign}= %s AND ({' OR '.join(ladder)})", [last[0], *values]

    def _key_names(self, table: str) -> list[str]:
        return [quoted(self._kind, name) for name in self._table(table).primary]

    def _table(self, table: str) -> Table:
        return self.catalogue.tables[table.rpartition(".")[2]]

    def _rows(self, table: str, rest: str, values: Sequence[Any]) -> list[tuple[bytes, Sequence[Any]]]:
        """(image, primary key as a parameter takes it) of the rows that `rest` chooses."""
        started = time.monotonic()
        known = self._table(table).columns
        columns = [known[name] for name in self._mapping.tables[table].columns]
        keys = self._key_names(table)
        if self._kind == "postgres":
            keys = [selected(self._kind, known[name]) for name in self._table(table).primary]
        wanted = ", ".join([*(selected(self._kind, column) for column in columns), *keys])
        text = f"SELECT {wanted} FROM {quoted(self._kind, table)} {rest}"
        self._cursor.execute(text, values)
        out = [(image(self._kind, columns, row[: -len(keys)]), row[-len(keys) :]) for row in self._cursor.fetchall()]
        self.read += len(out)
        pause = len(out) / self._manners.rows_per_s - (time.monotonic() - started)
        if pause > 0:
            time.sleep(pause)
        return out


@contextmanager
def live_rows(mapping: CompiledMapping, at: Target, manners: Manners | None = None) -> Iterator[LiveRows]:
    """Opens the snapshot.  Raises EnvironmentFault."""
    manners = manners or Manners()
    kind = mapping.source.kind
    if kind not in ("postgres", "mariadb"):
        raise InvalidInput(
            f"source {mapping.source.name}: live rows are read from postgres and mariadb, not from {kind}"
        )
    with session(kind, at) as cursor:
        if kind == "postgres":
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", (f"{manners.statement_s * 1000:.0f}",))
            cursor.execute("SELECT set_config('search_path', %s, true)", (mapping.source.schema_,))
        else:
            cursor.execute(f"SET SESSION max_statement_time = {manners.statement_s:f}")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            yield LiveRows(cursor, mapping, manners)
        except (psycopg.errors.QueryCanceled, pymysql.err.OperationalError) as error:
            if isinstance(error, pymysql.err.OperationalError) and error.args[0] not in _TIMED_OUT:
                raise
            raise EnvironmentFault(
                f"database {at.name}: a statement took more than {manners.statement_s:g} s and was stopped: "
                "index what the mapping joins by, or read fewer rows"
            ) from None
