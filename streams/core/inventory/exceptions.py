"""Exceptions of inventory: opened and closed by state, never by event.

What ought to be open is computed each time; the difference to what is open is the work.  An exception that lasts is
one record whose detail is brought up to date; closed, it is sent once more and forgotten by the next unit.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.records import ExceptionRecord, ExceptionStatus
from streams.core.unit import View

STAGE = "inventory"
_RAW_BYTES = 64 << 10

_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder(ExceptionRecord).decode


class Finding(NamedTuple):
    """Something that ought to be open."""

    code: str
    source: str
    subject: str
    detail: str
    action: str

    @property
    def key(self) -> str:
        return f"{self.code}/{self.subject}"


class Origin(NamedTuple):
    """The input record that could not be processed."""

    topic: str
    partition: int
    offset: int
    raw: bytes


def reconcile(state: View, is_open: dict[str, str], findings: list[Finding], now_us: int) -> list[bytes]:
    """Open, bring up to date, close; `is_open` (key → id) is changed in place.  The owed keys."""
    owed = []
    wanted = {finding.key: finding for finding in findings}
    for key in [key for key in is_open if key not in wanted]:
        owed.append(close(state, is_open.pop(key), now_us))
    for key, finding in wanted.items():
        if key in is_open:
            owed.extend(_update(state, is_open[key], finding, now_us))
        else:
            identity, owed_key = open_new(state, finding, now_us)
            is_open[key] = identity
            owed.append(owed_key)
    return owed


def open_new(state: View, finding: Finding, now_us: int, origin: Origin | None = None) -> tuple[str, bytes]:
    """(id, owed key) of a new exception."""
    record = ExceptionRecord(
        id=f"{STAGE}/{finding.source}/{finding.code}/{finding.subject}",
        version=0,
        stage=STAGE,
        source=finding.source,
        code=finding.code,
        status=ExceptionStatus.OPEN,
        subject=finding.subject,
        detail=finding.detail,
        action=finding.action,
        topic=origin.topic if origin else None,
        partition=origin.partition if origin else None,
        offset=origin.offset if origin else None,
        raw=origin.raw[:_RAW_BYTES] if origin else None,
        opened_us=now_us,
        updated_us=now_us,
    )
    key = record.id.encode()
    state.put(b"y" + key, None)
    state.put(b"x" + key, _encode(record))
    return record.id, b"x" + key


def _update(state: View, identity: str, finding: Finding, now_us: int) -> list[bytes]:
    key = b"x" + identity.encode()
    stored = state.get(key)
    if stored is None:
        return []
    record = _decode(stored)
    if record.detail == finding.detail:
        return []
    record = msgspec.structs.replace(record, detail=finding.detail, updated_us=now_us)
    state.put(key, _encode(record))
    return [key]


def close(state: View, identity: str, now_us: int) -> bytes:
    """The owed key that tells the closing."""
    key = identity.encode()
    stored = state.get(b"x" + key)
    if stored is not None:
        record = _decode(stored)
        closed = msgspec.structs.replace(
            record, status=ExceptionStatus.CLOSED, updated_us=now_us, closed_us=now_us, raw=None
        )
        state.put(b"x" + key, _encode(closed))
        state.put(b"y" + key, b"\x01")
    return b"x" + key


def forget_closed(state: View) -> None:
    """Drop what was closed in an earlier unit: its output is acknowledged before this unit can close."""
    for key, _ in state.scan(b"y"):
        state.put(b"x" + key[1:], None)
        state.put(key, None)


def load(state: View, key: bytes) -> ExceptionRecord | None:
    """The record of an owed key."""
    stored = state.get(key)
    return _decode(stored) if stored is not None else None
