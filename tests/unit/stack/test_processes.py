"""Health answers, `onhand run`, names of processes, and the status page."""

from __future__ import annotations

import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

import onhand.run
from onhand.cli.main import onhand as command
from onhand.cli.run import run_process
from onhand.health import HealthServer, ask_health, full_name, health_file, serve_health
from onhand.metrics.catalogue import Kind
from onhand.settings import Settings, load_settings
from onhand.stack.local import configured_processes, process_arguments, settings_environment
from onhand.stack.process import Identity
from onhand.stack.records import Phase, Record, Row, State, write_record
from onhand.status.gather import Document
from onhand.status.judge import Problem, judge
from onhand.status.processes import duration, status_rows
from schemas.errors import EnvironmentFault, Fatal, InvalidInput


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ONHAND_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path)


@pytest.mark.parametrize(
    ("answer", "status", "is_healthy"),
    [({"partitions": 4}, 200, True), ({"healthy": True}, 200, True), ({"healthy": False, "lag": 9}, 503, False)],
)
def test_health_answer(settings: Settings, answer: dict[str, Any], status: int, is_healthy: bool) -> None:
    with serve_health(settings, Kind.STAGE, "inventory", lambda: answer) as server:
        assert requests.get(f"http://127.0.0.1:{server.port}/", timeout=5).status_code == status
        assert ask_health(settings.data_dir, "inventory") == {"healthy": is_healthy, **answer}

    assert not health_file(settings.data_dir, "inventory").exists()
    assert ask_health(settings.data_dir, "inventory")["healthy"] is False


@pytest.mark.parametrize(
    ("answer", "health", "ready"),
    [({}, 200, 200), ({"ready": True}, 200, 200), ({"ready": False}, 200, 503), ({"healthy": False}, 503, 503)],
)
def test_who_stands_by_is_well_and_not_ready(
    settings: Settings, answer: dict[str, Any], health: int, ready: int
) -> None:
    with serve_health(settings, Kind.STAGE, "inventory", lambda: answer) as server:
        for path, status in (("health", health), ("ready", ready), ("metrics", 200), ("elsewhere", 404)):
            assert requests.get(f"http://127.0.0.1:{server.port}/{path}", timeout=5).status_code == status


def test_a_check_that_fails_is_not_healthy(settings: Settings) -> None:
    def check() -> dict[str, Any]:
        raise RuntimeError("store is gone")

    with serve_health(settings, Kind.STAGE, "orders", check):
        assert ask_health(settings.data_dir, "orders") == {"healthy": False, "error": "RuntimeError: store is gone"}


def test_a_health_port_in_use_is_named() -> None:
    with HealthServer(0, {}) as first, pytest.raises(EnvironmentFault, match=f"port {first.port}: .*in use"):
        HealthServer(first.port, {})


def test_names() -> None:
    assert full_name("inventory", "0") == "inventory"
    assert full_name("inventory", "1") == "inventory@1"
    assert process_arguments("source-erp-2") == ("source", "erp-2")
    assert process_arguments("metrics") == ("metrics",)
    for wrong in ("source", "lane-erp", "metrics-x", ""):
        with pytest.raises(InvalidInput, match="unknown process"):
            process_arguments(wrong)


