"""Every metric of onhand: its name, what it means, who exposes it.  docs/metrics.md lists the same.

Units are in the names (seconds, bytes, ratio); counters end in `_total` and begin anew with their process.  Every
metric has the label `process`; the others are bounded by what is configured: partitions, sources, stages, codes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Of a process."""

    LANE = "lane"
    STAGE = "stage"
    """Inventory and orders."""
    CHANNEL = "channel"
    METRICS = "metrics"
    WATCH = "watch"


class Type(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One line of the catalogue."""

    name: str
    type: Type
    labels: tuple[str, ...]
    """Beside `process`."""
    help: str
    of: frozenset[Kind]


_ALL = frozenset(Kind)
_STAGES = frozenset({Kind.LANE, Kind.STAGE})


def _gauge(name: str, help: str, of: frozenset[Kind], *labels: str) -> Metric:
    return Metric(name, Type.GAUGE, labels, help, of)


def _counter(name: str, help: str, of: frozenset[Kind], *labels: str) -> Metric:
    return Metric(name, Type.COUNTER, labels, help, of)


def _of(kind: Kind) -> frozenset[Kind]:
    return frozenset({kind})


_LANE, _CHANNEL, _METRICS, _WATCH = map(_of, (Kind.LANE, Kind.CHANNEL, Kind.METRICS, Kind.WATCH))

CATALOGUE: tuple[Metric, ...] = (
    _gauge("onhand_healthy", "1: the process calls itself well", _ALL),
    _gauge("onhand_ready", "1: it does its work; 0: it starts, stands by or catches up", _ALL),
    # lanes, inventory, orders
    _gauge("onhand_partitions", "Partitions it owns; 0: it stands by", _STAGES),
    _gauge("onhand_lag_records", "Input records that are not settled", _STAGES, "partition"),
    _counter("onhand_units_total", "Units settled", _STAGES),
    _counter("onhand_records_total", "Input records settled", _STAGES),
    Metric(
        "onhand_unit_seconds",
        Type.HISTOGRAM,
        (),
        "From the first look at a unit's records until it is in changelog and store",
        _STAGES,
    ),
    _gauge("onhand_last_unit_timestamp_seconds", "When the last unit was settled; one a second at least", _STAGES),
    _gauge("onhand_outputs_owed", "Keys whose outputs the last unit owes", _STAGES),
    _gauge("onhand_epoch", "Epoch of the owner; it rises with every take-over", _STAGES, "partition"),
    _counter("onhand_takeovers_total", "Partitions taken over by this process", _STAGES),
    _gauge("onhand_lease_seconds", "Until its group may give its partitions to another owner", _STAGES),
    _gauge("onhand_store_bytes", "Local state on disk", _STAGES),
    # lanes
    _gauge("onhand_lane_lag_seconds", "Age of the last commit or heartbeat that is in the outputs", _LANE),
    _gauge("onhand_lane_complete", "1: the source was read whole", _LANE),
    _gauge("onhand_lane_holding", "1: only decreases leave", _LANE),
    _gauge("onhand_lane_uncertain", "1: something is parked of which nobody knows what it touches", _LANE),
    _gauge("onhand_lane_waits", "1: it cannot go on before a person or a snapshot has done something", _LANE),
    _gauge("onhand_lane_rows", "Live rows in its state", _LANE),
    _gauge("onhand_lane_rows_waiting", "Rows that wait for a lookup", _LANE),
    _gauge("onhand_lane_rows_parked", "Parked rows of which nobody knows the sku", _LANE),
    _gauge("onhand_lane_tables_parked", "Tables whose changes wait because a column is absent", _LANE),
    # channels
    _gauge("onhand_channel_running", "1: it may push; 0: paused, or disabled by the channel", _CHANNEL),
    _gauge("onhand_channel_keys", "Keys whose telling it remembers", _CHANNEL),
    _gauge("onhand_channel_dirty_keys", "Keys the channel has still to be told", _CHANNEL),
    _gauge("onhand_channel_oldest_dirty_seconds", "How long the first of them waits", _CHANNEL),
    _gauge("onhand_channel_withheld_keys", "Items that were told and that inventory has not spoken of yet", _CHANNEL),
    _gauge("onhand_channel_told_lag_seconds", "Age of the last commit up to which it was told all", _CHANNEL, "source"),
    _gauge("onhand_channel_failures_in_a_row", "Pushes in a row that failed", _CHANNEL),
    _counter("onhand_channel_publications_total", "Items pushed, by what became of them", _CHANNEL, "outcome"),
    _gauge("onhand_channel_exceptions_open", "Open exceptions of the channel", _CHANNEL),
    # ClickHouse
    _counter("onhand_clickhouse_rows_total", "Publications and exceptions written", _METRICS),
    _gauge("onhand_clickhouse_last_write_timestamp_seconds", "When the last batch was written", _METRICS),
    _gauge("onhand_clickhouse_failures_in_a_row", "Batches in a row that ClickHouse did not take", _METRICS),
    # watch: sources
    _gauge("onhand_source_healthy", "1: nothing about connector, log and database is red", _WATCH, "source"),
    _gauge("onhand_connector_running", "1: connector and tasks are RUNNING", _WATCH, "source"),
    _gauge("onhand_connector_tasks", "Tasks by state", _WATCH, "source", "state"),
    _counter("onhand_connector_restarts_total", "Restarts of a failed connector by the watch", _WATCH, "source"),
    _gauge("onhand_source_silence_seconds", "Age of the last record or heartbeat on the source log", _WATCH, "source"),
    _gauge("onhand_source_reader", "1: somebody reads the slot or the binlog", _WATCH, "source"),
    _gauge("onhand_source_behind_bytes", "WAL or binlog the database keeps for the connector", _WATCH, "source"),
    _gauge("onhand_source_retention_used_ratio", "Share of what the database keeps that is used up", _WATCH, "source"),
    _gauge("onhand_source_retention_left_seconds", "Until WAL or binlog is lost at this rate", _WATCH, "source"),
    # watch: the whole
    _gauge("onhand_lag_seconds", "Age of the last commit up to which a stage has told all", _WATCH, "stage", "source"),
    _gauge("onhand_complete", "1: the stage has the source whole", _WATCH, "stage", "source"),
    _gauge("onhand_exceptions_open", "Open exceptions", _WATCH, "stage", "code"),
    _gauge("onhand_process_restarts", "Restarts by the local supervisor since it was started", _WATCH, "name"),
    _gauge("onhand_watch_timestamp_seconds", "When the watch last looked at everything", _WATCH),
)

BY_NAME = {metric.name: metric for metric in CATALOGUE}


def metrics_of(kind: Kind) -> list[Metric]:
    """What a process of this kind exposes."""
    return [metric for metric in CATALOGUE if kind in metric.of]
