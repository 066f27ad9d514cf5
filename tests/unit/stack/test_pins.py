"""The pin file and what it guards."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from onhand.stack import pins
from onhand.stack.pins import Coordinate
from schemas.errors import EnvironmentFault


def test_every_pin_has_a_sum_and_names_a_version() -> None:
    for section, entries in pins.read_pins().items():
        assert entries, section
        for coordinate, sha256 in entries.items():
            assert re.fullmatch(r"[0-9a-f]{64}", sha256), coordinate
            assert str(Coordinate.parse(coordinate)) == coordinate


def test_no_artifact_is_pinned_in_two_versions() -> None:
    parsed = [Coordinate.parse(c) for entries in pins.read_pins().values() for c in entries]

    assert len({(c.group, c.artifact, c.classifier) for c in parsed}) == len(parsed)


def test_the_cache_is_outside_the_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ONHAND_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert pins.cache_dir() == tmp_path / "onhand"

    monkeypatch.setenv("ONHAND_CACHE", str(tmp_path / "elsewhere"))
    assert pins.cache_dir() == tmp_path / "elsewhere"


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bytes]:
    """What the repository serves, one download after the other."""
    served: list[bytes] = []

    def download(cache: Path, coordinate: Coordinate) -> Path:
        path = cache / f"{coordinate.artifact}.jar"
        if not path.exists():
            path.write_bytes(served.pop(0))
        return path

    monkeypatch.setenv("ONHAND_CACHE", str(tmp_path))
    monkeypatch.setattr(pins, "_download", download)
    monkeypatch.setattr(pins, "read_pins", lambda: {"kafka": {"g:a:1": hashlib.sha256(b"right").hexdigest()}})
    return served


def test_the_right_file_is_assembled_once(downloads: list[bytes]) -> None:
    downloads.append(b"right")

    folder = pins.fetch_section("kafka")

    assert [file.read_bytes() for file in folder.iterdir()] == [b"right"]
    assert pins.fetch_section("kafka") == folder


def test_the_rest_of_an_interrupted_download_is_fetched_again(downloads: list[bytes]) -> None:
    downloads += [b"rig", b"right"]

    folder = pins.fetch_section("kafka")

    assert [file.read_bytes() for file in folder.iterdir()] == [b"right"]


def test_another_file_than_the_pinned_one_is_refused(downloads: list[bytes], tmp_path: Path) -> None:
    downloads += [b"evil", b"evil"]

    with pytest.raises(EnvironmentFault, match=r"g:a:1: SHA-256 is .*, versions\.toml says "):
        pins.fetch_section("kafka")

    assert not list(tmp_path.glob("kafka-*"))


def test_a_configured_java_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "java"
    binary.parent.mkdir()
    binary.touch(mode=0o755)
    monkeypatch.setenv("ONHAND_JAVA", str(tmp_path))
    assert pins.java() == binary

    monkeypatch.setenv("ONHAND_JAVA", str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match=r"ONHAND_JAVA: .*none is not an executable"):
        pins.java()


def test_the_java_of_pip_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONHAND_JAVA", raising=False)

    assert pins.java().name == "java"
