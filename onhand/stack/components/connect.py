"""Kafka Connect, distributed mode with one worker, and the Debezium connectors as plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onhand.stack.component import HOST, Command
from onhand.stack.components.http import answers_ok
from onhand.stack.components.kafka import MAX_MESSAGE_BYTES, jvm, write_properties
from onhand.stack.site import Site

SECRET_VARIABLES = r"[A-Z][A-Z0-9_]*_(USER|PASSWORD|SECRET|TOKEN|HOST|PORT|DATABASE)"
"""Environment variables that a connector's `${env:…}` may name; everything else stays unreadable over REST."""

TIMER_SLACK_US = 1000
"""Debezium's queue wakes when `poll.interval.ms` has passed by its clock of milliseconds, and then asks that clock
without a pause, holding the queue's lock, until it shows one more (`ChangeEventQueue.poll`: expired is *more than* the
interval).  Woken up to a millisecond later it finds the time over."""


@dataclass(frozen=True)
class Connect:
    site: Site
    java: Path
    libs: Path
    plugins: Path
    name: str = "connect"
    needs: tuple[str, ...] = ("kafka",)

    @property
    def ports(self) -> Mapping[str, int]:
        return {"REST": self.site.ports.connect}

    @property
    def _worker_properties(self) -> Path:
        return self.site.conf / "connect.properties"

    def properties(self) -> dict[str, object]:
        """The worker's configuration; where a value is not the default, docs/stack.md says why."""
        return {
            "bootstrap.servers": f"{HOST}:{self.site.ports.kafka}",
            "group.id": "onhand-connect",
            "config.storage.topic": "connect-configs",
            "offset.storage.topic": "connect-offsets",
            "status.storage.topic": "connect-status",
            "config.storage.replication.factor": 1,
            "offset.storage.replication.factor": 1,
            "status.storage.replication.factor": 1,
            "offset.storage.partitions": 4,
            "status.storage.partitions": 1,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "plugin.path": self.plugins,
            "plugin.discovery": "service_load",
            "listeners": f"http://{HOST}:{self.site.ports.connect}",
            "rest.advertised.host.name": HOST,
            "topic.creation.enable": "false",
            "producer.max.request.size": MAX_MESSAGE_BYTES,
            # a killed worker is replaced after 6.5 s instead of 13, and resends one second instead of 60
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 2000,
            "scheduled.rebalance.max.delay.ms": 0,
            "offset.flush.interval.ms": 1000,
            "config.providers": "file,env,dir",
            "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
            "config.providers.file.param.allowed.paths": self.site.secrets,
            "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            # a backslash in a properties file must be written twice; the pattern has none
            "config.providers.env.param.allowlist.pattern": SECRET_VARIABLES,
            "config.providers.dir.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
            "config.providers.dir.param.allowed.paths": self.site.secrets,
        }

    def prepare(self) -> None:
        write_properties(self._worker_properties, self.properties())

    def command(self) -> Command:
        return Command(
            argv=(
                *jvm(self.java, self.site.conf / "log4j2.properties", "1g"),
                *("-cp", f"{self.libs}/*", "org.apache.kafka.connect.cli.ConnectDistributed"),
                str(self._worker_properties),
            ),
            cwd=self.site.data_dir,
            timer_slack_us=TIMER_SLACK_US,
        )

    def ready(self) -> bool:
        return answers_ok(f"http://{HOST}:{self.site.ports.connect}/health")
