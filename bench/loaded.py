"""The demo's chain with many balances, kept between runs: loading a million takes minutes, starting on them seconds.

Balances beyond what the demo's items have are purchase lines of the past, received in full: each is two balances
(inbound and received) and a claim that is closed.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from onhand.demo import databases as db
from onhand.demo.shop import Shop
from onhand.demo.system import SOURCES, DemoSystem, _endpoint
from onhand.stack.component import Command
from onhand.stack.local import process_arguments, settings_environment
from onhand.stack.supervision import Supervised
from schemas.administration import apply as apply_topics

BALANCES_PER_ITEM = 6.3
"""What the demo's own rows make, on average: on hand in both systems, safety stock, demand, inbound."""
LOADED_S = 900.0
NOTE = "loaded.json"
"""In the data directory: what it holds."""


class LoadedSystem(DemoSystem):
    """Entered, every process runs and every balance is in a promise."""

    def __init__(self, data_dir: Path, *, items: int, balances: int, module: str = "onhand.cli.main", **more: Any):
        """`module` is run for each process of onhand in place of the command line, with the same arguments."""
        super().__init__(data_dir, items=items, seed=1, keep=True, **more)
        self._lines = max(0, int((balances - items * BALANCES_PER_ITEM) / 2))
        self._what = {"items": items, "balances": balances}
        self._folder, self._module = data_dir, module
        self.resumed = self._holds() == self._what

    def _holds(self) -> Any:
        note = self._folder / NOTE
        return json.loads(note.read_text()) if note.exists() else None

    def _start(self) -> None:
        if not self.resumed:
            self._start_afresh()
        self.stack.start()
        self._make_databases()
        self._open_shop()
        settings = self.settings
        apply_topics(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        self.onhand("source", "apply", *SOURCES)
        for name in self._processes:
            self.start_process(name)
        self.stack.supervise()
        since_us = time.time_ns() // 1000
        self.wait("every balance to be in a promise", lambda: self.promised_up_to(since_us), LOADED_S)
        if not self.resumed:
            self.wait("the promise of every item to reach the shop", self._shop_is_filled, LOADED_S)
            (self._folder / NOTE).write_text(json.dumps(self._what))
        self._say("every balance is in a promise")

    def _make_databases(self) -> None:
        if not self.resumed:
            super()._make_databases()
            self._add_lines()
            return
        endpoints = self.stack.endpoints
        self.erp, self.wms = _endpoint(endpoints.postgres_dsn), _endpoint(endpoints.mariadb_dsn)
        skus = [f"A{100_000 + 7 * n}" for n in range(self._items)]
        self.business = db.Business(skus, {sku: n + 1 for n, sku in enumerate(skus)}, [])

    def _add_lines(self) -> None:
        skus = self.business.skus
        copying = "COPY erp.purlin FROM STDIN"
        with db.connect_erp(self.erp) as erp, erp.cursor() as cursor, cursor.copy(copying) as copy:
            for n in range(self._lines):
                sku, warehouse = skus[n % len(skus)], db.WAREHOUSES[1 + n // len(skus) % 2]
                copy.write_row((10_000_000 + n, 1, "V00001", sku, warehouse, 1000, 1000, 10, 2026, 1, 1 + n % 28))
        self._say(f"{self._lines} purchase lines of the past added")

    def _open_shop(self) -> None:
        if not self.resumed:
            super()._open_shop()
            return
        text = (self.stack.endpoints.secrets / "shop.properties").read_text().strip()
        secret = text.partition("=")[2]
        base64.b64decode(secret.removeprefix("whsec_"))
        self.shop = Shop(secret, lambda sku, location, quantity: 0)
        self.shop.start()

    def start_process(self, name: str, *, instance: str = "0") -> Any:
        if self._module == "onhand.cli.main":
            return super().start_process(name, instance=instance)
        settings = self.stack.settings(project_dir=self._project, instance=instance, **self._overrides)
        command = Command(
            argv=(sys.executable, "-m", self._module, "run", *process_arguments(name)),
            cwd=Path.cwd(),
            environment=settings_environment(settings) | {"ONHAND_SHOP_URL": f"{self.shop.url}/hooks/onhand"},
        )
        log = self.stack.site.logs / f"{name}.log"
        return self.stack.supervisor.start(Supervised(name=name, command=lambda: command, log=log))
