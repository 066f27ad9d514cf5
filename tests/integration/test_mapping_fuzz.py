"""Random expressions and whole mappings: what the database says and what the compiled form says are equal, row by row.

ONHAND_FUZZ_EXPRESSIONS, ONHAND_FUZZ_MAPPINGS and ONHAND_FUZZ_SEED draw more, or others.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import psycopg
import pymysql
import pytest

from streams.core.mapping.model import RowError
from streams.core.mapping.problems import Refused
from tests.integration.mapping_support import mappings
from tests.integration.mapping_support.databases import server, writer
from tests.integration.mapping_support.grammar import DDL, Grammar, odd_rows
from tests.integration.mapping_support.rows import Server, plain
from tests.integration.mapping_support.selects import PlainSelects
from tests.stack import Database

pytestmark = pytest.mark.integration
EXPRESSIONS = int(os.environ.get("ONHAND_FUZZ_EXPRESSIONS", "300"))
MAPPINGS = int(os.environ.get("ONHAND_FUZZ_MAPPINGS", "60"))
SEED = int(os.environ.get("ONHAND_FUZZ_SEED", "20261124"))
ROWS = 120


def fuzz(kind: str, at: Database) -> None:
    with writer(kind, at) as made:
        made.run(*DDL[kind])
        made.insert("f", odd_rows(kind, ROWS))
        mappings.fill(kind, made)
    grammar = Grammar(kind, SEED)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with server(kind, at) as there:
        table = there.catalogue.tables["f"]
        images = there.images(table, tuple(table.columns))
        for _ in range(EXPRESSIONS):
            text = grammar.draw()
            outcome = compare(there, images, text)
            counts[outcome.split(":")[0]] += 1
            if outcome.startswith("differ"):
                wrong.append(f"{text}\n    {outcome}")
        for _ in range(MAPPINGS):
            text = mappings.draw(grammar)
            outcome = compare_whole(there, text)
            counts[f"mapping {outcome.split(':')[0]}"] += 1
            if outcome.startswith("differ"):
                wrong.append(f"{text}\n    {outcome}")
    assert not wrong, "\n".join(sorted(wrong, key=len)[:10])
    assert counts["equal"] > EXPRESSIONS * 0.4, counts
    assert counts["mapping equal"] > MAPPINGS * 0.3, counts


def compare_whole(there: Server, text: str) -> str:
    """As `compare`, of all rows that the SELECTs of a mapping yield."""
    try:
        compiled = PlainSelects(there.catalogue, text)
    except Refused:
        return "refused"
    rows = {short: _decoded(there, compiled, short) for short in compiled.tables}
    lookups: list[dict[Any, Any]] = []
    for index, lookup in enumerate(compiled.lookups):
        short = lookup.table.rpartition(".")[2]
        of = compiled.tables[short]
        lookups.append({key: row for row in rows[short] for i, key in of.lookup_keys(row) if i == index})
    here: Counter[tuple[Any, ...]] = Counter()
    failed = None
    for row in rows["f"]:
        try:
            outputs = compiled.tables["f"].evaluate(row, lookups).outputs
        except RowError as error:
            failed = str(error)
        else:
            here.update(tuple(map(plain, output)) for output in outputs)  # type: ignore[arg-type]
    try:
        expected = Counter(tuple(map(plain, row)) for row in there.query(text))
    except (psycopg.Error, pymysql.Error) as error:
        return f"fails there: {error}"
    if failed is not None:
        return "equal" if "outside the years" in failed else f"differ: only here: {failed}"
    only = [list((a - b).items())[:2] for a, b in ((expected, here), (here, expected))]
    return f"differ: (only there, only here) {only}" if any(only) else "equal"


def _decoded(there: Server, compiled: PlainSelects, short: str) -> list[Any]:
    of = compiled.tables[short]
    return [of.decode(image) for image in there.images(there.catalogue.tables[short], of.columns)]


def compare(there: Server, images: list[bytes], text: str) -> str:
    """`equal`, `refused`, `fails there`, or `differ: …`."""
    try:
        compiled = PlainSelects(there.catalogue, f"SELECT id AS id, {text} AS x FROM f").tables["f"]
    except Refused:
        return "refused"
    here: dict[Any, Any] = {}
    failed = None
    for image in images:
        try:
            row = compiled.decode(image)
            for output in compiled.evaluate(row, ()).outputs:
                here[output[0]] = plain(output[1])  # type: ignore[index]
        except RowError as error:
            failed = str(error)
    try:
        expected = {row[0]: plain(row[1]) for row in there.query(f"SELECT id, {text} FROM f")}
    except (psycopg.Error, pymysql.Error) as error:
        return f"fails there: {error}"
    if failed is not None:
        return "equal" if "outside the years" in failed else f"differ: only here: {failed}"
    bad = [(n, expected[n], here.get(n)) for n in expected if expected[n] != here.get(n)]
    return f"differ: (id, there, here) {bad[:3]}" if bad else "equal"


def test_expressions_mean_the_same_in_postgresql(postgres: Database) -> None:
    fuzz("postgres", postgres)


def test_expressions_mean_the_same_in_mariadb(mariadb: Database) -> None:
    fuzz("mariadb", mariadb)
