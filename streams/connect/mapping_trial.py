"""What only the database itself can say of a mapping: its planner accepts every file, and declared keys are unique.

The parser accepts functions and operand types that the database lacks; so every file is planned there (EXPLAIN), byte
for byte.  A key under `unique` in source.yaml is believed by every join, so it is counted once.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pymysql

from streams.connect.catalogue import Cursor, session
from streams.connect.preflight import Target
from streams.core.mapping.mapping import CompiledMapping


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
                found += _not_unique(mapping, cursor, table, key)
    return found


def _refused(cursor: Cursor, sql: str) -> str:
    try:
        cursor.execute(sql)
        cursor.fetchall()
    except psycopg.Error as error:
        return str(error).strip().partition("\n")[0]
    except pymysql.Error as error:
        return str(error.args[-1])
    return ""


def _not_unique(mapping: CompiledMapping, cursor: Cursor, table: str, key: list[str]) -> list[str]:
    mark = "`" if mapping.source.kind == "mariadb" else '"'

    def quoted(*names: Any) -> str:
        return ", ".join(f"{mark}{name}{mark}" for name in names)

    columns = quoted(*key)
    there = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    cursor.execute(
        f"SELECT {columns}, COUNT(*) FROM {quoted(mapping.source.schema_)}.{quoted(table)} WHERE {there} "
        f"GROUP BY {columns} HAVING COUNT(*) > 1 LIMIT 1"
    )
    row = cursor.fetchone()
    if row is None:
        return []
    values = ", ".join(map(str, row[:-1]))
    return [f"source.yaml: unique: {table} ({', '.join(key)}) is no key: {row[-1]} rows have {values}"]
