"""ClickHouse in this process (chDB): writing twice changes nothing, histograms agree, migrations go both ways."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.errors import EnvironmentFault, InvalidInput
from schemas.records import Publication, PublicationState, Stamps
from sinks.clickhouse.database import ClickHouse, open_clickhouse
from sinks.clickhouse.migrate import migrate, migrations
from sinks.clickhouse.report import lag_report
from sinks.clickhouse.server import ClickHouseServer
from sinks.clickhouse.writer import HOPS, MetricsWriter
from sinks.core.histogram import bucket_of

START_US = 1_790_000_000_000_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "clickhouse"


@pytest.fixture
def clickhouse(directory: Path) -> Iterator[ClickHouse]:
    with open_clickhouse("chdb://", directory, create=True) as opened:
        migrate(opened)
        yield opened


def told(number: int, whole_us: int, **changes: object) -> Publication:
    committed_us = START_US + number * 10_000_000
    return Publication(
        **{  # type: ignore[arg-type]
            "id": f"pub_{number}",
            "channel": "shop",
            "kind": "inventory",
            "key": f"S{number}",
            "state": PublicationState.ACKNOWLEDGED,
            "source_version": 1 << 60,
            "rule_version": (1 << 63) - 1,
            "staleness_step": 0,
            "attempts": 1,
            "quantities": {"*": Decimal(3), "A": Decimal("1.5")},
            "changed": ("*", "A"),
            "cause": "erp",
            "stamps": Stamps(committed_us=committed_us),
            "picked_up_us": committed_us + whole_us // 2,
            "acknowledged_us": committed_us + whole_us,
            **changes,
        }
    )


def write(clickhouse: ClickHouse, publications: list[Publication]) -> None:
    MetricsWriter(clickhouse).write(list(enumerate(publications)), [], [], {("t", 0): len(publications)}, START_US)


def test_sql_and_python_count_in_the_same_buckets_and_twice_is_once(clickhouse: ClickHouse) -> None:
    durations = [-5, 0, 1, 2, 3, 1000, *(int(1.7**n) for n in range(2, 40))]
    publications = [told(n, duration) for n, duration in enumerate(durations)]
    for _ in range(3):
        write(clickhouse, publications)
    rows = clickhouse.rows(
        "SELECT bucket, sum(count) AS n FROM lag FINAL WHERE hop = 'whole' AND location = '*' GROUP BY bucket"
    )
    assert {row["bucket"]: row["n"] for row in rows} == Counter(map(bucket_of, durations))
    assert clickhouse.rows("SELECT count() AS n FROM publications FINAL")[0]["n"] == len(durations)
    assert MetricsWriter(clickhouse).positions() == {("t", 0): len(durations)}


def test_a_batch_cut_off_after_its_rows_is_counted_when_it_is_made_again(clickhouse: ClickHouse) -> None:
    class Cut(Exception):
        pass

    class CutOff(ClickHouse):
        def command(self, sql: str) -> None:
            raise Cut

    publications = [told(n, 1000) for n in range(10)]
    with pytest.raises(Cut):
        write(CutOff(clickhouse._client, clickhouse.database), publications)
    assert clickhouse.rows("SELECT count() AS n FROM publications FINAL")[0]["n"] == 10
    assert MetricsWriter(clickhouse).positions() == {}
    write(clickhouse, publications)
    (line,) = lag_report(clickhouse, [], START_US)
    assert line.publications == 10


def test_percentiles_by_warehouse_are_within_two_percent(clickhouse: ClickHouse) -> None:
    durations = [n * 1000 for n in range(1, 1001)]
    write(clickhouse, [told(n, duration) for n, duration in enumerate(durations)])
    lines = lag_report(clickhouse, ["hop", "warehouse"], 0)
    assert [line.group["hop"] for line in lines] == ["picked up→acknowledged", "whole"]
    whole = lines[-1]
    assert (whole.group["warehouse"], whole.publications, whole.max_ms) == ("A", 1000, 1000)
    for found, exact in ((whole.p50_ms, 500), (whole.p99_ms, 990), (whole.p999_ms, 999)):
        assert math.isclose(found, exact, rel_tol=0.02)


def test_what_is_told_again_has_no_commit_and_what_is_not_told_counts_nowhere(clickhouse: ClickHouse) -> None:
    again = told(0, 1000, stamps=Stamps(), cause="again", sequence=1)
    open_intent = told(1, 1000, state=PublicationState.INTENT, acknowledged_us=None)
    parked = told(2, 1000, state=PublicationState.PARKED, acknowledged_us=None, sent_us=START_US)
    write(clickhouse, [again, open_intent, parked])
    assert [line.group["hop"] for line in lag_report(clickhouse, ["hop"], 0)] == ["picked up→acknowledged"]
    states = clickhouse.rows("SELECT state FROM publications FINAL ORDER BY state")
    assert [row["state"] for row in states] == ["acknowledged", "parked"]
    with pytest.raises(InvalidInput, match="colour unknown; known: hop"):
        lag_report(clickhouse, ["colour"], 0)


def test_what_a_snapshot_said_counts_in_the_last_hop_only(clickhouse: ClickHouse) -> None:
    """It waited until every source was complete; the hops of a commit are not to be measured by that."""
    stamps = Stamps(laned_us=START_US, promised_us=START_US + 60_000_000)
    snapshot = told(0, 1000, stamps=stamps, picked_up_us=START_US + 60_001_000, acknowledged_us=START_US + 60_002_000)
    stamps = Stamps(committed_us=START_US, captured_us=START_US + 10, laned_us=START_US + 20, promised_us=START_US + 30)
    write(clickhouse, [snapshot, told(1, 1000, stamps=stamps)])
    counted = {line.group["hop"]: line.publications for line in lag_report(clickhouse, ["hop"], 0)}
    assert counted == {hop: 2 if hop == "picked up→acknowledged" else 1 for hop in HOPS}


def test_migrations_go_up_and_back_and_a_newer_database_is_refused(clickhouse: ClickHouse) -> None:
    assert migrate(clickhouse) == []
    assert migrate(clickhouse, to=0) == [f"{m.number:04d} {m.name} taken back" for m in reversed(migrations())]
    left = clickhouse.rows("SELECT name FROM system.tables WHERE database = 'onhand'")
    assert [row["name"] for row in left] == ["migrations"]
    assert migrate(clickhouse) == [f"{m.number:04d} {m.name}" for m in migrations()]
    clickhouse.insert("migrations", [[9999, "future"]], ["number", "name"])
    with pytest.raises(InvalidInput, match="newer than this onhand"):
        migrate(clickhouse)


def test_the_door_answers_clickhouses_protocol_read_only(clickhouse: ClickHouse, directory: Path) -> None:
    write(clickhouse, [told(0, 1000)])
    with ClickHouseServer(directory, 0) as server:
        door = f"http://127.0.0.1:{server.port}"
        with open_clickhouse(f"{door}/onhand", directory) as reader:
            assert [line.group["hop"] for line in lag_report(reader, ["hop"], 0)] == [*HOPS][-2:]
            found = reader.rows("SELECT key FROM publications WHERE key = {key:String}", {"key": "S0"})
            assert found == [{"key": "S0"}]
            for statement in (
                "INSERT INTO consumed VALUES ('x', 1, 2, 3)",
                "DROP TABLE lag",
                "SELECT * FROM file('/etc/hostname', 'LineAsString')",
                "SELECT 1 INTO OUTFILE '/tmp/never'",
                "SELECT 1 /* */ INTO/**/OUTFILE '/tmp/never'",
                "SET readonly = 0",
            ):
                with pytest.raises(ClickHouseError):
                    reader.rows(statement)
        assert requests.get(f"{door}/ping", timeout=5).text == "Ok.\n"
        refused = requests.post(f"{door}/?database=onhand", data="SELECT nonsense", timeout=5)
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (400, "47")
        text = requests.post(f"{door}/?default_format=CSV", data="SELECT 'INTO OUTFILE', 1", timeout=5)
        assert text.text == '"INTO OUTFILE",1\n'
        with pytest.raises(EnvironmentFault, match="ONHAND_CLICKHOUSE_PORT"):
            ClickHouseServer(directory, server.port)
    clickhouse.insert("consumed", [["still", 0, 1, 1]], ["topic", "partition", "next_offset", "stated_us"])


@pytest.mark.parametrize("dsn", ["mysql://x", "here", "http://127.0.0.1:1/a-b"])
def test_a_wrong_dsn_is_refused(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="clickhouse_dsn"):
        open_clickhouse(dsn, tmp_path)
