"""Completeness: the first snapshot, repeated ones with mark and sweep, and what increases wait for."""

from __future__ import annotations

from streams.core.lane.fold import Fold
from streams.core.lane.state import Memo
from streams.core.log.event import Event, Notification
from streams.core.log.position import covered_binlog, covered_lsn, parse_covered
from streams.core.log.snapshot import (
    ABORTED,
    COMPLETED,
    INCREMENTAL,
    INITIAL,
    STARTED,
    TABLE_SCAN_COMPLETED,
    Finding,
    Reading,
    Scan,
    Snapshot,
    scanned_table,
)

SWEEP_SHARE = 0.05
"""A sweep of more than this share of a table waits for a person."""

SAFETY_FILES = ("postings", "components")
"""Files without which a promise may be too high."""


class Snapshots:
    """Snapshot events of one unit, on its memo."""

    def __init__(self, fold: Fold) -> None:
        self._fold, self._memo = fold, fold.memo

    def row(self, table: str, event: Event) -> None:
        """A row of a mapped table came."""
        if self._memo.reading and table in self._memo.reading:
            reading = self._memo.reading[table]
            if event.incremental:
                reading.brought += 1
            else:
                reading.streamed += 1
        if event.snapshot:
            self._snapshot_row(table, event)

    def _snapshot_row(self, table: str, event: Event) -> None:
        snapshot = self._memo.snapshot
        if snapshot is None:
            return
        snapshot.scans.setdefault(table, Scan()).brought += 1
        position = event.position
        if position is not None:
            here = (position.major, position.minor)
            if snapshot.greatest is None or here > snapshot.greatest:
                snapshot.greatest, snapshot.binlog = here, event.binlog

    def notice(self, notification: Notification, offset: int, *, waiting: bool = False) -> None:
        """A notification of Debezium; `waiting`: records wait behind one that cannot be processed."""
        if notification.aggregate == INCREMENTAL:
            self._notice_incremental(notification, offset, waiting)
        if notification.aggregate != INITIAL:
            return
        memo = self._memo
        if notification.type == STARTED:
            self._start(offset)
        elif memo.snapshot is None:
            return
        elif notification.type == TABLE_SCAN_COMPLETED:
            table = scanned_table(notification.collection, frozenset(memo.tables))
            if table is not None:
                memo.snapshot.scan_completed(table, notification)
        elif notification.type == COMPLETED:
            self._complete(memo.snapshot)
        elif notification.type == ABORTED:
            why = "a snapshot was aborted before it was complete; the connector begins anew when it is restarted"
            require_snapshot(self._fold, why)

    def _notice_incremental(self, notification: Notification, offset: int, waiting: bool) -> None:
        """Its rows are changes; and a table that was read whole has no other rows than those that came meanwhile."""
        memo, known = self._memo, frozenset(self._memo.tables)
        if notification.type == TABLE_SCAN_COMPLETED:
            name = scanned_table(notification.collection, known)
            reading = memo.reading.pop(name, None) if name is not None else None
            if name is None or reading is None or reading.signal != notification.id:
                return
            self._fold.settle()
            if reading.whole(notification) and not waiting and not memo.tables[name].parked:
                self._withdraw_unseen(name)
                self._has_read(name, reading.since)
        elif notification.type in (COMPLETED, ABORTED):
            for name in [name for name, one in memo.reading.items() if one.signal == notification.id]:
                del memo.reading[name]
        else:
            for collection in notification.collections:
                name = scanned_table(collection, known)
                if name is not None and memo.snapshot is None:
                    self._begin_reading(name, notification.id, offset)

    def _begin_reading(self, name: str, signal: str, offset: int) -> None:
        memo, table = self._memo, self._memo.tables[name]
        running = memo.reading.get(name)
        if table.sweep_asks or (running is not None and running.signal == signal):
            return  # a person is asked about the rows not seen since an earlier snapshot
        self._fold.settle()
        memo.reading[name] = Reading(signal, since=offset)
        table.generation, table.seen = table.generation + 1, 0

    def _has_read(self, name: str, since: int) -> None:
        """A snapshot that began there brought all of a table."""
        memo, waits = self._memo, self._memo.preparing
        if waits is not None and since >= waits.since:
            waits.unread = tuple(unread for unread in waits.unread if unread != name)
        if name in memo.absent and memo.absent[name].last < since:
            memo.absent = {table: absence for table, absence in memo.absent.items() if table != name}

    def _withdraw_unseen(self, name: str) -> None:
        """Sweep the rows that did not come; many of them only when a person says so."""
        table = self._memo.tables[name]
        gone = table.rows - table.seen
        if gone > table.rows * SWEEP_SHARE and self._memo.complete:
            table.sweep_asks = True
            detail = f"{gone} of {table.rows} rows of {name} were not in the snapshot"
            self._fold.faults.open("sweep-waits", name, detail, again=False)
        elif gone:
            self._sweep(name)

    def _start(self, offset: int) -> None:
        memo = self._memo
        self._fold.settle()
        memo.snapshot, memo.snapshot_in, memo.passing, memo.first_read = Snapshot(since=offset), False, None, None
        memo.reading = {}
        for name, table in memo.tables.items():
            table.generation += 1
            table.seen = 0
            table.sweep_asks = False
            for code in ("sweep-waits", "snapshot-incomplete"):
                self._fold.faults.close_code(code, name)
        if not memo.complete:
            memo.silent = True
            memo.evaluating = memo.restating = memo.restating_since = None
            fresh = not (memo.deferred or memo.sweeping or any(table.rows for table in memo.tables.values()))
            memo.deferred, memo.stored = memo.deferred or len(self._fold.mapping.lookups) > 0, () if fresh else None

    def _complete(self, snapshot: Snapshot) -> None:
        memo, faults = self._memo, self._fold.faults
        for name, table in memo.tables.items():
            finding, why = snapshot.finding(name)
            if table.parked:
                finding, why = Finding.FAILED, f"{name} is parked: its rows wait"
            if finding is not Finding.WHOLE:
                table.sweep_asks = True
                faults.open("snapshot-incomplete", name, why, again=False)
                continue
            self._withdraw_unseen(name)
            self._has_read(name, snapshot.since)
        memo.snapshot, memo.snapshot_in, memo.snapshot_required = None, True, False
        for code in ("snapshot-required", "position-space-changed"):
            faults.close_code(code, "source")
        if snapshot.greatest is None:
            return
        memo.passing_binlog = snapshot.binlog
        if memo.complete:
            memo.passing = snapshot.greatest
        else:
            memo.first_read = snapshot.greatest
            major, minor = snapshot.greatest
            memo.reached = covered_binlog(major, minor) if snapshot.binlog else covered_lsn(minor)

    def _sweep(self, name: str) -> None:
        fold, memo = self._fold, self._memo
        table = memo.tables[name]
        table.dead_below, table.rows = table.generation, table.seen
        prefix = b"r" + name.encode() + b"\0"
        truncates = any(item[0] == name and item[2] for item in memo.sweeping)
        memo.sweeping = (*(item for item in memo.sweeping if item[0] != name), (name, prefix, truncates))
        fold.lookups.forget()

    def release(self, name: str, *, sweep: bool) -> None:
        """A person lets a sweep go ahead, or takes a table that the snapshot skipped as it is."""
        table = self._memo.tables[name]
        if table.sweep_asks:
            table.sweep_asks = False
            if sweep:
                self._sweep(name)

    def passed(self, covered: str) -> None:
        """The log has come so far: is it past the snapshot?

        After a first one it begins there, unless the slot is older: then it tells again what the snapshot has.
        """
        memo = self._memo
        place = memo.passing or memo.first_read
        if place is not None:
            kind, major, minor = parse_covered(covered)
            here = (major, minor) if kind == "binlog" else (major, major)
            want = place if memo.passing_binlog else (place[1], place[1])
            memo.passing, memo.first_read = None if here >= want else place, None


