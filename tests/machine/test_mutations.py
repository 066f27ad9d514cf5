"""Each guard is broken once, and the machine must notice: the table in docs/reliability.md, "Guards"."""

from __future__ import annotations

import pytest

from schemas.errors import Fatal
from streams.core.log.resend import Mark
from tests.machine.mutations import GUARDS
from tests.machine.run import live
from tests.machine.test_counterexamples import PLAYS, played

LIVES = 150
RED = (AssertionError, Fatal)
"""An assertion of the machine or the product, or the product's fail-stop.  Anything else is a mistake of the patch."""


def noticed_by(number: int) -> bool:
    """Whether this sequence goes wrong."""
    try:
        played(number)
    except RED:
        return True
    return False


@pytest.mark.timeout(600)
@pytest.mark.parametrize("guard", GUARDS)
def test_the_machine_notices_a_broken_guard(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one of its sequences; if by none, by random lives."""
    GUARDS[guard](monkeypatch)
    if not any(noticed_by(number) for number in PLAYS):
        with pytest.raises(RED):
            live(LIVES, shrink=False)


def test_a_patch_that_fails_itself_is_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mark, "judge", lambda self: None)
    with pytest.raises(TypeError):
        noticed_by(1)
