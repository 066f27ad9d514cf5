"""What a lane says, message by message, read by inventory: no promise between two messages is more than it should be.

Inventory closes a unit after every single message, the worst a slow lane or a small poll can do to it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.messages import BalanceMessage
from streams.core.lane.render import BALANCE_TOPIC
from tests.unit.inventory.harness import OWNERSHIP, Inventory, ownership_of
from tests.unit.lane.conftest import Lane, demand_row, item_row, stock_row


class Chain:
    """One lane, and one partition of inventory behind it."""

    def __init__(self) -> None:
        text = OWNERSHIP.replace("erp, wms", "toy").replace("wms, erp", "toy")
        for source in ("erp", "wms", "shop"):
            text = text.replace(source, "toy")
        self.lane, self.inventory, self._read = Lane(), Inventory(ownership_of(text), ready=()), 0
        rows = {"toy.item": [item_row(1, "A")], "toy.stock": [stock_row(1, 1, "10")]}
        self.lane.start({**rows, "toy.demand": [demand_row(number, "A", "1") for number in range(8)]})
        self.pass_on()
        assert self.inventory.now("A") == 2

    def pass_on(self) -> None:
        sent = [output for output, _ in self.lane.runtime.durable.sent if output.topic == BALANCE_TOPIC]
        for output in sent[self._read :]:
            assert output.value is not None
            self.inventory.feed(msgspec.json.decode(output.value, type=BalanceMessage))
            self.inventory.runtime.run()
        self._read = len(sent)

    def told_by(self, *transactions: tuple[tuple[str, str, object], ...]) -> list[Decimal]:
        """ATP of A in every promise that these transactions make, each worked off before the next."""
        before = len(self.inventory.told("A"))
        for changes in transactions:
            self.lane.log.transaction(*changes)  # type: ignore[arg-type]
            self.lane.run()
            self.pass_on()
        return self.inventory.told("A")[before:]


RELOAD = tuple(("c", "toy.demand", demand_row(number, "A", "1")) for number in range(8))


def test_counterexample_20_demand_deleted_and_inserted_again_in_one_transaction() -> None:
    chain = Chain()
    deletes = tuple(("d", "toy.demand", {"id": number}) for number in range(8))
    assert chain.told_by((*deletes, *RELOAD)) == []


def test_counterexample_20_truncate_and_reload_with_commits_between() -> None:
    chain = Chain()
    told = chain.told_by((("t", "toy.demand", None),), RELOAD[:4], RELOAD[4:])
    assert max(told, default=Decimal(2)) <= 2
    assert chain.inventory.now("A") == 2
