"""Random histories against a dictionary: resends from anywhere, lane crashes at every durable step, snapshots with
changes that were missed, TRUNCATE, key changes, lookups that come late, change and go, and transactions in parts.

Two things are held.  At the end every balance is what the rows say.  At every moment a receiver sees whole
transactions: goods move between two rows of item Z within transactions, so Z's total never changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from schemas.messages import BalanceMessage
from streams.core.lane import fold, intake, owed, snapshots, stage, state, worklists
from streams.core.lane.stage import LaneLimits
from streams.core.log.control import Action
from streams.core.log.event import Event, decode_event
from streams.core.log.resend import Mark, Verdict
from streams.core.mapping.model import Posting
from streams.core.unit import InputRecord
from tests.memory import run_with_crashes
from tests.slices import work_in_slices
from tests.unit.lane.conftest import Lane, demand_row, item_row, stock_row
from tests.unit.lane.toy import ToyMapping, tables

Z_TOTAL = Decimal(100)
HOLD_S = 2
Key = tuple[str, str, str, str | None]
Rows = dict[str, dict[int, dict[str, Any]]]


def oracle(rows: Rows) -> dict[Key, Decimal]:
    """Every balance, straight from the rows."""
    sums: dict[Key, Decimal] = {}
    items, factors = rows["toy.item"], rows["toy.factor"]
    for row in rows["toy.stock"].values():
        if row["item"] in items:
            key: Key = (items[row["item"]]["code"], row["location"], "on_hand", None)
            sums[key] = sums.get(key, Decimal(0)) + Decimal(row["quantity"])
    for identity, row in rows["toy.demand"].items():
        value = Decimal(1)
        factor = factors.get(row["factor"])
        if factor is not None:
            value *= Decimal(factor["value"])
            parent = factors.get(factor["parent"])
            if parent is not None:
                value *= Decimal(parent["value"])
        sums[row["item_code"], "*", "demand", f"SO-{identity}"] = Decimal(row["quantity"]) * value
    return sums


def doubled(sums: dict[Key, Decimal]) -> dict[Key, Decimal]:
    """The same under the mapping that doubles demand."""
    return {key: value * 2 if key[2] == "demand" else value for key, value in sums.items()}


class History:
    """Writes random business into a log, and keeps what the database then holds."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lane = Lane(
            limits=LaneLimits(transaction_rows=8, waits_after_s=10**6, truncate_hold_s=HOLD_S),
            batch=self.random.choice((3, 17, 200)),
        )
        self.rows: Rows = {name: {} for name in tables()}
        self.rows["toy.item"] = {0: item_row(0, "Z"), 1: item_row(1, "A"), 2: item_row(2, "B")}
        self.rows["toy.stock"] = {0: stock_row(0, 0, "60", "W1"), 1: stock_row(1, 0, "40", "W2")}
        self.serial = 10
        self.resendable = 0
        """First record that a crashed connector may send again: behind the last snapshot."""
        self.settled = 0

    def switch_mapping(self) -> None:
        """Another mapping, that doubles demand, counts from a control record on; its worker may come before or after
        it, and another transaction between."""
        made = tables()
        before = made["toy.demand"]._evaluate
        assert before is not None
        made["toy.demand"]._evaluate = lambda *row: [
            output._replace(quantity=output.quantity * 2) for output in before(*row) if isinstance(output, Posting)
        ]
        self.transaction()
        self.lane.mapping = ToyMapping(made, b"\2" * 32)
        self.lane.runtime.restart()
        if self.random.random() < 0.5:
            self.lane.feed()
            self.lane.runtime.run()
        self.lane.control(Action.MAPPING, fingerprint=(b"\2" * 32).hex())
        self.resendable = len(self.lane.log.records)

    def play(self, steps: int) -> None:
        if not self.resendable or self.random.random() < 0.3:
            self.snapshot()
        for _ in range(steps):
            if self.random.random() < 0.05:
                self.snapshot()
            elif self.random.random() < 0.1:
                self.read_again()
            else:
                self.transaction()
            if self.random.random() < 0.3:
                self.resend()
            if self.random.random() < 0.1:
                self.lane.log.heartbeat()
            if self.random.random() < 0.5:
                self.work()
        self.lane.log.transaction(("u", "toy.item", self.rows["toy.item"][0]))
        self.work()
        self.lane.runtime.tick(HOLD_S)

    def work(self) -> None:
        self.lane.feed()
        run_with_crashes(self.lane.runtime, [self.random.randrange(12) for _ in range(self.random.randrange(3))])

    # -- the database and its connector

    def snapshot(self) -> None:
        """A full one; before a repeated one, changes may have been missed."""
        if self.resendable:
            for table in ("toy.stock", "toy.demand", "toy.factor"):
                for key in [k for k in self.rows[table] if k > 1 and self.random.random() < 0.3]:
                    del self.rows[table][key]
        content = {table: list(rows.values()) for table, rows in self.rows.items()}
        if self.random.random() < 0.3:
            self.lane.log.snapshot(content, complete=False)
        names = self.random.sample(list(content), len(content))
        self.lane.log.snapshot(content, names=names, row_early=self.random.random() < 0.5)
        self.resendable = len(self.lane.log.records)

    def read_again(self) -> None:
        """An incremental snapshot of a table of which changes may have been missed, beside the stream."""
        table = self.random.choice(("toy.stock", "toy.demand", "toy.factor"))
        for key in [k for k in self.rows[table] if k > 1 and self.random.random() < 0.3]:
            del self.rows[table][key]
        self.lane.log.begin_reading(table)
        if self.random.random() < 0.5:
            self.work()
        before = dict(self.rows[table])
        if self.random.random() < 0.5:
            self.transaction()
        scanned = {key: row for key, row in self.rows[table].items() if key in before}
        brought = [row for key, row in scanned.items() if row is before[key]]  # the rest the stream has told
        self.lane.log.read_again(table, brought, scanned=len(scanned))
        self.resendable = len(self.lane.log.records)

    def resend(self) -> None:
        """The connector crashes, perhaps inside its last transaction, and repeats a stretch that began anywhere."""
        records = self.lane.log.records
        lost = self.random.randrange(min(6, len(records) - self.resendable) + 1)
        again = self.random.randrange(min(25, len(records) - self.resendable) + 1)
        if len(records) - lost >= self.lane.fed:
            repeated = records[len(records) - max(again, lost) :]
            if lost:
                del records[len(records) - lost :]
            records.extend(repeated)
            self.resendable = len(records) - len(repeated)

    def transaction(self) -> None:
        changes: list[tuple[str, str, dict[str, Any] | None]] = []
        moved = self.random.randrange(1, 5)
        for identity, by in ((0, -moved), (1, moved)):
            row = self.rows["toy.stock"][identity]
            row = {**row, "quantity": str(Decimal(row["quantity"]) + by)}
            self.rows["toy.stock"][identity] = row
            changes.append(("u", "toy.stock", row))
            for _ in range(self.random.choice((0, 1, 2, 12))):
                self.change(changes)
        self.lane.log.transaction(*changes)

    def change(self, changes: list[tuple[str, str, dict[str, Any] | None]]) -> None:
        pick = self.random.random()
        if pick < 0.3:
            self.write(changes, "toy.stock", self.stock_row)
        elif pick < 0.6:
            self.write(changes, "toy.demand", self.demand_row)
        elif pick < 0.75:
            self.write(changes, "toy.factor", self.factor_row)
        elif pick < 0.9:
            self.write(changes, "toy.item", lambda i: item_row(i, self.random.choice("ABCD") + str(i)))
        elif pick < 0.93:
            changes.append(("t", "toy.demand", None))
            self.rows["toy.demand"].clear()
        else:
            self.change_key(changes)

    def write(
        self,
        changes: list[tuple[str, str, dict[str, Any] | None]],
        table: str,
        row: Callable[[int], dict[str, Any]],
    ) -> None:
        rows = self.rows[table]
        known = [key for key in rows if key > 1]
        if known and self.random.random() < 0.4:
            key = self.random.choice(known)
            del rows[key]
            changes.append(("d", table, {"id": key}))
            return
        key = self.random.choice(known) if known and self.random.random() < 0.6 else self.random.randrange(2, 9)
        changes.append(("u" if key in rows else "c", table, row(key)))
        rows[key] = changes[-1][2] or {}

    def change_key(self, changes: list[tuple[str, str, dict[str, Any] | None]]) -> None:
        known = [key for key in self.rows["toy.stock"] if key > 1]
        if known:
            old = self.random.choice(known)
            self.serial += 1
            row = {**self.rows["toy.stock"].pop(old), "id": self.serial}
            self.rows["toy.stock"][self.serial] = row
            changes.extend((("d", "toy.stock", {"id": old}), ("c", "toy.stock", row)))

    def stock_row(self, identity: int) -> dict[str, Any]:
        return stock_row(identity, self.random.randrange(1, 4), str(self.random.randrange(9)), "W3")

    def demand_row(self, identity: int) -> dict[str, Any]:
        factor = self.random.choice((None, 2, 3, 4))
        return demand_row(identity, self.random.choice("AB"), str(self.random.randrange(9)), factor)

    def factor_row(self, identity: int) -> dict[str, Any]:
        return {
            "id": identity,
            "value": str(self.random.randrange(1, 5)),
            "parent": self.random.choice((None, 2, 3, 4)),
        }


