"""Reads a source database's catalogue, read-only: what `catalog.json` holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
import pymysql

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.preflight import CONNECT_TIMEOUT_S, Target
from streams.core.mapping.catalogue import SESSION_COLLATION, Catalogue, Column, PartialKey, Table

_BEYOND = 0x10000
_PRIVATE_USE = 0xE000
_PRIVATE_USE_SIZE = 0x1900

_COLUMNS_POSTGRES = """
SELECT c.table_name, c.column_name,
       CASE WHEN t.typtype = 'e' THEN 'enum' WHEN c.data_type = 'USER-DEFINED' THEN c.udt_name ELSE c.data_type END,
       c.is_nullable, NULL, c.numeric_scale, c.character_maximum_length, false,
       CASE WHEN NOT coalesce(l.collisdeterministic, true) THEN l.collname END,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
  FROM information_schema.columns c
  JOIN pg_namespace n ON n.nspname = c.table_schema
  JOIN pg_class r ON r.relname = c.table_name AND r.relnamespace = n.oid AND r.relkind IN ('r', 'p')
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = c.column_name
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
 WHERE c.table_schema = %s AND a.attgenerated = '' ORDER BY c.table_name, c.ordinal_position"""
"""Without generated columns: PostgreSQL publishes none, so that only a snapshot would bring them."""

_COLUMNS_MARIADB = """
SELECT c.table_name, c.column_name, c.data_type, c.is_nullable,
       IF(c.data_type = 'bit', c.numeric_precision, NULL), c.numeric_scale, c.character_maximum_length,
       c.column_type LIKE '%%unsigned%%', c.collation_name, IF(c.data_type = 'enum', c.column_type, '')
  FROM information_schema.columns c
  JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
 WHERE c.table_schema = %s AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position"""

_KEYS_POSTGRES = """
SELECT c.relname, i.indisprimary,
       (SELECT array_agg(a.attname::text ORDER BY k.n)
          FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
       pg_get_expr(i.indpred, i.indrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND i.indisunique AND i.indisvalid AND i.indexprs IS NULL"""

_KEYS_MARIADB = """
SELECT table_name, index_name = 'PRIMARY', GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR '\\n'), NULL
  FROM information_schema.statistics
 WHERE table_schema = %s AND non_unique = 0
 GROUP BY table_name, index_name HAVING MAX(sub_part IS NOT NULL) = 0"""

_INDEXES_POSTGRES = """
SELECT c.relname, (SELECT array_agg(a.attname::text ORDER BY k.n)
                     FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, n)
                     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                    WHERE k.n <= i.indnkeyatts
                      AND NOT EXISTS (SELECT FROM unnest(i.indkey::int[]) WITH ORDINALITY AS e(attnum, n)
                                       WHERE e.n <= k.n AND e.attnum = 0))
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND NOT i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] <> 0"""

_INDEXES_MARIADB = """
SELECT table_name, GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR '\\n')
  FROM information_schema.statistics
 WHERE table_schema = %s AND non_unique = 1 AND index_type = 'BTREE'
 GROUP BY table_name, index_name HAVING MAX(sub_part IS NOT NULL) = 0"""

_CHARSET_MARIADB = """
SELECT character_set_name FROM information_schema.collation_character_set_applicability
 WHERE %s IN (collation_name, full_collation_name)"""

_DIGIT = f"(SELECT 0 AS d {' '.join(f'UNION ALL SELECT {digit}' for digit in range(1, 16))})"
_WEIGHTS_MARIADB = f"""
SELECT seq, HEX(WEIGHT_STRING(c COLLATE {{collation}})), HEX(c) = '3F'
  FROM (SELECT seq, CONVERT(CHAR(seq USING utf32) USING {{charset}}) AS c
          FROM (SELECT a.d + 16 * b.d + 256 * e.d + 4096 * f.d AS seq
                  FROM {_DIGIT} a, {_DIGIT} b, {_DIGIT} e, {_DIGIT} f) s
         WHERE seq <= 65533 AND (seq < 55296 OR seq > 57343)) t"""
"""The server's sequence tables would do, but who may SELECT from some tables alone may not read them."""

_EMOJI_EQUAL_MARIADB = """
SELECT WEIGHT_STRING(_utf8mb4 X'F09F9880' COLLATE {collation})
     = WEIGHT_STRING(_utf8mb4 X'F09F92A1' COLLATE {collation})"""


