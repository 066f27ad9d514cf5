"""Outputs as they were last made: position, promise, item; only version and instant of sending are missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

from schemas.records import Atp, Item, Position, Stamps
from streams.core.inventory.state import Made, Sku, decode_made
from streams.core.unit import View

Said = Position | Atp | Item

decode_atp = msgspec.msgpack.Decoder(Atp).decode
decode_position = msgspec.msgpack.Decoder(Position).decode
decode_item = msgspec.msgpack.Decoder(Item).decode
_DECODERS: dict[bytes, Callable[[bytes], Said]] = {b"a": decode_atp, b"p": decode_position, b"i": decode_item}


NOTHING = b""
"""Digest of an output that is not there."""


def digest_of(content: bytes, sources: Iterable[str] = ()) -> bytes:
    """Of what is compared: the content, and of a promise the sources it rests on."""
    return hashlib.blake2b("\0".join(sources).encode() + content, digest_size=12).digest()


def last_digest(state: View, record: Sku, key: bytes) -> bytes:
    """Digest of what was made last under a key; from the state only when the sku's record does not say."""
    kind = key[:1].decode()
    known = record.said.get(kind)
    if known is None:
        stored = state.get(key)
        made = decode_made(stored) if stored is not None else None
        sources = made.source_versions if made is not None and kind == "a" else ()
        known = record.said[kind] = NOTHING if made is None else digest_of(made.content, sorted(sources))
    return known


def first_days(promise: Atp) -> bytes:
    """The days on which its steps begin, network first."""
    return b"".join(at.steps[0].date.toordinal().to_bytes(4, "big") for at in (promise.network, *promise.locations))


def load_made(state: View, key: bytes) -> tuple[Said, Made] | None:
    """What was made under a state key (`a`, `p` or `i` and the sku)."""
    stored = state.get(key)
    if stored is None:
        return None
    made = decode_made(stored)
    return _DECODERS[key[:1]](made.content), made


def load_promise(state: View, key: bytes) -> tuple[Atp, Made] | None:
    """The same of a promise (`a`)."""
    stored = state.get(key)
    made = decode_made(stored) if stored is not None else None
    return None if made is None else (decode_atp(made.content), made)


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
