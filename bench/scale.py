"""Cost per change as things grow, in microseconds of CPU, and the exponent of the growth with its error.

Rows of a lane, skus of inventory, orders and keys of a channel: 10 thousand to a million.  History: ten times as many
changes about the same skus.  Channels: 1 to 32 on the same facts.  Open order lines of one sku: 1 to 10,000, on the
same days; and days on which lines of one sku are due.

A channel is a process and a consumer group of its own, so upstream of it nothing grows with channels but what Kafka
hands out.

    python -m bench.scale [--largest 1000000] [--only lane …] [--json]
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import random
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import TypeVar

import click

from bench import lane as lane_log
from bench.growth import TARGET, Growth, Twin, least
from bench.inventory import NOW_US, TODAY, balance, business, message_of, rules, told
from onhand.collector import COLLECT_AFTER
from schemas.codec import Codec
from schemas.messages import BalanceMessage, LaneProgress, OrderPart, OrderPartMessage
from schemas.records import Bucket, Stamps
from sinks.core.answer import Answer, Outcome
from sinks.core.book import INVENTORY
from sinks.core.desk import Desk
from sinks.core.offer import Promise
from sinks.core.rule import Rule
from streams.agents.orders import owning_sources
from streams.core.inventory.stage import INPUT_TOPIC as BALANCES
from streams.core.inventory.stage import InventoryStage
from streams.core.lane.stage import LaneStage
from streams.core.mapping.mapping import load_mapping
from streams.core.orders.stage import INPUT_TOPIC as ORDER_PARTS
from streams.core.orders.stage import OrdersStage

CHANGES = 3_000
"""Changes of one sample."""
SLICE = 20_000
DAYS = 14
SIZES = (10_000, 100_000, 1_000_000)
CODEC = Codec.local()

Records = list[tuple[bytes | None, bytes]]
Made = TypeVar("Made")


def sizes(largest: int) -> tuple[int, ...]:
    return tuple(size for size in SIZES if size <= largest)


def both(twin: Twin, make: Callable[[], Records]) -> tuple[float, float]:
    """Microseconds a change (in memory, in RocksDB), of samples taken in turns."""
    memory = least(lambda: twin.fold(make(), render=True)) / CHANGES * 1e6
    rocks = least(lambda: twin.fold(make(), rocks=True, render=True)) / CHANGES * 1e6
    return memory, rocks


def at_random(make: Callable[[Iterable[int]], Made], rng: random.Random, size: int) -> Made:
    """Changes about any of so many; each about another one where there are enough: within a unit they conflate."""
    if size >= CHANGES:
        return make(rng.sample(range(size), CHANGES))
    return make(rng.randrange(size) for _ in range(CHANGES))


def pair(what: str, found: list[tuple[int, tuple[float, float]]]) -> list[Growth]:
    at = tuple(size for size, _ in found)
    return [
        Growth(f"{what}, {store}", at, tuple(costs[n] for _, costs in found))
        for n, store in enumerate(("in memory", "RocksDB"))
    ]


# -- the lane: rows in its store


class StockLog:
    """Records of the demo WMS's stock, a row a transaction, with positions that rise."""

    def __init__(self) -> None:
        self.writer = lane_log.first("wms", list(load_mapping(lane_log.CONFIGS / "wms").tables))
        self.rng = random.Random(3)

    def rows(self, numbers: Iterable[int]) -> Records:
        log = self.writer
        for number in numbers:
            log.row(
                "wms.bin_stock",
                ("stock_id",),
                {
                    "stock_id": number,
                    "bin_id": number % 500,
                    "item_id": number % lane_log.SKUS,
                    "lot_id": number % 3000,
                    "qty": f"{self.rng.randrange(900)}.000",
                },
            )
            log.end()
        return self.drain()

    def drain(self) -> Records:
        taken: Records = [(record.key, record.value or b"") for record in self.writer.records]
        self.writer.records.clear()
        return taken


def lane(largest: int) -> list[Growth]:
    log = StockLog()
    twin = Twin(LaneStage("wms", load_mapping(lane_log.CONFIGS / "wms"), CODEC.encode), NOW_US)
    twin.fold(log.drain())
    found, rows = [], 0
    for size in sizes(largest):
        for start in range(rows, size, SLICE):
            twin.fold(log.rows(range(start, min(size, start + SLICE))))
        rows = size
        found.append((size, both(twin, partial(at_random, log.rows, log.rng, size))))
    twin.close()
    return pair("lane: rows in the store", found)


def more_of(
    what: str, twin: Twin, said: Callable[[Iterable[int]], Records], rng: random.Random, largest: int
) -> list[Growth]:
    """Cost of a change at each size; `said` gives the records that say these numbers' keys anew.  Closes the twin."""
    found, made = [], 0
    for size in sizes(largest):
        for start in range(made, size, SLICE):
            twin.fold(said(range(start, min(size, start + SLICE))))
        made = size
        found.append((size, both(twin, partial(at_random, said, rng, size))))
    twin.close()
    return pair(what, found)


