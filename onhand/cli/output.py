"""Answers for people and for machines: one table or one JSON document."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 200
"""Columns where there is no terminal to ask."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of a table.")


def show_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    title: str | None = None,
    empty: str = "nothing",
) -> None:
    """Print rows: a table of `columns` for people, or the rows whole as JSON."""
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], default=str, indent=2))
        return
    if not rows:
        click.echo(empty)
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")  # a name cut short is no name
    for row in rows:
        table.add_row(*("" if row.get(column) is None else str(row.get(column)) for column in columns))
    console().print(table, markup=False)


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; wide where there is none, so that pipes see whole rows."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def show_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, default=str, indent=2))


def instant(at_us: int | None) -> str:
    """For people, to the millisecond."""
    if at_us is None:
        return "at an unknown time"
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC).isoformat(sep=" ", timespec="milliseconds")[:23] + "Z"
