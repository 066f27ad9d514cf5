"""Composition root of the inventory process."""

from __future__ import annotations

from onhand.collector import collect_seldom
from onhand.health import serve_health
from onhand.metrics.catalogue import Kind
from onhand.settings import Settings
from schemas.registry import connected_codec
from streams.agents.inventory import GROUP, inventory_worker
from streams.agents.runtime.tuning import Tuning
from streams.core.inventory.publish import Rules
from streams.core.ownership import OWNERSHIP_FILE, load_ownership


def run(settings: Settings, name: str = GROUP) -> int:
    """Keep promises until SIGTERM.  Raises InvalidInput, EnvironmentFault before the start."""
    rules = Rules(
        load_ownership(settings.connect_configs / OWNERSHIP_FILE, settings.sources),
        horizon_days=settings.horizon_days,
        grace_days=settings.inbound_grace_days,
    )
    codec = connected_codec(settings.registry_url)
    worker = inventory_worker(
        rules,
        codec,
        kafka=settings.kafka,
        data_dir=settings.data_dir,
        partitions=settings.partitions,
        instance=settings.instance,
        replication=settings.replication,
        tuning=Tuning(session_timeout_s=settings.session_timeout_s),
    )
    collect_seldom()
    with serve_health(settings, Kind.STAGE, name, worker.health):
        return worker.run()