# -- inventory


def inventory_twin() -> Twin:
    stage = InventoryStage(rules(), lambda topic, value: message_of(CODEC, value), CODEC.encode)
    twin = Twin(stage, NOW_US)
    for source in ("erp", "wms"):
        progress = LaneProgress(input_offset=0, source_position="0", source_time_us=NOW_US, complete=True)
        twin.fold(encoded([BalanceMessage(kind="progress", source=source, version=1, progress=progress)]))
    return twin


def encoded(messages: list[BalanceMessage]) -> Records:
    return [(message.sku.encode(), CODEC.encode(BALANCES, message)) for message in messages]


def inventory_skus(largest: int) -> list[Growth]:
    twin, rng, version = inventory_twin(), random.Random(5), 10

    def stock(sku: int) -> BalanceMessage:
        nonlocal version
        version += 1
        places = [balance(place, Bucket.ON_HAND, rng.randrange(1, 900)) for place in ("W1", "W2")]
        return told("wms", version, f"SKU-{sku:07}", *places)

    def stocks(skus: Iterable[int]) -> Records:
        return encoded([stock(sku) for sku in skus])

    return more_of("inventory: skus", twin, stocks, rng, largest)


def inventory_history(largest: int) -> list[Growth]:
    """The same 2,000 skus after once, three and ten times as many orders came, were picked and posted."""
    unit = min(20_000, largest)
    messages = business(random.Random(1), 2_000, unit * 14)
    twin, found, done = inventory_twin(), [], 0
    next(messages), next(messages)

    def some(count: int) -> Records:
        nonlocal done
        done += count
        return encoded([message for message, _ in zip(messages, range(count), strict=False)])

    for times in (1, 3, 10):
        while done < unit * times:
            twin.fold(some(min(SLICE, unit * times - done)))
        found.append((times, both(twin, lambda: some(CHANGES))))
    twin.close()
    return pair("inventory: history, times as long", found)


def one_sku(what: str, points: tuple[int, ...], due: Callable[[int], dt.date]) -> list[Growth]:
    """One sku with ever more open order lines, of which one at a time changes."""
    twin, rng, found, lines, version = inventory_twin(), random.Random(9), [], 0, 10

    def line(number: int) -> BalanceMessage:
        nonlocal version
        version += 1
        wanted = balance("W1", Bucket.DEMAND, rng.randrange(1, 9), f"SO-{number}-1", due(number))
        return told("erp", version, "SKU-1", wanted)

    def changed(numbers: Iterable[int]) -> Records:
        return encoded([line(number) for number in numbers])

    base = [told("wms", 5, "SKU-1", balance("W1", Bucket.ON_HAND, 100_000))]
    twin.fold(encoded([*base, *(line(-day - 1) for day in range(DAYS))]))
    for size in points:
        twin.fold(encoded([line(number) for number in range(lines, size)]))
        lines = size

        # each change a unit of its own: within one, a sku's changes cost one promise however many they are
        change = partial(at_random, changed, rng, size)
        found.append((size, (one_by_one(twin, change(), False), one_by_one(twin, change(), True))))
    twin.close()
    return pair(what, found)


def one_by_one(twin: Twin, records: Records, rocks: bool) -> float:
    few = len(records) // 10
    samples = iter(range(0, len(records), few))

    def sample() -> float:
        start = next(samples)
        return sum(twin.fold([record], rocks=rocks, render=True) for record in records[start : start + few])

    return least(sample) / few * 1e6


def inventory_lines(largest: int) -> list[Growth]:
    points = tuple(size for size in (1, 10, 100, 1_000, 10_000) if size <= largest)
    return one_sku("inventory: open order lines of a sku", points, lambda n: TODAY + dt.timedelta(n % DAYS))


def inventory_days(largest: int) -> list[Growth]:
    del largest
    return one_sku(
        "inventory: days on which a sku's lines are due", (14, 28, 90), lambda n: TODAY + dt.timedelta(n % 90)
    )


# -- orders


def orders(largest: int) -> list[Growth]:
    stage = OrdersStage(rules().ownership, owning_sources(rules().ownership), CODEC.encode, CODEC.decode, {})
    twin, rng, version = Twin(stage, NOW_US), random.Random(7), 10
    progress = LaneProgress(input_offset=0, source_position="0", source_time_us=NOW_US, complete=True)
    for source in ("erp", "wms"):
        said = OrderPartMessage(kind="progress", source=source, version=1, progress=progress)
        twin.fold([(b"~", CODEC.encode(ORDER_PARTS, said))])

    def say(order: int) -> tuple[bytes | None, bytes]:
        nonlocal version
        version += 1
        name, picked = f"SO-{order}", str(rng.randrange(9))
        parts = [
            OrderPart(kind="line", part_id=f"{name}-{n}", attributes={"sku": f"A{n}", "ordered": "9", "picked": picked})
            for n in range(3)
        ]
        header = OrderPart(kind="header", part_id=name, attributes={"number": name, "customer": "C1"})
        message = OrderPartMessage(
            kind="parts", source="erp", version=version, order_id=name, order_parts=(header, *parts),
            stamps=Stamps(committed_us=NOW_US),
        )  # fmt: skip
        return name.encode(), CODEC.encode(ORDER_PARTS, message)

    def orders_of(numbers: Iterable[int]) -> Records:
        return [say(number) for number in numbers]

    return more_of("orders: orders", twin, orders_of, rng, largest)


