"""The process of one stage: checks before the start, the Faust worker, and its end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import faust
import uvloop

from schemas.errors import EXIT_FAIL_STOP, EXIT_OK, EnvironmentFault
from streams.agents.runtime.app import StageApp
from streams.agents.runtime.marker import changelog_topic
from streams.agents.runtime.topic_desk import TopicDesk
from streams.agents.runtime.tuning import Tuning
from streams.core.unit import Stage

log = logging.getLogger(__name__)

STOP_S = 8.0
"""A stop that takes longer than this is cut off; what is settled is durable anyway."""

COMMIT_S = 1.0
"""Of which so long for the last commit."""

MEMBER_FILE = "member"

FAUST_LOGGERS = (
    "faust",
    "aiokafka",
    "mode",
    *(f"streams.agents.runtime.{name}" for name in ("app", "store", "transport")),
)
"""Faust logs under the module of each subclass, and builds debug records unless the level says no."""


class QuietWorker(faust.Worker):
    """Faust's worker without its own logging, banner and slow farewell."""

    app: StageApp

    def __init__(self, app: StageApp) -> None:
        super().__init__(app, loglevel="WARNING", quiet=True, redirect_stdouts=False)
        self.spinner = None

    def _setup_logging(self) -> None:
        for name in FAUST_LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)

    def say(self, msg: str) -> None:
        log.debug("%s", msg)

    def _on_sigint(self) -> None:
        self._leave(signal.SIGINT)

    def _on_sigterm(self) -> None:
        self._leave(signal.SIGTERM)

    def _leave(self, number: int) -> None:
        log.info("stopping on signal %d", number)
        self._leaving = asyncio.ensure_future(self._finish())

    async def _finish(self) -> None:
        """Finish the units in work, commit, leave the group so that others take over at once, and go."""
        try:
            await asyncio.wait_for(self._let_go(), STOP_S)
        except TimeoutError:
            log.warning("stopping took longer than %.0f s: cut off", STOP_S)
        except Exception as error:  # noqa: BLE001 - leaving is a courtesy: the next owner needs only what is settled
            log.warning("left without saying goodbye to the group: %r", error)
        logging.shutdown()
        os._exit(EXIT_OK)

    async def _let_go(self) -> None:
        positions = self.app.positions()
        await self.app.release_partitions()
        consumer = self.app.units_consumer
        try:
            await asyncio.wait_for(consumer.commit_positions(positions), COMMIT_S)
        except Exception as error:  # noqa: BLE001 - it is for monitoring; while the group rebalances it must wait for that
            log.info("left without a last commit: %r", error)
        await consumer.leave_group()


def lock_directory(directory: Path) -> IO[str]:
    """Make the directory ours for the life of the process; waits while another process has it, and says so."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = (directory / "lock").open("w")
    except OSError as error:
        raise EnvironmentFault(f"state directory {directory}: cannot be used: {error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning(
                "standing by: another process has the state directory %s; this one takes over when that one ends "
                "(to share its partitions, give this one its own ONHAND_INSTANCE)",
                directory,
            )
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        handle.close()
        raise EnvironmentFault(
            f"state directory {directory}: cannot be locked: {error}; put it on a file system with locks"
        ) from error
    return handle


def member_id(group: str, directory: Path) -> str:
    """Name of a directory in the consumer group, the same at every start: its process gets its partitions back at once.

    Random, because workers on two machines are both instance 0, and of two with one name the group throws one out.
    """
    file = directory / MEMBER_FILE
    try:
        known = file.read_text() if file.exists() else ""
        if not known:  # a full disk leaves an empty file, unless the name appears with all its bytes
            known = f"{group}-{uuid.uuid4().hex}"
            written = file.with_suffix(".new")
            with written.open("w") as handle:
                handle.write(known)
                handle.flush()
                os.fsync(handle.fileno())
            written.replace(file)
    except OSError as error:
        raise EnvironmentFault(
            f"{file}: cannot be read or written: {error}; make room or mend the rights, then start again"
        ) from error
    return known


class StageWorker:
    """One process of a stage.

    `run` blocks until the process is told to stop, and ends it: with 0 after SIGTERM or SIGINT, with 70 when anything
    went wrong.  It returns only when the start fails.  Raises InvalidInput and EnvironmentFault before the start.  Who
    finds its directory in use waits for it, before anything else.
    """

    def __init__(
        self,
        stage_factory: Callable[[], Stage],
        *,
        group: str,
        partitions: int,
        kafka: str,
        data_dir: Path,
        instance: str = "0",
        replication: int = 1,
        tuning: Tuning | None = None,
    ) -> None:
        self._group = group
        state_dir = Path(data_dir).absolute() / "state" / group / instance
        self._directory_lock = lock_directory(state_dir)
        desk = TopicDesk(kafka)
        desk.require(stage_factory().input_topic, partitions)
        changelog_id = desk.ensure_changelog(changelog_topic(group), partitions, replication)
        uvloop.install()  # before the first loop is made; with asyncio's own a produce request costs twice the CPU time
        self._app = StageApp(
            stage_factory,
            group=group,
            partitions=partitions,
            kafka=kafka,
            state_dir=state_dir,
            changelog_id=changelog_id,
            member=member_id(group, state_dir),
            desk=desk,
            tuning=tuning or Tuning(),
        )

    def health(self) -> dict[str, Any]:
        """Group, owned partitions, readiness, lag and last unit; safe to call from another thread."""
        return self._app.health()

    def run(self) -> int:
        """See the class."""
        worker = QuietWorker(self._app)
        try:
            worker.execute_from_commandline()
        except SystemExit as end:
            return EXIT_OK if end.code in (None, 0) else EXIT_FAIL_STOP
        except Exception:
            log.exception("%s: the worker failed", self._group)
            return EXIT_FAIL_STOP
