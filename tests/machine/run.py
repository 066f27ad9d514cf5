"""Random lives of the machine, the same ones each time."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.machine import ChainMachine

STEPS = 40


def live(examples: int, *, shrink: bool = True) -> None:
    """Raises what the first life that goes wrong raises; with `shrink` of the shortest such life."""
    run_state_machine_as_test(
        ChainMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        ),
    )
