"""The running chain as a fault sees it, and what an operator may do to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from onhand.demo.traffic import Traffic
from onhand.stack.records import Row, State
from schemas.reader import read_topic
from schemas.records import Progress
from schemas.registry import connected_codec
from tests.campaign.system import CampaignSystem, Probe, reserve_probes
from tests.faults.chain import Chain

REPOSITORY = Path(__file__).parents[2]
START_S = 240.0
"""A machine that does other things too may take so long for fourteen processes."""
STATE = {
    "source-erp": "state/lane-erp/0",
    "source-wms": "state/lane-wms/0",
    "inventory": "state/inventory/0",
    "orders": "state/orders/0",
    "metrics": "clickhouse",
    "kafka": "kafka",
}
"""Where a process keeps what it needs, below the data directory."""


class Rig(Chain):
    """A chain with proxies, probes and what the scenario under way has to say."""

    system: CampaignSystem
    traffic_now: Traffic | None = None

    def __init__(self, system: CampaignSystem, project: Path) -> None:
        super().__init__(system, project)
        self.probes: tuple[Probe, Probe] = reserve_probes(self)
        self.operator: list[str] = []
        """Commands a person had to give in this scenario."""
        self.threads = ThreadPoolExecutor()
        """What faults run in; they stay, because a process that one of them starts dies with the thread."""
        self._watermarks = Consumer(
            {"bootstrap.servers": system.settings.kafka, "group.id": "campaign-looks", "log_level": 0}
        )

    def close(self) -> None:
        self._watermarks.close()
        self.threads.shutdown()

    # ------------------------------------------------------------ looking

    def row(self, name: str) -> Row:
        """What the supervisor knows of a process."""
        return next(row for row in self.system.stack.rows() if row.name == name)

    def works(self, name: str) -> bool:
        """It answers well; a stage owns its partitions, a channel has caught up."""
        row = self.row(name)
        if row.state is not State.RUNNING:
            return False
        if row.component:
            return True
        health = self.health(name)
        return bool(health["healthy"] and health.get("ready", True))

    def all_work(self) -> bool:
        """Servers and processes; additional workers of a group do not count."""
        return all(self.works(row.name) for row in self.system.stack.rows() if "@" not in row.name)

    def business(self) -> int:
        """Transactions so far, committed or refused by a database that was away."""
        if self.traffic_now is None:
            return 0
        schedule = self.traffic_now.schedule
        return schedule.counts.total() + len(schedule.failures)

    def end(self, topic: str, partition: int = 0) -> int | None:
        """Next offset of a partition; None: Kafka does not say."""
        try:
            return int(self._watermarks.get_watermark_offsets(TopicPartition(topic, partition), timeout=1.0)[1])
        except KafkaException:
            return None

    def claims(self, source: str) -> list[str]:
        """The source positions that a lane has stated, oldest first, as far as compaction has left them."""
        settings = self.system.settings
        codec = connected_codec(settings.registry_url)
        records = read_topic(settings.kafka, "progress.v1", codec, key=f"lane/{source}/0")
        return [record.value.source_position for record in records if isinstance(record.value, Progress)]

    def state_of(self, name: str) -> Path:
        """The folder of a process's state."""
        return self.system.settings.data_dir / STATE[name]

    # ------------------------------------------------------------ doing

    def person(self, *arguments: str, may_fail: bool = False) -> str:
        """A command that somebody has to give; its output."""
        self.operator.append("onhand " + " ".join(arguments))
        done = self.command(*arguments)
        if done.code and not may_fail:
            raise AssertionError(f"onhand {' '.join(arguments)}: exit {done.code}\n{done.text}")
        return done.text

    def release_what_waits(self, source: str) -> None:
        """Let a sweep go ahead that asks for a person: in this small business 5 % of a table is a few rows."""
        for record in self.exceptions("sweep-waits", source=source):
            self.person("source", "release", source, record.id, "--why", "the campaign's tables are small")


@contextmanager
def running_rig(items: int, seed: int, broken: str | None = None) -> Iterator[Rig]:
    """The whole chain on a project folder and data directory of its own, wiped afterwards.

    `broken`: every process of onhand runs without this guard.
    """
    folder = Path(tempfile.mkdtemp(prefix="onhand-campaign-"))
    folder.chmod(0o755)  # the databases' users must reach it
    try:
        for name in ("connect-configs", "channel-configs"):
            shutil.copytree(REPOSITORY / name, folder / "project" / name)
        project = folder / "project"
        with CampaignSystem(folder / "data", items=items, seed=seed, project_dir=project, broken=broken) as system:
            rig = Rig(system, project)
            rig.wait("everything to work", rig.all_work, START_S)
            try:
                yield rig
            finally:
                rig.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
