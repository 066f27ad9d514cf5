"""Random lives of the whole chain against the model.

Long lives of other seeds: `python -m tests.machine`, which `make faults` begins with.
"""

from __future__ import annotations

import pytest

from tests.machine.run import live

LIVES = 150


@pytest.mark.timeout(900)
def test_random_lives_of_the_chain() -> None:
    live(LIVES)
