"""`onhand source try`: the mapping over live rows, before anything is applied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from onhand.cli.output import instant, json_option, show_json, show_rows
from onhand.cli.source_parts import name_argument, say, sources
from onhand.settings import load_settings
from schemas.errors import EXIT_DIFFERENCES, EXIT_OK, InvalidInput
from streams.connect.live.rows import LIMITS, live_rows
from streams.connect.live.trial import try_mapping
from streams.connect.preflight import target
from streams.core.mapping.files import MOMENT_COLUMNS
from streams.core.mapping.mapping import CompiledMapping, compile_mapping, load_mapping

_SECTIONS = (
    ("tables", "Rows read", ["table", "rows", "whole", "outputs", "nothing", "waiting", "unmappable"]),
    ("stock", "Postings of the rows read", ["view", "location", "bucket", "postings", "quantity", "negative"]),
    ("biggest", "Biggest balances", ["sku", "view", "location", "bucket", "quantity"]),
    ("negative", "Most negative balances", ["sku", "view", "location", "bucket", "quantity"]),
    ("statuses", "Status codes that source.yaml does not map", ["file", "column", "code", "rows", "examples"]),
    (
        "several",
        "Several rows say different things of one key: the first of them would count",
        ["file", "column", "value", "rows", "examples"],
    ),
    ("nothing", "Rows that yield nothing do not meet", ["table", "place", "condition", "rows", "examples"]),
    ("parked", "Parked", ["table", "code", "why", "rows", "examples"]),
)
_ENOUGH = 15
"""Lines of a section that people are shown; all of them are in `--json`."""


@click.command("try")
@name_argument
@click.option("--rows", type=click.IntRange(min=1), default=1000, show_default=True, help="Of every driving table.")
@click.option("--all", "everything", is_flag=True, help="Every row.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Only this one, as postings.sql; repeatable.")
@click.option(
    "--rows-per-s", type=click.FloatRange(min=1), default=LIMITS.rows_per_s, show_default=True, help="Read no faster."
)
@click.option(
    "--statement-s",
    type=click.FloatRange(min=0.1),
    default=LIMITS.statement_s,
    show_default=True,
    help="A statement's time limit.",
)
@json_option
def try_(
    name: str,
    rows: int,
    everything: bool,
    files: tuple[str, ...],
    rows_per_s: float,
    statement_s: float,
    as_json: bool,
) -> None:
    """Evaluate a mapping on live rows, and tell what comes out and what does not.

    \b
    Example:
      onhand source try erp                        the 500 oldest and 500 newest rows of each table
      onhand source try erp --file postings.sql    one file alone
      onhand source try erp --all                  every row, with the sums the lane will have

    Told: examples of every file, postings by location and bucket, the biggest and the negative balances, columns that
    are always or never NULL, status codes without a mapping, keys of which several rows say different things, what is
    parked and why, and which condition the rows that yield nothing do not meet.  The database is only read, in one
    snapshot, in chunks along the primary keys; nothing is published.  Exit 10: rows would be parked or contradict each
    other, or a status code is not mapped.
    """
    settings = load_settings()
    (one,) = sources(settings, [name])
    folder = settings.connect_configs / name
    mapping = only(folder, load_mapping(folder), files)
    limits = replace(LIMITS, rows_per_s=rows_per_s, statement_s=statement_s)
    with live_rows(mapping, target(one, [settings.secrets]), limits) as live:
        trial = try_mapping(mapping, live, None if everything else rows, say if everything else lambda text: None)
    document = {"source": name, **trial.document()}
    if as_json:
        show_json(document)
    else:
        _show(document)
    raise SystemExit(EXIT_OK if trial.clean else EXIT_DIFFERENCES)


def only(folder: Path, mapping: CompiledMapping, files: tuple[str, ...]) -> CompiledMapping:
    """The mapping of these files alone; of all when none is named.  Raises InvalidInput."""
    if not files:
        return mapping
    wanted = {Path(file).name.removesuffix(".sql") + ".sql" for file in files}
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*.sql"))}
    if missing := sorted(wanted - texts.keys()):
        raise InvalidInput(f"--file: {folder} has no {', '.join(missing)}: it has {', '.join(texts)}")
    chosen = {name: text for name, text in texts.items() if name in wanted}
    return compile_mapping(mapping.source, mapping.catalogue, chosen, mapping.fingerprint)


def _show(document: dict[str, Any]) -> None:
    for file in document["files"]:
        columns = list(dict.fromkeys(column for example in file["examples"] for column in example))
        click.echo(f"{file['file']}.sql: {file['outputs']:,} outputs" + (", such as" if file["examples"] else ""))
        if columns:
            examples = [{name: _value(name, one.get(name)) for name in columns} for one in file["examples"]]
            show_rows(examples, columns, as_json=False)
        click.echo()
    constant = [one for one in document["columns"] if one["outputs"] and one["null"] != "sometimes"]
    for verdict in ("never", "always"):
        found: dict[str, list[str]] = {}
        for one in constant:
            if one["null"] == verdict:
                found.setdefault(one["file"], []).append(one["column"])
        for name, columns in found.items():
            click.echo(f"{verdict} NULL: {name}: {', '.join(columns)}")
    for section, title, columns in _SECTIONS:
        if rows := document[section]:
            click.echo()
            shown = [{name: _text(row.get(name)) for name in columns} for row in rows[:_ENOUGH]]
            show_rows(shown, [name for name in columns if any(row[name] for row in shown)], as_json=False, title=title)
            if len(rows) > _ENOUGH:
                click.echo(f"… and {len(rows) - _ENOUGH} more: --json shows all")
    if document["negative_balances"]:
        click.echo(f"{document['negative_balances']:,} balances are below zero in the rows read")


def _value(name: str, value: Any) -> Any:
    return instant(int(value)) if name in MOMENT_COLUMNS and value is not None else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "all" if value else "a sample"
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
