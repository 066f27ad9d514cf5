"""Kafka Connect's REST API as one screen of typed calls.

Answers of 409 mean that the workers rebalance: the call is repeated until `rebalance_deadline_s`.  Everything else is
told at once, by kind: `ConnectUnavailable` (exit 3), `ConnectRefused` (exit 2), `ConnectFailed` (exit 1).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from schemas.errors import EnvironmentFault, InvalidInput, OnhandError

REBALANCE_PAUSE_S = 0.25


class ConnectUnavailable(EnvironmentFault):
    """Kafka Connect does not answer, or rebalances without end."""


class ConnectRefused(InvalidInput):
    """Kafka Connect says that the request is wrong (4xx)."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ConnectFailed(OnhandError):
    """Kafka Connect failed by itself (5xx)."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    id: int
    state: str
    """RUNNING | PAUSED | FAILED | UNASSIGNED | RESTARTING | DESTROYED"""
    worker: str
    trace: str = ""

    @property
    def causes(self) -> str:
        """The exception and its causes, without the stack, in one line."""
        return causes(self.trace)


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    name: str
    state: str
    """RUNNING | PAUSED | STOPPED | FAILED | UNASSIGNED | RESTARTING"""
    worker: str
    tasks: tuple[TaskStatus, ...]
    trace: str = ""

    @property
    def running(self) -> bool:
        """Connector and at least one task, and all of them.  Necessary, not sufficient: see `status`."""
        return self.state == "RUNNING" and bool(self.tasks) and all(task.state == "RUNNING" for task in self.tasks)

    @property
    def failure(self) -> str:
        """Why the connector or a task is FAILED; empty: nothing is."""
        if self.state == "FAILED":
            return causes(self.trace) or "connector FAILED"
        failed = [task for task in self.tasks if task.state == "FAILED"]
        return "; ".join(f"task {task.id}: {task.causes or 'FAILED'}" for task in failed)


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One message of the connector's own validation."""

    key: str
    message: str


