"""Random whole mappings over table `f` and lookups with keys of every kind, for both databases."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from tests.integration.mapping_support.databases import Writer
from tests.integration.mapping_support.grammar import Grammar
from tests.integration.mapping_support.rows import DATES, NUMBERS, TEXTS

CI = {"postgres": "", "mariadb": "COLLATE utf8mb4_general_ci"}
TABLES = {
    "li": "lk int PRIMARY KEY, lv int, ln decimal(12,3), lt varchar(12) {ci}",
    "lx": "xk varchar(20) {ci} PRIMARY KEY, xv int NOT NULL, xd date",
    "lc": "ck char(8) {ci} PRIMARY KEY, cv decimal(12,2), cx char(8) {ci}",
    "lm": "ma int NOT NULL, mb varchar(20) {ci} NOT NULL, mx int, mn decimal(18,6) NOT NULL, PRIMARY KEY (ma, mb)",
    "lnum": "nk decimal(12,2) PRIMARY KEY, nv varchar(12) {ci} NOT NULL",
    "ld": "dk date PRIMARY KEY, dv int",
}
KEYS = {
    "li": [("lk = {}", ["i1", "i2", "COALESCE(i1, 3)", "MOD(ABS(i2), 20)", "CHAR_LENGTH(t2)"])],
    "lx": [("xk = {}", ["t1", "t2", "TRIM(t2)", "UPPER(t1)", "LEFT(t2, 2)", "CASE WHEN b{b} THEN t1 ELSE 'ab' END"])],
    "lc": [("ck = {}", ["c8"]), ("{} = ck", ["c8"])],
    "lm": [("mb = {} AND ma = i1", ["t1", "t2"]), ("ma = MOD(ABS(i2), 5) AND mb = {} AND mx IS NOT NULL", ["t2"])],
    "lnum": [("nk = {}", ["n2", "i1", "CAST(nu AS DECIMAL(12, 2))", "ABS(n2)"])],
    "ld": [("dk = {}", ["d1", "d2", "CAST(ts AS date)", "COALESCE(d1, d2)"])],
}
CHAINS = {"li": "lk = xv", "lx": "xk = nv", "ld": "dk = xd", "lnum": "nk = cv"}
"""A lookup by a column of another one."""
AFTER = {"xv": "lx", "nv": "lnum", "xd": "lx", "cv": "lc"}
LEAVES = {
    "li": (["lv"], ["ln"], ["lt"], []),
    "lx": (["xv"], [], ["xk"], ["xd"]),
    "lc": ([], ["cv"], ["ck", "cx"], []),
    "lm": (["mx"], ["mn"], ["mb"], []),
    "lnum": ([], ["nk"], ["nv"], []),
    "ld": (["dv"], [], [], ["dk"]),
}


def fill(kind: str, made: Writer) -> None:
    """Make the lookup tables, with odd rows; those whose keys the database holds equal are left out."""
    rng = random.Random(7)

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.15 else value

    def number(scale: int) -> Decimal:
        return Decimal(rng.choice(NUMBERS)).quantize(Decimal(1).scaleb(-scale))

    rows: dict[str, list[tuple[Any, ...]]] = {
        "li": [(k, maybe(rng.randint(-9, 9)), maybe(number(3)), maybe(rng.choice(TEXTS))) for k in range(-3, 16)],
        "lx": [(text, rng.randint(-3, 15), maybe(rng.choice(DATES))) for text in TEXTS if rng.random() < 0.8],
        "lc": [(text[:8], maybe(number(2)), maybe(rng.choice(TEXTS)[:8])) for text in TEXTS if rng.random() < 0.8],
        "lm": [(rng.randint(0, 4), rng.choice(TEXTS), maybe(rng.randint(0, 5)), number(6)) for _ in range(80)],
        "lnum": [(number(2), rng.choice(TEXTS)) for _ in range(30)],
        "ld": [(day, maybe(rng.randint(0, 5))) for day in DATES if rng.random() < 0.8],
    }
    for table, columns in TABLES.items():
        made.run(f"CREATE TABLE {table} ({columns.format(ci=CI[kind])})")
        marks = ", ".join(["%s"] * len(rows[table][0]))
        form = "INSERT IGNORE INTO {} VALUES ({})" if kind == "mariadb" else "INSERT INTO {} VALUES ({}) {}"
        for row in rows[table]:
            made.execute(form.format(table, marks, "ON CONFLICT DO NOTHING"), row)


def draw(grammar: Grammar) -> str:
    """SELECTs of equal columns joined by UNION ALL: joins, filters, CASE, text, numbers and dates."""
    rng = grammar.rng
    kinds = rng.sample([grammar.integer, grammar.number, grammar.text, grammar.date], 3)
    selects = []
    for _ in range(rng.randint(1, 3)):
        joins = _joins(grammar)
        grammar.leaves([LEAVES[table] for table, _, _ in joins])
        columns = ", ".join(f"{kind(2)} AS x{n}" for n, kind in enumerate(kinds))
        where = f" WHERE {grammar.condition(2)}" if rng.random() < 0.7 else ""
        text = "".join(f" {side} {table} ON {on}" for table, side, on in joins)
        selects.append(f"SELECT id AS id, {columns} FROM f{text}{where}")
    grammar.leaves([])
    return " UNION ALL ".join(selects)


def _joins(grammar: Grammar) -> list[tuple[str, str, str]]:
    """(table, JOIN or LEFT JOIN, condition); a chained one stands behind the one it rests on."""
    rng = grammar.rng
    joined: list[tuple[str, str, str]] = []
    for table in rng.sample(sorted(TABLES), rng.randint(1, 3)):
        side = rng.choice(["JOIN", "LEFT JOIN", "LEFT JOIN"])
        chain = CHAINS.get(table)
        if chain and any(AFTER[chain.rpartition(" ")[2]] == other for other, _, _ in joined) and rng.random() < 0.7:
            on = chain
        else:
            form, values = rng.choice(KEYS[table])
            on = form.format(rng.choice(values).replace("{b}", " = 1" if grammar.mariadb else ""))
        joined.append((table, side, on))
    return joined
