"""Which failed connectors are started again without a person, and when.

A failure that passes by itself (the database, Kafka or the network was away) is tried again for ever, at growing
intervals, once the database answers.  One that only a person can mend (a lost slot, a purged binlog, a missing grant)
is never tried.  What nobody has seen before is tried a few times and then left to a person.
"""

from __future__ import annotations

from streams.connect.failures import Verdict, verdict_of
from streams.connect.status import SourceStatus

FIRST_S, LONGEST_S = 5.0, 300.0
UNKNOWN_TRIES = 3
STABLE_S = 120.0
"""Running for so long forgives all failures before."""
UNREACHABLE = frozenset({"P01", "M01"})
FAILED = "K02"


class Healer:
    """One connector's restarts."""

    def __init__(self) -> None:
        self.restarts = 0
        """Since this process started."""
        self._tries = 0
        self._due_s = 0.0
        self._running_since_s: float | None = None

    def wants_restart(self, status: SourceStatus, now_s: float) -> bool:
        """Whether the connector is to be started again now; a yes counts as done."""
        connector = status.connector
        if connector is None or not connector.failure:
            self._note_running(connector is not None and connector.running, now_s)
            return False
        self._running_since_s = None
        if any(problem.code in UNREACHABLE for problem in status.problems) or now_s < self._due_s:
            return False
        verdict = verdict_of(connector.failure)
        if verdict is Verdict.PERSON or (verdict is Verdict.UNKNOWN and self._tries >= UNKNOWN_TRIES):
            return False
        self._due_s = now_s + min(LONGEST_S, FIRST_S * 2**self._tries)
        self._tries += 1
        self.restarts += 1
        return True

    def words(self, failure: str) -> str:
        """What is done about this failure, for people."""
        verdict = verdict_of(failure)
        if verdict is Verdict.PERSON:
            return "only a person can mend this"
        if verdict is Verdict.UNKNOWN and self._tries >= UNKNOWN_TRIES:
            return f"it was started again {self._tries} times in vain; a person is needed"
        return "it is started again by itself when its database answers"

    def _note_running(self, running: bool, now_s: float) -> None:
        if not running:
            self._running_since_s = None
        elif self._running_since_s is None:
            self._running_since_s = now_s
        elif now_s - self._running_since_s >= STABLE_S:
            self._tries, self._due_s = 0, 0.0
