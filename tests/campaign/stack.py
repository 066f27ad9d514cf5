"""The local stack with a proxy on every line, and clocks that can be stepped for one process alone.

A client of Kafka goes on to the address that the broker advertises, so each one has a listener of its own, advertised
at its proxy.  The judges and the command line take no detour.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onhand.demo.system import PROCESSES
from onhand.health import full_name
from onhand.stack.component import HOST, Command, Component, port_is_free
from onhand.stack.components.connect import Connect
from onhand.stack.components.kafka import Kafka
from onhand.stack.local import LocalStack
from onhand.stack.process import Process
from onhand.stack.site import FREE_PORTS
from schemas.errors import EnvironmentFault
from tests.campaign.proxy import Proxy, ProxyLoop

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
KAFKA_CLIENTS = (*PROCESSES, "connect")
SERVERS = ("postgres", "mariadb", "registry", "shop")
"""Each has one line for all its clients."""


class Clock:
    """The wall clock of one process, in seconds beside the machine's; libfaketime reads it from a file each second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, offset_s: int) -> None:
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{offset_s:+d}\n")
        scratch.chmod(0o644)
        scratch.replace(self._file)

    def environment(self) -> dict[str, str]:
        """For a process that is to live by it.  The monotonic clock stays the machine's."""
        if not FAKETIME.exists():
            raise EnvironmentFault(f"no {FAKETIME}: run  apt-get install --no-install-recommends libfaketime")
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


@dataclass(frozen=True)
class ProxiedKafka(Kafka):
    """One more listener for each client."""

    clients: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Client → the port the broker listens on, the port it advertises there."""

    def properties(self) -> dict[str, object]:
        own = super().properties()
        names = {client: f"C{n}" for n, client in enumerate(self.clients)}
        listeners = [f"{names[client]}://{HOST}:{listens}" for client, (listens, _) in self.clients.items()]
        advertised = [f"{names[client]}://{HOST}:{told}" for client, (_, told) in self.clients.items()]
        return own | {
            "listeners": ",".join((str(own["listeners"]), *listeners)),
            "advertised.listeners": ",".join((str(own["advertised.listeners"]), *advertised)),
            "listener.security.protocol.map": ",".join(
                (str(own["listener.security.protocol.map"]), *(f"{name}:PLAINTEXT" for name in names.values()))
            ),
            "inter.broker.listener.name": "PLAINTEXT",
        }


@dataclass(frozen=True)
class ProxiedConnect(Connect):
    """Its Kafka is behind the proxy."""

    kafka_port: int = 0

    def properties(self) -> dict[str, object]:
        return super().properties() | {"bootstrap.servers": f"{HOST}:{self.kafka_port}"}


@dataclass(frozen=True)
class Clocked:
    """A component that lives by the campaign's clock when it has one."""

    inner: Component
    clocks: Mapping[str, Clock]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def needs(self) -> tuple[str, ...]:
        return self.inner.needs

    @property
    def ports(self) -> Mapping[str, int]:
        return self.inner.ports

    def prepare(self) -> None:
        self.inner.prepare()

    def command(self) -> Command:
        command = self.inner.command()
        if (clock := self.clocks.get(self.name)) is None:
            return command
        return replace(command, environment={**command.environment, **clock.environment()})

    def ready(self) -> bool:
        return self.inner.ready()


class RigStack(LocalStack):
    """`lines`: `<client>-kafka`, `postgres`, `mariadb`, `registry`, `shop`."""

    def __init__(self, data_dir: Path, *, broken: str | None = None, **options: Any) -> None:
        """`broken`: every process of onhand runs without this guard (`tests.campaign.broken`)."""
        super().__init__(data_dir, ports="free", restart=True, **options)
        self._broken = broken
        self.clocks: dict[str, Clock] = {}
        self.shop_port = 0
        self._proxies = ProxyLoop()
        self._listens = dict(zip(KAFKA_CLIENTS, _free_ports(len(KAFKA_CLIENTS)), strict=True))
        self.lines: dict[str, Proxy] = {
            **{f"{client}-kafka": self._to(lambda client=client: self._listens[client]) for client in KAFKA_CLIENTS},
            "postgres": self._to(lambda: self.site.ports.postgres),
            "mariadb": self._to(lambda: self.site.ports.mariadb),
            "registry": self._to(lambda: self.site.ports.registry),
            "shop": self._to(lambda: self.shop_port),
        }

    def _to(self, target: Any) -> Proxy:
        return self._proxies.proxy(target)

    def _build(self, name: str) -> Component:
        return Clocked(self._proxied(super()._build(name)), self.clocks)

    def _proxied(self, component: Component) -> Component:
        if isinstance(component, Kafka):
            clients = {client: (self._listens[client], self.kafka_port(client)) for client in KAFKA_CLIENTS}
            return ProxiedKafka(component.site, component.java, component.libs, clients=clients)
        if isinstance(component, Connect):
            kafka_port = self.kafka_port("connect")
            return ProxiedConnect(
                component.site, component.java, component.libs, component.plugins, kafka_port=kafka_port
            )
        return component

    def kafka_port(self, client: str) -> int:
        """Where this client finds Kafka."""
        return self.lines[f"{client}-kafka"].port

    def start_process(
        self, name: str, *, instance: str = "0", environment: Mapping[str, str] | None = None, **overrides: Any
    ) -> Process:
        """As ever, with its lines through the proxies and its own clock if it has one."""
        clock = self.clocks.get(full_name(name, instance))
        proxied = {
            "kafka": f"{HOST}:{self.kafka_port(name)}",
            "registry_url": f"http://{HOST}:{self.lines['registry'].port}/apis/ccompat/v7",
        }
        return super().start_process(
            name,
            instance=instance,
            environment={**(environment or {}), **(clock.environment() if clock else {})},
            **{**overrides, **proxied},
        )

    def _run(self, name: str, environment: Mapping[str, str]) -> Command:
        command = super()._run(name, environment)
        if self._broken is None:
            return command
        python, _, _, *arguments = command.argv
        return replace(command, argv=(python, "-m", "tests.campaign.broken", self._broken, *arguments))

    def clock(self, name: str) -> Clock:
        """From its next start on the process lives by this one."""
        clock = self.clocks[name] = Clock(self.site.data_dir / f"{name}.clock")
        return clock

    def close(self, *, wipe: bool = False) -> None:
        super().close(wipe=wipe)
        self._proxies.close()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; a collision with one of the stack's own is seen at its start."""
    found = [port for port in random.sample(FREE_PORTS, 50 * count) if port_is_free(port)]
    return found[:count]