def test_every_configured_folder_and_file_is_a_process(tmp_path: Path) -> None:
    for file in ("connect-configs/wms/source.yaml", "connect-configs/erp/source.yaml", "channel-configs/shop.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "connect-configs" / "ownership.yaml").touch()

    names = configured_processes(load_settings(project_dir=tmp_path))

    assert names == ["source-erp", "source-wms", "inventory", "orders", "channel-shop", "metrics", "watch"]


def test_a_process_gets_the_very_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(data_dir=tmp_path, kafka="127.0.0.1:1", instance="1", partitions=7, project_dir=tmp_path)
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)

    assert load_settings() == settings


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module onhand.run.probe whose `run` the test sets."""
    probe = types.ModuleType("onhand.run.probe")
    monkeypatch.setitem(sys.modules, "onhand.run.probe", probe)
    monkeypatch.setattr(onhand.run, "probe", probe, raising=False)
    return probe


@pytest.mark.parametrize(
    ("raised", "code"),
    [(Fatal("gap"), 70), (InvalidInput("x.sql:1"), 2), (EnvironmentFault("down"), 3), (KeyError("k"), 1)],
)
def test_an_error_of_a_process_gives_its_exit_code(
    settings: Settings, module: types.ModuleType, raised: Exception, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    def run(settings: Settings, name: str) -> int:
        raise raised

    module.run = run  # type: ignore[attr-defined]

    assert run_process(settings, "probe", "", "probe") == code
    assert any(record.levelname == "ERROR" for record in caplog.records)


def test_a_process_returns_its_own_exit_code(settings: Settings, module: types.ModuleType) -> None:
    seen = []

    def run(settings: Settings, name: str) -> int:
        seen.append((settings, name))
        return 70

    module.run = run  # type: ignore[attr-defined]

    assert run_process(settings, "probe", "erp", "probe-erp") == 70
    assert seen == [(settings, "erp")]


STANDBY_ANSWER = {"healthy": True, "ready": False, "partitions": [], "waits_for": ""}


def row(name: str, state: State, *, component: bool = False, note: str = "") -> Row:
    return Row(
        name=name,
        component=component,
        state=state,
        pid=1 if state is State.RUNNING else None,
        started=0,
        stop_signal=signal.SIGTERM,
        port=None,
        restarts=3,
        since_us=1_000_000,
        note=note,
    )


def judged(rows: list[dict[str, Any]]) -> list[Problem]:
    """Of a document that knows of processes alone."""
    nothing = ("sources", "stages", "channels", "exceptions")
    document: Document = {"processes": rows, "unanswered": {}, **{part: [] for part in nothing}}
    return judge(document, 0)


def write(data_dir: Path, *rows: Row, started: int | None = None) -> None:
    (data_dir / "run").mkdir(exist_ok=True)
    me = Identity.of(os.getpid())
    assert me is not None
    record = Record(pid=me.pid, started=me.started if started is None else started, phase=Phase.READY, rows=rows)
    write_record(data_dir / "run", record)


def test_status_says_what_is_red_and_what_to_do(settings: Settings) -> None:
    write(
        settings.data_dir,
        row("source-erp", State.FAILED, note="exit 2: items.sql:3"),
        row("orders", State.WAITING, note="exit 1: x"),
        row("inventory", State.RUNNING),
    )

    with serve_health(settings, Kind.STAGE, "inventory", lambda: {"summary": "4 partitions"}):
        rows = status_rows(settings.data_dir, now_us=181_000_000)

    assert [r["health"] for r in rows] == ["", "red", "red", "ok"]
    assert rows[3]["detail"] == "4 partitions"
    assert rows[3]["since"] == "3 min"
    assert judged(rows) == [
        (
            "red",
            "source-erp",
            "exit 2: items.sql:3",
            "mend what it says (`onhand logs source-erp`), then `onhand down` and `onhand up`",
        ),
        ("red", "orders", "exit 1: x", "starts again by itself; if it goes on, `onhand logs orders`"),
    ]


def test_status_tells_starting_and_waiting_from_red(settings: Settings) -> None:
    write(settings.data_dir, row("source-erp", State.RUNNING), row("orders", State.RUNNING))

    with serve_health(settings, Kind.LANE, "source-erp", lambda: {"waits_for": "its first snapshot"}):
        young, old = (status_rows(settings.data_dir, now_us=seconds * 1_000_000) for seconds in (30, 90))

    assert [r["health"] for r in young] == ["", "waits", "starting"]
    assert judged(young) == [("yellow", "source-erp", "waits for its first snapshot", "")]
    assert [r["health"] for r in old] == ["", "waits", "red"]


def test_status_of_a_crashed_supervisor(settings: Settings) -> None:
    write(settings.data_dir, started=-1)

    rows = status_rows(settings.data_dir)

    assert rows[0]["state"] == "dead"
    assert judged(rows) == [("red", "supervisor", "not running", "it crashed: `onhand down`, then `onhand up`")]


def test_a_second_process_of_a_lane_stands_by(settings: Settings) -> None:
    write(settings.data_dir, row("source-erp@1", State.RUNNING))
    with serve_health(settings.model_copy(update={"instance": "1"}), Kind.LANE, "source-erp", lambda: STANDBY_ANSWER):
        rows = status_rows(settings.data_dir, now_us=90_000_000)
    assert rows[1]["health"] == "stands by"
    assert judged(rows) == []


def test_status_when_nothing_is_up(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["status"], env={"ONHAND_DATA_DIR": str(tmp_path)})

    assert result.output == "nothing is up; `onhand up` starts it\n"
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(-5, "0 s"), (59_999_999, "59 s"), (60_000_000, "1 min"), (3_600_000_000, "1 h"), (90_000_000_000 * 2, "2 d")],
)
def test_duration(microseconds: int, text: str) -> None:
    assert duration(microseconds) == text


def test_logs_names_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka.log").write_text("one\ntwo\n")
    environment = {"ONHAND_DATA_DIR": str(tmp_path)}

    shown = CliRunner().invoke(command, ["logs", "kafka", "-n", "1"], env=environment)
    missing = CliRunner().invoke(command, ["logs", "kafak"], env=environment)

    assert shown.output == "two\n"
    assert str(missing.exception) == "no log of kafak; there are kafka"
