"""A lease on our partitions: the time in which the group cannot have given them to anybody else."""

from __future__ import annotations

from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime

from schemas.errors import Fatal


def boot_clock_s() -> float:
    """Seconds since boot, counting on while the machine sleeps (CLOCK_MONOTONIC does not)."""
    return clock_gettime(CLOCK_BOOTTIME)


class Lease:
    """Renewed by each heartbeat that the group accepted, as of the moment it was *sent*; checked before each write."""

    def __init__(self, session_timeout_s: float, clock: Callable[[], float] = boot_clock_s) -> None:
        self.clock = clock
        self._length_s = session_timeout_s * 0.9
        self._renewed_at = clock()

    def renew(self, sent_at: float) -> None:
        self._renewed_at = max(self._renewed_at, sent_at)

    @property
    def left_s(self) -> float:
        """Seconds until it runs out; negative when it has."""
        return self._renewed_at + self._length_s - self.clock()

    def check(self) -> None:
        """Raises Fatal when the lease has run out."""
        if self.left_s < 0:
            raise Fatal(
                f"the consumer group has not answered for {self._length_s - self.left_s:.1f} s: our partitions may "
                "have another owner; this process stops without writing and joins again when it is started again"
            )
