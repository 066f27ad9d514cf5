"""`onhand source pause … release`: what a person does to one running source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from onhand.cli.output import json_option, show_json
from onhand.cli.source_parts import cluster, name_argument, say, sources, timeout_option
from onhand.settings import load_settings
from schemas.errors import InvalidInput
from streams.connect.client import ConnectClient
from streams.connect.control import send_control
from streams.connect.folder import source_names
from streams.connect.operations import drop_slot, incremental, remove, resnapshot, stop_and_wait
from streams.core.log.control import Action, Control


@click.command()
@name_argument
@json_option
def pause(name: str, as_json: bool) -> None:
    """Stop delivering but keep the task; a PostgreSQL slot stays active and keeps its WAL."""
    _on_connector(name, "pause", as_json)


@click.command()
@name_argument
@json_option
def resume(name: str, as_json: bool) -> None:
    """Go on after pause or stop."""
    _on_connector(name, "resume", as_json)


@click.command()
@name_argument
@click.option("--only-failed", is_flag=True, help="Leave what runs alone.")
@json_option
def restart(name: str, only_failed: bool, as_json: bool) -> None:
    """Restart connector and tasks."""
    _on_connector(name, "restart", as_json, only_failed=only_failed)


@click.command()
@name_argument
@timeout_option
@json_option
def stop(name: str, timeout_s: float, as_json: bool) -> None:
    """Free the task and wait until it is gone."""
    with ConnectClient(load_settings().connect_url) as client:
        stop_and_wait(client, name, timeout_s)
    _tell(name, "stop", "stopped; the database keeps everything since then", as_json)


@click.command("remove")
@name_argument
@click.option("--forget", is_flag=True, help="Also delete its offsets and drop its slot: the next apply starts over.")
@click.confirmation_option("--yes", prompt="Remove the connector?")
@timeout_option
@json_option
def remove_(name: str, forget: bool, timeout_s: float, as_json: bool) -> None:
    """Remove a connector; without --forget, apply goes on later where it was."""
    settings = load_settings()
    known = name in source_names(settings.connect_configs)
    one = sources(settings, [name])[0] if known else None
    with ConnectClient(settings.connect_url) as client:
        remove(name, client, forget=forget, deadline_s=timeout_s, report=say)
    detail = "removed, offsets forgotten"
    if forget and one is not None and one.kind == "postgres":
        dropped = drop_slot(one, [settings.secrets])
        detail += f"; slot {one.config['slot.name']} {'dropped' if dropped else 'was not there'}"
    elif not forget:
        detail = "removed; offsets kept, and a PostgreSQL slot stays and keeps its WAL (--forget drops both)"
    _tell(name, "remove", detail, as_json)


@click.command("resnapshot")
@name_argument
@click.option(
    "--incremental", "tables", multiple=True, metavar="TABLE", help="Only this table, beside the stream; repeatable."
)
@timeout_option
@json_option
def resnapshot_(name: str, tables: Sequence[str], timeout_s: float, as_json: bool) -> None:
    """Read a source anew; promises hold meanwhile, and what is gone is withdrawn at the end."""
    settings = load_settings()
    one = sources(settings, [name])[0]
    if tables:
        signal = incremental(one, tables, [settings.secrets])
        detail = f"asked for {', '.join(tables)}; {one.topic} tells when signal {signal} is COMPLETED"
        _tell(name, "resnapshot", detail, as_json, signal=signal)
        return
    with ConnectClient(settings.connect_url) as client:
        detail = resnapshot(one, cluster(settings, client, timeout_s), say)
    _tell(name, "resnapshot", detail, as_json)


@click.command()
@name_argument
@click.option("--why", default="", help="For the log.")
@json_option
def restate(name: str, why: str, as_json: bool) -> None:
    """Let the lane send every live balance, item, location and order part again."""
    settings = load_settings()
    sources(settings, [name])
    offset = send_control(settings.kafka, name, Control(action=Action.RESTATE, why=why))
    detail = f"asked for (cdc.{name} offset {offset}); the lane sends everything when it comes there"
    _tell(name, "restate", detail, as_json, offset=offset)


@click.command()
@name_argument
@click.argument("exception_id")
@click.option("--why", default="", help="For the log.")
@json_option
def release(name: str, exception_id: str, why: str, as_json: bool) -> None:
    """Let a sweep or snapshot gap that waits for a person go ahead (ids: `onhand exceptions list --open`)."""
    settings = load_settings()
    sources(settings, [name])
    offset = send_control(settings.kafka, name, Control(action=Action.RELEASE, id=exception_id, why=why))
    _tell(name, "release", f"{exception_id} released (cdc.{name} offset {offset})", as_json, offset=offset)


def _on_connector(name: str, verb: str, as_json: bool, **options: Any) -> None:
    with ConnectClient(load_settings().connect_url) as client:
        if client.status(name) is None:
            raise InvalidInput(f"there is no connector {name}; `onhand source list` shows what there is")
        getattr(client, verb)(name, **options)
    _tell(name, verb, f"{verb} asked for; `onhand source status {name}` tells how it goes", as_json)


def _tell(name: str, action: str, detail: str, as_json: bool, **more: Any) -> None:
    """What was done to one source: a line, or a document with the same words."""
    if as_json:
        show_json({"source": name, "action": action, "detail": detail, **more})
    else:
        click.echo(f"{name}: {detail}")


OPERATIONS: tuple[click.Command, ...] = (pause, resume, restart, stop, remove_, resnapshot_, restate, release)
"""Registered by onhand.cli.source."""
