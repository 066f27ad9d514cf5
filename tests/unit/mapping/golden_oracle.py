"""What Oracle answers, by its documentation: there is no such server in the builds.

Each group names the chapter of the SQL Language Reference its rows are taken or follow from.
"""

from __future__ import annotations

from typing import Any

COLUMNS: dict[str, dict[str, Any]] = {
    "ID": {"type": "NUMBER", "precision": 8, "scale": 0, "nullable": False},
    "N": {"type": "NUMBER", "precision": 8, "scale": 0},
    "D": {"type": "NUMBER", "precision": 15, "scale": 2},
    "ANYNUM": {"type": "NUMBER"},
    "T": {"type": "VARCHAR2", "length": 20},
    "C": {"type": "NCHAR", "length": 8},
    "C2": {"type": "CHAR", "length": 4},
    "AT": {"type": "DATE"},
    "TS": {"type": "TIMESTAMP"},
}
AT = "2026-11-24T10:30:00Z"

GOLDEN: list[tuple[str, dict[str, Any], Any]] = [
    # Arithmetic Operators; MOD: of the dividend's sign, MOD(x, 0) is x
    ("n / 100", {"N": 12345}, "123.45"),
    ("d / 10000", {"D": "1.50"}, "0.00015"),
    ("ROUND(n / 3, 4)", {"N": 2}, "0.6667"),
    ("ROUND(n / NULLIF(d, 0), 2)", {"N": 2, "D": "0.00"}, None),
    ("MOD(n, 4)", {"N": -11}, -3),
    ("MOD(n, 0)", {"N": 11}, 11),
    ("MOD(d, 0.5)", {"D": "1.75"}, "0.25"),
    ("ROUND(d, 1)", {"D": "-2.25"}, "-2.3"),
    ("ROUND(d)", {"D": "2.50"}, "3"),
    ("TRUNC(d, 1)", {"D": "15.79"}, "15.7"),
    ("TRUNC(d)", {"D": "-15.79"}, "-15"),
    ("CEIL(d)", {"D": "268651.80"}, "268652"),
    ("anynum * 2", {"ANYNUM": "0.1"}, "0.2"),
    ("GREATEST(n, d)", {"N": 1, "D": None}, None),
    ("LEAST(n, d)", {"N": 1, "D": "0.50"}, "0.5"),
    # Nulls: a text of length zero is NULL; Concatenation Operator: NULL joins as ''
    ("t || 'x'", {"T": None}, "x"),
    ("t || NULL", {"T": None}, None),
    ("t || n", {"T": "a", "N": 7}, "a7"),
    ("CONCAT(t, 'x')", {"T": None}, "x"),
    ("CASE WHEN t = '' THEN 1 ELSE 0 END", {"T": "a"}, 0),
    ("NVL(t, '')", {"T": None}, None),
    ("TRIM(t)", {"T": "   "}, None),
    ("TRIM(c)", {"C": "  AB    "}, "AB"),
    ("RTRIM(c)", {"C": "        "}, None),
    ("CASE WHEN TRIM(c) IS NOT NULL THEN 'held' END", {"C": "        "}, None),
    ("REPLACE(t, 'a')", {"T": "aaa"}, None),
    ("REPLACE(t, 'a', 'b')", {"T": "banana"}, "bbnbnb"),
    # SUBSTR: 0 counts as 1, negative from the end, nothing is NULL
    ("SUBSTR(t, 3, 4)", {"T": "ABCDEFG"}, "CDEF"),
    ("SUBSTR(t, -5, 4)", {"T": "ABCDEFG"}, "CDEF"),
    ("SUBSTR(t, 0, 2)", {"T": "ABC"}, "AB"),
    ("SUBSTR(t, 9, 2)", {"T": "ABC"}, None),
    ("LPAD(t, 5, '0')", {"T": "42"}, "00042"),
    ("LPAD(t, 1, '0')", {"T": "42"}, "4"),
    ("LPAD(t, 0, '0')", {"T": "42"}, None),
    ("LTRIM(t, '0')", {"T": "0042"}, "42"),
    ("TRIM(LEADING '0' FROM t)", {"T": "0000"}, None),
    ("LENGTH(t)", {"T": "abc"}, 3),
    ("UPPER(t)", {"T": "abé"}, "ABÉ"),
    # Data Type Comparison Rules: CHAR with CHAR or a literal is compared without regard to trailing blanks
    ("CASE WHEN c = 'AB' THEN 1 ELSE 0 END", {"C": "AB      "}, 1),
    ("CASE WHEN c = c2 THEN 1 ELSE 0 END", {"C": "AB      ", "C2": "AB  "}, 1),
    ("CASE WHEN c2 IN ('S ', 'X') THEN 1 ELSE 0 END", {"C2": "S   "}, 1),
    ("CASE WHEN t = 'a' THEN 1 ELSE 0 END", {"T": "a "}, 0),
    ("CASE WHEN t = 'A' THEN 1 ELSE 0 END", {"T": "a"}, 0),
    ("CASE WHEN c2 < '620' THEN 1 ELSE 0 END", {"C2": "540 "}, 1),
    ("CASE WHEN t LIKE 'a\\%' THEN 1 ELSE 0 END", {"T": "a\\b"}, 1),
    ("CASE WHEN t LIKE 'a!%%' ESCAPE '!' THEN 1 ELSE 0 END", {"T": "a%b"}, 1),
    # DECODE: NULL is found by NULL; NVL, NVL2, COALESCE, NULLIF
    ("DECODE(n, 1, 'Southlake', 2, 'San Francisco', 'Non domestic')", {"N": 2}, "San Francisco"),
    ("DECODE(n, 1, 'a', NULL, 'none', 'other')", {"N": None}, "none"),
    ("DECODE(n, 1, 'a', 2, 'b')", {"N": 3}, None),
    ("DECODE(TRIM(c), NULL, 0, 1)", {"C": "        "}, 0),
    ("NVL(n, 0)", {"N": None}, 0),
    ("NVL2(t, 'y', 'n')", {"T": None}, "n"),
    ("NULLIF(t, 'x')", {"T": "x"}, None),
    # TO_DATE, TO_CHAR, TRUNC of dates, date arithmetic
    ("TO_DATE(TO_CHAR(1900000 + n), 'YYYYDDD')", {"N": 102366}, "row error"),
    ("TO_DATE(TO_CHAR(1900000 + n), 'YYYYDDD')", {"N": 100066}, "2000-03-06"),
    ("CASE WHEN n > 0 THEN TO_DATE(TO_CHAR(1900000 + n), 'YYYYDDD') END", {"N": 0}, None),
    ("TO_DATE(t, 'YYYY-MM-DD')", {"T": "2026-11-24"}, "2026-11-24"),
    ("TRUNC(at)", {"AT": AT}, "2026-11-24"),
    ("TRUNC(at) + 1", {"AT": AT}, "2026-11-25"),
    ("TRUNC(ts) - DATE '2026-11-20'", {"TS": AT}, 4),
    ("TO_CHAR(at, 'YYYYMMDD')", {"AT": AT}, "20261124"),
    ("TO_CHAR(TRUNC(anynum))", {"ANYNUM": "42"}, "42"),
    ("'OE/' || TRUNC(anynum)", {"ANYNUM": "42"}, "OE/42"),
    ("TO_CHAR(n, 'FM00000')", {"N": 42}, "00042"),
    ("TO_CHAR(n, 'FM00')", {"N": 421}, "row error"),
    ("CASE WHEN at > DATE '2026-11-24' THEN 1 ELSE 0 END", {"AT": AT}, 1),
    ("CASE WHEN at > DATE '2026-11-24' THEN 1 ELSE 0 END", {"AT": "2026-11-24T00:00:00Z"}, 0),
    ("EXTRACT(YEAR FROM at)", {"AT": AT}, 2026),
    # CAST, TO_NUMBER
    ("TO_NUMBER(t)", {"T": "12.50"}, "12.5"),
    ("TO_NUMBER(t)", {"T": "12,50"}, "row error"),
    ("CAST(d AS NUMBER(10))", {"D": "2.50"}, "3"),
    ("CAST(t AS VARCHAR2(2))", {"T": "abc"}, "ab"),
    ("CAST(NULL AS DATE)", {}, None),
]

REFUSED: list[tuple[str, str]] = [
    ("n / 3", "a quotient must be rounded"),
    ("n / d", "the divisor may be zero"),
    ("TO_CHAR(d)", "only of whole numbers"),
    ("c || 'x'", "RTRIM it first"),
    ("SUBSTR(c, 1, 2)", "RTRIM it first"),
    ("NVL(c, 'x')", "RTRIM it first"),
    ("c", "CHAR(n) output"),
    ("CASE WHEN c = t THEN 1 END", "CHAR(n) compared with other text"),
    ("CASE WHEN c LIKE 'A%' THEN 1 END", "TRIM it first"),
    ("CASE WHEN at > '2026-11-24' THEN 1 END", "follows the session: DATE '2026-11-24'"),
    ("CAST(at AS DATE)", "TRUNC(d)"),
    ("at + 1", "only date ± integer"),
    ("TO_DATE(t, 'DD-MON-YY')", "the format may be"),
    ("LEFT(t, 2)", "LEFT is no function of Oracle: SUBSTR"),
    ("CASE WHEN (n = 1) IS TRUE THEN 1 END", "IS takes NULL"),
    ("SYSDATE", "a row does not change with time"),
]
