"""The metrics worker as a process: exactly once over kill -9, readable by any ClickHouse client, reports."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from onhand.cli.report import open_for_reading
from schemas.records import ExceptionRecord, ExceptionStatus, Publication, PublicationState, Stamps
from sinks.clickhouse.database import open_clickhouse
from sinks.workers import wire
from tests.integration.sinks_rig import Rig, wait_until
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

START_US = 1_790_000_000_000_000


@pytest.fixture
def rig(stack: RunningStack, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(stack, tmp_path)
    yield made
    made.close()


def told(rig: Rig, number: int, whole_us: int = 100_000) -> Publication:
    committed_us = START_US + number * 1_000_000
    warehouse = "ABC"[number % 3]
    return Publication(
        id=f"pub_{number}",
        channel=rig.channel,
        kind="inventory",
        key=f"S{number}",
        state=PublicationState.ACKNOWLEDGED,
        source_version=number + 1,
        rule_version=1,
        staleness_step=0,
        attempts=1,
        quantities={"*": Decimal(5), warehouse: Decimal(5)},
        changed=("*", warehouse),
        cause="erp" if number % 2 else "wms",
        stamps=Stamps(
            committed_us=committed_us,
            captured_us=committed_us + whole_us // 10,
            laned_us=committed_us + whole_us // 5,
            promised_us=committed_us + whole_us // 4,
        ),
        picked_up_us=committed_us + whole_us // 2,
        sent_us=committed_us + whole_us // 2,
        acknowledged_us=committed_us + whole_us,
    )


def send(rig: Rig, numbers: range) -> None:
    for number in numbers:
        record = told(rig, number)
        rig.send(wire.PUBLICATION, f"{rig.channel}/inventory/{record.key}", record, number % rig.settings.partitions)
    rig.outbox.settle()


def counted(rig: Rig) -> tuple[int, int]:
    """Rows of this channel, and how many the histograms of the whole way count."""
    with open_for_reading(rig.settings) as clickhouse:
        channel = {"channel": rig.channel}
        rows = clickhouse.rows("SELECT count() AS n FROM publications FINAL WHERE channel = {channel:String}", channel)
        cells = clickhouse.rows(
            "SELECT sum(count) AS n FROM lag FINAL "
            "WHERE channel = {channel:String} AND hop = 'whole' AND location = '*'",
            channel,
        )
    return rows[0]["n"], cells[0]["n"]


def has_rows(rig: Rig, at_least: int) -> bool:
    return counted(rig)[0] >= at_least


def test_exactly_once_over_kill_9_and_reports_with_the_worker_and_without(rig: Rig) -> None:
    worker = rig.start("metrics")
    wait_until(lambda: rig.health("metrics").get("ready") is True, "metrics is ready")
    total = 0
    for round_number in range(3):
        send(rig, range(total, total + 400))
        total += 400
        wait_until(partial(has_rows, rig, total - 399), "some of it is written")
        worker.kill()
        worker.wait()
        send(rig, range(total, total + 100))
        total += 100
        if round_number == 1:  # a batch that was written, whose offset was not
            with open_clickhouse("chdb://", rig.settings.data_dir / "clickhouse") as clickhouse:
                clickhouse.command("TRUNCATE TABLE consumed")
        worker = rig.start("metrics")
        wait_until(lambda: rig.health("metrics").get("ready") is True, "metrics is ready again")
    wait_until(lambda: counted(rig)[0] == total, f"{total} rows")
    assert counted(rig) == (total, total)

    by = ("report", "lag", "--since", "2026-01-01", "--by", "hop,warehouse,channel", "--json")
    running = rig.onhand(*by)
    assert running.returncode == 0, running.stderr
    lines = [line for line in json.loads(running.stdout) if line["channel"] == rig.channel]
    assert [line["hop"] for line in lines][::3] == [
        "commit→captured",
        "captured→laned",
        "laned→promised",
        "promised→picked up",
        "picked up→acknowledged",
        "whole",
    ]
    assert {line["warehouse"] for line in lines} == {"A", "B", "C"}
    whole = [line for line in lines if line["hop"] == "whole"]
    assert sum(line["publications"] for line in whole) == total
    assert all(abs(line["p99_ms"] - 100) <= 2 and line["max_ms"] == 100 for line in whole)

    worker.terminate()
    assert worker.wait(30) == 0
    stopped = rig.onhand(*by)
    assert json.loads(stopped.stdout) == json.loads(running.stdout)
    as_csv = rig.onhand("report", "lag", "--since", "2026-01-01", "--by", "source,channel", "--csv")
    sources = {
        row["source"]: int(row["publications"])
        for row in csv.DictReader(io.StringIO(as_csv.stdout))
        if row["channel"] == rig.channel
    }
    assert sources == {"erp": total // 2, "wms": total // 2}


def test_what_the_door_refuses_and_a_second_owner(rig: Rig) -> None:
    rig.start("metrics")
    wait_until(lambda: rig.health("metrics").get("ready") is True, "metrics is ready")
    second = rig.start("metrics", clickhouse_port=0, instance="1")
    assert second.wait(60) == 3
    with open_for_reading(rig.settings) as clickhouse:
        for statement in (
            "INSERT INTO consumed VALUES ('x', 0, 0, 0)",
            "DROP TABLE lag",
            "SELECT * FROM file('/etc/hostname', 'LineAsString')",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "SELECT nonsense",
        ):
            with pytest.raises(Exception, match=r"code: (164|497|47)"):
                clickhouse.rows(statement)


def test_exceptions_are_reported_by_age_and_only_while_open(rig: Rig) -> None:
    rig.start("metrics")
    wait_until(lambda: rig.health("metrics").get("ready") is True, "metrics is ready")
    source = uuid.uuid4().hex[:8]

    def state(subject: str, status: ExceptionStatus) -> None:
        identity = f"lane/{source}/row-unmappable/{subject}"
        record = ExceptionRecord(
            id=identity, version=1, stage="lane", source=source, code="row-unmappable", status=status, subject=subject,
            detail="no number", action="correct the row", opened_us=START_US,
        )  # fmt: skip
        rig.send(wire.EXCEPTION, identity, record)

    state("one", ExceptionStatus.OPEN)
    state("two", ExceptionStatus.OPEN)
    state("two", ExceptionStatus.CLOSED)
    rig.outbox.settle()

    def reported() -> list[int]:
        shown = rig.onhand("report", "exceptions", "--json")
        return [line["open"] for line in json.loads(shown.stdout) if line["source"] == source]

    wait_until(lambda: reported() == [1], "one open exception")
    listed = json.loads(rig.onhand("exceptions", "list", "--source", source, "--json").stdout)
    assert [record["subject"] for record in listed] == ["one"]


def test_clickhouse_that_is_not_there_at_start_is_said(rig: Rig) -> None:
    worker = rig.start("metrics", clickhouse_dsn="http://127.0.0.1:1/onhand")
    assert worker.wait(60) == 3
    log = next(rig.folder.glob("metrics-*.log")).read_text()
    assert "ClickHouse at 127.0.0.1:1 does not answer" in log
