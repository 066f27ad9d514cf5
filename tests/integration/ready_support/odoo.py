"""Odoo 16: several quants of one product at one place and below zero, products without code, moves in every state."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

from tests.integration.ready_support.system import Row, System, some
from tests.integration.ready_support.totals import COMPONENT

PRODUCTS, TEMPLATES, PLACES, WAREHOUSES, LINES, BILLS = 20, 12, 14, 3, 40, 10
DAY = dt.datetime(2026, 11, 1, 23, 30)


def _day(rng: random.Random) -> dt.datetime:
    return DAY + dt.timedelta(days=rng.randrange(60), minutes=rng.randrange(60))


def _number(rng: random.Random, *more: str) -> Decimal:
    return Decimal(some(rng, "1", "2", "3", "5", "0.5", "12", "0.333", *more))


def uom(rng: random.Random, n: int) -> Row:
    """Units, a dozen, and the gram below the kilogram: 1 reference = factor × this."""
    factor = ("1", "0.0833333333333333", "1000", "0.1")[n]
    type_ = ("reference", "bigger", "smaller", "bigger")[n]
    rounding = Decimal(some(rng, "1.0", "0.01", "0.001"))
    name = '{"en_US": "unit"}'
    return {
        "id": n + 1,
        "category_id": 1,
        "uom_type": type_,
        "name": name,
        "factor": Decimal(factor),
        "rounding": rounding,
    }


def template(rng: random.Random, n: int) -> Row:
    type_ = some(rng, "product", "product", "product", "consu", "service")
    return {
        "id": n + 1,
        "name": '{"en_US": "a name"}',
        "type": type_,
        "detailed_type": type_,
        "uom_id": some(rng, 1, 1, 2),
        "active": some(rng, True, True, False, None),
    }


def product(rng: random.Random, n: int) -> Row:
    code = None if n % 9 == 8 else "" if n % 11 == 10 else f"P{n % 17:02}"
    return {"id": n + 1, "product_tmpl_id": n % TEMPLATES + 1, "default_code": code, "active": some(rng, True, False)}


def warehouse(rng: random.Random, n: int) -> Row:
    return {
        "id": n + 1,
        "name": f"Warehouse {n}",
        "code": f"WH{n}",
        "company_id": 1,
        "active": n < 2,
        "view_location_id": n + 1,
        "lot_stock_id": 4 + n,
    }


def place(rng: random.Random, n: int) -> Row:
    """Three views, four places in each, one of them scrap; a customer's and a transit place are in no warehouse."""
    if n < WAREHOUSES:
        usage, inside = "view", n
    elif n < PLACES - 2:
        usage, inside = "internal", n % WAREHOUSES
    else:
        usage, inside = ("customer", "transit")[PLACES - 1 - n], -1
    path = f"{n + 1}/" if usage == "view" or inside < 0 else f"{inside + 1}/{n + 1}/"
    scrap = n == 9 or (some(rng, True, None) if n == 5 else False)
    return {
        "id": n + 1,
        "name": f"place {n}",
        "usage": usage,
        "location_id": inside + 1 or None,
        "parent_path": path,
        "warehouse_id": inside + 1 or None,
        "scrap_location": scrap,
        "active": True,
    }


def quant(rng: random.Random, n: int) -> Row:
    quantity = None if n % 23 == 22 else _number(rng, "-4", "0", "100.125")
    return {
        "id": n + 1,
        "product_id": rng.randint(1, PRODUCTS),
        "location_id": rng.randint(WAREHOUSES + 1, PLACES),
        "lot_id": some(rng, None, 1, 2),
        "owner_id": some(rng, None, 7),
        "quantity": quantity,
        "reserved_quantity": Decimal(some(rng, 0, 1)),
        "in_date": DAY,
    }


def move(rng: random.Random, n: int) -> Row:
    """Every other one serves a line, of the line's product or of a part of it."""
    state = some(rng, "draft", "waiting", "confirmed", "partially_available", "assigned", "done", "cancel")
    line = rng.randint(1, LINES)
    return {
        "id": n + 1,
        "name": f"move {n}",
        "product_id": some(rng, rng.randint(1, PRODUCTS), (line - 1) % PRODUCTS + 1),
        "product_uom": 1,
        "product_uom_qty": _number(rng),
        "product_qty": _number(rng),
        "state": state,
        "date": _day(rng),
        "location_id": rng.randint(WAREHOUSES + 1, PLACES),
        "location_dest_id": rng.randint(WAREHOUSES + 1, PLACES),
        "picking_id": some(rng, None, rng.randint(1, 20)),
        "write_date": _day(rng),
        "sale_line_id": some(rng, None, line),
        "purchase_line_id": some(rng, None, None, line),
    }


def order(rng: random.Random, n: int) -> Row:
    delivery = some(rng, None, "pending", "partial", "full")
    return {
        "id": n + 1,
        "name": f"S{n:05}",
        "state": some(rng, "draft", "sent", "sale", "sale", "done", "cancel"),
        "partner_id": 3,
        "date_order": _day(rng),
        "commitment_date": some(rng, None, _day(rng)),
        "invoice_status": some(rng, "no", "to invoice", "invoiced", "upselling", None),
        "write_date": _day(rng),
        "delivery_status": delivery,
        "warehouse_id": some(rng, 1, 2, None),
    }


