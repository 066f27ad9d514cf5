"""Kafka: one KRaft node, broker and controller."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onhand.stack.component import HOST, Command, port_answers
from onhand.stack.site import Site
from schemas.errors import EnvironmentFault

MAX_MESSAGE_BYTES = 8 << 20
"""Above the largest record batch onhand writes (a unit's changelog batch, 4 MiB)."""

LOG4J = """\
status = warn
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
"""


QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For Java that has little to do: the second compiler and a concurrent collector cost more than they bring."""


def jvm(java: Path, log4j: Path, heap: str) -> tuple[str, ...]:
    """The Java command up to its class path."""
    return (str(java), "-Xms128m", f"-Xmx{heap}", "-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={log4j}")


def write_properties(path: Path, properties: Mapping[str, object]) -> None:
    """A Java properties file, in the order given."""
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


@dataclass(frozen=True)
class Kafka:
    site: Site
    java: Path
    libs: Path
    name: str = "kafka"
    needs: tuple[str, ...] = ()

    @property
    def ports(self) -> Mapping[str, int]:
        return {"clients": self.site.ports.kafka, "controller": self.site.ports.controller}

    @property
    def _server_properties(self) -> Path:
        return self.site.conf / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.site.conf / "log4j2.properties"

    def properties(self) -> dict[str, object]:
        """server.properties."""
        ports = self.site.ports
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@{HOST}:{ports.controller}",
            "listeners": f"PLAINTEXT://{HOST}:{ports.kafka},CONTROLLER://{HOST}:{ports.controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{ports.kafka}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.site.data_dir / "kafka",
            "auto.create.topics.enable": "false",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 4,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }

    def prepare(self) -> None:
        """Configuration, and the log directory formatted once under the data directory's cluster id."""
        self._log4j.write_text(LOG4J)
        write_properties(self._server_properties, self.properties())
        if (self.site.data_dir / "kafka" / "meta.properties").exists():
            return
        done = subprocess.run(
            (
                *jvm(self.java, self._log4j, "128m"),
                *QUICK_START,
                *("-cp", f"{self.libs}/*", "kafka.tools.StorageTool", "format"),
                *("--cluster-id", self.site.identity.cluster_id, "--config", str(self._server_properties)),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EnvironmentFault(f"kafka: cannot format {self.site.data_dir / 'kafka'}: {done.stderr or done.stdout}")

    def command(self) -> Command:
        return Command(
            argv=(
                *jvm(self.java, self._log4j, "768m"),
                *("-cp", f"{self.libs}/*", "kafka.Kafka", str(self._server_properties)),
            ),
            cwd=self.site.data_dir,
        )

    def ready(self) -> bool:
        """The broker is registered and tells its metadata."""
        if not port_answers(self.site.ports.kafka):
            return False
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            quiet: dict[str, str | int | float | bool] = {
                "bootstrap.servers": f"{HOST}:{self.site.ports.kafka}",
                "log_level": 0,
            }
            return bool(AdminClient(quiet).list_topics(timeout=2).brokers)
        except KafkaException:
            return False
