"""Debian packages: named when we may not install, and installed without their services."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onhand.stack import packages
from schemas.errors import EnvironmentFault


def test_nothing_is_missing_for_components_without_packages() -> None:
    assert packages.missing_packages(["kafka", "registry", "connect"]) == []


def test_without_root_the_command_to_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "program", lambda name, *folders: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(EnvironmentFault) as raised:
        packages.ensure_packages(["postgres", "mariadb", "kafka"])

    assert "sudo apt-get install --no-install-recommends postgresql mariadb-server" in str(raised.value)


def test_services_stay_down_while_installing_and_the_policy_goes_away(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"

    with packages.services_stay_down(policy):
        assert policy.read_text() == "#!/bin/sh\nexit 101\n"
        assert os.access(policy, os.X_OK)

    assert not policy.exists()


def test_an_earlier_policy_is_put_back_even_after_a_failure(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o744)

    with pytest.raises(RuntimeError), packages.services_stay_down(policy):
        raise RuntimeError

    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert policy.stat().st_mode & 0o777 == 0o744
