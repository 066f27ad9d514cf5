"""How long WAL and binlog last, and when that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.connect.findings import Severity
from streams.connect.folder import Source
from streams.connect.retention import Growth, Retention, RetentionLimits, of_binlog, of_slot, retention_findings

FILES = [("b.1", 1000), ("b.2", 2000), ("b.3", 500)]
DAY = 86_400.0


@pytest.mark.parametrize(
    ("read", "position", "event_s", "expected"),
    [
        ("b.3", 400, 0, Retention(100, used=0.0)),  # the newest file is never purged, however old
        ("b.2", 1500, 1_000_000, Retention(1000, used=0.5, left_s=DAY)),
        ("b.1", 1000, 1_000_000 - 10 * 86_400, Retention(2500, used=1.0, left_s=0.0)),
        ("b.0", 4, 1, Retention()),
        (None, 0, None, Retention()),
        ("b.2", 2000, None, Retention(500, used=0.0)),  # the connector has noted no event
    ],
)
def test_a_binlog(read: str | None, position: int, event_s: int | None, expected: Retention) -> None:
    now_s = 1_000_000 + DAY
    assert of_binlog(FILES, read, position, event_s, 2 * DAY, now_s) == expected


def test_a_binlog_that_is_kept_for_ever_is_never_lost() -> None:
    assert of_binlog(FILES, "b.1", 0, 1, 0.0, 1e9) == Retention(3500)


def test_a_slot() -> None:
    assert of_slot(1 << 30, 3 << 30) == Retention(1 << 30, 3 << 30, 0.25)
    assert of_slot(1 << 30, None) == Retention(1 << 30)
    assert of_slot(5, -3) == Retention(5, 0, 1.0)


def test_time_left_is_measured_over_a_window() -> None:
    growth = Growth()
    at = [growth.with_time_left(of_slot(behind, 1000 - behind), now).left_s for now, behind in ((0, 0), (30, 90))]
    assert at == [None, None], "30 s are no trend"
    assert growth.with_time_left(of_slot(100, 900), 100).left_s == pytest.approx(900)
    for now in range(110, 1300, 10):
        last = growth.with_time_left(of_slot(100, 900), now)
    assert last.left_s is None, "it falls no further behind"


def test_time_left_is_measured_anew_when_the_clock_is_set_back() -> None:
    growth = Growth()
    growth.with_time_left(of_slot(0, 1000), DAY)
    growth.with_time_left(of_slot(0, 1000), 0)
    assert growth.with_time_left(of_slot(100, 900), 100).left_s == pytest.approx(900)


def source(tmp_path: Path, kind: str) -> Source:
    return Source(name="erp", kind=kind, schema="erp", folder=tmp_path, config={"slot.name": "s"}, lines={})


@pytest.mark.parametrize(
    ("kind", "retention", "expected"),
    [
        ("postgres", None, []),
        ("postgres", Retention(1, 9, 0.1), []),
        ("postgres", Retention(5, 5, 0.5), [("P15", Severity.WARNING)]),
        ("postgres", Retention(1, 9, 0.1, left_s=6 * 3600), [("P15", Severity.WARNING)]),
        ("postgres", Retention(1, 9, 0.1, left_s=60), [("P15", Severity.ERROR)]),
        ("mariadb", Retention(1, None, 0.95, left_s=10 * DAY), [("M15", Severity.ERROR)]),
    ],
)
def test_when_it_is_said(
    tmp_path: Path, kind: str, retention: Retention | None, expected: list[tuple[str, Severity]]
) -> None:
    found = list(retention_findings(source(tmp_path, kind), retention, RetentionLimits()))
    assert [(one.code, one.severity) for one in found] == expected
