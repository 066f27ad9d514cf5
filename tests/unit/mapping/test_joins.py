"""By which key a JOIN finds rows: unique, unique under a condition, a table of one row, an index; what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import InvalidInput
from streams.core.mapping import model
from streams.core.mapping.catalogue import Catalogue, PartialKey
from streams.core.mapping.lookup_tables import LookupTable, lookup_tables
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import Evaluation, Posting, RowError
from tests.unit.mapping.tables import catalogue, compiled, image

SQL = "SELECT {} AS sku, 'W' AS location, 'on_hand' AS bucket, d.qty AS quantity FROM d {}"


def tables(kind: str = "postgres", *partial: PartialKey) -> Catalogue:
    made = catalogue(
        kind,
        d="id:i! k:i? qty:n t:t?",
        link="a:i! b:i! t:t? gone:b",
        item="id:i! code:t state:t gone:i",
        one="id:i! t:t?",
    )
    made.tables["link"].indexes = (("b", "t"),)
    made.tables["item"].partial = partial
    return made


def yields(
    mapping: CompiledMapping, row: dict[str, Any], **others: list[dict[str, Any]]
) -> tuple[list[str], Evaluation]:
    """The skus of a row of `d`, and its evaluation."""
    found = {
        f"s.{table}": [mapping.tables[f"s.{table}"].decode(image(**r)) for r in rows] for table, rows in others.items()
    }
    of = mapping.tables["s.d"]
    evaluation = of.evaluate(of.decode(image(**row)), lookup_tables(mapping, found))
    return [output.sku for output in evaluation.outputs if isinstance(output, Posting)], evaluation


ROW = {"id": 1, "k": 7, "qty": "1.00", "t": "x"}


def link(a: int, b: int, t: str | None, gone: bool = False) -> dict[str, Any]:
    return {"a": a, "b": b, "t": t, "gone": gone}


def test_the_longest_beginning_of_an_index_finds_several_rows() -> None:
    by_primary = compiled(tables(), "many: [link]", postings=SQL.format("l.t", "JOIN link l ON l.a = d.k"))
    assert [(lookup.columns, lookup.many) for lookup in by_primary.lookups] == [(("a",), True)]
    assert by_primary.tables["s.d"].spreads
    links = [link(7, 1, "p"), link(7, 2, "q"), link(8, 1, "r")]
    assert yields(by_primary, ROW, link=links)[0] == ["p", "q"]
    assert yields(by_primary, ROW, link=[]) == ([], Evaluation((), ((0, (7,)),), ()))
    assert yields(by_primary, ROW | {"k": None}, link=links) == ([], Evaluation((), (), ()))
    whole = compiled(tables(), "many: [link]", postings=SQL.format("l.t", "JOIN link l ON l.b = d.k AND l.t = d.t"))
    assert [lookup.columns for lookup in whole.lookups] == [("b", "t")]
    unique = compiled(tables(), "many: [link]", postings=SQL.format("l.t", "JOIN link l ON l.b = d.k AND l.a = d.id"))
    assert [(lookup.columns, lookup.many) for lookup in unique.lookups] == [(("a", "b"), False)]
    assert not unique.tables["s.d"].spreads


def test_a_left_join_of_several_rows_gives_nulls_when_none_of_them_fits() -> None:
    on = "LEFT JOIN link l ON l.a = d.k AND l.t <> 'no' WHERE l.gone IS NULL OR NOT l.gone"
    mapping = compiled(tables(), "many: [link]", postings=SQL.format("COALESCE(l.t, 'none')", on))
    links = [link(7, 1, "p"), link(7, 2, "no"), link(7, 3, "q", gone=True)]
    assert yields(mapping, ROW, link=links)[0] == ["p"]
    assert yields(mapping, ROW, link=links[1:2])[0] == ["none"]
    assert yields(mapping, ROW, link=links[2:])[0] == []
    assert yields(mapping, ROW, link=[])[0] == ["none"]
    assert yields(mapping, ROW | {"k": None}, link=links)[0] == ["none"]


def test_a_key_that_rests_on_each_of_several_rows_is_a_chain_of_each() -> None:
    on = "JOIN link l ON l.a = d.k JOIN item i ON i.id = l.b"
    mapping = compiled(tables(), "many: [link]", postings=SQL.format("i.code", on))
    items = [{"id": n, "code": f"I{n}", "state": "", "gone": 0} for n in (1, 2)]
    skus, evaluation = yields(mapping, ROW, link=[link(7, n, None) for n in (1, 2, 3)], item=items)
    assert (skus, evaluation.missing, evaluation.rests_on) == (["I1", "I2"], ((1, (3,)),), ((0, (7,)),))
    of = mapping.tables["s.link"]
    assert of.chains(of.decode(image(**link(7, 3, None)))) == ((1, (3,)),)


def test_two_selects_that_join_the_same_several_rows() -> None:
    first = SQL.format("l.t", "JOIN item i ON i.id = d.id JOIN link l ON l.a = d.k")
    second = SQL.format("i.code", "JOIN item i ON i.id = d.id JOIN link l ON l.a = d.k WHERE l.b > 1")
    mapping = compiled(tables(), "many: [link]", postings=f"{first} UNION ALL {second}")
    items = [{"id": 1, "code": "I", "state": "", "gone": 0}]
    skus, _ = yields(mapping, ROW, link=[link(7, 1, "p"), link(7, 2, "q")], item=items)
    assert sorted(skus) == ["I", "p", "q"]


def test_one_row_yields_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.core.mapping.mapping.MANY", 3)
    one = SQL.format("l.t", "JOIN link l ON l.a = d.k")
    mapping = compiled(tables(), "many: [link]", postings=f"{one} UNION ALL {one}")
    assert len(yields(mapping, ROW, link=[link(7, 1, "p")])[0]) == 2
    with pytest.raises(RowError, match="one row yields 4 outputs, at most 3") as error:
        yields(mapping, ROW, link=[link(7, 1, "p"), link(7, 2, "q")])
    assert error.value.code == "lookup-too-many"


def test_rows_of_a_key_are_counted() -> None:
    mapping = compiled(tables(), "many: [link]", postings=SQL.format("l.t", "JOIN link l ON l.a = d.k"))
    table = LookupTable(mapping.lookups[0])
    for _ in range(model.MANY):
        table.add((7,), object())
    assert len(table.get((7,)) or ()) == model.MANY
    table.add((7,), object())
    with pytest.raises(RowError, match=r"lookup s.link \(a\) \['7'\]: more than 10,000 rows share this key"):
        table.get((7,))


def test_a_key_that_cannot_be_made_tells_where_the_sql_joins_by_it() -> None:
    known = catalogue(d="id:i! day:d", shift="id:i! day:d next:d", later="id:i! day:d code:t")
    mapping = compiled(
        known,
        "unique: {shift: [[day]], later: [[day]]}",
        postings="SELECT l.code AS sku, 'W' AS location, 'on_hand' AS bucket, 1 AS quantity\n"
        "FROM d JOIN shift s ON s.day = d.day\n"
        "JOIN later l ON l.day = s.next",
    )
    of = mapping.tables["s.shift"]
    with pytest.raises(RowError, match=r"^postings.sql:2:13: date 0000 is outside"):
        of.lookup_keys(of.decode(image(id=1, day="0000", next="2026-11-25Z")))
    with pytest.raises(RowError, match=r"^postings.sql:3:6: date 0000 is outside"):
        of.chains(of.decode(image(id=1, day="2026-11-25Z", next="0000")))


PREDICATES = [
    ("gone = 0", "i.gone = 0"),
    ("(gone = 0)", "(i.gone = 0)"),
    ("((gone = 0) AND ((state)::text = 'live'::text))", "i.state = 'live' AND i.gone = 0"),
    (
        "((state)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
        "i.state IN ('a', 'b')",
    ),
    ("(state IS NOT NULL)", "i.state IS NOT NULL"),
    ("gone = 0", "GONE = 0 AND i.id > 5"),
]


@pytest.mark.parametrize(("predicate", "on"), PREDICATES)
def test_a_key_under_a_condition_that_on_repeats(predicate: str, on: str) -> None:
    known = tables("postgres", PartialKey(columns=("code",), where=predicate))
    mapping = compiled(known, postings=SQL.format("i.code", f"JOIN item i ON i.code = d.t AND {on}"))
    (lookup,) = mapping.lookups
    assert (lookup.columns, lookup.many) == (("code",), False)
    of = mapping.tables["s.item"]
    live = {"id": 9, "code": "x", "state": "a" if "ANY" in predicate else "live", "gone": 0}
    assert of.lookup_keys(of.decode(image(**live))) == ((0, ("x",)),)
    if "NOT NULL" not in predicate:
        assert of.lookup_keys(of.decode(image(**live | {"gone": 1, "state": "old"}))) == ()
    assert yields(mapping, ROW, item=[live])[0] == ["x"]


def test_a_key_under_a_condition_that_source_yaml_declares() -> None:
    more = "unique: {item: [{columns: [code], where: 'gone = 0'}]}"
    on = "LEFT JOIN item i ON i.code = d.t AND i.gone = 0"
    mapping = compiled(tables("mariadb"), more, postings=SQL.format("COALESCE(i.state, 'none')", on))
    rows = [{"id": n, "code": code, "state": f"s{n}", "gone": n} for n, code in ((0, "X"), (1, "x"), (2, "x"))]
    assert yields(mapping, ROW, item=rows)[0] == ["s0"]
    assert yields(mapping, ROW, item=rows[1:])[0] == ["none"]
    with pytest.raises(RowError, match=r"s.item \(code\) WHERE gone = 0 \['X'\]: 2 rows share one key"):
        yields(mapping, ROW, item=[*rows, rows[0]])


@pytest.mark.parametrize("join", ["CROSS JOIN one o", "JOIN one o ON TRUE", "LEFT JOIN one o ON TRUE"])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_table_of_one_row(kind: str, join: str) -> None:
    mapping = compiled(tables(kind), "one_row: [one]", postings=SQL.format("COALESCE(o.t, 'none')", join))
    assert yields(mapping, ROW, one=[{"id": 1, "t": "A"}])[0] == ["A"]
    skus, evaluation = yields(mapping, ROW, one=[])
    assert (skus, evaluation.missing) == ((["none"], ()) if "LEFT" in join else ([], ((0, ()),)))
    assert evaluation.rests_on == ((0, ()),)
    with pytest.raises(RowError, match="2 rows share one key"):
        yields(mapping, ROW, one=[{"id": 1, "t": "A"}, {"id": 2, "t": "B"}])


REFUSED = [
    ("", "JOIN link l ON l.a = d.k", "if several rows are meant, name the table under `many`"),
    ("many: [item]", "JOIN item i ON i.code = d.t", "no index of s.item begins with a column that ON fixes"),
    ("many: [link]", "JOIN link l ON l.a = d.k JOIN link m ON m.a = d.k", "a second join that finds several rows"),
    ("", "CROSS JOIN one o", "every row of s.one would match: if it has one row, declare it under `one_row`"),
    ("", "JOIN one o ON TRUE", "every row of s.one would match"),
    ("", "JOIN item i ON i.code = d.t", "(id) or (code) where gone = 0"),
    ("", "JOIN item i ON i.code = d.t AND i.gone = 1", "(code) where gone = 0"),
    ("", "JOIN item i ON i.id = o.id JOIN one o ON o.id = i.id", "by columns of tables named before it"),
    ("", "JOIN item i ON i.id = i.gone", "by columns of tables named before it"),
    ("one_row: [nope]", "", "one_row: no table nope in catalog.json"),
    ("many: [nope]", "", "many: no table nope in catalog.json"),
    ("unique: {item: [{columns: [nope], where: a}]}", "", "unique: table item has no column nope"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "join", "reason"), REFUSED)
def test_joins_that_are_refused(more: str, join: str, reason: str) -> None:
    known = tables("postgres", PartialKey(columns=("code",), where="gone = 0"))
    with pytest.raises(InvalidInput) as error:
        compiled(known, more, postings=SQL.format("d.t", join))
    assert reason in str(error.value)
