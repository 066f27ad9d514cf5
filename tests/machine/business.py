"""What the two companies do, out of small numbers: every number means something, so that Hypothesis can shrink them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.machine.chain import SKUS, Chain
from tests.machine.sources import STATUSES, Change

Code = tuple[int, int, int]
"""(what and where, key, how)."""
ARCHIVE = 31
"""The oldest receipt is archived.  Not among the random ones: what is archived keeps the sku it was posted under."""
KIT = 24
"""From here on kits are said to be made of something; their item 4 is "K", and `OF_KIT` is an order line of it."""
OF_KIT = 9
ZONE, NO_ZONE = (17, 19, 25), 21
"""A place of the WMS is called as another is, and by its own name again."""
DELETES = (*range(18, 24), 29)
DUES = (None, -9, -1, 0, 2, 100)
START: dict[str, tuple[Code, ...]] = {
    "erp": (
        (0, 1, 0),
        (0, 2, 0),
        (0, 3, 0),
        (1, 1, 1),
        (2, 1, 0),
        (2, 2, 1),
        (2, 3, 2),
        (3, 1, 5),
        (3, 2, 7),
        (4, 1, 4),
        (0, 4, 1),
    ),
    "wms": ((0, 1, 0), (0, 2, 0), (0, 3, 0), (1, 1, 40), (1, 2, 31), (1, 3, 19)),
}


def changes_of(chain: Chain, source: str, codes: Iterable[Code]) -> list[Change]:
    """A transaction's changes; deletes of rows that are not there are left out."""
    made: list[Change] = []
    rows = chain.databases[source].rows
    there = {table: set(rows[table]) for table in rows}
    for what, key, how in codes:
        for change in (_erp if source == "erp" else _wms)(chain, what, key, how, there):
            if change[0] == "delete":
                if change[2] not in there[change[1]]:
                    continue
                there[change[1]].discard(change[2])
            else:
                there[change[1]].add(change[2])
            made.append(change)
    return made


def _erp(chain: Chain, what: int, key: int, how: int, there: dict[str, set[int]]) -> list[Change]:
    table = ("item", "unit", "sale", "line", "purchase", "cart")[what % 6] if what < KIT else "kit"
    key = 1 + (key - 1) % {"item": 4, "unit": 2, "sale": 3, "line": 6, "purchase": 3, "cart": 2, "kit": 4}[table]
    if what in DELETES:
        return [("delete", table, key, {})]
    due = DUES[(how + key) % len(DUES)]
    kit, part = (4, 4, 4, 2)[how % 4], 1 + (how + key) % 3
    rows: dict[str, dict[str, Any]] = {
        "item": {"code": "D" if what and how % 4 == 0 else "K" if key == 4 else SKUS[key % 3], "name": f"n{how}"},
        "unit": {"factor": 1 + how % 4},
        "sale": {"status": STATUSES[how % 3], "note": "n"},
        "line": {
            "sale": 1 + how % 3,
            "item": 4 if what == OF_KIT else 1 + (how + key) % 3,
            "unit": (None, 1, 2)[(how // 2) % 3],
            "quantity": 1 + how,
            "shipped": (None, None, how // 2)[(key + how) % 3],
            "due": None if due is None else chain.today + due,
        },
        "purchase": {
            "item": 1 + how % 3,
            "quantity": 3 + how,
            "due": None if due is None else chain.today + due,
        },
        "cart": {
            "item": 4 if what == 11 else 1 + how % 3,
            "line": 1 + (how + key) % 6,
            "quantity": 1 + how,
            "until": None if due is None else chain.today + due,
        },
        "kit": {"item": kit, "part": part if part != kit else 4, "quantity": 1 + how % 3},
    }
    row = rows[table]
    if table == "line" and what >= 12 and key in there["line"]:
        return [("delete", "line", key, {}), ("put", "line", key + 10 + how % 3, row)]
    return [("put", table, key, row)]


def _wms(chain: Chain, what: int, key: int, how: int, there: dict[str, set[int]]) -> list[Change]:
    table = ("product", "bin", "pick", "receipt")[what % 4]
    key = 1 + (key - 1) % {"product": 3, "bin": 5, "pick": 6, "receipt": 3}[table]
    if what == ARCHIVE:
        return [("delete", "receipt", min(there["receipt"], default=0), {})]
    if what in (*ZONE, NO_ZONE):
        zone = 1 + key % 2
        code = str(3 - zone if how % 3 else 3)
        return [("delete", "zone", zone, {}) if what == NO_ZONE else ("put", "zone", zone, {"code": code})]
    if what % 16 >= 12:
        return [("delete", "pick" if table == "receipt" else table, key, {})]
    if table == "receipt":
        chain.receipts += 1
        return [("put", "receipt", chain.receipts, {"product": 1 + how % 3, "purchase": key, "quantity": 1 + how})]
    rows: dict[str, dict[str, Any]] = {
        "product": {"code": "D" if what and how % 4 == 0 else SKUS[key % 3]},
        "bin": {"product": 1 + (key + how) % 3, "place": str(1 + how % 2), "quantity": how * 2},
        "pick": {"product": 1 + (key + how) % 3, "line": key, "quantity": 1 + how},
    }
    row = rows[table]
    if table == "bin" and what % 16 >= 8 and key in there["bin"]:
        return [("delete", "bin", key, {}), ("put", "bin", key + 10 + how % 3, row)]
    return [("put", table, key, row)]
