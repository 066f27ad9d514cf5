"""`onhand source inspect | explain-mapping | test`: the mapping of a source and its databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import sqlglot
from sqlglot import exp

from onhand.cli.output import json_option, show_rows
from onhand.cli.source_parts import sources
from onhand.cli.source_record import record_example
from onhand.settings import Settings, load_settings
from schemas.errors import EXIT_DIFFERENCES, EXIT_INVALID, EXIT_OK, InvalidInput
from streams.connect.catalogue import read_catalogue, session
from streams.connect.folder import source_names
from streams.connect.live.record import Choice
from streams.connect.mapping_trial import trial, unusable
from streams.connect.preflight import Target, target
from streams.core.mapping import catalogue as catalogues
from streams.core.mapping import source as source_files
from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.examples import check_example, example_files
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.source import SourceConfig, load_source

_names = click.argument("names", nargs=-1, metavar="[NAME]...")


def _chosen(settings: Settings, names: Sequence[str]) -> list[str]:
    known = source_names(settings.connect_configs)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"no source named {', '.join(unknown)} (there are: {', '.join(known) or 'none'})")
    return list(names or known)


def _folders(settings: Settings, names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for name in _chosen(settings, names):
        yield name, settings.connect_configs / name


def _database(settings: Settings, name: str) -> Target:
    return target(sources(settings, [name])[0], [settings.secrets])


def _tables_named(folder: Path, source: SourceConfig) -> set[str] | None:
    """Tables that the SQL files name; None when there are no files, or one of them is not understood."""
    found: set[str] = set()
    files = sorted(folder.glob("*.sql"))
    for path in files:
        text = path.read_text()
        for name, values in source.expand.items():
            text = text.replace("${" + name + "}", values[0] if values else "")
        try:
            trees = sqlglot.parse(text, read="mysql" if source.kind == "mariadb" else source.kind)
        except sqlglot.errors.SqlglotError:
            return None
        found |= {table.name for tree in trees if tree is not None for table in tree.find_all(exp.Table)}
    return found if files else None


def read_now(folder: Path, source: SourceConfig, at: Target, everything: bool = False) -> Catalogue:
    """The catalogue of the tables that the folder's SQL names, as the database has it now."""
    only = None if everything or source.expand else _tables_named(folder, source)
    with session(source.kind, at) as cursor:
        return read_catalogue(cursor, source.kind, source.schema_, only)


@click.command()
@_names
@click.option("--all", "everything", is_flag=True, help="Every table of the schema, not only those the SQL names.")
@click.option("--write/--no-write", default=True, help="Write catalog.json, or only tell what differs from it.")
@json_option
def inspect(names: Sequence[str], everything: bool, write: bool, as_json: bool) -> None:
    """Read the database's catalogue into catalog.json, and tell what differs from the one that was there.

    Told too: tables that the SQL names and that cannot be read or have no primary key.  Then the database plans every
    SQL file, when the mapping compiles.  Exit 10: the catalogue differs; 2: the database does not take a file, or a
    table cannot be used.  The database is only read.
    """
    settings = load_settings()
    rows: list[dict[str, Any]] = []
    drifted = refused = False
    for name, folder in _folders(settings, names):
        source = load_source(folder / source_files.FILE)
        at = _database(settings, name)
        now = read_now(folder, source, at, everything)
        path = folder / catalogues.FILE
        before = Catalogue.load(path.read_bytes(), str(path)) if path.is_file() else None
        changes = catalogues.drift(before, now) if before is not None else []
        drifted |= bool(changes)
        if write:
            path.write_text(now.dump())
        rows += [{"source": name, "finding": change} for change in changes]
        if not changes:
            state = "unchanged" if before is not None else "written" if write else "not written yet"
            rows.append({"source": name, "finding": f"{state}: {len(now.tables)} tables"})
        findings = [*unusable(source.kind, at, _tables_named(folder, source) or (), now), *_tried(folder, at)]
        refused |= bool(findings)
        rows += [{"source": name, "finding": finding} for finding in findings]
    show_rows(rows, ["source", "finding"], as_json=as_json, empty="no sources")
    raise SystemExit(EXIT_DIFFERENCES if drifted else EXIT_INVALID if refused else EXIT_OK)


