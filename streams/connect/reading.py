"""Reads a production database without being felt there.

Read-only snapshots (REPEATABLE READ) in a session whose statements, locks and idle transactions have time limits of
their own, in case this process dies; rows by key, a bounded piece at a time, each piece beginning in the index where
the last one ended; and no more rows a second than the pace allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql

from schemas.errors import EnvironmentFault
from streams.connect.catalogue import Cursor, session
from streams.connect.preflight import Target

Key = tuple[Any, ...]
"""Primary key of a row, as the driver gives and takes it."""

_TOO_LONG_MARIADB = (1969, 3024)
_IDLE_S = 60.0


@dataclass(frozen=True)
class Limits:
    """How gently a database is read."""

    chunk_rows: int = 5_000
    """Rows of one piece."""
    rows_per_s: float = 50_000
    """Read no faster; 0: as fast as it goes."""
    statement_s: float = 30.0
    lock_s: float = 2.0

    @property
    def idle_s(self) -> float:
        """In a transaction: longer than what is done, or paused, between two of its statements."""
        pause = self.chunk_rows / self.rows_per_s if self.rows_per_s else 0
        return max(_IDLE_S, 2 * self.statement_s, 2 * pause)


class TooLong(EnvironmentFault):
    """A statement reached its time limit."""


@dataclass(frozen=True)
class Condition:
    """SQL with %s in place of its values."""

    sql: str = ""
    values: tuple[Any, ...] = ()

    def and_(self, other: Condition) -> Condition:
        """Both hold."""
        if not self.sql or not other.sql:
            return self if self.sql else other
        return Condition(f"{self.sql} AND {other.sql}", (*self.values, *other.values))


class Reading:
    """One session at the source."""

    def __init__(
        self, cursor: Cursor, kind: str, schema: str, limits: Limits, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self.cursor: Any = cursor
        self.kind = kind
        self.limits = limits
        self._pause = pause
        self._due = time.monotonic()
        if kind == "postgres":
            cursor.connection.prepare_threshold = None  # a plan for any range is a plan for none
            for name, seconds in (
                ("statement_timeout", limits.statement_s),
                ("lock_timeout", limits.lock_s),
                ("idle_in_transaction_session_timeout", limits.idle_s),
            ):
                cursor.execute(f"SET {name} = {int(seconds * 1000)}")
            cursor.execute("SELECT set_config('search_path', %s, false)", (schema,))
            return
        idle = int(limits.idle_s)
        cursor.execute(
            f"SET SESSION max_statement_time = {limits.statement_s:f}, "
            f"lock_wait_timeout = {max(1, int(limits.lock_s))}, "
            f"idle_transaction_timeout = {idle}, idle_readonly_transaction_timeout = {idle}"
        )
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A read-only transaction.  PostgreSQL takes its snapshot with the first statement in it, MariaDB at once."""
        if self.kind == "postgres":
            self.cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        else:
            self.cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            yield
        except KeyboardInterrupt:
            raise  # in the middle of an answer: the session ends, and the transaction with it
        except BaseException:
            with suppress(psycopg.Error, pymysql.Error):
                self.cursor.execute("ROLLBACK")
            raise
        self.cursor.execute("ROLLBACK")

    def run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The cursor, with the answer.  Raises TooLong, and the driver's errors."""
        try:
            self.cursor.execute(sql, list(values))
        except (psycopg.errors.QueryCanceled, pymysql.err.OperationalError) as error:
            if isinstance(error, pymysql.err.OperationalError) and error.args[0] not in _TOO_LONG_MARIADB:
                raise
            raise TooLong(
                f"a statement took more than {self.limits.statement_s:g} s and was stopped: index what the mapping "
                "joins by, or read fewer rows"
            ) from None
        return self.cursor

    def wait_for_turn(self) -> None:
        """Until what was read before is paid for by time."""
        now = time.monotonic()
        if self._due > now:
            self._pause(self._due - now)
        self._due = max(self._due, now)

    def count(self, rows: int) -> None:
        """So many rows are read in this turn."""
        if self.limits.rows_per_s:
            self._due += rows / self.limits.rows_per_s


@contextmanager
def reading(kind: str, schema: str, at: Target, limits: Limits) -> Iterator[Reading]:
    """A session in which names without a schema are of `schema`.  What Ctrl-C leaves in the middle of a statement is
    ended there, too.  Raises EnvironmentFault."""
    with session(kind, at) as cursor:
        try:
            yield Reading(cursor, kind, schema, limits)
        except KeyboardInterrupt:
            if kind != "postgres":  # psycopg cancels by itself
                _kill(kind, at, cursor)
            raise
        except TooLong as error:
            raise TooLong(f"database {at.name}: {error}") from None


def _kill(kind: str, at: Target, cursor: Cursor) -> None:
    """A statement that nobody waits for any more goes on in MariaDB until it sends its first row."""
    try:
        with session(kind, at) as other:
            other.execute(f"KILL QUERY {cursor.connection.thread_id()}")
    except EnvironmentFault:
        return  # it is over, or the time limit ends it


# -- by key


def beyond(kind: str, names: Sequence[str], key: Key, *, before: bool = False) -> Condition:
    """Keys behind `key`, or before it.

    MariaDB uses no index for a comparison of rows: there it is spelt out, and begins with what bounds the index, also
    when all rows share the key's first column, a company.
    """
    sign = "<" if before else ">"
    if len(names) == 1:
        return Condition(f"{names[0]} {sign} %s", key)
    if kind == "postgres":
        return Condition(f"({', '.join(names)}) {sign} ({', '.join(['%s'] * len(names))})", key)
    return Condition(f"{names[0]} {sign}= %s", key[:1]).and_(_spelt_out(names, key, sign))


def up_to(kind: str, names: Sequence[str], key: Key) -> Condition:
    """Keys before `key`, and itself."""
    if len(names) == 1:
        return Condition(f"{names[0]} <= %s", key)
    if kind == "postgres":
        return Condition(f"({', '.join(names)}) <= ({', '.join(['%s'] * len(names))})", key)
    before = _spelt_out(names, key, "<")
    same = " AND ".join(f"{name} = %s" for name in names)
    either = Condition(f"({before.sql} OR ({same}))", (*before.values, *key))
    return Condition(f"{names[0]} <= %s", key[:1]).and_(either)


def one_of(names: Sequence[str], keys: Iterable[Key]) -> Condition:
    """Exactly these keys."""
    found = list(keys)
    row = f"({', '.join(['%s'] * len(names))})"
    return Condition(
        f"({', '.join(names)}) IN ({', '.join([row] * len(found))})", tuple(value for key in found for value in key)
    )


def _spelt_out(names: Sequence[str], key: Key, sign: str) -> Condition:
    parts: list[str] = []
    values: list[Any] = []
    for n, name in enumerate(names):
        parts.append("(" + " AND ".join([*(f"{other} = %s" for other in names[:n]), f"{name} {sign} %s"]) + ")")
        values += key[: n + 1]
    return Condition(f"({' OR '.join(parts)})", tuple(values))


# -- names


def quoted(kind: str, name: str) -> str:
    """A name in a statement with values."""
    mark = '"' if kind == "postgres" else "`"
    return literal(mark + name.replace(mark, mark * 2) + mark)


def quoted_table(kind: str, table: str) -> str:
    """`schema.table` in a statement with values."""
    schema, _, short = table.partition(".")
    return f"{quoted(kind, schema)}.{quoted(kind, short)}"


def literal(text: str) -> str:
    """SQL in a statement with values: its own percent signs are none of theirs."""
    return text.replace("%", "%%")
