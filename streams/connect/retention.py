"""How long the database still keeps what the connector has not read, and when that becomes a worry.

PostgreSQL keeps WAL for a slot up to `max_slot_wal_keep_size` bytes, MariaDB keeps binlogs for
`binlog_expire_logs_seconds`.  Both are said in one way: how much of what is kept is used up, and how long it lasts at
the present rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from streams.connect.findings import Finding, Severity
from streams.connect.folder import Source

WINDOW_S = 600.0
"""Growth is measured over so long at most: a burst is not a trend."""
LEAST_WINDOW_S = 60.0
CODES = {"postgres": "P15", "mariadb": "M15"}


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """When to warn, and when it is an error."""

    warn_used: float = 0.5
    """Share of what is kept that is used up."""
    warn_left_s: float = 12 * 3600.0
    error_used: float = 0.9
    error_left_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """One source at one moment; None: not known, or no limit."""

    behind_bytes: int | None = None
    """What the database keeps only for the connector, or the connector has still to read."""
    room_bytes: int | None = None
    """What may still be written before something is lost."""
    used: float | None = None
    """Share of what is kept that is used up; 1: lost."""
    left_s: float | None = None
    """Until something is lost, if nothing changes."""


def of_slot(behind_bytes: int, room_bytes: int | None) -> Retention:
    """PostgreSQL: `room_bytes` is the slot's safe_wal_size; None: max_slot_wal_keep_size is unlimited."""
    if room_bytes is None:
        return Retention(behind_bytes)
    room = max(0, room_bytes)
    kept = behind_bytes + room
    return Retention(behind_bytes, room, behind_bytes / kept if kept else 0.0)


def of_binlog(
    files: list[tuple[str, int]], read: str | None, position: int, event_s: int | None, expire_s: float, now_s: float
) -> Retention:
    """MariaDB: `files` are (name, bytes), oldest first; `event_s` is the epoch second of the event the connector noted.

    A file is purged when nothing was written to it for `expire_s`, so its event of `event_s` lasts at least so long;
    the newest file is never purged.
    """
    names = [name for name, _ in files]
    if read is None or read not in names:
        return Retention()
    index = names.index(read)
    behind = max(0, files[index][1] - position) + sum(size for _, size in files[index + 1 :])
    if index == len(files) - 1 or expire_s <= 0 or not event_s:
        return Retention(behind, used=0.0 if expire_s > 0 else None)
    age_s = max(0.0, now_s - event_s)
    return Retention(behind, used=min(1.0, age_s / expire_s), left_s=max(0.0, expire_s - age_s))


class Growth:
    """Measures how fast a slot falls behind; one per source, asked at every look."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def with_time_left(self, retention: Retention, now_s: float) -> Retention:
        """The same with `left_s`, where bytes are the limit and they become more."""
        if retention.behind_bytes is None or retention.room_bytes is None:
            return retention
        seen = self._seen
        if seen and now_s < seen[-1][0]:
            seen.clear()  # the clock was set back
        seen.append((now_s, retention.behind_bytes))
        while len(seen) > 2 and now_s - seen[1][0] >= WINDOW_S:
            seen.popleft()
        since_s, behind = seen[0]
        grown = retention.behind_bytes - behind
        if now_s - since_s < LEAST_WINDOW_S or grown <= 0:
            return retention
        return replace(retention, left_s=retention.room_bytes * (now_s - since_s) / grown)


def retention_findings(source: Source, retention: Retention | None, limits: RetentionLimits) -> Iterator[Finding]:
    """P15, M15: WAL or binlog is running out."""
    if retention is None or source.kind not in CODES:
        return
    used, left_s = retention.used or 0.0, retention.left_s
    error = used >= limits.error_used or (left_s is not None and left_s < limits.error_left_s)
    warn = used >= limits.warn_used or (left_s is not None and left_s < limits.warn_left_s)
    if not (error or warn):
        return
    slot = source.kind == "postgres"
    what, raised = ("WAL", "max_slot_wal_keep_size") if slot else ("binlog", "binlog_expire_logs_seconds")
    lasts = f", it lasts {left_s / 3600:.1f} h more at this rate" if left_s is not None else ""
    yield Finding(
        CODES[source.kind],
        Severity.ERROR if error else Severity.WARNING,
        source.name,
        f"slot {source.config.get('slot.name')}" if slot else "binlog",
        f"{used:.0%} of the {what} the database keeps for the connector is used up{lasts}; then changes are lost",
        f"Let the connector run (`onhand source status {source.name}` says why it does not), and raise {raised} "
        "meanwhile",
    )
