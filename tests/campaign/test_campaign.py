"""The campaign's short form: each way in which a part can fail once, most of them two at a time, on one running chain.

The whole campaign is `make faults`; this one is the same code with scenarios that are always the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.campaign.rig import Rig, running_rig
from tests.campaign.runner import run
from tests.campaign.scenario import Scenario, Step
from tests.campaign.stack import FAKETIME

pytestmark = pytest.mark.integration

ITEMS = 120
SEED = 7

SCENARIOS = {
    "connect resends, and a local store is lost": (
        Step("resend", "connect", "unflushed:erp:12", "back:connect"),
        Step("store", "orders", "units:orders:5", "works:orders"),
    ),
    "every process is killed": (Step("kill-all", "all", "told:20", "back:channel-shop"),),
    "the broker is away for longer than the lease, and a lane is killed": (
        Step("away", "kafka", "log:wms:40", "unwell:inventory"),
        Step("kill", "source-erp", "business:90", "back:source-erp"),
    ),
    "three workers of one group": (Step("storm", "inventory", "told:20", "now", {"workers": 3, "blows": 3, "lot": 4}),),
    "an owner is held beyond its session, the channel's line is cut": (
        Step("stop", "source-wms", "units:source-wms:3", "business:225"),
        Step("line-cut", "shop", "business:45", "business:75"),
    ),
    "lines to the broker are half open and slow": (
        Step("line-half-open", "inventory-kafka", "told:20", "business:225"),
        Step("line-delay", "connect-kafka", "business:45", "business:75"),
    ),
    "a database's line is reset, the registry's half open": (
        Step("line-reset", "postgres", "log:erp:40", "business:75"),
        Step("line-half-open", "registry", "business:20", "business:75"),
    ),
    "a disk is full, and another process's clock is a day ahead and set back": (
        Step("disk", "orders", "told:20", "business:150"),
        Step("clock", "inventory", "business:45", "business:75", {"seconds": 90_000}),
    ),
    "a slot is dropped, and the other source brings a transaction of 30,000 rows": (
        Step("slot", "erp", "log:erp:40", "status:erp:P06"),
        Step("transaction", "wms", "told:20", "now", {"rows": 30_000}),
    ),
    "a binlog is purged": (Step("purge", "wms", "log:wms:40", "status:wms:M12"),),
}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig(ITEMS, SEED) as running:
        yield running


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(rig: Rig, name: str) -> None:
    steps = SCENARIOS[name]
    if any(step.fault == "disk" for step in steps) and os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    if any(step.fault == "clock" for step in steps) and not FAKETIME.exists():
        pytest.skip("needs Debian's libfaketime")
    outcome = run(rig, Scenario(SEED, steps))
    print(f"recovered in {outcome.recovery_s} s")
    assert outcome.wrong == []
