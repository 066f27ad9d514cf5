"""How each onhand process answers about itself: one small HTTP server.

    with serve_health(settings, Kind.STAGE, "inventory", worker.health):
        …

| path | answer |
|---|---|
| `/`, `/health` | 200 with the dict that the process's check returns; 503 when it says `"healthy": false` or raises |
| `/ready` | the same; 503 also when it says `"ready": false`: it starts, stands by, or catches up |
| `/metrics` | the same as Prometheus reads it; always 200 |

The port stands in `<data_dir>/run/<process>.health`; `onhand health NAME` and `onhand status` read it there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

import requests

from onhand.clock import clock_us
from onhand.metrics.catalogue import Kind
from onhand.metrics.exposition import CONTENT_TYPE, expose
from onhand.metrics.samples import is_ready
from onhand.settings import Settings
from schemas.errors import EnvironmentFault

HOST = "127.0.0.1"
JSON = "application/json"
Check = Callable[[], dict[str, Any]]
"""Quick and from any thread; a key `healthy` that is false makes the answer 503."""


class Page(NamedTuple):
    """One answer."""

    status: int
    content_type: str
    body: bytes


Pages = Mapping[str, Callable[[], Page]]
"""Path → what stands there."""


class HealthServer:
    """Answers in a thread of its own until it is closed."""

    def __init__(self, place: Path | int, pages: Pages, port: int = 0, host: str = HOST) -> None:
        """`place`: the file to write the port to, or the port itself.  `port` 0: a free one.

        Raises EnvironmentFault when the port is in use.
        """
        port = place if isinstance(place, int) else port
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(pages))
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


def health_pages(check: Check) -> dict[str, Callable[[], Page]]:
    """The pages of a check without metrics."""

    def health() -> Page:
        answer = _asked(check)
        return _json(answer, bool(answer["healthy"]))

    def ready() -> Page:
        answer = _asked(check)
        return _json(answer, is_ready(answer))

    return {"/": health, "/health": health, "/ready": ready}


def process_pages(kind: Kind, process: str, check: Check) -> dict[str, Callable[[], Page]]:
    """The pages of a process."""

    def metrics() -> Page:
        return Page(200, CONTENT_TYPE, expose(kind, process, _asked(check), clock_us()))

    return {**health_pages(check), "/metrics": metrics}


def json_page(document: Any) -> Page:
    """A document as it is."""
    return Page(200, JSON, json.dumps(document, default=str).encode())


def _asked(check: Check) -> dict[str, Any]:
    try:
        return {"healthy": True, **check()}
    except Exception as error:  # noqa: BLE001 -- a check that fails is an answer: not healthy
        return {"healthy": False, "error": f"{type(error).__name__}: {error}"}


def _json(answer: Any, good: bool) -> Page:
    return json_page(answer)._replace(status=200 if good else 503)


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            there = ", ".join(pages)
            answer = page() if page is not None else Page(404, "text/plain", f"there are {there}\n".encode())
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Polling is not worth a log line."""

    return Handler


def full_name(name: str, instance: str) -> str:
    """`inventory`, or `inventory@1` for a second worker of the group on this machine."""
    return name if instance == "0" else f"{name}@{instance}"


def health_file(data_dir: Path, process: str) -> Path:
    return data_dir / "run" / f"{process}.health"


def serve_health(settings: Settings, kind: Kind, name: str, check: Check, more: Pages | None = None) -> HealthServer:
    """The health server of process `name` (`source-erp`, `inventory`, …) as the settings want it."""
    process = full_name(name, settings.instance)
    pages = {**process_pages(kind, process, check), **(more or {})}
    return HealthServer(health_file(settings.data_dir, process), pages, settings.health_port, settings.health_host)


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
