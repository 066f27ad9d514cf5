"""`onhand source init`: from an unknown database to a source's folder that can be read, mended and tried."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from onhand.cli.output import json_option, show_json, show_rows
from onhand.cli.source_parts import sources
from onhand.settings import Settings, load_settings
from schemas.errors import EXIT_OK, InvalidInput
from streams.connect.folder import NAME, source_names
from streams.connect.init.catalogue_file import QUERIES, read_file
from streams.connect.init.connector import NAMES
from streams.connect.init.propose import CONNECTOR, Ask, Proposal, from_ready, propose, recaptured
from streams.connect.init.ready import FITS, MENTIONED
from streams.connect.init.survey import KINDS, Survey, parse_dsn, survey
from streams.connect.preflight import Target

SHOWN = 3
"""Candidates of a role that people are shown; all of them are in `--json`."""


@click.command()
@click.argument("name")
@click.option("--dsn", help="postgresql:// or mariadb://user:${env:PASSWORD}@host:port/database; read only.")
@click.option("--kind", type=click.Choice(sorted(set(KINDS.values()))), help="When --dsn does not say it.")
@click.option("--schema", help="Schema or database that holds the tables; by default the one with the most tables.")
@click.option("--user", help="Whom the connector shall log in as; by default onhand_NAME (`source grants` makes it).")
@click.option("--from", "ready", metavar="READY", help="Begin with a mapping under connect-configs/ready.")
@click.option(
    "--catalogue", type=click.Path(path_type=Path), help="Result of --query, as CSV, instead of a connection."
)
@click.option("--query", is_flag=True, help="Print the catalogue query for --kind sqlserver or oracle, and stop.")
@click.option("--tables", is_flag=True, help="Only write table.include.list anew, from the SQL as it is now, and stop.")
@click.option(
    "--without-write", is_flag=True, help="The connector's user may write nothing (`source grants` says more)."
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@json_option
def init(
    name: str,
    dsn: str | None,
    kind: str | None,
    schema: str | None,
    user: str | None,
    ready: str | None,
    catalogue: Path | None,
    query: bool,
    tables: bool,
    without_write: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Propose a source's folder from its database: source.yaml, connector.json, catalog.json and skeleton SQL.

    \b
    Example:
      onhand source init erp --dsn 'postgresql://reader:${env:ERP_PASSWORD}@erp.example:5432/erp'
      onhand source grants erp        what the DBA must run
      onhand source init erp --dsn … --from odoo --force
      onhand source init erp --tables        after the SQL was changed: capture what it reads

    The database is only read, nothing is asked, and nothing is overwritten without --force.  SQL Server and Oracle
    need no connection: run what `--kind oracle --query` prints, save it as CSV, and give it with --catalogue.
    """
    if query:
        click.echo(_query(kind, as_json))
        return
    if NAME.fullmatch(name) is None:
        raise InvalidInput(f"{name}: a source is named by small letters, digits, _ and -, from a letter, at most 48")
    settings = load_settings()
    folder = settings.connect_configs / name
    if tables:
        _recapture(name, folder, as_json)
        return
    found = _surveyed(settings, dsn, kind, schema, catalogue)
    ask = Ask(
        name=name,
        user=user or f"onhand_{name.replace('-', '_')}",
        writes=not without_write,
        taken=set().union(*(_names_of(settings, other).values() for other in _others(settings) if other != name)),
        kept=_names_of(settings, name) if name in _others(settings) else {},
    )
    root = settings.connect_configs
    proposal = from_ready(found, ask, root, ready) if ready else propose(found, ask, root)
    written = _written(folder, proposal, force)
    there = [str(path.relative_to(folder)) for kind in ("*.sql", "examples/*.json") for path in folder.glob(kind)]
    left = sorted(set(there) - set(written))
    notes = [*proposal.notes, *([f"{', '.join(left)} of before stays: delete what is not meant"] if left else [])]
    proposal = replace(proposal, notes=notes)
    if as_json:
        show_json(_document(name, found, proposal, written))
    else:
        _show(name, folder, found, proposal, written, ready)
    raise SystemExit(EXIT_OK)


def _recapture(name: str, folder: Path, as_json: bool) -> None:
    text, read = recaptured(folder)
    _put(folder / CONNECTOR, text)
    if as_json:
        show_json({"source": name, "tables": read})
        return
    click.echo(f"{name}: {CONNECTOR} captures {', '.join(read)}")
    click.echo(
        f"next: `onhand source inspect {name}`, `onhand source try {name}`; when a table is new, `onhand source grants "
        f"{name}` for the DBA"
    )