def require_snapshot(fold: Fold, why: str) -> None:
    """Only a whole snapshot brings what is not known; until it is in, only decreases leave."""
    fold.memo.snapshot, fold.memo.snapshot_required = None, True
    fold.faults.open("snapshot-required", "source", why, again=False)


def holding(memo: Memo) -> bool:
    """Only decreases may leave: something that could lower a promise is outstanding."""
    return not memo.complete or memo.restating is not None or _lacks(memo) or memo.held


def says_nothing(memo: Memo) -> bool:
    """What changes need not leave: all of it is about to be sent."""
    return memo.silent or (memo.restating is not None and memo.restating_since is None and not memo.complete)


def sends_everything(memo: Memo) -> bool:
    """The lane is whole and tells it for the first time: whatever leaves about a sku is all that is known of it."""
    return memo.restating_since is not None and not memo.complete


def first_sending(memo: Memo) -> int | None:
    """The version since which it does so, while nothing else is outstanding."""
    return memo.restating_since if sends_everything(memo) and not _lacks(memo) else None


def _lacks(memo: Memo) -> bool:
    """Rows that could lower a promise are not in the state, or were there before."""
    return (
        memo.silent
        or memo.snapshot is not None
        or memo.snapshot_required
        or memo.passing is not None
        or memo.history_until > 0
        or any(table.held_until_us or table.sweep_asks for table in memo.tables.values())
    )


def uncertain(memo: Memo) -> bool:
    """Something is parked of which nobody can say which skus it touches."""
    return (
        memo.unknown_parked > 0
        or (memo.snapshot_required and memo.complete)
        or any(table.parked for table in memo.tables.values())
        or any(part.startswith(SAFETY_FILES) for absence in memo.absent.values() for part in absence.parts)
    )


def hold_on(memo: Memo, put_off: bool) -> None:
    """Of what stands in the list `q` receivers know no more than when it was outstanding."""
    memo.held = (memo.complete and _lacks(memo)) or (memo.held and put_off)


def end_holds(memo: Memo, limit_us: int) -> None:
    """After TRUNCATE increases wait until as many rows are back, or for the time limit."""
    for table in memo.tables.values():
        table.held_until_us = min(table.held_until_us, memo.passed_us + limit_us)  # releases before: an instant
        if table.held_until_us and (table.rows >= table.held_rows or memo.passed_us >= table.held_until_us):
            table.held_until_us = table.held_rows = 0
