"""Children die with their parent; strangers are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onhand.stack.component import Command
from onhand.stack.process import Identity, Process, tail, wait_until
from onhand.stack.records import Phase, Record, Row, State, clear_leftovers, read_record, take_lock, write_record
from schemas.errors import EnvironmentFault

DEADLINE_S = 20.0


def sleeper(tmp_path: Path) -> Process:
    command = Command(argv=(sys.executable, "-c", "import time; time.sleep(600)"), cwd=tmp_path)
    return Process("sleeper", command, tmp_path / "sleeper.log")


def leave_behind(folder: Path, pid: int, started: int) -> None:
    """The record of a supervisor that is no more."""
    row = Row(
        name="sleeper",
        component=True,
        state=State.RUNNING,
        pid=pid,
        started=started,
        stop_signal=signal.SIGTERM,
        port=None,
        restarts=0,
        since_us=0,
    )
    write_record(folder, Record(pid=1, started=-1, phase=Phase.READY, rows=(row,)))


def test_a_child_wakes_as_late_as_it_may(tmp_path: Path) -> None:
    argv = (sys.executable, "-c", "print(open('/proc/self/timerslack_ns').read())")
    child = Process("child", Command(argv=argv, cwd=tmp_path, timer_slack_us=700), tmp_path / "child.log")

    assert wait_until(lambda: child.exit_code() == 0, DEADLINE_S)
    assert (tmp_path / "child.log").read_text().strip() == "700000"


def test_children_die_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import time, sys, pathlib
from onhand.stack.component import Command
from onhand.stack.process import Process
folder = pathlib.Path({str(tmp_path)!r})
command = Command(argv=(sys.executable, "-c", "import time; time.sleep(600)"), cwd=folder)
child = Process("child", command, folder / "log")
print(child.pid, flush=True)
time.sleep(600)"""
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Identity.of(int(parent.stdout.readline()))
        assert child is not None

        parent.kill()

        assert wait_until(lambda: not child.alive(), DEADLINE_S)


def test_leftovers_of_a_crashed_supervisor_are_stopped(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    leave_behind(tmp_path, process.pid, process.identity.started)

    assert clear_leftovers(tmp_path, DEADLINE_S) == ["sleeper"]

    assert process.wait(DEADLINE_S) == -signal.SIGTERM
    assert read_record(tmp_path) is None


def test_a_pid_that_somebody_else_has_now_is_left_alone(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    try:
        leave_behind(tmp_path, process.pid, process.identity.started + 1)

        assert clear_leftovers(tmp_path, DEADLINE_S) == []

        assert process.alive()
    finally:
        process.kill()


def test_identity_of_this_process_and_of_none() -> None:
    me = Identity.of(os.getpid())

    assert me is not None
    assert me.alive()
    assert Identity.of(2**22 + 1) is None


def test_one_stack_per_data_directory(tmp_path: Path) -> None:
    with take_lock(tmp_path), pytest.raises(EnvironmentFault, match=f"already runs .*pid {os.getpid()}"):
        take_lock(tmp_path)

    take_lock(tmp_path).close()


def test_a_long_log_is_moved_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onhand.stack.process.LOG_LIMIT_BYTES", 10)
    (tmp_path / "sleeper.log").write_text("longer than ten bytes\n")

    process = sleeper(tmp_path)
    process.kill()

    assert (tmp_path / "sleeper.log.1").read_text() == "longer than ten bytes\n"
    assert (tmp_path / "sleeper.log").read_text() == ""


@pytest.mark.parametrize(("lines", "start", "expected"), [(2, 0, "b\nc"), (9, 0, "a\nb\nc"), (9, 4, "c"), (0, 0, "")])
def test_tail(tmp_path: Path, lines: int, start: int, expected: str) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")

    assert tail(path, lines, start) == expected


def test_tail_of_no_file(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 5) == ""
