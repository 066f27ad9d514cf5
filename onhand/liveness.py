"""A process that cannot go on ends, so that its supervisor starts it again; state is exact wherever it ends.

librdkafka's threads sleep until an instant of the wall clock (`cnd_timedwait`, CLOCK_REALTIME).  Set back by a day, the
clock reaches that instant a day later, and who closes such a client waits for its thread, with the interpreter's lock
in its hand: a start was seen to hang in it.  So two things end a process:

* its wall clock was set back; steps forward only end a sleep early;
* no Python has run for a minute, whatever holds the lock; the stacks of all threads go to standard error.
"""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from streams.agents.runtime.fail_stop import fail_stop

STEP_S = 5.0
"""Smaller steps are slept through: no sleep gets longer by more."""
STUCK_S = 60.0
LOOK_S = 0.5


class WallClock:
    """How far the wall clock is ahead of the monotonic one, from look to look."""

    def __init__(self, wall_s: Callable[[], float] = time.time, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._wall_s = wall_s
        self._steady_s = steady_s
        self._ahead_s = wall_s() - steady_s()

    def set_back_s(self) -> float:
        """Seconds by which it was set back since the last look; 0 when it was not."""
        ahead_s = self._wall_s() - self._steady_s()
        back_s, self._ahead_s = self._ahead_s - ahead_s, ahead_s
        return max(0.0, back_s)


def watch_liveness() -> None:
    """End this process when it cannot go on; in a thread of its own."""
    threading.Thread(target=end_when_stuck, args=(WallClock(),), name="liveness", daemon=True).start()


def end_when_stuck(clock: WallClock, stuck_s: float = STUCK_S) -> NoReturn:
    """Look until its clock is set back (exit 70).  Meanwhile a thread that needs no interpreter waits for the next
    look, and ends the process with 1 when there is none within `stuck_s`."""
    while True:
        faulthandler.dump_traceback_later(stuck_s, exit=True)
        time.sleep(LOOK_S)
        if (back_s := clock.set_back_s()) > STEP_S:
            fail_stop(f"the clock of this machine was set back by {back_s:.0f} s")
