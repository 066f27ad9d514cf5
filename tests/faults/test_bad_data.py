"""Bad data in the running chain: it is set aside and told, the rest goes on, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onhand.demo.truth import erp_item
from schemas.records import Order
from tests.faults.chain import Chain, write_record

pytestmark = pytest.mark.integration

POISON = b"\xff\xfe this is no record of Debezium"


def test_poison_bytes_in_a_source_log(chain: Chain) -> None:
    waiting, other = chain.stocked(2)
    first = chain.line(waiting, 1)
    start = {sku: chain.held(sku) for sku in (waiting, other)}
    chain.wait("the order to be told", lambda: chain.held(waiting) == chain.promises(waiting) < start[waiting])
    start[waiting] = chain.held(waiting)

    offset = write_record(chain, "cdc.erp", b'{"olordn":%d,"ollinn":1}' % first, POISON)
    chain.erp("UPDATE erp.ordlin SET olqord = 400 WHERE olordn = %s", first)
    chain.line(other, 2)

    chain.wait("other items to go on", lambda: chain.held(other) == start[other] - 2)
    found = chain.exception("poison-record")
    assert (found.topic, found.partition, found.offset, found.raw) == ("cdc.erp", 0, offset, POISON)
    assert chain.promises(waiting) == start[waiting], "its key waits behind it"
    chain.wait("one piece of an uncertain item to be kept back", lambda: chain.held(waiting) == start[waiting] - 1)
    assert not chain.lane("erp").uncertain

    (listed,) = document(chain, "list", "--code", "poison-record", "--source", "erp")
    assert listed["id"] == found.id
    shown = document(chain, "show", found.id)
    assert (shown["topic"], shown["partition"], shown["offset"]) == ("cdc.erp", 0, offset)
    assert "this is no record of Debezium" in shown["raw"]
    assert "close ID" in shown["action"]
    for column in ("offset", str(offset), "no record of Debezium"):
        assert column in chain.command("exceptions", "show", found.id).out

    assert chain.command("exceptions", "close", found.id, "--why", "a test wrote it").code == 0
    chain.closed(found.id)
    chain.wait("what waited to be told", lambda: chain.held(waiting) == start[waiting] - 3)
    assert document(chain, "list", "--source", "erp", "--code", "poison-record") == []
    (closed,) = document(chain, "list", "--all", "--source", "erp", "--code", "poison-record")
    assert closed["status"] == "closed"


def test_poison_bytes_of_which_nobody_knows_the_row(chain: Chain) -> None:
    (sku,) = chain.stocked(1)
    with chain.sells_what_is_uncertain():
        held = chain.held(sku)
        offset = write_record(chain, "cdc.wms", None, POISON)
        chain.wait("the source to be uncertain", lambda: chain.lane("wms").uncertain)
        found = chain.exception("poison-record")
        assert (found.source, found.topic, found.offset, found.raw) == ("wms", "cdc.wms", offset, POISON)
        item_id = chain.system.business.item_ids[sku]
        chain.wms(
            "UPDATE bin_stock SET qty = qty + 5 WHERE item_id = %s AND bin_id BETWEEN 1001 AND 1499 LIMIT 1", item_id
        )
        chain.wait("the same source to go on", lambda: chain.held(sku) == held + 5)
        assert chain.command("exceptions", "close", found.id, "--why", "a test wrote it").code == 0
        chain.closed(found.id)
        chain.wait("the source to be certain", lambda: not chain.lane("wms").uncertain)


def test_a_row_that_cannot_be_mapped(chain: Chain) -> None:
    good, bad, updated = chain.stocked(3)
    orders = [next(chain.system.business.po_numbers) for _ in range(3)]
    purchase = (
        "INSERT INTO erp.purlin VALUES (%s, 1, 'V00001', '{}', 'W1', 1000, 0, 10, 2031, {}, 10), "
        "(%s, 1, 'V00001', '{}', 'W1', 2000, 0, 10, 2031, 10, 10)"
    )
    chain.erp(purchase.format(erp_item(updated), 10, erp_item(updated)), orders[2], orders[2] + 1_000_000)
    before = chain.inbound(good)
    chain.wait("the first lines", lambda: chain.inbound(updated) >= 30)
    both = chain.inbound(updated)

    chain.erp(purchase.format(erp_item(bad), 13, erp_item(good)), orders[0], orders[1])
    chain.erp("UPDATE erp.purlin SET plduem = 13, plqord = 700 WHERE plpono = %s", orders[2])

    chain.wait("the row beside it", lambda: chain.inbound(good) == before + 20)
    found = chain.exception("row-unmappable", f"erp.purlin [{orders[0]},")
    again = chain.exception("row-unmappable", f"erp.purlin [{orders[2]},")
    assert found.source == "erp"
    assert "no date 2031-13-10" in found.detail
    assert (found.topic, found.partition) == ("cdc.erp", 0)
    assert found.raw is not None
    assert b'"plduem":13' in found.raw
    assert "mend the row at the source" in found.action
    assert chain.inbound(updated) == both, "what the row said last stands"
    (row,) = [row for row in document(chain, "list", "--source", "erp") if row["id"] == found.id]
    assert row["subject"] == found.subject

    chain.erp("UPDATE erp.purlin SET plduem = 12 WHERE plpono = ANY(%s)", [orders[0], orders[2]])
    chain.closed(found.id)
    chain.closed(again.id)
    chain.wait("the mended row", lambda: chain.inbound(updated) == both - 3)


def test_an_unmapped_status_code(chain: Chain) -> None:
    (sku,) = chain.stocked(1)
    held = chain.held(sku)
    number = chain.line(sku, 1)
    order_id = f"SO-{number}"
    chain.wait("the order", lambda: order(chain, order_id, "entered"))

    chain.erp("UPDATE erp.ordhdr SET ohstat = 77, ohfins = 1 WHERE ohordn = %s", number)
    found = chain.exception("status-unmapped", "execution_status 77")
    assert "'77'" in found.detail
    assert "statuses" in found.action
    chain.wait("the status to be unknown, not guessed", lambda: order(chain, order_id, "unknown"))
    assert chain.system.newest("order.v1")[order_id].financial_status == "invoiced", "the other attributes are told"
    assert chain.held(sku) == held - 1, "and the promise is right"

    chain.erp("UPDATE erp.ordhdr SET ohstat = 40 WHERE ohordn = %s", number)
    chain.closed(found.id)
    chain.wait("the order", lambda: order(chain, order_id, "released"))


def test_an_unmapped_status_code_that_becomes_mapped(chain: Chain) -> None:
    (sku,) = chain.stocked(1)
    number = chain.line(sku, 1)
    order_id = f"SO-{number}"
    chain.erp("UPDATE erp.ordhdr SET ohstat = 78 WHERE ohordn = %s", number)
    found = chain.exception("status-unmapped", "execution_status 78")
    with chain.changed_file("connect-configs/erp/source.yaml", '"20": entered,', '"20": entered, "78": on_hold,'):
        done = chain.command("source", "apply", "erp")
        assert done.code == 0, done.text
        assert "the mapping has changed" in done.text
        chain.closed(found.id)
        chain.wait("the order", lambda: order(chain, order_id, "on_hold"))
        chain.erp("UPDATE erp.ordhdr SET ohstat = 20 WHERE ohordn = %s", number)
        chain.wait("the order", lambda: order(chain, order_id, "entered"))
    assert chain.command("source", "apply", "erp").code == 0


def order(chain: Chain, order_id: str, execution: str) -> bool:
    """Whether the order is there with this execution status."""
    found: Order | None = chain.system.newest("order.v1").get(order_id)
    return found is not None and found.execution_status == execution


def document(chain: Chain, *arguments: str) -> Any:
    """What `onhand exceptions … --json` answers."""
    done = chain.command("exceptions", *arguments, "--json")
    assert done.code == 0, done.text
    return json.loads(done.out)
