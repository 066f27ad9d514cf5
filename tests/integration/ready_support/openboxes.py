"""OpenBoxes 0.9: stock by lot and bin, recalled lots, changed and substituted lines, shipments received in part."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

from tests.integration.ready_support.system import Row, System, some
from tests.integration.ready_support.totals import COMPONENT

PRODUCTS, PLACES, REQUISITIONS, LINES, SHIPPED = 14, 7, 20, 80, 50
STATUSES = (
    "CREATED", "EDITING", "VERIFYING", "PICKING", "PICKED", "CHECKING", "PENDING", "REQUESTED", "APPROVED",
    "PENDING_APPROVAL", "ISSUED", "RECEIVED", "CANCELED", "DELETED", "REJECTED",
)  # fmt: skip
DAY = dt.datetime(2026, 11, 1, 9, 0)


def _id(table: str, n: int) -> str:
    """As Hibernate's `uuid` generator: 32 hexadecimal digits in a column of 38."""
    return f"{table:0<12}".encode().hex()[:20] + f"{n:012}"


def _day(rng: random.Random) -> dt.datetime:
    return DAY + dt.timedelta(days=rng.randrange(60))


def _product(rng: random.Random) -> str:
    return _id("product", rng.randrange(PRODUCTS))


def type_(rng: random.Random, n: int) -> Row:
    return {"id": _id("type", n), "name": f"type {n}", "location_type_code": ("DEPOT", "WARD", "BIN_LOCATION")[n]}


def place(rng: random.Random, n: int) -> Row:
    """Three depots, a ward, bins."""
    kind = 0 if n < 3 else 1 if n == 3 else 2
    return {
        "id": _id("location", n),
        "name": f"Place {n}",
        "location_type_id": _id("type", kind),
        "active": some(rng, 0, 1, None),
        "description": some(rng, None, "", "Boston depot"),
        "parent_location_id": _id("location", 0) if kind == 2 else None,
    }


def product(rng: random.Random, n: int) -> Row:
    code = None if n == 12 else f"10{n:03}"
    return {
        "id": _id("product", n),
        "name": f"Product {n}",
        "product_code": code,
        "unit_of_measure": some(rng, None, "", "EA"),
        "active": some(rng, 0, 1),
    }


def availability(rng: random.Random, n: int) -> Row:
    """Unique by product code, lot and bin; some hold a recalled lot."""
    at, lot = n % PRODUCTS, n // PRODUCTS
    on_hand = some(rng, 0, 5, 40, -1)
    held = some(rng, None, 0, on_hand)
    return {
        "id": _id("availability", n),
        "location_id": _id("location", lot % 3),
        "product_id": _id("product", at),
        "inventory_item_id": _id("item", n),
        "product_code": f"10{at:03}",
        "lot_number": f"LOT{lot}",
        "quantity_on_hand": on_hand,
        "quantity_on_hold": held,
        "quantity_allocated": some(rng, None, 2),
    }


def requisition(rng: random.Random, n: int) -> Row:
    return {
        "id": _id("requisition", n),
        "request_number": f"R{n:04}",
        "status": rng.choice(STATUSES),
        "date_requested": DAY,
        "origin_id": some(rng, None, *(_id("location", k) for k in range(3))),
        "destination_id": _id("location", 3),
        "requested_delivery_date": _day(rng),
        "is_template": some(rng, None, 0, 0, 1),
        "last_updated": DAY,
    }


def line(rng: random.Random, n: int) -> Row:
    """A line that was changed is cancelled in full; its replacement names it."""
    quantity = some(rng, 1, 6, 24)
    return {
        "id": _id("line", n),
        "requisition_id": _id("requisition", rng.randrange(REQUISITIONS)),
        "product_id": _product(rng),
        "requisition_item_type": some(rng, None, "ORIGINAL", "SUBSTITUTION"),
        "quantity": quantity,
        "last_updated": DAY,
        "quantity_canceled": some(rng, None, 0, quantity),
    }


def order(rng: random.Random, n: int) -> Row:
    status = some(rng, "PENDING", "APPROVED", "PLACED", "PARTIALLY_RECEIVED", "COMPLETED", "CANCELED")
    return {
        "id": _id("order", n),
        "order_type_id": some(rng, "PURCHASE_ORDER", "RETURN_ORDER", "RETURN_ORDER"),
        "order_number": f"PO{n}",
        "status": status,
        "origin_id": _id("location", n % 4),
    }


def ordered(rng: random.Random, n: int) -> Row:
    return {
        "id": _id("orderitem", n),
        "order_id": _id("order", rng.randrange(8)),
        "product_id": _product(rng),
        "quantity": some(rng, 1, 3),
        "quantity_per_uom": some(rng, None, Decimal("1.00"), Decimal("12.50")),
        "order_item_status_code": some(rng, "PENDING", "PENDING", "CANCELED", None),
        "estimated_ship_date": some(rng, None, _day(rng)),
    }


