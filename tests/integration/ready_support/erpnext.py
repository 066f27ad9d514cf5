"""ERPNext 15: drafts and cancelled documents, orders on hold and closed, drop shipments, bundles, boxes of twelve."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

from tests.integration.ready_support.system import Row, System, some
from tests.integration.ready_support.totals import COMPONENT

ITEMS, ORDERS, LINES = 16, 24, 80
DAY = dt.date(2026, 11, 1)
CHANGED = dt.datetime(2026, 11, 20, 8, 15, 0, 123456)


def _item(n: int) -> str:
    return f"ITEM {n:02}" if n % 5 else f"Ärtikel-{n}"


def _house(n: int) -> str:
    return ("Stores - WP", "Rejected - WP", "Closed - WP", "Finished Goods - WP")[n]


def _sold(rng: random.Random) -> str:
    return _item(rng.randrange(ITEMS + 1))  # one of them has no item: a row that waits


def _day(rng: random.Random) -> dt.date | None:
    return some(rng, None, DAY + dt.timedelta(days=rng.randrange(60)))  # type: ignore[no-any-return]


def unit(rng: random.Random, n: int) -> Row:
    return {"name": ("Nos", "Kg", "Box")[n], "must_be_whole_number": int(n != 1)}


def item(rng: random.Random, n: int) -> Row:
    return {
        "name": _item(n),
        "item_name": f"Item {n}",
        "stock_uom": some(rng, "Nos", "Kg", "Barrel"),
        "is_stock_item": int(n % 6 != 5),
        "has_variants": int(n == 13),
        "disabled": some(rng, 0, 0, 1),
    }


def house(rng: random.Random, n: int) -> Row:
    return {
        "name": _house(n),
        "warehouse_name": _house(n)[:-5],
        "company": "WP",
        "is_group": int(n == 3),
        "is_rejected_warehouse": int(n == 1),
        "disabled": int(n == 2 and rng.random() < 0.7),
    }


def bin_(rng: random.Random, n: int) -> Row:
    return {
        "name": f"bin{n:04}",
        "item_code": _item(n % ITEMS),
        "warehouse": _house(n // ITEMS),
        "actual_qty": Decimal(some(rng, "0", "10", "-3", "2.125")),
        "reserved_qty": Decimal(99),
        "reserved_qty_for_production": Decimal(some(rng, 0, 0, 4)),
        "reserved_qty_for_sub_contract": Decimal(some(rng, 0, 1)),
        "ordered_qty": Decimal(99),
    }


def order(rng: random.Random, n: int) -> Row:
    docstatus = some(rng, 0, 1, 1, 1, 1, 2)
    status = (
        "Cancelled"
        if docstatus == 2
        else some(rng, "To Deliver and Bill", "To Deliver", "Completed", "On Hold", "closed")
    )
    return {
        "name": f"SAL-ORD-{n:05}",
        "creation": CHANGED,
        "modified": CHANGED,
        "docstatus": docstatus,
        "status": status,
        "customer": "Müller & Co",
        "delivery_date": _day(rng),
        "billing_status": some(rng, "Not Billed", "Partly Billed"),
        "delivery_status": some(rng, "Not Delivered", "Partly Delivered", "Fully Delivered"),
    }


def line(rng: random.Random, n: int) -> Row:
    """Sold by the piece or by the box; delivered in part, or more than was ordered."""
    qty, factor = Decimal(some(rng, 1, 2, 4, 5, 8)), Decimal(some(rng, 1, 1, 12))
    delivered = some(rng, Decimal(0), qty, qty / 4, qty + 1)
    return {
        "name": f"soi{n:05}",
        "modified": CHANGED,
        "docstatus": some(rng, 1, 2),
        "parent": f"SAL-ORD-{rng.randrange(ORDERS + 1):05}",
        "parenttype": "Sales Order",
        "item_code": _sold(rng),
        "warehouse": some(rng, _house(0), _house(0), _house(1), None, ""),
        "uom": "Nos",
        "conversion_factor": factor,
        "qty": qty,
        "stock_qty": qty * factor,
        "delivered_qty": delivered,
        "delivered_by_supplier": some(rng, 0, 0, 0, 1),
        "delivery_date": _day(rng),
    }


def packed(rng: random.Random, n: int) -> Row:
    """Pieces of bundles: of sales orders, and of delivery notes, which do not count."""
    return {
        "name": f"pki{n:05}",
        "parenttype": some(rng, "Sales Order", "Sales Order", "Delivery Note"),
        "parent": "SAL-ORD-00001",
        "parent_item": "BUNDLE",
        "parent_detail_docname": f"soi{rng.randrange(LINES):05}",
        "item_code": _item(rng.randrange(ITEMS)),
        "warehouse": some(rng, _house(0), _house(1), None),
        "qty": Decimal(some(rng, 8, 16, 40)),
    }


def purchase(rng: random.Random, n: int) -> Row:
    status = some(rng, "To Receive and Bill", "To Receive", "Closed", "Delivered", "Completed")
    return {"name": f"PUR-ORD-{n:05}", "docstatus": some(rng, 0, 1, 1, 2), "status": status, "supplier": "ACME"}


def bought(rng: random.Random, n: int) -> Row:
    qty = Decimal(some(rng, 10, 20, "2.5"))
    return {
        "name": f"poi{n:05}",
        "parent": f"PUR-ORD-{rng.randrange(12):05}",
        "item_code": some(rng, _sold(rng), _sold(rng), None),
        "warehouse": some(rng, _house(0), _house(2), None),
        "conversion_factor": Decimal(some(rng, 1, 6)),
        "qty": qty,
        "received_qty": some(rng, Decimal(0), qty, Decimal(5), qty + 1),
        "delivered_by_supplier": some(rng, 0, 0, 1),
        "schedule_date": _day(rng),
    }


def note(rng: random.Random, n: int) -> Row:
    return {
        "name": f"MAT-DN-{n:05}",
        "docstatus": some(rng, 0, 1, 2),
        "is_return": some(rng, 0, 0, 1),
        "transporter_name": some(rng, None, "", "DHL"),
        "lr_no": some(rng, None, "T1"),
        "modified": CHANGED,
    }


def delivered(rng: random.Random, n: int) -> Row:
    detail = some(rng, None, "", f"soi{rng.randrange(LINES):05}")
    return {
        "name": f"dni{n:05}",
        "modified": CHANGED,
        "parent": f"MAT-DN-{rng.randrange(10):05}",
        "item_code": _item(1),
        "qty": Decimal(3),
        "against_sales_order": some(rng, None, "SAL-ORD-00001"),
        "so_detail": detail,
    }


def bundle(rng: random.Random, n: int) -> Row:
    return {"name": _item((5, 11)[n]), "new_item_code": _item((5, 11)[n]), "disabled": some(rng, 0, 0, 1)}


def piece(rng: random.Random, n: int) -> Row:
    return {
        "name": f"pbi{n:05}",
        "parent": _item((5, 11)[n % 2]),
        "item_code": _item(n),
        "qty": Decimal(some(rng, 1, "2.5")),
    }


ERPNEXT = System(
    "erpnext",
    "mariadb",
    {
        "tabUOM": (3, unit),
        "tabItem": (ITEMS, item),
        "tabWarehouse": (4, house),
        "tabBin": (3 * ITEMS, bin_),
        "tabSales Order": (ORDERS, order),
        "tabSales Order Item": (LINES, line),
        "tabPacked Item": (40, packed),
        "tabPurchase Order": (12, purchase),
        "tabPurchase Order Item": (60, bought),
        "tabDelivery Note": (10, note),
        "tabDelivery Note Item": (30, delivered),
        "tabProduct Bundle": (2, bundle),
        "tabProduct Bundle Item": (4, piece),
    },
    # erpnext/stock/stock_balance.py: get_reserved_qty and get_ordered_qty; bin.py: projected_qty
    {
        "on_hand": "SELECT item_code, warehouse, actual_qty FROM tabBin",
        "on_hold": """
