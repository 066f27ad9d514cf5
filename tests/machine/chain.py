"""The whole chain in memory: two databases, their lanes, inventory, orders and one channel, under one clock.

Every method is one thing that can happen.  `mend` is what processes and people do afterwards; then `verdict` says what
differs from the model.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from schemas.messages import BalanceMessage, OrderPartMessage
from schemas.records import Atp, ExceptionRecord, ExceptionStatus, Order
from sinks.core.answer import Outcome
from streams.core.inventory.publish import Rules
from streams.core.inventory.stage import InventoryStage
from streams.core.lane.intake import RESTART_MARGIN_US
from streams.core.lane.stage import LaneLimits, LaneStage
from streams.core.log.control import Action, Control, encode_control
from streams.core.orders.stage import OrdersStage
from streams.core.ownership import Ownership, parse_ownership
from tests.machine import model
from tests.machine.judge import Judge, said
from tests.machine.shop import SETTLE_S, Shop
from tests.machine.sources import DAY_ZERO, MAPPINGS, NEVER, TABLES, Change, Database, Truth
from tests.machine.world import PARTITIONS, Kafka, Loop, Process

NOON_US = 1_795_478_400_000_000
"""2026-11-24T00:00:00Z."""
SECOND_US = 1_000_000
OWNERS = (
    model.Owners(),
    model.Owners(closed="2"),
    model.Owners(shipped="erp"),
    model.Owners(closed="1", shipped="erp", carts=False),
)
"""Who may own what: a place, a source and a bucket change hands."""
LIMITS = LaneLimits(transaction_rows=8, truncate_hold_s=4)
SKUS = ("A", "B", "C", "D", "K")
encode = msgspec.msgpack.Encoder().encode
_DECODERS = {
    "onhand.balance.v1": msgspec.msgpack.Decoder(BalanceMessage).decode,
    "onhand.order-part.v1": msgspec.msgpack.Decoder(OrderPartMessage).decode,
}
JUDGED = ("oversell", "kit-nested", "inbound-overdue")
"""What the rows alone give cause for; drift needs time, too."""
MENDED = ("snapshot-required", "position-space-changed", "snapshot-incomplete")


def ownership_of(owners: model.Owners) -> Ownership:
    """The file that says so."""
    closed = "".join(f", {version}{owners.closed}: []" for version in "WV" if owners.closed)
    return parse_ownership(f"""
items: [erp]
locations: [erp]
inventory: {{on_hand: {{"*": [wms]{closed}}}, on_hold: [wms], safety_stock: [erp], demand: [erp],
            fulfilled: [{"wms, erp" if owners.shipped == "wms" else "erp, wms"}], inbound: [erp], received: [wms],
            reserved: [{"erp" if owners.carts else ""}]}}
