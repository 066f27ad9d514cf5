"""Exceptions of a source: when they open, how often they are stated, when they close."""

from __future__ import annotations

import pytest

from onhand.watch.troubles import AGAIN_US, CODES, LOST, STAGE, Troubles
from schemas.records import ExceptionRecord, ExceptionStatus
from streams.connect.findings import Finding, Severity

LOOK_US = 5_000_000


def finding(code: str, severity: Severity = Severity.ERROR, message: str = "gone") -> Finding:
    return Finding(code, severity, "erp", "slot s", message, "resnapshot")


def said(records: list[ExceptionRecord]) -> list[tuple[str, ExceptionStatus]]:
    return [(record.id, record.status) for record in records]


@pytest.mark.parametrize(("code", "severity"), CODES)
def test_it_opens_at_the_second_look_and_closes_when_it_is_gone(code: str, severity: Severity) -> None:
    troubles = Troubles("erp", [])
    identity = f"source/erp/{CODES[code, severity]}/erp"
    assert troubles.take([finding(code, severity)], 0) == []
    assert said(troubles.take([finding(code, severity)], LOOK_US)) == [(identity, ExceptionStatus.OPEN)]
    assert troubles.take([finding(code, severity, "another detail")], 2 * LOOK_US) == [], "not at every look"
    assert said(troubles.take([], 3 * LOOK_US)) == [(identity, ExceptionStatus.CLOSED)]
    assert troubles.take([], 4 * LOOK_US) == []


def test_a_blip_opens_nothing() -> None:
    troubles = Troubles("erp", [])
    for look in range(10):
        assert troubles.take([finding("K04")] if look % 2 else [], look * LOOK_US) == []


def test_what_is_no_business_of_others_opens_nothing() -> None:
    troubles = Troubles("erp", [])
    for look in range(3):
        assert troubles.take([finding("P06", Severity.WARNING), finding("K05", Severity.WARNING)], look * LOOK_US) == []


def test_its_detail_is_brought_up_to_date_now_and_then() -> None:
    troubles = Troubles("erp", [])
    troubles.take([finding("K04")], 0)
    troubles.take([finding("K04", message="no record for 20 s")], 1)
    later = troubles.take([finding("K04", message="no record for 320 s")], 1 + AGAIN_US)
    assert [(record.detail, record.count) for record in later] == [("no record for 320 s", 2)]


def test_the_next_watch_knows_what_is_open() -> None:
    before = Troubles("erp", [])
    before.take([finding("P06")], 0)
    (opened,) = before.take([finding("P06")], LOOK_US)
    assert (opened.stage, opened.source, opened.code) == (STAGE, "erp", LOST)

    assert said(Troubles("erp", [opened]).take([], 10 * LOOK_US)) == [(opened.id, ExceptionStatus.CLOSED)]
    again = Troubles("erp", [opened])
    assert again.take([finding("P06")], 10 * LOOK_US) == [], "it is open already"
    assert said(again.take([], 11 * LOOK_US)) == [(opened.id, ExceptionStatus.CLOSED)]
    assert Troubles("wms", [opened]).take([], 10 * LOOK_US) == []
