"""What is really there to promise: hand-written SQL on the two databases, and arithmetic as a clerk would do it.

This is the judge, so it shares nothing with onhand: not the mappings, not the compiler, not the promise.  It reads
both databases for one item or for all and follows the rules of DESIGN §5 in the plainest way, day by day.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

HORIZON_DAYS = 90
INBOUND_GRACE_DAYS = 7
ZERO = Decimal(0)

ERP_DEMAND = """
SELECT rtrim(olitem), rtrim(olwhse), olordn || '-' || ollinn, olreqd, olqord - olqcan, olqshp
  FROM (SELECT * FROM erp.ordlin UNION ALL SELECT * FROM erp.ordlnh) lines
 WHERE olstat < 99 {only}
"""
ERP_INBOUND = """
SELECT rtrim(plitem), rtrim(plwhse), plpono || '-' || pllinn, plduey, plduem, pldued, plqord, plqrec
  FROM erp.purlin WHERE plstat = 10 {only}
"""
ERP_SAFETY = "SELECT rtrim(ibitem), rtrim(ibwhse), ibsfty FROM erp.itmbal WHERE ibsfty > 0 {only}"
ERP_ITEMS = "SELECT rtrim(itnum), itstky, itstat FROM erp.itmast WHERE true {only}"

WMS_STOCK = """
SELECT item.item_code, warehouse.wh_code, bin_stock.qty, lot.hold_status
  FROM bin_stock, bin, warehouse, lot, item
 WHERE bin.bin_id = bin_stock.bin_id AND warehouse.wh_id = bin.wh_id AND lot.lot_id = bin_stock.lot_id
   AND item.item_id = bin_stock.item_id AND bin.bin_type IN ('PICK', 'BULK', 'STAGE') {only}
"""
WMS_SHIPPED = """
SELECT item.item_code, shipment.order_no, shipment_line.line_no, SUM(shipment_line.qty)
  FROM shipment_line, shipment, item
 WHERE shipment.shp_id = shipment_line.shp_id AND item.item_id = shipment_line.item_id {only}
 GROUP BY 1, 2, 3
"""
WMS_RECEIVED = """
SELECT item.item_code, receipt.po_no, receipt.po_line, SUM(receipt.qty)
  FROM receipt, item WHERE item.item_id = receipt.item_id {only} GROUP BY 1, 2, 3
"""
WMS_TRANSFERS = """
SELECT item.item_code, warehouse.wh_code, transfer.eta, transfer.qty
  FROM transfer, warehouse, item
 WHERE warehouse.wh_id = transfer.to_wh AND item.item_id = transfer.item_id AND transfer.status = 1 {only}
