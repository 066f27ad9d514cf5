"""The campaign's proxy does to a line what it says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.campaign.proxy import DELAY_S, HOST, Line, Proxy, ProxyLoop

WAIT_S = 5.0


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it is sent; its port."""
    server = socket.create_server((HOST, 0))

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield int(server.getsockname()[1])
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    loop = ProxyLoop()
    yield loop.proxy(lambda: echo)
    loop.close()


def connected(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((HOST, proxy.port), WAIT_S)
    client.settimeout(WAIT_S)
    return client


def said(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(100)


def test_it_passes_both_ways_and_a_half_close(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""


def test_cut_closes_what_is_open_and_what_comes(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        with proxy.disturbed(Line.CUT):
            assert client.recv(100) == b""
            with connected(proxy) as second:
                assert second.recv(100) == b""
    with connected(proxy) as client:
        assert said(client, b"again") == b"again"


def test_reset_is_an_error_at_both_ends(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        with proxy.disturbed(Line.RESET), pytest.raises(ConnectionResetError):
            client.recv(100)


def test_delay_keeps_the_order(proxy: Proxy) -> None:
    with connected(proxy) as client, proxy.disturbed(Line.DELAY):
        started = time.monotonic()
        client.sendall(b"one")
        client.sendall(b"two")
        answer = b""
        while len(answer) < 6:
            answer += client.recv(100)
        assert answer == b"onetwo"
        assert time.monotonic() - started >= 2 * DELAY_S


def test_half_open_swallows_everything_and_says_nothing(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        with proxy.disturbed(Line.HALF_OPEN):
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                said(client, b"is anybody there?")
            client.settimeout(WAIT_S)
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_target_that_is_away_closes_the_connection(proxy: Proxy) -> None:
    loop = ProxyLoop()
    try:
        with socket.create_server((HOST, 0)) as gone:
            port = gone.getsockname()[1]
        with connected(loop.proxy(lambda: int(port))) as client:
            assert client.recv(100) == b""
    finally:
        loop.close()
