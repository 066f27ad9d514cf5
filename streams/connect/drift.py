"""Is catalog.json still true?  The compiled mapping believes it, so drift in what the mapping uses refuses an apply."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.catalogue import read_catalogue, session
from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source
from streams.connect.preflight import target
from streams.core.mapping import catalogue as catalogues
from streams.core.mapping.catalogue import SESSION_COLLATION, Catalogue
from streams.core.mapping.mapping import CompiledMapping, load_mapping

CODE = "E29"


def drift_findings(source: Source, secrets_dirs: Sequence[Path]) -> list[Finding]:
    """E29, one for each difference in a table, column, key or collation that the mapping uses.

    Nothing when there is no mapping, when it is refused (E28 says so), or when the database or a whole table cannot be
    seen (the pre-flight says so).
    """
    try:
        mapping = load_mapping(source.folder)
        with session(source.kind, target(source, secrets_dirs)) as cursor:
            names = {table.partition(".")[2] for table in mapping.tables}
            now = read_catalogue(cursor, source.kind, source.schema, names)
    except (InvalidInput, EnvironmentFault):
        return []
    return [
        Finding(
            CODE,
            Severity.ERROR,
            source.name,
            f"{source.folder.name}/{catalogues.FILE}",
            f"the database is not what the mapping was compiled for: {line}",
            f"If it is meant: `onhand source inspect {source.name}`, mend the SQL, apply again",
        )
        for line in catalogues.drift(used(mapping, mapping.catalogue, now), used(mapping, now, now))
    ]


def used(mapping: CompiledMapping, catalogue: Catalogue, seen: Catalogue) -> Catalogue:
    """The part of a catalogue that a mapping uses: its tables as far as they are `seen`, their captured columns, the
    keys that were there when it was compiled, and the collations of those columns."""
    tables = {}
    for table in mapping.tables.values():
        name = table.name.partition(".")[2]
        whole = catalogue.tables.get(name)
        if whole is None or name not in seen.tables:
            continue
        known = mapping.catalogue.tables[name]
        tables[name] = msgspec.structs.replace(
            whole,
            columns={column: whole.columns[column] for column in table.columns if column in whole.columns},
            unique=tuple(key for key in whole.unique if key in known.unique),
            partial=tuple(key for key in whole.partial if key in known.partial),
        )
    collations = {column.collation for table in tables.values() for column in table.columns.values()}
    folds = {name: fold for name, fold in catalogue.folds.items() if name in collations | {SESSION_COLLATION}}
    return msgspec.structs.replace(catalogue, tables=tables, folds=folds)
