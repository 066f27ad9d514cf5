"""An HTTP receiver of Standard Webhooks whose behaviour a test decides; what it holds is what landed last."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes !!!").decode()


@dataclass
class Request:
    """One request as it came."""

    id: str
    timestamp: int
    genuine: bool
    kind: str
    items: list[dict[str, Any]]

    @property
    def keys(self) -> list[str]:
        return [item.get("sku") or item["order_id"] for item in self.items]


@dataclass
class Reply:
    """What to do with a request."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    apply: bool = True
    """Whether it takes effect."""
    wait: threading.Event | None = None
    """Answer, and take effect, only after this is set."""
    answer_after: threading.Event | None = None
    """Take effect at once, and answer only after this is set."""
    body: str = "{}"


class Receiver:
    """`behave(request)` decides; every request is kept in `requests`."""

    def __init__(self, behave: Callable[[Request], Reply] | None = None, port: int = 0) -> None:
        self.behave = behave or (lambda request: Reply())
        self.requests: list[Request] = []
        self.holds: dict[str, dict[str, Any]] = {}
        self._applied: set[str] = set()
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = receiver._read(dict(self.headers.items()), body)
                reply = receiver._arrived(request)
                if reply.wait is not None:
                    reply.wait.wait(60)
                receiver._applies(request, reply)
                if reply.answer_after is not None:
                    reply.answer_after.wait(60)
                try:
                    self.send_response(reply.status)
                    for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(reply.body.encode())
                except OSError:
                    self.close_connection = True  # the sender gave up waiting, as the test wants

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, condition: Callable[[Receiver], bool], what: str, timeout_s: float = 60.0) -> None:
        """Until `condition` holds; looked at after every request."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout_s):
                raise AssertionError(f"not within {timeout_s:g} s: {what}; requests: {self.requests[-5:]}")

    def quantities(self, sku: str) -> dict[str, Decimal]:
        return {location: Decimal(text) for location, text in self.holds[sku]["quantities"].items()}

    def told(self, key: str) -> list[Request]:
        return [request for request in self.requests if key in request.keys]

    def _read(self, headers: dict[str, str], body: bytes) -> Request:
        named = {name.lower(): value for name, value in headers.items()}
        identity, stamp = named["webhook-id"], named["webhook-timestamp"]
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
        genuine = f"v1,{base64.b64encode(digest).decode()}" in named["webhook-signature"].split()
        document = json.loads(body)
        return Request(identity, int(stamp), genuine, document["type"], document["data"]["items"])

    def _arrived(self, request: Request) -> Reply:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            return self.behave(request)

    def _applies(self, request: Request, reply: Reply) -> None:
        with self._changed:
            if reply.apply and request.id not in self._applied:
                self._applied.add(request.id)
                for key, item in zip(request.keys, request.items, strict=True):
                    self.holds[key] = item
            self._changed.notify_all()
