"""Real databases made for one test, seen by a superuser who writes and by a read-only session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pymysql

from streams.connect.catalogue import read_catalogue, session
from streams.connect.preflight import Target
from tests.integration.mapping_support.rows import Server
from tests.stack import Database


class Writer:
    """Statements as the database's owner, each its own transaction."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def run(self, *statements: str) -> None:
        for statement in statements:
            self._cursor.execute(statement)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(statement)
        return list(self._cursor.fetchall())

    def execute(self, statement: str, values: Sequence[Any]) -> None:
        self._cursor.execute(statement, list(values))

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Rows of all columns, in the order of the table."""
        found = [list(row) for row in rows]
        if found:
            self._cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(found[0]))})", found)


@contextmanager
def writer(kind: str, at: Database) -> Iterator[Writer]:
    if kind == "postgres":
        with psycopg.connect(at.dsn, autocommit=True) as connection, connection.cursor() as cursor:
            yield Writer(cursor)
        return
    mariadb = pymysql.connect(
        host=at.host,
        port=at.port,
        user=at.user,
        password=at.password,
        database=at.name,
        charset="utf8mb4",
        autocommit=True,
    )
    with mariadb, mariadb.cursor() as mariadb_cursor:
        yield Writer(mariadb_cursor)


def target(at: Database) -> Target:
    return Target(at.host, at.port, at.user, at.password, at.name)


@contextmanager
def server(kind: str, at: Database, schema: str = "") -> Iterator[Server]:
    """A read-only session and the catalogue it sees now."""
    with session(kind, target(at)) as cursor:
        yield Server(cursor, read_catalogue(cursor, kind, schema or ("public" if kind == "postgres" else at.name)))
