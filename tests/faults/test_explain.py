"""`onhand source explain` on the running chain: from a promise or an order back to the rows behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import EXIT_INVALID, EXIT_OK
from schemas.records import Order
from tests.faults.chain import Chain

pytestmark = pytest.mark.integration
ORDER = 991_001
REFERENCE = f"SO-{ORDER}-1"


@pytest.fixture
def sold(chain: Chain) -> Iterator[str]:
    """A sku of which five pieces were ordered in the ERP; the order has arrived."""
    sku = chain.system.business.skus[7]
    chain.erp("INSERT INTO erp.ordhdr VALUES (%s, 'C00001', 'WB', 126335, 126335, 40, 1)", ORDER)
    chain.erp("INSERT INTO erp.ordlin VALUES (%s, 1, %s, 'W1', 500, 0, 0, 40, 126335)", ORDER, sku)

    def arrived() -> bool:
        order = chain.system.newest("order.v1").get(f"SO-{ORDER}")
        return isinstance(order, Order) and bool(order.lines) and order.financial_status == "invoiced"

    chain.wait("the order to arrive", arrived)
    yield sku
    chain.erp("DELETE FROM erp.ordlin WHERE olordn = %s", ORDER)
    chain.erp("DELETE FROM erp.ordhdr WHERE ohordn = %s", ORDER)


def explained(chain: Chain, *arguments: str) -> dict[str, Any]:
    done = chain.command("source", "explain", *arguments, "--json")
    assert done.code == EXIT_OK, done.text
    document: dict[str, Any] = json.loads(done.out)
    return document


def total(quantities: Iterable[str]) -> Decimal:
    return sum(map(Decimal, quantities), Decimal(0))


def row_of(document: dict[str, Any], begins: str) -> dict[str, Any]:
    return next(row for row in document["rows"] if row["row"].startswith(begins))


def test_why_a_sku_has_its_promise_and_an_order_its_values(chain: Chain, sold: str) -> None:
    told: dict[str, Any] = {}

    def promised() -> bool:
        told.update(explained(chain, "sku", sold))
        lines = [line for claim in told["claims"] for line in claim["counts"] if line["bucket"] == "demand"]
        demand = total(at["demand"] for at in told["promise"]["locations"])
        return demand == total(line["quantity"] for line in lines) > 0

    chain.wait("promise and lanes to say the same demand", promised)

    # every balance is the sum of its rows, and what counts is what the position shows
    entries = [entry for claim in told["claims"] for entry in claim["entries"]]
    postings = [said for row in told["rows"] for said in row["says"]]
    for bucket in {entry["bucket"] for entry in entries}:
        sums = total(entry["quantity"] for entry in entries if entry["bucket"] == bucket)
        assert sums == total(said.split()[1] for said in postings if said.split()[0] == bucket), bucket
    counted = total(entry["quantity"] for entry in entries if (entry["bucket"], entry["role"]) == ("on_hand", "counts"))
    assert counted == total(line["quantity"] for line in told["position"]["lines"] if line["bucket"] == "on_hand")
    assert f"on hand {counted.normalize():f}" in told["promise"]["network"]["words"]

    (claim,) = [claim for claim in told["claims"] if claim["reference"] == REFERENCE]
    assert claim["words"] == [f"{REFERENCE}: open demand 5 at W1 due 2026-12-01"]
    assert {e["role"] for e in entries if (e["source"], e["bucket"]) == ("erp", "on_hand")} == {"compared: wms owns it"}

    line = row_of(told, f"erp.ordlin [{ORDER},1]")
    assert line["columns"]["olqord"] == "500"
    assert line["says"] == [f"demand 5.00 at W1 due 2026-12-01 for {REFERENCE}"]
    assert line["change"]["what"] == "inserted"
    assert line["change"]["position"].startswith("lsn:")
    assert abs(line["change"]["committed_us"] - time.time_ns() // 1000) < 300_000_000
    assert row_of(told, "erp.itmast")["says"] == ["what the item is"]
    bin_stock = row_of(told, "wms.bin_stock")
    joined = {one["table"]: one for one in bin_stock["joined"]}
    assert joined["wms.item"]["columns"]["item_code"].upper().replace("-", "") == sold
    assert joined["wms.warehouse"]["change"]["what"] == "read by a snapshot"
    assert {one["source"]: one["complete"] for one in told["sources"]} == {"erp": True, "wms": True}

    order = explained(chain, "order", f"SO-{ORDER}")
    found = {(one["part"], one["attribute"]): one for one in order["attributes"]}
    paid = found[f"header SO-{ORDER}", "financial_status"]
    assert (paid["value"], paid["from"], paid["code"]) == ("invoiced", "erp", "1")
    assert found[f"line {REFERENCE}", "ordered"]["value"] == "5.00"
    assert {row["row"] for row in order["rows"]} == {f"erp.ordhdr [{ORDER}]", f"erp.ordlin [{ORDER},1]"}

    text = chain.command("source", "explain", "sku", sold).out
    assert f"says demand 5.00 at W1 due 2026-12-01 for {REFERENCE}" in text
    assert "compared: wms owns it" in text
    for kind, name in (("sku", "no-such-sku"), ("order", "SO-0")):
        nobody = chain.command("source", "explain", kind, name)
        assert (nobody.code, "no source says anything about it" in nobody.err) == (EXIT_INVALID, True), nobody.text
