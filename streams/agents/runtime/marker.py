"""What closes a unit: the marker, and who wrote it.

A unit reaches the changelog as one record batch whose last record is the marker.  Every record of the batch carries
its writer in a header, because compaction may later take the marker away and leave the records.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import msgspec

MARK_KEY = b"\0mark"
"""Key of every marker in the changelog; compaction keeps the last one."""

WRITER_HEADER = "w"
_WRITER = struct.Struct(">qQ")


TABLE = "state"
"""The one Faust table of a stage."""


def changelog_topic(group: str) -> str:
    """Name of a group's changelog, as Faust makes it of group and table."""
    return f"{group}-{TABLE}-changelog"


class Writer(NamedTuple):
    """One tenure of one process over one partition."""

    epoch: int
    nonce: int
    """Random: tells two processes apart that took the same epoch at the same moment; the first to write it has it."""

    def dump(self) -> bytes:
        return _WRITER.pack(*self)

    @classmethod
    def load(cls, raw: bytes) -> Writer:
        return cls(*_WRITER.unpack(raw))


NOBODY = Writer(0, 0)


class InputMark(msgspec.Struct, frozen=True, array_like=True):
    """How far one input topic's partition is folded into the state."""

    topic_id: str
    """Kafka's id of the topic: a recreated topic has another."""
    offset: int
    """Next offset to read."""


class Marker(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """State of a partition at the end of one unit.  New fields go to the end, with a default."""

    epoch: int
    nonce: int
    unit: int
    base: int
    """Changelog offset up to which records of earlier writers count."""
    inputs: dict[str, InputMark]
    outputs: dict[str, int]
    """Topic of `sole_writer_of` → next offset after what this stage has sent, acknowledged, before this unit."""
    fingerprint: bytes
    memo: bytes
    owed: tuple[bytes, ...]
    """Keys whose outputs this unit owes, until the next marker."""
    redo: tuple[bytes, ...] = ()
    """Keys that a former owner wrote late and that are still to be put again."""
    seen: int = -1
    """End of the changelog when its writer recovered: a claim that finds more there is void."""

    @property
    def writer(self) -> Writer:
        return Writer(self.epoch, self.nonce)


class Standing(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a state stands in its changelog; the local store keeps it in the same write as the state."""

    marker: Marker | None = None
    offset: int = -1
    """Changelog offset of that marker."""
    redo: frozenset[bytes] = frozenset()
    """Keys written late, seen up to here and not yet put again."""


Changes = Mapping[bytes, bytes | None]
"""Writes of a unit: key → value, None deletes."""


class ChangelogRun(NamedTuple):
    """What is left of one record batch of the changelog: a unit, as one writer appended it."""

    offset: int
    """Of its last record."""
    writer: Writer
    changes: Changes
    marker: bytes | None
    """None: compaction took it, or the batch is not whole."""

    @classmethod
    def of(cls, offset: int, writer: Writer, records: Iterable[tuple[bytes, bytes | None]]) -> Self:
        """`records` in the order of the log; the marker is the last of its batch."""
        changes = dict(records)
        return cls(offset, writer, changes, changes.pop(MARK_KEY, None))


encode_marker = msgspec.msgpack.Encoder().encode
decode_marker = msgspec.msgpack.Decoder(Marker).decode
encode_standing = msgspec.msgpack.Encoder().encode
decode_standing = msgspec.msgpack.Decoder(Standing).decode
