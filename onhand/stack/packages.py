"""Database servers of the distribution: found, or installed when we may, without starting their own services."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from onhand.stack.process import program
from schemas.errors import EnvironmentFault

POSTGRES_FOLDERS = tuple(Path(f"/usr/lib/postgresql/{major}/bin") for major in (15, 16, 17))
MARIADB_FOLDERS = (Path("/usr/sbin"), Path("/usr/bin"))
PROGRAMS: dict[str, tuple[str, tuple[Path, ...], str]] = {
    "postgres": ("initdb", POSTGRES_FOLDERS, "postgresql"),
    "mariadb": ("mariadbd", MARIADB_FOLDERS, "mariadb-server"),
}
"""Component → the program that proves it is there, where to look, the Debian package that brings it."""
POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this file before a package may start a service (invoke-rc.d); exit 101 forbids it."""


def missing_packages(components: Iterable[str]) -> list[str]:
    """Debian packages that the components need and that are not there."""
    wanted = [PROGRAMS[name] for name in components if name in PROGRAMS]
    return [package for name, folders, package in wanted if program(name, *folders) is None]


def ensure_packages(components: Iterable[str], tell: Callable[[str], None] = lambda line: None) -> None:
    """Install what is missing when root.

    Raises EnvironmentFault that names the command to run when not root, or when apt fails or is not there.
    """
    missing = missing_packages(components)
    if not missing:
        return
    command = f"apt-get install --no-install-recommends {' '.join(missing)}"
    apt = program("apt-get")
    if apt is None or os.geteuid() != 0:
        raise EnvironmentFault(f"missing database servers: run  sudo {command}  (their own services are not needed)")
    tell(f"installing {' '.join(missing)}")
    with services_stay_down():
        _apt(apt, "update")
        _apt(apt, "install", "-y", "--no-install-recommends", *missing)
    if still := missing_packages(components):
        raise EnvironmentFault(f"{' '.join(still)}: installed, but its programs are not where they should be")


def _apt(apt: str, *arguments: str) -> None:
    done = subprocess.run(
        (apt, "-o", "DPkg::Lock::Timeout=120", "-q", *arguments),
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-10:])
        raise EnvironmentFault(f"apt-get {' '.join(arguments)} failed:\n{last}")


@contextmanager
def services_stay_down(policy: Path = POLICY) -> Iterator[None]:
    """Packages installed meanwhile start nothing; an earlier policy is put back."""
    kept = policy.read_bytes() if policy.exists() else None
    mode = policy.stat().st_mode if kept is not None else 0
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        if kept is None:
            policy.unlink(missing_ok=True)
        else:
            policy.write_bytes(kept)
            policy.chmod(mode)


if __name__ == "__main__":
    ensure_packages(PROGRAMS, print)
