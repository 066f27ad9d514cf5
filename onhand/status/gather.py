"""Everything there is to know at this moment, as one document: local processes, sources, stages, channels, exceptions.

Asked of the parts themselves, not of the watch, so that it is true when the watch is down and on a machine that only
has the command line.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from onhand.settings import Settings
from onhand.stack.records import read_record
from onhand.status.processes import status_rows
from onhand.watch.board import Board
from schemas.errors import OnhandError
from schemas.records import ExceptionRecord
from schemas.registry import connected_codec
from streams.connect.client import ConnectClient
from streams.connect.folder import read_sources, source_names
from streams.connect.retention import RetentionLimits
from streams.connect.status import observe, unseen_row

ANSWER_S = 1.0
CONNECT_S = 5.0
Document = dict[str, Any]


class Gatherer:
    """Asks again and again; what can be kept open between two times is."""

    def __init__(self, settings: Settings, clock_us: Callable[[], int]) -> None:
        self._settings = settings
        self._clock_us = clock_us
        self._board: Board | None = None

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def gather(self) -> Document:
        """One look.  What does not answer is told in `unanswered` (part → why), and what only it knows is left out."""
        settings = self._settings
        record = read_record(settings.data_dir / "run")
        processes = status_rows(settings.data_dir, self._clock_us())
        document: Document = {
            "up": record is not None,
            "processes": processes,
            "sources": [],
            "stages": [],
            "channels": [],
            "clickhouse": next((row["answer"] for row in processes if row["name"] == "metrics"), {}),
            "exceptions": [],
            "unanswered": {},
        }
        if record is not None and "kafka" not in {row.name for row in record.rows}:
            return document  # only a part of the stack was wanted
        channels = sorted(file.stem for file in settings.channel_configs.glob("*.yaml"))
        down = document["unanswered"]
        if not answers(settings.kafka):
            down["kafka"] = f"Kafka does not answer at {settings.kafka}"
            return document
        document["up"] = True
        document["sources"] = self._sources()
        if self._board is None and not answers(urlsplit(settings.registry_url).netloc):
            down["registry"] = f"the schema registry does not answer at {settings.registry_url}"
            return document
        board = self._read_board()
        document["stages"] = board.stages([row["source"] for row in document["sources"]], channels)
        document["exceptions"] = by_code(board.exceptions.values())
        document["channels"] = [_channel(name, processes) for name in channels]
        return document

    def _read_board(self) -> Board:
        if self._board is None:
            codec = connected_codec(self._settings.registry_url, wait_s=0)
            self._board = Board(self._settings.kafka, codec)
            self._board.catch_up()
        else:
            self._board.follow(0.2)
        return self._board

    def _sources(self) -> list[dict[str, Any]]:
        names = source_names(self._settings.connect_configs)
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self._source, names))

    def _source(self, name: str) -> dict[str, Any]:
        settings = self._settings
        limits = RetentionLimits(settings.retention_warn_used, settings.retention_warn_left_h * 3600)
        try:
            (source,) = read_sources(settings.connect_configs, [name], settings.connector_variables)
            with ConnectClient(settings.connect_url, timeout_s=CONNECT_S, rebalance_deadline_s=CONNECT_S) as client:
                now_us = self._clock_us()
                return observe(source, client, settings.kafka, [settings.secrets], now_us, limits=limits).row()
        except OnhandError as error:
            return unseen_row(name, str(error))


def answers(addresses: str) -> bool:
    """Whether something accepts connections at one of `host:port,host:port`."""
    for address in addresses.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=ANSWER_S):
                return True
        except (OSError, ValueError):
            continue
    return False


def by_code(records: Iterable[ExceptionRecord]) -> list[dict[str, Any]]:
    """Open exceptions by stage, source and code, with the oldest of each; the oldest first."""
    groups: dict[tuple[str, str, str], list[ExceptionRecord]] = {}
    for record in records:
        groups.setdefault((record.stage, record.source, record.code), []).append(record)
    rows = []
    for (stage, source, code), group in groups.items():
        oldest = min(group, key=lambda record: (record.opened_us, record.id))
        rows.append(
            {
                "stage": stage,
                "source": source,
                "code": code,
                "count": len(group),
                "opened_us": oldest.opened_us,
                "example": f"{oldest.subject}: {oldest.detail}",
                "id": oldest.id,
                "action": oldest.action,
            }
        )
    return sorted(rows, key=lambda row: (row["opened_us"], row["code"]))


def _channel(name: str, processes: list[dict[str, Any]]) -> dict[str, Any]:
    """What its workers on this machine say, added up."""
    workers = [
        row["answer"]
        for row in processes
        if row["name"].partition("@")[0] == f"channel-{name}" and "waiting" in row["answer"]
    ]
    ages = [worker["oldest_waiting_s"] for worker in workers if worker["oldest_waiting_s"] is not None]
    states = [worker["state"] for worker in workers]
    return {
        "channel": name,
        "workers": len(workers),
        "state": next((state for state in states if state != "running"), states[0] if states else None),
        "dirty": sum(worker["waiting"] for worker in workers),
        "oldest_dirty_s": max(ages, default=None),
        "withheld": sum(worker.get("withheld", 0) for worker in workers),
        "failures_in_a_row": max((worker["failures_in_a_row"] for worker in workers), default=0),
        "last_answer": next((worker["last_answer"] for worker in workers if worker["last_answer"]), ""),
    }
