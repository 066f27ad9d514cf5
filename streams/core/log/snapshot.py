"""Snapshots: is everything in, and what is no longer there?

An initial snapshot is STARTED, brings rows, tells per table how many it scanned, and is COMPLETED; the notifications
stand in the log itself, so each of these is an event at an exact place.  A repeated one emits no deletes: a row that it
did not bring is gone.  It may be withdrawn (*swept*) only where the table's own scan says SUCCEEDED with as many rows
as the log brought; a table that Debezium skipped in silence (no SELECT, not in the include list) must not empty itself.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from streams.core.log.event import Event, Notification

INITIAL = "Initial Snapshot"
INCREMENTAL = "Incremental Snapshot"
STARTED = "STARTED"
TABLE_SCAN_COMPLETED = "TABLE_SCAN_COMPLETED"
COMPLETED = "COMPLETED"
ABORTED = "ABORTED"
SUCCEEDED = frozenset(("SUCCEEDED", "EMPTY"))


def starts_snapshot(event: Event) -> bool:
    """An initial snapshot begins here: positions from before it say nothing any more."""
    return event.notification is not None and starts_initial(event.notification)


def starts_initial(notification: Notification) -> bool:
    """An initial snapshot begins."""
    return notification.aggregate == INITIAL and notification.type == STARTED


def completes_initial(notification: Notification) -> bool:
    """An initial snapshot has told everything."""
    return notification.aggregate == INITIAL and notification.type == COMPLETED


class Scan(msgspec.Struct, array_like=True):
    """One table in the running snapshot."""

    brought: int = 0
    """Rows the log brought since STARTED."""
    scanned: int | None = None
    """Rows the table's scan counted; None: it did not say."""
    status: str | None = None


class Reading(msgspec.Struct, array_like=True):
    """One table that an incremental snapshot reads again beside the stream; kept in the marker.

    A row that changed while its chunk was read is told by the stream alone, so the log may bring fewer rows than the
    scan counted, but not fewer than that with the streamed ones.
    """

    signal: str
    """Id of the signal that asked for it."""
    brought: int = 0
    streamed: int = 0
    """Changes of the table since it began."""
    since: int = 0
    """Input offset at which it began."""

    def whole(self, notification: Notification) -> bool:
        """Did every row of the table come?"""
        scanned = notification.rows or 0
        return notification.status in SUCCEEDED and self.brought <= scanned <= self.brought + self.streamed


class Finding(Enum):
    """What a completed snapshot says about one table."""

    WHOLE = "whole"
    MISSING = "missing"
    """No scan was reported: the table is not captured, or may not be read."""
    FAILED = "failed"
    DIFFERENT = "different"
    """The log brought another number of rows than the scan counted."""


class Snapshot(msgspec.Struct, array_like=True):
    """The running snapshot; kept in the marker."""

    scans: dict[str, Scan] = msgspec.field(default_factory=dict)
    greatest: tuple[int, int] | None = None
    """Position at which it was read, as (major, minor)."""
    binlog: bool = False
    since: int = 0
    """Input offset at which it began."""

    def scan_completed(self, table: str, notification: Notification) -> None:
        """Note what the table's own scan says."""
        scan = self.scans.setdefault(table, Scan())
        scan.scanned, scan.status = notification.rows, notification.status

    @property
    def read(self) -> frozenset[str]:
        """Tables whose scan is done: at most a row of them is still to come."""
        return frozenset(name for name, scan in self.scans.items() if scan.status in SUCCEEDED)

    def finding(self, table: str) -> tuple[Finding, str]:
        """What may be believed about a table, and why in words."""
        scan = self.scans.get(table)
        if scan is None or scan.status is None:
            return Finding.MISSING, f"the snapshot did not scan {table}"
        if scan.status not in SUCCEEDED:
            return Finding.FAILED, f"the scan of {table} ended with {scan.status}"
        if (scan.scanned or 0) != scan.brought:
            return Finding.DIFFERENT, f"{table}: {scan.scanned or 0} rows scanned, {scan.brought} in the log"
        return Finding.WHOLE, ""


def scanned_table(collection: str | None, tables: frozenset[str]) -> str | None:
    """The mapped table a notification is about: `erp.item`, or with the database's name in front."""
    if collection is None:
        return None
    while collection not in tables:
        _, dot, collection = collection.partition(".")
        if not dot:
            return None
    return collection
