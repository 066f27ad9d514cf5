"""The running chain as the fault tests use it: break something, look at what people would look at, audit."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from onhand.demo import databases as db
from onhand.demo.audit import compare_positions, compare_promises, compare_shop
from onhand.demo.shop import ShelfTag
from onhand.demo.system import DemoSystem
from onhand.demo.traffic import Pace, Traffic
from onhand.demo.truth import read_facts
from onhand.health import ask_health
from onhand.stack.local import settings_environment
from schemas.records import Atp, Bucket, ExceptionRecord, ExceptionStatus, Position, Progress

SETTLE_S = 90.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Chain:
    """A filled demo system on a project folder of its own."""

    def __init__(self, system: DemoSystem, project: Path) -> None:
        self.system, self.project = system, project

    # ------------------------------------------------------------ doing

    def command(self, *arguments: str, project: Path | None = None, **variables: str) -> Done:
        """The command line, on another project folder or with other settings if wanted; it may fail."""
        environment = settings_environment(self.system.settings) | variables
        if project is not None:
            environment["ONHAND_PROJECT_DIR"] = str(project)
        done = subprocess.run(
            [sys.executable, "-m", "onhand.cli.main", *arguments],
            env={**_outer_environment(), **environment},
            cwd=project or self.project,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def erp(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement in the ERP, committed; its rows, if it has any."""
        with db.connect_erp(self.system.erp) as connection:
            cursor = connection.execute(text.encode(), values or None)
            return [] if cursor.description is None else cursor.fetchall()

    def wms(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement in the WMS, committed; its rows, if it has any."""
        with db.connect_wms(self.system.wms) as connection, connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return list(cursor.fetchall())

    @contextmanager
    def traffic(self, transactions_per_s: float = 15.0) -> Iterator[Traffic]:
        """Business goes on meanwhile; a transaction that fails in its database fails the test."""
        system = self.system
        pace = Pace(transactions_per_s=transactions_per_s, erp_posts_after_s=2.0)
        traffic = Traffic(system.erp, system.wms, system.business, system.rng, pace, system.today)
        traffic.start()
        try:
            yield traffic
        finally:
            traffic.stop()
        assert traffic.schedule.failures == []

    @contextmanager
    def changed_file(self, name: str, before: str, after: str) -> Iterator[None]:
        """A text in a file of the project folder is another one meanwhile."""
        path = self.project / name
        whole = path.read_text()
        assert whole.count(before) == 1, f"{before!r} is {whole.count(before)} times in {name}"
        path.write_text(whole.replace(before, after))
        try:
            yield
        finally:
            path.write_text(whole)

    def sells_what_is_uncertain(self) -> AbstractContextManager[None]:
        """The shop is told of uncertain promises as of others; by the demo's rule a piece is kept back."""
        return self.changed_file("channel-configs/shop.yaml", "staleness:\n", "staleness:\n  uncertain_step: 0\n")

    # ------------------------------------------------------------ looking

    def wait(self, what: str, condition: Callable[[], object], timeout_s: float = SETTLE_S) -> None:
        """Until the condition holds."""
        self.system.wait(what, lambda: bool(condition()), timeout_s)

    def exceptions(self, code: str = "", *, source: str | None = None) -> list[ExceptionRecord]:
        """Open exceptions of a code (empty: of any)."""
        return [
            record
            for record in self.system.newest("exception.v1").values()
            if record.status is not ExceptionStatus.CLOSED
            and code in ("", record.code)
            and source in (None, record.source)
        ]

    def exception(self, code: str, subject: str = "") -> ExceptionRecord:
        """Wait for the one open exception of this code about a subject that contains this text."""
        found: list[ExceptionRecord] = []

        def is_there() -> bool:
            found[:] = [record for record in self.exceptions(code) if subject in record.subject]
            return bool(found)

        self.wait(f"an exception {code} {subject}", is_there)
        assert len(found) == 1, found
        return found[0]

    def closed(self, identity: str) -> None:
        """Wait until this exception is closed."""
        self.wait(f"{identity} to close", lambda: all(record.id != identity for record in self.exceptions()))

    def tag(self, sku: str) -> ShelfTag:
        """What the shop holds of an item."""
        return self.system.shop.tags[sku]

    def held(self, sku: str) -> Decimal:
        """What the shop was told last that it may sell of an item, in the network."""
        return self.system.shop.held()[sku]

    def promises(self, sku: str) -> Decimal:
        """What may be promised of an item now, in the network."""
        atp: Atp = self.system.newest("inventory.atp.v1")[sku]
        return atp.network.available_now

    def inbound(self, sku: str) -> Decimal:
        """Open inbound of an item, at all places and on all days."""
        position: Position = self.system.newest("inventory.position.v1")[sku]
        received = sum((line.quantity for line in position.lines if line.bucket is Bucket.RECEIVED), Decimal(0))
        return sum((line.quantity for line in position.lines if line.bucket is Bucket.INBOUND), Decimal(0)) - received

    def lane(self, source: str) -> Progress:
        """How a lane says it is."""
        progress: Progress = self.system.newest("progress.v1")[f"lane/{source}/0"]
        return progress

    def line(self, sku: str, pieces: int) -> int:
        """Enter an order of one line for today at W1 into the ERP, in one transaction; its number."""
        number = next(self.system.business.order_numbers)
        with db.connect_erp(self.system.erp) as erp, erp.transaction():
            erp.execute("INSERT INTO erp.ordhdr VALUES (%s, 'C00007', 'WB', 125001, 0, 20, 0)", [number])
            erp.execute("INSERT INTO erp.ordlin VALUES (%s, 1, %s, 'W1', %s, 0, 0, 20, 0)", [number, sku, pieces * 100])
        return number

    def stocked(self, count: int, *, pieces: int = 20, last: bool = False) -> list[str]:
        """Items that may be sold now and are counted, with so many pieces at least and no backorders; by name, first
        or last ones."""
        found = [
            sku
            for sku, atp in sorted(self.system.newest("inventory.atp.v1").items(), reverse=last)
            if atp.tracked and atp.active and not atp.backorder_limit and atp.network.available_now >= pieces
        ]
        assert len(found) >= count
        return found[:count]

    def restarts(self) -> dict[str, int]:
        """How often each process was started again."""
        return {row.name: row.restarts for row in self.system.stack.rows()}

    def running(self) -> bool:
        """Every process is there and well."""
        return all(row.state in ("ready", "running") for row in self.system.stack.rows())

    def health(self, process: str) -> dict[str, Any]:
        """The health answer of a process."""
        return ask_health(self.system.settings.data_dir, process)

    def differences(self, patience_s: float = SETTLE_S) -> list[str]:
        """The demo's audit: promise and position against hand-written SQL, the shop against the promise.

        Waits until every commit of now is in every promise, then until nothing differs or the time is up.
        """
        stopped_us = time.time_ns() // 1000
        system = self.system

        def all_promised() -> bool:
            # an idle MariaDB tells how late it is every 48 s only (docs/connectors.md, M14)
            self.wms("REPLACE INTO onhand_heartbeat (id, ts) VALUES (2, NOW(6))")
            return system.promised_up_to(stopped_us)

        self.wait("the last commit to be in every promise", all_promised, patience_s)
        with db.connect_erp(system.erp) as erp, db.connect_wms(system.wms) as wms:
            facts = read_facts(erp, wms)
        deadline = time.monotonic() + patience_s
        while True:
            promises = system.newest("inventory.atp.v1")
            today = dt.datetime.now(dt.UTC).date()
            found = [
                *compare_positions(facts, system.newest("inventory.position.v1")),
                *compare_promises(facts, promises, today),
                *compare_shop(promises, system.shop.held()),
            ]
            if not found or time.monotonic() > deadline:
                return [str(difference) for difference in found]
            time.sleep(0.5)


def _outer_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ONHAND_")}


def write_record(chain: Chain, topic: str, key: bytes | None, value: bytes) -> int:
    """One record into a topic's partition 0; its offset."""
    offsets: list[int] = []

    def delivered(error: Any, message: Any) -> None:
        assert error is None, error
        offsets.append(message.offset())

    producer = Producer({"bootstrap.servers": chain.system.settings.kafka})
    producer.produce(topic, value, key, 0, on_delivery=delivered)
    assert producer.flush(30) == 0
    return offsets[0]
