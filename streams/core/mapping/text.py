"""A mapping's own text: all that it is compiled from, packed into one value that travels and is kept.

The lane works by the mapping that was applied, not by what its folder holds when it starts: the switch in the source
log carries the text, and the lane keeps it in its state.  So a replay meets the same mapping at the same place, and a
folder in the middle of being edited harms nobody.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping as MappingType
from pathlib import Path

import msgspec

from schemas.errors import InvalidInput
from streams.core.mapping import catalogue as catalogues
from streams.core.mapping import source as sources
from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.mapping import CompiledMapping, compile_mapping

PACKED_BYTES = 1 << 20
"""A packed text takes no more, so that it goes into one unit of the lane and one record of the log."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, bytes])


def read_text(folder: Path) -> bytes:
    """The packed text of a source folder whose mapping compiles.  Raises InvalidInput when it is too large."""
    names = [sources.FILE, catalogues.FILE, *sorted(path.name for path in folder.glob("*.sql"))]
    packed = pack({name: (folder / name).read_bytes() for name in names})
    if len(packed) > PACKED_BYTES:
        raise InvalidInput(
            f"{folder}: the mapping takes {len(packed):,} bytes packed, at most {PACKED_BYTES:,} can be applied: write "
            f"{catalogues.FILE} without --all, or split the source"
        )
    return packed


def pack(files: MappingType[str, bytes]) -> bytes:
    """File name → content as one value; equal files give equal bytes."""
    return zlib.compress(_encoder.encode(dict(files)), 9)


def unpack(packed: bytes) -> dict[str, bytes]:
    """Inverse of `pack`.  Raises InvalidInput."""
    try:
        return _decoder.decode(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise InvalidInput(f"the text of a mapping cannot be read: {error}: apply the source again") from None


def fingerprint_of(files: MappingType[str, bytes]) -> bytes:
    """As `load_mapping` has it, of the same files in a folder."""
    digest = hashlib.sha256()
    for name, raw in files.items():
        digest.update(struct.pack(">I", len(name)) + name.encode() + struct.pack(">Q", len(raw)) + raw)
    return digest.digest()


def compile_text(packed: bytes) -> CompiledMapping:
    """The mapping whose text this is.  Raises InvalidInput, also when this release refuses what an earlier one took."""
    files = unpack(packed)
    described = files.get(sources.FILE, b"").decode()
    source = sources.parse_source(described)
    catalogue = Catalogue.load(files.get(catalogues.FILE, b""))
    texts = {name: raw.decode() for name, raw in files.items() if name.endswith(".sql")}
    return compile_mapping(source, catalogue, texts, fingerprint_of(files), lines=sources.lines_of(described))
