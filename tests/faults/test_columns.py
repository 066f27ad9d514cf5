"""A column goes while changes stream: what uses it says nothing new, everything else goes on, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onhand.demo.databases import pick_bin
from onhand.demo.truth import erp_item
from schemas.records import ExceptionRecord
from streams.agents.runtime.log_reader import LogReader
from tests.faults.chain import Chain

pytestmark = pytest.mark.integration


@pytest.fixture
def selling(chain: Chain) -> Iterator[Chain]:
    """The shop goes on selling what is uncertain."""
    with chain.sells_what_is_uncertain():
        yield chain


def test_a_dropped_column(selling: Chain) -> None:
    """The last column, so that put back it stands where it stood: `INSERT … VALUES` of the ERP counts on it."""
    chain = selling
    bought, sold, received = chain.stocked(3)
    number, kept = next(chain.system.business.po_numbers), next(chain.system.business.po_numbers)
    row = f"INSERT INTO erp.purlin VALUES (%s, 1, 'V1', '{erp_item(bought)}', 'W1', %s, 0, 10, 2031, 5, 17)"
    chain.erp(row, kept, 1000)
    chain.wait("the purchase", lambda: chain.inbound(bought) >= 10)
    before = chain.inbound(bought)
    restarts = chain.restarts()

    chain.erp("CREATE TABLE public.kept AS SELECT plpono, pllinn, pldued FROM erp.purlin")
    chain.erp("ALTER TABLE erp.purlin DROP COLUMN pldued")
    chain.erp(row.replace(", 17)", ")"), number, 2000)
    chain.erp("UPDATE erp.purlin SET plqord = 1500 WHERE plpono = %s", kept)

    found = parked(chain, "erp", "erp.purlin", "pldued")
    the_rest_goes_on(chain, sold, received)
    assert chain.inbound(bought) == before, "what the table said stands"
    assert chain.restarts() == restarts

    chain.erp("ALTER TABLE erp.purlin ADD COLUMN pldued smallint NOT NULL DEFAULT 0")
    chain.erp(
        "UPDATE erp.purlin p SET pldued = k.pldued FROM public.kept k WHERE (k.plpono, k.pllinn) = (p.plpono, p.pllinn)"
    )
    chain.erp("UPDATE erp.purlin SET pldued = 17 WHERE plpono = %s", number)
    chain.erp("DROP TABLE public.kept")
    assert chain.inbound(bought) == before, "what waits came before the column was back"
    done = chain.command("source", "resnapshot", "erp")
    assert done.code == 0, done.text
    chain.closed(found.id)
    chain.wait("what waited", lambda: chain.inbound(bought) == before + 25)
    chain.wait("the source to be certain", lambda: not chain.lane("erp").uncertain)


def test_a_renamed_column(selling: Chain) -> None:
    """On hand itself.  Named right again, only its table is read anew, beside the stream."""
    chain = selling
    changed, later, sold, received = chain.stocked(4)
    held = {sku: chain.held(sku) for sku in (changed, later)}
    restarts = chain.restarts()

    chain.wms("ALTER TABLE bin_stock RENAME COLUMN qty TO pieces")
    add_stock(chain, changed, "pieces")

    found = parked(chain, "wms", "wms.bin_stock", "qty")
    start, before = chain.held(sold), chain.inbound(received)
    chain.line(sold, 2)
    chain.wms(
        "INSERT INTO transfer (item_id, from_wh, to_wh, qty, status, eta) VALUES (%s, 1, 2, 4, 1, '2031-05-17')",
        chain.system.business.item_ids[received],
    )
    chain.wait("another table of the source to go on", lambda: chain.inbound(received) == before + 4)
    chain.wait("the other source to go on", lambda: chain.held(sold) == start - 2)
    assert chain.held(changed) == held[changed], "what the table said stands"
    assert chain.restarts() == restarts

    chain.wms("ALTER TABLE bin_stock RENAME COLUMN pieces TO qty")
    add_stock(chain, later, "qty")
    end = log_end(chain, "cdc.wms")
    done = chain.command("source", "resnapshot", "wms", "--incremental", "wms.bin_stock")
    assert done.code == 0, done.text
    chain.wait("the table to be read", lambda: incremental_completed(chain, "cdc.wms", end))
    chain.closed(found.id)
    for sku in (changed, later):
        chain.wait("what waited", lambda sku=sku: chain.held(sku) == held[sku] + 3)  # type: ignore[misc]
    chain.wait("the source to be certain", lambda: not chain.lane("wms").uncertain)


def parked(chain: Chain, source: str, table: str, column: str) -> ExceptionRecord:
    """The exception of the table, when its source says that it is uncertain, but complete and not holding."""
    found = chain.exception("column-absent", table)
    assert found.source == source
    assert found.detail.startswith(f"{table} sends no {column}")
    assert "`onhand source resnapshot`" in found.action
    chain.wait("the source to be uncertain", lambda: chain.lane(source).uncertain)
    lane = chain.lane(source)
    assert (lane.complete, lane.holding) == (True, False)
    assert not any(chain.lane(other).uncertain for other in ("erp", "wms") if other != source)
    return found


def the_rest_goes_on(chain: Chain, sold: str, received: str) -> None:
    """Decreases and increases, of another table of the ERP and of the WMS, reach the shop."""
    start = {sku: chain.held(sku) for sku in (sold, received)}
    number = chain.line(sold, 3)
    chain.wait("another table of the source to go on", lambda: chain.held(sold) == start[sold] - 3)
    chain.erp("UPDATE erp.ordlin SET olqcan = 200 WHERE olordn = %s", number)
    chain.wait("increases, too", lambda: chain.held(sold) == start[sold] - 1)
    add_stock(chain, received, "qty")
    chain.wait("the other source to go on", lambda: chain.held(received) == start[received] + 3)
    assert chain.system.newest("inventory.atp.v1")[sold].uncertain


def add_stock(chain: Chain, sku: str, column: str) -> None:
    """Three pieces more in the item's pick bin at W1."""
    item_id = chain.system.business.item_ids[sku]
    chain.wms(
        f"UPDATE bin_stock SET {column} = {column} + 3 WHERE item_id = %s AND bin_id = %s",
        item_id,
        pick_bin(item_id, 1),
    )


def log_end(chain: Chain, topic: str) -> int:
    reader = LogReader(chain.system.settings.kafka)
    try:
        return reader.bounds(topic, 0)[1]
    finally:
        reader.close()


def incremental_completed(chain: Chain, topic: str, since: int) -> bool:
    """Whether the log tells that an incremental snapshot is over."""
    reader = LogReader(chain.system.settings.kafka)
    try:
        records = list(reader.read(topic, 0, since, reader.bounds(topic, 0)[1]))
        return any(
            b'"Incremental Snapshot"' in record.value and b'"COMPLETED"' in record.value
            for record in records
            if record.value is not None
        )
    finally:
        reader.close()
