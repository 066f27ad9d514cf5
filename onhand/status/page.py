"""The page of `onhand status`: what is red first, then everything, in a terminal of 80 to 120 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onhand.status.gather import Document
from onhand.status.judge import RED, Problem, lag_s
from onhand.status.processes import duration

COLOURS = {"red": "bold red", "yellow": "yellow", "waits": "yellow", "starting": "yellow", "dead": "bold red"}


def page(document: Document, problems: list[Problem], now_us: int) -> Group:
    """What to print."""
    return Group(*_parts(document, problems, now_us))


def _parts(document: Document, problems: list[Problem], now_us: int) -> Iterator[RenderableType]:
    for problem in problems:
        text = Text(f"{problem.colour:6} ", style=COLOURS[problem.colour])
        yield text.append(f"{problem.what}: {problem.detail}", style="default")
        if problem.action:
            yield Text(f"       → {problem.action}")
    if not any(problem.colour == RED for problem in problems):
        yield Text("nothing is red", style="green")
    for table in (
        _processes(document["processes"]),
        _sources(document["sources"]),
        _stages(document["stages"], now_us),
        _channels(document["channels"]),
        _clickhouse(document["clickhouse"], now_us),
        _exceptions(document["exceptions"], now_us),
    ):
        if table.row_count:
            yield Text()
            yield table


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(title, style="bold", overflow="fold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, cells: Iterable[Any]) -> None:
    shown = ["" if cell is None else str(cell) for cell in cells]
    table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in shown))


def _processes(rows: list[dict[str, Any]]) -> Table:
    table = _table("process", "health", "state", "since", "restarts", "pid", "port", "")
    for row in rows:
        keys = ("name", "health", "state", "since", "restarts", "pid", "port")
        _add(table, [*(row[key] for key in keys), _in_short(row["answer"])])
    return table


def _in_short(answer: dict[str, Any]) -> str:
    """What a process says about its work, in a few words."""
    if "lag" in answer:
        lag = sum(answer["lag"].values())
        return f"{len(answer['partitions'])} partitions, {lag} records behind"
    if "waiting" in answer:
        return f"{answer['waiting']} of {answer['keys']} keys to tell"
    return ""


def _sources(rows: list[dict[str, Any]]) -> Table:
    table = _table("source", "healthy", "connector", "tasks", "log end", "silent", "kept", "of limit", "lasts")
    for row in rows:
        used, left_s, silent_s = (row.get(key) for key in ("retention_used", "retention_left_s", "last_record_age_s"))
        _add(
            table,
            [
                row["source"],
                "yes" if row["healthy"] else "red",
                *(row.get(key) for key in ("connector", "tasks", "log_end")),
                None if silent_s is None else f"{silent_s:.1f} s",
                _bytes(row.get("behind_bytes")),
                None if used is None else f"{used:.0%}",
                None if left_s is None else duration(int(left_s * 1e6)),
            ],
        )
    return table


def _stages(stages: list[dict[str, Any]], now_us: int) -> Table:
    """Per source, how old the last commit is up to which each stage has told all."""
    names = list(dict.fromkeys(stage["stage"] for stage in stages))
    order = {name: place for place, name in enumerate(("lane", "inventory", "orders"))}
    names.sort(key=lambda name: (order.get(name, len(order)), name))
    table = _table("told all up to", *names)
    cells = {(stage["source"], stage["stage"]): _told(stage, now_us) for stage in stages}
    for source in dict.fromkeys(stage["source"] for stage in stages):
        _add(table, [source, *(cells.get((source, name)) for name in names)])
    return table


def _told(stage: dict[str, Any], now_us: int) -> str:
    late_s = lag_s(stage, now_us)
    words = [word for word in ("holding", "uncertain") if stage[word]]
    if late_s is None or not stage["complete"]:
        return ", ".join(["incomplete", *words])
    ago = f"{late_s:.1f} s" if late_s < 60 else duration(int(late_s * 1e6))
    return ", ".join([f"{ago} ago", *words])


def _channels(rows: list[dict[str, Any]]) -> Table:
    table = _table("channel", "state", "workers", "dirty keys", "oldest", "failed in a row", "last answer")
    for row in rows:
        oldest_s = row["oldest_dirty_s"]
        oldest = None if oldest_s is None else f"{oldest_s:.1f} s"
        keys = ("channel", "state", "workers", "dirty")
        _add(table, [*(row[key] for key in keys), oldest, row["failures_in_a_row"], row["last_answer"]])
    return table


def _clickhouse(answer: dict[str, Any], now_us: int) -> Table:
    table = _table("ClickHouse", "written", "last write", "failed in a row", "")
    if "written" in answer:
        last_us = answer["written_us"]
        ago = None if last_us is None else f"{duration(now_us - last_us)} ago"
        _add(table, ["", answer["written"], ago, answer["failures_in_a_row"], answer["error"]])
    return table


def _exceptions(rows: list[dict[str, Any]], now_us: int) -> Table:
    table = _table("open exceptions", "stage", "of", "count", "oldest", "for instance")
    for row in rows:
        keys = ("code", "stage", "source", "count")
        _add(table, [*(row[key] for key in keys), duration(now_us - row["opened_us"]), row["example"]])
    return table


def _bytes(count: int | None) -> str | None:
    if count is None:
        return None
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
