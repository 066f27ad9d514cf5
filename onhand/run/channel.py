"""Composition root of one channel's worker."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from onhand.clock import clock_us
from onhand.collector import collect_seldom
from onhand.health import serve_health
from onhand.metrics.catalogue import Kind
from onhand.settings import Settings
from schemas.registry import connected_codec
from schemas.secrets import resolve_here
from sinks.channels.adapter import ChannelAdapter
from sinks.channels.webhook import WebhookSink
from sinks.core.rule import Rule, load_rule
from sinks.workers.channel import ChannelWorker


def run(settings: Settings, name: str) -> int:
    """Push one channel until SIGTERM.  Raises InvalidInput, EnvironmentFault, Fatal."""
    rules = RuleFile(settings.channel_configs, name)
    codec = connected_codec(settings.registry_url)
    worker = ChannelWorker(
        rules.load(),
        bootstrap=settings.kafka,
        session_timeout_s=settings.session_timeout_s,
        codec=codec,
        reload_rule=rules.changed,
        adapter=lambda rule: adapter_of(rule, settings.secrets),
        clock_us=clock_us,
    )
    stop = stop_on_signal()
    collect_seldom()
    with serve_health(settings, Kind.CHANNEL, f"channel-{name}", worker.health):
        worker.run(stop)
    return 0


class RuleFile:
    """A channel's file, and whether it changed since it was read."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._seen: tuple[int, int] | None = None

    def load(self) -> Rule:
        """Raises InvalidInput."""
        self._seen = self._mark()
        return load_rule(self._folder, self._name)

    def changed(self) -> Rule | None:
        """The rule when the file is another one than last time, else None.  Raises InvalidInput, once per change."""
        return None if self._mark() == self._seen else self.load()

    def _mark(self) -> tuple[int, int] | None:
        try:
            stat = (self._folder / f"{self._name}.yaml").stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino


def adapter_of(rule: Rule, secrets: Path) -> ChannelAdapter:
    """The adapter a rule names.  Raises EnvironmentFault for a missing secret, InvalidInput for a wrong one."""
    url, secret = resolve_here(rule.url, secrets), resolve_here(rule.secret, secrets)
    return WebhookSink(url, secret, rule.timeout_s, clock_us)


def stop_on_signal() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
