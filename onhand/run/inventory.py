"""Composition root of the inventory process."""

from __future__ import annotations

from onhand.collector import collect_seldom
from onhand.health import serve_health
from onhand.settings import Settings
from schemas.codec import Codec
from schemas.registry import Registry
from streams.agents.inventory import GROUP, inventory_worker
from streams.core.inventory.publish import Rules
from streams.core.ownership import OWNERSHIP_FILE, load_ownership

SOURCE_FILE = "source.yaml"


def run(settings: Settings, name: str = GROUP) -> int:
    """Keep promises until SIGTERM.  Raises InvalidInput, EnvironmentFault before the start."""
    sources = [folder.parent.name for folder in settings.connect_configs.glob(f"*/{SOURCE_FILE}")]
    rules = Rules(
        load_ownership(settings.connect_configs / OWNERSHIP_FILE, sources),
        horizon_days=settings.horizon_days,
        grace_days=settings.inbound_grace_days,
    )
    with Registry(settings.registry_url) as registry:
        codec = Codec.connected(registry)
    worker = inventory_worker(
        rules,
        codec,
        kafka=settings.kafka,
        data_dir=settings.data_dir,
        partitions=settings.partitions,
        instance=settings.instance,
        replication=settings.replication,
    )
    collect_seldom()
    with serve_health(settings, name, worker.health):
        return worker.run()
