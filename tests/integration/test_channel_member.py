"""A channel worker that held still for longer than its lease pushes nothing before the group says it is one of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.group import LeaveGroupRequest
from confluent_kafka.admin import AdminClient

from sinks.core.answer import Answer, Outcome
from sinks.core.desk import Push
from sinks.workers import channel
from sinks.workers.channel import ChannelWorker
from tests.integration.sinks_rig import Rig, wait_until
from tests.stack import RunningStack
from tests.unit.sinks.facts import atp, rule

pytestmark = pytest.mark.integration

SESSION_S = 60.0
"""By its heartbeats, every fourth of it, the worker finds out by itself."""


@pytest.fixture
def rig(stack: RunningStack, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(stack, tmp_path)
    yield made
    made.close()


class Group:
    """The workers of a channel, as Kafka sees them."""

    def __init__(self, kafka: str, name: str) -> None:
        self.kafka, self.name = kafka, name
        self._admin = AdminClient({"bootstrap.servers": kafka})

    def members(self) -> list[str]:
        (future,) = self._admin.describe_consumer_groups([self.name], request_timeout=60).values()
        return [member.member_id for member in future.result().members]

    def remove(self, member: str) -> None:
        """As when its session has run out."""
        asyncio.run(self._remove(member))

    async def _remove(self, member: str) -> None:
        client: Any = AIOKafkaClient(bootstrap_servers=self.kafka)
        await client.bootstrap()
        try:
            node = await client.coordinator_lookup(CoordinationType.GROUP, self.name)
            await client.send(node, LeaveGroupRequest(self.name, member))
        finally:
            await client.close()


class Shop:
    """A channel that takes everything, and notes who told it."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self.told: dict[str, int] = {}
        self.by_members: list[bool] = []

    def push(self, push: Push) -> Answer:
        self.by_members.append(bool(self._group.members()))
        self.told.update((item.publication.key, item.publication.source_version) for item in push.items)
        return Answer(Outcome.ACCEPTED, "200")

    def close(self) -> None:
        pass


def test_who_is_no_member_any_more_pushes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka, sku = rig.settings.kafka, rig.sku("A")
    group = Group(kafka, f"channel-{rig.channel}")
    shop = Shop(group)
    held_still_s = 0.0
    boottime_s = channel._boottime_s
    monkeypatch.setattr(channel, "_boottime_s", lambda: boottime_s() + held_still_s)
    worker = ChannelWorker(
        rule(name=rig.channel, tells=["inventory"]),
        bootstrap=kafka,
        session_timeout_s=SESSION_S,
        codec=rig.codec,
        reload_rule=lambda: None,
        adapter=lambda _: shop,
        clock_us=lambda: 1_800_000_000_000_000,
    )
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        rig.publish(atp(sku, 1, 5))
        wait_until(lambda: shop.told.get(sku) == 1, "the first version")
        (member,) = group.members()
        group.remove(member)
        assert group.members() == []
        held_still_s = SESSION_S
        rig.publish(atp(sku, 2, 6))
        wait_until(lambda: shop.told.get(sku) == 2, "it joins again, and tells the newest")
        assert all(shop.by_members)
    finally:
        stop.set()
        thread.join()
