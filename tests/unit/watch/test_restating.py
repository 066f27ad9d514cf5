"""A lane is asked to restate when a later stage has lost what it was told, and not otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from onhand.watch.restating import AFTER_US, AGAIN_US, BEHIND_US, Restating


def stage(name: str, *, complete: bool = True, holding: bool = False, at_us: int | None = 90_000_000) -> dict[str, Any]:
    return {"stage": name, "complete": complete, "holding": holding, "source_time_us": at_us}


LOST = [stage("lane"), stage("inventory", complete=False), stage("orders")]


def test_it_is_asked_once_in_a_while() -> None:
    restating = Restating()
    assert restating.lacking(LOST, 0) == []
    assert restating.lacking(LOST, AFTER_US) == ["inventory"]
    assert restating.lacking(LOST, AFTER_US + AGAIN_US - 1) == []
    assert restating.lacking(LOST, AFTER_US + AGAIN_US) == ["inventory"]


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_clock_that_is_set_back_silences_nobody(asked_before: bool) -> None:
    ahead_us = 25 * 3600 * 1_000_000
    restating = Restating()
    restating.lacking(LOST, ahead_us)
    if asked_before:
        assert restating.lacking(LOST, ahead_us + AFTER_US) == ["inventory"]
    asked = [now_us for now_us in range(0, 2 * AFTER_US, 5_000_000) if restating.lacking(LOST, now_us)]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "stages",
    [
        [],
        [stage("lane")],
        [stage("lane"), stage("inventory"), stage("orders")],
        [stage("lane", complete=False), stage("inventory", complete=False)],
        [stage("lane", holding=True), stage("inventory", complete=False)],
        [stage("lane"), stage("channel-shop", complete=False)],
        [stage("lane"), stage("inventory", complete=False, at_us=90_000_000 - BEHIND_US - 1)],
        [stage("lane"), stage("inventory", complete=False, at_us=None)],
        [stage("lane", at_us=None), stage("inventory", complete=False)],
    ],
)
def test_otherwise_it_is_not(stages: list[dict[str, Any]]) -> None:
    restating = Restating()
    for now_us in range(0, 2 * AGAIN_US, AFTER_US):
        assert restating.lacking(stages, now_us) == []


def test_what_comes_by_itself_in_time_needs_no_asking() -> None:
    restating = Restating()
    assert restating.lacking(LOST, 0) == []
    assert restating.lacking([stage("lane"), stage("inventory")], AFTER_US - 1) == []
    assert restating.lacking(LOST, AFTER_US) == []
