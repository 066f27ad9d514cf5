"""A PostgreSQL that was killed with its supervisor can be started again, reaped or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onhand.stack.components import postgres
from onhand.stack.process import Identity, wait_until


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "postmaster.pid"


def test_a_server_that_nobody_reaps_is_forgotten(pid_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "REAPED_S", 0.2)
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        assert wait_until(lambda: Identity.of(killed.pid) is None, 30)
        assert Path(f"/proc/{killed.pid}").exists(), "a zombie"
        pid_file.write_text(f"{killed.pid}\n/data\n")
        postgres.forget_killed_server(pid_file)
        assert not pid_file.exists()


def test_a_server_that_lives_or_is_gone_is_left_to_postgresql(pid_file: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    for pid in (os.getpid(), gone.pid):
        pid_file.write_text(f"{pid}\n/data\n")
        postgres.forget_killed_server(pid_file)
        assert pid_file.exists()
    pid_file.unlink()
    postgres.forget_killed_server(pid_file)