# -- channels


class Channel:
    """A desk whose channel takes everything."""

    def __init__(self) -> None:
        document = {"name": "shop", "adapter": "webhook", "url": "http://127.0.0.1:9", "secret": "${env:SECRET}",
                    "pace": {"per_second": 1e9, "burst": 1_000_000}}  # fmt: skip
        self.desk = Desk(Rule.model_validate(document), NOW_US)
        self.now_us = NOW_US

    def tell(self, facts: list[tuple[str, Promise]]) -> None:
        """Everything new is pushed, acknowledged and recorded."""
        book = self.desk.book
        for sku, promise in facts:
            self.now_us += 10
            book.state(0, (INVENTORY, sku), promise, self.now_us)
            if len(book.dirty) >= 100:
                self.push()
        book.tick(self.now_us)
        self.push()

    def push(self) -> None:
        while (push := self.desk.next_push(self.now_us)) is not None:
            self.now_us += 1000
            self.desk.answered(push, Answer(Outcome.ACCEPTED, "200"), self.now_us)


def fact(sku: int, version: int, rng: random.Random) -> tuple[str, Promise]:
    quantity = Decimal(rng.randrange(900))
    available = (("*", quantity), ("W1", quantity))
    stamps = Stamps(committed_us=NOW_US, captured_us=NOW_US, laned_us=NOW_US, promised_us=NOW_US)
    return f"SKU-{sku:07}", Promise(version, False, True, None, True, available, ("erp", "wms"), stamps, "wms")


def channel_keys(largest: int) -> list[Growth]:
    channel, rng, version, made, costs = Channel(), random.Random(11), 10, 0, []

    def some(skus: Iterable[int]) -> list[tuple[str, Promise]]:
        nonlocal version
        version += 1
        return [fact(sku, version, rng) for sku in skus]

    for size in sizes(largest):
        for start in range(made, size, SLICE):
            channel.tell(some(range(start, min(size, start + SLICE))))
        made = size
        costs.append(cpu_us([channel], partial(at_random, some, rng, size)))
    return [Growth("channel: keys", sizes(largest), tuple(costs))]


def channels(largest: int) -> list[Growth]:
    """Cost of one change in one channel, with so many of them."""
    del largest
    points, costs, rng, version = (1, 2, 4, 8, 16, 32), [], random.Random(13), 10
    for count in points:
        every = [Channel() for _ in range(count)]

        def some(skus: Iterable[int]) -> list[tuple[str, Promise]]:
            nonlocal version
            version += 1
            return [fact(sku, version, rng) for sku in skus]

        for channel in every:
            channel.tell(some(range(5_000)))
        costs.append(cpu_us(every, partial(at_random, some, rng, 5_000)) / count)
    return [Growth("channels, one of them", points, tuple(costs))]


def cpu_us(every: list[Channel], make: Callable[[], list[tuple[str, Promise]]]) -> float:

    facts = 1

    def sample() -> float:
        nonlocal facts
        made = make()
        facts = len(made)
        started = time.process_time()
        for channel in every:
            channel.tell(made)
        return time.process_time() - started

    return least(sample) / facts * 1e6


SCENARIOS: dict[str, Callable[[int], list[Growth]]] = {
    "lane": lane,
    "skus": inventory_skus,
    "history": inventory_history,
    "lines": inventory_lines,
    "days": inventory_days,
    "orders": orders,
    "keys": channel_keys,
    "channels": channels,
}


@click.command()
@click.option(
    "--largest",
    type=click.IntRange(min=SIZES[1]),
    default=SIZES[-1],
    show_default=True,
    help="Of rows, skus, orders and keys; an exponent needs two sizes.",
)
@click.option("--only", multiple=True, type=click.Choice(list(SCENARIOS)), help="Repeatable.")
@click.option("--json", "as_json", is_flag=True)
def main(largest: int, only: tuple[str, ...], as_json: bool) -> None:
    """Measure and print."""
    gc.set_threshold(COLLECT_AFTER)
    documents = []
    for name in only or SCENARIOS:
        for growth in SCENARIOS[name](largest):
            documents.append(growth.document())
            if not as_json:
                slope, error = growth.exponent()
                costs = "  ".join(f"{n:,}: {c:.1f}" for n, c in zip(growth.sizes, growth.cost_us, strict=True))
                click.echo(f"{growth.what:52} {slope:6.3f} ± {error:.3f}  (≤ {TARGET})  µs  {costs}")
    if as_json:
        click.echo(json.dumps(documents, indent=2))


if __name__ == "__main__":
    main()
