"""Customers, and the judge who sees what is really there at the moment each of them asks.

One customer at a time: both databases are read by hand-written SQL, then both shops are asked.  A shop is *right* when
it sells what is there or refuses what is not, has *oversold* when it sells what is not there, and has *wrongly
refused* when it sends a customer away who could have been served.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from onhand.clock import clock_us
from onhand.demo import databases as db
from onhand.demo.databases import Business, Endpoint
from onhand.demo.mistakes import History, Mistake, Telling
from onhand.demo.shop import ShadowShop, ShelfTag, Shop
from onhand.demo.truth import read_facts


@dataclass
class Verdicts:
    """How often each shop was right, and by how much it was not."""

    counts: Counter[str] = field(default_factory=Counter)
    pieces_oversold: int = 0
    sold: int = 0

    def record(self, sold: bool, there: bool, quantity: int) -> str:
        outcome = "right" if sold == there else "oversold" if sold else "wrongly_refused"
        self.counts[outcome] += 1
        self.sold += sold
        if outcome == "oversold":
            self.pieces_oversold += quantity
        return outcome

    @property
    def attempts(self) -> int:
        return sum(self.counts.values())

    @property
    def fill_rate(self) -> float | None:
        """Of the customers who could be served, the share who were: right sales over right sales and refusals."""
        served = self.sold - self.counts["oversold"]
        could = served + self.counts["wrongly_refused"]
        return served / could if could else None


class Customers:
    """Order attempts at a set rate, the batch export beside them, and the judge."""

    def __init__(
        self,
        erp: Endpoint,
        wms: Endpoint,
        business: Business,
        shop: Shop,
        rng: random.Random,
        *,
        attempts_per_s: float,
        batch_period_s: float,
        today: dt.date,
    ) -> None:
        self.business, self.shop, self.shadow, self.rng, self.today = business, shop, ShadowShop(), rng, today
        self.attempts_per_s, self.batch_period_s = attempts_per_s, batch_period_s
        self.with_onhand, self.with_batch = Verdicts(), Verdicts()
        self.failures: list[str] = []
        self._history, self._mistakes = History(), list[Mistake]()
        shop.on_tag = self._told
        self._stopping = threading.Event()
        self._erp, self._wms = erp, wms
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._ask,), name="customers"),
            threading.Thread(target=self._guarded, args=(self._export,), name="batch-export"),
        ]

    def start(self) -> None:
        """The first export is made before the first customer comes."""
        self._export_once()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def mistakes(self) -> list[str]:
        """A line for every attempt that onhand's shop answered wrongly: what it did not know, and how late it was."""
        return [self._history.explain(mistake) for mistake in self._mistakes]

    def _told(self, sku: str, tag: ShelfTag) -> None:
        self._history.note(sku, Telling(clock_us(), tag.committed_us, tag.available))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - shown on the result page, and the demo fails
            self.failures.append(f"{threading.current_thread().name}: {error!r}")

    def _export(self) -> None:
        while not self._stopping.wait(self.batch_period_s):
            self._export_once()

    def _export_once(self) -> None:
        with db.connect_erp(self._erp) as erp, db.connect_wms(self._wms) as wms:
            facts = read_facts(erp, wms)
        self.shadow.export({sku: found.available(self.today) for sku, found in facts.items()})

    def _ask(self) -> None:
        with db.connect_erp(self._erp) as erp, db.connect_wms(self._wms) as wms, requests.Session() as session:
            due = time.monotonic()
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                self._one(erp, wms, session)
                due += self.rng.expovariate(self.attempts_per_s)

    def _one(self, erp: Any, wms: Any, session: requests.Session) -> None:
        hot = self.rng.random() < 0.6
        sku = self.rng.choice(self.business.hot if hot else self.business.skus)
        quantity = self.rng.randint(1, 4)
        facts = read_facts(erp, wms, sku)[sku]
        if not (facts.tracked and facts.active):
            return  # not a question of stock
        asked_us, available = clock_us(), facts.available(self.today)
        there, held = available >= quantity, self.shop.left(sku)
        answer = session.post(f"{self.shop.url}/orders", json={"sku": sku, "quantity": quantity}, timeout=10)
        outcome = self.with_onhand.record(answer.status_code == 201, there, quantity)
        if outcome != "right":
            self._mistakes.append(Mistake(sku, outcome, quantity, available, held, asked_us))
        self.with_batch.record(self.shadow.offer(sku, quantity), there, quantity)
