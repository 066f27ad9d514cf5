"""Which failed connectors are started again without a person, and when.

A failure that passes by itself (the database, Kafka or the network was away) is tried again for ever, at growing
intervals, once the database answers.  One that only a person can mend (a lost slot, a purged binlog, a missing grant)
is never tried.  What nobody has seen before is tried a few times and then left to a person.  A clock that is set back
ends every interval, as `schemas.intervals` says.

MariaDB's connector does not fail when its server was away: it is RUNNING and looks for it once a minute.  So one that
read the binlog, reads it no longer and could, is started again, too; one that takes a snapshot reads none, and is let
be.
"""

from __future__ import annotations

from schemas.intervals import is_over
from streams.connect.failures import Verdict, verdict_of
from streams.connect.status import SourceStatus

FIRST_US, LONGEST_US = 5_000_000, 300_000_000
UNKNOWN_TRIES = 3
STABLE_US = 120_000_000
"""Running for so long forgives all failures before."""
UNREACHABLE = frozenset({"P01", "M01"})
FAILED = "K02"


class Healer:
    """One connector's restarts."""

    def __init__(self) -> None:
        self.restarts = 0
        """Since this process started."""
        self._tries = 0
        self._tried_us: int | None = None
        self._pause_us = 0
        """So long nothing is tried after `_tried_us`."""
        self._running_since_us: int | None = None
        self._read = False
        """While it runs, it has been seen reading."""
        self._unread = False
        """At the last look nobody read, or could."""

    def wants_restart(self, status: SourceStatus, now_us: int) -> bool:
        """Whether the connector is to be started again now; a yes counts as done."""
        connector = status.connector
        reachable = not any(problem.code in UNREACHABLE for problem in status.problems)
        if connector is None or not connector.failure:
            self._note_running(connector is not None and connector.running, now_us)
            return self._lost_its_server(status, reachable=reachable)
        self._running_since_us = None
        self._read = self._unread = False
        if not reachable:
            return False
        if self._tried_us is not None and not is_over(self._tried_us, self._pause_us, now_us):
            return False
        verdict = verdict_of(connector.failure)
        if verdict is Verdict.PERSON or (verdict is Verdict.UNKNOWN and self._tries >= UNKNOWN_TRIES):
            return False
        self._tried_us, self._pause_us = now_us, min(LONGEST_US, FIRST_US << self._tries)
        self._tries += 1
        self.restarts += 1
        return True

    def _lost_its_server(self, status: SourceStatus, *, reachable: bool) -> bool:
        """Two looks in a row nobody read, where somebody had, and now could: once, until it has been seen reading."""
        if status.connector is None or not status.connector.running or status.snapshot:
            self._read = self._unread = False
            return False
        before, self._unread = self._unread, not status.reader
        if status.reader:
            self._read = True
        if not (self._read and before and reachable and status.reader is False):
            return False
        self._read = self._unread = False
        self.restarts += 1
        return True

    def _note_running(self, running: bool, now_us: int) -> None:
        if not running:
            self._running_since_us = None
        elif self._running_since_us is None:
            self._running_since_us = now_us
        elif is_over(self._running_since_us, STABLE_US, now_us):
            self._tries, self._tried_us = 0, None
