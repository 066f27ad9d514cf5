"""Tables that repeat per company (`A$Item`, `B$Item` · `stock_001`, `stock_002`): found by equal columns and names.

Pure.  Such tables become one, whose name holds `${company}`; its values go to `expand` in source.yaml.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from streams.connect.init.survey import Survey
from streams.core.mapping.catalogue import Catalogue, Table

VARIABLE = "${company}"
MIN_TABLES = 2
"""So many tables must repeat for the same companies; one table beside its copy is no second company."""
_NO_COMPANY = re.compile(
    r"old|new|tmp|temp|bak|backup|hist|history|archive?|log|copy|test|line|lines|detail|rel|ref", re.I
)

Split = tuple[str, str, str]
"""(what stands before the company, company, what stands after it)"""


def collapse(survey: Survey) -> tuple[Survey, tuple[str, ...]]:
    """The survey with one table in place of each that repeats, and the companies; none found: as it was."""
    companies, names = find(survey.catalogue.tables)
    if not companies:
        return survey, ()
    tables: dict[str, Table] = {}
    rows: dict[str, int] = defaultdict(int)
    for name, table in survey.catalogue.tables.items():
        short = names.get(name, name)
        rows[short] += survey.rows.get(name, 0)
        tables.setdefault(short, msgspec.structs.replace(table, name=f"{survey.schema}.{short}"))
    foreign = {
        replace(key, table=names.get(key.table, key.table), target=names.get(key.target, key.target))
        for key in survey.foreign_keys
    }
    old = survey.catalogue
    catalogue = Catalogue(kind=old.kind, schema=old.schema, tables=dict(sorted(tables.items())), folds=old.folds)
    ordered = tuple(sorted(foreign, key=lambda key: (key.table, key.columns)))
    return replace(survey, catalogue=catalogue, foreign_keys=ordered, rows=rows), companies


def find(tables: dict[str, Table]) -> tuple[tuple[str, ...], dict[str, str]]:
    """(companies, table → its name with `${company}`)."""
    alike: dict[tuple[str, str, tuple[str, ...]], dict[str, str]] = defaultdict(dict)
    for name, table in tables.items():
        for before, company, after in _splits(name):
            alike[before, after, tuple(table.columns)][company] = name
    sets: dict[frozenset[str], list[tuple[str, str, tuple[str, ...]]]] = defaultdict(list)
    for key, members in alike.items():
        if len(members) > 1:
            sets[frozenset(members)].append(key)
    if not sets:
        return (), {}
    companies, keys = max(sets.items(), key=lambda one: (len(one[1]) * len(one[0]), sorted(one[0])))
    if len(keys) < MIN_TABLES:
        return (), {}
    names = {
        table: f"{before}{VARIABLE}{after}"
        for before, after, columns in keys
        for table in alike[before, after, columns].values()
    }
    return tuple(sorted(companies)), names


def expanded(tables: Sequence[str], companies: Sequence[str]) -> tuple[str, ...]:
    """The tables as the database has them."""
    out: list[str] = []
    for table in tables:
        out += [table.replace(VARIABLE, company) for company in companies] if VARIABLE in table else [table]
    return tuple(dict.fromkeys(out))


def _splits(name: str) -> list[Split]:
    """Every way a name can hold a company: before a `$`, or as its first or last part."""
    if "$" in name:
        company, _, rest = name.partition("$")
        return [("", company, f"${rest}")]
    out: list[Split] = []
    parts = re.split(r"([_.\- ])", name)
    if len(parts) >= 3:
        out = [("", parts[0], "".join(parts[1:])), ("".join(parts[:-1]), parts[-1], "")]
    elif digits := re.fullmatch(r"([A-Za-z]+)(\d{2,4})", name):
        out = [(digits[1], digits[2], "")]
    return [split for split in out if not _NO_COMPANY.fullmatch(split[1])]
