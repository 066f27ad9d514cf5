"""A folder, topics, producers and processes for the tests of the channel and metrics workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from onhand.health import ask_health
from onhand.settings import Settings
from onhand.stack.local import settings_environment
from schemas import administration
from schemas.codec import Codec
from schemas.records import Atp, ExceptionRecord, Progress, Publication
from schemas.registry import Registry
from sinks.workers import wire
from sinks.workers.tools import newest_exceptions, newest_publications
from tests.receiver import SECRET, Receiver
from tests.stack import RunningStack

DEADLINE_S = 60.0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Poll an observed condition until a deadline."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Rig:
    """One test's corner of the stack: a channel and skus of its own, in topics that tests share."""

    def __init__(self, stack: RunningStack, folder: Path) -> None:
        self.tag = uuid.uuid4().hex[:8]
        self.channel = f"shop-{self.tag}"
        self.folder = folder
        (folder / "channel-configs").mkdir()
        self.settings: Settings = stack.settings(
            data_dir=folder / "data", project_dir=folder, clickhouse_port=free_port(), session_timeout_s=6.0
        )
        self._admin = AdminClient({"bootstrap.servers": self.settings.kafka})
        self.stated = 0
        self._apply_topics()
        with Registry(self.settings.registry_url) as registry:
            self.codec = Codec.connected(registry)
        self.outbox = wire.Outbox(self.settings.kafka, f"test-{self.tag}", self.codec)
        self.processes: list[subprocess.Popen[bytes]] = []

    def sku(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def send(self, topic: str, key: str, record: msgspec.Struct, partition: int | None = None) -> None:
        self.outbox.send(topic, key, record, partition)

    def publish(self, *atps: Atp) -> None:
        """Into the compacted topic, durable on return."""
        for atp in atps:
            self.send(wire.ATP, atp.sku, atp)
        self.outbox.settle()

    def state_whole(self) -> None:
        """Inventory says that it knows no more than stands in its topic."""
        promises_id, partitions = self._describe(wire.ATP)
        for partition in range(partitions):
            self.stated += 1
            progress = Progress(
                stage="inventory",
                source=self.tag,
                partition=partition,
                version=self.stated,
                input_offset=0,
                source_position="",
                source_time_us=None,
                complete=True,
                whole_topic_id=promises_id,
            )
            self.send(wire.PROGRESS, f"inventory/{self.tag}/{partition}", progress)
        self.outbox.settle()

    def lose(self, topic: str) -> None:
        """Delete a topic and make it anew."""
        before = self._describe(topic)
        self._admin.delete_topics([topic], operation_timeout=DEADLINE_S)[topic].result()
        self._apply_topics()
        wait_until(lambda: self._describe(topic)[0] != before[0], f"{topic} is another one")

    def _describe(self, topic: str) -> tuple[str, int]:
        found = self._admin.describe_topics(TopicCollection([topic]), request_timeout=DEADLINE_S)[topic].result()
        return str(found.topic_id), len(found.partitions)

    def _apply_topics(self) -> None:
        administration.apply(
            kafka=self.settings.kafka,
            registry_url=self.settings.registry_url,
            partitions=self.settings.partitions,
        )

    def write_rule(self, receiver: Receiver, **changes: Any) -> None:
        rule = {
            "name": self.channel,
            "adapter": "webhook",
            "url": receiver.url,
            "secret": "${env:ONHAND_SECRET_SHOP}",
            "tells": ["inventory"],
            "timeout_s": 20,
            **changes,
        }
        path = self.settings.channel_configs / f"{self.channel}.yaml"
        fresh = path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(rule))
        fresh.rename(path)

    def environment(self, **changes: Any) -> dict[str, str]:
        settings = self.settings.model_copy(update=changes)
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("ONHAND_")}
        return {**inherited, **settings_environment(settings), "ONHAND_SECRET_SHOP": SECRET}

    def start(self, *arguments: str, **changes: Any) -> subprocess.Popen[bytes]:
        """`onhand run …` as a process of its own; its log is `<folder>/<arguments>-<n>.log`."""
        log = self.folder / f"{'-'.join(arguments)}-{len(self.processes)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "onhand.cli.main", "run", *arguments],
                env=self.environment(**changes),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def start_channel(self, **changes: Any) -> subprocess.Popen[bytes]:
        process = self.start("channel", self.channel, **changes)
        name = f"channel-{self.channel}" + (f"@{changes['instance']}" if "instance" in changes else "")
        wait_until(lambda: self._alive(process) and self.health(name).get("ready") is True, f"{name} is ready")
        return process

    def health(self, name: str) -> dict[str, Any]:
        return ask_health(self.settings.data_dir, name)

    def onhand(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "onhand.cli.main", *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def publications(self) -> Mapping[str, Publication]:
        return newest_publications(self.settings.kafka, self.codec, self.channel)

    def exceptions(self) -> dict[str, ExceptionRecord]:
        return newest_exceptions(self.settings.kafka, self.codec)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.outbox.close()

    def _alive(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            logs = "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log")))
            raise AssertionError(f"exit {process.returncode}\n{logs}")
        return True
