"""Restart with back-off, readiness, and ending; on real, small child processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from onhand.stack.component import Command
from onhand.stack.process import wait_until
from onhand.stack.records import Phase, State, read_record
from onhand.stack.supervision import Backoff, Supervised, Supervisor
from schemas.errors import EnvironmentFault

DEADLINE_S = 20.0
SLEEP = "import time; time.sleep(600)"


@pytest.mark.parametrize(
    ("exits", "waits"),
    [
        ([(1, 0)] * 7, [1, 2, 4, 8, 16, 30, 30]),
        ([(70, 0)] * 4, [0, 1, 2, 4]),
        ([(70, 0), (1, 0)], [0, 2]),
        ([(1, 0), (70, 0)], [1, 1]),
        ([(1, 0), (1, 0), (1, 61)], [1, 2, 1]),
        ([(70, 0), (70, 61)], [0, 0]),
        ([(2, 0)], [None]),
        ([(2, 3600)], [None]),
        ([(-9, 0)], [1]),
    ],
)
def test_how_long_until_the_next_start(exits: list[tuple[int, float]], waits: list[float | None]) -> None:
    backoff = Backoff()

    assert [backoff.wait_s(code, ran_s) for code, ran_s in exits] == waits


def python(code: str) -> Command:
    return Command(argv=(sys.executable, "-c", code), cwd=Path.cwd())


def supervised(tmp_path: Path, name: str, code: str) -> Supervised:
    return Supervised(name=name, command=lambda: python(code), log=tmp_path / f"{name}.log")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str]) -> Supervisor:
    return Supervisor(tmp_path, restart=True, tell=told.append)


def polled_until(supervisor: Supervisor, name: str, state: State, restarts: int = 0) -> bool:
    def reached() -> bool:
        supervisor.poll()
        return any(r.name == name and r.state is state and r.restarts >= restarts for r in supervisor.rows())

    return wait_until(reached, DEADLINE_S)


def test_what_asks_for_a_restart_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    code = f"""
import pathlib, sys, time
first = pathlib.Path({str(tmp_path / "was-here")!r})
if first.exists(): time.sleep(600)
first.touch()
sys.exit(70)"""
    supervisor.start(supervised(tmp_path, "lane", code))
    try:
        assert polled_until(supervisor, "lane", State.RUNNING, restarts=1)
    finally:
        supervisor.end("lane")


def test_invalid_input_is_not_started_again_and_the_record_says_why(
    supervisor: Supervisor, tmp_path: Path, told: list[str]
) -> None:
    supervisor.start(supervised(tmp_path, "lane", "print('erp/items.sql:3:1: no such column'); raise SystemExit(2)"))

    assert polled_until(supervisor, "lane", State.FAILED)
    record = read_record(tmp_path)
    assert record is not None
    assert record.rows[0].note == "exit 2: erp/items.sql:3:1: no such column"
    assert record.rows[0].pid is None
    assert told == ["lane: exit 2: erp/items.sql:3:1: no such column"]


def test_a_component_that_dies_at_its_start_shows_the_end_of_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    code = "[print('line', n) for n in range(30)]; raise SystemExit(3)"
    entry = supervised(tmp_path, "kafka", code)
    entry.ready = lambda: False
    supervisor.start(entry)

    with pytest.raises(EnvironmentFault) as raised:
        supervisor.await_ready("kafka", DEADLINE_S)

    lines = str(raised.value).splitlines()
    assert lines[0] == "kafka stopped at its start (exit 3):"
    assert lines[1:21] == [f"line {n}" for n in range(10, 30)]
    assert str(tmp_path / "kafka.log") in lines[-1]


def test_only_the_lines_of_this_start_are_shown(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "kafka.log").write_text("an old line\n")
    entry = supervised(tmp_path, "kafka", "raise SystemExit('a new line')")
    entry.ready = lambda: False
    supervisor.start(entry)

    with pytest.raises(EnvironmentFault, match="a new line") as raised:
        supervisor.await_ready("kafka", DEADLINE_S)

    assert "an old line" not in str(raised.value)


def test_what_does_not_obey_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    code = f"""
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({str(tmp_path / "deaf")!r}).touch()
time.sleep(600)"""
    process = supervisor.start(supervised(tmp_path, "deaf-one", code))
    assert wait_until((tmp_path / "deaf").exists, DEADLINE_S)

    supervisor.end("deaf-one", grace_s=0.2)

    assert process.exit_code() == -9


def test_a_held_process_can_be_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    code = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
pathlib.Path({str(tmp_path / "listens")!r}).touch()
time.sleep(600)"""
    process = supervisor.start(supervised(tmp_path, "held", code))
    assert wait_until((tmp_path / "listens").exists, DEADLINE_S)
    process.stop()

    supervisor.end("held")

    assert process.exit_code() == 0


def test_what_was_stopped_on_request_stays_down(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(supervised(tmp_path, "orders", SLEEP))
    supervisor.end("orders")

    supervisor.poll()

    assert [(row.state, row.pid) for row in supervisor.rows()] == [(State.STOPPED, None)]


def test_a_name_runs_once(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(supervised(tmp_path, "orders", SLEEP))
    try:
        with pytest.raises(EnvironmentFault, match="orders runs already"):
            supervisor.start(supervised(tmp_path, "orders", SLEEP))
    finally:
        supervisor.end("orders")


def test_a_program_that_is_not_there_is_tried_again(supervisor: Supervisor, tmp_path: Path) -> None:
    missing = Supervised(
        name="gone", command=lambda: Command(argv=("/nowhere/program",), cwd=tmp_path), log=tmp_path / "gone.log"
    )

    with pytest.raises(EnvironmentFault, match="gone: cannot start /nowhere/program"):
        supervisor.start(missing)

    assert supervisor.rows()[0].state is State.WAITING


def test_the_record_tells_the_phase(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.enter(Phase.READY)

    record = read_record(tmp_path)
    assert record is not None
    assert record.phase is Phase.READY
    assert record.supervisor_alive()
