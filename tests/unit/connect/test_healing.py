"""Which failures are tried again, and how often."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.connect.client import ConnectorStatus, TaskStatus
from streams.connect.failures import Verdict, verdict_of
from streams.connect.findings import Finding, Severity
from streams.connect.healing import FIRST_S, LONGEST_S, STABLE_S, UNKNOWN_TRIES, Healer
from streams.connect.status import SourceStatus

REFUSED = "Failed to connect to localhost:3306: Connection refused"
LOST = "the connector is trying to read change stream, but this is no longer available on the server"


def status(failure: str = "", *problems: str) -> SourceStatus:
    task = TaskStatus(0, "FAILED" if failure else "RUNNING", "worker", failure)
    found = tuple(Finding(code, Severity.ERROR, "erp", "", "", "") for code in problems)
    return SourceStatus("erp", ConnectorStatus("erp", "RUNNING", "worker", (task,)), 1, 0.0, {}, found)


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (REFUSED, Verdict.PASSES),
        ("Communications link failure", Verdict.PASSES),
        ("FATAL: the database system is starting up", Verdict.PASSES),
        ("FATAL: terminating connection due to administrator command", Verdict.PASSES),
        (
            "Unexpected error while connecting to MariaDB and looking at BINLOG mode: Socket fail to connect",
            Verdict.PASSES,
        ),
        (LOST, Verdict.PERSON),
        ("Could not find GTID state requested by slave in any binlog files; purged required", Verdict.PERSON),
        ("ERROR: permission denied for table itmbal", Verdict.PERSON),
        ("the 'file' parameter is missing", Verdict.PERSON),
        ("java.lang.NullPointerException", Verdict.UNKNOWN),
    ],
)
def test_what_a_failure_calls_for(failure: str, verdict: Verdict) -> None:
    assert verdict_of(failure) is verdict


def test_what_passes_is_tried_for_ever_at_growing_intervals() -> None:
    healer = Healer()
    now, at = 0.0, []
    while now < 3600:
        if healer.wants_restart(status(REFUSED), now):
            at.append(now)
        now += 1.0
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert at[0] == 0
    assert gaps[0] == FIRST_S
    assert gaps == sorted(gaps)
    assert gaps[-1] == LONGEST_S
    assert healer.restarts == len(at)


def test_nothing_is_tried_while_the_database_is_away() -> None:
    healer = Healer()
    assert not healer.wants_restart(status(REFUSED, "M01"), 0.0)
    assert healer.wants_restart(status(REFUSED), 1.0)


def test_a_lost_slot_is_left_to_a_person() -> None:
    healer = Healer()
    assert not healer.wants_restart(status(LOST), 0.0)
    assert healer.restarts == 0
    assert "person" in healer.words(LOST)


def test_what_nobody_knows_is_tried_a_few_times() -> None:
    healer = Healer()
    tried = sum(healer.wants_restart(status("NullPointerException"), float(now)) for now in range(0, 7200, 10))
    assert tried == UNKNOWN_TRIES
    assert "person" in healer.words("NullPointerException")


def test_a_long_run_forgives() -> None:
    healer = Healer()
    for second in range(0, 7200, 10):
        healer.wants_restart(status("NullPointerException"), float(second))
    for now in (7200.0, 7200.0 + STABLE_S):
        assert not healer.wants_restart(status(), now)
    assert healer.wants_restart(status("NullPointerException"), 7200.0 + STABLE_S + 1)
