"""What the mapping of a source asks of its connector, and whether its lane already works by it."""

from __future__ import annotations

from schemas.errors import InvalidInput
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import MARK_KEY, Marker, changelog_topic, decode_marker
from streams.connect.findings import Finding, Severity
from streams.connect.folder import CONNECTOR_FILE, Source
from streams.connect.source_log import SourceLog
from streams.connect.tables import matches, split_patterns
from streams.core.mapping.mapping import load_mapping

CODE = "E28"
TAIL_RECORDS = 50_000
"""A lane writes a marker at least once a second, and a unit's batch holds at most 4 MiB."""


def mapping_findings(source: Source) -> list[Finding]:
    """E28: the mapping is refused, or needs a table the connector does not capture."""
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
    return [
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


def lane_fingerprint(bootstrap: str, source: str) -> bytes | None:
    """Fingerprint of the mapping the source's lane works by; None: the lane has settled nothing yet.

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
                newest = decode_marker(record.value)
        return None if newest is None else newest.fingerprint
    finally:
        reader.close()
