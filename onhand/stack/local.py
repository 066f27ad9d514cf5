"""The local stack: every server as a process on 127.0.0.1, for `onhand up`, the demo and the tests.

with LocalStack(Path("/tmp/x"), ports="free") as stack:
    stack.start_process("inventory")
    stack.process("inventory").kill()
    stack.restart("kafka")
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Self

from onhand.health import full_name
from onhand.settings import STACK_FILE, Settings, load_settings
from onhand.stack import pins
from onhand.stack.component import Command, Component, require_free_ports
from onhand.stack.components.connect import Connect
from onhand.stack.components.kafka import Kafka
from onhand.stack.components.mariadb import Mariadb
from onhand.stack.components.postgres import Postgres
from onhand.stack.components.registry import Registry
from onhand.stack.packages import ensure_packages
from onhand.stack.process import Process
from onhand.stack.records import RECORD_FILE, Phase, Row, clear_leftovers, take_lock
from onhand.stack.site import Ports, Site
from onhand.stack.supervision import GRACE_S, Supervised, Supervisor
from schemas.errors import InvalidInput

COMPONENTS = ("postgres", "mariadb", "kafka", "registry", "connect")
"""All of them, in the order of starting."""
READY_S = 120.0
"""Generous: a cold, busy machine takes its time; a dead component is seen at once all the same."""
SINGLE_PROCESSES = ("inventory", "orders", "metrics", "watch")
NAMED_PROCESSES = ("source", "channel")


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are."""

    kafka: str
    connect_url: str
    registry_url: str
    postgres_dsn: str
    """Superuser, database `postgres`."""
    mariadb_dsn: str
    """Superuser, no database: `mysql://root:…@127.0.0.1:port/`."""
    secrets: Path
    """Folder that Kafka Connect's config providers may read."""

    @classmethod
    def of(cls, site: Site) -> Endpoints:
        document = site.endpoints()
        known = {name: str(document[name]) for name in cls.__dataclass_fields__ if name in document}
        return cls(**known, secrets=site.secrets)


