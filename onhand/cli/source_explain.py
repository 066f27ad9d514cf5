"""`onhand source explain sku | order`: from a value back to the rows of the source systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from onhand.cli.output import instant, json_option, show_json, show_rows
from onhand.clock import clock_us
from onhand.settings import load_settings
from schemas.registry import connected_codec
from streams.connect.explain.order import explain_order
from streams.connect.explain.sku import explain_sku
from streams.connect.explain.world import world
from streams.core.mapping.files import MOMENT_COLUMNS

_rows_option = click.option(
    "--rows", type=click.IntRange(min=0), default=40, show_default=True, help="Show at most; --json has all."
)
_log_option = click.option(
    "--log-records",
    type=click.IntRange(min=0),
    default=500_000,
    show_default=True,
    help="How far back each source log is read for the last change of a row.",
)


@click.group()
def explain() -> None:
    """Why a sku or an order has its value: owners, claims, and every row of every source behind it."""


@explain.command("sku")
@click.argument("sku")
@_rows_option
@_log_option
@json_option
def sku_(sku: str, rows: int, log_records: int, as_json: bool) -> None:
    """Why a sku has its promise: promise, position, claim by claim who is believed, and the rows.

    \b
    Example:
      onhand source explain sku A100007

    SKU is written as the mapping makes it.  It only reads: the promise from inventory.atp.v1, balances and rows from
    what each source's lane has settled, and each row's last change from its source log.  Lanes and inventory go on
    meanwhile, so what changed in these seconds may stand in one and not yet in the other.
    """
    settings = load_settings()
    codec = connected_codec(settings.registry_url, wait_s=0)
    with world(settings.kafka, codec, settings.connect_configs, log_records) as known:
        document = explain_sku(known, sku, clock_us())
    if as_json:
        show_json(document)
        return
    _show_promise(document)
    _show_claims(document)
    _show_rows(document["rows"], rows)
    _show_end(document)


@explain.command("order")
@click.argument("order_id")
@_rows_option
@_log_option
@json_option
def order_(order_id: str, rows: int, log_records: int, as_json: bool) -> None:
    """Why an order has its values: attribute by attribute who is believed, what others say, and the rows.

    \b
    Example:
      onhand source explain order SO-4711

    ORDER_ID is written as orders.sql makes it.
    """
    settings = load_settings()
    codec = connected_codec(settings.registry_url, wait_s=0)
    with world(settings.kafka, codec, settings.connect_configs, log_records) as known:
        document = explain_order(known, order_id)
    if as_json:
        show_json(document)
        return
    value = document["value"]
    if value is None:
        click.echo(f"{order_id}: not in order.v1 yet")
    else:
        complete = "complete" if value["complete"] else "not complete: a source that owns a part of it is not"
        click.echo(f"{order_id}: version {value['version']}, {complete}, {len(value['lines'])} lines")
    shown = [{**one, "value": _attribute(one), "why": _why(one)} for one in document["attributes"]]
    click.echo()
    show_rows(shown, ["part", "attribute", "value", "from", "why"], as_json=False, title="Who is believed")
    _show_rows(document["rows"], rows)
    _show_end(document)


def _attribute(one: dict[str, Any]) -> str | None:
    value = _said(one["attribute"], one["value"])
    return value if one["code"] is None else f"{value} (code {one['code']})"


def _said(name: str, value: str | None) -> str | None:
    """Epoch microseconds as an instant."""
    return instant(int(value)) if name in MOMENT_COLUMNS and value is not None else value


def _why(one: dict[str, Any]) -> str:
    owners = ", then ".join(one["owners"]) or "nobody"
    others = {source: value for source, value in one["others"].items() if source not in one["unmapped"]}
    said = [f"{source} says {_said(one['attribute'], value)}" for source, value in others.items()]
    said += [f"{source}: code {code} is not mapped in source.yaml" for source, code in one["unmapped"].items()]
    return "; ".join([f"owned by {owners}", *said])


def _show_promise(document: dict[str, Any]) -> None:
    promise = document["promise"]
    if promise is None:
        click.echo(f"{document['sku']}: no promise yet: inventory has not made one")
    else:
        doubts = [] if promise["complete"] else ["not complete: a source that owns a bucket is not"]
        doubts += ["uncertain: a row is parked"] if promise["uncertain"] else []
        click.echo(f"{document['sku']}: available to promise {_available(promise['network'])}")
        for at in promise["locations"]:
            click.echo(f"  at {at['location']}: {_available(at)}")
        made = instant(promise["stamps"].get("promised_us"))
        click.echo("; ".join([f"version {promise['version']}, made {made} because of {promise['cause']}", *doubts]))
        for part in (promise["kit"] or {}).get("components", ()):
            makeable = "no limit" if part["makeable"] is None else f"enough for {part['makeable']}"
            click.echo(f"  a kit holds {part['quantity']} of {part['sku']}: {makeable}")
    position = document["position"]
    if position is not None and position["lines"]:
        click.echo()
        columns = ["location", "bucket", "due", "quantity", "source"]
        show_rows(position["lines"], columns, as_json=False, title="Position: what the owners say, open claims only")
    for drift in position["drifts"] if position is not None else ():
        click.echo(
            f"drift: {drift['bucket']} at {drift['location']}: {drift['owner']} says {drift['owner_quantity']}, "
            f"{drift['other']} says {drift['other_quantity']}, since {instant(drift['since_us'])}"
        )


def _available(at: dict[str, Any]) -> str:
    return f"{at['words']}; {at['by_date']}" if at["by_date"] else str(at["words"])


def _show_claims(document: dict[str, Any]) -> None:
    lines = [{"reference": claim["reference"], **entry} for claim in document["claims"] for entry in claim["entries"]]
    columns = ["reference", "bucket", "location", "due", "quantity", "source", "role"]
    click.echo()
    show_rows(lines, columns, as_json=False, title="What the sources say", empty="no source has a balance of it")
    for words in (words for claim in document["claims"] for words in claim["words"]):
        click.echo(words)


def _show_rows(rows: Sequence[dict[str, Any]], limit: int) -> None:
    click.echo()
    shown: set[str] = set()
    for row in rows[:limit]:
        state = "" if row["state"] == "live" else f" [{row['state']}]"
        click.echo(click.style(f"{row['source']}: {row['row']}{state}", bold=True))
        for said in row["says"]:
            click.echo(f"    says {said}")
        click.echo(f"    {_changed(row['change'])}")
        if row["columns"]:
            click.echo(f"    {_pairs(row['columns'])}")
        for joined in row["joined"]:
            if joined["row"] is None:
                click.echo(f"    joins no row of {joined['table']} by {joined['by']} = {', '.join(joined['key'])}")
            elif joined["row"] in shown:
                click.echo(f"    joins {joined['row']}, shown above")
            else:
                shown.add(joined["row"])
                click.echo(f"    joins {joined['row']}: {_pairs(joined['columns'])}; {_changed(joined['change'])}")
        for exception in row["exceptions"]:
            click.echo(f"    exception {exception}: `onhand exceptions show`")
    if len(rows) > limit:
        click.echo(f"… and {len(rows) - limit} more rows: --rows, or --json")


def _show_end(document: dict[str, Any]) -> None:
    click.echo()
    columns = ["source", "position", "source_time", "version", "complete", "uncertain"]
    standing = [{**one, "source_time": instant(one["source_time_us"])} for one in document["sources"]]
    show_rows(standing, columns, as_json=False, title="How far the sources are", empty="no lane has settled anything")
    for source, why in document["silent"].items():
        click.echo(f"{source}: {why}")
    for one in document["sources"]:
        if one["waiting_rows"]:
            click.echo(f"{one['source']}: {one['waiting_rows']} rows wait for a lookup, perhaps of this one, too")
        if not one["columns_shown"]:
            click.echo(f"{one['source']}: its lane works by neither the folder's mapping nor a kept one: no columns")
    for one in document["exceptions"]:
        click.echo(f"exception {one['id']}: {one['detail']}. {one['action']}")


def _changed(change: dict[str, Any] | None) -> str:
    if change is None:
        return "last change: older than what was read of the source log"
    transaction = f", transaction {change['transaction']}" if change["transaction"] else ""
    where = f"{change['position'] or 'position unknown'}{transaction}, offset {change['offset']}"
    return f"{change['what']} {instant(change['committed_us'])} ({where})"


def _pairs(columns: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {_value(value)}" for name, value in columns.items())


def _value(value: Any) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str) and value != value.strip() else str(value)
