"""What the `onhand source` commands share: sources of this project, the parts they work on, progress lines."""

from __future__ import annotations

from collections.abc import Sequence

import click

from onhand.settings import Settings
from schemas.administration import ensure_source_topics
from streams.connect.apply import Cluster
from streams.connect.client import ConnectClient
from streams.connect.folder import Source, read_sources

name_argument = click.argument("name")
timeout_option = click.option(
    "--timeout-s", type=click.FloatRange(min=1), default=120.0, show_default=True, help="How long to wait for records."
)


def sources(settings: Settings, names: Sequence[str] = ()) -> list[Source]:
    """The named sources of this project, or all."""
    return read_sources(settings.connect_configs, names, settings.connector_variables)


def cluster(settings: Settings, client: ConnectClient, timeout_s: float) -> Cluster:
    """The parts that apply and resnapshot work on."""

    def ensure_topics(of: Source) -> None:
        ensure_source_topics(
            settings.kafka,
            of.name,
            replication=settings.replication,
            signal_topic=of.config.get("signal.kafka.topic"),
            history_topic=of.config.get("schema.history.internal.kafka.topic"),
        )

    return Cluster(client, settings.kafka, [settings.secrets], ensure_topics, timeout_s)


def say(text: str) -> None:
    """Progress goes to standard error, so that --json stays one document."""
    click.echo(text, err=True)
