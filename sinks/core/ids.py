"""Deterministic ids of what is told, so that a replay never repeats an effect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple


class Stamp(NamedTuple):
    """What a publication's version is made of.  Equal stamps tell equal things."""

    source_version: int
    """Version of the promise or order."""
    rule_version: int
    staleness_step: int
    sequence: int = 0
    """Rises when the same is told once more under a new id."""


def publication_id(channel: str, kind: str, key: str, stamp: Stamp) -> str:
    """The receiver's idempotency key of one item."""
    text = "\x00".join((channel, kind, key, *map(str, stamp)))
    return "pub_" + hashlib.sha256(text.encode()).hexdigest()[:32]


def message_id(publication_ids: Iterable[str]) -> str:
    """Id of one push: the same items in the same versions are the same message, also after a restart."""
    return "msg_" + hashlib.sha256("\x00".join(publication_ids).encode()).hexdigest()[:32]
