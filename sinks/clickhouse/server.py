"""chDB over ClickHouse's HTTP protocol, read-only, on 127.0.0.1.

chDB belongs to one process.  While that process runs, any ClickHouse client reads through this door.  What can be
changed is nothing: the handle behind it is `readonly`, and what the engine does on the client's side (INTO OUTFILE) is
refused by name.  Queries run one after the other.
"""

from __future__ import annotations

import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import chdb

from schemas.errors import EnvironmentFault
from sinks.clickhouse.database import DEFAULT_DATABASE

HOST = "127.0.0.1"
ACCESS_DENIED = 497
UNKNOWN_EXCEPTION = 1002
SYNTAX_ERROR = 62
MAX_QUERY_BYTES = 1 << 20

LITERALS_AND_COMMENTS = re.compile(
    r"'(?:[^'\\]|\\.|'')*' | \"(?:[^\"\\]|\\.)*\" | `(?:[^`\\]|\\.)*` | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/",
    re.VERBOSE | re.DOTALL,
)
FORBIDDEN = re.compile(r"\bINTO\s+OUTFILE\b|\bFROM\s+INFILE\b", re.IGNORECASE)
ERROR_CODE = re.compile(r"Code: (\d+)\.")
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ReadOnlyDoor:
    """One read-only handle on the engine of this process; safe for several threads."""

    def __init__(self, directory: Path) -> None:
        self._handle = chdb.connect(str(directory.absolute()))  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()
        self._database = ""
        self._use(DEFAULT_DATABASE)
        self._handle.query("SET readonly = 1")

    def query(self, sql: str, database: str, default_format: str, parameters: dict[str, str]) -> bytes:
        """The answer in the query's own format or the default one.  Raises QueryRefused."""
        if FORBIDDEN.search(LITERALS_AND_COMMENTS.sub(" ", sql)):
            raise QueryRefused(ACCESS_DENIED, "files are not read or written here")
        with self._lock:
            try:
                self._use(database)
                return bytes(self._handle.query(sql, default_format, params=parameters).bytes())
            except (RuntimeError, ValueError) as error:
                code = ERROR_CODE.search(str(error))
                raise QueryRefused(int(code[1]) if code else UNKNOWN_EXCEPTION, str(error)) from None

    def close(self) -> None:
        with self._lock:
            self._handle.close()

    def _use(self, database: str) -> None:
        if database != self._database:
            if not NAME.fullmatch(database):
                raise QueryRefused(SYNTAX_ERROR, f"{database!r} is no name of a database")
            self._handle.query(f"USE {database}")
            self._database = database


class QueryRefused(Exception):
    """ClickHouse's error code and text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ClickHouseServer:
    """Answers until it is closed."""

    def __init__(self, directory: Path, port: int) -> None:
        """Port 0: a free one.  Raises EnvironmentFault when the port is in use."""
        self._door = ReadOnlyDoor(directory)
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self._door))
        except OSError as error:
            self._door.close()
            raise EnvironmentFault(
                f"ClickHouse's HTTP protocol: port {port}: {error.strerror}; free it or set ONHAND_CLICKHOUSE_PORT"
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="clickhouse-http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._door.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _handler(door: ReadOnlyDoor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if length > MAX_QUERY_BYTES or "content-length" not in self.headers:
                self.close_connection = True
                self._answer(411, b"a query needs a Content-Length of at most 1 MiB\n", {})
                return
            self._serve(self.rfile.read(length))

        def _serve(self, body: bytes) -> None:
            address = urlsplit(self.path)
            given = {name: values[-1] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
            if address.path in ("/ping", "/replicas_status"):
                self._answer(200, b"Ok.\n", {})
                return
            sql = "\n".join(part for part in (given.get("query", ""), body.decode(errors="replace")) if part)
            if not sql.strip():
                self._answer(200, b"Ok.\n", {})
                return
            form = given.get("default_format") or self.headers.get("x-clickhouse-format") or "TabSeparated"
            database = given.get("database") or self.headers.get("x-clickhouse-database") or DEFAULT_DATABASE
            parameters = {name[len("param_") :]: text for name, text in given.items() if name.startswith("param_")}
            identity = given.get("query_id") or str(uuid.uuid4())
            headers = {"X-ClickHouse-Query-Id": identity, "X-ClickHouse-Timezone": "UTC"}
            try:
                answer = door.query(sql, database, form, parameters)
            except QueryRefused as error:
                status = 403 if error.code in (ACCESS_DENIED, 164) else 404 if error.code in (60, 81) else 400
                headers["X-ClickHouse-Exception-Code"] = str(error.code)
                self._answer(status, f"{error}\n".encode(), headers)
                return
            written = FORMAT.search(sql)
            self._answer(200, answer, {**headers, "X-ClickHouse-Format": written[1] if written else form})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-ClickHouse-Server-Display-Name", "onhand")
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Readers are not news."""

    return Handler
