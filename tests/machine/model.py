"""What is right, from the rows alone: the promise of a sku, and an order.  Nothing of the product is in here."""

from collections import defaultdict
from itertools import accumulate
from typing import Any, NamedTuple

Rows = dict[str, dict[int, dict[str, Any]]]


class Owners(NamedTuple):
    """Whose word counts; the rest is as in the rows."""

    closed: str = ""
    """Stock at this place is nobody's."""
    shipped: str = "wms"
    """Who says first what of an order line has left."""
    carts: bool = True
    """Reservations are somebody's."""


def promise(erp: Rows, wms: Rows, sku: str, today: int, owners: Owners = Owners()) -> int:  # noqa: B008 - a constant
    """Available to promise now, over all locations; days are numbers, and `today` is one of them."""
    bills, codes = _bills(erp), {row["code"] for row in erp["item"].values()}
    changes = {name: _alone(erp, wms, name, today, owners) for name in {sku, *bills, *codes}}
    days = sorted({day for of in changes.values() for day in of})
    alone = {name: list(accumulate(of[day] for day in days)) for name, of in changes.items()}
    whole = {kit: bill for kit, bill in bills.items() if not bills.keys() & bill.keys()}  # of no kits
    made = {kit: list(accumulate((max(0, -have) for have in alone[kit]), max)) for kit in whole}

    def left(part: str, kit: str) -> list[int]:
        """By day, what other kits leave of a part."""
        takes = {other: bill[part] for other, bill in whole.items() if other != kit and part in bill}
        return [have - sum(n * made[other][day] for other, n in takes.items()) for day, have in enumerate(alone[part])]

    limits = [(left(part, sku), n) for part, n in whole.get(sku, {}).items()]
    more = [min((max(0, min(of[day:])) // n for of, n in limits), default=0) for day in range(len(days))]
    return min(have + kits for have, kits in zip(left(sku, sku), more, strict=True))


def nested(erp: Rows) -> set[str]:
    """Kits of kits."""
    bills = _bills(erp)
    return {kit for kit, bill in bills.items() if bills.keys() & bill.keys()}


def overdue(erp: Rows, wms: Rows, today: int) -> set[str]:
    """What is expected for too long."""
    late = {key: row for key, row in erp["purchase"].items() if row["due"] is not None and row["due"] < today - 7}
    found = {
        (erp["item"][row["item"]]["code"], key): row["quantity"]
        for key, row in late.items()
        if row["item"] in erp["item"]
    }
    for row in wms["receipt"].values():
        claim = wms["product"].get(row["product"], {"code": ""})["code"], row["purchase"]
        if claim in found:
            found[claim] -= row["quantity"]
    return {sku for (sku, _), quantity in found.items() if quantity > 0}


def _bills(erp: Rows) -> dict[str, dict[str, int]]:
    """Kit → component → how many of it."""
    codes, bills = {key: row["code"] for key, row in erp["item"].items()}, defaultdict[str, dict[str, int]](dict)
    for row in erp["kit"].values():
        if row["item"] in codes and row["part"] in codes:
            bill, part = bills[codes[row["item"]]], codes[row["part"]]
            bill[part] = bill.get(part, 0) + row["quantity"]
    return bills


def _alone(erp: Rows, wms: Rows, sku: str, today: int, owners: Owners) -> dict[int, int]:
    """Day → change of what there is of a sku itself."""
    items = {key for key, row in erp["item"].items() if row["code"] == sku}
    products = {key for key, row in wms["product"].items() if row["code"] == sku}
    done: dict[tuple[str, int], int] = defaultdict(int)
    for table, claim in (("pick", "line"), ("receipt", "purchase")):
        for row in wms[table].values():
            if row["product"] in products:
                done[table, row[claim]] += row["quantity"]
    days = defaultdict[int, int](int, {today: sum(stock(wms, sku, owners).values())})
    demanded, carts = defaultdict[int, int](int), defaultdict[int, int](int)
    for key, row in erp["line"].items():
        if row["item"] in items and row["sale"] in erp["sale"]:
            factor = erp["unit"].get(row["unit"], {"factor": 1})["factor"] * erp["rule"][1]["times"]
            said = (done.get(("pick", key)), row["shipped"])
            shipped = next((n for n in (said if owners.shipped == "wms" else said[::-1]) if n is not None), 0)
            demanded[key] = row["quantity"] * factor
            if row["due"] is None or row["due"] <= today + 90:
                days[max(today, row["due"] or 0)] -= max(0, demanded[key] - shipped)
    for row in erp["cart"].values():
        if owners.carts and row["item"] in items and (row["until"] is None or row["until"] >= today):
            carts[row["line"]] += row["quantity"]
    days[today] -= sum(max(0, quantity - demanded[line]) for line, quantity in carts.items())
    for key, row in erp["purchase"].items():
        if row["item"] in items and row["due"] is not None and today - 7 <= row["due"] <= today + 90:
            days[row["due"] if row["due"] >= today else today + 1] += max(0, row["quantity"] - done["receipt", key])
    return days


def stock(wms: Rows, sku: str, owners: Owners) -> dict[str, int]:
    """Place → on hand, where there is any."""
    names, found = {str(key): row["code"] for key, row in wms["zone"].items()}, defaultdict[str, int](int)
    for row in wms["bin"].values():
        product = wms["product"].get(row["product"])
        if product is not None and product["code"] == sku:
            found[str(names.get(row["place"], row["place"]))] += row["quantity"]
    return {place: quantity for place, quantity in found.items() if quantity and place != owners.closed}


def order(erp: Rows, key: int) -> tuple[str, dict[int, int]] | None:
    """(status, line → ordered) of a sale; None: there is none."""
    lines = {number: row["quantity"] for number, row in erp["line"].items() if row["sale"] == key}
    return (erp["sale"][key]["status"], lines) if key in erp["sale"] else None
