"""Balances per second of CPU of inventory's core: messages folded, promises made, state and outputs encoded.

Business as a distributor has it: orders come in (demand), are picked (stock falls and fulfilled rises in one message),
the ERP posts the shipment later, purchase lines come and are received.  The state is a dict in memory, so this is the
core alone; with `--contracts` messages are decoded from and outputs encoded to the Avro contracts as well.

    python -m bench.inventory [--messages 60000] [--skus 2000] [--batch 500] [--contracts] [--json]
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import random
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import click

from onhand.collector import COLLECT_AFTER
from schemas.codec import Codec
from schemas.messages import Balance, BalanceMessage, LaneProgress
from schemas.records import Bucket, Stamps
from streams.core.inventory.publish import Rules
from streams.core.inventory.stage import INPUT_TOPIC, InventoryStage
from streams.core.ownership import OWNERSHIP_FILE, load_ownership
from streams.core.unit import InputRecord
from tests.memory import MemoryView

NOW_US = 1_764_158_400_000_000
TODAY = dt.date(2025, 11, 26)
TARGET = 30_000
PLACES = ("W1", "W2")


def business(rng: random.Random, skus: int, messages: int) -> Iterator[BalanceMessage]:
    """So many messages, of one version each."""
    stock: dict[tuple[str, str], int] = {}
    waiting: list[tuple[str, str, str, int, dt.date]] = []
    version = 1_000
    for source in ("erp", "wms"):
        progress = LaneProgress(input_offset=0, source_position="0", source_time_us=NOW_US, complete=True)
        yield BalanceMessage(kind="progress", source=source, version=version, progress=progress)
    for n in range(messages):
        version += 1
        sku = f"SKU-{min(rng.randrange(skus), rng.randrange(skus)):06}"
        place = rng.choice(PLACES)
        if n % 2 == 0 or not waiting:
            due, quantity = TODAY + dt.timedelta(rng.randrange(0, 20)), rng.randrange(1, 9)
            waiting.append((sku, place, f"SO-{n}-1", quantity, due))
            yield told("erp", version, sku, balance(place, Bucket.DEMAND, quantity, f"SO-{n}-1", due))
        else:
            sku, place, line, quantity, due = waiting.pop(rng.randrange(len(waiting)))
            stock[sku, place] = stock.get((sku, place), 500) - quantity
            yield told(
                "wms",
                version,
                sku,
                balance(place, Bucket.ON_HAND, stock[sku, place]),
                balance(place, Bucket.FULFILLED, quantity, line),
            )
            yield told("erp", version, sku, balance(place, Bucket.FULFILLED, quantity, line, due))


def balance(
    place: str, bucket: Bucket, quantity: int, reference: str | None = None, due: dt.date | None = None
) -> Balance:
    return Balance(location=place, bucket=bucket, quantity=Decimal(quantity), postings=1, due=due, reference=reference)


def told(source: str, version: int, sku: str, *balances: Balance) -> BalanceMessage:
    stamps = Stamps(committed_us=NOW_US, captured_us=NOW_US, laned_us=NOW_US)
    return BalanceMessage(kind="balances", source=source, version=version, sku=sku, balances=balances, stamps=stamps)


def measure(messages: list[BalanceMessage], batch: int, contracts: bool) -> dict[str, float]:
    """Seconds of CPU and rates of folding all of them."""
    codec = Codec.local()
    if contracts:
        values = [codec.encode(INPUT_TOPIC, message) for message in messages]
        stage = InventoryStage(rules(), lambda topic, value: message_of(codec, value), codec.encode)
    else:
        values = [n.to_bytes(4, "big") for n in range(len(messages))]
        stage = InventoryStage(
            rules(), lambda topic, value: messages[int.from_bytes(value, "big")], lambda topic, record: b""
        )
    records = [
        InputRecord(INPUT_TOPIC, 0, n, NOW_US, message.sku.encode(), value)
        for n, (message, value) in enumerate(zip(messages, values, strict=True))
    ]
    view = MemoryView()
    stage.open(view, 0, None, None, NOW_US, 0)
    outputs = units = state_bytes = at = 0
    started = time.process_time()
    while at < len(records):
        settled = stage.work(view, records[at : at + batch], NOW_US)
        at += settled.consumed
        state_bytes += view.size
        view.settle()
        outputs += sum(1 for _ in stage.render(view, settled.owed, units + 1, NOW_US))
        units += 1
    seconds = time.process_time() - started
    balances = sum(len(message.balances) for message in messages)
    return {
        "seconds": round(seconds, 3),
        "messages_per_s": round(len(messages) / seconds),
        "balances_per_s": round(balances / seconds),
        "outputs_per_s": round(outputs / seconds),
        "units": units,
        "state_bytes_per_balance": round(state_bytes / balances),
    }


def message_of(codec: Codec, value: bytes) -> BalanceMessage:
    record = codec.decode(INPUT_TOPIC, value)
    assert isinstance(record, BalanceMessage)
    return record


def rules() -> Rules:
    project = Path(__file__).parents[1]
    return Rules(load_ownership(project / "connect-configs" / OWNERSHIP_FILE), horizon_days=90, grace_days=7)


@click.command()
@click.option("--messages", default=60_000, show_default=True)
@click.option("--skus", default=2_000, show_default=True)
@click.option("--batch", default=500, show_default=True, help="Records handed over at once.")
@click.option("--contracts", is_flag=True, help="With Avro in and out.")
@click.option("--json", "as_json", is_flag=True)
def main(messages: int, skus: int, batch: int, contracts: bool, as_json: bool) -> None:
    """Measure and print."""
    gc.set_threshold(COLLECT_AFTER)
    log = list(business(random.Random(1), skus, messages))
    found = measure(log, batch, contracts)
    if as_json:
        click.echo(json.dumps({**found, "target_balances_per_s": TARGET, "contracts": contracts}))
        return
    for name, value in found.items():
        click.echo(f"{name:24} {value:>12,}")
    click.echo(f"{'target balances_per_s':24} {TARGET:>12,}")


if __name__ == "__main__":
    main()