SELECT item_code, warehouse, actual_qty FROM tabBin
 WHERE warehouse IN (SELECT name FROM tabWarehouse WHERE is_rejected_warehouse OR disabled)""",
        "demand": """
SELECT item_code, warehouse, SUM(quantity) FROM (
  SELECT item_code, warehouse, reserved_qty_for_production + reserved_qty_for_sub_contract AS quantity FROM tabBin
  UNION ALL
  SELECT item_code, warehouse, stock_qty * ((qty - delivered_qty) / qty) FROM `tabSales Order Item` line
   WHERE qty >= delivered_qty AND (delivered_by_supplier IS NULL OR delivered_by_supplier = 0)
     AND EXISTS (SELECT 1 FROM `tabSales Order` so WHERE so.name = line.parent AND so.docstatus = 1
                    AND so.status NOT IN ('On Hold', 'Closed'))
     AND EXISTS (SELECT 1 FROM tabItem WHERE tabItem.name = line.item_code AND is_stock_item)
  UNION ALL
  SELECT k.item_code, k.warehouse, k.qty * ((line.qty - line.delivered_qty) / line.qty)
    FROM `tabPacked Item` k, `tabSales Order Item` line, `tabSales Order` so
   WHERE line.name = k.parent_detail_docname AND so.name = line.parent AND line.qty >= line.delivered_qty
     AND line.delivered_by_supplier = 0 AND so.docstatus = 1 AND so.status NOT IN ('On Hold', 'Closed')
     AND k.parenttype = 'Sales Order' AND k.item_code != k.parent_item
) open WHERE warehouse > '' GROUP BY item_code, warehouse""",
        "inbound": """
SELECT line.item_code, line.warehouse, SUM((line.qty - line.received_qty) * line.conversion_factor)
  FROM `tabPurchase Order Item` line, `tabPurchase Order` po
 WHERE po.name = line.parent AND line.qty > line.received_qty AND po.status NOT IN ('Closed', 'Delivered')
   AND po.docstatus = 1 AND line.delivered_by_supplier = 0 AND line.item_code > '' AND line.warehouse > ''
 GROUP BY line.item_code, line.warehouse""",
        COMPONENT: """
SELECT b.new_item_code, i.item_code, SUM(i.qty) FROM `tabProduct Bundle` b, `tabProduct Bundle Item` i
 WHERE i.parent = b.name AND NOT b.disabled GROUP BY b.new_item_code, i.item_code""",
    },
)
