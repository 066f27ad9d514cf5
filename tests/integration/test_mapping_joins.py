"""Joins under change: collation keys, CHAR keys, composite and NULL keys, further ON conditions, chains, several rows
to one, keys that hold under a condition, a table of one row.

After each random change of a driving or lookup row only those driving rows are evaluated again that the edges and
chains name; all outputs together then equal what the database answers.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from streams.core.mapping.catalogue import PartialKey
from streams.core.mapping.join_keys import Declared
from streams.core.mapping.model import LookupKey
from tests.integration.mapping_support.databases import Writer, server, writer
from tests.integration.mapping_support.rows import TEXTS, Server, plain
from tests.integration.mapping_support.selects import PlainSelects
from tests.stack import Database

pytestmark = pytest.mark.integration
CHANGES = 50
TABLES = {
    "g": "k varchar(12) {ci} PRIMARY KEY, v int, nxt int",
    "h": "k char(8) {ci} PRIMARY KEY, w decimal(10,2)",
    "m": "a int NOT NULL, b varchar(12) {ci} NOT NULL, x int, PRIMARY KEY (a, b)",
    "n": "id int PRIMARY KEY, label varchar(20) {ci}, up int",
    "lnk": "a int NOT NULL, b int NOT NULL, t varchar(12) {ci}, w decimal(8,2), PRIMARY KEY (a, b)",
    "soft": "id int PRIMARY KEY, code varchar(12) {ci}, gone int NOT NULL, v int",
    "cfg": "id int PRIMARY KEY, f decimal(6,2)",
    "drv": "id int PRIMARY KEY, t1 varchar(12) {ci}, c8 char(8) {ci}, a int, b varchar(12) {ci}, nn int, "
    "q decimal(12,3)",
}
SQL = """
SELECT d.id AS id, g.v AS v, n1.label AS l1, n2.label AS l2, d.q * g.v AS q
  FROM drv d JOIN g ON g.k = d.t1 LEFT JOIN n n1 ON n1.id = g.nxt AND n1.up > 3
  LEFT JOIN n n2 ON n2.id = COALESCE(n1.up, 7) AND n2.label <> 'a'
 WHERE d.q > 0 OR g.v IS NULL
UNION ALL
SELECT d.id, h.w, n.label, NULL, d.q FROM drv d LEFT JOIN h ON h.k = d.c8 LEFT JOIN n ON n.id = COALESCE(d.nn, 3)
 WHERE h.w IS NULL OR h.w > 2
