"""`onhand channel`: what a channel was told, and orders to its workers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from onhand.cli.output import json_option, show_json, show_rows
from onhand.clock import clock_us
from onhand.health import ask_health
from onhand.settings import Settings, load_settings
from schemas.codec import Codec
from schemas.errors import InvalidInput
from schemas.registry import connected_codec
from sinks.core.desk import STATE_KEY, ChannelState, control_record, resend_record
from sinks.core.rule import load_rule
from sinks.workers.tools import newest_publications, summary_of, write_control


@click.group()
def channel() -> None:
    """Sales channels: status, pause, resume, resend."""


@channel.command("list")
@json_option
def list_channels(as_json: bool) -> None:
    """Every file in channel-configs, checked."""
    settings = load_settings()
    rows = []
    for name in channel_names(settings):
        rule = load_rule(settings.channel_configs, name)
        rows.append({"channel": name, "adapter": rule.adapter, "tells": ", ".join(rule.tells), "url": rule.url})
    show_rows(rows, ["channel", "adapter", "tells", "url"], as_json=as_json, empty="no channels")


@channel.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@json_option
def status(names: tuple[str, ...], as_json: bool) -> None:
    """What each channel was told, whether it runs, and what waits."""
    settings = load_settings()
    codec = connected_codec(settings.registry_url, wait_s=0)
    rows = [_status(settings, codec, name) for name in names or channel_names(settings)]
    if as_json:
        show_json(rows)
        return
    columns = ["channel", "state", "acknowledged", "parked", "open", "waiting", "oldest_s", "last told", "last answer"]
    show_rows(rows, columns, as_json=False, empty="no channels")
    for row in rows:
        if row["what_to_do"]:
            click.echo(f"{row['channel']}: {row['what_to_do']}")


@channel.command()
@click.argument("name")
@json_option
def pause(name: str, as_json: bool) -> None:
    """Tell the channel nothing until it is resumed; what changes meanwhile is told then, newest only."""
    _order_state(name, ChannelState.PAUSED, as_json)


@channel.command()
@click.argument("name")
@json_option
def resume(name: str, as_json: bool) -> None:
    """Tell the channel again, after a pause or after it answered 410."""
    _order_state(name, ChannelState.RUNNING, as_json)


@channel.command()
@click.argument("name")
@click.option("--key", "keys", multiple=True, help="A sku, or order/ID; without it everything is told again.")
@json_option
def resend(name: str, keys: tuple[str, ...], as_json: bool) -> None:
    """Tell the newest values again under new ids, as if they had not been told; parked ones too."""
    settings = load_settings()
    load_rule(settings.channel_configs, name)
    codec = connected_codec(settings.registry_url, wait_s=0)
    targets = [target_of(key) for key in keys] or ["*"]
    for target in targets:
        write_control(settings.kafka, codec, resend_record(name, target, clock_us()))
    _say({"channel": name, "resend": targets}, as_json, f"{name}: {', '.join(targets)} will be told again")


def channel_names(settings: Settings) -> list[str]:
    """Channels that have a file."""
    return sorted(path.stem for path in settings.channel_configs.glob("*.yaml"))


def target_of(key: str) -> str:
    """`inventory/<sku>` or `order/<id>` of what a person typed.  Raises InvalidInput."""
    kind, slash, name = key.partition("/")
    if not key or (slash and not name):
        raise InvalidInput(f"--key {key!r}: give a sku, or order/ID")
    return key if slash and kind in ("inventory", "order") else f"inventory/{key}"


def _order_state(name: str, state: ChannelState, as_json: bool) -> None:
    settings = load_settings()
    load_rule(settings.channel_configs, name)
    codec = connected_codec(settings.registry_url, wait_s=0)
    write_control(settings.kafka, codec, control_record(name, STATE_KEY, state, clock_us()))
    _say({"channel": name, "state": state}, as_json, f"{name}: {state}")


def _say(document: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        show_json(document)
    else:
        click.echo(text)


def _status(settings: Settings, codec: Codec, name: str) -> dict[str, Any]:
    summary = summary_of(newest_publications(settings.kafka, codec, name))
    health = ask_health(settings.data_dir, f"channel-{name}")
    to_do = ""
    if summary.state is not ChannelState.RUNNING:
        to_do = f"{summary.why or 'paused by a person'}; `onhand channel resume {name}` goes on"
    elif not health.get("healthy"):
        to_do = f"no worker answers ({health.get('error')}); start `onhand run channel {name}`"
    elif summary.states.get("parked"):
        to_do = "some items are parked; `onhand exceptions list --source " + name + "` tells why"
    last_us = summary.newest_us
    return {
        "channel": name,
        "state": summary.state,
        "acknowledged": summary.states.get("acknowledged", 0),
        "parked": summary.states.get("parked", 0),
        "open": sum(summary.states.get(state, 0) for state in ("intent", "unknown", "rejected")),
        "waiting": health.get("waiting"),
        "oldest_s": health.get("oldest_waiting_s"),
        "last told": last_us and dt.datetime.fromtimestamp(last_us / 1e6, dt.UTC).isoformat(timespec="milliseconds"),
        "last answer": health.get("last_answer"),
        "worker": health,
        "what_to_do": to_do,
    }
