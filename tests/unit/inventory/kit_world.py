"""Partitions of inventory in memory that hear of each other's kits: what one sends, another's input holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from schemas.messages import Balance, BalanceMessage, Component, ItemPart, KitMessage, LaneProgress
from streams.core.inventory.stage import INPUT_TOPIC
from streams.core.ownership import Ownership
from tests.memory import Crashed
from tests.unit.inventory.harness import NOON_US, SOURCES, Inventory, balance

DEMAND_AT = "W1"


def of(**components: float | str) -> tuple[Component, ...]:
    return tuple(Component(sku=sku, quantity=Decimal(str(quantity))) for sku, quantity in components.items())


class World:
    """Kits begin with K and live in partition 0, everything else in partition 1, unless `place` says otherwise."""

    def __init__(
        self,
        ownership: Ownership | None = None,
        *,
        partitions: int = 2,
        place: Callable[[str], int] = lambda sku: int(not sku.startswith("K")),
        ready: Iterable[str] = SOURCES,
        batch: int = 50,
    ) -> None:
        self.place = place
        self.parts = [
            Inventory(ownership, ready=(), partition=n, partitions=partitions, batch=batch) for n in range(partitions)
        ]
        self.version = 1_000
        self._passed_on = [0] * partitions
        self.messages = 0
        """Passed on between partitions."""
        self.rng: random.Random | None = None
        """With one, partitions run in any order and some messages come twice."""
        for source in ready:
            self.progress(source, run=False)
        self.run()

    def next_version(self) -> int:
        self.version += 1
        return self.version

    def say(
        self,
        source: str,
        sku: str,
        *balances: Balance,
        components: tuple[Component, ...] | None = None,
        component: bool | None = None,
        item: ItemPart | None = None,
        run: bool = True,
        **more: Any,
    ) -> None:
        """A lane's message about a sku."""
        kits = (
            None if components is None and component is None else KitMessage(components=components, component=component)
        )
        self.parts[self.place(sku)].say(
            source, sku, *balances, item=item, kits=kits, version=self.next_version(), run=False, **more
        )
        if run:
            self.run()

    def kit(self, sku: str, *, source: str = "erp", run: bool = True, **components: float | str) -> None:
        """What a lane says of a kit, to its key and to each component's."""
        self.say(source, sku, components=of(**components), run=False)
        for name in components:
            self.say(source, name, component=True, run=False)
        if run:
            self.run()

    def stock(self, sku: str, quantity: float | str, location: str = "W1", **more: Any) -> None:
        self.say("wms", sku, balance(location, "on_hand", quantity), **more)

    def order(
        self, sku: str, reference: str, quantity: float | str, location: str = "W1", due: Any = None, **more: Any
    ) -> None:
        self.say("erp", sku, balance(location, "demand", quantity, reference, due), **more)

    def progress(self, source: str, *, run: bool = True, complete: bool = True, **more: Any) -> None:
        version = self.next_version()
        message = BalanceMessage(
            kind="progress",
            source=source,
            version=version,
            progress=LaneProgress(
                input_offset=version,
                source_position=f"0/{version}",
                source_time_us=NOON_US + version,
                complete=complete,
                **{"kits": source == "erp", **more},
            ),
        )
        for part in self.parts:
            part.feed(message)
        if run:
            self.run()

    # -- running

    def pass_on(self, sender: int) -> int:
        """What a partition has sent to others since the last time goes into their inputs; how many."""
        sent = [sent.output for sent in self.parts[sender].runtime.durable.sent]
        fresh = [output for output in sent[self._passed_on[sender] :] if output.topic == INPUT_TOPIC]
        self._passed_on[sender] = len(sent)
        for output in fresh:
            assert output.value is not None
            message = msgspec.msgpack.decode(output.value, type=BalanceMessage)
            again = 2 if self.rng is not None and self.rng.random() < 0.2 else 1
            to = range(len(self.parts)) if message.kind == "reached" else (self.place(output.key.decode()),)
            for number in to:
                for _ in range(again):
                    self.parts[number].runtime.feed(output.key, output.value)
        self.messages += len(fresh)
        return len(fresh)

    def run(self, *, rounds: int = 40) -> None:
        """Until nothing is said any more."""
        for _ in range(rounds):
            order = list(range(len(self.parts)))
            if self.rng is not None:
                self.rng.shuffle(order)
            for number in order:
                self.parts[number].runtime.run()
            if not sum(self.pass_on(number) for number in order):
                return
        raise AssertionError(f"after {rounds} rounds partitions still talk of kits")

    def run_with_crashes(self, rng: random.Random, crashes: int) -> None:
        """The same, with so many deaths between any two durable steps of any partition."""
        self.rng = rng
        for _ in range(crashes):
            part = self.parts[rng.randrange(len(self.parts))]
            part.runtime.crash_after = rng.randrange(0, 12)
            try:
                part.runtime.run()
            except Crashed:
                pass
            part.runtime.crash_after = None
            part.runtime.restart()
            self.pass_on(rng.randrange(len(self.parts)))
        self.run()

    def tick(self, seconds: float) -> None:
        for part in self.parts:
            part.runtime.tick(seconds)
        self.run()

    # -- what left

    def of(self, sku: str) -> Inventory:
        return self.parts[self.place(sku)]

    def atp(self, sku: str) -> Any:
        return self.of(sku).atp(sku)

    def now(self, sku: str, location: str = "*") -> Any:
        return self.of(sku).now(sku, location)

    def steps(self, sku: str, location: str = "*") -> dict[Any, Any]:
        atp = self.atp(sku)
        at = {at.location: at for at in (atp.network, *atp.locations)}[location]
        return {step.date: step.available for step in at.steps}

    def open_exceptions(self) -> dict[str, Any]:
        return {key: record for part in self.parts for key, record in part.open_exceptions().items()}
