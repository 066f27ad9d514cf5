"""How a plain Faust application of the benchmarks is run: with no more said than what is wrong."""

from __future__ import annotations

import logging
from typing import Any

import faust


def run(app: faust.App) -> None:
    """Until it is stopped."""

    @app.on_worker_init.connect
    def quiet(*_: Any, **__: Any) -> None:
        for name in ("faust", "aiokafka", "mode"):
            logging.getLogger(name).setLevel(logging.WARNING)

    faust.Worker(app, loglevel="WARNING", quiet=True).execute_from_commandline()