"""


@dataclass
class Claim:
    """An order or purchase line: at one warehouse, due on one day, with what each system says is done."""

    location: str
    due: dt.date | None
    quantity: Decimal
    erp_done: Decimal
    wms_done: Decimal | None = None
    """None: the warehouse has nothing to say about it."""

    @property
    def open(self) -> Decimal:
        done = self.erp_done if self.wms_done is None else self.wms_done
        return max(ZERO, self.quantity - done)


@dataclass
class Facts:
    """Everything both databases say about one item."""

    tracked: bool = True
    active: bool = True
    on_hand: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    on_hold: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    safety: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    demand: dict[str, Claim] = field(default_factory=dict)
    inbound: dict[str, Claim] = field(default_factory=dict)
    transfers: list[tuple[str, dt.date, Decimal]] = field(default_factory=list)

    @property
    def locations(self) -> set[str]:
        claims = {claim.location for claim in (*self.demand.values(), *self.inbound.values())}
        moving = {location for location, _, _ in self.transfers}
        return {*self.on_hand, *self.on_hold, *self.safety, *claims, *moving}

    def available(self, today: dt.date, location: str | None = None) -> Decimal:
        """ATP now of one location or, with None, of the network: the least of any day up to the horizon."""
        return min(self.by_day(today, location))

    def by_day(self, today: dt.date, location: str | None = None) -> list[Decimal]:
        """ATP(t) for today and each of the following days of the horizon."""

        def here(other: str) -> bool:
            return location is None or location == other

        start = sum((q for at, q in self.on_hand.items() if here(at)), ZERO)
        start -= sum((q for at, q in self.on_hold.items() if here(at)), ZERO)
        start -= sum((q for at, q in self.safety.items() if here(at)), ZERO)
        change: dict[dt.date, Decimal] = defaultdict(Decimal)
        for claim in self.demand.values():
            if here(claim.location):
                change[max(today, claim.due or today)] -= claim.open
        coming = [(c.location, c.due, c.open) for c in self.inbound.values()]
        for at, due, quantity in [*coming, *self.transfers]:
            if not here(at) or due is None or due < today - dt.timedelta(INBOUND_GRACE_DAYS):
                continue
            change[due if due >= today else today + dt.timedelta(1)] += quantity
        days, running = [], start
        for n in range(HORIZON_DAYS + 1):
            running += change.get(today + dt.timedelta(n), ZERO)
            days.append(running)
        return days


def from_cyyddd(number: int) -> dt.date | None:
    """The ERP's date: century, year, day of the year; 0: none."""
    if number <= 0:
        return None
    return dt.date(1900 + number // 1000, 1, 1) + dt.timedelta(number % 1000 - 1)


def erp_item(sku: str) -> str:
    return f"{sku:<12}"


def wms_item(sku: str) -> str:
    return f"{sku[0].lower()}-{sku[1:]}"


def sku_of_wms(code: str) -> str:
    return code.replace("-", "").upper()


def read_facts(erp: Any, wms: Any, sku: str | None = None) -> dict[str, Facts]:
    """Facts by sku, of one item or of all.  `erp` is a psycopg connection, `wms` a pymysql one; both are left with no
    transaction open."""
    facts: dict[str, Facts] = defaultdict(Facts)
    with erp.transaction(), erp.cursor() as cursor:

        def ask_erp(text: str, column: str) -> list[tuple[Any, ...]]:
            cursor.execute(text.format(only=f"AND {column} = %s" if sku else ""), [erp_item(sku)] if sku else None)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

        for item, stocked, status in ask_erp(ERP_ITEMS, "itnum"):
            facts[item].tracked, facts[item].active = stocked == "Y", status == 10
        for item, where, line, due, ordered, shipped in ask_erp(ERP_DEMAND, "olitem"):
            facts[item].demand[line] = Claim(where, from_cyyddd(due), ordered / 100, shipped / 100)
        for item, where, line, year, month, day, ordered, received in ask_erp(ERP_INBOUND, "plitem"):
            due_date = dt.date(year, month, day) if year else None
            facts[item].inbound[line] = Claim(where, due_date, ordered / 100, received / 100)
        for item, where, safety in ask_erp(ERP_SAFETY, "ibitem"):
            facts[item].safety[where] += safety / 100
    wms.begin()
    with wms.cursor() as cursor:

        def ask_wms(text: str) -> list[tuple[Any, ...]]:
            cursor.execute(text.format(only="AND item.item_code = %s" if sku else ""), [wms_item(sku)] if sku else None)
            return list(cursor.fetchall())

        for code, where, quantity, hold in ask_wms(WMS_STOCK):
            item = facts[sku_of_wms(code)]
            item.on_hand[where.upper()] += quantity
            if hold:
                item.on_hold[where.upper()] += quantity
        for code, order, line, quantity in ask_wms(WMS_SHIPPED):
            claim = facts[sku_of_wms(code)].demand.get(f"{order}-{line}")
            if claim:
                claim.wms_done = quantity
        for code, order, line, quantity in ask_wms(WMS_RECEIVED):
            claim = facts[sku_of_wms(code)].inbound.get(f"{order}-{line}")
            if claim:
                claim.wms_done = quantity
        for code, where, eta, quantity in ask_wms(WMS_TRANSFERS):
            facts[sku_of_wms(code)].transfers.append((where.upper(), eta, quantity))
    wms.rollback()
    return dict(facts)
