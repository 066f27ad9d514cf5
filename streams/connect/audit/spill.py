"""Pairs that are put in in any order and come out by key, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator


class Spill:
    """A private temporary database: SQLite keeps it in its cache, then on disk, and deletes it when it is closed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE pairs (key BLOB, value BLOB)")
        self._database.execute("BEGIN")

    def add(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._database.executemany("INSERT INTO pairs VALUES (?, ?)", pairs)

    def sorted(self) -> Iterator[tuple[bytes, bytes]]:
        """By key, in the order of its bytes."""
        yield from self._database.execute("SELECT key, value FROM pairs ORDER BY key")

    def close(self) -> None:
        self._database.close()
