"""CPU time of everything a system consists of, by process: what one change costs, and whom."""

from __future__ import annotations

import os
from collections import defaultdict

import psutil

from onhand.stack.local import LocalStack

BENCH = "shop, writer and meter"
"""The benchmark's own processes; they share the machine with what they measure."""


class CpuMeter:
    """Seconds of CPU time since it was made.

    A process counts with its children (PostgreSQL has one a session); what a child used that has ended meanwhile is
    lost.
    """

    def __init__(self, stack: LocalStack) -> None:
        self._roots = {row.pid: row.name for row in stack.rows() if row.pid is not None}
        self._before = self._seconds()

    def _seconds(self) -> dict[tuple[str, int], float]:
        """By name and process id."""
        found = {}
        waiting = [(psutil.Process(os.getpid()), BENCH)]
        while waiting:
            process, name = waiting.pop()
            try:
                times = process.cpu_times()
                found[name, process.pid] = times.user + times.system
                waiting += [(child, self._roots.get(child.pid, name)) for child in process.children()]
            except psutil.NoSuchProcess:  # ended while it was looked at
                continue
        return found

    def used(self) -> dict[str, float]:
        """By process of the system, the dearest first."""
        total: dict[str, float] = defaultdict(float)
        for (name, pid), seconds in self._seconds().items():
            total[name] += seconds - self._before.get((name, pid), 0.0)
        return dict(sorted(total.items(), key=lambda item: -item[1]))