def _tried(folder: Path, at: Target) -> list[str]:
    """What the database says against the mapping, once it compiles."""
    try:
        mapping = load_mapping(folder)
    except InvalidInput:
        return []  # `source check`, the lane and the other commands tell it with its place
    return trial(mapping, at)


@click.command("explain-mapping")
@click.argument("name")
@click.option("--code", is_flag=True, help="The generated Python.")
@json_option
def explain_mapping(name: str, code: bool, as_json: bool) -> None:
    """What a mapping captures and how it is evaluated: tables, columns, lookups, buckets."""
    settings = load_settings()
    ((_, folder),) = _folders(settings, [name])
    mapping = load_mapping(folder)
    if code:
        click.echo(mapping.code)
        return
    rows = [
        {
            "table": table.name,
            "role": "drives" if table.drives else "lookup",
            "key": ", ".join(table.key),
            "columns": ", ".join(table.columns),
            "feeds": ", ".join(sorted(table.feeds)),
            "buckets": ", ".join(sorted(bucket.value for bucket in table.buckets)),
            "deletion": table.deletion,
        }
        for table in mapping.tables.values()
    ]
    show_rows(rows, list(rows[0]) if rows else [], as_json=as_json)
    if not as_json:
        click.echo(_graded(mapping.source.kind))
        for index, lookup in enumerate(mapping.lookups):
            click.echo(f"lookup {index}: {lookup}" + (", several rows" if lookup.many else ""))


def _graded(kind: str) -> str:
    dialect = DIALECTS[kind]
    by = (
        "compared with the server itself" if dialect.proven else "held against documented answers; it cannot be applied"
    )
    return f"{dialect.name}: {dialect.grade}, {by}"


@click.command()
@_names
@click.option("--record", "example", metavar="EXAMPLE", help="Make examples/EXAMPLE.json of live rows instead.")
@click.option("--table", help="--record: rows of this table, in which a SELECT begins; by default of each of them.")
@click.option("--key", "keys", multiple=True, metavar="VALUES", help="--record: this row, as 4711,1; repeatable.")
@click.option("--where", metavar="SQL", help="--record: rows that meet a condition in the database's SQL.")
@click.option("--rows", type=click.IntRange(1, 500), default=3, show_default=True, help="--record: at most, a table.")
@click.option("--force", is_flag=True, help="--record: write over an example that is there.")
@json_option
def test(
    names: Sequence[str],
    example: str | None,
    table: str | None,
    keys: Sequence[str],
    where: str | None,
    rows: int,
    force: bool,
    as_json: bool,
) -> None:
    """Check every mapping against its examples: rows in, postings and parts out.  Exit 10: one differs.

    \b
    Example:
      onhand source test erp
      onhand source test erp --record late --table ordlin --where "olreqd < 126001"
      onhand source test erp --record split --table ordlin --key 4711,1 --key 4711,2

    --record reads rows and all they join from the database, only reading, and expects what the mapping makes of them
    today: read it before you believe it.  Texts that no key, quantity, date or status depends on are replaced.
    """
    if example is not None:
        if len(names) != 1:
            raise InvalidInput("--record makes an example of one source: name it")
        choice = Choice(table, keys, where, rows)
        record_example(load_settings(), names[0], example, choice, force, as_json)
        return
    settings = load_settings()
    told: list[dict[str, Any]] = []
    failed = False
    for name, folder in _folders(settings, names):
        mapping = load_mapping(folder)
        grade = DIALECTS[mapping.source.kind].grade
        for path in example_files(folder):
            found = check_example(mapping, path)
            failed |= bool(found)
            told += [
                {"source": name, "example": path.stem, "finding": line, "semantics": grade}
                for line in found or ["as expected"]
            ]
        if not example_files(folder):
            told.append(
                {"source": name, "example": "", "finding": f"no {folder.name}/examples/*.json", "semantics": ""}
            )
    show_rows(told, ["source", "example", "finding", "semantics"], as_json=as_json, empty="no sources")
    raise SystemExit(EXIT_DIFFERENCES if failed else EXIT_OK)
