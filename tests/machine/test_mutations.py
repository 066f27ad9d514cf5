"""Each guard is broken once, and the machine must notice: the table in docs/reliability.md, "Guards"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from schemas.errors import Fatal
from streams.core.log.resend import Mark
from tests.machine.mutations import GUARDS
from tests.machine.run import live
from tests.machine.test_counterexamples import PLAYS, judged, played
from tests.machine.test_sequences import BEGINS, SEQUENCES

LIVES = 150
RED = (AssertionError, Fatal)
"""An assertion of the machine or the product, or the product's fail-stop.  Anything else is a mistake of the patch."""


def noticed_by(play: Callable[[], None]) -> bool:
    """Whether this sequence goes wrong."""
    try:
        play()
    except RED:
        return True
    return False


@pytest.mark.timeout(600)
@pytest.mark.parametrize("guard", GUARDS)
def test_the_machine_notices_a_broken_guard(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one of its sequences; if by none, by random lives."""
    GUARDS[guard](monkeypatch)
    sequences = (
        *(partial(played, number) for number in PLAYS),
        *(partial(judged, play, **BEGINS.get(name, {})) for name, play in SEQUENCES.items()),
    )
    if not any(noticed_by(play) for play in sequences):
        with pytest.raises(RED):
            live(LIVES, shrink=False)


def test_a_patch_that_fails_itself_is_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mark, "judge", lambda self: None)
    with pytest.raises(TypeError):
        noticed_by(partial(played, 1))
