"""What SQL Server answers, by Microsoft's documentation: there is no such server in the builds.

Each group names the page its rows are taken or follow from, under learn.microsoft.com/sql/t-sql.
"""

from __future__ import annotations

from typing import Any

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "int", "nullable": False},
    "i": {"type": "int"},
    "flag": {"type": "bit"},
    "small": {"type": "tinyint"},
    "d5": {"type": "decimal", "precision": 5, "scale": 2},
    "d19": {"type": "numeric", "precision": 19, "scale": 6},
    "d38": {"type": "decimal", "precision": 38, "scale": 20},
    "f": {"type": "float"},
    "t": {"type": "nvarchar", "length": 20, "collation": "Latin1_General_100_CI_AS"},
    "cs": {"type": "varchar", "length": 20, "collation": "SQL_Latin1_General_CP1_CS_AS"},
    "bin": {"type": "nvarchar", "length": 20, "collation": "Latin1_General_BIN2"},
    "turkish": {"type": "nvarchar", "length": 20, "collation": "Turkish_CI_AS"},
    "c": {"type": "nchar", "length": 8, "collation": "Latin1_General_100_CI_AS"},
    "day": {"type": "date"},
    "at": {"type": "datetime2"},
    "g": {"type": "uniqueidentifier"},
}
AT = "2026-11-24T10:30:00Z"

GOLDEN: list[tuple[str, dict[str, Any], Any]] = [
    # language-elements/divide-transact-sql: integers give an integer, the fraction is cut off
    ("i / 2", {"i": 7}, 3),
    ("i / 2", {"i": -7}, -3),
    ("i % 1000", {"i": 102366}, 366),
    ("i / NULLIF(small, 0)", {"i": 7, "small": 0}, None),
    ("d5 / 100", {"d5": "123.45"}, "1.2345"),
    ("d5 / 100.0", {"d5": "-1.00"}, "-0.01"),
    ("ROUND(d5 / 3, 2)", {"d5": "2.00"}, "0.67"),
    # data-types/precision-scale-and-length: 38 digits in all, the fraction gives way but not below six
    ("d5 + i", {"d5": "1.25", "i": 2}, "3.25"),
    ("d5 * d5", {"d5": "1.11"}, "1.2321"),
    ("d38 * d38", {"d38": "0.00100000000000000000"}, "0.000001"),
    ("d19 * d19", {"d19": "0.000003"}, "0.00000000001"),
    ("d38 * 2", {"d38": "1.5"}, "3"),
    ("d38 - d5", {"d38": "1.00000000000000000001", "d5": "1.00"}, "0.00000000000000000001"),
    # functions/round-transact-sql: half away from zero; a third argument other than 0 truncates
    ("ROUND(d5, 1)", {"d5": "2.25"}, "2.3"),
    ("ROUND(d5, 1)", {"d5": "-2.25"}, "-2.3"),
    ("ROUND(d5, 0, 1)", {"d5": "150.75"}, "150"),
    ("ROUND(i, -2)", {"i": 1250}, "1300"),
    ("CEILING(d5)", {"d5": "123.45"}, "124"),
    ("FLOOR(d5)", {"d5": "-123.45"}, "-124"),
    # functions/cast-and-convert: exact to integer truncates, exact to exact rounds
    ("CAST(d5 AS int)", {"d5": "10.64"}, 10),
    ("CAST(d5 AS int)", {"d5": "-10.64"}, -10),
    ("CAST(d5 AS decimal(3, 1))", {"d5": "10.35"}, "10.4"),
    ("CAST(d5 AS decimal(3, 2))", {"d5": "10.35"}, "row error"),
    ("CAST(i AS varchar(10))", {"i": -42}, "-42"),
    ("CAST(i AS varchar(2))", {"i": 421}, "row error"),
    ("CAST(d5 AS varchar(10))", {"d5": "1.50"}, "1.50"),
    ("CONVERT(int, t)", {"t": " 42 "}, 42),
    ("CAST(t AS int)", {"t": ""}, 0),
    ("CAST(t AS int)", {"t": "4.2"}, "row error"),
    ("CAST(t AS decimal(9, 2))", {"t": "4.256"}, "4.26"),
    ("CAST(t AS decimal(9, 2))", {"t": ""}, "row error"),
    ("CAST(t AS varchar)", {"t": "1234567890123456789012345678901234"}, "123456789012345678901234567890"),
    ("CONVERT(varchar(8), day, 112)", {"day": "2026-11-24Z"}, "20261124"),
    ("CONVERT(varchar(10), at, 120)", {"at": AT}, "2026-11-24"),
    ("CONVERT(date, t, 112)", {"t": "20261124"}, "2026-11-24"),
    ("CAST(t AS date)", {"t": "20261124"}, "2026-11-24"),
    ("CAST(t AS date)", {"t": "24/11/2026"}, "row error"),
    ("CAST(at AS date)", {"at": AT}, "2026-11-24"),
    # functions/dateadd, datediff, datefromparts, year, datepart
    ("DATEADD(day, i, day)", {"i": 1, "day": "2006-08-31Z"}, "2006-09-01"),
    ("DATEADD(dd, -1, day)", {"day": "2024-03-01Z"}, "2024-02-29"),
    (
        "DATEADD(day, i % 1000 - 1, DATEFROMPARTS(1900 + i / 1000, 1, 1))",
        {"i": 102001},
        "2002-01-01",
    ),
    ("DATEFROMPARTS(2010, 13, 31)", {}, "row error"),
    ("DATEDIFF(day, day, at)", {"day": "2026-11-23Z", "at": AT}, 1),
    ("YEAR(day)", {"day": "2007-04-30Z"}, 2007),
    ("DATEPART(month, at)", {"at": AT}, 11),
    ("CASE WHEN day > '17530101' THEN day END", {"day": "1753-01-01Z"}, None),
    # language-elements/string-concatenation, functions/concat: + keeps NULL, CONCAT takes it for ''
    ("t + '-' + t", {"t": None}, None),
    ("t + '-'", {"t": "a "}, "a -"),
    ("CONCAT(t, '-', i)", {"t": None, "i": 7}, "-7"),
    # functions/len: trailing spaces left out; left, right, substring, trim
    ("LEN(t)", {"t": "ab  "}, 2),
    ("LEN(c)", {"c": "ab      "}, 2),
    ("LEFT(t, 2)", {"t": "abc"}, "ab"),
    ("RIGHT('000' + t, 3)", {"t": "7"}, "007"),
    ("SUBSTRING(t, 2, 2)", {"t": "abcd"}, "bc"),
    ("SUBSTRING(t, 0, 2)", {"t": "abcd"}, "a"),
    ("RTRIM(c)", {"c": "ab      "}, "ab"),
    ("LTRIM(RTRIM(t))", {"t": " ab "}, "ab"),
    ("UPPER(t)", {"t": "aé"}, "AÉ"),
    # functions/isnull, coalesce, nullif, logical-functions-iif; language-elements/case
    ("ISNULL(i, 0)", {"i": None}, 0),
    ("ISNULL(d5, 0)", {"d5": None}, "0"),
    ("ISNULL(t, '')", {"t": None}, ""),
    ("COALESCE(t, 'none')", {"t": None}, "none"),
    ("NULLIF(t, '')", {"t": "  "}, None),
    ("IIF(flag = 1, 'y', 'n')", {"flag": True}, "y"),
    ("IIF(flag = 1, 'y', 'n')", {"flag": None}, "n"),
    ("CASE flag WHEN 0 THEN 'open' ELSE 'closed' END", {"flag": False}, "open"),
    ("flag", {"flag": True}, 1),
    # data-types/uniqueidentifier: of no case; shown in upper case
    (
        "CASE WHEN g = '0E984725-C51C-4BF4-9960-E1C80E27ABA0' THEN 1 ELSE 0 END",
        {"g": "0e984725-c51c-4bf4-9960-e1c80e27aba0"},
        1,
    ),
    ("CAST(g AS varchar(36))", {"g": "0e984725-c51c-4bf4-9960-e1c80e27aba0"}, "0E984725-C51C-4BF4-9960-E1C80E27ABA0"),
    ("GREATEST(i, small)", {"i": None, "small": 3}, 3),
    # statements/collations, data-types/char-and-varchar: case by collation, trailing blanks never count
    ("CASE WHEN t = 'main' THEN 1 ELSE 0 END", {"t": "MAIN  "}, 1),
    ("CASE WHEN t = N'É1' THEN 1 ELSE 0 END", {"t": "é1"}, 1),
    ("CASE WHEN t = 'e' THEN 1 ELSE 0 END", {"t": "é"}, 0),
    ("CASE WHEN cs = 'main' THEN 1 ELSE 0 END", {"cs": "MAIN"}, 0),
    ("CASE WHEN bin IN ('a', 'b') THEN 1 ELSE 0 END", {"bin": "b "}, 1),
    ("CASE WHEN bin = 'straße' THEN 1 ELSE 0 END", {"bin": "strasse"}, 0),
    ("CASE WHEN t = 'strasse' THEN 1 ELSE 0 END", {"t": "straße"}, "row error"),
    ("CASE WHEN c = 'ab' THEN 1 ELSE 0 END", {"c": "AB      "}, 1),
    ("CASE WHEN t LIKE 'so%' THEN 1 ELSE 0 END", {"t": "SO-17"}, 1),
    ("CASE WHEN t NOT LIKE '%x%' THEN 1 ELSE 0 END", {"t": "aXb"}, 0),
]

