"""Progress that a scenario waits for, by its name.

now                   at once
told:N                the shop accepts N promises more
business:N            N transactions more, of both databases together (15 a second)
units:PROCESS:N       a stage closes N units more, each with its marker
log:SOURCE:N          the source log grows by N records
unflushed:SOURCE:N    it has grown by N since Connect noted its offsets: a kill now resends them
works:NAME            a process or server is there and well
unwell:PROCESS        a process says that it is not, or does not answer
restarted:NAME        the supervisor has started it again
status:SOURCE:CODE    `onhand source status` shows this finding
swept:SOURCE          a repeated snapshot is over: the lane is complete and holds nothing
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from onhand.stack.records import State
from schemas.errors import InvalidInput
from tests.campaign.rig import Rig

POLL_S = 0.05
PATIENCE_S = 180.0
OFFSETS = "connect-offsets"
OFFSET_PARTITIONS = 4

Condition = Callable[[], bool]


def condition(rig: Rig, text: str) -> Condition:
    """Counted from now on.  Raises InvalidInput for a name there is not."""
    kind, *words = text.split(":")
    try:
        return KINDS[kind](rig, *words)
    except (KeyError, TypeError, ValueError):
        raise InvalidInput(f"no such progress: {text!r}; there are {', '.join(KINDS)}") from None


def await_condition(rig: Rig, text: str, patience_s: float = PATIENCE_S) -> None:
    """Raises AssertionError when it does not come."""
    reached = condition(rig, text)
    deadline = time.monotonic() + patience_s
    while not reached():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:.0f} s for {text}, in vain")
        time.sleep(POLL_S)


def _now(rig: Rig) -> Condition:
    return lambda: True


def _told(rig: Rig, count: str) -> Condition:
    wanted = rig.system.shop.witness.told + int(count)
    return lambda: rig.system.shop.witness.told >= wanted


def _business(rig: Rig, count: str) -> Condition:
    wanted = rig.business() + int(count)
    return lambda: rig.business() >= wanted


def _units(rig: Rig, process: str, count: str) -> Condition:
    seen = int(rig.health(process).get("units", 0))
    left = int(count)

    def reached() -> bool:
        nonlocal seen, left
        units = int(rig.health(process).get("units", 0))
        left -= max(0, units - seen) if units >= seen else units  # a new process counts from 0
        seen = units
        return left <= 0

    return reached


def _log(rig: Rig, source: str, count: str) -> Condition:
    start = rig.end(f"cdc.{source}")

    def reached() -> bool:
        nonlocal start
        end = rig.end(f"cdc.{source}")
        start = end if start is None else start
        return end is not None and start is not None and end - start >= int(count)

    return reached


def _unflushed(rig: Rig, source: str, count: str) -> Condition:
    noted: list[int | None] = []
    start: int | None = None

    def reached() -> bool:
        nonlocal noted, start
        offsets = [rig.end(OFFSETS, partition) for partition in range(OFFSET_PARTITIONS)]
        end = rig.end(f"cdc.{source}")
        if offsets != noted:
            noted, start = offsets, end
        return end is not None and start is not None and end - start >= int(count)

    return reached


def _works(rig: Rig, name: str) -> Condition:
    return lambda: rig.works(name)


def _unwell(rig: Rig, process: str) -> Condition:
    return lambda: not rig.health(process)["healthy"]


def _back(rig: Rig, name: str) -> Condition:
    before = rig.row(name).restarts

    def reached() -> bool:
        row = rig.row(name)
        return row.restarts > before and row.state is State.RUNNING

    return reached


def _status(rig: Rig, source: str, code: str) -> Condition:
    return lambda: code in rig.command("source", "status", source).out


def _swept(rig: Rig, source: str) -> Condition:
    turns = itertools.count()

    def reached() -> bool:
        if next(turns) % 10 == 0:
            rig.release_what_waits(source)
        lane = rig.lane(source)
        return lane.complete and not lane.holding

    return reached


KINDS: dict[str, Callable[..., Condition]] = {
    "now": _now,
    "told": _told,
    "business": _business,
    "units": _units,
    "log": _log,
    "unflushed": _unflushed,
    "works": _works,
    "unwell": _unwell,
    "back": _back,
    "status": _status,
    "swept": _swept,
}
