"""The broker itself is killed under traffic and comes back: workers stop, start again, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.integration.runtime_harness import Harness
from tests.stack import local_stack


@pytest.mark.integration
def test_a_killed_broker_loses_and_repeats_nothing() -> None:
    with local_stack(components=("kafka",)) as stack:

        def kill_twice() -> None:
            for _ in range(2):
                stack.process("kafka").kill()
                stack.restart("kafka")

        verdict = Harness(stack.settings().kafka, seed=1, faults=2, disturb=kill_twice).run()
    assert verdict.right, verdict
