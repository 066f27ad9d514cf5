"""The orders process: one OrdersStage per partition on the chunk runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from schemas.codec import Codec
from schemas.errors import InvalidInput
from streams.agents.runtime.tuning import Tuning
from streams.agents.runtime.worker import StageWorker
from streams.core.mapping.source import FILE, load_source
from streams.core.orders.stage import OrdersStage
from streams.core.orders.stages import Words, words_of
from streams.core.ownership import Ownership

GROUP = "orders"


def owning_sources(ownership: Ownership) -> frozenset[str]:
    """Sources that own an order attribute: an order is complete when all of them are."""
    sections = (ownership.orders.header, ownership.orders.lines, ownership.orders.shipments)
    return frozenset(source for section in sections for owners in section.values() for source in owners)


def load_words(connect_configs: Path) -> Words:
    """The statuses each source can say, by its source.yaml.  Raises InvalidInput with every mistake."""
    files = sorted(connect_configs.glob(f"*/{FILE}"))
    return words_of({file.parent.name: load_source(file).statuses for file in files})


def stage_factory(ownership: Ownership, codec: Codec, words: Words) -> Callable[[], OrdersStage]:
    """A stage per partition the process comes to own.  Raises InvalidInput when nobody owns an order attribute."""
    sources = owning_sources(ownership)
    if not sources:
        raise InvalidInput("ownership.yaml: section orders names no source; name one, or do not run orders")
    return lambda: OrdersStage(ownership, sources, codec.encode, codec.decode, words)


def orders_worker(
    ownership: Ownership,
    codec: Codec,
    words: Words,
    *,
    kafka: str,
    data_dir: Path,
    partitions: int,
    instance: str = "0",
    replication: int = 1,
    tuning: Tuning | None = None,
) -> StageWorker:
    """The process, ready to `run`.  Raises InvalidInput, EnvironmentFault."""
    return StageWorker(
        stage_factory(ownership, codec, words),
        group=GROUP,
        partitions=partitions,
        kafka=kafka,
        data_dir=data_dir,
        instance=instance,
        replication=replication,
        tuning=tuning,
    )
