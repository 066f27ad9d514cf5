"""Random lives of the whole chain against the model.

The long run: `ONHAND_MACHINE_LIVES=5000 pytest tests/machine/test_machine.py`.
"""

from __future__ import annotations

import os

import pytest

from tests.machine.run import live

LIVES = int(os.environ.get("ONHAND_MACHINE_LIVES", "200"))


@pytest.mark.timeout(60 + 4 * LIVES)
def test_random_lives_of_the_chain() -> None:
    live(LIVES)
