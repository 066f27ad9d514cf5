"""What is red, what is yellow, what comes first, and that the page shows it in 80 columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from onhand.status.gather import Document, by_code
from onhand.status.judge import RED, YELLOW, judge
from onhand.status.page import page
from schemas.records import ExceptionRecord, ExceptionStatus

ROOT = Path(__file__).parents[3]
NOW_US = 1_800_000_000_000_000
SECOND = 1_000_000


def process(name: str, **more: Any) -> dict[str, Any]:
    known = {"pid": 7, "state": "running", "port": None, "restarts": 0, "since": "3 min", "health": "ok", "detail": ""}
    return {"name": name, **known, "what to do": "", "answer": {}, **more}


def source(name: str, *problems: dict[str, str], **more: Any) -> dict[str, Any]:
    healthy = all(problem["severity"] != "error" for problem in problems)
    return {"source": name, "healthy": healthy, "problems": list(problems), "connector": "RUNNING", **more}


def finding(code: str, severity: str) -> dict[str, str]:
    return {"code": code, "severity": severity, "message": "it is so", "fix": "do that"}


def stage(name: str, source: str, late_s: float | None = 1.0, **more: Any) -> dict[str, Any]:
    at_us = None if late_s is None else NOW_US - int(late_s * SECOND)
    known = {"complete": True, "holding": False, "uncertain": False}
    return {"stage": name, "source": source, "source_time_us": at_us, **known, **more}


def channel(**more: Any) -> dict[str, Any]:
    known = {"channel": "shop", "workers": 1, "state": "running", "dirty": 0, "oldest_dirty_s": None}
    return {**known, "failures_in_a_row": 0, "last_answer": "", "withheld": 0, **more}


def exception(stage: str, code: str, opened_s: int = 60) -> ExceptionRecord:
    return ExceptionRecord(
        id=f"{stage}/erp/{code}/x", version=1, stage=stage, source="erp", code=code, status=ExceptionStatus.OPEN,
        subject="x", detail="so it is", action="do it", opened_us=NOW_US - opened_s * SECOND,
    )  # fmt: skip


def document(**parts: Any) -> Document:
    empty: Document = {part: [] for part in ("processes", "sources", "stages", "channels", "exceptions")}
    return {"up": True, "unanswered": {}, "clickhouse": {}, **empty, **parts}


def judged(**parts: Any) -> list[tuple[str, str]]:
    return [(problem.colour, problem.what) for problem in judge(document(**parts), NOW_US)]


def exceptions_of_the_catalogue() -> list[tuple[str, str]]:
    """(stage, code) of docs/exceptions.md; sources and channels apart."""
    found = []
    for part in (ROOT / "docs" / "exceptions.md").read_text().split("\n## ")[1:]:
        stage = {"Lane": "lane", "Inventory": "inventory", "Orders": "orders", "Anywhere": "inventory"}.get(
            re.split(r"\W", part)[0]
        )
        found += [(stage, code) for code in re.findall(r"^\| `([a-z-]+)` \|", part, re.MULTILINE) if stage]
    assert len(found) > 20, "the pattern no longer finds them"
    return found


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"processes": [process("orders")], "sources": [source("erp")], "channels": [channel()]}, []),
        ({"channels": [channel(withheld=3)]}, [(YELLOW, "channel shop")]),
        ({"sources": [source("erp", finding("P15", "warning"))]}, [(YELLOW, "source erp")]),
        ({"sources": [source("erp", finding("K02", "error"))]}, [(RED, "source erp")]),
        ({"sources": [source("erp", error="Connect does not answer")]}, [(RED, "source erp")]),
        ({"stages": [stage("lane", "erp", 61)]}, [(YELLOW, "lane of erp")]),
        ({"stages": [stage("lane", "erp", 301), stage("inventory", "erp", 302)]}, [(RED, "lane of erp")]),
        ({"stages": [stage("orders", "erp", complete=False)]}, [(YELLOW, "orders of erp")]),
        ({"stages": [stage("lane", "erp", None)]}, [(YELLOW, "lane of erp")]),
        ({"stages": [stage("lane", "erp", holding=True)]}, [(YELLOW, "lane of erp")]),
        ({"channels": [channel(state="paused")]}, [(YELLOW, "channel shop")]),
        ({"channels": [channel(state="disabled")]}, [(RED, "channel shop")]),
        ({"channels": [channel(failures_in_a_row=3)]}, [(RED, "channel shop")]),
        ({"channels": [channel(oldest_dirty_s=70.0)]}, [(YELLOW, "channel shop")]),
        ({"exceptions": by_code([exception("source", "connector-failed")])}, []),
        ({"exceptions": by_code([exception("lane", "lookup-missing")])}, [(YELLOW, "lane erp")]),
        ({"exceptions": by_code([exception("channel", "channel-unreachable")])}, [(RED, "channel erp")]),
        ({"unanswered": {"registry": "it does not answer"}}, [(RED, "registry")]),
    ],
)
def test_what_is_red_and_yellow(parts: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert judged(**parts) == expected


@pytest.mark.parametrize(("stage", "code"), exceptions_of_the_catalogue())
def test_an_exception_is_told_unless_it_is_of_the_business(stage: str, code: str) -> None:
    business = {"oversell", "drift", "inbound-overdue", "order-conflict", "shipment-without-order"}
    told = [] if stage != "lane" and code in business else [(YELLOW, f"{stage} erp")]
    assert judged(exceptions=by_code([exception(stage, code)])) == told


def test_a_red_source_explains_its_late_stages() -> None:
    late = [stage("lane", "erp", 900), stage("lane", "wms", 900)]
    red = source("erp", finding("M01", "error"))
    assert judged(sources=[red, source("wms")], stages=late) == [(RED, "source erp"), (RED, "lane of wms")]


def test_a_paused_channel_is_not_late() -> None:
    late = [stage("channel-shop", "erp", 900)]
    assert judged(channels=[channel(state="paused")], stages=late) == [(YELLOW, "channel shop")]
    assert judged(channels=[channel()], stages=late) == [(RED, "channel-shop of erp")]


def test_a_server_that_is_red_already_is_told_once() -> None:
    down = process("kafka", health="red", detail="no answer", **{"what to do": "wait"})
    assert judged(processes=[down], unanswered={"kafka": "no answer"}) == [(RED, "kafka")]


def test_red_comes_first() -> None:
    found = judged(
        processes=[process("source-erp", health="waits", detail="waits for its first snapshot")],
        channels=[channel(failures_in_a_row=9)],
    )
    assert found == [(RED, "channel shop"), (YELLOW, "source-erp")]


def test_exceptions_are_counted_and_the_oldest_is_shown() -> None:
    (row,) = by_code([exception("lane", "lookup-missing", 5), exception("lane", "lookup-missing", 500)])
    assert (row["count"], row["opened_us"]) == (2, NOW_US - 500 * SECOND)


@pytest.mark.parametrize("width", [80, 120])
def test_the_page_says_what_to_do_whatever_the_width(width: int) -> None:
    whole = document(
        processes=[process("supervisor"), process("inventory", answer={"lag": {"0": 3}, "partitions": [0]})],
        sources=[source("erp", finding("P15", "warning"), behind_bytes=1 << 30, retention_used=0.5)],
        stages=[stage("lane", "erp"), stage("channel-shop", "erp", 70)],
        channels=[channel(dirty=5, oldest_dirty_s=3.0)],
        clickhouse={"written": 5, "written_us": NOW_US, "failures_in_a_row": 0, "error": ""},
        exceptions=by_code([exception("inventory", "oversell")]),
    )
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(page(whole, judge(whole, NOW_US), NOW_US), markup=False)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for words in ("yellow source erp: P15: it is so → do that", "inventory", "3 records behind", "1.0 GiB", "oversell"):
        assert words in text, words
