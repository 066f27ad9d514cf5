"""SQL Server and Oracle without a driver: a catalogue query that a person runs, and its result read from CSV.

Golden-only: written after the vendors' documentation of their catalogue views, not run on their servers.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import InvalidInput
from streams.connect.init.survey import ForeignKey, Survey
from streams.connect.preflight import Target
from streams.core.mapping.catalogue import Catalogue, Column, Table

FIELDS = (
    "what", "table_name", "name", "position", "column_name", "data_type", "nullable", "precision", "scale", "length",
    "more",
)  # fmt: skip
"""One line a column (`name` = the column), a key's column (`name` = the key), a reference's column, a table's rows."""

_SQLSERVER = """\
-- Run in the ERP's database, save the result as CSV with a header:
--   sqlcmd -S server -d database -s "," -W -i query.sql -o catalogue.csv     (delete the line of dashes)
-- Give another schema than dbo in the first line.
DECLARE @schema sysname = 'dbo';
SELECT 'column' AS what, t.name AS table_name, c.name AS name, c.column_id AS position, c.name AS column_name,
       ty.name AS data_type, c.is_nullable AS nullable, c.precision AS precision, c.scale AS scale,
       CASE WHEN ty.name IN ('nchar', 'nvarchar') AND c.max_length > 0 THEN c.max_length / 2
            ELSE c.max_length END AS length,
       c.collation_name AS more
  FROM sys.tables t JOIN sys.columns c ON c.object_id = t.object_id
  JOIN sys.types ty ON ty.user_type_id = c.system_type_id
 WHERE SCHEMA_NAME(t.schema_id) = @schema
UNION ALL
SELECT CASE WHEN i.is_primary_key = 1 THEN 'primary' ELSE 'unique' END, t.name, i.name, ic.key_ordinal,
       COL_NAME(t.object_id, ic.column_id), NULL, NULL, NULL, NULL, NULL, NULL
  FROM sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id
  JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
 WHERE SCHEMA_NAME(t.schema_id) = @schema AND i.is_unique = 1 AND i.has_filter = 0 AND ic.is_included_column = 0
UNION ALL
SELECT 'foreign', t.name, f.name, fc.constraint_column_id, COL_NAME(t.object_id, fc.parent_column_id), NULL, NULL,
       NULL, NULL, NULL, CONCAT(r.name, '|', COL_NAME(r.object_id, fc.referenced_column_id))
  FROM sys.foreign_keys f JOIN sys.tables t ON t.object_id = f.parent_object_id
  JOIN sys.foreign_key_columns fc ON fc.constraint_object_id = f.object_id
  JOIN sys.tables r ON r.object_id = f.referenced_object_id
 WHERE SCHEMA_NAME(t.schema_id) = @schema AND r.schema_id = t.schema_id
UNION ALL
SELECT 'rows', t.name, NULL, SUM(p.rows), NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM sys.tables t JOIN sys.partitions p ON p.object_id = t.object_id AND p.index_id IN (0, 1)
 WHERE SCHEMA_NAME(t.schema_id) = @schema GROUP BY t.name
UNION ALL
SELECT 'server', @schema, DB_NAME(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
"""

_ORACLE = """\
-- Run as a user that sees the ERP's tables, with the owner's name in the last line but the first of each part:
--   sqlcl:  SET SQLFORMAT csv   SPOOL catalogue.csv   @query.sql   SPOOL OFF
-- Oracle's time zone of a stamp without one is the application's: mend time_zone in source.yaml.
DEFINE owner = 'JDE'
SELECT 'column' AS what, c.table_name AS table_name, c.column_name AS name, c.column_id AS position,
       c.column_name AS column_name, c.data_type AS data_type, CASE c.nullable WHEN 'Y' THEN 1 ELSE 0 END AS nullable,
       c.data_precision AS precision, c.data_scale AS scale, NULLIF(c.char_length, 0) AS length, '' AS more
  FROM all_tab_columns c JOIN all_tables t ON t.owner = c.owner AND t.table_name = c.table_name
 WHERE c.owner = '&owner'
UNION ALL
SELECT CASE k.constraint_type WHEN 'P' THEN 'primary' ELSE 'unique' END, k.table_name, k.constraint_name, kc.position,
       kc.column_name, '', NULL, NULL, NULL, NULL, ''
  FROM all_constraints k JOIN all_cons_columns kc ON kc.owner = k.owner AND kc.constraint_name = k.constraint_name
 WHERE k.owner = '&owner' AND k.constraint_type IN ('P', 'U') AND k.status = 'ENABLED'
UNION ALL
SELECT 'unique', i.table_name, i.index_name, ic.column_position, ic.column_name, '', NULL, NULL, NULL, NULL, ''
  FROM all_indexes i JOIN all_ind_columns ic ON ic.index_owner = i.owner AND ic.index_name = i.index_name
 WHERE i.table_owner = '&owner' AND i.uniqueness = 'UNIQUE' AND i.index_type = 'NORMAL'
UNION ALL
SELECT 'foreign', k.table_name, k.constraint_name, kc.position, kc.column_name, '', NULL, NULL, NULL, NULL,
       r.table_name || '|' || r.column_name
  FROM all_constraints k JOIN all_cons_columns kc ON kc.owner = k.owner AND kc.constraint_name = k.constraint_name
  JOIN all_cons_columns r ON r.owner = k.r_owner AND r.constraint_name = k.r_constraint_name
   AND r.position = kc.position
 WHERE k.owner = '&owner' AND k.constraint_type = 'R' AND r.owner = k.owner
UNION ALL
SELECT 'rows', t.table_name, '', t.num_rows, '', '', NULL, NULL, NULL, NULL, ''
  FROM all_tables t WHERE t.owner = '&owner' AND t.num_rows IS NOT NULL
UNION ALL
SELECT 'server', '&owner', SYS_CONTEXT('USERENV', 'DB_NAME'), NULL, '', '', NULL, NULL, NULL, NULL, '' FROM dual;
"""

