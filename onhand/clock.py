"""The clock of a process, handed to what must not read it itself."""

from __future__ import annotations

import time


def clock_us() -> int:
    """Epoch microseconds UTC."""
    return time.time_ns() // 1000
