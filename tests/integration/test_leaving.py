"""SIGTERM while the group rebalances: the member is gone at once, not when its session has run out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import changelog_topic
from streams.agents.runtime.worker import MEMBER_FILE
from tests.integration.runtime_harness import wait_for
from tests.integration.runtime_stages import PARTITIONS
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

SESSION_S = 40
"""So long the group would wait for a member that does not say goodbye."""
DEADLINE_S = 120.0
QUIET_S = 3.0


class Group:
    """Workers of one stage."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.run = uuid.uuid4().hex[:8]
        self.name = f"rows-{self.run}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._admin = AdminClient({"bootstrap.servers": kafka})
        self._reader = LogReader(kafka)
        topics = [NewTopic(f"{topic}-{self.run}", PARTITIONS, 1) for topic in ("raw", "sums")]
        for future in self._admin.create_topics(topics).values():
            future.result()

    def start(self) -> subprocess.Popen[bytes]:
        instance = str(len(self.workers))
        arguments = ["rows", self.run, self.kafka, str(self.folder), instance, str(SESSION_S)]
        with (self.folder / f"{instance}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.runtime_stages", *arguments], stdout=log, stderr=log
            )
        self.workers.append(worker)
        return worker

    def member(self, instance: int) -> str:
        return (self.folder / "state" / self.name / str(instance) / MEMBER_FILE).read_text()

    def described(self) -> tuple[ConsumerGroupState, set[str]]:
        """(state, instances of its members)."""
        (future,) = self._admin.describe_consumer_groups([self.name], request_timeout=DEADLINE_S).values()
        group = future.result()
        return group.state, {member.group_instance_id for member in group.members}

    def is_stable(self, members: int) -> bool:
        state, instances = self.described()
        return state is ConsumerGroupState.STABLE and len(instances) == members

    def units(self) -> list[int]:
        """Ends of the changelog: who owns a partition writes at least once a second."""
        topic = changelog_topic(self.name)
        return [self._reader.bounds(topic, partition)[1] for partition in range(PARTITIONS)]

    def nobody_writes(self) -> bool:
        before, end = self.units(), time.monotonic() + QUIET_S
        while time.monotonic() < end:
            if self.units() != before:
                return False
        return True

    def close(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
            worker.wait()
        self._reader.close()


def test_who_is_told_to_stop_while_the_group_waits_for_another_leaves_it_at_once(
    stack: RunningStack, tmp_path: Path
) -> None:
    group = Group(stack.endpoints.kafka, tmp_path)
    try:
        first, second = group.start(), group.start()
        wait_for(lambda: group.is_stable(2), f"two members; logs in {tmp_path}", DEADLINE_S)
        second.send_signal(signal.SIGSTOP)
        group.start()
        rebalancing = ConsumerGroupState.PREPARING_REBALANCING
        wait_for(lambda: group.described()[0] is rebalancing, "a rebalance that waits for the second", DEADLINE_S)
        wait_for(group.nobody_writes, "the first to have let go, and to wait, too", SESSION_S)
        assert group.described()[0] is rebalancing, "the second has not been given up yet"
        leaver = group.member(0)
        assert leaver in group.described()[1]
        first.send_signal(signal.SIGTERM)
        assert first.wait(DEADLINE_S) == 0
        assert leaver not in group.described()[1]
    finally:
        group.close()
