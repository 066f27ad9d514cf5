"""Up to when a channel has been told all: never too late a moment, whatever order things happen in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.core.told import Stated, Told
from sinks.workers.told import promised_by

ATP = ("inventory.atp.v1", 0)
FIRST = {(0, "erp"): Stated(100, "here", complete=True, holding=False, uncertain=False)}


def test_one_round() -> None:
    told = Told()
    assert told.idle
    told.ask(FIRST)
    assert not told.idle
    told.read({ATP: 99}, now_us=1)  # nobody knows yet where it ends
    assert told.told(None) is None
    told.answered({ATP: 5})
    assert told.reading
    told.read({ATP: 4}, now_us=2)
    assert told.told(None) is None
    told.read({ATP: 5}, now_us=3)
    assert told.told(oldest_us=3) is None, "what was read last still waits"
    assert told.told(oldest_us=4) == FIRST
    assert told.idle
    assert told.told(None) is None


def test_a_round_that_is_given_up_says_nothing() -> None:
    told = Told()
    told.ask(FIRST)
    told.answered({})
    told.read({}, now_us=1)
    told.forget()
    assert told.idle
    assert told.told(None) is None


def test_two_rounds_at_once_are_a_mistake() -> None:
    told = Told()
    told.ask(FIRST)
    with pytest.raises(AssertionError):
        told.ask(FIRST)
    told.answered({})
    with pytest.raises(AssertionError):
        told.answered({})


def test_of_several_stages_the_less_far_one_counts() -> None:
    def at(time_us: int, **more: bool) -> Stated:
        return Stated(time_us, f"p{time_us}", **{"complete": True, "holding": False, "uncertain": False, **more})

    said = {
        ("inventory", 0, "erp"): at(9),
        ("orders", 0, "erp"): at(7, complete=False),
        ("inventory", 0, "wms"): at(5, holding=True),
        ("inventory", 1, "erp"): at(1),
    }
    assert promised_by(["inventory", "orders"], [0], said) == {(0, "erp"): at(7, complete=False)}
    assert promised_by(["inventory"], [0, 1], said) == {
        (0, "erp"): at(9),
        (0, "wms"): at(5, holding=True),
        (1, "erp"): at(1),
    }


@given(st.lists(st.sampled_from(["fact", "read", "push", "state", "step"]), max_size=60))
def test_what_is_said_is_told(acts: list[str]) -> None:
    """Facts are written, read and told in any interleaving; a statement covers the facts written before it."""
    told = Told()
    written = position = 0
    waiting: list[tuple[int, int]] = []
    stated = 0
    for now, act in enumerate(acts, 1):
        if act == "fact":
            written += 1
        elif act == "state":
            stated = written
        elif act == "read" and position < written:
            waiting.append((position, now))
            position += 1
        elif act == "push" and waiting:
            waiting.pop(0)
        elif act == "step":
            if told.idle:
                told.ask({(0, "erp"): Stated(stated, "", complete=True, holding=False, uncertain=False)})
                told.answered({ATP: written})
            told.read({ATP: position}, now)
            done = told.told(min((since for _, since in waiting), default=None))
            if done is not None:
                covered = done[0, "erp"].source_time_us
                assert covered is not None
                assert covered <= position
                assert all(fact >= covered for fact, _ in waiting)
