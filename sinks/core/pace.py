"""Pace of a channel: a token bucket, and the back-off after failures.  Time comes in as an argument."""

from __future__ import annotations

MICROSECONDS = 1_000_000


class TokenBucket:
    """So many items a second on average, so many at once after a pause."""

    def __init__(self, per_second: float, burst: int, now_us: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at_us = now_us

    def available(self, now_us: int) -> int:
        """Items that may go now."""
        elapsed_us = max(0, now_us - self._at_us)
        self._tokens = min(self._burst, self._tokens + elapsed_us * self._per_second / MICROSECONDS)
        self._at_us = now_us
        return int(self._tokens)

    def take(self, items: int) -> None:
        """Spend; `items` is at most what `available` said."""
        self._tokens -= items

    def change(self, per_second: float, burst: int) -> None:
        """A changed rule: what has been saved is kept, up to the new burst."""
        self._per_second, self._burst = per_second, burst
        self._tokens = min(self._tokens, burst)

    def wait_us(self) -> int:
        """Microseconds until one item may go, counted from the last `available`."""
        return 0 if self._tokens >= 1 else int((1 - self._tokens) / self._per_second * MICROSECONDS) + 1


def backoff_s(failures: int, first_s: float = 0.25, longest_s: float = 60.0) -> float:
    """Seconds to wait after so many failures in a row: doubling, and bounded."""
    return min(longest_s, first_s * float(2 ** min(failures - 1, 20))) if failures > 0 else 0.0
