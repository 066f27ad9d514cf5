"""What became of one push: a typed value.  Waiting is the worker's business, never an adapter's."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How a push ended, divided by what must be done about it."""

    ACCEPTED = "accepted"
    """Every item is known to the channel now."""
    REJECTED = "rejected"
    """The channel refuses the content; with several items, one of them: look for it."""
    BUSY = "busy"
    """Not taken; come again later (429, 503)."""
    MISCONFIGURED = "misconfigured"
    """Not taken, whatever the content: wrong address, secret or right (301, 401, 403, 404 …)."""
    UNREACHABLE = "unreachable"
    """Not sent at all: no address, no connection."""
    FAILED = "failed"
    """The channel answered that it failed (500 …): applied or not, nobody knows."""
    TIMED_OUT = "timed_out"
    """Sent, and no answer: applied, not applied, or still running."""
    GONE = "gone"
    """The channel wants nothing any more (410), until a person resumes it."""
    NOT_SENT = "not_sent"
    """We ourselves held it back: the partition may belong to another worker by now."""

    @property
    def unknown(self) -> bool:
        """The request may have been applied, or may still be."""
        return self in (Outcome.FAILED, Outcome.TIMED_OUT)


class Answer(NamedTuple):
    """Outcome of one push."""

    outcome: Outcome
    text: str
    """HTTP status or error, for people."""
    retry_after_s: float | None = None
    """Seconds the channel asked us to wait; None: our own back-off decides."""
