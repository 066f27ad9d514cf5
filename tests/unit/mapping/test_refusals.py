"""What is outside the subset is refused with file, line, column, reason and way out."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from schemas.errors import InvalidInput
from streams.core.mapping.catalogue import SESSION_COLLATION, Column
from streams.core.mapping.model import Posting
from tests.unit.mapping.tables import catalogue, compiled, image

TABLES = {
    "f": "id:i! i:i? n:n? u:u? t:t? t2:t c:c? d:d? s:s? z:z? b:b? fl:f? fr:r? x:x?",
    "g": "k:t! v:i?",
    "h": "k:i! w:i?",
    "nokey": "a:i t:t",
}
POSTING = "SELECT t2 AS sku, t2 AS location, 'on_hand' AS bucket, {} AS quantity FROM f"
SKU = "SELECT {} AS sku, t2 AS location, 'on_hand' AS bucket, id AS quantity FROM f"
WHERE = "SELECT t2 AS sku, t2 AS location, 'on_hand' AS bucket, id AS quantity FROM f WHERE {}"
FROM = "SELECT f.t2 AS sku, f.t2 AS location, 'on_hand' AS bucket, f.id AS quantity FROM f {}"


@pytest.mark.parametrize(
    ("kind", "sql", "reason"),
    [
        ("postgres", POSTING.format("SUM(n)") + " GROUP BY t2", "no aggregates"),
        ("postgres", WHERE.format("EXISTS (SELECT 1 FROM g WHERE g.k = f.t)"), "no subqueries"),
        ("postgres", FROM.format("JOIN h ON h.w = f.i"), "ON must fix a unique key of s.h, (k)"),
        ("postgres", FROM.format("JOIN h ON h.k > f.i"), "ON must fix a unique key"),
        ("postgres", FROM.format(", g WHERE g.k = f.t"), "only JOIN … ON and LEFT JOIN … ON"),
        ("postgres", FROM.format("RIGHT JOIN h ON h.k = f.i"), "RIGHT join: only JOIN"),
        ("postgres", FROM.format("JOIN h ON h.k = f.t"), "text joined to int column k: CAST it"),
        ("postgres", FROM.format("JOIN f AS f2 ON f2.id = f.fl"), "float joined to int"),
        (
            "postgres",
            FROM.format("JOIN nokey ON nokey.a = f.i"),
            "table s.nokey has no primary key, so nothing tells its rows apart: ALTER TABLE s.nokey ADD PRIMARY KEY",
        ),
        (
            "postgres",
            FROM.format("JOIN h ON h.k = f.i JOIN g ON g.k = f.t WHERE k > 0"),
            "column k is ambiguous: name its",
        ),
        ("postgres", FROM.format("JOIN f ON f.id = f.i"), "f is named twice: give each table an alias of its own"),
        ("postgres", "SELECT DISTINCT t2 AS sku FROM f", "no DISTINCT"),
        ("postgres", WHERE.format("i = 1") + " ORDER BY 1 LIMIT 5", "no ORDER BY"),
        ("postgres", WHERE.format("d < CURRENT_DATE"), "a row does not change with time"),
        ("postgres", WHERE.format("s < now()"), "a row does not change with time"),
        ("postgres", POSTING.format("fl"), "a float has no exact value: CAST it"),
        ("postgres", POSTING.format("fl * 2"), "arithmetic on a float is not exact"),
        ("postgres", POSTING.format("n / u"), "NULLIF(x, 0)"),
        ("postgres", POSTING.format("n / (i - 1)"), "NULLIF(x, 0)"),
        ("postgres", POSTING.format("ROUND(i)"), "an integer is whole already"),
        ("postgres", POSTING.format("n * 0.00000001"), "10 digits after the point, the contract holds 9: ROUND it"),
        ("postgres", WHERE.format("t < t2"), "the order of text depends on its collation"),
        ("postgres", WHERE.format("i = '5'"), "int compared with text: CAST one"),
        ("postgres", WHERE.format("c = t"), "CHAR(n) compared with other text"),
        ("postgres", WHERE.format("c LIKE 'a%'"), "LIKE on a CHAR(n) column sees its blanks: TRIM it"),
        ("postgres", WHERE.format("t IN ('a', NULL)"), "IN takes a list of literals"),
        ("postgres", WHERE.format("i"), "int used as a condition"),
        ("postgres", WHERE.format("t ~ 'x'"), "RegexpLike is outside the subset"),
        ("postgres", WHERE.format("x = 'a'"), "'a' is no uuid"),
        ("mariadb", WHERE.format("b = 'a'"), "type is not supported"),
        ("postgres", WHERE.format("fr > 1"), "CAST the single precision column"),
        ("postgres", WHERE.format("d = '2024-13-01'"), "write it as YYYY-MM-DD"),
        ("postgres", WHERE.format("nope = 1"), "column nope is not in catalog.json"),
        ("postgres", WHERE.format("f.nope = 1"), "column f.nope is not in catalog.json"),
        ("postgres", FROM.format("JOIN g ON g.k = f.t WHERE id = k AND t2 = v"), "int compared with text"),
        ("postgres", "SELECT t AS sku FROM nope", "no table nope in catalog.json"),
        ("postgres", "SELECT t AS sku FROM other.f", "only schema s is captured"),
        ("postgres", "SELECT * FROM f", "name the columns"),
        ("postgres", "WITH x AS (SELECT 1) SELECT t AS sku FROM f", "no WITH"),
        ("postgres", POSTING.format("ROW_NUMBER() OVER (PARTITION BY t ORDER BY d)"), "Window"),
        ("postgres", POSTING.format("(SELECT MAX(v) FROM g)"), "no subqueries"),
        ("postgres", POSTING.format("i") + " UNION " + POSTING.format("i"), "only plain UNION ALL"),
        ("postgres", POSTING.format("i") + " UNION ALL SELECT t2 FROM f", "1 columns where the first SELECT has 4"),
        ("postgres", POSTING.format("CASE WHEN b THEN 1 ELSE 'x' END"), "mixed types int, text"),
        ("postgres", POSTING.format("IF(b, 1, 2)"), "IF is no function of PostgreSQL"),
        ("postgres", POSTING.format("make_interval(1)"), "outside the subset"),
        ("postgres", "SELEC t AS sku FROM f", "not understood"),
        ("postgres", "SELECT id FROM f; DELETE FROM f", "2 statements"),
        ("postgres", "DELETE FROM f", "Delete is outside the subset"),
        ("postgres", SKU.format("c"), "sku: a CHAR(n) column carries its blanks: TRIM it"),
        ("postgres", SKU.format("id"), "sku: int where text is needed: CAST it"),
        ("postgres", SKU.format("NULL"), "sku: is always NULL"),
        (
            "postgres",
            "SELECT t2 AS sku, t2 AS location, 'onhand' AS bucket, 1 AS quantity FROM f",
            "'onhand' is no bucket",
        ),
        (
            "postgres",
            "SELECT t2 AS sku, t2 AS location, CASE WHEN b THEN 'demand' ELSE 'x' END AS bucket, 1 AS quantity FROM f",
            "'x' is no bucket",
        ),
        ("postgres", "SELECT t2 AS sku, t2 AS location, 'demand' AS bucket FROM f", "column quantity is missing"),
        ("postgres", SKU.format("t2").replace("quantity", "qty"), "postings has no column qty"),
        ("postgres", WHERE.format("z > '2026-01-01'"), "z AT TIME ZONE 'UTC' is a time stamp"),
        ("postgres", WHERE.format("z AT TIME ZONE 'EST' > '2026-01-01'"), "a literal of the time zone database"),
        ("postgres", WHERE.format("d AT TIME ZONE 'UTC' IS NULL"), "AT TIME ZONE of date"),
        ("postgres", WHERE.format("CAST(z AS date) = d"), "the day of an instant depends on the zone"),
        ("postgres", WHERE.format("x < '0e984725-c51c-4bf4-9960-e1c80e27aba0'"), "the order of uuids means nothing"),
        (
            "postgres",
            WHERE.format("s + make_interval(days => 1) IS NULL"),
            "of make_interval only secs => n",
        ),
        ("postgres", WHERE.format("s + make_interval(secs => n) IS NULL"), "exact number where int is needed"),
        ("postgres", WHERE.format("z + make_interval(secs => i) IS NULL"), "only a date or time stamp without a zone"),
        ("postgres", WHERE.format("make_interval(secs => i) IS NULL"), "MakeInterval is outside the subset"),
        ("postgres", WHERE.format("d < '-infinity'"), "write it as YYYY-MM-DD"),
        ("postgres", WHERE.format("nope = 1"), "generated columns are not published: map what they are made of"),
        ("mariadb", WHERE.format("DATE_ADD(s, INTERVAL i HOUR) IS NULL"), "only INTERVAL n DAY"),
        ("mariadb", WHERE.format("DATE(z) = d"), "the day of an instant depends on the zone: take a column without"),
        ("mariadb", SKU.format("t || t2"), "|| is OR in MariaDB"),
        ("mariadb", POSTING.format("LENGTH(t)"), "LENGTH counts bytes here: CHAR_LENGTH"),
        ("mariadb", POSTING.format("n / 3"), "a quotient must be rounded"),
        ("mariadb", WHERE.format("n / 3 > 1"), "round the quotient before comparing it"),
        ("mariadb", POSTING.format("MOD(n, 0.7)"), "negative zero"),
        ("mariadb", POSTING.format("d + 1"), "DATE_ADD"),
    ],
)
def test_refused_with_its_place_and_a_way_out(kind: str, sql: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as error:
        compiled(catalogue(kind, **TABLES), postings=sql)
    assert reason in str(error.value)
    assert str(error.value).startswith("postings.sql:")


def test_every_problem_is_told_at_once_with_its_line() -> None:
    sql = """SELECT t2 AS sku,
       fl AS location,
       'on_hand' AS bucket,
       n / u AS quantity
  FROM f
 WHERE i = 'x'
   AND nope = 1"""
    with pytest.raises(InvalidInput) as error:
        compiled(catalogue(**TABLES), postings=sql, crosswalk="SELECT 1", stock="SELECT 1", postings__="SELECT 1")
    places = [line.split(": ")[0] for line in str(error.value).splitlines()]
    assert {"postings.sql:2:8", "postings.sql:4:8", "postings.sql:6:8", "postings.sql:7:8"} <= set(places)
    assert "crosswalks are not built yet" in str(error.value)
    assert "no output has this name" in str(error.value)


def test_an_unknown_part_of_a_known_node_is_refused() -> None:
    with pytest.raises(InvalidInput, match="outside the subset"):
        compiled(catalogue(**TABLES), postings=FROM.format("TABLESAMPLE SYSTEM (1)"))


def test_mixed_collations_are_refused() -> None:
    tables = catalogue("mariadb", f="id:i! a:t b:t")
    tables.tables["f"].columns["b"] = type(tables.tables["f"].columns["b"])(
        name="b", type="varchar", nullable=False, collation="utf8mb4_bin"
    )
    sql = "SELECT a AS sku, b AS location, 'demand' AS bucket, id AS quantity FROM f WHERE a = b"
    with pytest.raises(InvalidInput, match="mixed collations utf8mb4_bin, utf8mb4_general_ci: CAST each AS CHAR"):
        compiled(tables, postings=sql)


def test_texts_that_mariadb_does_not_join_by_union_are_refused_where_the_second_stands() -> None:
    tables = catalogue("mariadb", f="id:i! a:t b:t")
    for name, collation in (("a", "utf8mb4_unicode_ci"), ("b", "latin1_swedish_ci")):
        tables.tables["f"].columns[name] = Column(name=name, type="varchar", collation=collation)
    sql = (
        "SELECT 'S' AS sku, 'W' AS location, 'demand' AS bucket, 1 AS quantity, {} AS reference FROM f\n"
        "UNION ALL SELECT 'S', 'W', 'demand', 1, {} FROM f"
    )
    for first, second, why in (
        ("a", "CAST(NULL AS CHAR)", "utf8mb4_unicode_ci and utf8mb4_general_ci order their texts differently"),
        ("CASE WHEN id = 1 THEN 'é' END", "b", "a text beyond ASCII beside columns of latin1_swedish_ci"),
    ):
        with pytest.raises(InvalidInput) as refused:
            compiled(tables, postings=sql.format(first, second))
        (line,) = str(refused.value).splitlines()
        assert re.match(r"postings\.sql:2:\d+: reference: ", line)
        assert why in line
        assert "CAST(… AS CHAR)" in line
    for first, second in (
        ("a", "NULL"),
        ("a", "b"),
        ("b", "CAST(NULL AS CHAR)"),
        ("CAST(a AS CHAR)", "CAST(id AS CHAR)"),
    ):
        compiled(tables, postings=sql.format(first, second))


def test_mariadb_s_bit_is_no_text_and_its_enum_no_number() -> None:
    tables = catalogue("mariadb", f="id:i! e:t bi:i")
    tables.tables["f"].columns["e"] = Column(name="e", type="enum", collation=SESSION_COLLATION, values=("10", "20"))
    tables.tables["f"].columns["bi"] = Column(name="bi", type="bit")
    sql = "SELECT {} AS sku, 'W1' AS location, 'demand' AS bucket, {} AS quantity FROM f"
    with pytest.raises(InvalidInput, match="a BIT becomes bytes in MariaDB"):
        compiled(tables, postings=sql.format("CONCAT('a', bi)", "1"))
    with pytest.raises(InvalidInput, match="its place in the declaration: CAST it to CHAR"):
        compiled(tables, postings=sql.format("e", "CAST(e AS SIGNED)"))
    mapping = compiled(tables, postings=sql.format("e", "CAST(CAST(e AS CHAR) AS SIGNED) * bi"))
    of = mapping.tables["s.f"]
    (posting,) = of.evaluate(of.decode(image(id=1, e="20", bi=True)), ()).outputs
    assert isinstance(posting, Posting)
    assert (posting.sku, posting.quantity) == ("20", Decimal(20))


def test_placeholders_need_values() -> None:
    with pytest.raises(InvalidInput, match=r"postings.sql:1:1: \$\{company\}: source.yaml gives no values"):
        compiled(catalogue(**TABLES), postings=SKU.format("'${company}'"))
