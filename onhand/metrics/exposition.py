"""A health answer as Prometheus reads it.

Nothing is counted here: a process's own answer, made when somebody asks, is put into Prometheus's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from onhand.metrics.catalogue import Kind, Metric, Type, metrics_of
from onhand.metrics.samples import Sample, samples_of

CONTENT_TYPE = CONTENT_TYPE_LATEST


def expose(kind: Kind, process: str, answer: Mapping[str, Any], now_us: int) -> bytes:
    """The text of `/metrics`: every metric of the kind, and the process's own (`process_…`).

    Raises KeyError for a sample that is not in the catalogue.
    """
    registry = CollectorRegistry()
    registry.register(_Collected(list(families(kind, process, samples_of(kind, answer, now_us)))))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def families(kind: Kind, process: str, samples: Iterable[Sample]) -> Iterator[Family]:
    """Metrics of a kind with their samples."""
    made = {metric.name: (metric, _family(metric)) for metric in metrics_of(kind)}
    for sample in samples:
        metric, family = made[sample.name]
        labels = [process, *map(str, sample.labels)]
        if metric.type is Type.HISTOGRAM:
            family.add_metric(labels, *_histogram(sample.value))
        elif sample.value is not None:
            family.add_metric(labels, float(sample.value))
    return (family for _, family in made.values())


def _family(metric: Metric) -> Any:
    labels = ["process", *metric.labels]
    if metric.type is Type.COUNTER:
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=labels)
    if metric.type is Type.HISTOGRAM:
        return HistogramMetricFamily(metric.name, metric.help, labels=labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=labels)


def _histogram(value: Mapping[str, Any]) -> tuple[list[tuple[str, float]], float]:
    bounds = [*(f"{bound:g}" for bound in value["bounds"]), "+Inf"]
    return list(zip(bounds, map(float, accumulate(value["counts"])), strict=True)), float(value["sum"])


class _Collected(Collector):
    """Families that are made already."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
