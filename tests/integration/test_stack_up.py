"""`onhand up` and `onhand down` as a person uses them: real command line, real servers, real crashes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from onhand.settings import load_settings
from onhand.stack.process import Identity, wait_until
from onhand.stack.records import Phase, Record, read_record
from onhand.stack.site import Ports

pytestmark = pytest.mark.integration

DEADLINE_S = 90.0


@dataclass(frozen=True)
class Shell:
    """A person's shell: a data directory and ports of its own."""

    data_dir: Path
    environment: dict[str, str]

    def onhand(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "onhand.cli.main", *arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S * 2,
            check=False,
        )

    def record(self) -> Record:
        record = read_record(self.data_dir / "run")
        assert record is not None
        return record

    def identities(self) -> dict[str, Identity]:
        return {row.name: Identity(row.pid, row.started) for row in self.record().rows if row.pid}


@pytest.fixture
def shell() -> Iterator[Shell]:
    folder = Path(tempfile.mkdtemp(prefix="onhand-up-"))
    folder.chmod(0o755)
    ports = Ports.free()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONHAND_")} | {
        "ONHAND_DATA_DIR": str(folder / "data"),
        "ONHAND_POSTGRES_PORT": str(ports.postgres),
        "ONHAND_MARIADB_PORT": str(ports.mariadb),
    }
    here = Shell(folder / "data", environment)
    yield here
    here.onhand("down", "--wipe")
    shutil.rmtree(folder, ignore_errors=True)


def test_up_status_down(shell: Shell) -> None:
    up = shell.onhand("up", "--detach", "--only", "postgres", "--only", "mariadb")
    assert up.returncode == 0, up.stderr
    assert "everything is up" in up.stdout
    settings = load_settings(data_dir=shell.data_dir)
    assert settings.postgres_port == int(shell.environment["ONHAND_POSTGRES_PORT"])

    status = shell.onhand("status", "--json")
    rows = {row["name"]: row for row in json.loads(status.stdout)["processes"]}
    assert status.returncode == 0
    assert rows["postgres"]["health"] == rows["mariadb"]["health"] == "ok"
    assert shell.onhand("health", "postgres").returncode == 0

    again = shell.onhand("up", "--detach", "--only", "postgres")
    assert again.returncode == 3
    assert "a stack already runs in" in again.stderr

    identities = shell.identities()
    assert set(identities) == {"postgres", "mariadb"}
    down = shell.onhand("down")
    assert down.returncode == 0
    assert not any(identity.alive() for identity in identities.values())
    assert shell.onhand("status").returncode == 1


def test_a_killed_server_is_started_again(shell: Shell) -> None:
    shell.onhand("up", "--detach", "--only", "postgres")
    first = shell.identities()["postgres"]

    first.signal(signal.SIGKILL)

    def back() -> bool:
        row = next(row for row in shell.record().rows if row.name == "postgres")
        return row.restarts == 1 and row.state == "running"

    assert wait_until(back, DEADLINE_S)
    assert shell.identities()["postgres"] != first
    assert shell.onhand("status").returncode == 0


def test_ctrl_c_stops_everything(shell: Shell) -> None:
    with subprocess.Popen(
        (sys.executable, "-m", "onhand.cli.main", "up", "--only", "postgres"),
        env=shell.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as foreground:
        assert foreground.stdout is not None
        ready = next(line for line in foreground.stdout if "everything is up" in line)
        assert "Ctrl-C" in ready
        identities = shell.identities()

        foreground.send_signal(signal.SIGINT)

        assert foreground.wait(DEADLINE_S) == 0
        assert foreground.stdout.read().endswith("stopped\n")
    assert identities
    assert not any(identity.alive() for identity in identities.values())


def test_after_a_crash_of_the_supervisor_nothing_is_left_and_up_works_again(shell: Shell) -> None:
    shell.onhand("up", "--detach", "--only", "postgres")
    identities = shell.identities()
    record = shell.record()

    Identity(record.pid, record.started).signal(signal.SIGKILL)

    assert wait_until(lambda: not any(i.alive() for i in identities.values()), DEADLINE_S)
    status = shell.onhand("status")
    assert status.returncode == 1
    assert "supervisor: not running" in status.stdout
    assert shell.onhand("up", "--detach", "--only", "postgres").returncode == 0
    assert shell.record().phase is Phase.READY


def test_a_start_that_fails_tells_why_at_once(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", int(shell.environment["ONHAND_POSTGRES_PORT"]))):
        up = shell.onhand("up", "--detach", "--only", "postgres")

    assert up.returncode == 3
    assert f"port {shell.environment['ONHAND_POSTGRES_PORT']}" in up.stdout
    assert "is in use" in up.stdout


def test_an_unknown_name_lists_the_known_ones(shell: Shell) -> None:
    up = shell.onhand("up", "--only", "kafak")

    assert up.returncode == 2
    assert "there are postgres, mariadb, kafka, registry, connect, " in up.stderr
