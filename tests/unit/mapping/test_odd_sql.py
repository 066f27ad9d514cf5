"""Whatever stands in a file, the answer is a compiled mapping or a refusal with its place, in every dialect."""

from __future__ import annotations

import random

import pytest

from schemas.errors import InvalidInput
from streams.core.mapping.catalogue import SESSION_COLLATION, Catalogue, Column, Table
from streams.core.mapping.dialects import DIALECTS
from tests.integration.mapping_support.grammar import Grammar
from tests.unit.mapping import golden_oracle, golden_sqlserver
from tests.unit.mapping.tables import FOLD, compiled

ODD = """
CAST(t1 AS decimal(max)) | CONVERT(varchar(max), t1) | CONVERT(int, t1, 112) | CAST(NULL AS nosuch) | CAST(u AS int)
CAST(1 AS decimal(50,2)) | DECODE(i1) | DECODE(i1,1) | NVL(t1) | NVL2(t1,1) | ISNULL(i1) | ISNULL(i1,1,2) | IF(i1=1,2)
IIF(i1=1,2,3) | TO_DATE(t1) | TO_CHAR(t1) | TO_NUMBER() | TRUNC(ts,'MM') | TRUNC() | ROUND(t1) | ROUND(n2,'a')
LEFT(t1) | NULL + 1
SUBSTRING(t1) | TRIM('' FROM t1) | t1 LIKE t1 | t1 LIKE | t1 IN () | i1 IN (SELECT 1) | CASE END | DATEADD(day,1,NULL)
DATEDIFF(day,NULL,d1) | DATEDIFF(d1,d2) | NULLIF(NULL,1) | COALESCE(NULL) | GREATEST(NULL,NULL) | NULL || NULL
-NULL | ABS(NULL) | LENGTH(NULL) | LEN(NULL) | LEFT(NULL, 2) | CAST(NULL AS date) | EXTRACT(HOUR FROM ts) | YEAR(NULL)
CONCAT() | MAKEDATE(1) | t1 AT TIME ZONE t1 | ts AT TIME ZONE 'x' | INTERVAL '1' DAY | d1 + INTERVAL '1' DAY
d1 - INTERVAL 'x' DAY | N'x' | 1 / 0 | i1 / 0 | i1 % 0 | i1 / -10 | n2 / 0.0 | n2 / 0.1 | n2 / -100 | 1.5e3
DATE '2024-13-01' | TIMESTAMP '2024-01-01 00:00:00' | b = 1 | b | i1 BETWEEN NULL AND 3 | NOT NULL | TRUE | i1 IS 3
t1 COLLATE x = 'a' | e = 1 | u = 'a' | u = u | t1 = 'straße' | t1 LIKE 'ß%' | nope | f.nope | f.* | * | count(*) | '
"""
WRITTEN = [text for line in ODD.strip().splitlines() for text in line.split(" | ")]
COLUMNS = {
    "i1": "int", "i2": "int", "n2": "decimal", "n6": "decimal", "nu": "decimal", "fl": "double", "fr": "real",
    "t1": "varchar", "t2": "varchar", "c8": "char", "b": "bit", "bi": "bit", "d1": "date", "d2": "date", "dz": "date",
    "ts": "datetime", "e": "varchar", "u": "uuid", "z": "timestamp",
}  # fmt: skip
TYPES = {
    "oracle": {
        "int": "NUMBER", "decimal": "NUMBER", "double": "BINARY_DOUBLE", "real": "BINARY_FLOAT", "varchar": "VARCHAR2",
        "char": "CHAR", "date": "DATE", "datetime": "TIMESTAMP", "timestamp": "TIMESTAMP WITH TIME ZONE",
    },
    "postgres": {
        "double": "double precision", "varchar": "text", "char": "character", "bit": "boolean",
        "datetime": "timestamp without time zone", "timestamp": "timestamp with time zone",
    },
    "sqlserver": {"double": "float", "uuid": "uniqueidentifier", "timestamp": "datetimeoffset"},
}  # fmt: skip
COLLATIONS = {"sqlserver": "Latin1_General_CI_AS", "mariadb": SESSION_COLLATION, "mysql": SESSION_COLLATION}


def catalogue(kind: str) -> Catalogue:
    columns = {"id": Column(name="id", type="NUMBER" if kind == "oracle" else "int", nullable=False)}
    for name, type_ in COLUMNS.items():
        columns[name] = Column(
            name=name,
            type=TYPES.get(kind, {}).get(type_, type_),
            collation=COLLATIONS.get(kind) if type_ in ("varchar", "char") else None,
            precision={"decimal": 12, "int": 9}.get(type_),
            scale={"decimal": 2, "int": 0}.get(type_),
        )
    table = Table(name="S.f", columns=columns, primary=("id",), unique=(("id",),))
    return Catalogue(kind=kind, schema="S", tables={"f": table}, folds={SESSION_COLLATION: FOLD})


def drawn() -> list[str]:
    """Expressions of all databases, of which each understands its own."""
    golden = [row[0] for module in (golden_oracle, golden_sqlserver) for row in (*module.GOLDEN, *module.REFUSED)]
    grammars = [Grammar(kind, 3) for kind in ("postgres", "mariadb")]
    return golden + [grammar.draw() for grammar in grammars for _ in range(40)]


@pytest.mark.parametrize("kind", DIALECTS)
def test_odd_sql_is_compiled_or_refused(kind: str) -> None:
    there, rng = catalogue(kind), random.Random(1)
    told = []
    for text in [*WRITTEN, *drawn()]:
        quantity, where = (text, "") if rng.random() < 0.7 else ("1", f" WHERE {text}")
        sql = f"SELECT 'A' AS sku, '*' AS location, 'demand' AS bucket, {quantity} AS quantity FROM f{where}"
        try:
            compiled(there, postings=sql)
        except InvalidInput as error:
            told += str(error).splitlines()
    assert len(told) > len(WRITTEN) / 2
    assert [line for line in told if not line.startswith("postings.sql:")] == []
