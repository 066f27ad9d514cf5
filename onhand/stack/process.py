"""Child processes that never outlive their supervisor, and that are only killed when they are surely ours.

A child is told by the kernel to die with its parent (PR_SET_PDEATHSIG), to be exact with the thread that started it:
start processes in threads that stay. What that cannot cover, a later `onhand down` does from the records written
here: a pid counts only together with the start time the kernel gives it, so a pid that was used again by somebody
else is left alone.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onhand.stack.component import Command
from schemas.errors import EnvironmentFault

LOG_LIMIT_BYTES = 20 << 20
"""A log longer than this is moved to `<name>.log.1` when its process starts."""
POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """One process for as long as it lives; a reused pid has another start time."""

    pid: int
    started: int
    """Clock ticks after boot, from /proc/<pid>/stat."""

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """None when there is no such process or it is a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat[stat.rindex(")") + 2 :].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def signal(self, number: int) -> bool:
        """Send when it is still this process; False otherwise."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


class Process:
    """A started child.  Its output goes to `log`; its process group is its own, so Ctrl-C reaches the parent alone."""

    def __init__(self, name: str, command: Command, log: Path) -> None:
        """Starts it.  Raises EnvironmentFault when the program cannot be executed."""
        self.name = name
        self.log = log
        self.stop_signal = command.stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        self.log_start = log.stat().st_size if log.exists() else 0
        """Where this start's own lines begin in the log."""
        account = pwd.getpwnam(command.user) if command.user else None
        parent = os.getpid()

        def before_exec() -> None:
            if command.timer_slack_us:
                _libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(command.timer_slack_us * 1000))
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before prctl
                os._exit(1)

        environment = {**os.environ, **command.environment}
        if account:
            environment |= {"HOME": account.pw_dir, "USER": account.pw_name}
        try:
            with log.open("ab") as output:
                self._popen = subprocess.Popen(
                    command.argv,
                    cwd=command.cwd,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                    user=account.pw_uid if account else None,
                    group=account.pw_gid if account else None,
                    extra_groups=[] if account else None,
                    preexec_fn=before_exec,
                )
        except OSError as error:
            raise EnvironmentFault(f"{name}: cannot start {command.argv[0]}: {error}") from error
        self.started_at = time.monotonic()
        self.identity = Identity.of(self._popen.pid) or Identity(self._popen.pid, -1)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: killed by that signal.  Reaps it."""
        return self._popen.poll()

    def alive(self) -> bool:
        return self.exit_code() is None

    def ran_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_at

    def send(self, number: int) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait()

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self._popen.terminate()

    def stop(self) -> None:
        """SIGSTOP: it holds still, as in a long pause."""
        self.send(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: on it goes."""
        self.send(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None after the time."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """Its stop signal; a held (SIGSTOP) process is continued so that it can obey."""
        if self.alive():
            self.send(self.stop_signal)
            self.cont()

    def end(self, grace_s: float) -> None:
        """Ask it to stop, then kill it after `grace_s`."""
        self.ask_to_stop()
        if self.wait(grace_s) is None:
            self.kill()

    def tail(self, lines: int = 20) -> str:
        """The last lines this start wrote."""
        return tail(self.log, lines, self.log_start)


def tail(path: Path, lines: int, start: int = 0) -> str:
    """The last lines of a log file, at most 256 KiB, nothing before byte `start`."""
    if lines == 0 or not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(min(size, max(start, size - (256 << 10))))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def end_stranger(identity: Identity, stop_signal: int, grace_s: float) -> bool:
    """Stop, then kill, a process that is not our child (any more); False when it was gone already."""
    if not identity.signal(stop_signal):
        return False
    identity.signal(signal.SIGCONT)
    if not wait_until(lambda: not identity.alive(), grace_s):
        identity.signal(signal.SIGKILL)
        wait_until(lambda: not identity.alive(), grace_s)
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float, poll_s: float = POLL_S) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_s)
    return True


def program(name: str, *folders: Path) -> str | None:
    """A program in one of the folders, else on the path."""
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    return shutil.which(name)
