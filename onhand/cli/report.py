"""`onhand report`: what ClickHouse knows about lag and exceptions."""

from __future__ import annotations

import csv
import datetime as dt
import re
import sys
from collections.abc import Sequence
from typing import Any

import click
import requests

from onhand.cli.output import json_option, show_json, show_rows
from onhand.clock import clock_us
from onhand.settings import Settings, load_settings
from schemas.errors import InvalidInput
from sinks.clickhouse.database import CHDB, DEFAULT_DATABASE, ClickHouse, open_clickhouse
from sinks.clickhouse.report import LAG_FIGURES, exception_report, lag_report

SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")
SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}

csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")


@click.group()
def report() -> None:
    """Lag reports from ClickHouse."""


@report.command()
@click.option("--since", default="24h", show_default=True, help="A span (90s, 15min, 24h, 7d) or an ISO instant.")
@click.option("--by", default="hop", show_default=True, help="Comma-separated: hop, source, warehouse, channel, kind.")
@json_option
@csv_option
def lag(since: str, by: str, as_json: bool, as_csv: bool) -> None:
    """How long changes took from the commit in the source to the channel's acknowledgement, in milliseconds."""
    dimensions = [name.strip() for name in by.split(",") if name.strip()]
    since_us = instant_of(since, clock_us())
    with open_for_reading(load_settings()) as clickhouse:
        rows = [line.row for line in lag_report(clickhouse, dimensions, since_us)]
    _show(rows, [*dimensions, *LAG_FIGURES], as_json, as_csv, f"nothing was acknowledged since {since}")


@report.command()
@json_option
@csv_option
def exceptions(as_json: bool, as_csv: bool) -> None:
    """Open exceptions by code and source, with their ages."""
    with open_for_reading(load_settings()) as clickhouse:
        rows = exception_report(clickhouse, clock_us())
    columns = ["code", "source", "stage", "open", "oldest_s", "median_s"]
    _show(rows, columns, as_json, as_csv, "no open exceptions")


def open_for_reading(settings: Settings) -> ClickHouse:
    """ClickHouse; with `chdb://` through the metrics worker while it runs, else its directory.

    Raises EnvironmentFault.
    """
    directory = settings.data_dir / "clickhouse"
    if not settings.clickhouse_dsn.startswith(f"{CHDB}:"):
        return open_clickhouse(settings.clickhouse_dsn, directory)
    door = f"http://127.0.0.1:{settings.clickhouse_port}"
    try:
        requests.get(f"{door}/ping", timeout=2)
    except requests.RequestException:
        return open_clickhouse(settings.clickhouse_dsn, directory)
    return open_clickhouse(f"{door}/{DEFAULT_DATABASE}", directory)


def instant_of(text: str, now_us: int) -> int:
    """Epoch microseconds of a span before now, or of an ISO instant (UTC when it names no zone).

    Raises InvalidInput.
    """
    span = SPAN.fullmatch(text.strip())
    if span:
        return now_us - int(float(span[1]) * SECONDS[span[2]] * 1_000_000)
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--since {text!r}: neither a span like 15min or 24h, nor an ISO instant") from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=dt.UTC)
    return int(instant.timestamp() * 1_000_000)


def _show(rows: Sequence[dict[str, Any]], columns: list[str], as_json: bool, as_csv: bool, empty: str) -> None:
    if as_csv:
        writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif as_json:
        show_json([dict(row) for row in rows])
    else:
        show_rows(rows, columns, as_json=False, empty=empty)
