"""A TCP proxy between two parts, whose line can be cut, reset, delayed or half open while they talk."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

HOST = "127.0.0.1"
DELAY_S = 0.4
CHUNK = 1 << 16
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST, and what was not yet sent is thrown away."""


class Line(StrEnum):
    """What the line does."""

    PASS = "pass"
    CUT = "cut"
    """Every connection is closed, a new one is closed at once."""
    RESET = "reset"
    """Every connection is reset, a new one at its first bytes."""
    DELAY = "delay"
    """Everything comes DELAY_S late, in order."""
    HALF_OPEN = "half-open"
    """Connections stay, new ones are accepted, and no byte arrives: neither side is told."""


class Proxy:
    """Listens on a port of its own from the start; asks for its target when somebody connects."""

    def __init__(self, loop: ProxyLoop, target: Callable[[], int]) -> None:
        self.line = Line.PASS
        self.bytes_passed = 0
        self._target, self._loop = target, loop
        self._open: set[_Connection] = set()
        listening = socket.create_server((HOST, 0))
        self.port: int = listening.getsockname()[1]
        loop.run(self._serve(listening))

    @contextmanager
    def disturbed(self, line: Line) -> Iterator[None]:
        """The line is so meanwhile.  A half-open one is reset at the end: what it swallowed is lost."""
        self._loop.run(self._turn(line))
        try:
            yield
        finally:
            self._loop.run(self._turn(Line.PASS))

    async def _serve(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accepted, sock=listening)

    async def _turn(self, line: Line) -> None:
        swallowed, self.line = self.line is Line.HALF_OPEN, line
        if line in (Line.CUT, Line.RESET) or swallowed:
            for connection in tuple(self._open):
                connection.end(reset=line is not Line.CUT)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.line is Line.CUT:
            writer.close()
            return
        connection = _Connection(self, reader, writer)
        self._open.add(connection)
        try:
            await connection.run(self._target())
        finally:
            self._open.discard(connection)

    async def close(self) -> None:
        self._server.close()
        for connection in tuple(self._open):
            connection.end(reset=True)


class _Connection:
    """One connection and its continuation."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._reader, self._writers = proxy, reader, [writer]
        self._pumps: list[asyncio.Task[None]] = []

    async def run(self, port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            self.end(reset=False)
            return
        self._writers.append(writer)
        self._pumps = [
            asyncio.create_task(self._pump(self._reader, writer)),
            asyncio.create_task(self._pump(reader, self._writers[0])),
        ]
        await asyncio.wait(self._pumps)
        self.end(reset=False)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes of one direction until it ends; the other may go on (HTTP/1.0 answers after a half close)."""
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._send(late, writer))
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                match self._proxy.line:
                    case Line.PASS:
                        late.put_nowait((clock(), data))
                    case Line.DELAY:
                        late.put_nowait((clock() + DELAY_S, data))
                    case Line.HALF_OPEN:
                        continue
                    case Line.CUT | Line.RESET:
                        self.end(reset=self._proxy.line is Line.RESET)
                        break
        late.put_nowait((clock(), b""))
        await sender

    async def _send(self, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while (item := await late.get())[1]:
                if (wait_s := item[0] - clock()) > 0:
                    await asyncio.sleep(wait_s)
                writer.write(item[1])
                self._proxy.bytes_passed += len(item[1])
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    def end(self, *, reset: bool) -> None:
        """Close both sides, or reset them."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            if reset and sock is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if reset:
                writer.transport.abort()
            else:
                writer.close()


class ProxyLoop:
    """The thread in which all proxies of a campaign live."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # a broken line is what it is for
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._proxies: list[Proxy] = []

    def proxy(self, target: Callable[[], int]) -> Proxy:
        """A new proxy to the port that `target` names when it is needed."""
        proxy = Proxy(self, target)
        self._proxies.append(proxy)
        return proxy

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """In the proxies' thread; waits for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        """End everything; harmless when it has ended."""
        if self._loop.is_closed():
            return
        for proxy in self._proxies:
            self.run(proxy.close())
        self.run(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
