"""The inventory process: `InventoryStage` on the chunk runtime."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

from schemas.codec import Codec
from schemas.messages import BalanceMessage
from streams.agents.runtime.topic_desk import TopicDesk
from streams.agents.runtime.tuning import Tuning
from streams.agents.runtime.worker import StageWorker
from streams.core.inventory.publish import Rules
from streams.core.inventory.stage import ATP_TOPIC, InventoryStage

GROUP = "inventory"


def inventory_worker(
    rules: Rules,
    codec: Codec,
    *,
    kafka: str,
    data_dir: Path,
    partitions: int,
    instance: str = "0",
    replication: int = 1,
    tuning: Tuning | None = None,
) -> StageWorker:
    """Raises InvalidInput and EnvironmentFault as `StageWorker` does."""

    def decode(topic: str, value: bytes) -> BalanceMessage:
        return cast(BalanceMessage, codec.decode(topic, value))

    @cache
    def promises_id() -> str:
        """Asked for once this process has its directory; for as long as it runs nobody makes the topic anew."""
        return TopicDesk(kafka).require(ATP_TOPIC, partitions)

    return StageWorker(
        lambda: InventoryStage(rules, decode, codec.encode, partitions, promises_id()),
        group=GROUP,
        partitions=partitions,
        kafka=kafka,
        data_dir=data_dir,
        instance=instance,
        replication=replication,
        tuning=tuning,
    )
