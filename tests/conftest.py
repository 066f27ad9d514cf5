"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from onhand.stack import site
from onhand.stack.local import LocalStack
from tests.stack import Database, RunningStack, mariadb_database, open_stack, postgres_database

TESTS = Path(__file__).parent
LONGEST = ("faults", "stack", "campaign/test_campaign.py", "machine/test_machine.py", "unit/sinks/test_desk_fuzz.py")
"""Groups that two workers begin with, in this order; the many short ones fill up."""


def pytest_configure(config: pytest.Config) -> None:
    """Two workers start servers at the same time: a port that is free now is free for one of them."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        site.FREE_PORTS = site.FREE_PORTS[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tell pytest-xdist what must stay together: all tests of one stack, or else of one file."""
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    if hasattr(config, "workerinput"):  # one worker alone keeps the short ones in front
        items.sort(key=lambda item: LONGEST.index(groups[item]) if groups[item] in LONGEST else len(LONGEST))


def group_of(item: pytest.Item) -> str:
    """`stack`: the session's stack; a folder with a chain of its own; or a file."""
    place = item.path.relative_to(TESTS)
    if "stack" in getattr(item, "fixturenames", ()):
        return "stack"
    return "faults" if place.parts[0] == "faults" else place.as_posix()


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
