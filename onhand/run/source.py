"""Composition root of a source's lane."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from onhand.collector import collect_seldom
from onhand.health import serve_health
from onhand.metrics.catalogue import Kind
from onhand.settings import Settings
from schemas.errors import InvalidInput
from schemas.registry import connected_codec
from streams.agents.lane import LaneWorker
from streams.agents.runtime.tuning import Tuning
from streams.connect.drift import drift_findings
from streams.connect.folder import read_sources
from streams.connect.mapping_check import lane_memo
from streams.core.lane.applied import Applied
from streams.core.mapping.dialects import not_proven
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.text import compile_text, read_text

log = logging.getLogger(__name__)


def run(settings: Settings, name: str) -> int:
    """Fold one source until SIGTERM.  Raises InvalidInput for an unknown source, or a refused mapping (every problem
    named at once) when none was applied before; EnvironmentFault for what is missing around it."""
    folder = settings.connect_configs / name
    if not folder.is_dir():
        raise InvalidInput(
            f"source {name!r}: no folder {folder}; known sources: {', '.join(settings.sources) or 'none'}"
        )
    codec = connected_codec(settings.registry_url)
    worker = LaneWorker(
        name,
        _applied(settings, folder),
        codec,
        kafka=settings.kafka,
        data_dir=settings.data_dir,
        instance=settings.instance,
        replication=settings.replication,
        tuning=Tuning(session_timeout_s=settings.session_timeout_s),
    )
    collect_seldom()
    threading.Thread(target=_compare_catalogue, args=(settings, name), daemon=True).start()
    with serve_health(settings, Kind.LANE, f"source-{name}", worker.health):
        return worker.run()


def _applied(settings: Settings, folder: Path) -> Applied:
    """A folder whose mapping is refused does not keep a lane from working by the one that was applied."""
    try:
        mapping, text = load_mapping(folder), read_text(folder)
    except InvalidInput as error:
        if lane_memo(settings.kafka, folder.name) is None:
            raise
        log.warning("%s is refused, the mapping that was applied last goes on: %s", folder, error)
        return Applied(None, b"", compile_text, str(error))
    reason = not_proven(mapping.source.kind)
    if reason:
        raise InvalidInput(f"source {folder.name!r}: {reason}")
    return Applied(mapping, text, compile_text)


def _compare_catalogue(settings: Settings, name: str) -> None:
    """Say in what the database differs from catalog.json; beside the lane, which does not wait for it."""
    try:
        (source,) = read_sources(settings.connect_configs, [name], settings.connector_variables)
    except InvalidInput:
        return  # a lane on a machine of its own needs no connector.json
    for finding in drift_findings(source, [settings.secrets]):
        log.warning("%s", finding)
