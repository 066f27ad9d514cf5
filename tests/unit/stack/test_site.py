"""Folders, ports and passwords of a data directory."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import stat
import tempfile
from dataclasses import astuple
from pathlib import Path

import pytest

from onhand.settings import Settings, load_settings
from onhand.stack import site as site_module
from onhand.stack.component import port_is_free
from onhand.stack.site import Ports, Site, reachable
from schemas.errors import InvalidInput


def test_the_fixed_ports_are_those_of_the_settings() -> None:
    ports = Ports.fixed(Settings())

    assert (ports.kafka, ports.connect, ports.registry) == (19092, 18083, 18081)
    assert (ports.postgres, ports.mariadb, ports.clickhouse) == (15432, 13306, 18123)
    assert len(set(astuple(ports))) == len(astuple(ports))


def test_another_host_is_not_the_local_stack() -> None:
    with pytest.raises(InvalidInput, match=r"ONHAND_KAFKA: broker\.example:9092 is not a port on 127\.0\.0\.1"):
        Ports.fixed(load_settings(kafka="broker.example:9092"))


def test_free_ports_are_free_and_differ() -> None:
    one, other = astuple(Ports.free()), astuple(Ports.free())

    assert len(set(one)) == len(one)
    assert all(port_is_free(port) for port in one)
    assert set(one) != set(other)


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not port_is_free(server.getsockname()[1])


def test_identity_survives_reopening(tmp_path: Path) -> None:
    first = Site.open(tmp_path / "data", Ports.free())
    second = Site.open(tmp_path / "data", Ports.free())

    assert first.identity == second.identity
    assert not first.identity.cluster_id.startswith("-")
    assert len(first.identity.cluster_id) == 22


def test_secrets_are_private(tmp_path: Path) -> None:
    site = Site.open(tmp_path / "data", Ports.free())
    site.write_endpoints()

    assert stat.S_IMODE(site.secrets.stat().st_mode) == 0o700
    for file in ("stack.json", "identity.json"):
        assert stat.S_IMODE((site.data_dir / file).stat().st_mode) == 0o600


def test_processes_find_the_endpoints_in_the_data_directory(tmp_path: Path) -> None:
    site = Site.open(tmp_path, Ports.free())
    site.write_endpoints()

    settings = load_settings(data_dir=tmp_path)

    assert settings.kafka == f"127.0.0.1:{site.ports.kafka}"
    assert settings.connect_url == f"http://127.0.0.1:{site.ports.connect}"
    assert settings.postgres_port == site.ports.postgres
    document = json.loads((tmp_path / "stack.json").read_text())
    assert document["mariadb_dsn"].endswith(f"@127.0.0.1:{site.ports.mariadb}/")


def test_a_private_folder_above_keeps_other_users_out() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are private
        data = Path(folder) / "data"
        data.mkdir(mode=0o755)
        me = pwd.getpwuid(os.getuid()).pw_name

        Path(folder).chmod(0o755)
        assert reachable(data, "nobody")
        assert reachable(data, me)

        Path(folder).chmod(0o700)
        assert not reachable(data, "nobody")
        assert reachable(data, me)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs databases as another user")
def test_a_database_under_a_private_home_moves_to_a_shelter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "SHELTER", tmp_path / "shelter")
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    site = Site.open(private / "data", Ports.free())

    folder = site.database_dir("postgres", "nobody")

    assert folder.parent == tmp_path / "shelter"
    assert (site.data_dir / "postgres").is_symlink()
    assert folder.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    (folder / "kept").touch()
    assert site.database_dir("postgres", "nobody") == folder
    assert (folder / "kept").exists()

    shutil.rmtree(site.data_dir)
    site = Site.open(private / "data", Ports.free())
    assert site.database_dir("postgres", "nobody") == folder
    assert not (folder / "kept").exists(), "another data directory's state"

    site.wipe()
    assert not folder.exists()
    assert not site.data_dir.exists()
