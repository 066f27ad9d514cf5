"""What happens to a source over the years, on real connectors: another mapping, a new column, a repeated snapshot, a
lost state.  The audit is the judge: the mapping's SQL, run by the database, agrees with the lane."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from onhand.stack.local import settings_environment
from schemas.errors import EXIT_DIFFERENCES, EXIT_INVALID
from schemas.messages import BalanceMessage
from schemas.records import Atp, Bucket
from streams.agents.runtime.marker import changelog_topic
from tests.integration.connect_support import await_record
from tests.integration.lane_support import DEADLINE_S, Lane, lane_source
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

DOUBLED = (
    "SELECT i.sku AS sku, s.bin AS location, 'on_hand' AS bucket, s.quantity * 2 AS quantity "
    "FROM erp.stock s JOIN erp.item i ON i.sku = s.sku"
)


@pytest.fixture(params=["postgres", "mariadb"])
def lane(request: pytest.FixtureRequest, stack: RunningStack, tmp_path: Path) -> Iterator[Lane]:
    with lane_source(request, stack, tmp_path) as one:
        one.await_(one.complete, "a complete source")
        yield one


def said(lane: Lane) -> list[tuple[int, str, str, Decimal]]:
    """Every balance the lane ever sent, in the order of its versions: (version, sku, location, quantity)."""
    found = []
    topic = "onhand.balance.v1"
    for partition in range(lane.settings.partitions):
        low, end = lane.reader.bounds(topic, partition)
        for record in lane.reader.read(topic, partition, low, end):
            message = lane.codec.decode(topic, record.value) if record.value is not None else None
            if isinstance(message, BalanceMessage) and message.source == lane.name and message.sku is not None:
                for balance in message.balances:
                    found.append((message.version, message.sku, balance.location, balance.quantity))
    return sorted(found)


def names(lane: Lane, sku: str) -> set[str | None]:
    """Every name the lane ever said of an item."""
    found: set[str | None] = set()
    topic = "onhand.balance.v1"
    for partition in range(lane.settings.partitions):
        for record in lane.reader.read(topic, partition, *lane.reader.bounds(topic, partition)):
            message = lane.codec.decode(topic, record.value) if record.value is not None else None
            if (
                isinstance(message, BalanceMessage)
                and (message.source, message.sku) == (lane.name, sku)
                and message.item
            ):
                found.add(message.item.name)
    return found


def quantities(lane: Lane, sku: str, location: str = "W1") -> list[Decimal]:
    """What was said of one balance, one after another, repetitions left out."""
    told: list[Decimal] = []
    for _, its_sku, its_location, quantity in said(lane):
        if (its_sku, its_location) == (sku, location) and told[-1:] != [quantity]:
            told.append(quantity)
    return told


def test_another_mapping_counts_from_its_switch_in_the_log(lane: Lane) -> None:
    lane.write("postings.sql", DOUBLED)
    lane.execute("UPDATE erp.stock SET quantity = 6 WHERE sku = 'A'")
    lane.await_(lambda: quantities(lane, "A") == [5, 6], "the old mapping's word: its files are not applied")

    planned = lane.made.run("plan", lane.name, "--json")
    assert planned.exit_code == EXIT_DIFFERENCES, planned.text
    (found,) = planned.document
    assert (found["mapping"]["balances"], found["mapping"]["skus_that_rise"]) == (2, 2)
    assert [(one["sku"], one["by"]) for one in found["mapping"]["biggest"]] == [("B", "7.000"), ("A", "6.000")]
    lane.run("apply", lane.name)
    lane.execute("UPDATE erp.stock SET quantity = 10 WHERE sku = 'A'")
    lane.audit()
    lane.await_(lambda: quantities(lane, "A")[-1] == 20, "the new mapping's word, by the process that runs")
    assert quantities(lane, "A")[:2] == [5, 6]
    assert Decimal(7) not in quantities(lane, "A")
    lane.await_(lambda: quantities(lane, "B") == [7, 14], "what did not change, restated")
    lane.kill()
    lane.start()
    lane.execute("UPDATE erp.stock SET quantity = 11 WHERE sku = 'A'")
    lane.audit()


def test_a_worker_with_unapplied_files_goes_on_by_what_was_applied(lane: Lane) -> None:
    lane.kill()
    lane.write("postings.sql", DOUBLED)
    lane.execute("UPDATE erp.stock SET quantity = 6 WHERE sku = 'A'")
    lane.start()
    waits = lane.await_exception("mapping-not-applied")
    assert "source apply" in (waits.action or "")
    lane.await_(lambda: quantities(lane, "A") == [5, 6], "the old mapping's word")
    lane.kill()
    lane.write("postings.sql", "SELECT nonsense")
    lane.start()
    lane.execute("UPDATE erp.stock SET quantity = 4 WHERE sku = 'B'")
    lane.await_(lambda: quantities(lane, "B") == [7, 4], "the old mapping's word, with files that are refused")
    lane.write("postings.sql", DOUBLED)
    lane.run("apply", lane.name)
    lane.audit()
    lane.await_(lambda: quantities(lane, "A") == [5, 6, 12], "the new mapping's word")
    lane.await_(lambda: not lane.exceptions(), "the end of the exception")


def test_the_mapping_before_serves_until_a_new_column_is_read(lane: Lane) -> None:
    lane.execute("ALTER TABLE erp.stock ADD COLUMN kept numeric(12, 3) DEFAULT 1 NOT NULL")
    lane.execute("UPDATE erp.stock SET quantity = 6 WHERE sku = 'A'")
    lane.await_(lambda: quantities(lane, "A") == [5, 6], "a column more is nothing to the mapping")
    lane.write("postings.sql", DOUBLED.replace("s.quantity * 2", "s.quantity - s.kept"))
    assert lane.made.run("apply", lane.name).exit_code == EXIT_INVALID, "catalog.json does not know the column"
    assert lane.made.run("inspect", lane.name).exit_code == EXIT_DIFFERENCES
    applied = lane.run("apply", lane.name)
    assert "read anew for their columns" in applied.replace("\n", " ")
    lane.execute("UPDATE erp.stock SET quantity = 8 WHERE sku = 'A'")
    lane.await_(lambda: quantities(lane, "A")[-1] == 7, "the new mapping's word")
    assert quantities(lane, "A")[:2] == [5, 6]
    lane.await_(lambda: not lane.exceptions(), "the end of the exceptions")
    lane.audit()
    lane.kill()
    lane.start()
    lane.execute("UPDATE erp.stock SET kept = 3 WHERE sku = 'A'")
    lane.audit()


def test_a_renamed_column_and_a_mended_mapping(lane: Lane) -> None:
    lane.execute("ALTER TABLE erp.stock RENAME COLUMN quantity TO pieces")
    lane.execute("UPDATE erp.stock SET pieces = 6 WHERE sku = 'A'")
    parked = lane.await_exception("column-absent")
    assert "sends no quantity" in (parked.detail or "")
    assert "postings.sql FROM" in (parked.detail or "")
    lane.execute("UPDATE erp.item SET name = 'anew' WHERE sku = 'A'")
    lane.await_(lambda: "anew" in names(lane, "A"), "items.sql goes on")
    assert quantities(lane, "A") == [5], "what postings.sql said stands"

    assert lane.made.run("inspect", lane.name).exit_code in (EXIT_DIFFERENCES, EXIT_INVALID)
    lane.write("postings.sql", DOUBLED.replace("s.quantity * 2", "s.pieces"))
    planned = lane.made.run("plan", lane.name)
    assert planned.exit_code == EXIT_DIFFERENCES, planned.text
    assert "exceptions that would end: column-absent 1" in planned.text
    lane.execute("INSERT INTO erp.stock (sku, bin, pieces) VALUES ('B', 'W2', 3)")
    assert "read anew for their columns" in lane.run("apply", lane.name)
    lane.await_(lambda: quantities(lane, "A") == [5, 6], "nothing is lost")
    lane.await_(lambda: quantities(lane, "B", "W2") == [3], "nothing is lost")
    lane.await_(lambda: not lane.exceptions(), "the end of the exceptions")
    lane.audit()


def test_drift_in_a_used_column_is_refused(lane: Lane) -> None:
    lane.execute("ALTER TABLE erp.item ADD COLUMN colour varchar(10)")
    lane.run("apply", lane.name)
    change = "ALTER COLUMN quantity TYPE numeric(14, 4)" if lane.postgres else "MODIFY quantity decimal(14, 4)"
    lane.execute(f"ALTER TABLE erp.stock {change}")
    for command in ("check", "apply"):
        refused = lane.made.run(command, lane.name)
        assert refused.exit_code == EXIT_INVALID, refused.text
        assert "column stock.quantity: scale 3 → 4" in refused.text.replace("\n", " ")
    lane.kill()
    lane.start()
    lane.await_(lambda: "column stock.quantity: scale 3 → 4" in lane.log(), "the lane to compare its catalogue")
    assert lane.made.run("inspect", lane.name).exit_code == EXIT_DIFFERENCES
    lane.run("apply", lane.name)


def change_unseen(lane: Lane, statements: str) -> None:
    """A transaction of which the log never hears."""
    if lane.postgres:
        publication = lane.name.replace("-", "_")
        lane.execute(f"ALTER PUBLICATION {publication} DROP TABLE erp.stock")
    lane.execute(statements, unseen=True)
    if lane.postgres:
        lane.execute(f"ALTER PUBLICATION {publication} ADD TABLE erp.stock")


def test_a_repeated_snapshot_withdraws_what_is_gone(lane: Lane) -> None:
    rows = ", ".join(f"('A', 'X{number:02}', {number + 1})" for number in range(40))
    lane.execute(f"INSERT INTO erp.stock VALUES {rows}")
    lane.audit()
    change_unseen(lane, "DELETE FROM erp.stock WHERE bin = 'X07'; UPDATE erp.stock SET quantity = 99 WHERE bin = 'X08'")
    lane.run("resnapshot", lane.name)
    lane.audit()
    lane.await_(lambda: quantities(lane, "A", "X07") == [8, 0], "the withdrawal of one row of 43")

    change_unseen(lane, "DELETE FROM erp.stock WHERE bin >= 'X30'")
    lane.run("resnapshot", lane.name)
    waits = lane.await_exception("sweep-waits")
    assert "10 of 42 rows" in waits.detail
    progress = lane.progress()
    assert progress is not None
    assert progress.holding, "increases wait for a person"
    assert quantities(lane, "A", "X30") == [31]
    lane.run("release", lane.name, waits.id)
    lane.audit()
    lane.await_(lambda: quantities(lane, "A", "X30") == [31, 0], "the withdrawal that was released")
    lane.await_(lambda: not lane.exceptions(), "the end of the exception")


def test_one_table_read_again_withdraws_what_is_gone(lane: Lane) -> None:
    rows = ", ".join(f"('A', 'X{number:02}', {number + 1})" for number in range(40))
    lane.execute(f"INSERT INTO erp.stock VALUES {rows}")
    lane.audit()
    change_unseen(lane, "DELETE FROM erp.stock WHERE bin = 'X07'; UPDATE erp.stock SET quantity = 99 WHERE bin = 'X08'")
    lane.run("resnapshot", lane.name, "--incremental", "stock")
    lane.await_(lambda: quantities(lane, "A", "X07") == [8, 0], "the withdrawal of one row of 43")
    lane.audit()


@contextmanager
def inventory(lane: Lane) -> Iterator[Callable[[], dict[str, Decimal]]]:
    """The inventory process beside the lane; gives what is available now of A and B."""
    mine, nobody = f"[{lane.name}]", "[]"
    owned = {bucket: mine if bucket is Bucket.ON_HAND else nobody for bucket in Bucket if bucket is not Bucket.UNKNOWN}
    owners = ", ".join(f"{bucket.value}: {owner}" for bucket, owner in owned.items())
    (lane.settings.connect_configs / "ownership.yaml").write_text(
        f"items: {mine}\nlocations: {mine}\ninventory: {{{owners}}}\n"
        f"orders: {{header: {mine}, lines: {mine}, shipments: {mine}}}\n"
    )
    settings = lane.settings.model_copy(update={"session_timeout_s": 6.0})

    def available() -> dict[str, Decimal]:
        found = {}
        topic = "inventory.atp.v1"
        for partition in range(settings.partitions):
            for atp in lane.newest(topic, partition).values():
                if isinstance(atp, Atp) and atp.complete and atp.sku in ("A", "B"):
                    found[atp.sku] = atp.network.available_now
        return found

    log = settings.data_dir / "inventory.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "onhand.cli.main", "run", "inventory"]
        process = subprocess.Popen(
            command, env={**os.environ, **settings_environment(settings)}, stdout=out, stderr=out
        )
        try:
            yield lambda: available() if process.poll() is None else pytest.fail(log.read_text()[-4000:])
            assert process.poll() is None, log.read_text()[-4000:]
        finally:
            process.kill()
            process.wait()


def test_after_a_lost_state_receivers_withdraw_what_is_not_said_again(lane: Lane) -> None:
    """The changelog is gone, and the log's beginning with it: only a new snapshot can tell, and it knows neither B nor
    what was open before."""
    with inventory(lane) as available:
        lane.await_(lambda: available() == {"A": 5, "B": 7}, "the first promises")
        producer = Producer({"bootstrap.servers": lane.settings.kafka})
        producer.produce(f"cdc.{lane.name}", key=b'{"sku":"C","bin":"W2"}', value=b'{"op":"u"}', partition=0)
        producer.flush()
        lane.await_exception("poison-record")
        before = said(lane)[-1][0]
        lane.kill()
        lane.execute("DELETE FROM erp.stock WHERE sku = 'B'")
        await_record(lane.made, lane.name, lambda value: value.get("op") == "d")
        admin = AdminClient({"bootstrap.servers": lane.settings.kafka})
        everything = TopicPartition(f"cdc.{lane.name}", 0, OFFSET_END)
        for future in (
            *admin.delete_topics([changelog_topic(f"lane-{lane.name}")]).values(),
            *admin.delete_records([everything]).values(),
        ):
            future.result(DEADLINE_S)
        lane.start()
        lane.execute("UPDATE erp.stock SET quantity = 4 WHERE sku = 'A'")
        lane.await_exception("snapshot-required")
        assert available() == {"A": 5, "B": 7}, "last promises stand"
        lane.run("resnapshot", lane.name)
        lane.audit()
        lane.await_(lambda: available() == {"A": 4, "B": 0}, "the promise without B")
        again = {(sku, quantity) for version, sku, _, quantity in said(lane) if version > before}
        assert again == {("A", Decimal(4))}, "the lane that lost its state never knew of B"
        lane.await_(lambda: not lane.exceptions(), "the end of what a lost state had opened")
