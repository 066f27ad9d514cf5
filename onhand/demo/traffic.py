"""Seeded business traffic: real multi-table transactions at a set rate, open loop.

Each kind of transaction is one method, named after what happens in the business.  The schedule is made of due times
that do not wait for the databases; a transaction that is late is counted, never dropped.  What follows from a
transaction later (the ERP posts a shipment long after the goods have left) is scheduled when it happens.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from onhand.demo import databases as db
from onhand.demo.databases import WAREHOUSES, Business, Endpoint, Line, Order, Purchase, cyyddd
from onhand.demo.schedule import Schedule
from onhand.demo.truth import erp_item

TAKE = "UPDATE bin_stock SET qty = qty - %s WHERE bin_id = %s AND item_id = %s AND lot_id = %s AND qty >= %s"


@dataclass(frozen=True)
class Pace:
    """How much, and how late the ERP is."""

    transactions_per_s: float = 40.0
    erp_posts_after_s: float = 12.0
    """Goods leave; the ERP hears of it so much later (quarter of an hour, scaled down)."""
    reload_balances_every_s: float = 45.0
    """TRUNCATE and reload of the ERP's balance table by its nightly job."""


class Traffic:
    """Runs until `stop`; `schedule` tells what happened."""

    MIX = {
        "telephone_order": 16,
        "release": 18,
        "receive": 8,
        "purchase": 3,
        "count": 10,
        "transfer": 4,
        "hold_lot": 4,
        "customer_return": 2,
        "move_line_to_other_item": 3,
        "renumber_line": 2,
        "cancel_line": 3,
        "roll_back": 3,
        "touch_note": 2,
    }

    def __init__(
        self, erp: Endpoint, wms: Endpoint, business: Business, rng: random.Random, pace: Pace, today: dt.date
    ) -> None:
        self.business, self.rng, self.pace, self.today = business, rng, pace, today
        self.schedule = Schedule({"erp": lambda: db.connect_erp(erp), "wms": lambda: db.connect_wms(wms)})
        self._on_erp, self._on_wms = self.schedule.on_erp, self.schedule.on_wms
        self._picked: dict[int, dict[int, int]] = defaultdict(dict)
        self._planner = threading.Thread(target=self._plan, name="traffic-plan")

    def start(self) -> None:
        self.schedule.start()
        self._planner.start()

    def stop(self) -> None:
        """Stop planning, finish what is running, leave what is not yet due undone."""
        self.schedule.stop()
        self._planner.join()

    def _plan(self) -> None:
        started = due = time.monotonic()
        next_reload = started + self.pace.reload_balances_every_s
        kinds, weights = list(self.MIX), list(self.MIX.values())
        while not self.schedule.stopping.is_set():
            kind = self.rng.choices(kinds, weights)[0]
            getattr(self, kind)(due)
            if due >= next_reload:
                self.reload_balances(due)
                next_reload += self.pace.reload_balances_every_s
            due += self.rng.expovariate(self.pace.transactions_per_s)
            self.schedule.stopping.wait(max(0.0, due - time.monotonic()))

    def _sku(self, hot: float = 0.4) -> str:
        """Any item; with probability `hot` one of the few that everybody wants."""
        return self.rng.choice(self.business.hot if self.rng.random() < hot else self.business.skus)

    # ------------------------------------------------------------ orders, from entry to archive

    def telephone_order(self, due: float) -> None:
        number = next(self.business.order_numbers)
        lines = [
            Line(n, self._sku(hot=0.2), self.rng.randint(1, 2), self.rng.randint(1, 3))
            for n in range(1, self.rng.randint(2, 4))
        ]
        wanted = self.today + dt.timedelta(self.rng.randint(0, 20))
        requested = cyyddd(wanted) if self.rng.random() < 0.5 else 0
        self._on_erp(
            due,
            "telephone_order",
            (
                "INSERT INTO erp.ordhdr VALUES (%s, %s, 'PH', %s, %s, 20, 0)",
                (number, f"C{number % 300:05}", cyyddd(self.today), requested),
            ),
            *(
                (
                    "INSERT INTO erp.ordlin VALUES (%s, %s, %s, %s, %s, 0, 0, 20, %s)",
                    (number, line.number, line.sku, WAREHOUSES[line.warehouse], line.quantity * 100, requested),
                )
                for line in lines
            ),
        )
        self.business.entered.append(Order(number, lines))

    def release(self, due: float) -> None:
        """The oldest entered order goes to the warehouse, which picks and ships it; the ERP hears of it late."""
        if not self.business.entered:
            self.telephone_order(due)
            return
        order = self.business.entered.pop(0)
        self._on_erp(
            due,
            "release",
            ("UPDATE erp.ordhdr SET ohstat = 40 WHERE ohordn = %s", (order.number,)),
            ("UPDATE erp.ordlin SET olstat = 40 WHERE olordn = %s AND olstat < 99", (order.number,)),
        )

        def work(cursor: Any) -> None:
            cursor.execute("INSERT INTO outbound (order_no, status) VALUES (%s, 10)", (order.number,))
            for line in order.lines:
                cursor.execute(
                    "INSERT INTO pick_task (order_no, line_no, item_id, wh_id, qty_req, status) "
                    "VALUES (%s, %s, %s, %s, %s, 10)",
                    (order.number, line.number, self.business.item_ids[line.sku], line.warehouse, line.quantity),
                )

        self._on_wms(due + 0.3, "task", work)
        self.pick(due + self.rng.uniform(1, 4), order)

    def pick(self, due: float, order: Order) -> None:
        """Goods move from the pick bin to staging; what is not there is picked short."""

        def work(cursor: Any) -> None:
            for line in order.lines:
                item_id = self.business.item_ids[line.sku]
                lot, stage = db.lot_of(item_id, line.warehouse), db.stage_bin(line.warehouse)
                taken = cursor.execute(
                    TAKE, (line.quantity, db.pick_bin(item_id, line.warehouse), item_id, lot, line.quantity)
                )
                if not taken:
                    continue
                cursor.execute(
                    "INSERT INTO bin_stock (bin_id, item_id, lot_id, qty) VALUES (%s, %s, %s, %s) "
                    "ON DUPLICATE KEY UPDATE qty = qty + VALUES(qty)",
                    (stage, item_id, lot, line.quantity),
                )
                cursor.execute(
                    "UPDATE pick_task SET qty_picked = qty_req, status = 20 WHERE order_no = %s AND line_no = %s",
                    (order.number, line.number),
                )
                self._picked[order.number][line.number] = line.quantity
            cursor.execute("UPDATE outbound SET status = 20 WHERE order_no = %s", (order.number,))

        self._on_wms(due, "pick", work)
        self.ship(due + self.rng.uniform(0.5, 3), order)

    def ship(self, due: float, order: Order) -> None:
        """Stock falls, the shipment and its lines appear, tasks and order close: one transaction."""

        def work(cursor: Any) -> None:
            picked = self._picked.pop(order.number, {})
            shipped = [line for line in order.lines if line.number in picked]
            if not shipped:
                return
            cursor.execute(
                "INSERT INTO shipment (order_no, carrier, tracking, status, shipped_at) "
                "VALUES (%s, %s, %s, 3, UTC_TIMESTAMP(6))",
                (order.number, self.rng.choice(("DHL", "GLS", "POST")), f"T{order.number}"),
            )
            shipment = cursor.lastrowid
            for line in shipped:
                item_id = self.business.item_ids[line.sku]
                cursor.execute(
                    "UPDATE bin_stock SET qty = qty - %s WHERE bin_id = %s AND item_id = %s AND lot_id = %s",
                    (line.quantity, db.stage_bin(line.warehouse), item_id, db.lot_of(item_id, line.warehouse)),
                )
                cursor.execute(
                    "INSERT INTO shipment_line VALUES (%s, %s, %s, %s, %s)",
                    (shipment, line.number, item_id, line.warehouse, line.quantity),
                )
                cursor.execute(
                    "UPDATE pick_task SET qty_packed = qty_req, qty_shipped = qty_req, status = 40 "
                    "WHERE order_no = %s AND line_no = %s",
                    (order.number, line.number),
                )
            cursor.execute("UPDATE outbound SET status = 40, dlv_status = 1 WHERE order_no = %s", (order.number,))
            now = time.monotonic()
            self.post_shipment(now + self.pace.erp_posts_after_s, order, shipped)
            self.deliver(now + 2 * self.pace.erp_posts_after_s, order, shipment)

        self._on_wms(due, "ship", work)

    def post_shipment(self, due: float, order: Order, shipped: list[Line]) -> None:
        """The ERP learns what has left, long after it left."""
        steps: list[tuple[str, tuple[Any, ...]]] = []
        for line in shipped:
            steps.append(
                (
                    "UPDATE erp.ordlin SET olqshp = olqord - olqcan, olstat = 60 WHERE olordn = %s AND ollinn = %s",
                    (order.number, line.number),
                )
            )
            steps.append(
                (
                    "UPDATE erp.itmbal SET ibqoh = ibqoh - %s WHERE ibitem = %s AND ibwhse = %s",
                    (line.quantity * 100, erp_item(line.sku), WAREHOUSES[line.warehouse]),
                )
            )
        if len(shipped) == len(order.lines):
            steps.append(("UPDATE erp.ordhdr SET ohstat = 60 WHERE ohordn = %s", (order.number,)))
            self.invoice(due + self.rng.uniform(2, 6), order)
        self._on_erp(due, "post_shipment", *steps)

    def invoice(self, due: float, order: Order) -> None:
        self._on_erp(
            due,
            "invoice",
            (
                "INSERT INTO erp.invhdr VALUES (%s, %s, %s, 1, %s)",
                (order.number, order.number, self.rng.randint(10, 900), cyyddd(self.today)),
            ),
            ("UPDATE erp.ordhdr SET ohstat = 80, ohfins = 1 WHERE ohordn = %s", (order.number,)),
        )
        paid = due + self.rng.uniform(3, 8)
        self._on_erp(
            paid,
            "pay",
            ("UPDATE erp.invhdr SET ivstat = 2 WHERE ivordn = %s", (order.number,)),
            ("UPDATE erp.ordhdr SET ohfins = 2 WHERE ohordn = %s", (order.number,)),
        )
        self.archive(paid + self.rng.uniform(1, 4), order)

    def archive(self, due: float, order: Order) -> None:
        """Closed lines move to the history table; the order they belong to goes on existing."""
        self._on_erp(
            due,
            "archive",
            ("INSERT INTO erp.ordlnh SELECT * FROM erp.ordlin WHERE olordn = %s", (order.number,)),
            ("DELETE FROM erp.ordlin WHERE olordn = %s", (order.number,)),
        )

    def deliver(self, due: float, order: Order, shipment: int) -> None:
        def work(cursor: Any) -> None:
            cursor.execute(
                "UPDATE shipment SET status = 4, delivered_at = UTC_TIMESTAMP(6) WHERE shp_id = %s", (shipment,)
            )
            cursor.execute("UPDATE outbound SET dlv_status = 2 WHERE order_no = %s", (order.number,))

        self._on_wms(due, "deliver", work)

    # ------------------------------------------------------------ what happens to orders not yet released

    def _entered_line(self) -> tuple[Order, Line] | None:
        if not self.business.entered:
            return None
        order = self.rng.choice(self.business.entered)
        return (order, self.rng.choice(order.lines)) if order.lines else None

    def move_line_to_other_item(self, due: float) -> None:
        if (found := self._entered_line()) is None:
            return
        order, line = found
        line.sku = self._sku()
        self._on_erp(
            due,
            "move_line_to_other_item",
            (
                "UPDATE erp.ordlin SET olitem = %s WHERE olordn = %s AND ollinn = %s",
                (line.sku, order.number, line.number),
            ),
        )

    def renumber_line(self, due: float) -> None:
        """The key of a row changes."""
        if (found := self._entered_line()) is None or found[1].number > 100:
            return
        order, line = found
        old, line.number = line.number, line.number + 100
        self._on_erp(
            due,
            "renumber_line",
            (
                "UPDATE erp.ordlin SET ollinn = %s WHERE olordn = %s AND ollinn = %s",
                (line.number, order.number, old),
            ),
        )

    def cancel_line(self, due: float) -> None:
        if (found := self._entered_line()) is None:
            return
        order, line = found
        order.lines.remove(line)
        self._on_erp(
            due,
            "cancel_line",
            (
                "UPDATE erp.ordlin SET olqcan = olqord, olstat = 99 WHERE olordn = %s AND ollinn = %s",
                (order.number, line.number),
            ),
        )

    def roll_back(self, due: float) -> None:
        """Somebody enters an order and leaves it."""
        self._on_erp(
            due,
            "roll_back",
            ("INSERT INTO erp.ordhdr VALUES (999999, 'C00001', 'PH', 126001, 0, 20, 0)", ()),
            ("INSERT INTO erp.ordlin VALUES (999999, 1, %s, 'W1', 99900, 0, 0, 20, 0)", (self._sku(),)),
            rollback=True,
        )

    # ------------------------------------------------------------ stock

    def purchase(self, due: float) -> None:
        number = next(self.business.po_numbers)
        bought = Purchase(number, 1, self._sku(), self.rng.randint(1, 2), self.rng.randint(4, 30))
        day = self.today + dt.timedelta(self.rng.randint(0, 12))
        self._on_erp(
            due,
            "purchase",
            (
                "INSERT INTO erp.purlin VALUES (%s, 1, 'V00001', %s, %s, %s, 0, 10, %s, %s, %s)",
                (
                    number,
                    bought.sku,
                    WAREHOUSES[bought.warehouse],
                    bought.quantity * 100,
                    day.year,
                    day.month,
                    day.day,
                ),
            ),
        )
        self.business.purchases.append(bought)

    def receive(self, due: float) -> None:
        """Goods arrive: the bin fills and the receipt is written together; the ERP posts it late."""
        if not self.business.purchases:
            return
        newest_first = self.rng.random() < 0.5  # some purchases are wanted at once
        first = max(0, len(self.business.purchases) - 20) if newest_first else 0
        bought = self.business.purchases.pop(self.rng.randrange(first, len(self.business.purchases)))
        item_id = self.business.item_ids[bought.sku]

        def work(cursor: Any) -> None:
            cursor.execute(
                "INSERT INTO receipt (po_no, po_line, item_id, wh_id, qty, received_at) "
                "VALUES (%s, %s, %s, %s, %s, UTC_TIMESTAMP(6))",
                (bought.number, bought.line, item_id, bought.warehouse, bought.quantity),
            )
            self._put_away(cursor, item_id, bought.warehouse, bought.quantity)

        self._on_wms(due, "receive", work)
        self._on_erp(
            due + self.pace.erp_posts_after_s,
            "post_receipt",
            (
                "UPDATE erp.purlin SET plqrec = plqord, plstat = 50 WHERE plpono = %s AND pllinn = %s",
                (bought.number, bought.line),
            ),
            (
                "UPDATE erp.itmbal SET ibqoh = ibqoh + %s WHERE ibitem = %s AND ibwhse = %s",
                (bought.quantity * 100, erp_item(bought.sku), WAREHOUSES[bought.warehouse]),
            ),
        )

    def _put_away(self, cursor: Any, item_id: int, warehouse: int, quantity: int) -> None:
        cursor.execute(
            "INSERT INTO bin_stock (bin_id, item_id, lot_id, qty) VALUES (%s, %s, %s, %s) "
            "ON DUPLICATE KEY UPDATE qty = qty + VALUES(qty)",
            (db.pick_bin(item_id, warehouse), item_id, db.lot_of(item_id, warehouse), quantity),
        )

    def count(self, due: float) -> None:
        """A cycle count finds something else than the system believed, mostly less."""
        item_id, warehouse = self.business.item_ids[self._sku()], self.rng.randint(1, 2)
        change = self.rng.choice((-3, -2, -1, -1, -1, 1, 2))

        def work(cursor: Any) -> None:
            cursor.execute(
                "SELECT stock_id, qty FROM bin_stock WHERE bin_id = %s AND item_id = %s AND lot_id = %s FOR UPDATE",
                (db.pick_bin(item_id, warehouse), item_id, db.lot_of(item_id, warehouse)),
            )
            row = cursor.fetchone()
            if row is None or row[1] + change < 0:
                return
            cursor.execute("UPDATE bin_stock SET qty = %s WHERE stock_id = %s", (row[1] + change, row[0]))
            cursor.execute(
                "INSERT INTO cycle_count (stock_id, expected, counted) VALUES (%s, %s, %s)",
                (row[0], row[1], row[1] + change),
            )

        self._on_wms(due, "count", work)

    def transfer(self, due: float) -> None:
        item_id, leaving = self.business.item_ids[self._sku()], self.rng.randint(1, 2)
        arriving, quantity = 3 - leaving, self.rng.randint(1, 3)
        arrival = due + self.rng.uniform(2, 8)

        def work(cursor: Any) -> None:
            taken = cursor.execute(
                TAKE,
                (quantity, db.pick_bin(item_id, leaving), item_id, db.lot_of(item_id, leaving), quantity),
            )
            if not taken:
                return
            cursor.execute(
                "INSERT INTO transfer (item_id, from_wh, to_wh, qty, status, eta) VALUES (%s, %s, %s, %s, 1, %s)",
                (item_id, leaving, arriving, quantity, self.today + dt.timedelta(1)),
            )
            self._arrive(arrival, cursor.lastrowid, item_id, arriving, quantity)

        self._on_wms(due, "transfer", work)

    def _arrive(self, due: float, transfer: int, item_id: int, warehouse: int, quantity: int) -> None:
        def work(cursor: Any) -> None:
            cursor.execute("UPDATE transfer SET status = 2 WHERE trf_id = %s", (transfer,))
            self._put_away(cursor, item_id, warehouse, quantity)

        self._on_wms(due, "arrive", work)

    def hold_lot(self, due: float) -> None:
        """Quality control holds a lot, and releases it a little later."""
        item_id = self.rng.randrange(len(self.business.skus)) + 1
        lot = db.lot_of(item_id, self.rng.randint(1, 2))
        for when, status in ((due, self.rng.randint(1, 2)), (due + self.rng.uniform(3, 9), 0)):

            def work(cursor: Any, status: int = status) -> None:
                cursor.execute("UPDATE lot SET hold_status = %s WHERE lot_id = %s", (status, lot))

            self._on_wms(when, "hold_lot" if status else "release_lot", work)

    def customer_return(self, due: float) -> None:
        item_id, warehouse = self.business.item_ids[self._sku()], self.rng.randint(1, 2)

        def work(cursor: Any) -> None:
            cursor.execute(
                "INSERT INTO customer_return (order_no, line_no, item_id, qty) VALUES (400000, 1, %s, 1)", (item_id,)
            )
            self._put_away(cursor, item_id, warehouse, 1)

        self._on_wms(due, "customer_return", work)

    # ------------------------------------------------------------ odds and ends of a legacy system

    def touch_note(self, due: float) -> None:
        """An item changes but not its long text: Debezium sends a placeholder for the unchanged column."""
        sku = self.business.skus[40 * self.rng.randrange(len(self.business.skus) // 40)]
        other = "CASE right(itdesc, 1) WHEN '.' THEN left(itdesc, -1) ELSE itdesc || '.' END"  # never too long
        self._on_erp(due, "touch_note", (f"UPDATE erp.itmast SET itdesc = {other} WHERE itnum = %s", (erp_item(sku),)))

    def reload_balances(self, due: float) -> None:
        """The ERP's job empties its balance table and loads it again, in one transaction."""
        self._on_erp(
            due,
            "reload_balances",
            ("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM erp.itmbal", ()),
            ("TRUNCATE erp.itmbal", ()),
            ("INSERT INTO erp.itmbal SELECT * FROM kept", ()),
        )
