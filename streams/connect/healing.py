"""Which failed connectors are started again without a person, and when.

A failure that passes by itself (the database, Kafka or the network was away) is tried again for ever, at growing
intervals, once the database answers.  One that only a person can mend (a lost slot, a purged binlog, a missing grant)
is never tried.  What nobody has seen before is tried a few times and then left to a person.  A clock that is set back
ends every interval, as `schemas.intervals` says.
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

    def wants_restart(self, status: SourceStatus, now_us: int) -> bool:
        """Whether the connector is to be started again now; a yes counts as done."""
        connector = status.connector
        if connector is None or not connector.failure:
            self._note_running(connector is not None and connector.running, now_us)
            return False
        self._running_since_us = None
        if any(problem.code in UNREACHABLE for problem in status.problems):
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

    def _note_running(self, running: bool, now_us: int) -> None:
        if not running:
            self._running_since_us = None
        elif self._running_since_us is None:
            self._running_since_us = now_us
        elif is_over(self._running_since_us, STABLE_US, now_us):
            self._tries, self._tried_us = 0, None
