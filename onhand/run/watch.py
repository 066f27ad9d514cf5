"""Composition root of the watch."""

from __future__ import annotations

from onhand.clock import clock_us
from onhand.health import HOST, Page, json_page, serve_health
from onhand.metrics.catalogue import Kind
from onhand.run.channel import stop_on_signal
from onhand.settings import Settings
from onhand.watch.watch import Watch
from schemas.registry import connected_codec


def run(settings: Settings, name: str) -> int:
    """Look after the sources until SIGTERM.  Raises InvalidInput, EnvironmentFault, Fatal."""
    stop = stop_on_signal()
    watch = Watch(settings, connected_codec(settings.registry_url), clock_us)

    def targets() -> Page:
        """Where each process on this machine exposes its metrics, for Prometheus's HTTP service discovery."""
        files = sorted((settings.data_dir / "run").glob("*.health"))
        return json_page([{"targets": [f"{HOST}:{file.read_text()}" for file in files], "labels": {"job": "onhand"}}])

    port = settings.watch_port or settings.health_port
    settings = settings.model_copy(update={"health_port": port})
    with serve_health(settings, Kind.WATCH, name, watch.health, {"/targets": targets}):
        watch.run(stop)
    return 0
