"""A small catalogue for tests, and mappings compiled from texts."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.mapping.catalogue import SESSION_COLLATION, Catalogue, Column, Table
from streams.core.mapping.mapping import CompiledMapping, compile_mapping
from streams.core.mapping.source import SourceConfig, parse_source

# Of utf8mb4_general_ci, as the server says: letters to upper case, a few accents.
FOLD = {**{code: chr(code).upper() for code in range(97, 123)}, 0xDF: "S", 0xE9: "E", 0xC9: "E"}
TYPES = {
    "i": ("integer", {}),
    "n": ("numeric", {"scale": 2}),
    "u": ("numeric", {}),
    "t": ("text", {}),
    "c": ("character", {"length": 8}),
    "d": ("date", {}),
    "s": ("timestamp without time zone", {}),
    "z": ("timestamp with time zone", {}),
    "b": ("boolean", {}),
    "f": ("double precision", {}),
    "r": ("real", {}),
    "x": ("uuid", {}),
}
MARIADB = {"integer": "int", "numeric": "decimal", "character": "char", "timestamp without time zone": "datetime"}
MARIADB |= {"timestamp with time zone": "timestamp", "double precision": "double", "real": "float", "boolean": "json"}


def catalogue(kind: str = "postgres", **tables: str) -> Catalogue:
    """`catalogue(a="id:i! name:t qty:n?")`: `!` key, `?` nullable, letters of TYPES; schema `s`."""
    made = {}
    for table, text in tables.items():
        columns, key = {}, []
        for part in text.split():
            name, _, code = part.partition(":")
            type_, more = TYPES[code[0]]
            known: dict[str, Any] = dict(more)
            if kind == "mariadb":
                type_ = MARIADB.get(type_, type_)
                if type_ in ("text", "char"):
                    known["collation"] = SESSION_COLLATION
            columns[name] = Column(name=name, type=type_, nullable="?" in code, **known)
            if "!" in code:
                key.append(name)
        unique = (tuple(key),) if key else ()
        made[table] = Table(name=f"s.{table}", columns=columns, primary=tuple(key), unique=unique)
    folds = {SESSION_COLLATION: FOLD} if kind == "mariadb" else {}
    return Catalogue(kind=kind, schema="s", tables=made, folds=folds)


def source(kind: str = "postgres", more: str = "") -> SourceConfig:
    return parse_source(f"name: test\nkind: {kind}\nschema: s\n{more}")


def compiled(tables: Catalogue, more: str = "", **texts: str) -> CompiledMapping:
    """`compiled(catalogue(...), postings="SELECT …")`; `__` in a name stands for a dot."""
    files = {name.replace("__", ".") + ".sql": text for name, text in texts.items()}
    return compile_mapping(source(tables.kind, more), tables, files, b"\0" * 32)


def image(**columns: Any) -> bytes:
    """An `after` image."""
    return msgspec.json.encode(columns)
