"""Where a connector goes on after a restart, as Kafka Connect keeps it, and whether its database has been there.

A database that was restored from a backup, or is another one under the same address, stands before the place.  The
connector would not say so: PostgreSQL sends nothing until its WAL has passed the place, and skips what comes before.
A place that the database has passed again by the time somebody looks cannot be told from any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streams.connect.client import ConnectClient
from streams.core.log.position import binlog_number


@dataclass(frozen=True, slots=True)
class Place:
    """A connector's committed offset."""

    snapshot: bool = False
    """Its snapshot is not complete: it will take one when it is restarted."""
    lsn: int | None = None
    """PostgreSQL: the greatest position it has read."""
    file: str = ""
    """MariaDB: the binlog file it reads, and …"""
    position: int = 0
    event_s: int | None = None
    """Epoch second of the last event."""
    gtids: str = ""
    """The last transaction of each domain, `0-1-123,1-1-7`."""


def committed(client: ConnectClient, name: str) -> Place | None:
    """None: the connector has committed nothing, so that it begins with a snapshot."""
    for entry in client.offsets(name):
        offset = entry.get("offset") or {}
        if offset.get("file") or offset.get("lsn") is not None:
            return parse_place(offset)
    return None


def parse_place(offset: Mapping[str, Any]) -> Place:
    """From Debezium's offset."""
    lsns = [int(offset[key]) for key in ("lsn", "lsn_proc", "lsn_commit") if offset.get(key) is not None]
    return Place(
        snapshot=bool(offset.get("snapshot")),
        lsn=max(lsns, default=None),
        file=str(offset.get("file") or ""),
        position=int(offset.get("pos") or 0),
        event_s=offset.get("ts_sec"),
        gtids=str(offset.get("gtids") or ""),
    )


def before_wal(place: Place, end: int) -> str:
    """Why a server whose WAL ends here has not been at the place; empty: it may have."""
    if place.lsn is None or end >= place.lsn:
        return ""
    return f"its WAL ends at {_lsn(end)}, and the connector has read up to {_lsn(place.lsn)}"


def before_binlog(place: Place, files: Iterable[tuple[str, int]], gtids: str) -> str:
    """The same of a server with these binlogs (name, bytes; oldest first), whose last transactions are `gtids`."""
    there = _sequences(gtids)
    for domain, sequence in _sequences(place.gtids).items():
        if there.get(domain, 0) < sequence:
            return f"it has transactions {gtids or 'none'}, and the connector has read up to {place.gtids}"
    sizes = {binlog_number(name): size for name, size in files}
    if not place.file or not sizes:
        return ""
    number, newest = binlog_number(place.file), max(sizes)
    if number < newest or (number == newest and place.position <= sizes[newest]):
        return ""
    return f"its binlog ends at {newest:06d}:{sizes[newest]}, and the connector has read {number:06d}:{place.position}"


def _sequences(gtids: str) -> dict[int, int]:
    """Domain → sequence number."""
    found: dict[int, int] = {}
    for gtid in filter(None, (part.strip() for part in gtids.split(","))):
        domain, _, sequence = gtid.split("-")
        found[int(domain)] = max(int(sequence), found.get(int(domain), 0))
    return found


def _lsn(position: int) -> str:
    """As PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
