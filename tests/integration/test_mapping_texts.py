"""Texts of MariaDB that UNION joins, and BITs that become text: refused where the server refuses, else as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

import pymysql
import pytest

from schemas.errors import InvalidInput
from streams.core.mapping.mapping import compile_mapping
from streams.core.mapping.problems import Refused
from streams.core.mapping.source import parse_source
from tests.integration.mapping_support.databases import server, writer
from tests.integration.mapping_support.rows import Server
from tests.integration.mapping_support.selects import PlainSelects
from tests.stack import Database

pytestmark = pytest.mark.integration
COLLATIONS = {
    "g": "utf8mb4_general_ci",
    "u": "utf8mb4_unicode_ci",
    "m": "utf8mb4_uca1400_ai_ci",
    "b": "utf8mb4_bin",
    "three": "utf8mb3_general_ci",
    "l": "latin1_swedish_ci",
    "lb": "latin1_bin",
    "two": "latin2_general_ci",
    "a": "ascii_general_ci",
}
TEXTS = [
    *COLLATIONS,
    "CAST(NULL AS CHAR)",
    "UPPER(CAST(NULL AS CHAR))",
    "CAST(id AS CHAR)",
    "CONCAT('x', id)",
    "'x'",
    "CASE WHEN id = 1 THEN 'é' END",
]
BITS = [
    "COALESCE(null_bit, bit)",
    "COALESCE(bit, 0)",
    "COALESCE(bit)",
    "IFNULL(null_bit, bit)",
    "IF(id = 1, bit, 0)",
    "CASE WHEN id = 1 THEN bit END",
    "CASE bit WHEN 1 THEN bit ELSE null_bit END",
    "GREATEST(bit, bit)",
    "ABS(bit)",
    "bit + 0",
]


@pytest.fixture
def there(mariadb: Database) -> Iterator[Server]:
    columns = ", ".join(f"{name} varchar(9) COLLATE {collation}" for name, collation in COLLATIONS.items())
    with writer("mariadb", mariadb) as rows:
        rows.run(f"CREATE TABLE f (id int PRIMARY KEY, bit bit(1) NOT NULL, null_bit bit(1), {columns})")
        rows.run("INSERT INTO f (id, bit, null_bit) VALUES (1, b'1', NULL), (2, b'0', b'1'), (3, b'0', b'0')")
    with server("mariadb", mariadb) as found:
        yield found


def test_union_joins_the_texts_that_the_server_joins(there: Server) -> None:
    wrong = []
    mixes = [*product(TEXTS, repeat=2), *product(("g", "u", "b", "l", "CAST(NULL AS CHAR)"), repeat=3)]
    for texts in mixes:
        sql = " UNION ALL ".join(
            f"SELECT 'S' AS sku, 'W' AS location, 'demand' AS bucket, 1 AS quantity, {text} AS reference FROM f"
            for text in texts
        )
        code, refused = _server_says(there, sql), _compiler_says(there, sql)
        if (code in (1267, 1271), ": CAST(… AS CHAR) " in refused) not in ((True, True), (False, False)):
            wrong.append((texts, code, refused))
    assert not wrong


def _server_says(there: Server, sql: str) -> int:
    """Its error code; 0: it takes the text."""
    try:
        there.query(sql)
    except pymysql.MySQLError as error:
        return int(error.args[0])
    return 0


def _compiler_says(there: Server, sql: str) -> str:
    source = parse_source(f"name: test\nkind: mariadb\nschema: {there.catalogue.schema}\n")
    try:
        compile_mapping(source, there.catalogue, {"postings.sql": sql}, b"")
    except InvalidInput as error:
        return str(error)
    return ""


def test_a_choice_between_bits_is_digits_as_text_and_a_bit_alone_is_refused(there: Server) -> None:
    for bit in BITS:
        for text in (f"CAST({bit} AS CHAR)", f"CONCAT('#', {bit})", f"LPAD({bit}, 4, '0')"):
            select = f"SELECT id AS id, {text} AS x FROM f"
            compiled = PlainSelects(there.catalogue, select).tables["f"]
            images = there.images(there.catalogue.tables["f"], compiled.columns)
            here = [output for i in images for output in compiled.evaluate(compiled.decode(i), ()).outputs]
            assert Counter(here) == Counter(there.query(select)), text
    # CONCAT of the last one is of no character set
    for text in ("CAST(bit AS CHAR)", "CONCAT('#', bit)", "LPAD((bit), 4, '0')", "CONCAT('#', NULLIF(bit, 0))"):
        with pytest.raises(Refused, match="a BIT becomes bytes"):
            PlainSelects(there.catalogue, f"SELECT id AS id, {text} AS x FROM f")
