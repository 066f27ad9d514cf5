"""Which ready mapping fits a database: how many of the tables and columns that it reads are there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp

from schemas.errors import InvalidInput
from streams.connect.statements import DIALECTS
from streams.core.mapping import source as sources
from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.source import SourceConfig, load_source

FOLDER = "ready"
FITS = 0.9
"""From this share of its columns on a ready mapping is worth starting from."""
MENTIONED = 0.5


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one ready folder fits."""

    name: str
    kind: str
    found: int
    """Columns that the mapping reads and the database has."""
    wanted: int
    missing: tuple[str, ...]
    """`table` or `table.column`."""

    @property
    def share(self) -> float:
        return self.found / self.wanted if self.wanted else 0.0

    def row(self) -> dict[str, object]:
        return {
            "ready": self.name,
            "kind": self.kind,
            "fits": f"{100 * self.share:.0f} %",
            "columns": f"{self.found} of {self.wanted}",
            "missing": list(self.missing),
        }


def fits(root: Path, catalogue: Catalogue) -> list[Fit]:
    """Every ready folder of this kind of database, best first; folders that cannot be read are left out."""
    found = []
    for folder in sorted((root / FOLDER).glob("*/")):
        try:
            source = load_source(folder / sources.FILE)
            if source.kind == catalogue.kind:
                found.append(fit(folder, source, catalogue))
        except InvalidInput:
            continue
    return sorted(found, key=lambda one: (-one.share, one.name))


def fit(folder: Path, source: SourceConfig, catalogue: Catalogue) -> Fit:
    """One ready folder against a database.  Raises InvalidInput."""
    there = {_plain(name): {column.lower() for column in table.columns} for name, table in catalogue.tables.items()}
    companies = [value for values in source.expand.values() for value in values]
    missing: list[str] = []
    wanted = found = 0
    for table, columns in wanted_columns(folder, source).items():
        have = _matching(_without(table, companies), there)
        wanted += len(columns)
        if have is None:
            missing.append(table)
            continue
        lacking = sorted(column for column in columns if column.lower() not in have)
        found += len(columns) - len(lacking)
        missing += [f"{table}.{column}" for column in lacking]
    return Fit(folder.name, source.kind, found, wanted, tuple(missing))


def wanted_columns(folder: Path, source: SourceConfig) -> Mapping[str, set[str]]:
    """Table → the columns that the SQL of a folder names.  Raises InvalidInput."""
    wanted: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.sql")):
        for select in selects(path.read_text(), source):
            tables = {table.alias_or_name: table.name for table in select.find_all(exp.Table)}
            for column in select.find_all(exp.Column):
                if column.table in tables:
                    wanted.setdefault(tables[column.table], set()).add(column.name)
    return wanted


def selects(text: str, source: SourceConfig) -> Iterator[exp.Select]:
    """The SELECTs of one file, once per company.  Raises InvalidInput."""
    texts = [text]
    for name, values in source.expand.items():
        if "${" + name + "}" in text:
            texts = [one.replace("${" + name + "}", value) for one in texts for value in values]
    for filled in texts:
        try:
            trees = sqlglot.parse(filled, read=DIALECTS[source.kind])
        except sqlglot.errors.SqlglotError as error:
            raise InvalidInput(f"not understood: {str(error).partition(chr(10))[0]}") from None
        for tree in trees:
            yield from tree.find_all(exp.Select) if tree is not None else ()


def companies_of(folder: Path, source: SourceConfig, catalogue: Catalogue) -> tuple[str, ...]:
    """The companies that the database has tables of, after a ready mapping's own names.  Raises InvalidInput."""
    known = [value for values in source.expand.values() for value in values]
    seen: Counter[str] = Counter()
    patterns = {_without(table, known) for table in wanted_columns(folder, source)}
    repeating = [pattern for pattern in patterns if "*" in pattern]
    for pattern in repeating:
        wanted = re.compile("(.+)".join(map(re.escape, pattern.split("*", 1))), re.IGNORECASE)
        seen.update({found[1] for name in catalogue.tables if (found := wanted.fullmatch(name))})
    return tuple(sorted(company for company, count in seen.items() if 2 * count >= len(repeating)))


def _without(table: str, companies: list[str]) -> str:
    for company in companies:
        table = table.replace(company, "*")
    return _plain(table)


def _matching(wanted: str, there: Mapping[str, set[str]]) -> set[str] | None:
    if "*" not in wanted:
        return there.get(wanted)
    pattern = re.compile(".+".join(map(re.escape, wanted.split("*"))))
    return next((columns for name, columns in there.items() if pattern.fullmatch(name)), None)


def _plain(name: str) -> str:
    return name.lower()