class LocalStack:
    """Servers, and processes of onhand that use them.  Use as a context manager; leaving it stops everything."""

    def __init__(
        self,
        data_dir: Path,
        *,
        ports: Literal["free", "fixed"] = "free",
        components: Sequence[str] = COMPONENTS,
        settings: Settings | None = None,
        restart: bool = False,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`restart`: what exits is started again (`Supervisor`), as long as `poll` is called or `supervise` was."""
        if unknown := [name for name in components if name not in COMPONENTS]:
            raise InvalidInput(f"unknown component {', '.join(unknown)}; there are {', '.join(COMPONENTS)}")
        self._base = settings or load_settings(data_dir=data_dir)
        self._data_dir = data_dir.absolute()
        self._ports = ports
        self._wanted = [name for name in COMPONENTS if name in components]
        self._tell = tell
        self._restart = restart
        self._components: dict[str, Component] = {}
        self._lock: IO[str] | None = None
        self._watcher: threading.Thread | None = None
        self._stop_watching = threading.Event()
        self.site: Site
        self.supervisor: Supervisor

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Fetch, prepare and start everything and wait until it is ready; stops it all again when something fails.

        Raises EnvironmentFault: a package missing, a port in use, a component that dies, with what to do.
        """
        ensure_packages(self._wanted, self._tell)
        ports = Ports.free() if self._ports == "free" else Ports.fixed(self._base)
        self.site = Site.open(self._data_dir, ports, self._base.secrets_dir)
        self._lock = take_lock(self.site.run)
        try:
            if leftovers := clear_leftovers(self.site.run, GRACE_S):
                self._tell(f"stopped what an earlier run left behind: {', '.join(leftovers)}")
            self.supervisor = Supervisor(self.site.run, restart=self._restart, tell=self._tell)
            self._components = {name: self._build(name) for name in self._wanted}
            for component in self._components.values():
                require_free_ports(component)
            self.site.write_endpoints()
            self._start_components()
            self.supervisor.enter(Phase.SERVERS)
        except BaseException:
            self.close()
            raise

    def _build(self, name: str) -> Component:
        if name == "postgres":
            return Postgres(self.site)
        if name == "mariadb":
            return Mariadb(self.site)
        java = pins.java()
        if name == "registry":
            return Registry(self.site, java, pins.fetch_section("registry", self._tell))
        libs = pins.fetch_section("kafka", self._tell)
        if name == "kafka":
            return Kafka(self.site, java, libs)
        return Connect(self.site, java, libs, pins.fetch_section("plugins", self._tell))

    def _start_components(self) -> None:
        ready: set[str] = set()
        waiting = dict(self._components)
        while waiting:
            wave = [one for one in waiting.values() if all(n in ready or n not in self._components for n in one.needs)]
            for component in wave:
                self._launch(component)
            for component in wave:
                self.supervisor.await_ready(component.name, READY_S)
                ready.add(component.name)
                del waiting[component.name]
                self._tell(f"{component.name} is ready on port {next(iter(component.ports.values()))}")

    def _launch(self, component: Component) -> None:
        component.prepare()
        place = self.site.data_dir / component.name
        if place.is_symlink():
            self._tell(f"{component.name} keeps its data in {place.resolve()}: its user cannot reach {place.parent}")
        self.supervisor.start(
            Supervised(
                name=component.name,
                command=component.command,
                log=self.site.logs / f"{component.name}.log",
                component=True,
                port=next(iter(component.ports.values())),
                ready=component.ready,
            )
        )

    def close(self, *, wipe: bool = False) -> None:
        """Stop everything, last started first; `wipe` deletes its state too.  Harmless when it is stopped."""
        if self._lock is not None:
            if hasattr(self, "supervisor"):
                self.supervisor.enter(Phase.STOPPING)
                self.supervisor.end(*self.supervisor.names(component=False))
                for name in reversed(self.supervisor.names(component=True)):
                    self.supervisor.end(name)
            # the watcher last: with it the kernel kills the children that it started
            self._stop_watching.set()
            if self._watcher is not None:
                self._watcher.join()
                self._watcher = None
            (self.site.run / RECORD_FILE).unlink(missing_ok=True)
            (self.site.data_dir / STACK_FILE).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None
        if wipe and hasattr(self, "site"):
            self.site.wipe()

    def supervise(self) -> None:
        """Watch in a thread of its own until `close`."""
        if self._watcher is None:
            self._stop_watching.clear()
            self._watcher = threading.Thread(target=self.supervisor.watch, args=(self._stop_watching,), daemon=True)
            self._watcher.start()

    def poll(self) -> None:
        """One look at every process; see `Supervisor.poll`."""
        self.supervisor.poll()

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.of(self.site)

    def settings(self, **overrides: Any) -> Settings:
        """Settings of a process that uses this stack."""
        endpoints = self.endpoints
        ours: dict[str, Any] = {
            "data_dir": self._data_dir,
            "secrets_dir": endpoints.secrets,
            "kafka": endpoints.kafka,
            "connect_url": endpoints.connect_url,
            "registry_url": endpoints.registry_url,
            "clickhouse_port": self.site.ports.clickhouse,
            "postgres_port": self.site.ports.postgres,
            "mariadb_port": self.site.ports.mariadb,
        }
        return self._base.model_copy(update=ours | overrides)

    def start_process(
        self, name: str, *, instance: str = "0", environment: Mapping[str, str] | None = None, **overrides: Any
    ) -> Process:
        """Start `source-<name>`, `inventory`, `orders`, `channel-<name>`, `metrics` or `watch`.

        Another `instance` than "0" is a second worker of the same group, called `<name>@<instance>`.  `overrides` are
        settings of this process alone.  Starting one that has ended starts it anew.
        """
        settings = self.settings(instance=instance, **overrides)
        process = full_name(name, instance)
        command = self._run(name, settings_environment(settings) | dict(environment or {}))
        return self.supervisor.start(
            Supervised(name=process, command=lambda: command, log=self.site.logs / f"{process}.log")
        )

    def _run(self, name: str, environment: Mapping[str, str]) -> Command:
        return Command(
            argv=(sys.executable, "-m", "onhand.cli.main", "run", *process_arguments(name)),
            cwd=Path.cwd(),
            environment=environment,
            stop_signal=signal.SIGTERM,
        )

    def process(self, name: str) -> Process:
        """A started component or process, to kill, stop (SIGSTOP), continue or wait for."""
        return self.supervisor.process(name)

    def stop(self, name: str, *, grace_s: float = GRACE_S) -> None:
        """Stop one component or process; it stays down until it is started again."""
        self.supervisor.end(name, grace_s=grace_s)

    def start_component(self, name: str) -> None:
        """Start a stopped component again, on its old port and state, and wait until it is ready."""
        self._launch(self._components[name])
        self.supervisor.await_ready(name, READY_S)

    def restart(self, name: str) -> None:
        """Stop and start one component; returns when it is ready."""
        self.stop(name)
        self.start_component(name)

    def rows(self) -> list[Row]:
        """Everything that was started, and its state."""
        return self.supervisor.rows()


def process_arguments(name: str) -> tuple[str, ...]:
    """Arguments of `onhand run` for a process name.  Raises InvalidInput for a name there cannot be."""
    kind, _, rest = name.partition("-")
    if kind in NAMED_PROCESSES and rest:
        return kind, rest
    if name in SINGLE_PROCESSES:
        return (name,)
    known = ", ".join([*(f"{kind}-NAME" for kind in NAMED_PROCESSES), *SINGLE_PROCESSES])
    raise InvalidInput(f"unknown process {name}; there are {known}")


def configured_processes(settings: Settings) -> list[str]:
    """Every process that the configuration folders ask for, in the order of the flow."""
    channels = sorted(file.stem for file in settings.channel_configs.glob("*.yaml"))
    return [
        *(f"source-{name}" for name in settings.sources),
        *("inventory", "orders"),
        *(f"channel-{name}" for name in channels),
        "metrics",
        "watch",
    ]


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, every path absolute."""
    environment = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        environment[f"ONHAND_{name.upper()}"] = os.path.abspath(value) if isinstance(value, Path) else str(value)
    return environment
