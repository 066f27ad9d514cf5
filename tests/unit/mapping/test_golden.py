"""Databases without a server here: tables of the answers their vendors document, and what is refused there."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import InvalidInput
from streams.core.mapping.catalogue import Catalogue, Column, Table
from streams.core.mapping.model import RowError
from streams.core.mapping.problems import Refused
from tests.integration.mapping_support.selects import PlainSelects
from tests.unit.mapping import golden_oracle, golden_sqlserver
from tests.unit.mapping.tables import FOLD, compiled, image

GOLDEN = {"sqlserver": golden_sqlserver, "oracle": golden_oracle}


def catalogue(kind: str) -> Catalogue:
    columns = {name: Column(name=name, **known) for name, known in GOLDEN[kind].COLUMNS.items()}
    key = (next(iter(columns)),)
    return Catalogue(
        kind=kind, schema="S", tables={"F": Table(name="S.F", columns=columns, primary=key, unique=(key,))}
    )


def answered(kind: str, expression: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression over one row; `row error` when it has none."""
    there = catalogue(kind)
    key = there.tables["F"].primary[0]
    selects = PlainSelects(there, f"SELECT {key}, {expression} FROM F")
    table = selects.tables["F"]
    row = table.decode(image(**{name: values.get(name) for name in table.columns if name != key}, **{key: 1}))
    try:
        ((_, value),) = table.evaluate(row, ()).outputs  # type: ignore[misc]
    except RowError:
        return "row error"
    return value


def same(value: Any, expected: Any) -> bool:
    if isinstance(value, Decimal) and isinstance(expected, str):
        return value == Decimal(expected)
    return bool(value == expected and type(value) is type(expected))


@pytest.mark.parametrize(
    ("collation", "text", "literal", "equal"),
    [
        ("utf8mb4_0900_ai_ci", "AB", "ab", 1),
        ("utf8mb4_0900_ai_ci", "ab ", "ab", 0),
        ("utf8mb4_0900_bin", "AB", "ab", 0),
        ("utf8mb4_0900_bin", "ab ", "ab", 0),
        ("utf8mb4_bin", "ab ", "ab", 1),
        ("utf8mb4_general_ci", "AB ", "ab", 1),
    ],
)
def test_mysql_is_mariadb_but_for_trailing_blanks_of_0900(collation: str, text: str, literal: str, equal: int) -> None:
    """dev.mysql.com/doc/refman/8.0/en/char.html: utf8mb4_0900 collations are NO PAD, all others PAD SPACE."""
    columns = {
        "id": Column(name="id", type="int", nullable=False),
        "t": Column(name="t", type="varchar", length=9, collation=collation),
    }
    table = Table(name="S.F", columns=columns, primary=("id",), unique=(("id",),))
    folds = dict.fromkeys(("utf8mb4_0900_ai_ci", "utf8mb4_general_ci"), FOLD)
    there = Catalogue(kind="mysql", schema="S", tables={"F": table}, folds=folds)
    selects = PlainSelects(there, f"SELECT id, CASE WHEN t = '{literal}' THEN 1 ELSE 0 END FROM F")
    of = selects.tables["F"]
    (output,) = of.evaluate(of.decode(image(id=1, t=text)), ()).outputs
    assert output[1] == equal  # type: ignore[index]


ROWS = [(kind, *row) for kind, golden in GOLDEN.items() for row in golden.GOLDEN]


@pytest.mark.parametrize(("kind", "expression", "values", "expected"), ROWS)
def test_the_documented_answer(kind: str, expression: str, values: Mapping[str, Any], expected: Any) -> None:
    found = answered(kind, expression, values)
    assert same(found, expected), f"{found!r}, documented {expected!r}"


@pytest.mark.parametrize(
    ("kind", "expression", "reason"), [(kind, *row) for kind, golden in GOLDEN.items() for row in golden.REFUSED]
)
def test_refused_where_it_is_not_certain(kind: str, expression: str, reason: str) -> None:
    with pytest.raises(Refused) as error:
        answered(kind, expression, {})
    assert reason in str(error.value)


def test_oracle_has_no_as_before_a_table_s_alias() -> None:
    sql = """SELECT f.t AS sku, f.t AS location, 'demand' AS bucket, f.id AS quantity
  FROM s.F {} f
  JOIN F {} g ON g.id = f.id"""
    there = catalogue("oracle")
    there.schema = "S"
    compiled(there, postings=sql.format("", ""))
    with pytest.raises(InvalidInput) as error:
        compiled(there, postings=sql.format("AS", "AS"))
    told = [line.partition(": ")[0] for line in str(error.value).splitlines()]
    assert told == ["postings.sql:2:12", "postings.sql:3:10"]
