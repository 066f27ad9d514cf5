"""The demo system under the campaign: every line through a proxy, a shop that forgets nothing, two probes."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onhand.demo import databases as db
from onhand.demo.shop import NETWORK, ShelfTag, Shop
from onhand.demo.system import DemoSystem
from onhand.demo.truth import erp_item
from onhand.stack.component import HOST
from tests.campaign.stack import RigStack
from tests.faults.chain import Chain


class Witness:
    """Every promise that reached the shop, in the order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.newest: dict[str, tuple[int, int]] = {}
        self.last: dict[str, Decimal] = {}
        """What a shop would hold that looks at no version."""
        self.told = 0
        self.back: list[str] = []
        """Promises that came behind a newer one, in words."""

    def saw(self, item: dict[str, Any]) -> None:
        sku, version = item["sku"], (int(item["version"]), int(item["sequence"]))
        with self._lock:
            self.told += 1
            newest = self.newest.get(sku, version)
            if version < newest:
                self.back.append(f"{sku}: {version} after {newest}")
            self.newest[sku] = max(newest, version)
            self.last[sku] = Decimal(item["quantities"][NETWORK])


class WatchedShop(Shop):
    """The demo's shop, and a witness beside it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.witness = Witness()

    def _tag(self, item: dict[str, Any]) -> None:
        self.witness.saw(item)
        super()._tag(item)


class CampaignSystem(DemoSystem):
    """Its stack is a `RigStack`; Connect, workers and shop meet through proxies."""

    shop_type = WatchedShop
    shop: WatchedShop
    stack: RigStack

    def __init__(
        self, data_dir: Path, *, items: int, seed: int, project_dir: Path, broken: str | None = None, **options: Any
    ) -> None:
        """`broken`: the guard that every process of onhand runs without."""
        stack = RigStack(data_dir, broken=broken)
        overrides = {"postgres_port": stack.lines["postgres"].port, "mariadb_port": stack.lines["mariadb"].port}
        super().__init__(data_dir, items=items, seed=seed, project_dir=project_dir, overrides=overrides, **options)
        self.stack = stack

    def _open_shop(self) -> None:
        super()._open_shop()
        self.stack.shop_port = urlsplit(self.shop.url).port or 0
        self.shop.url = f"http://{HOST}:{self.stack.lines['shop'].port}"


class Probe:
    """One item that no traffic touches: its next change is made after a fault, and looked for in the shop."""

    def __init__(self, chain: Chain, sku: str, source: str) -> None:
        self.sku, self.source = sku, source
        self._chain = chain
        self._expected = Decimal(0)
        self._taken = False
        self._order = 0

    def settle(self) -> None:
        """The shop's figure is right now: changes count from here."""
        self._expected = self._chain.tag(self.sku).available

    def change(self) -> None:
        """One commit in the probe's source; every second one takes back the one before."""
        step = 1 if self._taken else -1
        if self.source == "wms":
            item = self._chain.system.business.item_ids[self.sku]
            place = (db.pick_bin(item, 1), item, db.lot_of(item, 1))
            self._chain.wms(
                "UPDATE bin_stock SET qty = qty + %s WHERE bin_id = %s AND item_id = %s AND lot_id = %s", step, *place
            )
        elif not self._taken:
            self._order = self._chain.line(erp_item(self.sku), 1)
        else:
            self._chain.erp("UPDATE erp.ordlin SET olqcan = olqord, olstat = 99 WHERE olordn = %s", self._order)
        self._expected += step
        self._taken = not self._taken

    def told(self) -> bool:
        """Whether the shop holds it."""
        tag: ShelfTag = self._chain.tag(self.sku)
        return tag.available == self._expected


def reserve_probes(chain: Chain) -> tuple[Probe, Probe]:
    """Two items that may be sold, taken out of the business that traffic knows."""
    business = chain.system.business
    erp, wms = sorted(business.skus.index(sku) for sku in chain.stocked(2, last=True))
    probes = Probe(chain, business.skus[erp], "erp"), Probe(chain, business.skus[wms], "wms")
    del business.skus[erp:]  # from the end: the traffic draws items by their number too
    business.purchases[:] = [purchase for purchase in business.purchases if purchase.sku in business.skus]
    return probes
