"""A process that cannot go on ends: its clock was set back, or something holds the interpreter's lock."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onhand.liveness import WallClock
from schemas.errors import EXIT_FAIL_STOP, EXIT_RUNTIME


@pytest.mark.parametrize(
    ("wall", "steady", "back"),
    [(90_000.0, 0.0, 0.0), (10.0, 10.0, 0.0), (-90_000.0, 0.5, 90_000.5), (0.4, 0.5, 0.1), (3_600.0, 10.0, 0.0)],
)
def test_only_steps_back_count(wall: float, steady: float, back: float) -> None:
    now = {"wall": 1_000_000.0, "steady": 50.0}
    clock = WallClock(lambda: now["wall"], lambda: now["steady"])
    now["wall"] += wall
    now["steady"] += steady
    assert clock.set_back_s() == pytest.approx(back)
    assert clock.set_back_s() == 0, "a step counts once"


def test_a_process_ends_with_70_when_its_clock_is_set_back() -> None:
    code = """
import threading, time
from onhand import liveness
shift = [0.0]
clock = liveness.WallClock(lambda: time.time() + shift[0])
threading.Thread(target=liveness.end_when_stuck, args=(clock,), daemon=True).start()
shift[0] = -90_000.0
threading.Event().wait(60)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == EXIT_FAIL_STOP
    assert "was set back by 9" in ended.stderr


def test_a_process_ends_with_1_when_no_python_can_run() -> None:
    """`PyDLL` keeps the interpreter's lock while it calls."""
    code = """
import ctypes, threading, time
from onhand import liveness
looked = threading.Event()
def wall_s():
    looked.set()
    return time.time()
clock = liveness.WallClock(wall_s)
looked.clear()
threading.Thread(target=liveness.end_when_stuck, args=(clock, 2.0), daemon=True).start()
assert looked.wait(30)
ctypes.PyDLL(None).sleep(60)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == EXIT_RUNTIME
    assert "most recent call first" in ended.stderr