class ConnectClient:
    """One Kafka Connect cluster."""

    def __init__(self, url: str, *, timeout_s: float = 75.0, rebalance_deadline_s: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s  # above the connector's own validation limit of 60 s
        self._rebalance_deadline_s = rebalance_deadline_s
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy for the internet must not stand before a local service

    def __enter__(self) -> ConnectClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def worker(self) -> dict[str, str]:
        """Version and Kafka cluster id of the worker."""
        return dict(self._call("GET", "/"))

    def plugins(self) -> dict[str, str]:
        """Class → version of every connector plugin."""
        return {plugin["class"]: plugin.get("version", "") for plugin in self._call("GET", "/connector-plugins")}

    def validate(self, name: str, config: Mapping[str, str]) -> list[ConfigProblem]:
        """The connector's own validation; it really connects to the database."""
        answer = self._call(
            "PUT", f"/connector-plugins/{config['connector.class']}/config/validate", {"name": name, **config}
        )
        return [
            ConfigProblem(entry["value"]["name"], message)
            for entry in answer["configs"]
            for message in entry["value"]["errors"]
        ]

    def configs(self) -> dict[str, dict[str, str]]:
        """Connector → configuration of every connector, references to secrets unresolved, `name` left out."""
        answer = self._call("GET", "/connectors?expand=info")
        return {name: _without_name(entry["info"]["config"]) for name, entry in answer.items()}

    def statuses(self) -> dict[str, ConnectorStatus]:
        """Every connector's status."""
        answer = self._call("GET", "/connectors?expand=status")
        return {name: _status(entry["status"]) for name, entry in answer.items()}

    def status(self, name: str) -> ConnectorStatus | None:
        """One connector's status; None: there is none, or none yet."""
        answer = self._call("GET", f"/connectors/{name}/status", missing=None)
        return None if answer is None else _status(answer)

    def put_config(self, name: str, config: Mapping[str, str]) -> bool:
        """Create or replace; True: created."""
        return bool(self._send("PUT", f"/connectors/{name}/config", dict(config)).status_code == 201)

    def pause(self, name: str) -> None:
        """Keeps the task's resources: a PostgreSQL slot stays active."""
        self._call("PUT", f"/connectors/{name}/pause")

    def resume(self, name: str) -> None:
        self._call("PUT", f"/connectors/{name}/resume")

    def stop(self, name: str) -> None:
        """Frees the tasks; needed before offsets may be changed."""
        self._call("PUT", f"/connectors/{name}/stop")

    def restart(self, name: str, *, only_failed: bool = False) -> None:
        """Connector and tasks; a plain restart would leave the tasks as they are."""
        self._call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed={str(only_failed).lower()}")

    def delete(self, name: str) -> None:
        """Offsets stay: a connector made again under this name goes on where it was."""
        self._call("DELETE", f"/connectors/{name}")

    def offsets(self, name: str) -> list[dict[str, Any]]:
        """Connect's offsets: [{partition: …, offset: …}]."""
        return list(self._call("GET", f"/connectors/{name}/offsets")["offsets"])

    def delete_offsets(self, name: str) -> None:
        """Only for a stopped connector."""
        self._call("DELETE", f"/connectors/{name}/offsets")

    def _call(self, method: str, path: str, body: Any = None, **missing: Any) -> Any:
        response = self._send(method, path, body, allow_missing="missing" in missing)
        if response.status_code == 404 and "missing" in missing:
            return missing["missing"]
        return response.json() if response.content else None

    def _send(self, method: str, path: str, body: Any = None, *, allow_missing: bool = False) -> requests.Response:
        deadline = time.monotonic() + self._rebalance_deadline_s
        while True:
            try:
                response = self._session.request(method, self.url + path, json=body, timeout=self._timeout_s)
            except requests.RequestException as error:
                reason = type(error).__name__
                raise ConnectUnavailable(
                    f"Kafka Connect at {self.url} does not answer ({reason}); start it (`onhand up`), or set "
                    "ONHAND_CONNECT_URL"
                ) from None
            if response.status_code != 409 or not _rebalancing(response):
                break
            if time.monotonic() > deadline:
                raise ConnectUnavailable(
                    f"Kafka Connect at {self.url} rebalances since {self._rebalance_deadline_s:.0f} s "
                    f"({_message(response)}); look at the workers' logs, and whether a worker that should be gone is "
                    "still in the group"
                )
            time.sleep(REBALANCE_PAUSE_S)
        if response.status_code < 400 or (allow_missing and response.status_code == 404):
            return response
        message = f"{method} {path}: {response.status_code} {_message(response)}"
        if response.status_code >= 500:
            raise ConnectFailed(f"Kafka Connect failed: {message}; look at the worker's log")
        raise ConnectRefused(f"Kafka Connect refused: {message}", response.status_code)


def causes(trace: str) -> str:
    """Exception and causes of a Java stack trace, outermost first, repeated messages once."""
    said: list[str] = []
    for line in trace.splitlines():
        text = line.strip()
        if not text or text.startswith(("at ", "... ")):
            continue
        text = text.removeprefix("Caused by: ")
        head, _, message = text.partition(": ")
        text = message if message and " " not in head else text
        if not any(text in other for other in said):
            said.append(text)
    return " ← ".join(said)


def _rebalancing(response: requests.Response) -> bool:
    message = _message(response).lower()
    return "rebalance" in message or "in progress" in message or "leader" in message


def _message(response: requests.Response) -> str:
    try:
        return str(response.json().get("message", response.text))
    except (ValueError, AttributeError):
        return response.text[:500]


def _without_name(config: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in config.items() if key != "name"}


def _status(answer: Mapping[str, Any]) -> ConnectorStatus:
    connector = answer["connector"]
    return ConnectorStatus(
        name=answer["name"],
        state=connector["state"],
        worker=connector.get("worker_id", ""),
        trace=connector.get("trace", ""),
        tasks=tuple(
            TaskStatus(task["id"], task["state"], task.get("worker_id", ""), task.get("trace", ""))
            for task in answer["tasks"]
        ),
    )