orders: {{header: [erp], lines: [erp], shipments: [erp]}}
""")


RULES = {owners: Rules(ownership_of(owners), horizon_days=90, grace_days=7) for owners in OWNERS}


def encoded(topic: str, record: msgspec.Struct) -> bytes:
    """msgpack instead of Avro: the codec has tests of its own."""
    return encode(record)


def decoded(topic: str, value: bytes) -> Any:
    return _DECODERS[topic](value)


FINGERPRINTS = {
    InventoryStage(rules, decoded, encoded, PARTITIONS).fingerprint: owners for owners, rules in RULES.items()
}


class Chain:
    """Everything, with the clock in `now_us`."""

    def __init__(self) -> None:
        self.now_us = NOON_US
        self.loop = Loop()
        self.disturbed: set[str] = set()
        self.databases: dict[str, Database] = {}
        self.owners = OWNERS[0]
        """As the file says now; a process of inventory has it from its next start on."""
        self.judge = Judge(self.databases, self._settled, self.disturbed, FINGERPRINTS)
        self.kafka = Kafka(self._clock, self.judge.watch)
        self.mapping = dict.fromkeys(TABLES, 1)
        """Mapping of the lane's process; the log may not have switched to it yet."""
        for source in TABLES:
            self.databases[source] = Database(source, self._clock, self._writer(source))
        made: dict[str, tuple[Callable[[], Any], int]] = {
            "lane-erp-0": (lambda: self._lane("erp"), 0),
            "lane-wms-0": (lambda: self._lane("wms"), 0),
            "inventory-0": (self._inventory, 0),
            "inventory-1": (self._inventory, 1),
            "orders-0": (lambda: OrdersStage(RULES[OWNERS[0]].ownership, frozenset({"erp"}), encoded, decoded, {}), 0),
        }
        self.processes = {
            name: Process(name, stage, partition, self.kafka, self.loop, self._clock)
            for name, (stage, partition) in made.items()
        }
        self.receipts = 0
        """Number of the last receipt: an archived one does not come back."""
        self.shop = Shop(self.kafka, self._clock)
        for process in self.processes.values():
            process.take_over()

    def close(self) -> None:
        self.loop.close()

    def _clock(self) -> int:
        return self.now_us

    def _lane(self, source: str) -> LaneStage:
        def on_topic() -> list[str]:
            return [key for key in self.exceptions() if key.startswith(f"lane/{source}/")]

        return LaneStage(source, MAPPINGS[source, self.mapping[source]], encoded, LIMITS, on_topic)

    def _inventory(self) -> InventoryStage:
        return InventoryStage(RULES[self.owners], decoded, encoded, PARTITIONS, "promises")

    def _writer(self, source: str) -> Callable[[bytes | None, bytes | None], int]:
        return lambda key, value: self.kafka.append(f"cdc.{source}", 0, [(key, value)], [])  # type: ignore[list-item]

    def _settled(self, partition: int, key: bytes) -> bytes | None:
        return self.processes[f"inventory-{partition}"].disks[0].get(key)

    @property
    def today(self) -> int:
        return (dt.datetime.fromtimestamp(self.now_us / SECOND_US, dt.UTC).date() - DAY_ZERO).days

    # -- what happens

    def commit(self, source: str, changes: Iterable[Change], *, end: bool = True) -> None:
        self.now_us += 1_000
        self.databases[source].commit(changes, end=end)

    def control(self, source: str, action: Action, identity: str = "", fingerprint: str = "") -> int:
        """An order of a person, written into the source log."""
        key, value = encode_control(Control(action=action, id=identity, fingerprint=fingerprint))
        return self.kafka.append(f"cdc.{source}", 0, [(key, value)], [])

    def switch(self, source: str) -> None:
        """From here on the other mapping counts: the log says so, and the lane's process is started with it."""
        version = self.mapping[source] = 3 - self.mapping[source]
        database = self.databases[source]
        offset = self.control(source, Action.MAPPING, fingerprint=MAPPINGS[source, version].fingerprint.hex())
        database.rule = {1: {"times": version if source == "erp" else 1}}
        standing = database.truth.at(offset)
        if source == "erp":
            database.truth.add(offset + 1, None if standing is None else {**standing, "rule": database.rule})
        self.processes[f"lane-{source}-0"].take_over()

    def change_owners(self, owners: model.Owners, first: Iterable[int]) -> None:
        """The file changes, and these processes of inventory are started with it at once."""
        self.owners = owners
        for partition in first:
            self.processes[f"inventory-{partition}"].take_over()

    def poison(self, source: str, table: str, key: int) -> None:
        """Somebody writes bytes into the log that cannot be read, under the key of a row."""
        self.disturbed.add(source)
        self.kafka.append(f"cdc.{source}", 0, [(msgspec.json.encode({"id": key}), b"\xff\x00")], [])

    def pass_time(self, seconds: int) -> None:
        """Time passes; everybody who lives notices."""
        self.now_us += seconds * SECOND_US
        self.shop.land()
        self.shop.follow()
        for process in self.processes.values():
            process.tick()

    def lose_state(self, source: str, *, cut: bool) -> None:
        """A lane's changelog is gone; with `cut` the log's beginning too, so only a snapshot can tell the rows."""
        process, database = self.processes[f"lane-{source}-0"], self.databases[source]
        self.kafka.drop(process.changelog)
        process.former.clear()
        process.late.clear()
        if cut:
            self.kafka.cut(f"cdc.{source}", 0, self.kafka.ends[f"cdc.{source}", 0])
            database.archived = {}
            database.truth = Truth([0, 0], [{**database.now()}, None])
        process.committed = 0
        process.take_over()

    # -- running

    def flow(self, limit: int = 200, batch: int = 50) -> None:
        """Let everybody work until nothing is left to do; the dead are replaced."""
        for _ in range(limit):
            busy = False
            for process in self.processes.values():
                if process.owner is None:
                    self._explain(process)
                    process.take_over()
                    busy = True
                while process.work(batch):
                    busy = True
                if process.has_more:
                    process.tick()
                    busy = True
            if not busy:
                return
        self.judge.wrong.append("the chain does not come to rest")

    def digest(self, source: str, limit: int = 50) -> None:
        """What a lane has read goes on, as far as inventory, while its log stands still."""
        lane, others = self.processes[f"lane-{source}-0"], [self.processes[f"inventory-{n}"] for n in range(PARTITIONS)]
        for _ in range(limit):
            busy = False
            for process in (lane, *others):
                if process is not lane and process.work(50):
                    busy = True
                if process.has_more:
                    process.tick()
                    busy = True
            if not busy:
                return

    def _explain(self, process: Process) -> None:
        """A process may only stop for a reason that is known."""
        reason, process.error = process.error, ""
        if "log switches to mapping" in reason:
            self.now_us += RESTART_MARGIN_US + SECOND_US  # it is started again until the switch is history
        if reason and not any(known in reason for known in ("another process wrote", "log switches to mapping")):
            self.judge.wrong.append(f"{process.name} stopped: {reason}")

    def tell(self, count: int = 1 << 30) -> None:
        """The channel takes everything."""
        idle = 0
        while idle <= len(self.shop.workers) and count > 0:
            pushed = self.shop.push(Outcome.ACCEPTED, lands_s=None, dies=False, turn=count)
            idle, count = (idle + 1 if pushed is None else 0), count - 1

    def exceptions(self) -> dict[str, ExceptionRecord]:
        """Open ones, by id."""
        newest: dict[str, ExceptionRecord] = {}
        for record in self.kafka.since("exception.v1", 0, 0):
            if record.value is not None:
                found = msgspec.msgpack.decode(record.value, type=ExceptionRecord)
                if found.version >= (newest[found.id].version if found.id in newest else 0):
                    newest[found.id] = found
        return {key: found for key, found in newest.items() if found.status is ExceptionStatus.OPEN}

    # -- until nothing is left to do

    def mend(self) -> None:
        """Faults are over: what is on the way lands, processes run, people do what exceptions ask for."""
        read_anew: set[str] = set()
        for process in self.processes.values():
            process.fault, process.skew_us = None, 0
            while process.former:
                process.wake(50)
            process.land()
        self.change_owners(self.owners, [n for n, owners in self.judge.owners.items() if owners != self.owners])
        for _ in range(6):
            for database in self.databases.values():
                if database.reading is not None:
                    database.end_reading(frozenset())
                self.now_us += SECOND_US
                database.heartbeat(action=True)
                database.copy(1 << 30)
            self.flow()
            self.pass_time(1)
            self.flow()
            if not self._act(read_anew):
                break
        for _ in range(LIMITS.truncate_hold_s):
            self.pass_time(1)
        for database in self.databases.values():
            database.heartbeat(action=True)
            database.copy(1 << 30)
        self.flow()
        self._settle_shop()

    def _act(self, read_anew: set[str]) -> bool:
        """People do what open exceptions ask for; False: none does.  `read_anew`: sources snapshotted because of it."""
        acted, anew = False, set[str]()
        for identity, found in self.exceptions().items():
            if found.stage != "lane":
                continue
            if found.code == "sweep-waits":
                self.control(found.source, Action.RELEASE, identity)
                acted = True
            elif found.code == "poison-record":
                self.control(found.source, Action.CLOSE, identity)
                acted = True
            elif found.code == "row-unmappable":  # two items have one code now, and a kit would be made of itself
                self.commit("erp", [("delete", "kit", int(found.subject[len("s.kit [") : -1]), {})])
                acted = True
            elif found.code in MENDED:
                if found.source in read_anew:
                    self.control(found.source, Action.CLOSE, identity)
                anew.add(found.source)
                acted = True
        for source, database in self.databases.items():
            if database.passing == NEVER or not database.truth.ever(NEVER):
                anew.add(source)
            if not any(
                found.code == "poison-record" and found.source == source for found in self.exceptions().values()
            ):
                self.disturbed.discard(source)
        for source in anew - read_anew:
            self.databases[source].snapshot()
        read_anew |= anew
        return acted or bool(anew)

    def _settle_shop(self) -> None:
        shop = self.shop
        shop.change_rule(int(shop.rule.buffer))
        shop.refuses.clear()
        self.now_us += SETTLE_S * SECOND_US
        shop.land()
        shop.wake()
        self.now_us += SECOND_US
        for found in self.exceptions().values():
            if found.code == "channel-disabled":
                shop.resume()
            elif found.code.startswith("channel-item-"):
                shop.retry(found.subject)
        for _ in range(12):
            self.now_us += SETTLE_S * SECOND_US
            self.tell()

    # -- judging

    def latest(self, topic: str, type_: Any) -> dict[str, Any]:
        """Newest record per key by its place in the topic, as a new reader finds it."""
        newest: dict[str, Any] = {}
        for partition in range(PARTITIONS):
            for record in self.kafka.since(topic, partition, 0):
                newest[(record.key or b"").decode()] = record.value
        return {k: None if v is None else msgspec.msgpack.decode(v, type=type_) for k, v in newest.items()}

    def verdict(self) -> list[str]:
        """At rest: what differs from the model."""
        wrong = [*self.judge.wrong, *self.shop.wrong]
        erp, wms = self.databases["erp"].now(), self.databases["wms"].now()
        promises, orders = self.latest("inventory.atp.v1", Atp), self.latest("order.v1", Order)
        expects = {sku: model.promise(erp, wms, sku, self.today, self.owners) for sku in SKUS}
        wrong += self._exceptions_differ(
            {
                *(("oversell", sku) for sku, expected in expects.items() if expected < 0),
                *(("kit-nested", sku) for sku in model.nested(erp)),
                *(("inbound-overdue", f"{sku}/*") for sku in model.overdue(erp, wms, self.today)),
            }
        )
        for sku, expected in expects.items():
            atp = promises.get(sku)
            stands = 0 if atp is None else atp.network.available_now
            if stands != expected or (atp is not None and (not atp.complete or atp.uncertain)):
                wrong.append(f"{sku}: {stands} stands, the rows say {expected}: {atp}")
            version, held = self.shop.channel.holds.get(sku, (0, {}))
            offered = max(Decimal(0), expected - self.shop.rule.buffer)
            if held.get("*", 0) != offered or (atp is not None and version != atp.version):
                wrong.append(f"{sku}: the shop holds {held} of {version}, {offered} was to be told: {atp}")
        for key in {int(name[3:]) for name in orders} | set(erp["sale"]):
            if said(orders.get(f"SO-{key}")) != model.order(erp, key):
                wrong.append(f"SO-{key}: {orders.get(f'SO-{key}')} stands, the rows say {model.order(erp, key)}")
        wrong += self._leftovers()
        return wrong

    def _exceptions_differ(self, wanted: set[tuple[str, str]]) -> list[str]:
        """`wanted`: (code, subject) of what the rows give cause for."""
        wrong, found = [], set[tuple[str, str]]()
        for identity, record in self.exceptions().items():
            if record.stage in ("lane", "channel") and record.code != "lookup-missing":
                wrong.append(f"still open: {identity}")
            elif record.code in JUDGED:
                if (record.code, record.subject) in found:
                    wrong.append(f"open under two names: {identity}")
                found.add((record.code, record.subject))
        return [*wrong, *(f"open or not: {each}" for each in sorted(found ^ wanted))]

    def _leftovers(self) -> list[str]:
        """Work lists are empty, and each state is what a new machine would build from the changelog."""
        wrong = []
        for name, process in self.processes.items():
            disk = process.disks[0]
            if name.startswith("lane") and (left := [key for key in disk if key[:1] in b"qzwy"]):
                wrong.append(f"{name}: left over {left}")
            warm = dict(disk)
            process.where = "empty"
            process.take_over()
            cold = process.disks[0]
            if warm != cold:
                different = {key for key in warm.keys() | cold.keys() if warm.get(key) != cold.get(key)}
                wrong.append(f"{name}: store and changelog differ in {sorted(different)[:5]}")
        if any(len(worker.desk) for worker in self.shop.workers):
            wrong.append("the channel has still something to tell")
        return wrong

    def unbounded(self) -> list[str]:
        """Queues that grew beyond their bound."""
        wrong = []
        for name, process in self.processes.items():
            if process.owner is not None and len(process.owner._held) > 2_000:
                wrong.append(f"{name} holds {len(process.owner._held)} records")
        for worker in self.shop.workers:
            book = worker.desk.book
            if len(book.dirty) > len(book.tellings) or len(worker.desk) > 2 * len(book.tellings):
                wrong.append(f"{len(worker.desk)} keys wait, there are {len(book.tellings)}")
        return wrong
