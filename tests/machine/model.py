"""What is right, from the rows alone: the promise of a sku, and an order.  Nothing of the product is in here."""

from collections import defaultdict
from typing import Any

Rows = dict[str, dict[int, dict[str, Any]]]


def promise(erp: Rows, wms: Rows, sku: str, today: int) -> int:
    """Available to promise now, over all locations; days are numbers, and `today` is one of them."""
    items = {key for key, row in erp["item"].items() if row["code"] == sku}
    products = {key for key, row in wms["product"].items() if row["code"] == sku}
    done: dict[tuple[str, int], int] = defaultdict(int)
    for table, claim in (("pick", "line"), ("receipt", "purchase")):
        for row in wms[table].values():
            if row["product"] in products:
                done[table, row[claim]] += row["quantity"]
    days: dict[int, int] = defaultdict(int)
    days[today] = sum(row["quantity"] for row in wms["bin"].values() if row["product"] in products)
    demanded: dict[int, int] = {}
    for key, row in erp["line"].items():
        if row["item"] in items and row["sale"] in erp["sale"]:
            factor = erp["unit"].get(row["unit"], {"factor": 1})["factor"] * erp["rule"][1]["times"]
            demanded[key], shipped = row["quantity"] * factor, done.get(("pick", key), row["shipped"] or 0)
            if row["due"] is None or row["due"] <= today + 90:
                days[max(today, row["due"] or 0)] -= max(0, demanded[key] - shipped)
    for row in erp["cart"].values():
        days[today] -= max(0, row["quantity"] - demanded.get(row["line"], 0)) if row["item"] in items else 0
    for key, row in erp["purchase"].items():
        if row["item"] in items and row["due"] is not None and today - 7 <= row["due"] <= today + 90:
            days[row["due"] if row["due"] >= today else today + 1] += max(0, row["quantity"] - done["receipt", key])
    running = 0
    return min([running := running + days[day] for day in sorted(days)])


def order(erp: Rows, key: int) -> tuple[str, dict[int, int]] | None:
    """(status, line → ordered) of a sale; None: there is none."""
    lines = {number: row["quantity"] for number, row in erp["line"].items() if row["sale"] == key}
    return (erp["sale"][key]["status"], lines) if key in erp["sale"] else None
