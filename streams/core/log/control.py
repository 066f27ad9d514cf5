"""Control records: what a person or a tool tells a lane, written into the source log itself.

Whatever changes a lane's state is an event in its input, so that a replay repeats it at the same place.  The key is
CONTROL_KEY, the value is JSON with `action`; unknown actions are poison, not ignored.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.errors import PoisonRecord

CONTROL_KEY = b'{"onhand":"control"}'


class Action(StrEnum):
    """What a control record asks for."""

    RETRY = "retry"
    """Take what is parked under exception `id` up again, in order."""
    CLOSE = "close"
    """Give up what is parked under exception `id`; what waits behind it goes on."""
    RELEASE = "release"
    """Let the sweep or the snapshot gap under exception `id` go ahead."""
    RESTATE = "restate"
    """Send every live balance, item, location and order part again."""
    MAPPING = "mapping"
    """From here on the mapping with `fingerprint` counts; `text` is what it is compiled from."""


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Value of a control record."""

    action: Action
    id: str = ""
    """Exception id, for retry, close and release."""
    fingerprint: str = ""
    """Hexadecimal fingerprint of the mapping, for mapping."""
    why: str = ""
    """For people."""
    text: bytes = b""
    """Packed text of the mapping (`streams.core.mapping.text`), for mapping; empty: of releases before."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Control)


def encode_control(control: Control) -> tuple[bytes, bytes]:
    """Key and value of a record for cdc.<source>, partition 0."""
    return CONTROL_KEY, _encoder.encode(control)


def decode_control(value: bytes) -> Control:
    """Raises PoisonRecord `control-unreadable`."""
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise PoisonRecord("control-unreadable", f"control record: {error}") from None
