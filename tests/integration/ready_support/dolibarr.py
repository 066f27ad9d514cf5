"""Dolibarr 20: float quantities, free-text lines, drafts with a provisional number, several shipments of one line."""

from __future__ import annotations

import datetime as dt
import random

from tests.integration.ready_support.system import Row, System, some
from tests.integration.ready_support.totals import COMPONENT

PRODUCTS, HOUSES, ORDERS, LINES, BUYS = 15, 3, 25, 90, 12
DAY = dt.datetime(2026, 11, 1, 22, 0)


def _day(rng: random.Random) -> dt.datetime | None:
    return some(rng, None, DAY + dt.timedelta(days=rng.randrange(60)))  # type: ignore[no-any-return]


def _number(rng: random.Random) -> float | None:
    return some(rng, None, 0.0, 1.0, 2.5, 0.1, 12.0, 3.3333)  # type: ignore[no-any-return]


def product(rng: random.Random, n: int) -> Row:
    return {
        "rowid": n + 1,
        "ref": f"PRD-{n:02}",
        "label": f"Produit {n}",
        "tosell": some(rng, 0, 1, 1),
        "fk_product_type": some(rng, 0, 0, 0, 1),
        "stock": 99.0,
        "tms": DAY,
    }


def house(rng: random.Random, n: int) -> Row:
    return {
        "rowid": n + 1,
        "ref": f"Dépôt {n}",
        "lieu": some(rng, None, " ", "Lyon"),
        "statut": some(rng, 0, 1),
        "entity": 2 if n == 2 else 1,
    }