def totals_seen(history: list[BalanceMessage]) -> set[Decimal]:
    """Z's total over locations after each message, once it was complete."""
    seen: set[Decimal] = set()
    at: dict[str, Decimal] = {}
    for message in history:
        if message.kind == "balances" and message.sku == "Z":
            for balance in message.balances:
                at[balance.location] = balance.quantity
            seen.add(sum(at.values(), Decimal(0)))
    return seen


def judge(seed: int, steps: int = 14, switch_after: int | None = None) -> list[str]:
    """What is wrong after a history; empty: nothing."""
    history = History(seed)
    wrong = []
    if switch_after is not None:
        history.play(switch_after)
        history.switch_mapping()
        received, expected = history.lane.run(), doubled(oracle(history.rows))
        if received.quantities() != expected:
            wrong.append(f"at the switch the receiver {received.quantities()} is not {expected}")
    history.play(steps)
    received = history.lane.received()
    expected = oracle(history.rows) if switch_after is None else doubled(oracle(history.rows))
    if received.quantities() != expected:
        wrong.append(f"receiver {received.quantities()} is not {expected}")
    if totals_seen(received.history) != {Z_TOTAL}:
        wrong.append(f"totals of Z: {totals_seen(received.history)}")
    if received.progress is None or not received.progress.complete or received.progress.holding:
        wrong.append(f"progress {received.progress}")
    if history.lane.exceptions():
        wrong.append(f"exceptions {list(history.lane.exceptions())}")
    sums = {key for key in history.lane.runtime.state() if key.startswith(b"s")}
    if len(sums) != len(expected):
        wrong.append(f"{len(sums)} sums in the state, {len(expected)} balances")
    if left := [key for key in history.lane.runtime.state() if key[:1] in b"qzwpxky"]:
        wrong.append(f"left over: {left}")
    return wrong


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few rows take every way."""
    monkeypatch.setattr(snapshots, "SWEEP_SHARE", 1.0)
    work_in_slices(monkeypatch)


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_with_another_mapping_on_the_way(seed: int) -> None:
    assert judge(seed, switch_after=seed % 8) == []


@pytest.mark.parametrize("seed", range(60))
def test_random_histories_end_as_the_rows_say_and_never_show_half(seed: int) -> None:
    assert judge(seed) == []


def never_resent(self: Mark, event: Event) -> Verdict:
    return Verdict.FRESH


def load_without_mark(memo: bytes) -> state.Memo:
    loaded = state.load_memo(memo)
    loaded.mark = Mark()
    return loaded


def without_transaction(record: InputRecord) -> Event:
    event = DECODE(record)
    event.transaction = None
    return event


DECODE = decode_event


def nothing(*args: Any, **more: Any) -> None:
    return None


def never(*args: Any) -> bool:
    return False


def no_sku(self: Any, key: bytes, stamp: owed.Stamp) -> None:
    if not key.startswith(b"Z"):
        return
    BALANCE(self, key, stamp)


BALANCE = owed.Dirty.balance


def skip_evaluating(self: worklists.WorkLists, cursor: bytes) -> None:
    self._evaluate_next(())


GUARDS: dict[str, tuple[Any, str, Any]] = {
    "resends are dropped": (Mark, "judge", never_resent),
    "the mark survives a crash": (stage, "load_memo", load_without_mark),
    "transactions are whole": (stage, "decode_event", without_transaction),
    "parts of a transaction leave at its end": (stage, "blocked", never),
    "dependents of a lookup are evaluated again": (fold.Fold, "reassert", nothing),
    "the rest of a fan-out is remembered": (fold.Fold, "_reassert_later", nothing),
    "truncate withdraws": (intake.Intake, "_truncate", nothing),
    "a repeated snapshot sweeps": (snapshots.Snapshots, "_sweep", nothing),
    "an incremental snapshot sweeps": (snapshots.Snapshots, "_begin_reading", nothing),
    "changed balances leave": (owed.Dirty, "balance", no_sku),
    "the log passes a repeated snapshot": (snapshots.Snapshots, "passed", nothing),
    "what a snapshot only stored is evaluated": (worklists.WorkLists, "_evaluate", skip_evaluating),
    "owed outputs are drained": (worklists, "drain", lambda state: ([], False)),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_the_fuzz_finds_a_broken_guard(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, broken = GUARDS[guard]
    monkeypatch.setattr(owner, name, broken)
    for seed in range(60):
        try:
            if judge(seed):
                return
        except (AssertionError, KeyError, IndexError):
            return
    pytest.fail(f"60 histories and nobody noticed: {guard}")
