"""Each guard is broken once, and the machine must notice: the table in docs/reliability.md, "Guards"."""

from __future__ import annotations

import pytest
from hypothesis.errors import HypothesisException

from tests.machine.mutations import GUARDS
from tests.machine.run import live
from tests.machine.test_counterexamples import PLAYS, played

LIVES = 150


def noticed_by(number: int) -> bool:
    """Whether this sequence goes wrong: an assertion, or a fail-stop of the product itself."""
    try:
        played(number)
    except HypothesisException:
        raise
    except Exception:  # noqa: BLE001
        return True
    return False


@pytest.mark.timeout(600)
@pytest.mark.parametrize("guard", GUARDS)
def test_the_machine_notices_a_broken_guard(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one of its sequences; if by none, by random lives."""
    GUARDS[guard](monkeypatch)
    if not any(noticed_by(number) for number in PLAYS):
        with pytest.raises(Exception, match=r".") as noticed:
            live(LIVES, shrink=False)
        assert not isinstance(noticed.value, HypothesisException)
