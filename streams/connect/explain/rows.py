"""Rows behind a value as a document: what each says, its columns, what it joined, when it was changed last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streams.connect.explain.changes import Change
from streams.connect.explain.lane import HeldRow, LaneState
from streams.connect.explain.world import World
from streams.core.lane.keys import BalanceName, reference_text


def row_documents(world: World, lane: LaneState, rows: Sequence[HeldRow], says: Mapping[bytes, Any]) -> list[Any]:
    """One for each row; `says` is by row reference."""
    changes = world.changes(lane, rows)
    return [
        {
            "source": lane.source,
            "row": row.text,
            "state": row.state,
            "says": says.get(row.reference, []),
            "columns": row.columns,
            "joined": list(_joined(row, changes)),
            "change": _change(changes.get(row.reference)),
            "exceptions": list(row.faults),
        }
        for row in rows
    ]


def posting_text(name: BalanceName, quantity: str) -> str:
    """`demand 4 at W1 due 2026-12-01 for SO-4711-1`"""
    due = f" due {name.due}" if name.due else ""
    reference = f" for {name.reference}" if name.reference else ""
    view = f" (view {name.view})" if name.view else ""
    return f"{name.bucket.value} {quantity} at {name.location}{due}{reference}{view}"


def _joined(row: HeldRow, changes: Mapping[bytes, Change]) -> Iterable[dict[str, Any]]:
    for joined in row.joined:
        asked = {"table": joined.table, "by": joined.by, "key": [str(part) for part in joined.key]}
        if not joined.rows:
            yield {**asked, "row": None, "columns": {}, "change": None}
        for reference, columns in joined.rows:
            change = _change(changes.get(reference))
            yield {**asked, "row": reference_text(reference), "columns": columns, "change": change}


def _change(change: Change | None) -> dict[str, Any] | None:
    return None if change is None else change._asdict()
