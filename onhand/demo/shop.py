"""Two shops that see the same customers.

`Shop` is fed by onhand's webhook channel and writes its orders into the ERP.  `ShadowShop` sells from what a batch
export told it last, as most distributors' shops do; it writes nothing.  Both keep their own sales off what they were
told: the shadow shop until the next export, the shop until the order came back from the ERP as an order status and the
item was told anew, because a promise that was on its way meanwhile does not know of the sale yet.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from onhand.clock import clock_us
from onhand.demo.databases import WAREHOUSES, Business, Endpoint, Line, Order, connect_erp, cyyddd
from onhand.demo.truth import erp_item

NETWORK = "*"
TOLERANCE_S = 300


class ShelfTag:
    """What a shop believes of one item."""

    __slots__ = ("available", "committed_us", "locations", "version")

    def __init__(
        self, available: Decimal, locations: dict[str, Decimal], version: int, committed_us: int | None
    ) -> None:
        self.available, self.locations, self.version, self.committed_us = available, locations, version, committed_us


@dataclass(eq=False, slots=True)
class Sale:
    """Pieces the shop sold and what it was told may not know of yet."""

    where: str
    quantity: int
    came_back: bool = False
    """Its order was told as an order status."""
    told_since: bool = False
    """Its item was told anew."""


class Shop:
    """A small shop on HTTP: POST /hooks/onhand (Standard Webhooks), POST /orders, GET /stock/<sku>."""

    def __init__(self, secret: str, place: Callable[[str, str, int], int], port: int = 0) -> None:
        """`place(sku, location, quantity)` writes a sold order into the ERP and gives its number."""
        self._place = place
        self._secret = base64.b64decode(secret.removeprefix("whsec_"))
        self._lock = threading.Lock()
        self.tags: dict[str, ShelfTag] = {}
        self.order_statuses: dict[str, dict[str, Any]] = {}
        self.webhooks = 0
        self.versions_back = 0
        """How often a webhook told an older version than the shop already had; must stay 0."""
        self.last_age_us: int | None = None
        """Microseconds from the source commit that the last webhook told of to its arrival."""
        self.on_tag: Callable[[str, ShelfTag], None] | None = None
        """Called with what was just told, for measurements."""
        self._sales: dict[str, list[Sale]] = defaultdict(list)
        """Sku → sales to keep off."""
        self._orders: dict[str, tuple[str, Sale]] = {}
        """Number of an order that has not come back yet → its sku and sale."""
        self._seen_ids: dict[str, None] = {}
        self.repeated = 0
        """Webhooks that came again under the same id and changed nothing."""
        handler = type("Handler", (_Handler,), {"shop": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="shop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def held(self) -> dict[str, Decimal]:
        """What the shop was told last, by sku."""
        with self._lock:
            return {sku: tag.available for sku, tag in self.tags.items()}

    def age_text(self) -> str:
        """How old the last news was when it came, for people."""
        return "none yet" if self.last_age_us is None else f"{self.last_age_us / 1e6:.3f} s"

    def genuine(self, headers: Any, body: bytes) -> bool:
        """Standard Webhooks 1.0: any of the space-separated v1 signatures over id.timestamp.body."""
        identity, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE_S:
            return False
        digest = hmac.new(self._secret, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return any(hmac.compare_digest(wanted, got) for got in headers.get("webhook-signature", "").split())

    def told(self, identity: str, message: dict[str, Any]) -> None:
        """Take one webhook in; the same id again is no news."""
        with self._lock:
            self.webhooks += 1
            if identity in self._seen_ids:
                self.repeated += 1
                return
            self._seen_ids[identity] = None
            if message["type"] == "inventory.atp":
                for item in message["data"]["items"]:
                    self._tag(item)
            elif message["type"] == "order.status":
                for order in message["data"]["items"]:
                    self.order_statuses[order["order_id"]] = order
                    self._came_back(order["number"])

    def _tag(self, item: dict[str, Any]) -> None:
        version = int(item["version"])
        known = self.tags.get(item["sku"])
        if known is not None and version < known.version:
            self.versions_back += 1
            return
        if item.get("committed_us"):
            self.last_age_us = clock_us() - item["committed_us"]
        quantities = {location: Decimal(text) for location, text in item["quantities"].items()}
        network = quantities.pop(NETWORK)
        tag = self.tags[item["sku"]] = ShelfTag(network, quantities, version, item.get("committed_us"))
        for sale in self._sales[item["sku"]]:
            sale.told_since = True
        self._settle(item["sku"])
        if self.on_tag is not None:
            self.on_tag(item["sku"], tag)

    def order(self, sku: str, quantity: int) -> int | None:
        """Sell if what was told allows it: the number of the order in the ERP, or None."""
        sale = self._take(sku, quantity)
        if sale is None:
            return None
        number = str(order := self._place(sku, sale.where, quantity))
        with self._lock:
            self._orders[number] = sku, sale
            if any(status["number"] == number for status in self.order_statuses.values()):
                self._came_back(number)
        return order

    def left(self, sku: str) -> Decimal | None:
        """What it would still sell of an item: what it was told, less its own sales; None: it was told nothing."""
        tag = self.tags.get(sku)
        return None if tag is None else tag.available - sum(sale.quantity for sale in self._sales[sku])

    def _take(self, sku: str, quantity: int) -> Sale | None:
        with self._lock:
            left, tag = self.left(sku), self.tags.get(sku)
            if tag is None or left is None or left < quantity or not tag.locations:
                return None
            there = dict(tag.locations)
            for sale in self._sales[sku]:
                there[sale.where] = there.get(sale.where, Decimal(0)) - sale.quantity
            sale = Sale(max(there, key=lambda at: there[at]), quantity)
            self._sales[sku].append(sale)
            return sale

    def _came_back(self, number: str | None) -> None:
        if number in self._orders:
            sku, sale = self._orders.pop(number)
            sale.came_back = True
            self._settle(sku)

    def _settle(self, sku: str) -> None:
        """Leave to what was told the sales that it knows by now."""
        self._sales[sku] = [sale for sale in self._sales[sku] if not (sale.came_back and sale.told_since)]


class ShadowShop:
    """Sells from the last batch export."""

    def __init__(self) -> None:
        self.available: dict[str, Decimal] = {}
        self.exports = 0

    def export(self, available: dict[str, Decimal]) -> None:
        self.available = dict(available)
        self.exports += 1

    def offer(self, sku: str, quantity: int) -> bool:
        if self.available.get(sku, Decimal(0)) < quantity:
            return False
        self.available[sku] -= quantity
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Head and body of an answer leave together: apart, the second waits 40 ms for the client's delayed acknowledgement
    of the first (Nagle)."""
    shop: Shop

    def log_message(self, format: str, *args: Any) -> None:
        """The demo's screen is the log."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/orders":
            wanted = json.loads(body)
            number = self.shop.order(wanted["sku"], wanted["quantity"])
            self._answer(201 if number else 409, {"order": number} if number else {"error": "not available"})
        elif self.path != "/hooks/onhand":
            self._answer(404, {"error": f"no {self.path} here"})
        elif not self.shop.genuine(self.headers, body):
            self._answer(401, {"error": "the signature is not onhand's"})
        else:
            self.shop.told(self.headers["webhook-id"], json.loads(body))
            self._answer(200, {})

    def do_GET(self) -> None:
        sku = self.path.removeprefix("/stock/")
        tag, left = self.shop.tags.get(sku), self.shop.left(sku)
        if tag is None:
            self._answer(404, {"error": f"no item {sku}"})
        else:
            self._answer(200, {"sku": sku, "available": str(left), "version": tag.version})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class OrderDesk:
    """Writes what the shop sells into the ERP, as an order of the web channel, in one transaction."""

    def __init__(self, erp: Endpoint, business: Business, today: dt.date) -> None:
        self._erp, self._business, self._today = erp, business, today

    def place(self, sku: str, where: str, quantity: int) -> int:
        number = next(self._business.order_numbers)
        with connect_erp(self._erp) as erp, erp.transaction(), erp.cursor() as cursor:
            cursor.execute(
                "INSERT INTO erp.ordhdr VALUES (%s, 'C00007', 'WB', %s, 0, 20, 0)", (number, cyyddd(self._today))
            )
            cursor.execute(
                "INSERT INTO erp.ordlin VALUES (%s, 1, %s, %s, %s, 0, 0, 20, 0)",
                (number, erp_item(sku), where, quantity * 100),
            )
        warehouse = next(n for n, code in WAREHOUSES.items() if code == where)
        self._business.entered.append(Order(number, [Line(1, sku, warehouse, quantity)]))
        return number
