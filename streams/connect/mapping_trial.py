"""What only the database itself can say of a mapping: its tables can be read and have keys, its planner accepts every
file, and declared keys are unique.

The parser accepts functions and operand types that the database lacks; so every file is planned there (EXPLAIN), byte
for byte.  What stands under `unique` and `one_row` in source.yaml is believed by every join, so it is counted once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import psycopg
import pymysql

from streams.connect.catalogue import Cursor, session
from streams.connect.preflight import Target
from streams.core.mapping.catalogue import Catalogue, without_key
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.source import PartialKey

_HIDDEN_POSTGRES = """
SELECT r.relkind IN ('r', 'p'), EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisprimary)
  FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE n.nspname = %s AND lower(r.relname) = %s"""
"""Unlike information_schema, these show what the user may not read."""


def trial(mapping: CompiledMapping, at: Target) -> list[str]:
    """Every finding, a line each; empty: the database takes the mapping.  Raises EnvironmentFault."""
    found = []
    with session(mapping.source.kind, at) as cursor:
        if mapping.source.kind == "postgres":
            cursor.execute("SELECT set_config('search_path', %s, false)", (mapping.source.schema_,))
        for name, text in mapping.files.items():
            error = _refused(cursor, f"EXPLAIN {text.strip().removesuffix(';')}")
            if error:
                found.append(f"{name}: the database does not take it: {error}")
        for table, keys in mapping.source.unique.items():
            for key in keys:
                if isinstance(key, PartialKey):
                    found += _not_unique(mapping, cursor, table, key.columns, key.where)
                else:
                    found += _not_unique(mapping, cursor, table, key)
        for table in mapping.source.one_row:
            cursor.execute(f"SELECT COUNT(*) FROM (SELECT 1 FROM {_quoted(mapping, table)} LIMIT 2) AS t")
            if cursor.fetchone()[0] > 1:
                found.append(f"source.yaml: one_row: {table} has more than one row")
    return found


def unusable(kind: str, at: Target, names: Collection[str], now: Catalogue) -> list[str]:
    """Why the SQL cannot read some of the tables it names, a line each.  Raises EnvironmentFault.

    `now` is what the connector's user sees of the database; a table that it may not read is not there for it.
    """
    seen = {name.lower(): table for name, table in now.tables.items()}
    found: list[str] = []
    with session(kind, at) as cursor:
        for short, name in sorted({name.lower(): name for name in names}.items()):
            if short not in seen:
                found += _not_seen(cursor, kind, now.schema, name, at.user)
            elif not seen[short].primary:
                found.append(without_key(seen[short].name))
    return found


def _not_seen(cursor: Cursor, kind: str, schema: str, name: str, user: str) -> Iterator[str]:
    table = f"{schema}.{name}"
    grant = f"GRANT SELECT ON {table} TO {user}"
    if kind != "postgres":
        yield f"{table} is not there, is a view, or {user} may not read it: mend the name, or {grant}"
        return
    cursor.execute(_HIDDEN_POSTGRES, (schema, name.lower()))
    row = cursor.fetchone()
    if row is None:
        yield f"{table} is not there: mend the name"
        return
    is_table, has_key = row
    if not is_table:
        yield f"{table} is no table: changes of a view are not captured, read the tables behind it"
        return
    yield f"{user} may not read {table}: {grant}"
    if not has_key:
        yield without_key(table)


def _refused(cursor: Cursor, sql: str) -> str:
    try:
        cursor.execute(sql)
        cursor.fetchall()
    except psycopg.Error as error:
        return str(error).strip().partition("\n")[0]
    except pymysql.Error as error:
        return str(error.args[-1])
    return ""


def _quoted(mapping: CompiledMapping, table: str) -> str:
    mark = "`" if mapping.source.kind == "mariadb" else '"'
    return f"{mark}{mapping.source.schema_}{mark}.{mark}{table}{mark}"


def _not_unique(mapping: CompiledMapping, cursor: Cursor, table: str, key: list[str], where: str = "") -> list[str]:
    mark = "`" if mapping.source.kind == "mariadb" else '"'
    names = [f"{mark}{name}{mark}" for name in key]
    columns = ", ".join(names)
    there = " AND ".join([*(f"{name} IS NOT NULL" for name in names), *([f"({where})"] if where else [])])
    try:
        cursor.execute(
            f"SELECT {columns}, COUNT(*) FROM {_quoted(mapping, table)} WHERE {there} "
            f"GROUP BY {columns} HAVING COUNT(*) > 1 LIMIT 1"
        )
    except (psycopg.Error, pymysql.Error) as error:
        return [f"source.yaml: unique: {table}: the database does not take it: {str(error).partition(chr(10))[0]}"]
    row = cursor.fetchone()
    if row is None:
        return []
    values = ", ".join(map(str, row[:-1]))
    return [f"source.yaml: unique: {table} ({', '.join(key)}) is no key: {row[-1]} rows have {values}"]
