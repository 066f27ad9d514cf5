"""The state machine: what may happen to the chain, in any order, and what must hold after each step and at rest."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sinks.core.answer import Outcome
from streams.core.lane.stage import TICK_US
from streams.core.log.control import Action
from tests.machine.business import START, Code, changes_of
from tests.machine.chain import OWNERS, SECOND_US, SKUS, Chain
from tests.machine.model import Owners
from tests.machine.sources import NEVER, TABLES, Truth
from tests.machine.world import Fault, How, Where
from tests.slices import PARTED, work_in_slices

SOURCES = st.sampled_from(("erp", "wms"))
CODES = st.lists(st.tuples(st.integers(0, 29), st.integers(1, 6), st.integers(0, 9)), min_size=1, max_size=4)
PROCESSES = st.sampled_from(("lane-erp-0", "lane-wms-0", "inventory-0", "inventory-1", "orders-0"))
SMALL = st.integers(0, 7)
HOWS = st.sampled_from(("before", "after", "late", "torn"))
WHERES = st.sampled_from(("here", "empty", "older"))
OUTCOMES = st.sampled_from((*Outcome, Outcome.ACCEPTED, Outcome.ACCEPTED))
SKIPPED = st.sampled_from(("", "", "line", "bin"))
LANDINGS = st.sampled_from((None, 0, 15))
NOTHING: list[Code] = []
STEPS = st.sampled_from((0, 0, 400, -400, 4_000, -4_000))
SECONDS = st.sampled_from((1, 20, 400, 3_700, 86_400, 3 * 86_400))


class ChainMachine(RuleBasedStateMachine):
    """Rules are plain calls with plain numbers, so that a test can play a sequence by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain()
        self.stopped: list[str] = []
        """Why lanes stopped for a person."""
        self._patch = pytest.MonkeyPatch()

    # -- the beginning

    @initialize(complete=st.booleans(), slices=st.booleans())
    def begin(self, complete: bool = True, slices: bool = False) -> None:
        """Rows, and a first snapshot of both sources; or the ERP's still to come.  `slices`: every list of work is done
        in small ones."""
        chain = self.chain
        if slices:
            work_in_slices(self._patch, PARTED)
        for source in TABLES:
            chain.commit(source, changes_of(chain, source, START[source]))
        chain.databases["wms"].snapshot()
        if complete:
            chain.databases["erp"].snapshot()
        for database in chain.databases.values():
            database.heartbeat(action=True)
            database.copy(99 if complete or database.name == "wms" else 0)
        chain.flow()

    # -- sources

    @rule(source=SOURCES, codes=CODES, copies=st.sampled_from((0, 3, 99)), flows=st.booleans())
    def transaction(self, source: str, codes: list[Code], copies: int = 99, flows: bool = True) -> None:
        if changes := changes_of(self.chain, source, codes):
            self.chain.commit(source, changes)
        self.connector(source, copies, flows)

    @rule(source=SOURCES, codes=CODES, how=SMALL, flows=st.booleans())
    def large_transaction(self, source: str, codes: list[Code], how: int = 0, flows: bool = True) -> None:
        """Above the bound: it settles in several units."""
        many = [(what, key + n, (value + how + n) % 10) for n in range(4) for what, key, value in codes]
        self.transaction(source, [*many, *codes], 99, flows)

    @rule(erp=st.booleans(), reload=st.booleans(), at_once=st.booleans(), step_s=STEPS)
    def truncate(self, erp: bool, reload: bool = True, at_once: bool = True, step_s: int = 0) -> None:
        """Demand is emptied and inserted again, in one transaction or with commits between; or bins are emptied.
        `step_s`: the lane's clock is set meanwhile."""
        source, table = ("erp", "line") if erp else ("wms", "bin")
        chain, rows = self.chain, dict(self.chain.databases[source].rows["line" if erp else "bin"])
        again = [("put", table, key, row) for key, row in rows.items()] if reload else []
        if erp and at_once:
            chain.commit("erp", [("truncate", "line", 0, {}), *again])  # type: ignore[list-item]
        else:
            chain.commit(source, [("truncate", table, 0, {})], end=erp)
            self.connector(source, 99, True)
            self.step_clock(source, step_s)
            for change in again:
                self.connector(source, 99, True)
                chain.commit(source, [change])  # type: ignore[list-item]
        self.connector(source, 99, True)

    def step_clock(self, source: str, seconds: int) -> None:
        """The clock of a lane's machine is set: what was held is held still, whatever has become of time."""
        process, last, told = (
            self.chain.processes[f"lane-{source}-0"],
            self.chain.judge.last_unit,
            self.chain.judge.told,
        )
        memo = last[source].memo if source in last else None
        held = memo is not None and any(t.held_until_us > memo.passed_us + TICK_US for t in memo.tables.values())
        before = {sku: atp.network.available_now for sku, atp in told.items() if atp.complete}
        process.skew_us += seconds * SECOND_US
        process.tick()
        self.chain.flow()
        process.skew_us -= seconds * SECOND_US
        rose = {sku for sku, available in before.items() if told[sku].network.available_now > available}
        assert not (held and rose), f"{rose} rise while truncated rows of {source} are awaited"

    @rule(source=SOURCES, count=st.sampled_from((1, 2, 5, 99)), flows=st.booleans())
    def connector(self, source: str, count: int = 99, flows: bool = True) -> None:
        self.chain.databases[source].copy(count)
        if flows:
            self.chain.flow()

    @rule(source=SOURCES, one=CODES, two=CODES, back=st.integers(1, 20), counts=st.lists(st.integers(1, 6), max_size=3))
    def resend(self, source: str, one: list[Code], two: list[Code], back: int, counts: list[int]) -> None:
        """The connector crashes, perhaps inside a transaction, and sends a stretch again, bit by bit."""
        for codes in (one, two):
            if codes:
                self.transaction(source, codes)
        self.chain.databases[source].resend(back)
        for count in counts:
            self.connector(source, count, True)

    @rule(source=SOURCES)
    def heartbeat(self, source: str) -> None:
        """Also inside a transaction."""
        self.chain.databases[source].heartbeat(action=False)

    @rule(
        source=SOURCES,
        missed=CODES,
        older_slot=st.sampled_from((0, 0, 12)),
        skipped=st.sampled_from(("", "", "line", "bin")),
    )
    def snapshot(self, source: str, missed: list[Code] = NOTHING, older_slot: int = 0, skipped: str = "") -> None:
        """A full one, perhaps after changes that no log tells, beside an older slot, or without a table."""
        database = self.chain.databases[source]
        if not database.truth.ever(NEVER):
            older_slot = 0  # a first one is believed at its end
        if not older_slot:
            database.missed(changes_of(self.chain, source, missed))
        skipped = skipped if skipped in TABLES[source] else ""
        database.snapshot(older_slot=older_slot, skipped=skipped)
        self.connector(source, 0, True)

    @rule(source=SOURCES, which=SMALL, missed=CODES, between=CODES)
    def read_again(self, source: str, which: int, missed: list[Code] = NOTHING, between: list[Code] = NOTHING) -> None:
        """An incremental snapshot of one table, beside the stream."""
        chain, database = self.chain, self.chain.databases[source]
        if database.reading is not None or database.passing == NEVER or not database.truth.ever(NEVER):
            return
        database.copy(99)
        table = list(TABLES[source])[which % len(TABLES[source])]
        database.missed(c for c in changes_of(chain, source, missed) if c[1] == table)
        database.begin_reading(table)
        chain.flow()
        before = dict(database.rows[table])
        if between:
            chain.commit(source, changes_of(chain, source, between))
            database.copy(99)
        database.end_reading(frozenset(k for k, row in database.rows[table].items() if before.get(k) is not row))
        chain.flow()

    @rule(source=SOURCES, back=SMALL, codes=CODES)
    def restore(self, source: str, back: int, codes: list[Code]) -> None:
        """From a backup: older rows, positions that begin anew, and business goes on."""
        chain, database = self.chain, self.chain.databases[source]
        if not database.truth.ever(NEVER) or database.reading is not None:
            return
        database.copy(99)
        states = list(database.states.values())
        chain.pass_time(60)
        database.restore(states[max(0, len(states) - 1 - back)])
        self.transaction(source, codes)

    @rule(source=SOURCES)
    def switch_mapping(self, source: str) -> None:
        self.chain.switch(source)
        self.chain.flow()

    @rule(source=SOURCES)
    def restate(self, source: str) -> None:
        """A person orders it."""
        self.chain.control(source, Action.RESTATE)
        self.chain.flow()

    @rule(source=SOURCES, key=st.integers(1, 3), codes=CODES)
    def poison(self, source: str, key: int, codes: list[Code]) -> None:
        """Bytes that cannot be read under a row's key; what comes with that key waits."""
        self.chain.poison(source, "bin", key)
        self.transaction(source, codes)

    @rule(source=SOURCES)
    def close_poison(self, source: str) -> None:
        """A person gives the bytes up; what waited behind them counts, though its offsets are old."""
        for identity, found in self.chain.exceptions().items():
            if found.code == "poison-record" and found.source == source:
                self.chain.control(source, Action.RETRY, identity)
                self.chain.control(source, Action.CLOSE, identity)
        self.chain.flow()

    # -- processes

    def crash(self, process: str, steps: int, how: How = "before") -> None:
        """It will die before one of its next durable steps."""
        self.chain.processes[process].fault = Fault(steps, how)

    @rule(process=PROCESSES, steps=SMALL, how=HOWS, where=WHERES, source=SOURCES, codes=CODES, flows=st.booleans())
    def transaction_and_crash(
        self, process: str, steps: int, how: How, where: Where, source: str, codes: list[Code], flows: bool
    ) -> None:
        """A process dies at one of the steps that a transaction makes it do; the next owner may be elsewhere."""
        self.crash(process, steps, how)
        self.chain.processes[process].where = where
        self.transaction(source, codes, 99, flows)

    @rule(process=PROCESSES, where=WHERES, paused=st.booleans())
    def rebalance(self, process: str, where: Where = "here", paused: bool = False) -> None:
        """Another owner, on this machine, a new one or an older one; the former one may not know."""
        of = self.chain.processes[process]
        if paused:
            of.pause()
        of.where = where
        of.take_over()

    @rule(process=PROCESSES, count=st.sampled_from((1, 3, 50)))
    def wake_former(self, process: str, count: int = 50) -> None:
        """A former owner goes on, or what it had on the way arrives."""
        of = self.chain.processes[process]
        of.wake(count)
        of.land()

    @rule(process=PROCESSES, batch=st.sampled_from((1, 2, 7, 50)))
    def work(self, process: str, batch: int = 50) -> None:
        """One process takes one chunk, while others stand still."""
        of = self.chain.processes[process]
        of.work(batch)
        of.tick()

    @rule(batch=st.sampled_from((1, 3, 50)))
    def flow(self, batch: int = 50) -> None:
        self.chain.flow(batch=batch)

    @rule(source=SOURCES, cut=st.booleans(), step_s=STEPS, read=st.sampled_from((0, 20, 32, 60)))
    def lose_state(self, source: str, cut: bool, step_s: int = 0, read: int = 0) -> None:
        """A lane's changelog is lost, perhaps with the beginning of the log; its clock is set when it has read so much
        of the log again."""
        chain, database = self.chain, self.chain.databases[source]
        if database.reading is not None:
            return
        if cut:
            database.copy(99)
        if chain.processes[f"lane-{source}-0"].owner is not None:
            chain.flow()
        chain.lose_state(source, cut=cut)
        self.work(f"lane-{source}-0", read)
        chain.digest(source)
        self.step_clock(source, step_s)
        if cut:
            gone: list[Code] = [(21, 1, 0), (18, 2, 0)] if source == "erp" else [(13, 1, 0), (12, 2, 0)]
            database.missed(changes_of(chain, source, gone))
            database.snapshot()
        chain.flow()

    @rule(source=SOURCES, recreated=st.booleans())
    def lose_log(self, source: str, recreated: bool) -> None:
        """The topic of a source is recreated, or retention has passed what its lane has not read: it stops, and says
        so; a person resets it and has its source read again."""
        chain, database = self.chain, self.chain.databases[source]
        process, topic = chain.processes[f"lane-{source}-0"], f"cdc.{source}"
        if database.reading is not None:
            return
        chain.flow()
        database.heartbeat(action=True)
        database.copy(99)
        if recreated:
            chain.kafka.drop(topic)
            database.truth, chain.judge.furthest[source] = Truth(), 0
        else:
            chain.kafka.cut(topic, 0, chain.kafka.ends[topic, 0])
        process.take_over()
        self.stopped.append(process.error)
        assert process.owner is None, "a stretch of the log is gone, and nobody stops"
        process.error = ""
        self.lose_state(source, True)

    @rule(owners=st.sampled_from(OWNERS), first=st.sampled_from(((0, 1), (0,), (1,), ())))
    def change_owners(self, owners: Owners = OWNERS[0], first: tuple[int, ...] = (0, 1)) -> None:
        """Another ownership file; some processes have it at once, the others from their next start on."""
        self.chain.change_owners(owners, first)

    # -- time

    @rule(process=PROCESSES, seconds=st.sampled_from((0, 400, -400, 4_000, -4_000, 90_000, -90_000)))
    def set_clock(self, process: str, seconds: int) -> None:
        """The clock of one machine is wrong by so much from here on; 0: it is right again."""
        of = self.chain.processes[process]
        of.skew_us = seconds * SECOND_US
        of.tick()

    @rule(seconds=SECONDS)
    def time(self, seconds: int) -> None:
        self.chain.pass_time(seconds)

    @rule()
    def compaction(self) -> None:
        """An hour later; every owner has looked at its changelog since."""
        chain = self.chain
        chain.flow()
        chain.pass_time(1)
        chain.flow()
        chain.pass_time(3_700)
        for process in chain.processes.values():
            chain.kafka.compact(process.changelog, process.partition)
        for partition in range(2):
            chain.kafka.compact("channel.publication.v1", partition)
            chain.kafka.compact("inventory.atp.v1", partition)

    # -- the channel

    @rule(
        outcome=OUTCOMES,
        lands_s=LANDINGS,
        dies=st.booleans(),
        turn=st.integers(0, 1),
        codes=CODES,
    )
    def push(
        self,
        outcome: Outcome,
        lands_s: int | None = None,
        dies: bool = False,
        turn: int = 0,
        codes: list[Code] = NOTHING,
    ) -> None:
        """One push, and whatever the channel makes of it; perhaps the warehouse goes on meanwhile."""
        self.chain.now_us += 1_000
        self.chain.shop.push(outcome, lands_s=lands_s, dies=dies, turn=turn)
        if len(codes) > 1:
            self.transaction("wms", codes)
            self.chain.pass_time(1)
            self.chain.tell()

    @rule(count=st.sampled_from((1, 4, 50)))
    def tell(self, count: int = 50) -> None:
        self.chain.tell(count)

    @rule(which=st.sampled_from(("rebalance", "replace", "wake", "resume")), turn=st.integers(0, 1))
    def channel_workers(self, which: str, turn: int = 0) -> None:
        shop = self.chain.shop
        self.chain.now_us += 1_000  # what a person orders and what a channel answers do not meet in one instant
        if which == "rebalance":
            shop.rebalance()
        elif which == "replace":
            shop.replace(turn)
        elif which == "wake":
            shop.wake()
        else:
            shop.resume()

    @rule(buffer=st.sampled_from((0, 2)), slow=st.booleans())
    def change_rule(self, buffer: int, slow: bool = False) -> None:
        """`slow`: one item a second."""
        self.chain.shop.change_rule(buffer, slow=slow)

    @rule(sku=st.sampled_from(SKUS))
    def refuse(self, sku: str) -> None:
        """The channel refuses one item, whatever is told of it."""
        self.chain.shop.refuses ^= {sku}

    # -- what must hold

    @rule()
    def rest(self) -> None:
        """Faults are over, everybody has worked, people have done what was asked for."""
        self.chain.mend()
        _nothing(self.chain.verdict())

    @invariant()
    def nothing_is_wrong(self) -> None:
        _nothing([*self.chain.judge.wrong, *self.chain.shop.wrong, *self.chain.unbounded()])

    def teardown(self) -> None:
        try:
            if not self.chain.judge.wrong and not self.chain.shop.wrong:
                self.rest()
        finally:
            self._patch.undo()
            self.chain.close()


def _nothing(wrong: list[str]) -> None:
    if wrong:
        raise AssertionError("\n".join(wrong))
