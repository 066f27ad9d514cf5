"""Does business in Tryton through its own models, one JSON line a request: `{"do": "sell", "with": {…}}`.

Runs in Tryton's environment, not in onhand's: `driver.py make|serve trytond.conf DATABASE`.  Every button pressed is a
transaction of its own, as in Tryton's client.  Answers `{"is": …}`, or `{"error": traceback}`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from proteus import Model, config

MODULES = ("stock", "sale", "purchase", "stock_supply", "product_kit")


def make_database(settings: str, name: str) -> None:
    """Tryton's tables and its own data."""
    from trytond import config as trytond_config

    trytond_config.update_etc([settings])  # before anything asks which database it is
    from trytond import admin, commandline

    with tempfile.NamedTemporaryFile("w") as password:
        password.write("nobody logs in with it")
        password.flush()
        os.environ["TRYTONPASSFILE"] = password.name
        options = commandline.get_parser_admin().parse_args(
            ["-c", settings, "-d", name, "-u", *MODULES, "--activate-dependencies", "--email", "admin@example.com"]
        )
        admin.run(options)


class Business:
    """A company with a warehouse WH, and as many more as are wanted."""

    def __init__(self, settings: str, name: str) -> None:
        self.config = config.set_trytond(name, config_file=settings)
        self.products: dict[str, Any] = {}

    # ------------------------------------------------------------ what there is

    def open(self) -> None:
        """The company, its parties and its second warehouse."""
        from trytond.modules.company.tests.tools import create_company

        create_company(config=self.config)
        self.customer, self.supplier = self._party("Customer"), self._party("Supplier")
        self.warehouses = {"WH": self._location("WH")}
        self.warehouse("W2")

    def warehouse(self, code: str) -> None:
        """Another one, with zones of its own as Tryton copies them."""
        (copy,) = self.warehouses["WH"].duplicate(default={"code": code, "name": f"Warehouse {code}"})
        self.warehouses[code] = copy

    def bin(self, warehouse: str, code: str) -> None:
        """A bin in the storage zone of a warehouse, two levels down."""
        parent = self.warehouses[warehouse].storage_location
        for name in (f"{code}-aisle", code):
            place = Model.get("stock.location")(name=name, code=name, type="storage", parent=parent)
            place.save()
            parent = place

    def unit(self, name: str, of: str, factor: int) -> None:
        """A unit that is so many of another one."""
        base = self._unit(of)
        unit = Model.get("product.uom")(name=name, symbol=name[:3], category=base.category, factor=float(factor))
        unit.digits, unit.rounding = 2, 0.01
        unit.save()

    def product(
        self, code: str, unit: str = "Unit", kit: dict[str, float] | None = None, of_template: bool = False
    ) -> None:
        """Goods, or a kit of goods; its components stand at the variant, or `of_template` at the template."""
        template = Model.get("product.template")(name=f"Product {code}", type="kit" if kit else "goods")
        template.default_uom = self._unit(unit)
        template.code, template.salable, template.list_price = code, True, Decimal(20)
        template.purchasable = not kit
        template.save()
        (product,) = template.products
        owner = template if of_template else product
        for component, quantity in (kit or {}).items():
            owner.components.new(product=self.products[component], quantity=quantity)
        owner.save()
        self.products[code] = Model.get("product.product")(product.id)

    # ------------------------------------------------------------ buying

    def buy(self, lines: dict[str, float], in_days: int, warehouse: str = "WH", unit: str = "") -> int:
        """A purchase that is confirmed; its number here."""
        purchase = Model.get("purchase.purchase")(party=self.supplier, invoice_method="manual")
        purchase.warehouse = self.warehouses[warehouse]
        purchase.delivery_date = self._day(in_days)
        self._fill(purchase, lines, unit)
        for line in purchase.lines:
            line.unit_price = Decimal(5)
        return self._confirmed(purchase)

    def receive(self, purchase: int, store: bool = True) -> None:
        """Everything of a purchase that has not come yet arrives, and is stored or left in the input zone."""
        order = Model.get("purchase.purchase")(purchase)
        shipment = Model.get("stock.shipment.in")(supplier=self.supplier, warehouse=order.warehouse)
        for move in order.moves:
            if move.state == "draft":
                shipment.incoming_moves.append(Model.get("stock.move")(move.id))
        shipment.save()
        shipment.click("receive")
        if store:
            shipment.click("do")

    # ------------------------------------------------------------ selling

    def sell(
        self,
        lines: dict[str, float],
        in_days: int,
        warehouse: str = "WH",
        unit: str = "",
        shipment_method: str = "order",
    ) -> int:
        """A sale that is confirmed; negative quantities are a return.  Its number here."""
        sale = Model.get("sale.sale")(party=self.customer, invoice_method="manual")
        sale.shipment_method = shipment_method
        sale.warehouse = self.warehouses[warehouse]
        sale.shipping_date = self._day(in_days)
        self._fill(sale, lines, unit)
        return self._confirmed(sale)

    def ship(self, sale: int, buttons: Iterable[str]) -> list[str]:
        """Presses these buttons on the open shipment of a sale; the states of the sale's shipments then."""
        shipments = Model.get("sale.sale")(sale).shipments
        for shipment in shipments:
            if shipment.state not in ("done", "cancelled"):
                for button in buttons:
                    shipment.click(button)
        return [shipment.state for shipment in Model.get("sale.sale")(sale).shipments]

    def take_back(self, sale: int) -> None:
        """What the return's shipment brings arrives and is stored."""
        for shipment in Model.get("sale.sale")(sale).shipment_returns:
            shipment.click("receive")
            shipment.click("do")

    def ship_by_hand(self, sale: int) -> None:
        """Makes the moves of a sale that is shipped by hand."""
        Model.get("sale.sale")(sale).click("manual_shipment")

    # ------------------------------------------------------------ in the house

    def move(self, lines: dict[str, float], start: str, end: str, buttons: Iterable[str], in_days: int = 0) -> None:
        """Goods from one place to another, by an internal shipment on which these buttons are pressed."""
        shipment = Model.get("stock.shipment.internal")(planned_date=self._day(in_days))
        shipment.from_location, shipment.to_location = self._place(start), self._place(end)
        for code, quantity in lines.items():
            move = shipment.moves.new(product=self.products[code], quantity=quantity)
            move.from_location, move.to_location = shipment.from_location, shipment.to_location
        shipment.save()
        for button in buttons:
            shipment.click(button)

    def count(self, found: dict[str, float], place: str) -> None:
        """A count of one place; what is there and not named is kept."""
        inventory = Model.get("stock.inventory")(location=self._place(place), empty_quantity="keep")
        for code, quantity in found.items():
            inventory.lines.new(product=self.products[code], quantity=quantity)
        inventory.click("confirm")

    def plan(self, code: str, quantity: float, start: str, end: str, in_days: int) -> int:
        """A single move that nobody has done yet; in the past it is overdue."""
        move = Model.get("stock.move")(product=self.products[code], quantity=quantity)
        move.from_location, move.to_location = self._place(start), self._place(end)
        move.planned_date, move.unit_price, move.currency = self._day(in_days), Decimal(1), self._currency()
        move.save()
        return int(move.id)

    def press(self, move: int, button: str) -> None:
        """`do` or `cancel` of a single move, whatever Tryton warns of."""
        from trytond.exceptions import UserWarning as Asked

        try:
            Model.get("stock.move")(move).click(button)
        except Asked as asked:
            Model.get("res.user.warning")(user=self.config.user, name=asked.name).save()
            Model.get("stock.move")(move).click(button)

    # ------------------------------------------------------------ what Tryton says

    def say(self) -> list[dict[str, Any]]:
        """Tryton's own `quantity` and `forecast_quantity` of every product in every warehouse; of a kit what makes it.

        With it the net of draft moves whose day has passed: the forecast leaves them out.
        """
        found = []
        today = self._day(0)
        for warehouse, location in self.warehouses.items():
            context = {**self.config.context, "locations": [location.id]}
            ids = [product.id for product in self.products.values()]
            fields = ["code", "type", "quantity", "forecast_quantity"]
            overdue = self._overdue(location.id, today)
            found += [
                {
                    "code": row["code"],
                    "kit": row["type"] == "kit",
                    "warehouse": warehouse,
                    "quantity": row["quantity"],
                    "forecast": row["forecast_quantity"],
                    "overdue": overdue.get(row["id"], 0.0),
                }
                for row in Model.get("product.product")._proxy.read(ids, fields, context)
            ]
        return found

    def _overdue(self, warehouse: int, today: dt.date) -> dict[int, float]:
        late: dict[int, float] = {}
        for sign, end in ((1, "to_location"), (-1, "from_location")):
            wanted = [("state", "=", "draft"), ("planned_date", "<", today), (end, "child_of", [warehouse], "parent")]
            for move in Model.get("stock.move").find(wanted):
                late[move.product.id] = late.get(move.product.id, 0.0) + sign * move.internal_quantity
        return late

    # ------------------------------------------------------------

    def _party(self, name: str) -> Any:
        party = Model.get("party.party")(name=name)
        party.save()
        return party

    def _location(self, code: str) -> Any:
        (found,) = Model.get("stock.location").find([("code", "=", code)])
        return found

    def _place(self, name: str) -> Any:
        """`WH` (its storage zone), `WH/input_location`, or the code of a bin or party location."""
        warehouse, _, zone = name.partition("/")
        if warehouse in self.warehouses:
            return getattr(self.warehouses[warehouse], zone or "storage_location")
        return self._location(name)

    def _unit(self, name: str) -> Any:
        (found,) = Model.get("product.uom").find([("name", "=", name)])
        return found

    def _currency(self) -> Any:
        return Model.get("company.company").find()[0].currency

    def _day(self, in_days: int) -> dt.date:
        today: dt.date = Model.get("ir.date")._proxy.today(self.config.context)
        return today + dt.timedelta(days=in_days)

    def _fill(self, order: Any, lines: dict[str, float], unit: str) -> None:
        for code, quantity in lines.items():
            line = order.lines.new()
            line.product, line.quantity = self.products[code], quantity
            if unit:
                line.unit = self._unit(unit)

    def _confirmed(self, order: Any) -> int:
        order.save()
        order.click("quote")
        order.click("confirm")
        return int(order.id)


def serve(business: Business) -> None:
    """Until the input ends."""
    for text in sys.stdin:
        request = json.loads(text)
        try:
            action: Callable[..., Any] = getattr(business, request["do"])
            answer = {"is": action(**request.get("with", {}))}
        except Exception:  # noqa: BLE001 - whoever asked is told
            answer = {"error": traceback.format_exc()}
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    action, settings_file, database = sys.argv[1:]
    if action == "make":
        make_database(settings_file, database)
    else:
        sys.stdout = sys.stderr
        serve(Business(settings_file, database))
