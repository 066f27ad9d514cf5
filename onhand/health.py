"""The health answer of each onhand process: one small HTTP server on 127.0.0.1.

    with serve_health(settings, "inventory", worker.health):
        …

`GET /` answers 200 with the dict that the process's check returns, or 503 when the check says `"healthy": false` or
raises.  The port stands in `<data_dir>/run/<process>.health`; `onhand health NAME` and `onhand status` read it there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import requests

from onhand.settings import Settings
from schemas.errors import EnvironmentFault

HOST = "127.0.0.1"
Check = Callable[[], dict[str, Any]]
"""Quick and from any thread; a key `healthy` that is false makes the answer 503."""


class HealthServer:
    """Answers in a thread of its own until it is closed."""

    def __init__(self, place: Path | int, check: Check, port: int = 0) -> None:
        """`place`: the file to write the port to, or the port itself.  `port` 0: a free one.

        Raises EnvironmentFault when the port is in use.
        """
        port = place if isinstance(place, int) else port
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(check))
        except OSError as error:
            raise EnvironmentFault(f"health answer: port {port}: {error.strerror}; set ONHAND_HEALTH_PORT") from error
        self._server.daemon_threads = True
        self._file = place if isinstance(place, Path) else None
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(str(self.port))
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _handler(check: Check) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer = {"healthy": True, **check()}
            except Exception as error:  # noqa: BLE001 -- a check that fails is an answer: not healthy
                answer = {"healthy": False, "error": f"{type(error).__name__}: {error}"}
            body = json.dumps(answer, default=str).encode()
            self.send_response(200 if answer["healthy"] else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Polling is not worth a log line."""

    return Handler


def full_name(name: str, instance: str) -> str:
    """`inventory`, or `inventory@1` for a second worker of the group on this machine."""
    return name if instance == "0" else f"{name}@{instance}"


def health_file(data_dir: Path, process: str) -> Path:
    return data_dir / "run" / f"{process}.health"


def serve_health(settings: Settings, name: str, check: Check) -> HealthServer:
    """The health server of process `name` (`source-erp`, `inventory`, …) as the settings want it."""
    place = health_file(settings.data_dir, full_name(name, settings.instance))
    return HealthServer(place, check, settings.health_port)


def ask_health(data_dir: Path, process: str, timeout_s: float = 2.0) -> dict[str, Any]:
    """The process's own answer; `{"healthy": False, "error": why}` when there is none."""
    file = health_file(data_dir, process)
    try:
        port = int(file.read_text())
        answer: dict[str, Any] = requests.get(f"http://{HOST}:{port}/", timeout=timeout_s).json()
    except FileNotFoundError:
        return {"healthy": False, "error": "it has not said where it answers; it is down or still starting"}
    except (requests.RequestException, ValueError) as error:
        return {"healthy": False, "error": f"no answer: {type(error).__name__}"}
    return answer
