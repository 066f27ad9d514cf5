"""How a worker behaves; the defaults are measured ones and fit every stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Timing and limits of the runtime."""

    session_timeout_s: float = 10.0
    """A dead owner is replaced after this; the lease is nine tenths of it."""
    tick_s: float = 1.0
    """At least one unit in this time: progress, and proof that nobody else writes."""
    watch_s: float = 5.0
    """How often outputs of which we are the only writer are checked for somebody else's records."""
    fetch_wait_ms: int = 10
    """How long the broker may hold back a fetch that leaves a partition out; bounds how long that one waits."""
    idle_fetch_wait_ms: int = 100
    """How long it may hold back any other; bounds how long records wait whose fetch went astray, or whose partition was
    moved meanwhile."""
    max_poll_records: int = 4000
    """Records of one poll over all partitions: the size of a unit under load."""
    max_fetch_bytes: int = 4 << 20
    """Bytes per partition and fetch."""
    held_bytes: int = 64 << 20
    """Input records a stage may leave unconsumed; more stops the process."""
    sent_last: frozenset[str] = frozenset({"progress.v1"})
    """Topics whose records leave only when everything else of their unit has been acknowledged: they state it."""