def stock(rng: random.Random, n: int) -> Row:
    reel = some(rng, None, 10.0, -2.0, 0.1 + 0.2, 1 / 3)
    return {"rowid": n + 1, "fk_product": n % PRODUCTS + 1, "fk_entrepot": n // PRODUCTS + 1, "reel": reel, "tms": DAY}


def part(rng: random.Random, n: int) -> Row:
    return {
        "rowid": n + 1,
        "fk_product_pere": n % 3 + 1,
        "fk_product_fils": n + 1,
        "qty": some(rng, 2.0, 0.5, 0.0, None),
        "incdec": some(rng, 0, 1),
    }


def order(rng: random.Random, n: int) -> Row:
    status = some(rng, -1, 0, 1, 1, 2, 2, 3)
    return {
        "rowid": n + 1,
        "ref": f"(PROV{n})" if status == 0 else f"CO2611-{n:04}",
        "fk_statut": status,
        "fk_soc": 4,
        "tms": DAY,
        "entity": some(rng, 1, 1, 1, 2),
        "date_creation": DAY,
        "facture": some(rng, 0, 1),
        "date_livraison": _day(rng),
    }


def line(rng: random.Random, n: int) -> Row:
    """A line of free text has no product."""
    return {
        "rowid": n + 1,
        "fk_commande": rng.randint(1, ORDERS),
        "fk_product": some(rng, None, *range(1, PRODUCTS + 1)),
        "qty": _number(rng),
        "product_type": 0,
        "special_code": some(rng, 0, 2),
    }


def shipment(rng: random.Random, n: int) -> Row:
    return {
        "rowid": n + 1,
        "ref": f"SH2611-{n:04}",
        "fk_soc": 4,
        "fk_statut": some(rng, -1, 0, 1, 2),
        "tms": DAY,
        "date_expedition": _day(rng),
        "tracking_number": some(rng, None, " ", "1Z99"),
    }


def shipped(rng: random.Random, n: int) -> Row:
    return {
        "rowid": n + 1,
        "fk_expedition": rng.randint(1, 12),
        "fk_elementdet": some(rng, None, rng.randint(1, LINES)),
        "element_type": some(rng, "order", "commande"),
        "qty": _number(rng),
        "fk_entrepot": rng.randint(1, HOUSES),
    }


def purchase(rng: random.Random, n: int) -> Row:
    return {
        "rowid": n + 1,
        "ref": f"PO2611-{n:04}",
        "fk_soc": 9,
        "fk_statut": some(rng, 0, 1, 2, 3, 4, 4, 5, 6, 9),
        "entity": some(rng, 1, 1, 2),
        "date_livraison": _day(rng),
    }


def bought(rng: random.Random, n: int) -> Row:
    """The n-th line is of a fixed order and product, so that receipts can name all three."""
    return {
        "rowid": n + 1,
        "fk_commande": n % BUYS + 1,
        "fk_product": n % PRODUCTS + 1 if n % 7 else None,
        "qty": _number(rng),
    }


def received(rng: random.Random, n: int) -> Row:
    at = rng.randrange(40)
    return {
        "rowid": n + 1,
        "fk_element": at % BUYS + 1,
        "fk_elementdet": at + 1,
        "fk_product": at % PRODUCTS + 1 if at % 7 else None,
        "qty": some(rng, None, 1.0, 0.1, 2.5),
        "fk_entrepot": 1,
        "status": some(rng, 0, 1, 2),
    }


_OPEN = """
SELECT ref, '*', SUM(GREATEST(0, quantity)) FROM (
  SELECT p.ref, ROUND(COALESCE(l.qty, 0), 4) - COALESCE(({done}), 0) AS quantity
    FROM {lines} l, {orders} c, llx_product p
   WHERE c.rowid = l.fk_commande AND p.rowid = l.fk_product AND c.fk_statut IN ({open}) AND c.entity = 1
     AND p.fk_product_type = 0
) open GROUP BY ref"""

DOLIBARR = System(
    "dolibarr",
    "mariadb",
    {
        "llx_product": (PRODUCTS, product),
        "llx_entrepot": (HOUSES, house),
        "llx_product_stock": (PRODUCTS * HOUSES, stock),
        "llx_product_association": (PRODUCTS, part),
        "llx_commande": (ORDERS, order),
        "llx_commandedet": (LINES, line),
        "llx_expedition": (12, shipment),
        "llx_expeditiondet": (80, shipped),
        "llx_commande_fournisseur": (BUYS, purchase),
        "llx_commande_fournisseurdet": (40, bought),
        "llx_receptiondet_batch": (60, received),
    },
    # htdocs/product/class/product.class.php: load_stock, load_virtual_stock (STOCK_CALCULATE_ON_SHIPMENT) and the
    # load_stats_… that it calls
    {
        "on_hand": """
SELECT p.ref, w.ref, ROUND(ps.reel, 4) FROM llx_product_stock ps, llx_entrepot w, llx_product p
 WHERE w.rowid = ps.fk_entrepot AND p.rowid = ps.fk_product AND w.entity = 1 AND p.fk_product_type = 0
   AND p.rowid NOT IN (SELECT fk_product_pere FROM llx_product_association WHERE incdec = 1)""",
        "on_hold": """
SELECT p.ref, w.ref, ROUND(ps.reel, 4) FROM llx_product_stock ps, llx_entrepot w, llx_product p
 WHERE w.rowid = ps.fk_entrepot AND p.rowid = ps.fk_product AND w.entity = 1
   AND p.fk_product_type = 0 AND NOT w.statut
   AND p.rowid NOT IN (SELECT fk_product_pere FROM llx_product_association WHERE incdec = 1)""",
        "demand": _OPEN.format(
            lines="llx_commandedet",
            orders="llx_commande",
            open="1,2",
            done="""SELECT SUM(ROUND(ed.qty, 4)) FROM llx_expeditiondet ed, llx_expedition e
                     WHERE e.rowid = ed.fk_expedition AND ed.fk_elementdet = l.rowid AND e.fk_statut IN (1,2)""",
        ),
        "inbound": _OPEN.format(
            lines="llx_commande_fournisseurdet",
            orders="llx_commande_fournisseur",
            open="3,4",
            done="""SELECT SUM(ROUND(fd.qty, 4)) FROM llx_receptiondet_batch fd
                     WHERE fd.fk_element = c.rowid AND fd.fk_elementdet = l.rowid""",
        ),
        COMPONENT: """
SELECT father.ref, son.ref, ROUND(a.qty, 4) FROM llx_product_association a, llx_product father, llx_product son
 WHERE father.rowid = a.fk_product_pere AND son.rowid = a.fk_product_fils AND a.incdec AND a.qty > 0
   AND father.ref != son.ref AND father.fk_product_type = 0 AND son.fk_product_type = 0""",
    },
)
