"""The one shape every component of the local stack has."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from schemas.errors import EnvironmentFault

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to start, as whom and where."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to this process's own environment."""
    user: str | None = None
    """Unprivileged system user to become; None: stay who we are."""
    stop_signal: int = signal.SIGTERM
    """Asks it to stop quickly and cleanly."""
    timer_slack_us: int = 0
    """So much later than asked may its threads wake from a timed wait (PR_SET_TIMERSLACK); 0: as the kernel has it."""


class Component(Protocol):
    """A server of the stack.  `prepare`, then start `command`, then poll `ready` while the process lives."""

    @property
    def name(self) -> str:
        """Short and unique; names the log file, too."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Components that must be ready before this one starts."""

    @property
    def ports(self) -> Mapping[str, int]:
        """What each port is for → the port; all on 127.0.0.1."""

    def prepare(self) -> None:
        """Make directories and configuration files; harmless when they exist."""

    def command(self) -> Command:
        """The process to run in the foreground."""

    def ready(self) -> bool:
        """One quick question over the network; never raises."""


def port_answers(port: int, timeout_s: float = 0.5) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def require_free_ports(component: Component) -> None:
    """Raises EnvironmentFault that names every port of the component that is taken, and by whom if that can be seen."""
    taken = [
        f"{port} ({purpose}){_holder(port)}" for purpose, port in component.ports.items() if not port_is_free(port)
    ]
    if taken:
        raise EnvironmentFault(
            f"{component.name}: port {', '.join(taken)} is in use; stop that process or give onhand another port "
            "(README, Ports)"
        )


def _holder(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid:
                    return f" by pid {connection.pid} ({psutil.Process(connection.pid).name()})"
                break
    except (psutil.Error, OSError):
        pass  # naming the holder is a courtesy: not all systems let us look
    return ""
