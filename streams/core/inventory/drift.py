"""Drift: what sources that are not the owner say differently, with its age.

Claims contribute to a drift only while they differ, so that two opposite mistakes never cancel out.
"""

from __future__ import annotations

from schemas.records import Drift
from streams.core.inventory.exceptions import Finding
from streams.core.inventory.sources import Sources
from streams.core.inventory.state import Sku

MAX_DRIFTS = 1_000
"""A position shows no more of them, so that its message stays bounded."""


def visible(record: Sku, sources: Sources) -> tuple[Drift, ...]:
    """The drifts of a sku, by place; one with a source that is still being read is no drift yet."""
    if not record.drifts:
        return ()
    found = [
        Drift(
            location=location,
            bucket=bucket,
            owner=owner,
            owner_quantity=drift.owner_quantity,
            other=other,
            other_quantity=drift.other_quantity,
            since_us=drift.since_us,
        )
        for (location, bucket, owner, other), drift in record.drifts.items()
        if sources.ready(owner.split("/", 1)[0]) and sources.ready(other.split("/", 1)[0])
    ]
    found.sort(key=lambda drift: (drift.location, drift.bucket, drift.other, drift.owner))
    return tuple(found[:MAX_DRIFTS])


def findings(sku: str, drifts: tuple[Drift, ...], now_us: int, after_us: int) -> tuple[list[Finding], int | None]:
    """(exceptions of drifts that lasted `after_us`, when the next one will have)."""
    found, wake_us = [], None
    for drift in drifts:
        ripe_us = drift.since_us + after_us
        if ripe_us > now_us:
            wake_us = ripe_us if wake_us is None else min(wake_us, ripe_us)
            continue
        found.append(
            Finding(
                code="drift",
                source=drift.other,
                subject=f"{sku}/{drift.location}/{drift.bucket}",
                detail=f"{drift.other} says {drift.other_quantity:f} where {drift.owner}, the owner, says "
                f"{drift.owner_quantity:f}",
                action=f"closes by itself when they agree; if it lasts, correct {drift.other} or "
                f"{drift.owner}, or change the owner in ownership.yaml",
            )
        )
    return found, wake_us
