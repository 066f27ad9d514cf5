"""Secrets, command-line words, a rule's file, and ClickHouse that comes back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from onhand.cli.channel import target_of
from onhand.cli.report import instant_of
from onhand.run.channel import RuleFile, adapter_of
from schemas.codec import Codec
from schemas.errors import EnvironmentFault, InvalidInput
from sinks.clickhouse.writer import MetricsWriter
from sinks.workers.metrics import MetricsWorker
from tests.unit.sinks.facts import rule
from tests.unit.sinks.test_rule import GOOD


@pytest.mark.parametrize("reference", ["${env:NOT_THERE}", "${file:not-there}", "${file:shop.properties:nothing}"])
def test_a_missing_secret_is_named(reference: str, tmp_path: Path) -> None:
    (tmp_path / "shop.properties").write_text("secret=hidden")
    with pytest.raises(EnvironmentFault) as refused:
        adapter_of(rule(secret=reference), tmp_path)
    assert reference in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_what_people_type() -> None:
    assert (target_of("A-1"), target_of("order/7"), target_of("A/1")) == ("inventory/A-1", "order/7", "inventory/A/1")
    with pytest.raises(InvalidInput):
        target_of("order/")
    now_us = 1_800_000_000_000_000
    assert instant_of("15min", now_us) == now_us - 900_000_000
    assert instant_of("1.5h", now_us) == now_us - 5_400_000_000
    assert instant_of("2027-01-15T08:00:00", now_us) == now_us
    assert instant_of("2027-01-15T09:00:00+01:00", now_us) == now_us
    with pytest.raises(InvalidInput, match="yesterday"):
        instant_of("yesterday", now_us)


def test_a_changed_file_is_seen_once_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(GOOD)
    rules = RuleFile(tmp_path, "shop")
    assert rules.load().buffer == 0
    assert rules.changed() is None
    fresh = tmp_path / "new"
    fresh.write_text(GOOD + "buffer: 3\n")
    fresh.rename(file)
    changed = rules.changed()
    assert changed is not None
    assert changed.buffer == 3
    assert rules.changed() is None
    file.unlink()
    with pytest.raises(InvalidInput, match="known channels: none"):
        rules.changed()
    assert rules.changed() is None


def test_a_batch_is_kept_while_clickhouse_does_not_take_it() -> None:
    class Flaky(MetricsWriter):
        def __init__(self) -> None:
            self.batches: list[Any] = []

        def write(self, *batch: Any) -> None:
            self.batches.append(batch[:4])
            if len(self.batches) < 3:
                raise OperationalError("connection refused")

    writer = Flaky()
    worker = MetricsWorker(writer, bootstrap="127.0.0.1:9", codec=Codec.local(), clock_us=lambda: 1, group="none")
    worker._positions = {("t", 0): 5}
    worker._write(threading.Event())
    assert len(writer.batches) == 3
    assert worker._positions == {}
    assert worker.health()["failures_in_a_row"] == 0
    worker._consumer.close()


def test_a_batch_that_was_not_taken_is_read_again_at_the_next_start() -> None:
    class Down(MetricsWriter):
        def __init__(self) -> None:
            pass

        def write(self, *batch: Any) -> None:
            raise OperationalError("connection refused")

    worker = MetricsWorker(Down(), bootstrap="127.0.0.1:9", codec=Codec.local(), clock_us=lambda: 1, group="none")
    worker._positions = {("t", 0): 5}
    stop = threading.Event()
    stop.set()
    worker._write(stop)
    assert worker._positions == {("t", 0): 5}
    assert "connection refused" in worker.health()["error"]
    worker._consumer.close()
