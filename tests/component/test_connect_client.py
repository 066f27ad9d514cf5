"""The Connect client against an HTTP server that answers as a rebalancing worker does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streams.connect.client import ConnectClient, ConnectFailed, ConnectRefused, ConnectUnavailable

REBALANCE = (
    409,
    {"error_code": 409, "message": "Cannot complete request because of a conflicting operation: rebalance"},
)


class Worker(ThreadingHTTPServer):
    """Gives its answers in order; the last one for ever."""

    answers: list[tuple[int, object]]
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Worker

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.server.answers[min(self.server.asked, len(self.server.answers) - 1)]
        self.server.asked += 1
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_rebalance_is_waited_for(worker: Worker) -> None:
    worker.answers = [REBALANCE, REBALANCE, (201, {})]
    with ConnectClient(worker.url) as client:
        assert client.put_config("erp", {"a": "b"}) is True
    assert worker.asked == 3


def test_a_rebalance_without_end_says_what_to_look_at(worker: Worker) -> None:
    worker.answers = [REBALANCE]
    with (
        ConnectClient(worker.url, rebalance_deadline_s=0.3) as client,
        pytest.raises(ConnectUnavailable, match=r"rebalances since .*workers' logs"),
    ):
        client.pause("erp")
    assert worker.asked > 1


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((409, {"message": "Connector erp already exists"}), ConnectRefused, "already exists"),
        ((400, {"message": "Connector config is invalid"}), ConnectRefused, "invalid"),
        ((500, {"message": "Request timed out"}), ConnectFailed, "worker's log"),
        ((500, "no json message"), ConnectFailed, "no json message"),
    ],
)
def test_other_answers_are_told_at_once(
    worker: Worker, answer: tuple[int, object], error: type[Exception], words: str
) -> None:
    worker.answers = [answer]
    with ConnectClient(worker.url) as client, pytest.raises(error, match=words):
        client.pause("erp")
    assert worker.asked == 1


def test_nobody_there_says_what_to_start() -> None:
    with ConnectClient("http://127.0.0.1:9") as client, pytest.raises(ConnectUnavailable, match="onhand up"):
        client.pause("erp")
