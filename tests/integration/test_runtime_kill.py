"""The runtime under kill -9, SIGTERM, SIGSTOP beyond the session, and deleted stores: three runs at once for load.

ONHAND_KILL_FAULTS (8) faults per run and ONHAND_KILL_SEED (a new one each time) make it longer or repeat it.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.runtime_harness import Harness, Verdict
from tests.stack import RunningStack

RUNS = 3


@pytest.mark.integration
def test_no_fault_loses_or_repeats_anything(stack: RunningStack) -> None:
    kafka = stack.settings().kafka
    faults = int(os.environ.get("ONHAND_KILL_FAULTS", "8"))
    first = int(os.environ.get("ONHAND_KILL_SEED", random.SystemRandom().randrange(1_000_000)))

    def run(seed: int) -> Verdict:
        return Harness(kafka, seed, faults).run()

    with ThreadPoolExecutor(RUNS) as pool:
        verdicts = dict(zip(range(first, first + RUNS), pool.map(run, range(first, first + RUNS)), strict=True))
    for seed, verdict in verdicts.items():
        print(seed, verdict)
    assert {seed: verdict for seed, verdict in verdicts.items() if not verdict.right} == {}
    assert all(sum(verdict.faults.values()) == faults and verdict.positions for verdict in verdicts.values())
