"""Short ways to write facts and rules in tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from schemas.records import Atp, LocationAtp, Stamps
from sinks.core.offer import Promise, promise_of
from sinks.core.rule import Rule

ZERO = Decimal(0)
SECOND = 1_000_000


def rule(**changes: Any) -> Rule:
    """A rule that tells everything as it is."""
    return Rule.model_validate(
        {"name": "shop", "adapter": "webhook", "url": "http://127.0.0.1:9", "secret": "${env:SECRET}", **changes}
    )


def at(location: str, available: int | str) -> LocationAtp:
    return LocationAtp(
        location=location,
        available_now=Decimal(available),
        on_hand=ZERO,
        on_hold=ZERO,
        safety_stock=ZERO,
        demand=ZERO,
        inbound=ZERO,
        reserved=ZERO,
    )


def atp(sku: str = "A", version: int = 1, network: int | str = 10, **more: Any) -> Atp:
    locations: dict[str, int | str] = more.pop("locations", {})
    return Atp(
        **{
            "sku": sku,
            "version": version,
            "complete": True,
            "uncertain": False,
            "tracked": True,
            "backorder_limit": None,
            "active": True,
            "network": at("*", network),
            "locations": tuple(at(name, available) for name, available in locations.items()),
            "source_versions": {"erp": 1, "wms": 1},
            "stamps": Stamps(committed_us=1, captured_us=2, laned_us=3, promised_us=4),
            "cause": "erp",
            **more,
        }
    )


def promise(version: int = 1, network: int | str = 10, **more: Any) -> Promise:
    return promise_of(atp(version=version, network=network, **more))
