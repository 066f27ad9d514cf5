"""Which failures are tried again, and how often."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.connect.client import ConnectorStatus, TaskStatus
from streams.connect.failures import Verdict, verdict_of
from streams.connect.findings import Finding, Severity
from streams.connect.healing import FIRST_US, LONGEST_US, STABLE_US, UNKNOWN_TRIES, Healer
from streams.connect.status import SourceStatus

REFUSED = "Failed to connect to localhost:3306: Connection refused"
UNKNOWN = "java.lang.NullPointerException"
SECOND = 1_000_000
DAY_AHEAD = 25 * 3600 * SECOND
LOST = "the connector is trying to read change stream, but this is no longer available on the server"


def status(
    failure: str = "", *problems: str, reader: bool | None = None, snapshot: bool = False, state: str = "RUNNING"
) -> SourceStatus:
    task = TaskStatus(0, "FAILED" if failure else "RUNNING", "worker", failure)
    found = tuple(Finding(code, Severity.ERROR, "erp", "", "", "") for code in problems)
    connector = ConnectorStatus("erp", state, "worker", (task,))
    return SourceStatus("erp", connector, 1, 0.0, {}, found, reader=reader, snapshot=snapshot)


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
        (UNKNOWN, Verdict.UNKNOWN),
    ],
)
def test_what_a_failure_calls_for(failure: str, verdict: Verdict) -> None:
    assert verdict_of(failure) is verdict


def test_what_passes_is_tried_for_ever_at_growing_intervals() -> None:
    healer = Healer()
    at = [now_us for now_us in range(0, 3600 * SECOND, SECOND) if healer.wants_restart(status(REFUSED), now_us)]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert at[0] == 0
    assert gaps[0] == FIRST_US
    assert gaps == sorted(gaps)
    assert gaps[-1] == LONGEST_US
    assert healer.restarts == len(at)


def test_nothing_is_tried_while_the_database_is_away() -> None:
    healer = Healer()
    assert not healer.wants_restart(status(REFUSED, "M01"), 0)
    assert healer.wants_restart(status(REFUSED), SECOND)


def test_a_lost_slot_is_left_to_a_person() -> None:
    healer = Healer()
    assert not healer.wants_restart(status(LOST), 0)
    assert healer.restarts == 0


def test_what_nobody_knows_is_tried_a_few_times() -> None:
    healer = Healer()
    tried = sum(healer.wants_restart(status(UNKNOWN), now_us) for now_us in range(0, 7200 * SECOND, 10 * SECOND))
    assert tried == UNKNOWN_TRIES


def test_a_long_run_forgives() -> None:
    healer = Healer()
    for now_us in range(0, 7200 * SECOND, 10 * SECOND):
        healer.wants_restart(status(UNKNOWN), now_us)
    for now_us in (7200 * SECOND, 7200 * SECOND + STABLE_US):
        assert not healer.wants_restart(status(), now_us)
    assert healer.wants_restart(status(UNKNOWN), 7201 * SECOND + STABLE_US)


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    """The failure came while the clock was 25 hours ahead."""
    healer = Healer()
    assert healer.wants_restart(status(REFUSED), DAY_AHEAD)
    assert healer.wants_restart(status(REFUSED), SECOND)
    assert not healer.wants_restart(status(REFUSED), 2 * SECOND), "it is no reason to try at every look"


def test_a_clock_that_is_set_back_does_not_keep_a_long_run_from_being_forgiven() -> None:
    healer = Healer()
    for number in range(10):
        healer.wants_restart(status(UNKNOWN), number * LONGEST_US)
    healer.wants_restart(status(), DAY_AHEAD)
    for now_us in range(0, 2 * STABLE_US, 5 * SECOND):
        healer.wants_restart(status(), now_us)
    assert healer.wants_restart(status(UNKNOWN), 2 * STABLE_US)


READS, READS_NOT, AWAY = status(reader=True), status(reader=False), status("", "M01")
SNAPSHOT, STOPPED = status(reader=False, snapshot=True), status(reader=False, state="STOPPED")


@pytest.mark.parametrize(
    ("looks", "restarts"),
    [
        ([READS, AWAY, READS_NOT], [2]),  # the server was away and is back
        ([READS, READS_NOT, READS_NOT], [2]),  # its connection was cut
        ([READS, READS_NOT, READS], []),  # it found its server by itself
        ([READS, AWAY, AWAY, READS], []),
        ([READS_NOT, READS_NOT, READS_NOT], []),  # nobody has seen it read: a snapshot, perhaps
        ([READS, SNAPSHOT, READS_NOT, READS_NOT], []),  # a resnapshot
        ([READS, STOPPED, READS_NOT, READS_NOT], []),
        ([READS, AWAY, *[READS_NOT] * 20], [2]),  # once
        ([READS, AWAY, READS_NOT, READS, AWAY, READS_NOT], [2, 5]),
    ],
)
def test_a_connector_that_runs_and_has_lost_its_server_is_started_again(
    looks: list[SourceStatus], restarts: list[int]
) -> None:
    healer = Healer()
    assert [number for number, look in enumerate(looks) if healer.wants_restart(look, number * 5 * SECOND)] == restarts
