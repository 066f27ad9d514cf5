"""The files of a new source's folder, from a survey: nothing is written here."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlglot import exp

from schemas.errors import InvalidInput
from streams.connect.init import companies as repeating
from streams.connect.init.candidates import Candidate, Finder, Role, status_columns
from streams.connect.init.connector import Wanted, connector_text, include_list
from streams.connect.init.description import for_tables, with_value
from streams.connect.init.ready import FOLDER, Fit, companies_of, fits, selects
from streams.connect.init.skeleton import Skeleton, Writer
from streams.connect.init.survey import Survey, codes_twice, with_codes
from streams.core.mapping import catalogue as catalogues
from streams.core.mapping import source as sources
from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.files import status_symbols
from streams.core.mapping.source import SourceConfig, load_source

CONNECTOR = "connector.json"
_WANTED: Mapping[str, Sequence[Role]] = {
    "stock": (Role.STOCK, Role.LEDGER),
    "items": (Role.ITEM,),
    "locations": (Role.LOCATION,),
    "orders": (Role.ORDER,),
    "order lines": (Role.SALES_LINE,),
    "purchase lines": (Role.PURCHASE_LINE,),
}
"""What a source may have, in people's words → the roles of tables that hold it."""
_NAMED = 12
"""Tables that are not used and are named; of the others there is a number."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person said to `init`, and what others have already taken."""

    name: str
    user: str
    writes: bool = True
    taken: Collection[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    """Names that this source's connector.json has already."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A folder that could be written."""

    files: Mapping[str, str]
    """Path in the folder → text."""
    candidates: Mapping[Role, Sequence[Candidate]] = field(default_factory=dict)
    ready: Sequence[Fit] = ()
    """Ready mappings of this kind of database, best first."""
    notes: Sequence[str] = ()


def propose(survey: Survey, ask: Ask, root: Path) -> Proposal:
    """A folder with skeleton SQL."""
    one_of_each, companies = repeating.collapse(survey)
    finder = Finder(one_of_each)
    found = finder.candidates()
    notes = list(survey.notes)
    if survey.kind in ("postgres", "mariadb") and not companies and survey.at.host:
        survey = with_codes(survey, list(status_columns(found)))
        twice = codes_twice(survey, _codes(found))
        notes += [f"{line}: its rows would share a sku or a location" for line in twice]
    skeleton = Writer(finder, found, repeating.VARIABLE if companies else "").write()
    if not skeleton.files:
        notes.append(f"no table of {survey.schema} looks like stock or orders: write postings.sql yourself")
    notes += _not_found(finder, found, skeleton)
    tables = repeating.expanded(skeleton.tables, companies)
    notes += _without_key(survey.catalogue, tables)
    for table in skeleton.tables:
        if (archive := finder.archive_of(table)) is not None:
            notes.append(
                f"{archive} has all columns of {table}: if done rows are moved there, read it too and say "
                f"`deletions: {{{table}: archived}}` in source.yaml"
            )
    wanted = _wanted(survey, ask, tables)
    files = {
        sources.FILE: source_text(survey, ask, skeleton, companies),
        CONNECTOR: connector_text(wanted),
        catalogues.FILE: _part(survey.catalogue, survey.catalogue.tables if companies else tables).dump(),
        **skeleton.files,
    }
    return Proposal(files, found, fits(root, survey.catalogue), notes)


def from_ready(survey: Survey, ask: Ask, root: Path, ready: str) -> Proposal:
    """A folder that begins with a ready mapping.  Raises InvalidInput when there is no such folder."""
    folder = root / FOLDER / ready
    have = sorted(path.parent.name for path in (root / FOLDER).glob(f"*/{sources.FILE}"))
    if ready not in have:
        raise InvalidInput(f"--from {ready}: no such folder in {FOLDER}/ (there are: {', '.join(have) or 'none'})")
    source = load_source(folder / sources.FILE)
    if source.kind != survey.kind:
        raise InvalidInput(f"--from {ready} is for {source.kind}; this database is {survey.kind}")
    notes = list(survey.notes)
    description = (folder / sources.FILE).read_text()
    if len(source.expand) == 1 and (companies := companies_of(folder, source, survey.catalogue)):
        (variable,) = source.expand
        description = with_value(description, "expand", {variable: list(companies)})
        source = source.model_copy(update={"expand": {variable: list(companies)}})
    files: dict[str, str] = {}
    joins: dict[str, set[str]] = {}
    there = {name.lower(): name for name in survey.catalogue.tables}
    for path in sorted(folder.glob("*.sql")):
        text = requalified(path.read_text(), source.schema_, survey.schema)
        tables = tables_of(text, source)
        missing = sorted(name for name in tables if name.lower() not in there)
        if missing and path.stem != "postings":
            notes.append(f"{path.name} is left out: the database has no {', '.join(missing)}")
            continue
        files[path.name] = text
        for name, joined in tables.items():
            if name.lower() in there:
                known = {there[other.lower()] for other in joined if other.lower() in there}
                joins.setdefault(there[name.lower()], set()).update(known)
    if (folder / "README.md").is_file():
        notes.append(f"{folder.parent.name}/{ready}/README.md says what means what, and what to adapt")
    kept: Collection[str] = survey.catalogue.tables if source.expand else joins
    for path in sorted(folder.glob("examples/*.json")):
        strange = sorted(table for table in json.loads(path.read_text())["rows"] if table not in kept)
        if strange:
            notes.append(
                f"examples/{path.name} is left out: it has rows of {', '.join(strange)}, which is not read here"
            )
        else:
            files[f"examples/{path.name}"] = path.read_text()
    for key, value in (("name", ask.name), ("schema", survey.schema), ("writes", None if ask.writes else False)):
        description = with_value(description, key, value)
    files[sources.FILE] = for_tables(description, source, kept)
    files[CONNECTOR] = connector_text(_wanted(survey, ask, joined_first(joins)))
    files[catalogues.FILE] = _part(survey.catalogue, kept).dump()
    every = fits(root, survey.catalogue)
    notes += [
        f"{ready}: the database has no {', '.join(one.missing)}" for one in every if one.name == ready and one.missing
    ]
    return Proposal(files, {}, every, notes)


def source_text(survey: Survey, ask: Ask, skeleton: Skeleton, companies: Sequence[str]) -> str:
    """source.yaml, what cannot be known as comments."""
    lines = [
        f"# Proposed by `onhand source init`: {survey.kind}, schema {survey.schema}.",
        f"name: {ask.name}",
        f"kind: {survey.kind}",
        f"schema: {json.dumps(survey.schema)}",
        f"time_zone: {survey.time_zone}   # what a time stamp without a zone means; here the server's own",
    ]
    if not ask.writes:
        lines.append("writes: false   # no heartbeat and no signal table: `onhand source grants` says what that loses")
    if companies:
        lines.append(f"expand: {{company: {json.dumps(list(companies), ensure_ascii=False)}}}")
    for (file, status), (table, column) in skeleton.statuses.items():
        symbols = ", ".join(status_symbols(file, status))
        codes = survey.codes.get((table, column))
        said = ", ".join(f"{json.dumps(code, ensure_ascii=False)}: …" for code in codes) if codes else '"code": …'
        lines += [
            f"# {file}.sql can tell {status} from {table}.{column}, once its codes are mapped to",
            f"# {symbols}:",
            "# statuses:",
            f"#   {file}:",
            f"#     {status}: {{{said}}}",
        ]
    lines += [
        "# deletions:          # what the delete of a row means: cancelled, archived, removed (default)",
        "#   table: archived   # rows that a nightly job moves to a history table",
        "# unique: {table: [[column, column]]}   # keys that hold and that the catalogue does not show",
    ]
    return "\n".join(lines) + "\n"


def tables_of(text: str, source: SourceConfig) -> dict[str, set[str]]:
    """Every table that one file's SQL reads, all companies' → the tables its rows join.  Raises InvalidInput."""
    found: dict[str, set[str]] = {}
    for select in selects(text, source):
        driving, *joined = [table.name for table in select.find_all(exp.Table, bfs=True)]
        for name in (driving, *joined):
            found.setdefault(name, set())
        found[driving] |= {*joined} - {driving}
    return found


def joined_first(joins: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The tables in the order in which a snapshot should read them; tables that join each other as they come."""
    ordered: list[str] = []
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name not in begun:
            begun.add(name)
            for other in sorted(joins.get(name, ())):
                visit(other)
            ordered.append(name)

    for name in joins:
        visit(name)
    return tuple(ordered)


def recaptured(folder: Path) -> tuple[str, list[str]]:
    """connector.json whose table.include.list is what the folder's SQL reads now, and those tables.

    Raises InvalidInput when the SQL or connector.json is not understood.
    """
    source = load_source(folder / sources.FILE)
    path = folder / CONNECTOR
    try:
        config: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InvalidInput(f"{path}: {error}; `onhand source init` writes one") from None
    joins: dict[str, set[str]] = {}
    for file in sorted(folder.glob("*.sql")):
        for name, joined in tables_of(file.read_text(), source).items():
            joins.setdefault(name, set()).update(joined)
    if not joins:
        raise InvalidInput(f"{folder}: no .sql file reads a table: write postings.sql, or another output")
    tables = joined_first(joins)
    config["table.include.list"] = include_list(source.kind, source.schema_, tables, writes=source.writes)
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n", list(tables)


def requalified(text: str, before: str, after: str) -> str:
    """The SQL with another schema in front of its tables."""
    if before == after:
        return text
    return re.sub(
        rf"(?<![\w.'\"`\[])([\"`\[]?){re.escape(before)}([\"`\]]?)(?=\.\s*[\w\"`\[])", rf"\g<1>{after}\g<2>", text
    )


def _wanted(survey: Survey, ask: Ask, tables: Sequence[str]) -> Wanted:
    return Wanted(
        name=ask.name,
        kind=survey.kind,
        schema=survey.schema,
        host=survey.at.host,
        port=survey.at.port,
        user=ask.user,
        database=survey.at.database or survey.schema,
        tables=tables,
        taken={*ask.taken, *survey.taken},
        writes=ask.writes,
        kept=ask.kept,
    )


def _part(whole: Catalogue, tables: Collection[str]) -> Catalogue:
    """The tables that the SQL reads, as `inspect` would write them, with the collations of the whole."""
    part = {name: table for name, table in whole.tables.items() if name in set(tables)}
    used = {column.collation for table in part.values() for column in table.columns.values()}
    folds = {name: fold for name, fold in whole.folds.items() if name in used | {catalogues.SESSION_COLLATION}}
    return Catalogue(kind=whole.kind, schema=whole.schema, tables=part, folds=folds)


def _codes(found: Mapping[Role, Sequence[Candidate]]) -> list[tuple[str, str]]:
    """Codes that become skus and locations and that no unique key holds."""
    codes = []
    for role in (Role.ITEM, Role.LOCATION):
        for one in found[role][:1]:
            column = one.columns.get("code") or one.columns.get("key")
            if column is not None and (column.name,) not in one.table.unique:
                codes.append((one.name, column.name))
    return codes


def _not_found(finder: Finder, found: Mapping[Role, Sequence[Candidate]], skeleton: Skeleton) -> list[str]:
    """What no table was taken for, and the tables that nothing was made of."""
    missing = [words for words, roles in _WANTED.items() if not any(found.get(role) for role in roles)]
    if not missing:
        return []
    unused = [name for name in finder.tables if name not in skeleton.tables and not name.startswith("onhand_")]
    more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
    return [f"not found: {', '.join(missing)}; tables not used: {', '.join(unused[:_NAMED]) or 'none'}{more}"]


def _without_key(catalogue: Catalogue, tables: Sequence[str]) -> list[str]:
    return [
        catalogues.without_key(f"{catalogue.schema}.{name}")
        for name in tables
        if name in catalogue.tables and not catalogue.tables[name].primary
    ]
