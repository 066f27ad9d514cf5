"""What the database says, a bounded piece at a time: safe on a production ERP.

Every piece is one short read-only transaction at a known source position (`streams.connect.reading`): no snapshot
lives longer than a statement may, so neither vacuum nor undo is held back, and the rate limit pauses between
transactions, never in one.  Pieces go by the driving table's key.  A piece in which some row has no value in SQL fails
as a whole; it is halved until the row stands alone.  So is one that takes too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
import pymysql

from schemas.errors import EnvironmentFault
from streams.connect.audit.outputs import OutputMaker
from streams.connect.audit.selects import Selected, Wanted
from streams.connect.preflight import Target
from streams.connect.reading import (
    Condition,
    Key,
    Limits,
    Reading,
    TooLong,
    beyond,
    one_of,
    quoted,
    quoted_table,
    reading,
    up_to,
)
from streams.core.log.position import binlog_number, covered_binlog, covered_lsn
from streams.core.mapping.catalogue import Table
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import OutputRow, RowError

SPREAD = 50
"""Rows of a table that joins several rows to one count so much."""
AT_ONCE = 10
"""Pieces whose rows may come at once when only some skus or orders are wanted."""
KEYS_AT_ONCE = 200

_TEXT_POSTGRES = ("date", "timestamp", "timestamptz")
"""As text: infinity and years beyond Python's are values."""
_REFUSED_MARIADB = (1044, 1045, 1049, 1054, 1064, 1142, 1143, 1146, 1205, 2006, 2013)
"""No privilege, no such thing, a lock, a lost connection: no row's fault."""
_NO_SELECTS_FAULT_MARIADB = (1044, 1045, 1049, 1205, 2006, 2013)
"""Of these, what no SELECT is to blame for."""


Value = list[OutputRow] | RowError
"""What one driving row says, or why it has no value."""
Only = Callable[[Sequence[str]], Condition]
"""Some rows of a driving table, given the names of its key's columns."""


@dataclass
class Chunk:
    """What some driving rows of one table say; rows that say nothing are left out."""

    table: Table
    position: str
    rows: int
    """Driving rows read, about."""
    said: dict[Key, Value] = field(default_factory=dict)


class Refused(NamedTuple):
    """A SELECT that the database does not take."""

    select: Selected
    why: str


class _RowFault(Exception):
    """Some row among those asked for has no value in SQL."""

    def __init__(self, error: RowError) -> None:
        super().__init__(str(error))
        self.error = error


