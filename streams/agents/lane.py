"""The process of one source's lane: `LaneStage` on the chunk runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.codec import Codec
from streams.agents.open_exceptions import OpenExceptions
from streams.agents.runtime.tuning import Tuning
from streams.agents.runtime.worker import StageWorker
from streams.core.lane.applied import Applied
from streams.core.lane.stage import LaneStage


def stage_factory(source: str, applied: Applied, codec: Codec, kafka: str) -> Callable[[], LaneStage]:
    """A stage for each take-over; what an earlier owner began to read of exception.v1 is not this one's."""
    return lambda: LaneStage(source, applied, codec.encode, on_topic=OpenExceptions(source, codec, kafka))


class LaneWorker:
    """One lane on one machine; a source log has one partition, so a second worker only stands by."""

    def __init__(
        self,
        source: str,
        applied: Applied,
        codec: Codec,
        *,
        kafka: str,
        data_dir: Path,
        instance: str = "0",
        replication: int = 1,
        tuning: Tuning | None = None,
    ) -> None:
        """Raises InvalidInput and EnvironmentFault as `StageWorker` does."""
        self._stages: list[LaneStage] = []
        make = stage_factory(source, applied, codec, kafka)

        def stage() -> LaneStage:
            self._stages = [make()]
            return self._stages[0]

        self._worker = StageWorker(
            stage,
            group=f"lane-{source}",
            partitions=1,
            kafka=kafka,
            data_dir=data_dir,
            instance=instance,
            replication=replication,
            tuning=tuning,
        )

    def run(self) -> int:
        """Fold the source's log until SIGTERM; the exit code."""
        return self._worker.run()

    def health(self) -> dict[str, Any]:
        """The runtime's answer and the lane's own; safe to call from another thread."""
        answer = self._worker.health()
        if self._stages:
            lane = self._stages[-1].health()
            waits_for = lane.pop("waits_for")
            answer |= {"waits_for": waits_for if answer.get("partitions") else "", "lane": lane}
        return answer
