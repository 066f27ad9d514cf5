"""Writes what happened into ClickHouse so that doing it again changes nothing.

Theory of operation.  A row's key and its minute come from the record alone, so a replayed record replaces its own row.
`lag` is a pure function of the rows of a minute: after every batch the minutes it touched are counted again from
`publications`, and of two counts of one cell the greater is the newer one.  `consumed` is written last.  So a batch cut
off anywhere is simply made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from schemas.records import ExceptionRecord, Progress, Publication, PublicationState
from sinks.clickhouse.database import ClickHouse
from sinks.core.histogram import BUCKET_SQL

HOPS: Mapping[str, tuple[str, str]] = {
    "commit→captured": ("committed_us", "captured_us"),
    "captured→laned": ("captured_us", "laned_us"),
    "laned→promised": ("laned_us", "promised_us"),
    "promised→picked up": ("promised_us", "picked_up_us"),
    "picked up→acknowledged": ("picked_up_us", "acknowledged_us"),
    "whole": ("committed_us", "acknowledged_us"),
}
"""Hop → stamps at its ends, in the order a change goes through them."""
CAUSELESS_HOP = "picked up→acknowledged"
"""The one hop that also counts what no commit caused (a snapshot, a rule): the others are parts of `whole`, and of the
same publications; what a snapshot says is held until every source is complete, which is no hop's doing."""

TOLD = frozenset({PublicationState.ACKNOWLEDGED, PublicationState.PARKED})
MINUTE_US = 60_000_000

PUBLICATION_COLUMNS = (
    *("minute", "channel", "kind", "key", "source_version", "rule_version", "staleness_step", "sequence", "id"),
    *("state", "attempts", "source", "answer", "status", "quantities", "changed", "committed_us", "captured_us"),
    *("laned_us", "promised_us", "picked_up_us", "sent_us", "acknowledged_us", "topic_offset"),
)
PROGRESS_COLUMNS = (
    *("stage", "source", "partition", "version", "input_offset", "source_position", "source_time_us", "complete"),
    *("holding", "uncertain", "stated_us"),
)
EXCEPTION_COLUMNS = (
    *("id", "version", "stage", "source", "code", "status", "subject", "detail", "action", "count", "opened_us"),
    *("updated_us", "closed_us", "topic_offset"),
)


class MetricsWriter:
    """One batch at a time into one database."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def positions(self) -> dict[tuple[str, int], int]:
        """(topic, partition) → next offset."""
        rows = self._clickhouse.rows("SELECT topic, partition, next_offset FROM consumed FINAL")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    def write(
        self,
        publications: Sequence[tuple[int, Publication]],
        progress: Iterable[Progress],
        exceptions: Sequence[tuple[int, ExceptionRecord]],
        positions: Mapping[tuple[str, int], int],
        now_us: int,
    ) -> None:
        """Write one batch, each record with its offset.  Raises ClickHouseError; then write the same again."""
        rows = [publication_row(offset, told) for offset, told in publications if told.state in TOLD]
        self._clickhouse.insert("publications", rows, PUBLICATION_COLUMNS)
        minutes = sorted({row[0] for row in rows})
        if minutes:
            self._clickhouse.command(recount_sql(minutes))
        self._clickhouse.insert("progress", [progress_row(record) for record in progress], PROGRESS_COLUMNS)
        self._clickhouse.insert("exceptions", [exception_row(*record) for record in exceptions], EXCEPTION_COLUMNS)
        consumed = [[topic, partition, offset, now_us] for (topic, partition), offset in sorted(positions.items())]
        self._clickhouse.insert("consumed", consumed, ["topic", "partition", "next_offset", "stated_us"])


def publication_row(offset: int, told: Publication) -> list[Any]:
    """Values of PUBLICATION_COLUMNS; the minute comes first, in epoch seconds."""
    stamps = told.stamps
    when_us = told.acknowledged_us or told.sent_us or 0
    quantities = {location: Decimal(quantity) for location, quantity in told.quantities.items()}
    return [
        *(when_us // MINUTE_US * 60, told.channel, told.kind, told.key, told.source_version, told.rule_version),
        *(told.staleness_step, told.sequence, told.id, str(told.state), told.attempts, told.cause, told.answer),
        *(told.status, quantities, list(told.changed), stamps.committed_us, stamps.captured_us, stamps.laned_us),
        *(stamps.promised_us, told.picked_up_us, told.sent_us, told.acknowledged_us, offset),
    ]


def progress_row(record: Progress) -> list[Any]:
    """Values of PROGRESS_COLUMNS."""
    return [getattr(record, column) for column in PROGRESS_COLUMNS]


def exception_row(offset: int, record: ExceptionRecord) -> list[Any]:
    """Values of EXCEPTION_COLUMNS."""
    return [
        offset if column == "topic_offset" else str(record.status) if column == "status" else getattr(record, column)
        for column in EXCEPTION_COLUMNS
    ]


def recount_sql(minutes: Iterable[int]) -> str:
    """Count the cells of some minutes (epoch seconds) again."""
    hops = ", ".join(f"('{hop}', {until} - {since})" for hop, (since, until) in HOPS.items())
    counts = f"committed_us IS NOT NULL OR hop = '{CAUSELESS_HOP}'"
    bucket = BUCKET_SQL.format(us="us")
    return f"""
    INSERT INTO lag (minute, hop, source, location, channel, kind, bucket, count, longest_us)
    SELECT minute, hop, source, location, channel, kind, {bucket} AS bucket, count(), max(us)
    FROM (
        SELECT minute, source, channel, kind, location, committed_us,
               arrayJoin([{hops}]) AS step, step.1 AS hop, step.2 AS us
        FROM publications FINAL
        ARRAY JOIN arrayDistinct(arrayConcat(['*'], arrayMap(at -> toString(at), changed))) AS location
        WHERE minute IN ({", ".join(map(str, minutes))}) AND state = 'acknowledged'
    )
    WHERE us IS NOT NULL AND ({counts})
    GROUP BY minute, hop, source, location, channel, kind, bucket
    """
