"""Fixtures of inventory's tests."""

from __future__ import annotations

import pytest

from tests.unit.inventory.kit_world import World


@pytest.fixture
def world() -> World:
    """K is made of 2 A and 0.5 B; there are 10 A and 4 B."""
    found = World()
    found.stock("A", 10)
    found.stock("B", 4)
    found.kit("K", A=2, B="0.5")
    assert (found.now("K"), found.now("A"), found.now("B")) == (5, 10, 4)
    return found