REFUSED: list[tuple[str, str]] = [
    ("d5 / i", "the divisor may be zero"),
    ("d5 / NULLIF(i, 0)", "only a literal divides here"),
    ("d38 / 1000000", "a quotient must be rounded"),
    ("d5 % 2", "% of decimals is not proven"),
    ("ROUND(d5, 1) * CAST(f AS decimal(9, 2))", "what a float becomes is not proven"),
    ("t || 'x'", "|| is no operator of SQL Server: a + b"),
    ("c + 'x'", "RTRIM it first"),
    ("CASE WHEN turkish = 'i' THEN 1 END", "collation Turkish_CI_AS is not known here"),
    ("CASE WHEN t = cs THEN 1 END", "mixed collations"),
    ("CASE WHEN t LIKE 'a_%' THEN 1 END", "only patterns of % that end in %"),
    ("CASE WHEN t LIKE '[ab]%' THEN 1 END", "only patterns of % that end in %"),
    ("REPLACE(t, 'a', 'b')", "goes by the collation"),
    ("ISNULL(t, 'none')", "COALESCE(a, b)"),
    ("ISNULL(i, 0.5)", "COALESCE(a, b)"),
    ("day + 1", "DATEADD(day, n, d)"),
    ("DATEADD(month, 1, day)", "only DATEADD(day, n, d)"),
    ("CAST(ROUND(d5, 1) AS varchar(10))", "how many digits it shows follows from its type"),
    ("CAST(t AS char(9))", "CAST to VARCHAR(n)"),
    ("CONVERT(varchar(20), day, 103)", "only styles 112"),
    ("TRY_CAST(t AS int)", "TryCast is outside the subset"),
    ("LPAD(t, 3, '0')", "LPAD is no function of SQL Server: RIGHT"),
    ("GETDATE()", "a row does not change with time"),
]
