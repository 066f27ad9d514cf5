"""Fixtures that several integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.inventory_support import InventoryProcesses, inventory_processes
from tests.stack import RunningStack


@pytest.fixture
def inventory(stack: RunningStack, tmp_path: Path) -> Iterator[InventoryProcesses]:
    """Inventory of two sources nobody else knows."""
    with inventory_processes(stack, tmp_path) as processes:
        yield processes
