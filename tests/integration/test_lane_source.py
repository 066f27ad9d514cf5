"""The lane's process on real connectors: snapshot, stream, kill, poison, a column that goes, and the audit as judge."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from onhand.stack.local import settings_environment
from schemas.errors import EXIT_INVALID
from streams.connect.control import send_control
from streams.core.log.control import Action, Control
from tests.integration.lane_support import Lane, lane_source
from tests.stack import RunningStack

pytestmark = pytest.mark.integration


@pytest.fixture(params=["postgres", "mariadb"])
def lane(request: pytest.FixtureRequest, stack: RunningStack, tmp_path: Path) -> Iterator[Lane]:
    with lane_source(request, stack, tmp_path) as one:
        yield one


def test_a_source_from_snapshot_through_kills_poison_and_bad_rows(lane: Lane) -> None:
    lane.await_(lane.complete, "a complete source")
    lane.audit()
    lane.execute("INSERT INTO erp.item VALUES ('C', 'late'); UPDATE erp.stock SET quantity = 4 WHERE sku = 'A'")
    lane.audit()
    lane.kill()
    lane.execute("DELETE FROM erp.stock WHERE sku = 'B'; INSERT INTO erp.stock VALUES ('A', 'W2', 3)")
    lane.start()
    lane.audit()

    producer = Producer({"bootstrap.servers": lane.settings.kafka})
    producer.produce(f"cdc.{lane.name}", key=b'{"sku":"A","bin":"W2"}', value=b"\xff poison", partition=0)
    producer.flush()
    poison = lane.await_exception("poison-record")
    assert (poison.topic, poison.partition, poison.raw) == (f"cdc.{lane.name}", 0, b"\xff poison")
    lane.execute("UPDATE erp.stock SET quantity = 8 WHERE bin = 'W1'")
    send_control(lane.settings.kafka, lane.name, Control(action=Action.CLOSE, id=poison.id))
    lane.await_(lambda: "poison-record" not in lane.exceptions(), "the poison record's end")
    lane.audit()

    lane.execute("INSERT INTO erp.item VALUES ('', 'blank'); INSERT INTO erp.stock VALUES ('', 'W1', 1)")
    assert "sku" in lane.await_exception("row-unmappable").detail
    lane.execute("UPDATE erp.stock SET quantity = 2 WHERE sku = 'A' AND bin = 'W1'")
    lane.execute("DELETE FROM erp.stock WHERE sku = ''; DELETE FROM erp.item WHERE sku = ''")
    lane.await_(lambda: not lane.exceptions(), "the end of the exceptions")
    lane.audit()

    lane.execute("TRUNCATE TABLE erp.stock")
    lane.execute("INSERT INTO erp.stock VALUES ('A', 'W1', 11), ('C', 'W3', 12)")
    lane.audit()


def test_a_column_that_goes_parks_its_table_alone(lane: Lane) -> None:
    lane.await_(lane.complete, "a complete source")
    lane.execute("ALTER TABLE erp.stock RENAME COLUMN quantity TO amount")
    lane.execute("UPDATE erp.stock SET amount = 1 WHERE sku = 'A'; UPDATE erp.item SET name = 'new' WHERE sku = 'A'")
    found = lane.await_exception("column-absent")
    assert "quantity" in found.detail

    def parked() -> bool:
        progress = lane.progress()
        return progress is not None and progress.uncertain and not progress.holding

    lane.await_(parked, "a source that says it is uncertain")
    assert lane.process is not None
    assert lane.process.poll() is None, "it goes on"


def test_an_unknown_source_and_a_refused_mapping_end_with_2(lane: Lane) -> None:
    folder = lane.settings.connect_configs / lane.name
    (folder / "postings.sql").write_text("SELECT x.nothing AS sku FROM nowhere x")
    environment = {**os.environ, **settings_environment(lane.settings)}
    for name, text in ((lane.name, "postings.sql:1"), ("no-such", "no folder")):
        ended = subprocess.run(
            [sys.executable, "-m", "onhand.cli.main", "run", "source", name],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == EXIT_INVALID, ended.stderr
        assert text in ended.stderr
