"""What the mapping of a source asks of its connector, and whether its lane already works by it."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.errors import InvalidInput
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import MARK_KEY, Marker, changelog_topic, decode_marker
from streams.connect.findings import Finding, Severity
from streams.connect.folder import CONNECTOR_FILE, Source
from streams.connect.source_log import SourceLog
from streams.connect.tables import matches, split_patterns
from streams.core.lane.state import Memo, load_memo
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.model import TableMapping

CODE = "E28"
TAIL_RECORDS = 50_000
"""A lane writes a marker at least once a second, and a unit's batch holds at most 4 MiB."""


def mapping_findings(source: Source) -> list[Finding]:
    """E28: the mapping is refused, or needs a table the connector does not capture; a note: or reads it late."""
    if not any(source.folder.glob("*.sql")):
        place = f"{source.folder.name}/"
        fix = "Write postings.sql (README), then `onhand source inspect`"
        return [Finding(CODE, Severity.NOTE, source.name, place, "there is no mapping yet", fix)]
    try:
        mapping = load_mapping(source.folder)
    except InvalidInput as error:
        return [
            Finding(CODE, Severity.ERROR, source.name, f"{source.folder.name}/", line, "The lane would refuse it")
            for line in str(error).splitlines()
        ]
    patterns = split_patterns(source.config.get("table.include.list", ""))
    missing = sorted(table for table in mapping.tables if not matches(patterns, table))
    return _read_late(source, mapping.tables, patterns) + [
        Finding(
            CODE,
            Severity.ERROR,
            source.name,
            source.place("table.include.list"),
            f"the mapping reads {table}, which is not captured",
            f"Add {table} to table.include.list of {CONNECTOR_FILE}",
        )
        for table in missing
    ]


def _read_late(source: Source, tables: Mapping[str, TableMapping], patterns: list[str]) -> list[Finding]:
    """A snapshot reads tables in the order of the expressions, and those of one by name; the lane evaluates a row as it
    comes when all it joins has been read, and otherwise stores it and reads it again at the end."""

    def place(table: str) -> tuple[int, str]:
        return next(n for n, pattern in enumerate(patterns) if matches([pattern], table)), table

    captured = [table for table in tables.values() if matches(patterns, table.name)]
    late = {table.name: sorted(j for j in table.joins if matches(patterns, j)) for table in captured}
    return [
        Finding(
            CODE,
            Severity.NOTE,
            source.name,
            source.place("table.include.list"),
            f"a snapshot reads {table} before {', '.join(joined)}, which its rows join: they are read twice",
            "List tables one by one, with a comma between, those that are joined first",
        )
        for table, every in sorted(late.items())
        if (joined := [j for j in every if place(j) > place(table)])
    ]


def lane_memo(bootstrap: str, source: str) -> Memo | None:
    """What the source's lane remembers, the mapping it works by among it; None: it has settled nothing yet.

    Raises EnvironmentFault when Kafka does not answer.
    """
    topic = changelog_topic(f"lane-{source}")
    with SourceLog(bootstrap, topic) as changelog:
        if not changelog.end():
            return None
    reader = LogReader(bootstrap)
    try:
        low, end = reader.bounds(topic, 0)
        newest: Marker | None = None
        for record in reader.read(topic, 0, max(low, end - TAIL_RECORDS), end):
            if record.key == MARK_KEY and record.value is not None:
                marker = decode_marker(record.value)
                newest = marker if marker.memo else newest  # a claim has nothing of the lane yet
        return None if newest is None else load_memo(newest.memo)
    finally:
        reader.close()
