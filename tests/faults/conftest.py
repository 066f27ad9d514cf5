"""One running chain for all fault tests; after each test it must be whole again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onhand.demo.system import DemoSystem
from tests.faults.chain import Chain

ITEMS = 150
SEED = 11
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def whole_chain() -> Iterator[Chain]:
    """Stack, demo databases, connectors, every process and the shop; its project folder is a copy that a test may
    change."""
    folder = Path(tempfile.mkdtemp(prefix="onhand-faults-"))
    folder.chmod(0o755)  # the databases' users must reach it
    try:
        project = copy_project(folder / "project")
        with DemoSystem(folder / "data", items=ITEMS, seed=SEED, project_dir=project) as system:
            yield Chain(system, project)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def chain(whole_chain: Chain) -> Iterator[Chain]:
    """The running chain.  Afterwards every process is well, nothing of a lane or channel is open, the audit empty."""
    yield whole_chain
    whole_chain.wait("every process to be well", whole_chain.running)
    assert whole_chain.differences() == []
    left = [f"{one.id}: {one.detail}" for one in whole_chain.exceptions() if one.stage in ("lane", "channel")]
    assert left == []
    assert whole_chain.system.shop.versions_back == 0


def copy_project(target: Path) -> Path:
    """A project folder like the repository's: what a test changes in it touches nobody else."""
    for name in ("connect-configs", "channel-configs"):
        shutil.copytree(REPOSITORY / name, target / name)
    return target
