"""What a supervisor writes down about its processes, for `status`, `logs`, `health` and the `down` after a crash."""

from __future__ import annotations

import fcntl
import os
from enum import StrEnum
from pathlib import Path
from typing import IO

import msgspec

from onhand.stack.process import Identity, end_stranger
from onhand.stack.site import write_private
from schemas.errors import EnvironmentFault

RECORD_FILE = "processes.json"
LOCK_FILE = "lock"


class State(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """It exited; the next start comes after its back-off."""
    FAILED = "failed"
    """It exited with 2 (invalid input) and is not started again."""
    STOPPED = "stopped"


class Phase(StrEnum):
    """Of the whole stack."""

    STARTING = "starting"
    SERVERS = "servers"
    """The servers are ready; topics and processes follow."""
    READY = "ready"
    STOPPING = "stopping"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One process as last seen by its supervisor."""

    name: str
    component: bool
    """A server of the stack; otherwise a process of onhand's own."""
    state: State
    pid: int | None
    started: int
    """The kernel's start time of that pid; see `process.Identity`."""
    stop_signal: int
    port: int | None
    restarts: int
    since_us: int
    """When this state began."""
    note: str = ""
    """Why it is not running, for people."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor and everything it started, in the order of starting."""

    pid: int
    started: int
    phase: Phase
    rows: tuple[Row, ...] = ()

    def supervisor_alive(self) -> bool:
        return Identity(self.pid, self.started).alive()


def write_record(run: Path, record: Record) -> None:
    write_private(run / RECORD_FILE, msgspec.json.encode(record).decode())


def read_record(run: Path) -> Record | None:
    """None: no stack was started here, or it was stopped cleanly."""
    path = run / RECORD_FILE
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=Record)


def take_lock(run: Path) -> IO[str]:
    """Hold the data directory for as long as the file stays open.

    Raises EnvironmentFault when another stack holds it.
    """
    file = (run / LOCK_FILE).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise EnvironmentFault(f"a stack already runs in {run.parent} (pid {holder}); `onhand down` stops it") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def clear_leftovers(run: Path, grace_s: float) -> list[str]:
    """Stop what a crashed supervisor left behind, last started first; names of what was still alive.

    Only a pid whose start time matches the record is touched.
    """
    record = read_record(run)
    if record is None:
        return []
    ended = [
        row.name
        for row in reversed(record.rows)
        if row.pid is not None and end_stranger(Identity(row.pid, row.started), row.stop_signal, grace_s)
    ]
    (run / RECORD_FILE).unlink(missing_ok=True)
    return ended
