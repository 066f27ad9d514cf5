"""The container way: docker-compose.yml and the settings of the test containers, without an engine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from onhand.settings import Settings, load_settings
from onhand.stack import pins
from onhand.stack.components.connect import Connect
from onhand.stack.components.kafka import Kafka
from onhand.stack.components.mariadb import Mariadb
from onhand.stack.components.postgres import Postgres
from onhand.stack.local import COMPONENTS, configured_processes, process_arguments
from onhand.stack.site import Ports, Site
from tests.containers import COMPOSE_FILE, Container, as_variables, container_settings, images

PROJECT = COMPOSE_FILE.parent
INSTALLATION_OWN = {
    "bootstrap.servers",
    "listeners",
    "rest.advertised.host.name",
    "plugin.path",
    "config.providers.file.param.allowed.paths",
    "config.providers.dir.param.allowed.paths",
}
"""What differs between containers and local processes."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return document


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.open(tmp_path, Ports.free())


def test_docker_compose_accepts_the_file() -> None:
    tool = shutil.which("docker-compose")
    assert tool, "docker-compose is missing: apt-get install --no-install-recommends docker-compose"

    done = subprocess.run(
        (tool, "--file", str(COMPOSE_FILE), "config", "--quiet"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_every_server_and_process_is_a_service(compose: dict[str, Any]) -> None:
    processes = configured_processes(load_settings(project_dir=PROJECT))

    services = set(compose["services"])

    assert services == {*COMPONENTS, *processes, "clickhouse", "plugins", "topics"}
    for name in processes:
        assert compose["services"][name]["command"] == ["run", *process_arguments(name)]
        assert compose["services"][name]["healthcheck"]["test"] == ["CMD", "onhand", "health", name]


def test_everything_that_stays_up_has_a_health_check_and_a_restart_policy(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name in {"plugins", "topics"}:  # they run once
            continue
        assert "healthcheck" in service, name
        assert service["restart"] == "unless-stopped", f"{name} must come back after the host was restarted, too"


def test_only_this_host_reaches_the_published_ports(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]

    assert all(port.startswith("127.0.0.1:") for port in published)
    ports = Ports.fixed(Settings())
    fixed = {ports.kafka, ports.connect, ports.registry, ports.postgres, ports.mariadb, ports.clickhouse}
    assert {int(port.split(":")[1]) for port in published} == fixed


def test_images_carry_the_pinned_versions(compose: dict[str, Any]) -> None:
    pinned = {
        c.artifact: c.version
        for c in (pins.Coordinate.parse(c) for section in pins.read_pins().values() for c in section)
    }

    assert images()["kafka"] == images()["connect"] == f"apache/kafka:{pinned['kafka-clients']}"
    assert images()["registry"].endswith(f":{pinned['apicurio-registry-app']}")


def test_the_processes_get_settings_that_exist(compose: dict[str, Any]) -> None:
    known = {f"ONHAND_{name.upper()}" for name in Settings.model_fields}

    given = set(compose["x-onhand"]["environment"])

    assert given - known == {"ONHAND_SHOP_URL"}  # what the shop's channel file refers to


def test_connect_is_the_same_worker_in_a_container(site: Site) -> None:
    lines = (PROJECT / "docker" / "connect.properties").read_text().splitlines()
    in_container = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    local = {key: str(value) for key, value in Connect(site, Path(), Path(), Path()).properties().items()}

    assert in_container.keys() == local.keys()
    differing = {key for key in local if local[key] != in_container[key]}
    assert differing == INSTALLATION_OWN


def test_the_broker_is_the_same_in_a_container(compose: dict[str, Any], site: Site) -> None:
    local = as_variables("KAFKA", Kafka(site, Path(), Path()).properties())
    in_container = compose["services"]["kafka"]["environment"]

    alike = set(local) - {"KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE", "KAFKA_NUM_NETWORK_THREADS", "KAFKA_NUM_IO_THREADS"}
    differing = {key for key in alike if in_container.get(key) != local[key]}

    assert {key for key in differing if "LISTENER" not in key and "VOTERS" not in key} == {"KAFKA_LOG_DIRS"}


def test_the_databases_are_the_same_in_a_container(compose: dict[str, Any], site: Site) -> None:
    postgres = {f"-c{key}={value}" for key, value in Postgres(site).settings().items()}
    mariadb = {f"--{key}={value}" for key, value in Mariadb(site).options().items()}

    own = ("-clisten_addresses", "-cport", "-cunix_socket_directories", "--bind-address", "--port")
    assert set(compose["services"]["postgres"]["command"][1:]) == {x for x in postgres if not x.startswith(own)}
    assert set(compose["services"]["mariadb"]["command"][1:]) == {x for x in mariadb if not x.startswith(own)}


@pytest.fixture
def containers(site: Site, tmp_path: Path) -> dict[str, Container]:
    return {one.name: one for one in container_settings(site, tmp_path / "plugins")}


def test_test_containers_start_in_order(containers: dict[str, Container]) -> None:
    assert tuple(containers) == COMPONENTS
    assert {name: one.image for name, one in containers.items()} == images()


def test_the_test_broker_listens_on_the_free_ports(containers: dict[str, Container], site: Site) -> None:
    environment = containers["kafka"].environment

    assert environment["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://127.0.0.1:{site.ports.kafka}"
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@127.0.0.1:{site.ports.controller}"
    assert environment["CLUSTER_ID"] == site.identity.cluster_id


def test_the_test_worker_sees_plugins_and_secrets(containers: dict[str, Container], site: Site, tmp_path: Path) -> None:
    connect = containers["connect"]

    assert connect.mounts == {
        str(tmp_path / "plugins"): "/opt/onhand/plugins",
        str(site.secrets): str(site.secrets),
    }
    assert f"config.providers.file.param.allowed.paths={site.secrets}" in connect.command[-1]
    assert "plugin.path=/opt/onhand/plugins" in connect.command[-1]


def test_the_test_databases_need_the_password(containers: dict[str, Container], site: Site) -> None:
    assert containers["postgres"].environment["POSTGRES_PASSWORD"] == site.identity.password
    assert containers["postgres"].environment["POSTGRES_HOST_AUTH_METHOD"] == "scram-sha-256"
    assert f"port={site.ports.postgres}" in containers["postgres"].command
    assert containers["mariadb"].environment["MARIADB_ROOT_PASSWORD"] == site.identity.password
    assert f"--port={site.ports.mariadb}" in containers["mariadb"].command


def test_the_registry_listens_on_its_free_port(containers: dict[str, Container], site: Site) -> None:
    assert containers["registry"].environment["QUARKUS_HTTP_PORT"] == str(site.ports.registry)


@pytest.mark.parametrize(
    ("key", "variable"),
    [("log.dirs", "KAFKA_LOG_DIRS"), ("a_b.c", "KAFKA_A__B_C"), ("a-b", "KAFKA_A___B")],
)
def test_properties_as_the_image_reads_them(key: str, variable: str) -> None:
    assert as_variables("KAFKA", {key: 1}) == {variable: "1"}
