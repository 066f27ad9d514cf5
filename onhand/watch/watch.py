"""Looks after the sources: asks Connect and the databases every few seconds, warns, and starts again what may be.

Theory of operation.  A look asks every source side by side, so one that hangs for a while delays the others once.  What
two looks in a row find is an open exception of stage `source`; when it is gone the exception closes.  A connector that
failed is started again as `streams.connect.healing` says.  Two watches do no harm: their exceptions have the same ids,
and a connector is only started again while it is failed.  What a stage has lost is said to it again (`restating`).
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onhand.settings import Settings
from onhand.stack.records import read_record
from onhand.watch.board import Board
from onhand.watch.restating import Restating
from onhand.watch.restored import Restored
from onhand.watch.troubles import Troubles
from schemas.codec import Codec
from schemas.errors import OnhandError
from schemas.intervals import is_over
from schemas.records import ExceptionRecord
from sinks.workers import wire
from sinks.workers.wire import Outbox
from streams.connect.client import ConnectClient, ConnectorStatus
from streams.connect.control import send_control
from streams.connect.folder import log_topic, read_sources, source_names
from streams.connect.healing import Healer
from streams.connect.retention import Growth, RetentionLimits
from streams.connect.source_log import SourceLog
from streams.connect.status import observe, unseen_row
from streams.core.log.control import Action, Control

log = logging.getLogger(__name__)

LOOK_US = 5_000_000
FOLLOW_S = 0.5
CONNECT_S = 10.0
STUCK_US = 120_000_000
THREADS = 8


class Watched:
    """One source, and what the watch remembers of it from look to look."""

    def __init__(self, name: str, settings: Settings, troubles: Troubles) -> None:
        self.name = name
        self._settings = settings
        self._limits = RetentionLimits(settings.retention_warn_used, settings.retention_warn_left_h * 3600)
        self._log = SourceLog(settings.kafka, log_topic(name))
        self._troubles = troubles
        self._restored = Restored(troubles.restored)
        self._healer = Healer()
        self._growth = Growth()
        self._restating = Restating()
        self.row: dict[str, Any] = {}

    def look(self, now_us: int) -> list[ExceptionRecord]:
        """Ask Connect, the log and the database; start the connector again if it may be; what is to be told."""
        settings = self._settings
        try:
            (source,) = read_sources(settings.connect_configs, [self.name], settings.connector_variables)
            with ConnectClient(settings.connect_url, timeout_s=CONNECT_S, rebalance_deadline_s=CONNECT_S) as client:
                status = observe(
                    source,
                    client,
                    settings.kafka,
                    [settings.secrets],
                    now_us,
                    limits=self._limits,
                    growth=self._growth,
                    log=self._log,
                )
                status, stop = self._restored.take(status)
                if stop:
                    log.warning("%s: its database was restored, and its connector is stopped", self.name)
                    client.stop(self.name)
                elif self._healer.wants_restart(status, now_us):
                    failure = status.connector.failure if status.connector else ""
                    why = failure or "it runs, but reads nothing although its database is there"
                    log.warning("%s: its connector is started again: %s", self.name, why)
                    client.restart(self.name, only_failed=bool(failure))
        except OnhandError as error:
            self.row = self._row(unseen_row(self.name, str(error)))
            return []
        self.row = self._row(status.row(), status.connector)
        return self._troubles.take(status.problems, now_us)

    def restate(self, stages: list[dict[str, Any]], now_us: int) -> None:
        """Ask the lane to say everything again, for a stage that has lost what it was told."""
        lacking = self._restating.lacking([stage for stage in stages if stage["source"] == self.name], now_us)
        if lacking:
            why = f"{' and '.join(lacking)} lost what {self.name} had said"
            log.warning("%s: its lane is asked to restate: %s", self.name, why)
            send_control(self._settings.kafka, self.name, Control(action=Action.RESTATE, why=why))

    def close(self) -> None:
        self._log.close()

    def _row(self, seen: dict[str, Any], connector: ConnectorStatus | None = None) -> dict[str, Any]:
        return {
            **seen,
            "running": None if "error" in seen else connector is not None and connector.running,
            "task_states": dict(Counter(task.state for task in connector.tasks)) if connector else {},
            "restarts": self._healer.restarts,
        }


class Watch:
    """One process; everything but `health` belongs to one thread."""

    def __init__(self, settings: Settings, codec: Codec, clock_us: Callable[[], int]) -> None:
        self._settings = settings
        self._clock_us = clock_us
        self._board = Board(settings.kafka, codec)
        self._outbox = Outbox(settings.kafka, "watch", codec)
        self._sources: dict[str, Watched] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="look")
        self._looked_us = clock_us()
        self._health: dict[str, Any] = {"ready": False, "names": [], "channels": []}

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set.  Raises Fatal."""
        try:
            self._board.catch_up()
            self._look()
            while not stop.is_set():
                self._board.follow(FOLLOW_S)
                if is_over(self._looked_us, LOOK_US, self._clock_us()):
                    self._look()
                self._outbox.poll()
        finally:
            self._pool.shutdown()
            for watched in self._sources.values():
                watched.close()
            self._board.close()
            self._outbox.close()

    def health(self) -> dict[str, Any]:
        """What was seen last; the watch is well while it looks, however the sources are."""
        answer = self._health | {
            "progress": self._board.stages(self._health["names"], self._health["channels"]),
            "exceptions": self._board.open_exceptions(),
        }
        if not self._board.answers():
            answer |= {"healthy": False, "error": wire.NO_ANSWER}
        elif is_over(self._looked_us, STUCK_US, self._clock_us()):
            answer |= {"healthy": False, "error": "it looks no longer: one of the sources hangs"}
        return answer

    def _look(self) -> None:
        names = source_names(self._settings.connect_configs)
        for gone in self._sources.keys() - set(names):
            self._sources.pop(gone).close()
        watched = [self._watched(name) for name in names]
        now_us = self._clock_us()
        for records in self._pool.map(lambda one: one.look(now_us), watched):
            for record in records:
                log.warning("%s is %s: %s", record.id, record.status, record.detail)
                self._outbox.send(wire.EXCEPTION, record.id, record)
        self._looked_us = self._clock_us()
        self._health = self._answer(watched)
        stages = self._board.stages(names, ())
        for one in watched:
            one.restate(stages, self._looked_us)

    def _watched(self, name: str) -> Watched:
        if name not in self._sources:
            troubles = Troubles(name, self._board.exceptions.values())
            self._sources[name] = Watched(name, self._settings, troubles)
        return self._sources[name]

    def _answer(self, watched: list[Watched]) -> dict[str, Any]:
        settings = self._settings
        record = read_record(settings.data_dir / "run")
        return {
            "ready": True,
            "looked_us": self._looked_us,
            "names": [one.name for one in watched],
            "channels": sorted(file.stem for file in settings.channel_configs.glob("*.yaml")),
            "sources": [one.row for one in watched],
            "restarts": {row.name: row.restarts for row in record.rows} if record else {},
        }