UNION ALL
SELECT d.id, m.x, NULL, NULL, d.q FROM drv d JOIN m ON m.b = d.b AND m.a = d.a
UNION ALL
SELECT d.id, h.w, NULL, NULL, d.q FROM drv d JOIN h ON {cast} = h.k
UNION ALL
SELECT d.id, g.v, NULL, NULL, d.q FROM drv d JOIN g ON g.k = UPPER(TRIM(d.b)) WHERE g.k NOT LIKE 'k%'
UNION ALL
SELECT d.id, l.a, l.t, n.label, d.q * l.w FROM drv d JOIN lnk l ON l.a = d.a LEFT JOIN n ON n.id = l.b AND n.up > 5
UNION ALL
SELECT d.id, l.b, COALESCE(l.t, '-'), NULL, d.q FROM drv d LEFT JOIN lnk l ON l.t = d.b AND l.w > 2 WHERE d.id > 40
UNION ALL
SELECT d.id, s.v, s.code, NULL, d.q FROM drv d LEFT JOIN soft s ON s.code = d.t1 AND s.gone = 0
UNION ALL
SELECT d.id, s.v, NULL, NULL, d.q * c.f FROM drv d JOIN cfg c ON TRUE JOIN soft s ON s.gone = 0 AND d.b = s.code"""
INDEXES = {
    "postgres": ("CREATE INDEX ON lnk (t, w)", "CREATE UNIQUE INDEX ON soft (code) WHERE gone = 0"),
    "mariadb": (
        "CREATE INDEX lnk_t ON lnk (t, w)",
        "ALTER TABLE soft ADD live varchar(12) COLLATE utf8mb4_unicode_ci AS (IF(gone = 0, code, NULL))",
        "ALTER TABLE soft ADD UNIQUE (live)",
    ),
}
DECLARED = {
    "postgres": Declared({"cfg": [()]}, {}, ["lnk"]),
    "mariadb": Declared({"cfg": [()]}, {"soft": [PartialKey(columns=("code",), where="gone = 0")]}, ["lnk"]),
}
NAMES = {"soft": "soft (id, code, gone, v)"}


class Store:
    """Rows by primary key, and lookup rows by key: what a lane keeps."""

    def __init__(self, there: Server, selects: PlainSelects) -> None:
        self.there, self.selects = there, selects
        self.rows: dict[str, dict[Any, Any]] = {short: self._read(short) for short in selects.tables}
        self.views: list[dict[LookupKey, Any]] = [self._view(index) for index in range(len(selects.lookups))]
        self.held: dict[Any, tuple[Any, ...]] = {}
        self.back: dict[tuple[int, LookupKey], set[Any]] = defaultdict(set)

    def _read(self, short: str) -> dict[Any, Any]:
        of = self.selects.tables[short]
        images = self.there.images(self.there.catalogue.tables[short], of.columns)
        return {of.key_of(row): row for row in map(of.decode, images)}

    def _view(self, index: int) -> dict[LookupKey, Any]:
        short = self.selects.lookups[index].table.rpartition(".")[2]
        of = self.selects.tables[short]
        found = [(key, row) for row in self.rows[short].values() for i, key in of.lookup_keys(row) if i == index]
        if not self.selects.lookups[index].many:
            assert len(dict(found)) == len(found)
            return dict(found)
        return {key: tuple(row for other, row in found if other == key) for key, _ in found}

    def assert_row(self, key: Any) -> None:
        self.held.pop(key, None)
        if key in self.rows["drv"]:
            evaluation = self.selects.tables["drv"].evaluate(self.rows["drv"][key], self.views)
            self.held[key] = evaluation.outputs
            for edge in evaluation.rests_on:
                self.back[edge].add(key)

    def changed(self, short: str) -> int:
        """Read a table anew and evaluate what rests on it; the number of rows evaluated."""
        old, self.rows[short] = self.rows[short], self._read(short)
        new = self.rows[short]
        todo = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} if short == "drv" else set()
        front: list[tuple[int, LookupKey]] = []
        for index, lookup in enumerate(self.selects.lookups):
            if lookup.table.rpartition(".")[2] == short:
                before, self.views[index] = self.views[index], self._view(index)
                after = self.views[index]
                front += [(index, key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        todo |= self._resting_on(front)
        for key in todo:
            self.assert_row(key)
        return len(todo)

    def _resting_on(self, front: list[tuple[int, LookupKey]]) -> set[Any]:
        """Driving rows reached over edges, and over the chains of lookup rows."""
        todo: set[Any] = set()
        seen = set(front)
        while front:
            edge = front.pop()
            todo |= self.back.get(edge, set())
            for index, lookup in enumerate(self.selects.lookups):
                of = self.selects.tables[lookup.table.rpartition(".")[2]]
                for key, found in self.views[index].items():
                    rows = found if lookup.many else (found,)
                    if (index, key) not in seen and any(edge in of.chains(row) for row in rows):
                        seen.add((index, key))
                        front.append((index, key))
        return todo

    def outputs(self) -> Counter[Any]:
        return Counter(tuple(map(plain, row)) for rows in self.held.values() for row in rows)


def makers(rng: random.Random) -> dict[str, Callable[[int], tuple[Any, ...]]]:
    words = [*TEXTS, *(f"k{n}" for n in range(20))]

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.1 else value

    return {
        "g": lambda n: (rng.choice(words), maybe(rng.randint(-3, 9)), maybe(rng.randint(0, 40))),
        "h": lambda n: (rng.choice(words)[:8], maybe(rng.randint(0, 9))),
        "m": lambda n: (rng.randint(0, 5), rng.choice(words), rng.randint(0, 9)),
        "n": lambda n: (n, maybe(rng.choice(words)), maybe(rng.randint(0, 40))),
        "lnk": lambda n: (rng.randint(0, 5), rng.randint(0, 40), maybe(rng.choice(words)), maybe(rng.randint(0, 9))),
        "soft": lambda n: (n, maybe(rng.choice(words)), rng.choice((0, 0, 1)), rng.randint(0, 9)),
        "cfg": lambda n: (1, maybe(rng.randint(1, 9))),
        "drv": lambda n: (
            n,
            maybe(rng.choice(words)),
            maybe(rng.choice(words)[:8]),
            maybe(rng.randint(0, 5)),
            maybe(rng.choice(words)),
            maybe(rng.randint(0, 40)),
            maybe(rng.randint(-9, 9)),
        ),
    }


def put(made: Writer, kind: str, table: str, row: tuple[Any, ...]) -> None:
    places = ", ".join(["%s"] * len(row))
    table = NAMES.get(table, table)
    if kind == "mariadb":
        made.execute(f"INSERT IGNORE INTO {table} VALUES ({places})", row)
    else:
        made.execute(f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO NOTHING", row)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_only_what_edges_and_chains_name_is_evaluated_again(
    kind: str, seed: int, postgres: Database, mariadb: Database
) -> None:
    at = postgres if kind == "postgres" else mariadb
    rng = random.Random(seed)
    make = makers(rng)
    sql = SQL.format(cast="d.t1" if kind == "mariadb" else "CAST(d.t1 AS char(8))")
    with writer(kind, at) as made:
        for table, columns in TABLES.items():
            made.run(
                f"CREATE TABLE {table} ({columns.format(ci='COLLATE utf8mb4_unicode_ci' if kind == 'mariadb' else '')})"
            )
        made.run(*INDEXES[kind])
        counts = {"g": 40, "h": 40, "m": 60, "n": 35, "lnk": 60, "soft": 60, "cfg": 1, "drv": 150}
        for table, count in counts.items():
            for n in range(count):
                put(made, kind, table, make[table](n))
        with server(kind, at) as there:
            store = Store(there, PlainSelects(there.catalogue, sql, DECLARED[kind]))
            found = {(lookup.table.rpartition(".")[2], lookup.many) for lookup in store.selects.lookups}
            assert found >= {("lnk", True), ("soft", False), ("cfg", False)}
            for key in list(store.rows["drv"]):
                store.assert_row(key)
            again = 0
            for step in range(CHANGES):
                assert store.outputs() == Counter(tuple(map(plain, row)) for row in there.query(sql)), step
                table = rng.choice(list(TABLES))
                again += change(made, kind, table, store, make[table], rng)
    assert 0 < again < CHANGES * len(store.rows["drv"]) / 3


def change(
    made: Writer, kind: str, table: str, store: Store, make: Callable[[int], tuple[Any, ...]], rng: random.Random
) -> int:
    """Delete a row, and mostly write another in its place."""
    known = store.there.catalogue.tables[table].primary
    key = rng.choice(list(store.rows[table]) or [(1,)])
    made.execute(f"DELETE FROM {table} WHERE {' AND '.join(f'{column} = %s' for column in known)}", key)
    if rng.random() < 0.7:
        put(made, kind, table, make(key[0] if known in (("id",),) else 0))
    return store.changed(table)
