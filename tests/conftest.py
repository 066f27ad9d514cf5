"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onhand.stack.local import LocalStack
from tests.stack import Database, RunningStack, mariadb_database, open_stack, postgres_database


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
