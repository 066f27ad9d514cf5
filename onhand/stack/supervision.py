"""Keeps processes running: restart with back-off, and tell the record file what is going on.

Rules of restarting (`Backoff`): exit 70 means "restart me" and is obeyed at once the first time; anything else, and a
second 70, waits 1, 2, 4 … 30 s; a minute of running forgives all.  Exit 2 means a person must mend something: the
process stays down and the record says why.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from onhand.clock import clock_us
from onhand.stack.component import Command
from onhand.stack.process import Identity, Process
from onhand.stack.records import Phase, Record, Row, State, write_record
from schemas.errors import EXIT_FAIL_STOP, EXIT_INVALID, EnvironmentFault

STABLE_S = 60.0
LONGEST_WAIT_S = 30.0
GRACE_S = 15.0
"""How long a process may take to stop before it is killed."""
SUPERVISE_S = 0.2


@dataclass
class Backoff:
    """How long to wait before the next start."""

    failures: int = 0

    def wait_s(self, exit_code: int, ran_s: float) -> float | None:
        """Seconds until the next start; None: do not start again."""
        if exit_code == EXIT_INVALID:
            return None
        if ran_s >= STABLE_S:
            self.failures = 0
        self.failures += 1
        if exit_code == EXIT_FAIL_STOP and self.failures == 1:
            return 0.0
        exponent = self.failures - (2 if exit_code == EXIT_FAIL_STOP else 1)
        return float(min(2.0**exponent, LONGEST_WAIT_S))


@dataclass
class Supervised:
    """One process and what is known about it."""

    name: str
    command: Callable[[], Command]
    log: Path
    component: bool = False
    port: int | None = None
    ready: Callable[[], bool] | None = None
    """None: running means ready."""
    process: Process | None = None
    state: State = State.STOPPED
    since_us: int = 0
    restarts: int = 0
    note: str = ""
    backoff: Backoff = field(default_factory=Backoff)
    due: float = 0.0
    """Monotonic time of the next start, while waiting."""

    def row(self) -> Row:
        process = self.process
        alive = process is not None and self.state in {State.STARTING, State.RUNNING}
        return Row(
            name=self.name,
            component=self.component,
            state=self.state,
            pid=process.pid if process is not None and alive else None,
            started=process.identity.started if process is not None and alive else -1,
            stop_signal=process.stop_signal if process is not None else 15,
            port=self.port,
            restarts=self.restarts,
            since_us=self.since_us,
            note=self.note,
        )


class Supervisor:
    """All processes of one stack, in the order of starting.  Safe to use from a watching thread and its owner."""

    def __init__(self, run: Path, *, restart: bool, tell: Callable[[str], None]) -> None:
        self._run = run
        self._restart = restart
        self._tell = tell
        self._entries: dict[str, Supervised] = {}
        self._lock = threading.RLock()
        self._phase = Phase.STARTING
        self._self = Identity.of(os.getpid()) or Identity(os.getpid(), -1)

    def enter(self, phase: Phase) -> None:
        """Note the phase of the whole stack."""
        with self._lock:
            self._phase = phase
            self._write()

    def start(self, entry: Supervised) -> Process:
        """Start it now, in place of an ended one of the same name."""
        with self._lock:
            known = self._entries.get(entry.name)
            if known and known.process and known.process.alive():
                raise EnvironmentFault(f"{entry.name} runs already (pid {known.process.pid})")
            self._entries[entry.name] = entry
            return self._launch(entry)

    def process(self, name: str) -> Process:
        """The newest process of that name.  Raises EnvironmentFault when it was never started."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.process is None:
                raise EnvironmentFault(f"{name} was not started; there are {', '.join(self._entries) or 'none'}")
            return entry.process

    def await_ready(self, name: str, timeout_s: float) -> None:
        """Poll its readiness while it lives.

        Raises EnvironmentFault with the last lines of its log when it dies or the time is over.
        """
        entry = self._entries[name]
        process = self.process(name)
        deadline = time.monotonic() + timeout_s
        while True:
            code = process.exit_code()
            if code is not None:
                raise EnvironmentFault(f"{name} stopped at its start ({_exit_text(code)}):\n{_evidence(process)}")
            if entry.ready is None or entry.ready():
                break
            if time.monotonic() >= deadline:
                raise EnvironmentFault(f"{name} is not ready after {timeout_s:.0f} s:\n{_evidence(process)}")
            time.sleep(SUPERVISE_S)
        with self._lock:
            self._settle(entry, State.RUNNING)

    def poll(self) -> None:
        """One look at everything: note who exited, start who is due, note who became ready."""
        with self._lock:
            for entry in self._entries.values():
                if entry.state in {State.STARTING, State.RUNNING} and entry.process is not None:
                    code = entry.process.exit_code()
                    if code is not None:
                        self._exited(entry, entry.process, code)
                if entry.state is State.WAITING and time.monotonic() >= entry.due:
                    entry.restarts += 1
                    with contextlib.suppress(EnvironmentFault):  # noted, and tried again after its back-off
                        self._launch(entry)
            starting = [entry for entry in self._entries.values() if entry.state is State.STARTING]
        for entry in starting:  # asking may take a second: nobody else waits for it
            if entry.ready is None or entry.ready():
                with self._lock:
                    if entry.state is State.STARTING:
                        self._settle(entry, State.RUNNING)

    def watch(self, until: threading.Event) -> None:
        """Poll until the event is set."""
        while not until.wait(SUPERVISE_S):
            self.poll()

    def end(self, *names: str, grace_s: float = GRACE_S) -> None:
        """Stop these together and wait; those that do not obey in time are killed."""
        with self._lock:
            entries = [self._entries[name] for name in names if name in self._entries]
            for entry in entries:
                self._settle(entry, State.STOPPED, "stopped on request")
            processes = [entry.process for entry in entries if entry.process is not None]
            for process in processes:
                process.ask_to_stop()
        deadline = time.monotonic() + grace_s
        for process in processes:
            if process.wait(max(0.0, deadline - time.monotonic())) is None:
                process.kill()

    def names(self, *, component: bool) -> list[str]:
        """In the order of starting."""
        return [entry.name for entry in self._entries.values() if entry.component is component]

    def rows(self) -> list[Row]:
        with self._lock:
            return [entry.row() for entry in self._entries.values()]

    def _launch(self, entry: Supervised) -> Process:
        try:
            entry.process = Process(entry.name, entry.command(), entry.log)
        except EnvironmentFault as error:
            self._wait(entry, entry.backoff.wait_s(1, 0.0), str(error))
            raise
        self._settle(entry, State.STARTING)
        return entry.process

    def _exited(self, entry: Supervised, process: Process, code: int) -> None:
        reason = f"{_exit_text(code)}: {process.tail(1) or 'it wrote nothing'}"
        self._tell(f"{entry.name}: {reason}")
        if not self._restart:
            self._settle(entry, State.STOPPED, reason)
        else:
            self._wait(entry, entry.backoff.wait_s(code, process.ran_s()), reason)

    def _wait(self, entry: Supervised, wait_s: float | None, reason: str) -> None:
        if wait_s is None:
            self._settle(entry, State.FAILED, reason)
        else:
            entry.due = time.monotonic() + wait_s
            self._settle(entry, State.WAITING, reason)

    def _settle(self, entry: Supervised, state: State, note: str = "") -> None:
        entry.state = state
        entry.note = note
        entry.since_us = clock_us()
        self._write()

    def _write(self) -> None:
        rows = tuple(entry.row() for entry in self._entries.values())
        write_record(self._run, Record(pid=self._self.pid, started=self._self.started, phase=self._phase, rows=rows))


def _exit_text(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by signal {-code}"


def _evidence(process: Process) -> str:
    return f"{process.tail(20) or '(it wrote nothing)'}\nthe whole log: {process.log}"
