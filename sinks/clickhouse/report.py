"""Reports over what the metrics worker wrote.  Percentiles come from merged histograms; they are never averaged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from schemas.errors import InvalidInput
from sinks.clickhouse.database import ClickHouse
from sinks.clickhouse.writer import HOPS
from sinks.core.histogram import percentile

DIMENSIONS = {"hop": "hop", "source": "source", "warehouse": "location", "channel": "channel", "kind": "kind"}
"""What a lag report can be divided by → column of `lag`."""

SECOND_US = 1_000_000


class Lag(NamedTuple):
    """One line of a lag report; milliseconds."""

    group: dict[str, str]
    """Dimension → value, in the order asked for."""
    publications: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    @property
    def row(self) -> dict[str, Any]:
        """Flat, for tables, JSON and CSV."""
        return {**self.group, **{name: getattr(self, name) for name in LAG_FIGURES}}


LAG_FIGURES = ("publications", "p50_ms", "p99_ms", "p999_ms", "max_ms")


def lag_report(clickhouse: ClickHouse, by: Sequence[str], since_us: int) -> list[Lag]:
    """Lag of everything acknowledged in the minutes since `since_us`.

    Without `hop` among `by` it is the whole way.  With `warehouse` a publication counts at every location whose
    quantity it changed, without it once.  Ordering: hops in the order a change goes through them, the rest by name.
    Raises InvalidInput for an unknown dimension.
    """
    if unknown := [name for name in by if name not in DIMENSIONS]:
        raise InvalidInput(f"--by: {', '.join(unknown)} unknown; known: {', '.join(DIMENSIONS)}")
    columns = [DIMENSIONS[name] for name in by]
    conditions = [
        f"minute >= toDateTime({max(0, since_us) // SECOND_US // 60 * 60}, 'UTC')",
        "location != '*'" if "warehouse" in by else "location = '*'",
        "1" if "hop" in by else "hop = 'whole'",
    ]
    listed = "".join(f"toString({column}) AS {column}_, " for column in columns)
    grouped = "".join(f"{column}_, " for column in columns)
    rows = clickhouse.rows(
        f"SELECT {listed} bucket, sum(count) AS total, max(longest_us) AS longest "
        f"FROM lag FINAL WHERE {' AND '.join(conditions)} GROUP BY {grouped} bucket"
    )
    counts: dict[tuple[str, ...], dict[int, int]] = defaultdict(dict)
    longest: dict[tuple[str, ...], int] = defaultdict(int)
    for row in rows:
        group = tuple(row[f"{column}_"] for column in columns)
        counts[group][row["bucket"]] = row["total"]
        longest[group] = max(longest[group], row["longest"])
    return [_lag(dict(zip(by, group, strict=True)), counts[group], longest[group]) for group in _ordered(by, counts)]


def _lag(group: dict[str, str], counts: dict[int, int], longest_us: int) -> Lag:
    def of(share: float) -> float:
        return round((percentile(counts, share, longest_us) or 0.0) / 1000, 3)

    return Lag(group, sum(counts.values()), of(0.5), of(0.99), of(0.999), longest_us / 1000)


def _ordered(by: Sequence[str], groups: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    order = {hop: place for place, hop in enumerate(HOPS)}

    def place(group: tuple[str, ...]) -> list[Any]:
        return [
            (order.get(value, 0), value) if name == "hop" else (0, value) for name, value in zip(by, group, strict=True)
        ]

    return sorted(groups, key=place)


def exception_report(clickhouse: ClickHouse, now_us: int) -> list[dict[str, Any]]:
    """Open exceptions by code and source, with their ages: how many, the oldest, the median; the oldest first."""
    return clickhouse.rows(
        "SELECT code, source, stage, count() AS open, "
        f"round(max({now_us} - opened_us) / 1e6, 1) AS oldest_s, "
        f"round(quantileExact(0.5)({now_us} - opened_us) / 1e6, 1) AS median_s "
        "FROM exceptions FINAL WHERE status != 'closed' "
        "GROUP BY code, source, stage ORDER BY oldest_s DESC, code, source"
    )
