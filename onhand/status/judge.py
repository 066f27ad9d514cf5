"""What in the document is red or yellow, and what to do about it.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from onhand.status.gather import Document
from onhand.status.processes import WAITS, duration

RED, YELLOW = "red", "yellow"
LATE_S, VERY_LATE_S = 60.0, 300.0
"""A stage so far behind a source is yellow, red."""
FAILING = 3
"""Pushes of a channel that failed in a row."""
RED_CHANNEL_CODES = ("channel-unreachable", "channel-misconfigured", "channel-disabled")
BUSINESS_STAGES = ("inventory", "orders")
BUSINESS_CODES = frozenset({"oversell", "drift", "inbound-overdue", "order-conflict", "shipment-without-order"})
"""What these stages find in the business itself: it is for those who run that, and closes when its cause is gone."""


class Problem(NamedTuple):
    """One thing that is not as it should be."""

    colour: str
    what: str
    detail: str
    action: str


def judge(document: Document, now_us: int) -> list[Problem]:
    """Red first, in the order of the flow; one line for one cause."""
    found = [
        *_processes(document),
        *(Problem(RED, part, why, f"`onhand logs {part}`") for part, why in _unanswered(document)),
        *_sources(document),
        *_stages(document, now_us),
        *_channels(document),
        *_exceptions(document, now_us),
    ]
    return [*(one for one in found if one.colour == RED), *(one for one in found if one.colour == YELLOW)]


def _processes(document: Document) -> Iterator[Problem]:
    for row in document["processes"]:
        if row["what to do"]:
            yield Problem(RED, row["name"], row["detail"], row["what to do"])
        elif row["health"] == WAITS:
            yield Problem(YELLOW, row["name"], row["detail"], "")


def _unanswered(document: Document) -> Iterator[tuple[str, str]]:
    """Parts that are silent and not red among the processes already."""
    told = {row["name"] for row in document["processes"] if row["what to do"]}
    yield from ((part, why) for part, why in document["unanswered"].items() if part not in told)


def _sources(document: Document) -> Iterator[Problem]:
    for row in document["sources"]:
        name = f"source {row['source']}"
        if row.get("error"):
            yield Problem(RED, name, row["error"], "")
        for problem in row["problems"]:
            colour = RED if problem["severity"] == "error" else YELLOW
            yield Problem(colour, name, f"{problem['code']}: {problem['message']}", problem["fix"])


def _stages(document: Document, now_us: int) -> Iterator[Problem]:
    """What a stage lacks of a source that is itself well; only the first stage that lacks it, and no paused channel."""
    red = {row["source"] for row in document["sources"] if not row["healthy"]}
    silent = {f"channel-{row['channel']}" for row in document["channels"] if row["state"] != "running"}
    said: set[str] = set()
    for stage in document["stages"]:
        source = stage["source"]
        if source in red or source in said or stage["stage"] in silent:
            continue
        what = f"{stage['stage']} of {source}"
        late_s = lag_s(stage, now_us)
        if not stage["complete"] or late_s is None:
            yield Problem(YELLOW, what, "the source has not been read whole: its promises hold", _look(stage))
        elif late_s > LATE_S:
            colour = RED if late_s > VERY_LATE_S else YELLOW
            yield Problem(colour, what, f"is {duration(int(late_s * 1e6))} behind", _look(stage))
        elif stage["holding"]:
            yield Problem(YELLOW, what, "only decreases leave until a snapshot is whole", "")
        elif stage["uncertain"]:
            detail = "a row or table is parked of which nobody knows what it touches"
            yield Problem(YELLOW, what, detail, f"`onhand exceptions list --source {source}`")
        else:
            continue
        said.add(source)


def _look(stage: dict[str, Any]) -> str:
    name = f"source-{stage['source']}" if stage["stage"] == "lane" else stage["stage"]
    if stage["stage"] in ("inventory", "orders") and not stage["complete"]:
        return f"if its lane is complete: `onhand source restate {stage['source']}`"
    return f"`onhand logs {name}`"


def _channels(document: Document) -> Iterator[Problem]:
    for row in document["channels"]:
        name, resume = f"channel {row['channel']}", f"`onhand channel resume {row['channel']}`"
        if row["state"] == "paused":
            yield Problem(YELLOW, name, f"is paused; {row['dirty']} keys wait", resume)
        elif row["state"] == "disabled":
            yield Problem(RED, name, "the channel answered 410 and is told nothing", f"find out why, then {resume}")
        elif row["failures_in_a_row"] >= FAILING:
            detail = f"{row['failures_in_a_row']} pushes in a row failed: {row['last_answer']}"
            yield Problem(RED, name, detail, "look at the channel; it is tried again by itself")
        elif (row["oldest_dirty_s"] or 0) > LATE_S:
            detail = f"a key waits since {duration(int(row['oldest_dirty_s'] * 1e6))}"
            yield Problem(YELLOW, name, detail, f"`onhand channel status {row['channel']}`")
        if row["withheld"]:
            yield Problem(YELLOW, name, _withheld(row["withheld"]), _UNHEARD)


def _withheld(count: int) -> str:
    items = "1 item that was told is" if count == 1 else f"{count} items that were told are"
    return f"{items} not in inventory.atp.v1: what was told holds until inventory has said all it knows"


_UNHEARD = (
    "comes by itself when every source has been read whole; if none is incomplete, holding or uncertain here, "
    "`onhand source restate` for each"
)


def _exceptions(document: Document, now_us: int) -> Iterator[Problem]:
    """Those that an operator has to do something about; those of sources are among their findings."""
    for row in document["exceptions"]:
        business = row["stage"] in BUSINESS_STAGES and row["code"] in BUSINESS_CODES
        if row["stage"] == "source" or business:
            continue
        colour = RED if row["code"] in RED_CHANNEL_CODES else YELLOW
        detail = f"{row['count']} × {row['code']} since {duration(now_us - row['opened_us'])}; {row['example']}"
        action = f"`onhand exceptions show {row['id']}`: {row['action']}"
        yield Problem(colour, f"{row['stage']} {row['source']}", detail, action)


def lag_s(stage: dict[str, Any], now_us: int) -> float | None:
    """Age of the last commit up to which the stage has told all."""
    at_us = stage["source_time_us"]
    return None if at_us is None else max(0.0, (now_us - at_us) / 1e6)
