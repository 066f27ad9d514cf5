"""From a process's health answer to samples: one function per kind of process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from onhand.metrics.catalogue import Kind

Answer = Mapping[str, Any]


class Sample(NamedTuple):
    """One value of one metric; `value` None: nothing is known."""

    name: str
    value: Any
    labels: tuple[Any, ...] = ()


def samples_of(kind: Kind, answer: Answer, now_us: int) -> Iterator[Sample]:
    """Everything a process of this kind says; while it starts, or its check fails, only that."""
    yield Sample("onhand_healthy", bool(answer.get("healthy")))
    yield Sample("onhand_ready", is_ready(answer))
    whole, samples = _SAMPLES[kind]
    if whole in answer:
        yield from samples(answer, now_us)


def is_ready(answer: Answer) -> bool:
    """Well, and doing its work."""
    return bool(answer.get("healthy") and answer.get("ready", True))


def _stage(answer: Answer, now_us: int) -> Iterator[Sample]:
    yield Sample("onhand_partitions", len(answer["partitions"]))
    for partition, lag in answer["lag"].items():
        yield Sample("onhand_lag_records", lag, (partition,))
    for partition, epoch in answer["epoch"].items():
        yield Sample("onhand_epoch", epoch, (partition,))
    yield Sample("onhand_units_total", answer["units"])
    yield Sample("onhand_records_total", answer["records"])
    yield Sample("onhand_unit_seconds", answer["unit_seconds"])
    yield Sample("onhand_last_unit_timestamp_seconds", _seconds(answer["last_unit_us"]))
    yield Sample("onhand_outputs_owed", answer["owed"])
    yield Sample("onhand_takeovers_total", answer["takeovers"])
    yield Sample("onhand_lease_seconds", answer["lease_left_s"])
    yield Sample("onhand_store_bytes", answer["store_bytes"])


def _lane(answer: Answer, now_us: int) -> Iterator[Sample]:
    yield from _stage(answer, now_us)
    lane = answer.get("lane")
    if lane is None or not answer["partitions"]:
        return
    yield Sample("onhand_lane_lag_seconds", _age(lane["covered_us"], now_us))
    yield Sample("onhand_lane_complete", lane["complete"])
    yield Sample("onhand_lane_holding", lane["holding"])
    yield Sample("onhand_lane_uncertain", lane["uncertain"])
    yield Sample("onhand_lane_waits", bool(answer["waits_for"]))
    yield Sample("onhand_lane_rows", sum(lane["rows"].values()))
    yield Sample("onhand_lane_rows_waiting", lane["rows_waiting_for_a_lookup"])
    yield Sample("onhand_lane_rows_parked", lane["rows_parked"])
    yield Sample("onhand_lane_tables_parked", len(lane["tables_parked"]))


def _channel(answer: Answer, now_us: int) -> Iterator[Sample]:
    yield Sample("onhand_channel_running", answer["state"] == "running")
    yield Sample("onhand_channel_keys", answer["keys"])
    yield Sample("onhand_channel_dirty_keys", answer["waiting"])
    yield Sample("onhand_channel_withheld_keys", answer["withheld"])
    yield Sample("onhand_channel_oldest_dirty_seconds", answer["oldest_waiting_s"] or 0.0)
    for source, told_us in answer["told_up_to_us"].items():
        yield Sample("onhand_channel_told_lag_seconds", _age(told_us, now_us), (source,))
    yield Sample("onhand_channel_failures_in_a_row", answer["failures_in_a_row"])
    for outcome, count in answer["pushed"].items():
        yield Sample("onhand_channel_publications_total", count, (outcome,))
    yield Sample("onhand_channel_exceptions_open", answer["open_exceptions"])


def _metrics(answer: Answer, now_us: int) -> Iterator[Sample]:
    yield Sample("onhand_clickhouse_rows_total", answer["written"])
    yield Sample("onhand_clickhouse_last_write_timestamp_seconds", _seconds(answer["written_us"]))
    yield Sample("onhand_clickhouse_failures_in_a_row", answer["failures_in_a_row"])


def _watch(answer: Answer, now_us: int) -> Iterator[Sample]:
    for source in answer["sources"]:
        name = (source["source"],)
        yield Sample("onhand_source_healthy", source["healthy"], name)
        yield Sample("onhand_connector_running", source["running"], name)
        for state, count in source["task_states"].items():
            yield Sample("onhand_connector_tasks", count, (*name, state))
        yield Sample("onhand_connector_restarts_total", source["restarts"], name)
        yield Sample("onhand_source_silence_seconds", source["last_record_age_s"], name)
        yield Sample("onhand_source_reader", source["reader"], name)
        yield Sample("onhand_source_behind_bytes", source["behind_bytes"], name)
        yield Sample("onhand_source_retention_used_ratio", source["retention_used"], name)
        yield Sample("onhand_source_retention_left_seconds", source["retention_left_s"], name)
    for stage in answer["progress"]:
        labels = (stage["stage"], stage["source"])
        yield Sample("onhand_lag_seconds", _age(stage["source_time_us"], now_us), labels)
        yield Sample("onhand_complete", stage["complete"], labels)
    for one in answer["exceptions"]:
        yield Sample("onhand_exceptions_open", one["count"], (one["stage"], one["code"]))
    for name, restarts in answer["restarts"].items():
        yield Sample("onhand_process_restarts", restarts, (name,))
    yield Sample("onhand_watch_timestamp_seconds", _seconds(answer["looked_us"]))


_SAMPLES = {
    Kind.LANE: ("partitions", _lane),
    Kind.STAGE: ("partitions", _stage),
    Kind.CHANNEL: ("waiting", _channel),
    Kind.METRICS: ("written", _metrics),
    Kind.WATCH: ("sources", _watch),
}
"""Kind → the key that a whole answer has, and what makes samples of it."""


def _seconds(instant_us: int | None) -> float | None:
    return None if instant_us is None else instant_us / 1e6


def _age(instant_us: int | None, now_us: int) -> float | None:
    return None if instant_us is None else max(0.0, (now_us - instant_us) / 1e6)
