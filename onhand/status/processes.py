"""What the local supervisor runs: since when, how it feels, and what to do about what is red."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onhand.clock import clock_us
from onhand.health import ask_health, health_file
from onhand.stack.component import port_answers
from onhand.stack.records import Phase, Record, Row, State, read_record

WAITS = "waits"
"""Healthy, and unable to go on before something else has happened."""
STANDBY = "stands by"
"""Healthy, and another process of its group does the work."""
STARTING_S = 60
"""A process that has not answered yet is taken for starting so long."""


def status_rows(data_dir: Path, now_us: int | None = None) -> list[dict[str, Any]]:
    """One row per process of the stack in `data_dir`, in the order of starting; the supervisor first.

    Empty when nothing was started there.
    """
    record = read_record(data_dir / "run")
    if record is None:
        return []
    now = now_us if now_us is not None else clock_us()
    return [_supervisor_row(record), *(_row(data_dir, record, row, now) for row in record.rows)]


def _supervisor_row(record: Record) -> dict[str, Any]:
    alive = record.supervisor_alive()
    return {
        "name": "supervisor",
        "pid": record.pid if alive else None,
        "state": str(record.phase) if alive else "dead",
        "port": None,
        "restarts": None,
        "since": None,
        "health": "" if alive else "red",
        "detail": "" if alive else "not running",
        "what to do": "" if alive else "it crashed: `onhand down`, then `onhand up`",
        "answer": {},
    }


def _row(data_dir: Path, record: Record, row: Row, now_us: int) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if row.state is State.RUNNING and not row.component and not _young(data_dir, row, now_us):
        answer = ask_health(data_dir, row.name)
    detail, action = _judge(record, row, answer)
    calm = "starting" if row.state is State.STARTING or detail == "starting" else "ok"
    return {
        "name": row.name,
        "pid": row.pid,
        "state": str(row.state),
        "port": row.port,
        "restarts": row.restarts,
        "since": duration(now_us - row.since_us),
        "health": "red" if action else next((word for word in (WAITS, STANDBY) if detail.startswith(word)), calm),
        "detail": detail,
        "what to do": action,
        "answer": answer,
    }


def _young(data_dir: Path, row: Row, now_us: int) -> bool:
    """It may still be starting."""
    return now_us - row.since_us < STARTING_S * 1_000_000 and not health_file(data_dir, row.name).exists()


def _judge(record: Record, row: Row, answer: dict[str, Any]) -> tuple[str, str]:
    look = f"`onhand logs {row.name}`"
    if row.state is State.FAILED:
        return row.note, f"mend what it says ({look}), then `onhand down` and `onhand up`"
    if row.state is State.WAITING:
        return row.note, f"starts again by itself; if it goes on, {look}"
    if row.state is State.STOPPED:
        return row.note or "stopped", "" if record.phase is Phase.STOPPING else "`onhand down`, then `onhand up`"
    if row.state is State.STARTING:
        return "starting", ""
    if row.component:
        answers = row.port is not None and port_answers(row.port)
        return ("answers", "") if answers else ("no answer", f"wait a moment; then {look}")
    if not answer:
        return "starting", ""
    if answer.get("healthy") and answer.get("waits_for"):
        return f"{WAITS} for {answer['waits_for']}", ""
    if answer.get("healthy"):
        standby = answer.get("partitions") == [] and not answer.get("ready", True)
        return STANDBY if standby else str(answer.get("summary", "healthy")), ""
    return str(answer.get("error") or answer.get("summary") or "not healthy"), look


def duration(microseconds: int) -> str:
    """For people: `12 s`, `3 min`, `2 h`, `5 d`."""
    seconds = max(0, microseconds // 1_000_000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
