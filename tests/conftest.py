"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

from onhand.stack import site
from onhand.stack.local import LocalStack
from tests.stack import Database, RunningStack, mariadb_database, open_stack, postgres_database

TOGETHER = ("tests/faults/", "tests/integration/")
"""Folders whose tests share a stack."""
LONGEST = (
    *TOGETHER,
    "tests/campaign/test_campaign.py",
    "tests/machine/test_machine.py",
    "tests/unit/sinks/test_desk_fuzz.py",
)
"""What two workers begin with, in this order; the many short files fill up."""


def pytest_configure(config: pytest.Config) -> None:
    """Two workers start servers at the same time: a port that is free now is free for one of them."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        site.FREE_PORTS = site.FREE_PORTS[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first; one process alone keeps the short ones in front."""
    if hasattr(config, "workerinput"):
        order = {group: place for place, group in enumerate(LONGEST)}
        items.sort(key=lambda item: order.get(group_of(item.nodeid), len(order)))


def group_of(nodeid: str) -> str:
    """What stays together in one worker: all tests of a stack, or else of a file."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


class ByStack(LoadScopeScheduling):  # type: ignore[misc]
    """Whole groups to whichever worker is free."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStack:
    """pytest-xdist 3.8's own `loadgroup` groups nothing with pytest 9.2: a test's name can no longer be changed."""
    return ByStack(config, log)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The real stack, one per test session: Kafka, Connect, registry, PostgreSQL, MariaDB; see tests/stack.py."""
    with open_stack() as running:
        yield running


@pytest.fixture(scope="session")
def local_stack(stack: RunningStack) -> LocalStack:
    """The same stack where it is local: it can also start, kill, hold and restart components and processes."""
    if not isinstance(stack, LocalStack):
        pytest.skip("only the local provider can hold and kill processes")
    return stack


@pytest.fixture
def postgres(stack: RunningStack) -> Iterator[Database]:
    """A throw-away PostgreSQL database."""
    with postgres_database(stack.endpoints) as database:
        yield database


@pytest.fixture
def mariadb(stack: RunningStack) -> Iterator[Database]:
    """A throw-away MariaDB database."""
    with mariadb_database(stack.endpoints) as database:
        yield database
