"""Where a source's lane says how far it has come and keeps what it holds."""

from __future__ import annotations

PROGRESS_TOPIC = "progress.v1"


def lane_group(source: str) -> str:
    """Consumer group, table and changelog of a lane are named so."""
    return f"lane-{source}"
