"""`onhand source audit`: the mapping's SQL, run by the database, against what the lane holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from onhand.cli.output import json_option, show_json, show_rows
from onhand.cli.source_parts import say, sources
from onhand.settings import Settings, load_settings
from schemas.errors import EXIT_OK, EXIT_RUNTIME, InvalidInput
from streams.connect.audit.lane_copy import LaneCopy
from streams.connect.audit.run import Bounds, Report, RowDifference
from streams.connect.audit.run import audit as run_audit
from streams.connect.audit.said import Line
from streams.connect.audit.selects import Wanted
from streams.connect.folder import Source
from streams.connect.preflight import target
from streams.connect.reading import Limits
from streams.core.lane.keys import reference_table, reference_text
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.mapping import load_mapping

DEFAULTS = Limits()


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--sku", "skus", multiple=True, help="Only what is about this item; repeatable.")
@click.option("--order", "orders", multiple=True, help="Only what is about this order; repeatable.")
@click.option("--rows", is_flag=True, help="Also the driving rows behind what differs: table, key, both values.")
@click.option("--chunk-rows", type=click.IntRange(min=1), default=DEFAULTS.chunk_rows, show_default=True,
              help="Rows that one transaction reads.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0), default=DEFAULTS.rows_per_s, show_default=True,
              help="Rows read a second, at most; 0: as fast as it goes.")  # fmt: skip
@click.option("--statement-timeout-s", type=click.FloatRange(min=0.01), default=DEFAULTS.statement_s,
              show_default=True, help="For one statement; a piece that takes longer is halved.")  # fmt: skip
@click.option("--max-seconds", type=click.FloatRange(min=1), help="Stop after so long, and say how far it came.")
@click.option("--rounds", type=click.IntRange(min=2), default=10, show_default=True,
              help="How often to look again at rows that writers change meanwhile.")  # fmt: skip
@click.option("--timeout-s", type=click.FloatRange(min=1), default=60.0, show_default=True,
              help="For the lane to pass the database's position.")  # fmt: skip
@json_option
def audit(
    names: Sequence[str],
    skus: Sequence[str],
    orders: Sequence[str],
    rows: bool,
    chunk_rows: int,
    rate: float,
    statement_timeout_s: float,
    max_seconds: float | None,
    rounds: int,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Run the mapping's own SQL in the database and compare every row with what the lane holds.

    Postings, items, locations, bills and orders are compared; writers may go on.  The database is only read, in short
    transactions.  Exit 0: everything was compared and is equal; 1: something differs, still moves, has no value, was
    not reached or is refused by the database.

    \b
    Examples:
      onhand source audit erp                      everything
      onhand source audit erp --sku 4711 --rows    one item, with the rows behind a difference
      onhand source audit erp --rate 2000 --max-seconds 600    gently, for ten minutes
    """  # fmt: skip
    settings = load_settings()
    limits = Limits(chunk_rows, rate, statement_timeout_s)
    wanted, bounds = Wanted(frozenset(skus), frozenset(orders)), Bounds(rounds, max_seconds)
    reports = [_audited(settings, one, wanted, limits, bounds, timeout_s) for one in sources(settings, names)]
    if as_json:
        show_json([_document(report, rows) for report in reports])
    else:
        for report in reports:
            _show(report, rows)
    raise SystemExit(EXIT_OK if all(report.clean for report in reports) else EXIT_RUNTIME)


def _audited(
    settings: Settings, one: Source, wanted: Wanted, limits: Limits, bounds: Bounds, timeout_s: float
) -> Report:
    folder = load_mapping(one.folder)
    dialect = DIALECTS[folder.source.kind]
    if not dialect.proven:
        raise InvalidInput(f"{one.name}: {dialect.name} is golden-only: there is no lane to audit, see `source test`")
    at = target(one, [settings.secrets])
    lane = LaneCopy(settings.kafka, one.name, timeout_s)
    try:
        lane.read()
        return run_audit(folder, at, lane, wanted=wanted, limits=limits, bounds=bounds, say=say)
    finally:
        lane.close()


def _show(report: Report, rows: bool) -> None:
    title = (
        f"{report.source}: {report.rows:,} rows and {report.balances:,} balances, from {report.since} to "
        f"{report.position}, {report.seconds:.1f} s"
    )
    click.echo(title + (": all equal" if report.clean else ""))
    _show_lines(report.lines, "differ")
    for heading, found in (("rows that differ", report.differences), ("still move", report.undecided)):
        if found and (rows or found is report.undecided):
            click.echo(f"{heading}: {len(found):,}")
            show_rows(list(_row_lines(found)), ["row", "about", "column", "database", "lane", "why"], as_json=False)
    if report.differences and not rows:
        click.echo(f"{len(report.differences):,} rows are behind it: --rows shows them")
    if report.refused:
        click.echo("not compared, because the database refuses the SELECT:")
        show_rows(list(_refused(report)), ["select", "what", "why"], as_json=False)
    if report.unreadable:
        click.echo("have no value in SQL, and are parked in the lane:")
        show_rows([{"row": row, "why": why} for row, why in report.unreadable], ["row", "why"], as_json=False)
    if report.stopped:
        click.echo(f"{report.source}: not everything was compared: {report.stopped}")


def _show_lines(lines: Sequence[Line], heading: str) -> None:
    if lines:
        click.echo(f"{heading}: {len(lines):,}")
        show_rows(
            [{"output": line.output, "about": _about(line), **_values(line)} for line in lines],
            ["output", "about", "column", "database", "lane"],
            as_json=False,
        )


def _document(report: Report, rows: bool) -> dict[str, Any]:
    return {
        "source": report.source,
        "since": report.since,
        "position": report.position,
        "rows": report.rows,
        "balances": report.balances,
        "rounds": report.rounds,
        "seconds": round(report.seconds, 3),
        "equal": report.clean,
        "stopped": report.stopped or None,
        "differences": [_columns(line) for line in report.lines],
        "undecided": list(_row_lines(report.undecided)),
        "refused": list(_refused(report)),
        "unreadable": [{"row": row, "why": why} for row, why in report.unreadable],
        **({"differing_rows": list(_row_lines(report.differences))} if rows else {}),
    }


def _refused(report: Report) -> Iterator[dict[str, str]]:
    for select, part, why in report.refused:
        yield {"select": select, "what": part, "why": why}


def _row_lines(found: Sequence[RowDifference]) -> Iterator[dict[str, Any]]:
    for one in found:
        about = {"table": reference_table(one.reference), "row": reference_text(one.reference)}
        why = one.error or ", ".join(one.exceptions) or None
        lines = one.lines()
        if not lines:
            yield {**about, "about": None, "column": None, "database": None, "lane": None, "why": why}
        for line in lines:
            yield {**about, **_columns(line), "about": f"{line.output}: {_about(line)}", "why": why}


def _columns(line: Line) -> dict[str, Any]:
    return {"output": line.output, **dict(line.about), **_values(line)}


def _values(line: Line) -> dict[str, Any]:
    return {"column": line.column, "database": line.database, "lane": line.lane}


def _about(line: Line) -> str:
    return " · ".join(text for _, text in line.about)
