"""What a process keeps in its directory, and what becomes of it on a disk that is full or cannot lock."""

from __future__ import annotations

import errno
import fcntl
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.errors import EnvironmentFault
from streams.agents.runtime.worker import MEMBER_FILE, lock_directory, member_id


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process can take a byte more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_member_keeps_its_name(tmp_path: Path) -> None:
    name = member_id("inventory", tmp_path)
    assert name.startswith("inventory-")
    assert member_id("inventory", tmp_path) == name
    assert [file.name for file in tmp_path.iterdir()] == [MEMBER_FILE]


def test_a_full_disk_leaves_no_member_without_a_name(tmp_path: Path) -> None:
    with no_room(), pytest.raises(EnvironmentFault, match=MEMBER_FILE):
        member_id("inventory", tmp_path)
    assert not (tmp_path / MEMBER_FILE).exists()
    assert member_id("inventory", tmp_path).startswith("inventory-")


def test_an_empty_name_is_none(tmp_path: Path) -> None:
    (tmp_path / MEMBER_FILE).touch()
    name = member_id("inventory", tmp_path)
    assert name.startswith("inventory-")
    assert member_id("inventory", tmp_path) == name


@pytest.mark.parametrize("busy", [False, True])
def test_a_file_system_without_locks_is_the_environments_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    def without_locks(handle: object, operation: int) -> None:
        raise BlockingIOError if busy and operation & fcntl.LOCK_NB else OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with pytest.raises(EnvironmentFault, match="cannot be locked"):
        lock_directory(tmp_path)