def _query(kind: str | None, as_json: bool) -> str:
    if kind is None or kind not in QUERIES:
        raise InvalidInput(f"--query needs --kind {' or '.join(sorted(QUERIES))}: other databases are read with --dsn")
    return json.dumps({"kind": kind, "query": QUERIES[kind]}) if as_json else QUERIES[kind]


def _surveyed(
    settings: Settings, dsn: str | None, kind: str | None, schema: str | None, catalogue: Path | None
) -> Survey:
    if dsn is None and catalogue is None:
        raise InvalidInput("--dsn is missing: postgresql://user:${env:PASSWORD}@host:port/database (or --catalogue)")
    of_dsn, at = parse_dsn(dsn, kind, [settings.secrets]) if dsn else (kind or "", Target("", 0, "", "", ""))
    if catalogue is not None:
        return read_file(catalogue, of_dsn, at, schema)
    if of_dsn not in ("postgres", "mariadb"):
        raise InvalidInput(
            f"{of_dsn} is not read directly: run what `onhand source init {of_dsn} --kind {of_dsn} --query` prints, "
            "save the result as CSV, and give it with --catalogue"
        )
    return survey(of_dsn, at, schema)


def _others(settings: Settings) -> list[str]:
    return source_names(settings.connect_configs) if settings.connect_configs.is_dir() else []


def _names_of(settings: Settings, name: str) -> dict[str, str]:
    """Slot, publication and server id of a source of this project, as far as it can be read."""
    try:
        (source,) = sources(settings, [name])
    except InvalidInput:
        return {}  # told when that source itself is asked for
    return {key: source.config[key] for key in NAMES if key in source.config}


def _written(folder: Path, proposal: Proposal, force: bool) -> list[str]:
    """Write all files or none.  Raises InvalidInput when one is there."""
    there = [path for path in proposal.files if (folder / path).exists()]
    if there and not force:
        raise InvalidInput(
            f"{folder}: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already; --force writes over"
        )
    for path, text in proposal.files.items():
        _put(folder / path, text)
    return list(proposal.files)


def _put(place: Path, text: str) -> None:
    """Whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{place.name}.new")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, place)


def _rows(proposal: Proposal, most: int | None) -> Iterator[dict[str, Any]]:
    for role, ranked in proposal.candidates.items():
        for n, one in enumerate(ranked[:most]):
            yield {
                "for": role.value,
                "table": one.name,
                "rows": one.rows,
                "score": one.score,
                "used": "yes" if n == 0 else "",
                "by": one.why,
            }


def _document(name: str, found: Survey, proposal: Proposal, written: Sequence[str]) -> dict[str, Any]:
    return {
        "source": name,
        "kind": found.kind,
        "schema": found.schema,
        "time_zone": found.time_zone,
        "files": list(written),
        "candidates": list(_rows(proposal, None)),
        "ready": [fit.row() for fit in proposal.ready],
        "notes": list(proposal.notes),
    }


def _show(
    name: str, folder: Path, found: Survey, proposal: Proposal, written: Sequence[str], ready: str | None
) -> None:
    click.echo(f"{name}: {found.kind}, schema {found.schema}, {len(found.catalogue.tables)} tables")
    rows = list(_rows(proposal, SHOWN))
    if rows:
        show_rows(rows, ["for", "table", "rows", "score", "used", "by"], as_json=False)
    for fit in proposal.ready if ready is None else ():
        if fit.share >= FITS:
            click.echo(f"looks like {fit.name}: {fit.row()['columns']} columns are there; begin with --from {fit.name}")
        elif fit.share >= MENTIONED:
            missing = ", ".join(fit.missing[:5]) + (" …" if len(fit.missing) > 5 else "")
            click.echo(f"resembles {fit.name}: {fit.row()['columns']} columns are there, not {missing}")
    for note in proposal.notes:
        click.echo(f"note: {note}")
    click.echo(f"written to {folder}: {', '.join(written)}")
    click.echo(
        "next:\n"
        f"  `onhand source grants {name}` for the DBA; the password goes into {name}.properties of the secrets folder, "
        "as `password=…`\n"
        f"  read and mend the SQL, `onhand source init {name} --tables`, `onhand source inspect {name}`\n"
        f"  `onhand source try {name}`, `onhand source test {name} --record …`\n"
        f"  `onhand source check {name}`, `onhand source apply {name}`"
    )
