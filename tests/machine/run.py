"""Random lives of the machine: the same ones each time, or those of a seed."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.machine import ChainMachine

STEPS = 40


def live(examples: int, *, shrink: bool = True, steps: int = STEPS, of: int | None = None) -> None:
    """Raises what the first life that goes wrong raises; with `shrink` of the shortest such life.  `of`: a seed."""
    machine = ChainMachine if of is None else seed(of)(type("Seeded", (ChainMachine,), {}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=of is None,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        ),
    )
