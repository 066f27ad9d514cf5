"""Outputs as they were last made: position, promise, item; only version and instant of sending are missing."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.records import Atp, Item, Position, Stamps
from streams.core.inventory.state import Made, decode_made
from streams.core.unit import View

Said = Position | Atp | Item

decode_atp = msgspec.msgpack.Decoder(Atp).decode
decode_position = msgspec.msgpack.Decoder(Position).decode
decode_item = msgspec.msgpack.Decoder(Item).decode
_DECODERS: dict[bytes, Callable[[bytes], Said]] = {b"a": decode_atp, b"p": decode_position, b"i": decode_item}


def load_made(state: View, key: bytes) -> tuple[Said, Made] | None:
    """What was made under a state key (`a`, `p` or `i` and the sku)."""
    stored = state.get(key)
    if stored is None:
        return None
    made = decode_made(stored)
    return _DECODERS[key[:1]](made.content), made


def finished(said: Said, made: Made, version: int, now_us: int) -> Said:
    """The record that leaves."""
    if isinstance(said, Item):
        return msgspec.structs.replace(said, version=version)
    last = made.stamps
    stamps = Stamps(
        committed_us=last.committed_us, captured_us=last.captured_us, laned_us=last.laned_us, promised_us=now_us
    )
    if isinstance(said, Position):
        return msgspec.structs.replace(said, version=version, source_versions=made.source_versions, stamps=stamps)
    return msgspec.structs.replace(
        said, version=version, source_versions=made.source_versions, stamps=stamps, cause=made.cause
    )
