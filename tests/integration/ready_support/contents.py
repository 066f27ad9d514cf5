"""The rows of one system, in its database."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from tests.integration.mapping_support.databases import Writer
from tests.integration.ready_support.system import Row, System

DELETED = 0.3
"""Share of the changes of a row that delete it; it may come back."""


class Change(NamedTuple):
    """What happened to a row, in a transaction of its own."""

    table: str
    key: Any
    op: str
    """As Debezium has it: c, u, d."""


class Contents:
    """Makes a system's tables, fills them, and changes rows at random, the same ones every time."""

    def __init__(self, system: System, rows: Writer) -> None:
        self._system, self._rows = system, rows
        self._rng = random.Random(system.name)
        self._mark = "`" if system.kind == "mariadb" else '"'

    def make(self) -> None:
        self._rows.run(*self._system.statements())
        for table, (count, make) in self._system.tables.items():
            for n in range(count):
                self._insert(table, make(self._rng, n))

    def change(self) -> Change:
        table, (count, make) = self._rng.choice(list(self._system.tables.items()))
        row = make(self._rng, self._rng.randrange(count))
        name, key = next(iter(row.items()))
        place = f"{self._quoted(table)} WHERE {self._quoted(name)} = "
        known = bool(self._rows.query(f"SELECT 1 FROM {place}'{key}'"))
        if known and self._rng.random() < DELETED:
            self._rows.execute(f"DELETE FROM {place}%s", [key])
            return Change(table, key, "d")
        if not known:
            self._insert(table, row)
            return Change(table, key, "c")
        self._rows.execute(
            f"UPDATE {self._quoted(table)} SET {', '.join(f'{self._quoted(column)} = %s' for column in row)}"
            f" WHERE {self._quoted(name)} = %s",
            [*row.values(), key],
        )
        return Change(table, key, "u")

    def _insert(self, table: str, row: Row) -> None:
        names = ", ".join(map(self._quoted, row))
        values = ", ".join(["%s"] * len(row))
        self._rows.execute(f"INSERT INTO {self._quoted(table)} ({names}) VALUES ({values})", list(row.values()))

    def _quoted(self, name: str) -> str:
        return f"{self._mark}{name}{self._mark}"