def line(rng: random.Random, n: int) -> Row:
    """Sections and notes have no product."""
    kind = some(rng, None, None, None, "line_section", "line_note")
    return {
        "id": n + 1,
        "order_id": rng.randint(1, 20),
        "display_type": kind,
        "write_date": _day(rng),
        "product_id": None if kind else n % PRODUCTS + 1,
        "product_uom": None if kind else rng.randint(1, 4),
        "product_uom_qty": Decimal(0) if kind else _number(rng),
        "is_downpayment": some(rng, None, False, True),
        "qty_delivered": some(rng, None, Decimal(0), Decimal(1)),
    }


def picking(rng: random.Random, n: int) -> Row:
    return {
        "id": n + 1,
        "name": f"WH/OUT/{n:05}",
        "state": "done",
        "date_done": some(rng, None, _day(rng)),
        "picking_type_id": 1,
    }


def bom(rng: random.Random, n: int) -> Row:
    """Of a template; one names its variant."""
    return {
        "id": n + 1,
        "type": some(rng, "normal", "phantom", "phantom"),
        "product_tmpl_id": rng.randint(1, TEMPLATES),
        "product_id": some(rng, None, None, rng.randint(1, PRODUCTS)),
        "product_qty": Decimal(some(rng, 1, 2, 10)),
        "product_uom_id": some(rng, 1, 2),
        "active": some(rng, True, True, False, None),
    }


def bom_line(rng: random.Random, n: int) -> Row:
    return {
        "id": n + 1,
        "bom_id": rng.randint(1, BILLS),
        "product_id": rng.randint(1, PRODUCTS),
        "product_qty": Decimal(some(rng, 1, 4, "0.25", 0)),
        "product_uom_id": some(rng, 1, 2, 3),
    }


_OPEN = """
SELECT p.default_code, w.code, SUM(ROUND(m.product_qty, 9))
  FROM stock_move m, product_product p, stock_location here, stock_location there, stock_warehouse w
 WHERE p.id = m.product_id AND here.id = m.{here} AND there.id = m.{there}
   AND m.state IN ('waiting', 'confirmed', 'assigned', 'partially_available')
   AND here.parent_path LIKE w.view_location_id || '/%' AND there.parent_path NOT LIKE w.view_location_id || '/%'
   AND p.default_code > ''
 GROUP BY 1, 2"""
_QUANTS = """
SELECT p.default_code, w.code, SUM(q.quantity)
  FROM stock_quant q, product_product p, stock_location l, stock_warehouse w
 WHERE p.id = q.product_id AND l.id = q.location_id AND l.parent_path LIKE w.view_location_id || '/%'
   AND p.default_code > ''{}
 GROUP BY 1, 2"""

_KITS = """
SELECT kit.default_code, part.default_code,
       SUM(ROUND(l.product_qty / lu.factor * pu.factor / (b.product_qty / bu.factor * ku.factor), 9))
  FROM mrp_bom b, mrp_bom_line l, product_product kit, product_template kt, product_product part, product_template pt,
       uom_uom lu, uom_uom pu, uom_uom bu, uom_uom ku
 WHERE l.bom_id = b.id AND kt.id = b.product_tmpl_id AND kit.product_tmpl_id = kt.id AND part.id = l.product_id
   AND COALESCE(b.product_id, kit.id) = kit.id AND pt.id = part.product_tmpl_id AND lu.id = l.product_uom_id
   AND pu.id = pt.uom_id AND bu.id = b.product_uom_id AND ku.id = kt.uom_id AND b.type = 'phantom' AND b.active
   AND l.product_qty > 0 AND kit.default_code > '' AND part.default_code > '' AND kit.default_code <> part.default_code
 GROUP BY 1, 2"""

ODOO = System(
    "odoo",
    "postgres",
    {
        "uom_uom": (4, uom),
        "product_template": (TEMPLATES, template),
        "product_product": (PRODUCTS, product),
        "stock_warehouse": (WAREHOUSES, warehouse),
        "stock_location": (PLACES, place),
        "sale_order": (20, order),
        "sale_order_line": (LINES, line),
        "stock_picking": (20, picking),
        "mrp_bom": (BILLS, bom),
        "mrp_bom_line": (40, bom_line),
        "stock_quant": (150, quant),
        "stock_move": (250, move),
    },
    # addons/stock/models/product.py: _compute_quantities_dict over _get_domain_locations, by the tree of places
    {
        "on_hand": _QUANTS.format(""),
        "on_hold": _QUANTS.format(" AND l.scrap_location"),
        "demand": _OPEN.format(here="location_id", there="location_dest_id"),
        "inbound": _OPEN.format(here="location_dest_id", there="location_id"),
        COMPONENT: _KITS,  # addons/mrp/models/mrp_bom.py: _bom_find, explode
    },
)