def shipment(rng: random.Random, n: int) -> Row:
    status = some(rng, None, "CREATED", "PENDING", "SHIPPED", "SHIPPED", "PARTIALLY_RECEIVED", "RECEIVED")
    return {
        "id": _id("shipment", n),
        "name": f"shipment {n}",
        "shipment_number": f"S{n:04}",
        "current_status": status,
        "destination_id": _id("location", rng.randrange(4)),
        "expected_delivery_date": some(rng, None, _day(rng)),
        "last_updated": DAY,
    }


def shipped(rng: random.Random, n: int) -> Row:
    return {
        "id": _id("shipped", n),
        "shipment_id": _id("shipment", n % 10),
        "product_id": _id("product", n % PRODUCTS),
        "quantity": some(rng, 1, 10, 20),
        "requisition_item_id": some(rng, None, _id("line", rng.randrange(LINES))),
    }


def receipt(rng: random.Random, n: int) -> Row:
    return {
        "id": _id("receipt", n),
        "shipment_id": _id("shipment", n),
        "receipt_status_code": some(rng, "PENDING", "RECEIVED", "RECEIVED"),
    }


def received(rng: random.Random, n: int) -> Row:
    at = rng.randrange(SHIPPED)
    return {
        "id": _id("received", n),
        "receipt_id": _id("receipt", at % 10),
        "shipment_item_id": some(rng, None, *[_id("shipped", at)] * 4),
        "product_id": _id("product", at % PRODUCTS),
        "quantity_received": some(rng, None, 4, 10),
        "quantity_canceled": some(rng, None, 2),
    }


def part(rng: random.Random, n: int) -> Row:
    return {
        "id": _id("part", n),
        "assembly_product_id": _id("product", n % 3),
        "component_product_id": _product(rng),
        "quantity": Decimal(some(rng, "1.00", "2.50")),
    }


_STOCK = """
SELECT p.product_code, l.name, SUM(a.{})
  FROM product_availability a, product p, location l
 WHERE p.id = a.product_id AND l.id = a.location_id AND p.product_code > '' GROUP BY p.product_code, l.name"""

OPENBOXES = System(
    "openboxes",
    "mariadb",
    {
        "location_type": (3, type_),
        "location": (PLACES, place),
        "product": (PRODUCTS, product),
        "product_availability": (PRODUCTS * 5, availability),
        "requisition": (REQUISITIONS, requisition),
        "requisition_item": (LINES, line),
        "order": (8, order),
        "order_item": (25, ordered),
        "shipment": (10, shipment),
        "shipment_item": (SHIPPED, shipped),
        "receipt": (10, receipt),
        "receipt_item": (60, received),
        "product_component": (9, part),
    },
    # ProductAvailabilityService.groovy (transformBinLocations), RequisitionStatus.listPending, RequisitionItem
    # (cancelQuantity, changeQuantity), OrderStatus.listPending, on-order-shipment-item-summary.sql
    {
        "on_hand": _STOCK.format("quantity_on_hand"),
        "on_hold": _STOCK.format("quantity_on_hold"),
        "demand": """
SELECT product_code, name, SUM(quantity) FROM (
  SELECT p.product_code, l.name, i.quantity - IFNULL(i.quantity_canceled, 0) AS quantity
    FROM requisition r, requisition_item i, product p, location l
   WHERE r.id = i.requisition_id AND p.id = i.product_id AND l.id = r.origin_id AND r.is_template IS NOT TRUE
     AND r.status NOT IN ('ISSUED', 'RECEIVED', 'CANCELED', 'DELETED', 'REJECTED')
  UNION ALL
  SELECT p.product_code, l.name, i.quantity * i.quantity_per_uom
    FROM `order` o, order_item i, product p, location l
   WHERE o.id = i.order_id AND p.id = i.product_id AND l.id = o.origin_id AND o.order_type_id = 'RETURN_ORDER'
     AND o.status NOT IN ('COMPLETED', 'CANCELED') AND i.order_item_status_code != 'CANCELED'
) open WHERE product_code > '' GROUP BY product_code, name""",
        "inbound": """
SELECT product_code, name, SUM(GREATEST(0, shipped - done)) FROM (
  SELECT p.product_code, l.name, i.quantity AS shipped, IFNULL((
           SELECT SUM(IFNULL(e.quantity_received, 0) + IFNULL(e.quantity_canceled, 0)) FROM receipt_item e, receipt c
            WHERE c.id = e.receipt_id AND e.shipment_item_id = i.id AND c.receipt_status_code = 'RECEIVED'), 0) AS done
    FROM shipment_item i, shipment s, product p, location l, location_type t
   WHERE s.id = i.shipment_id AND p.id = i.product_id AND l.id = s.destination_id AND t.id = l.location_type_id
     AND s.current_status IN ('SHIPPED', 'PARTIALLY_RECEIVED') AND t.location_type_code = 'DEPOT'
) on_the_way WHERE product_code > '' GROUP BY product_code, name""",
        COMPONENT: """
SELECT k.product_code, p.product_code, SUM(c.quantity) FROM product_component c, product k, product p
 WHERE k.id = c.assembly_product_id AND p.id = c.component_product_id AND k.product_code > '' AND p.product_code > ''
   AND k.id != p.id GROUP BY k.product_code, p.product_code""",
    },
)