class Cursor(Protocol):
    """What psycopg's and PyMySQL's cursors share."""

    @property
    def connection(self) -> Any: ...

    def execute(self, query: Any, args: Any = None, /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> Any: ...


@contextmanager
def session(kind: str, at: Target) -> Iterator[Cursor]:
    """A read-only session with the settings that the compiled semantics mean (time zone, SQL mode, collation).

    Raises EnvironmentFault when the database cannot be reached or refuses, InvalidInput when none can be asked here.
    """
    if kind not in ("postgres", "mariadb", "mysql"):
        raise InvalidInput(
            f"{kind} is golden-only: no such database is asked here; `onhand source init --kind {kind} --query` prints "
            "what to run there instead, and `onhand source test` needs none"
        )
    try:
        connection: Any
        if kind == "postgres":
            connection = psycopg.connect(
                host=at.host,
                port=at.port,
                user=at.user,
                password=at.password,
                dbname=at.database,
                connect_timeout=CONNECT_TIMEOUT_S,
                autocommit=True,
                options="-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1 -c default_transaction_read_only=on",
            )
        else:
            connection = pymysql.connect(
                host=at.host,
                port=at.port,
                user=at.user,
                password=at.password,
                database=at.database,
                charset="utf8mb4",
                connect_timeout=CONNECT_TIMEOUT_S,
                autocommit=True,
                init_command="SET time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES', div_precision_increment = 4, "
                f"collation_connection = '{SESSION_COLLATION}'",
            )
    except (psycopg.Error, pymysql.Error) as error:
        raise EnvironmentFault(f"database {at.name}: {str(error).strip()}; start it, or mend connector.json") from None
    try:
        yield connection.cursor()
    except (psycopg.Error, pymysql.Error) as error:
        raise EnvironmentFault(f"database {at.name}: {str(error).strip()}") from error
    finally:
        connection.close()


def read_catalogue(cursor: Cursor, kind: str, schema: str, only: Collection[str] | None = None) -> Catalogue:
    """The tables of a schema; `only` those named, without regard to case.  Names that are not there are left out."""
    wanted = None if only is None else {name.lower() for name in only}
    postgres = kind == "postgres"
    tables: dict[str, Table] = {}
    cursor.execute(_COLUMNS_POSTGRES if postgres else _COLUMNS_MARIADB, (schema,))
    for table, name, type_, nullable, bits, scale, length, unsigned, collation, values in cursor.fetchall():
        if wanted is not None and table.lower() not in wanted:
            continue
        columns = tables.setdefault(table, Table(name=f"{schema}.{table}", columns={})).columns
        columns[name] = Column(
            name=name,
            type=type_.lower(),
            nullable=nullable == "YES",
            precision=bits if bits != 1 else None,
            scale=scale if type_.lower() in ("numeric", "decimal") else None,
            collation=collation,
            length=length,
            unsigned=bool(unsigned),
            values=tuple(values) if postgres else _enum_values(values),
        )
    cursor.execute(_KEYS_POSTGRES if postgres else _KEYS_MARIADB, (schema,))
    for table, primary, names, where in cursor.fetchall():
        read = tables.get(table)
        if read is None:
            continue
        key = tuple(names) if isinstance(names, list) else tuple(str(names).split("\n"))
        if not set(key) <= read.columns.keys():
            continue
        if where is not None:
            read.partial += (PartialKey(columns=key, where=where),)
        else:
            read.unique += (key,)
            read.primary = key if primary else read.primary
    cursor.execute(_INDEXES_POSTGRES if postgres else _INDEXES_MARIADB, (schema,))
    for table, names in cursor.fetchall():
        if table in tables:
            tables[table].indexes += (tuple(names) if isinstance(names, list) else tuple(str(names).split("\n")),)
    for read in tables.values():
        read.indexes = tuple(sorted(set(read.indexes)))
        read.unique = tuple(sorted(set(read.unique), key=lambda key: (key != read.primary, key)))
        read.partial = tuple(sorted(set(read.partial), key=lambda key: (key.columns, key.where)))
    catalogue = Catalogue(kind=kind, schema=schema, tables=dict(sorted(tables.items())))
    if not postgres:
        used = {c.collation for t in tables.values() for c in t.columns.values() if c.collation}
        for collation in sorted(used | {SESSION_COLLATION}):
            if not collation.endswith("_bin") and "_nopad_" not in collation:
                catalogue.folds[collation] = fold_table(cursor, collation)
    return catalogue


def _enum_values(column_type: str) -> tuple[str, ...]:
    """From MariaDB's `enum('a','it''s')`."""
    return tuple(text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", column_type))


def fold_table(cursor: Cursor, collation: str) -> dict[int, str]:
    """What the server says each character weighs, as a map to one representative of that weight."""
    cursor.execute(_CHARSET_MARIADB, (collation,))
    row = cursor.fetchone()
    if row is None:
        raise EnvironmentFault(f"collation {collation} is unknown to this server")
    charset = row[0]
    cursor.execute(_WEIGHTS_MARIADB.format(collation=collation, charset=charset))
    rows = sorted((int(seq), str(w)) for seq, w, lost in cursor.fetchall() if not lost or seq == ord("?"))
    unit = len(dict(rows)[ord("A")])
    weights = {seq: [w[at : at + unit] for at in range(0, len(w), unit)] for seq, w in rows}
    chosen: dict[str, str] = {}
    for seq in [ord(" "), *range(ord("A"), ord("Z") + 1), *weights]:
        if len(weights[seq]) == 1:
            chosen.setdefault(weights[seq][0], chr(seq))
    shared = Counter(map(tuple, weights.values()))
    out: dict[int, str] = {}
    for seq, parts in weights.items():
        if shared[tuple(parts)] == 1 and not all(part in chosen for part in parts):
            continue  # equal to nothing but itself
        text = "".join(chosen.get(part) or chr(_PRIVATE_USE + int(part, 16) % _PRIVATE_USE_SIZE) for part in parts)
        if text != chr(seq):
            out[seq] = text
    if charset == "utf8mb4":
        cursor.execute(_EMOJI_EQUAL_MARIADB.format(collation=collation))
        if cursor.fetchone()[0]:
            out[_BEYOND] = "\ufffd"  # everything beyond the basic plane is one character to this collation
    return out
