"""The inventory process on real Kafka and registry: promises under kill -9, a lost store, and a second worker."""

from __future__ import annotations

import random

import pytest

from tests.integration.inventory_support import InventoryProcesses

pytestmark = pytest.mark.integration


def test_promises_survive_kill_lost_store_and_take_over(inventory: InventoryProcesses) -> None:
    rng = random.Random(1)
    inventory.start()
    inventory.trade(rng, 400)
    inventory.await_all()

    inventory.trade(rng, 400)
    inventory.kill()
    inventory.trade(rng, 200)
    inventory.start()
    inventory.await_all()

    inventory.kill()
    inventory.lose_store()
    inventory.trade(rng, 200)
    inventory.start()
    inventory.await_all()

    inventory.start("1")
    inventory.trade(rng, 400)
    inventory.await_all()
    inventory.kill("0")
    inventory.trade(rng, 400)
    inventory.await_all()
