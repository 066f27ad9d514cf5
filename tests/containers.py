"""The stack's servers from docker-compose.yml's images, through testcontainers.

They share the host's network and listen on free ports of 127.0.0.1, so that broker and Connect are configured by the
very properties of the local processes (`onhand.stack.components`) and every endpoint looks the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from onhand.settings import Settings, load_settings
from onhand.stack import pins
from onhand.stack.component import HOST, Component
from onhand.stack.components.connect import Connect
from onhand.stack.components.kafka import Kafka
from onhand.stack.components.mariadb import Mariadb
from onhand.stack.components.postgres import Postgres
from onhand.stack.components.registry import Registry
from onhand.stack.local import READY_S, Endpoints
from onhand.stack.process import wait_until
from onhand.stack.site import Ports, Site

COMPOSE_FILE = Path(__file__).parents[1] / "docker-compose.yml"
IMAGE_PLUGINS = "/opt/onhand/plugins"


@dataclass(frozen=True)
class Container:
    """What to run for one component."""

    name: str
    image: str
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    mounts: dict[str, str] = field(default_factory=dict)
    """Folder on the host → folder in the container, read-only."""


def images() -> dict[str, str]:
    """Component → image, as docker-compose.yml has it."""
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    return {name: services[name]["image"] for name in ("kafka", "connect", "registry", "postgres", "mariadb")}


def container_settings(site: Site, plugins: Path) -> list[Container]:
    """Every container of the stack, in the order of starting, with the settings of the local processes."""
    image = images()
    nowhere = Path("/")
    kafka = Kafka(site, nowhere, nowhere).properties() | {"log.dirs": "/var/lib/kafka/data"}
    kafka.pop("log.cleaner.dedupe.buffer.size")
    postgres = Postgres(site).settings()
    postgres.pop("unix_socket_directories")  # the image's own set-up goes through its socket
    connect = Connect(site, nowhere, nowhere, Path(IMAGE_PLUGINS)).properties()
    return [
        Container(
            name="postgres",
            image=image["postgres"],
            environment={
                "POSTGRES_PASSWORD": site.identity.password,
                "POSTGRES_HOST_AUTH_METHOD": "scram-sha-256",
            },
            command=(
                "postgres",
                *(word for key, value in postgres.items() for word in ("-c", f"{key}={value}")),
            ),
        ),
        Container(
            name="mariadb",
            image=image["mariadb"],
            environment={"MARIADB_ROOT_PASSWORD": site.identity.password, "MARIADB_ROOT_HOST": HOST},
            command=("mariadbd", *(f"--{key}={value}" for key, value in Mariadb(site).options().items())),
        ),
        Container(
            name="kafka",
            image=image["kafka"],
            environment={"CLUSTER_ID": site.identity.cluster_id} | as_variables("KAFKA", kafka),
        ),
        Container(
            name="registry",
            image=image["registry"],
            environment={
                key.upper().replace(".", "_").replace("-", "_"): str(value)
                for key, value in Registry(site, nowhere, nowhere).options().items()
                if not key.startswith("apicurio.")
            },
        ),
        Container(
            name="connect",
            image=image["connect"],
            command=(
                "sh",
                "-c",
                "".join(f"echo '{key}={value}' >> /tmp/connect.properties; " for key, value in connect.items())
                + "exec /opt/kafka/bin/connect-distributed.sh /tmp/connect.properties",
            ),
            mounts={str(plugins): IMAGE_PLUGINS, str(site.secrets): str(site.secrets)},
        ),
    ]


def as_variables(prefix: str, properties: dict[str, object]) -> dict[str, str]:
    """Java properties as the apache/kafka image reads them: `a.b_c` is PREFIX_A_B__C."""
    return {
        f"{prefix}_{key.upper().replace('_', '__').replace('.', '_').replace('-', '___')}": str(value)
        for key, value in properties.items()
    }


@dataclass(frozen=True)
class ContainerStack:
    """Running containers."""

    site: Site

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.of(self.site)

    def settings(self, **overrides: Any) -> Settings:
        """Settings of a process that uses this stack."""
        return load_settings(data_dir=self.site.data_dir).model_copy(update=overrides)


@contextmanager
def container_stack() -> Iterator[ContainerStack]:
    """Every server as a container; gone afterwards."""
    from testcontainers.core.container import DockerContainer

    folder = Path(tempfile.mkdtemp(prefix="onhand-test-"))
    site = Site.open(folder / "data", Ports.free())
    plugins = pins.fetch_section("plugins")
    nowhere = Path("/")
    probes: dict[str, Component] = {
        one.name: one
        for one in (
            Postgres(site),
            Mariadb(site),
            Kafka(site, nowhere, nowhere),
            Registry(site, nowhere, nowhere),
            Connect(site, nowhere, nowhere, plugins),
        )
    }
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder, ignore_errors=True)
        for settings in container_settings(site, plugins):
            container = (
                DockerContainer(settings.image).with_kwargs(network_mode="host").with_envs(**settings.environment)
            )
            if settings.command:
                container = container.with_command(list(settings.command))
            for host_folder, inside in settings.mounts.items():
                container = container.with_volume_mapping(host_folder, inside, "ro")
            running.enter_context(container)
            if not wait_until(probes[settings.name].ready, READY_S):
                raise TimeoutError(f"{settings.name} is not ready:\n{container.get_logs()}")
        site.write_endpoints()
        yield ContainerStack(site)