class Reader:
    """One session at the source."""

    def __init__(self, mapping: CompiledMapping, selects: Sequence[Selected], session: Reading) -> None:
        self._session = session
        self._kind = mapping.source.kind
        self.postgres = self._kind == "postgres"
        self._selects: dict[str, list[tuple[Selected, OutputMaker]]] = {}
        for one in selects:
            statuses = mapping.source.statuses.get(one.kind.name, {})
            maker = OutputMaker(one, statuses, mapping.source.time_zone)
            self._selects.setdefault(one.table.name, []).append((one, maker))
        if self.postgres:
            for name in _TEXT_POSTGRES:
                session.cursor.adapters.register_loader(name, psycopg.types.string.TextLoader)

    def leave_refused_out(self) -> list[Refused]:
        """The SELECTs that the database does not plan.  They are not asked, nor the others of the same file that go
        over the same table: of what a lane holds nobody could tell which of them said it.

        Raises EnvironmentFault, also when none is left.
        """
        every = [one for some in self._selects.values() for one, _ in some]
        refused = [Refused(one, why) for one in every if (why := self._refuses(one))]
        if refused and len(refused) == len(every):
            raise EnvironmentFault(f"the database refuses every SELECT of the mapping: {refused[0].why}")
        parts = {one.select.part for one in refused}
        kept = {table: [(one, m) for one, m in some if one.part not in parts] for table, some in self._selects.items()}
        self._selects = {table: some for table, some in kept.items() if some}
        return refused

    def _refuses(self, one: Selected) -> str:
        """Why; '' when it takes it."""
        sql, values = one.query(Condition())
        try:
            self._session.run(f"EXPLAIN {sql}", values).fetchall()
        except (psycopg.OperationalError, pymysql.InterfaceError):
            raise
        except psycopg.Error as error:
            return str(error).strip().partition("\n")[0]
        except pymysql.Error as error:
            if not error.args or error.args[0] in _NO_SELECTS_FAULT_MARIADB:
                raise
            return str(error.args[-1])
        return ""

    @property
    def tables(self) -> list[Table]:
        """The driving tables, by name."""
        return [self._selects[name][0][0].table for name in sorted(self._selects)]

    def position(self) -> str:
        """Where the source stands now."""
        with self._snapshot() as position:
            return position

    def scan(self, table: Table, wanted: Wanted) -> Iterator[Chunk]:
        """The whole table, by key; at once, if the database can, when only some skus or orders are wanted."""
        size = max(1, self._session.limits.chunk_rows // (SPREAD if self._spreads(table) else 1))
        if wanted:
            if all(one.about(wanted) is None for one, _ in self._selects[table.name]):
                return
            try:
                yield self._read(table, _between(self._kind, None, None), wanted, 0, most=AT_ONCE * size)
                return
            except _RowFault:
                pass
        low: Key | None = None
        while True:
            high = self._nth(table, low, None, size)
            yield from self._halved(table, low, high, size, wanted)
            if high is None:
                return
            low = high

    def rows(self, table: Table, keys: Iterable[Key], position: Callable[[str], object]) -> Iterator[Chunk]:
        """Some rows, all of them in one snapshot; `position` is told before what it is read at.

        A row that has no value in SQL breaks the snapshot: those behind it are read in another one.
        """
        left = list(keys)
        while left:
            with self._snapshot() as at:
                position(at)
                try:
                    while left:
                        part = left[:KEYS_AT_ONCE]
                        yield self._evaluated(table, at, _exactly(part), Wanted(), len(part))
                        left = left[KEYS_AT_ONCE:]
                    return
                except _RowFault:
                    pass
            yield from self._single(table, left[:KEYS_AT_ONCE], position)
            left = left[KEYS_AT_ONCE:]

    # -- pieces

    def _single(self, table: Table, keys: Sequence[Key], position: Callable[[str], object]) -> Iterator[Chunk]:
        for key in keys:
            with self._snapshot() as at:
                position(at)
                try:
                    chunk = self._evaluated(table, at, _exactly([key]), Wanted(), 1)
                except _RowFault as fault:
                    chunk = Chunk(table, at, 1, {key: fault.error})
            yield chunk

    def _halved(self, table: Table, low: Key | None, high: Key | None, size: int, wanted: Wanted) -> Iterator[Chunk]:
        """The rows behind `low` up to `high` (None: to the end), about `size` of them."""
        try:
            yield self._read(table, _between(self._kind, low, high), wanted, size)
            return
        except _RowFault as fault:
            error = fault.error
        if size == 1:
            key = high if high is not None else self._nth(table, low, None, 1)
            if key is not None:
                yield Chunk(table, "", 1, {key: error})
            return
        half = size // 2
        middle = self._nth(table, low, high, half)
        yield from self._halved(table, low, middle if middle is not None else high, half, wanted)
        if middle is not None and middle != high:
            yield from self._halved(table, middle, high, size - half, wanted)

    def _read(self, table: Table, only: Only, wanted: Wanted, size: int, most: int | None = None) -> Chunk:
        self._session.wait_for_turn()
        self._session.count(size)
        with self._snapshot() as position:
            return self._evaluated(table, position, only, wanted, size, most)

    def _evaluated(
        self, table: Table, position: str, only: Only, wanted: Wanted, size: int, most: int | None = None
    ) -> Chunk:
        """What the rows that meet `only` say, in the snapshot that is open.

        Raises _RowFault, also when a SELECT answers with more than `most` rows: they might not fit into memory.
        """
        chunk = Chunk(table, position, size)
        count = len(table.primary)
        for one, maker in self._selects[table.name]:
            about = one.about(wanted)
            if about is None:
                continue
            sql, values = one.query(only(one.keys()).and_(about))
            answer = self._run(sql if most is None else f"{sql}\nLIMIT {most + 1}", values)
            if most is not None and answer.rowcount > most:
                raise _RowFault(RowError("row-unmappable", f"{one.file}: more than {most:,} rows"))
            types = [column[1] for column in answer.description][count:]
            for row in answer:
                key = tuple(row[:count])
                said = chunk.said.setdefault(key, [])
                if isinstance(said, RowError):
                    continue
                try:
                    said.append(maker.make(row[count:], types))
                except RowError as error:
                    chunk.said[key] = error
        return chunk

    # -- SQL

    def _nth(self, table: Table, low: Key | None, high: Key | None, n: int) -> Key | None:
        """The n-th key behind `low`, up to `high`; None when there are fewer."""
        names = [f"t.{quoted(self._kind, name)}" for name in table.primary]
        keys = ", ".join(f"{name}::text" if self.postgres else name for name in names)
        only = _between(self._kind, low, high)(names)
        where = f" WHERE {only.sql}" if only.sql else ""
        try:
            answer = self._run(
                f"SELECT {keys} FROM {quoted_table(self._kind, table.name)} AS t{where} "
                f"ORDER BY {', '.join(names)} LIMIT 1 OFFSET {n - 1}",
                only.values,
            )
        except _RowFault as fault:
            raise EnvironmentFault(
                f"table {table.name}: its keys could not be read {n:,} at a time: {fault}: lower --chunk-rows, or "
                "raise --statement-timeout-s"
            ) from None
        row = answer.fetchone()
        answer.fetchall()
        return None if row is None else tuple(row)

    def _run(self, sql: str, values: Sequence[Any]) -> Any:
        """The answer.  Raises _RowFault when a row has no value, or there are too many of them for the time;
        EnvironmentFault."""
        try:
            return self._session.run(sql, values)
        except (TooLong, psycopg.DataError) as error:
            raise _RowFault(RowError("row-unmappable", str(error).strip().partition("\n")[0])) from None
        except pymysql.Error as error:
            code = error.args[0] if error.args else 0
            if code in _REFUSED_MARIADB or isinstance(error, pymysql.InterfaceError):
                raise
            raise _RowFault(RowError("row-unmappable", str(error.args[-1]))) from None

    # -- snapshot

    @contextmanager
    def _snapshot(self) -> Iterator[str]:
        """A read-only transaction; the source position at which it stands."""
        with self._session.snapshot():
            yield self._position()

    def _position(self) -> str:
        """The first statement of a transaction: PostgreSQL takes its snapshot with it."""
        cursor = self._session.cursor
        if self.postgres:
            cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_current_snapshot()")
            return covered_lsn(int(cursor.fetchone()[0]))
        cursor.execute("SHOW STATUS LIKE 'binlog_snapshot_%'")
        status = {name.lower(): value for name, value in cursor.fetchall()}
        if not status.get("binlog_snapshot_file"):
            raise EnvironmentFault("MariaDB tells no binlog position: switch log_bin on, and grant BINLOG MONITOR")
        return covered_binlog(binlog_number(status["binlog_snapshot_file"]), int(status["binlog_snapshot_position"]))

    def _spreads(self, table: Table) -> bool:
        return any(one.spreads for one, _ in self._selects[table.name])


def _between(kind: str, low: Key | None, high: Key | None) -> Only:
    """Keys behind `low` up to `high`; None: no limit."""

    def only(names: Sequence[str]) -> Condition:
        found = beyond(kind, names, low) if low is not None else Condition()
        return found.and_(up_to(kind, names, high)) if high is not None else found

    return only


def _exactly(keys: Sequence[Key]) -> Only:
    return lambda names: one_of(names, keys)


@contextmanager
def reader(
    mapping: CompiledMapping, selects: Sequence[Selected], at: Target, limits: Limits | None = None
) -> Iterator[Reader]:
    """A reader of the source's database."""
    with reading(mapping.source.kind, mapping.source.schema_, at, limits or Limits()) as session:
        yield Reader(mapping, selects, session)
