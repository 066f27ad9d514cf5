"""`onhand exceptions`: what could not be processed, and what people decide about it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click
import msgspec

from onhand.cli.channel import target_of
from onhand.cli.output import json_option, show_json, show_rows
from onhand.clock import clock_us
from onhand.settings import Settings, load_settings
from schemas.codec import Codec
from schemas.errors import InvalidInput
from schemas.records import ExceptionRecord, ExceptionStatus
from schemas.registry import connected_codec
from sinks.core.desk import (
    DISABLED,
    ITEM_FAILING,
    ITEM_REJECTED,
    STATE_KEY,
    ChannelState,
    control_record,
    resend_record,
)
from sinks.workers.tools import newest_exceptions, write_control, write_exceptions, write_raw
from streams.core.log.control import Action, Control, encode_control

LANE = "lane"
CHANNEL = "channel"


@click.group()
def exceptions() -> None:
    """What could not be processed: list, show, retry, close."""


@exceptions.command("list")
@click.option("--open/--all", "only_open", default=True, help="Only what is not closed (default), or everything.")
@click.option("--code", help="Only this code (docs/exceptions.md).")
@click.option("--source", help="Only this source or channel.")
@json_option
def list_exceptions(only_open: bool, code: str | None, source: str | None, as_json: bool) -> None:
    """Exceptions, the oldest first."""
    settings = load_settings()
    now_us = clock_us()
    found = [
        record
        for record in newest_exceptions(settings.kafka, connected_codec(settings.registry_url, wait_s=0)).values()
        if (not only_open or record.status is not ExceptionStatus.CLOSED)
        and code in (None, record.code)
        and source in (None, record.source)
    ]
    rows = [
        {**_document(record), "age": _age(now_us - record.opened_us)}
        for record in sorted(found, key=lambda record: (record.opened_us, record.id))
    ]
    show_rows(rows, ["id", "status", "age", "count", "detail"], as_json=as_json, empty="no exceptions")


@exceptions.command()
@click.argument("identity", metavar="ID")
@json_option
def show(identity: str, as_json: bool) -> None:
    """Everything known about one exception, and what to do."""
    settings = load_settings()
    record = _find(newest_exceptions(settings.kafka, connected_codec(settings.registry_url, wait_s=0)), identity)
    document = _document(record)
    if as_json:
        show_json(document)
        return
    for name, value in document.items():
        if value not in (None, ""):
            click.echo(f"{name:12} {value}")


@exceptions.command()
@click.argument("identities", metavar="ID…", nargs=-1, required=True)
@json_option
def retry(identities: tuple[str, ...], as_json: bool) -> None:
    """Try again what is parked under these exceptions."""
    settings = load_settings()
    codec = connected_codec(settings.registry_url, wait_s=0)
    known = newest_exceptions(settings.kafka, codec)
    for record in [_find(known, identity) for identity in identities]:
        _retry(settings, codec, record)
    _report(identities, "retried", as_json)


@exceptions.command()
@click.argument("identities", metavar="ID…", nargs=-1, required=True)
@click.option("--why", required=True, help="Kept with the exception.")
@json_option
def close(identities: tuple[str, ...], why: str, as_json: bool) -> None:
    """Give up what is parked under these exceptions; what waits behind it goes on."""
    settings = load_settings()
    codec = connected_codec(settings.registry_url, wait_s=0)
    known = newest_exceptions(settings.kafka, codec)
    for record in [_find(known, identity) for identity in identities]:
        _close(settings, codec, record, why)
    _report(identities, "closed", as_json)


def _retry(settings: Settings, codec: Codec, record: ExceptionRecord) -> None:
    if record.stage == LANE:
        _tell_lane(settings, record, Control(action=Action.RETRY, id=record.id))
    elif record.stage == CHANNEL and record.code in (ITEM_REJECTED, ITEM_FAILING):
        # first the record: the worker's own "closed" must come to stand behind it
        write_exceptions(settings.kafka, codec, _restated(record, ExceptionStatus.RETRIED, record.detail))
        order = resend_record(record.source, target_of(record.subject), clock_us())
        write_control(settings.kafka, codec, order)
    elif record.stage == CHANNEL and record.code == DISABLED:
        order = control_record(record.source, STATE_KEY, ChannelState.RUNNING, clock_us())
        write_control(settings.kafka, codec, order)
    else:
        raise InvalidInput(f"{record.id}: nothing is parked, it is tried by itself; {record.action}")


def _close(settings: Settings, codec: Codec, record: ExceptionRecord, why: str) -> None:
    if record.stage == LANE:
        _tell_lane(settings, record, Control(action=Action.CLOSE, id=record.id, why=why))
    elif record.stage == CHANNEL:
        write_exceptions(
            settings.kafka, codec, _restated(record, ExceptionStatus.CLOSED, f"{record.detail} (closed: {why})")
        )
    else:
        raise InvalidInput(f"{record.id}: it closes by itself when its cause is gone; {record.action}")


def _tell_lane(settings: Settings, record: ExceptionRecord, control: Control) -> None:
    write_raw(settings.kafka, f"cdc.{record.source}", *encode_control(control))


def _restated(record: ExceptionRecord, status: ExceptionStatus, detail: str) -> ExceptionRecord:
    now_us = clock_us()
    closed_us = now_us if status is ExceptionStatus.CLOSED else None
    return msgspec.structs.replace(
        record,
        status=status,
        detail=detail,
        version=max(now_us, record.version + 1),
        updated_us=now_us,
        closed_us=closed_us,
    )


def _find(known: dict[str, ExceptionRecord], identity: str) -> ExceptionRecord:
    """An id, or the only one that begins or ends with it.  Raises InvalidInput."""
    if identity in known:
        return known[identity]
    alike = [name for name in known if name.startswith(identity) or name.endswith(identity)]
    if len(alike) != 1:
        text = "several: " + ", ".join(sorted(alike)[:5]) if alike else "see `onhand exceptions list --all`"
        raise InvalidInput(f"no exception {identity!r}; {text}")
    return known[alike[0]]


def _report(identities: tuple[str, ...], what: str, as_json: bool) -> None:
    if as_json:
        show_json({what: list(identities)})
    else:
        click.echo(f"{what}: {', '.join(identities)}")


def _document(record: ExceptionRecord) -> dict[str, Any]:
    document = msgspec.structs.asdict(record)
    for name in ("opened_us", "updated_us", "closed_us"):
        instant = document.pop(name)
        document[name.removesuffix("_us")] = instant and dt.datetime.fromtimestamp(instant / 1e6, dt.UTC).isoformat()
    if record.raw is not None:
        document["raw"] = record.raw.decode(errors="backslashreplace")
    return document


def _age(age_us: int) -> str:
    seconds = max(0, age_us // 1_000_000)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
