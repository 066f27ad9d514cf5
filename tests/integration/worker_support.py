"""Processes of one stage, started, killed and waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import pytest

from onhand.settings import Settings
from onhand.stack.local import settings_environment

DEADLINE_S = 90.0


class Workers:
    """Members of one group: `onhand run <name>`, by instance."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, instance: str = "0") -> None:
        settings = self.settings.model_copy(update={"instance": instance})
        with self._log(instance).open("ab") as log:
            self.running[instance] = subprocess.Popen(
                [sys.executable, "-m", "onhand.cli.main", "run", self.name],
                env={**os.environ, **settings_environment(settings)},
                stdout=log,
                stderr=log,
            )

    def kill(self, instance: str = "0") -> None:
        worker = self.running.pop(instance)
        worker.kill()
        worker.wait()

    def end(self, instance: str = "0") -> int:
        """SIGTERM; how it ended."""
        worker = self.running.pop(instance)
        worker.send_signal(signal.SIGTERM)
        try:
            return worker.wait(DEADLINE_S)
        finally:
            worker.kill()

    def lose_store(self, instance: str = "0") -> None:
        rmtree(self.settings.data_dir / "state" / self.name / instance)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Fails with the logs when it does not come, or a worker ends."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            ended = {name: code for name, worker in self.running.items() if (code := worker.poll()) is not None}
            if ended or time.monotonic() > deadline:
                logs = "\n".join(self._log(name).read_text()[-3_000:] for name in self.running)
                pytest.fail(f"{what} did not come; ended: {ended}\n{logs}")
            time.sleep(0.2)

    def close(self) -> None:
        for instance in list(self.running):
            self.kill(instance)

    def _log(self, instance: str) -> Path:
        return self.settings.data_dir / f"{self.name}-{instance}.log"
