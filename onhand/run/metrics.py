"""Composition root of the metrics worker."""

from __future__ import annotations

from contextlib import ExitStack

from onhand.clock import clock_us
from onhand.health import serve_health
from onhand.metrics.catalogue import Kind
from onhand.run.channel import stop_on_signal
from onhand.settings import Settings
from schemas.registry import connected_codec
from sinks.clickhouse.database import open_clickhouse
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.server import ClickHouseServer
from sinks.clickhouse.writer import MetricsWriter
from sinks.workers.metrics import MetricsWorker


def run(settings: Settings, name: str) -> int:
    """Write metrics until SIGTERM.  Raises InvalidInput, EnvironmentFault, Fatal."""
    stop = stop_on_signal()
    codec = connected_codec(settings.registry_url)
    directory = settings.data_dir / "clickhouse"
    with ExitStack() as parts:
        clickhouse = parts.enter_context(open_clickhouse(settings.clickhouse_dsn, directory, create=True))
        migrate(clickhouse)
        if settings.clickhouse_dsn.startswith("chdb:"):
            parts.enter_context(ClickHouseServer(directory, settings.clickhouse_port))
        worker = MetricsWorker(MetricsWriter(clickhouse), bootstrap=settings.kafka, codec=codec, clock_us=clock_us)
        parts.enter_context(serve_health(settings, Kind.METRICS, "metrics", worker.health))
        worker.run(stop)
    return 0
