"""A campaign is what its seed and file say."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from schemas.errors import InvalidInput
from tests.campaign.broken import GUARDS, SHOWN
from tests.campaign.faults import FAULTS
from tests.campaign.observe import KINDS
from tests.campaign.runner import Outcome, add_to_journal, read_journal, taken_back
from tests.campaign.scenario import pairs, read_scenario, singles, write_scenario

EVERY = [fault.kind for fault in FAULTS.values()]


def test_singles_hold_every_fault_on_every_target_once() -> None:
    met = [(step.fault, step.target) for one in singles(5, EVERY) for step in one.steps]
    assert sorted(met) == sorted((kind.name, target) for kind in EVERY for target in kind.targets)


def test_a_seed_is_always_the_same_campaign() -> None:
    assert singles(5, EVERY) == singles(5, EVERY) != singles(6, EVERY)
    assert list(islice(pairs(5, EVERY), 20)) == list(islice(pairs(5, EVERY), 20)) != list(islice(pairs(6, EVERY), 20))


def test_pairs_meet_on_different_targets_and_only_where_both_may() -> None:
    for scenario in islice(pairs(5, EVERY), 200):
        first, second = scenario.steps
        assert first.target != second.target
        assert all(FAULTS[step.fault].kind.pairs for step in scenario.steps)


def test_every_trigger_and_end_is_a_progress_that_can_be_observed() -> None:
    for kind in EVERY:
        assert {text.partition(":")[0] for text in (*kind.triggers, *kind.until)} <= KINDS.keys()


def test_a_scenario_comes_back_from_its_file(tmp_path: Path) -> None:
    scenario = next(pairs(5, EVERY))
    write_scenario(tmp_path / "deep" / "5.json", scenario)
    assert read_scenario(tmp_path / "deep" / "5.json") == scenario


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text('{"seed": "five"}')
    with pytest.raises(InvalidInput, match=r"no\.json"):
        read_scenario(tmp_path / "no.json")


def test_a_journal_holds_what_was_added_and_may_be_new(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "journal.jsonl"
    assert read_journal(file) == []
    first, second = (Outcome(scenario=one, wrong=["no"], recovery_s=1.5) for one in islice(pairs(5, EVERY), 2))
    add_to_journal(file, first)
    add_to_journal(file, second)
    assert read_journal(file) == [first, second]


def test_what_is_shown_to_go_wrong_without_a_guard_is_a_scenario_of_the_campaign() -> None:
    assert SHOWN.keys() <= GUARDS.keys()
    for step in (step for steps in SHOWN.values() for step in steps):
        assert step.target in FAULTS[step.fault].kind.targets
        assert {step.trigger.partition(":")[0], step.until.partition(":")[0]} <= KINDS.keys()


def test_a_claim_is_taken_back_when_less_is_stated_later() -> None:
    assert taken_back(["", "lsn:5", "lsn:5", "lsn:9", "lsn:10"]) == []
    assert taken_back(["lsn:9", "lsn:10", "lsn:9", "lsn:11"]) == ["lsn:9 stated after lsn:10"]
    assert taken_back(["binlog:000002:4", "binlog:000001:900"]) == ["binlog:000001:900 stated after binlog:000002:4"]