QUERIES: Mapping[str, str] = {"sqlserver": _SQLSERVER, "oracle": _ORACLE}


def read_file(path: Path, kind: str, at: Target, schema: str | None) -> Survey:
    """The survey that a catalogue query's result holds.  Raises InvalidInput with the line."""
    if kind not in QUERIES:
        raise InvalidInput(f"--catalogue is for --kind {' and '.join(QUERIES)}; {kind or 'no kind'} was said")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: {error}; save the query's result as CSV in UTF-8") from None
    rows = _rows(text, str(path))
    tables: dict[str, Table] = {}
    keys: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    foreign: dict[tuple[str, str], list[tuple[int, str, str, str]]] = defaultdict(list)
    counts: dict[str, int] = {}
    found_schema, database = schema or "", at.database
    for line, row in rows:
        what, name = row["what"], row["table_name"]
        if what == "server":
            found_schema, database = schema or name, at.database or row["name"]
        elif what == "rows":
            counts[name] = _integer(row["position"], path, line) or 0
        elif what == "column":
            table = tables.setdefault(name, Table(name=name, columns={}))
            table.columns[row["name"]] = _column(row, kind, path, line)
        elif what in ("primary", "unique"):
            keys[name, what, row["name"]].append((_integer(row["position"], path, line) or 0, row["column_name"]))
        elif what == "foreign":
            target, _, column = row["more"].partition("|")
            place = _integer(row["position"], path, line) or 0
            foreign[name, row["name"]].append((place, row["column_name"], target, column))
        else:
            raise InvalidInput(f"{path}:{line}: what is {what!r}: column, primary, unique, foreign, rows or server")
    if not tables or not found_schema:
        raise InvalidInput(f"{path}: no columns, or no line `server`: run the whole query for the right schema")
    for (name, what, _), columns in keys.items():
        key = tuple(column for _, column in sorted(columns))
        if name in tables and all(column in tables[name].columns for column in key):
            tables[name].unique = tuple(sorted({*tables[name].unique, key}))
            tables[name].primary = key if what == "primary" else tables[name].primary
    for name, table in tables.items():
        table.name = f"{found_schema}.{name}"
        table.unique = tuple(sorted(table.unique, key=lambda key: (key != table.primary, key)))
    references = tuple(
        ForeignKey(name, tuple(one[1] for one in parts), parts[0][2], tuple(one[3] for one in parts))
        for (name, _), parts in sorted((key, sorted(value)) for key, value in foreign.items())
    )
    catalogue = Catalogue(kind=kind, schema=found_schema, tables=dict(sorted(tables.items())))
    note = f"{kind} is golden-only: the mapping can be written and tested here; docs/mapping.md says what is proven"
    where = Target(at.host, at.port, at.user, at.password, database)
    return Survey(kind, where, catalogue, references, counts, notes=(note,))


def _rows(text: str, path: str) -> list[tuple[int, dict[str, str]]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    header = [cell.strip().lower() for cell in next(reader, [])]
    missing = [name for name in FIELDS if name not in header]
    if missing:
        raise InvalidInput(f"{path}:1: no column {', '.join(missing)}: save the result with its header line")
    out = []
    for cells in reader:
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if not cells or set("".join(cells)) <= set("- "):
            continue  # sqlcmd's line of dashes
        if len(cells) < len(FIELDS):
            raise InvalidInput(f"{path}:{reader.line_num}: {len(cells)} values where the header has {len(header)}")
        out.append((reader.line_num, {name: "" if value.upper() == "NULL" else value for name, value in row.items()}))
    return out


def _column(row: Mapping[str, str], kind: str, path: Path, line: int) -> Column:
    type_ = _type(row["data_type"], kind)
    numbers = {name: _integer(row[name], path, line) for name in ("precision", "scale", "length")}
    exact = type_ in ("numeric", "decimal", "money", "smallmoney", "NUMBER")
    text = "CHAR" in type_.upper() or "text" in type_
    return Column(
        name=row["name"],
        type=type_,
        nullable=row["nullable"].lower() in ("1", "y", "yes", "true"),
        precision=numbers["precision"] if exact else None,
        scale=numbers["scale"] if exact else None,
        length=numbers["length"] if text and (numbers["length"] or 0) > 0 else None,
        collation=row["more"] or None if kind == "sqlserver" and text else None,
    )


def _type(written: str, kind: str) -> str:
    """As catalog.json has it: Oracle's names in upper case and without digits, SQL Server's row version by its name."""
    if kind == "oracle":
        return re.sub(r"\(\d+\)", "", written.upper())
    return {"timestamp": "rowversion"}.get(written.lower(), written.lower())


def _integer(text: str, path: Path, line: int) -> int | None:
    if not text:
        return None
    try:
        return int(float(text))
    except ValueError:
        raise InvalidInput(f"{path}:{line}: {text!r} is no number") from None
