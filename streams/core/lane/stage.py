"""The lane as a stage: one source log in, balances and order parts out (DESIGN §3).

One call of `work` settles as many whole transactions as one unit holds.  A transaction that does not fit settles in
several units; its outputs go to a list in the state and leave after its END.  Before the first snapshot is in, and
while another mapping is taken over, the lane is *silent*: it folds and says nothing; then everything is restated, and
`restated_since` lets receivers withdraw what is older.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from schemas.errors import Fatal
from schemas.intervals import is_over
from streams.core.lane.applied import Applied
from streams.core.lane.faults import closed_exceptions, load_exception
from streams.core.lane.fold import Fold
from streams.core.lane.in_force import InForce
from streams.core.lane.intake import Identity, Intake
from streams.core.lane.owed import NO_STAMP, HoldOwed, ProgressOwed, encode_owed
from streams.core.lane.render import Encode
from streams.core.lane.snapshots import (
    Snapshots,
    end_holds,
    first_sending,
    hold_on,
    holding,
    require_snapshot,
    says_nothing,
    uncertain,
)
from streams.core.lane.state import Memo, dump_memo, load_memo
from streams.core.lane.told import OpenOnTopic, Told
from streams.core.lane.waiting import waiting_queues
from streams.core.lane.worklists import WorkLists, blocked, outstanding
from streams.core.log.event import Event, Kind, decode_event
from streams.core.log.transactions import Group, cut
from streams.core.mapping.model import Mapping
from streams.core.unit import UNIT_BYTES, InputRecord, Output, Settled, View

ROW_COST = 1000
"""Bytes a row costs in a unit beside half its record: sums, entries, outputs owed, and exceptions when half are bad."""
UNIT_COST = UNIT_BYTES * 3 // 4
FULL_COST = UNIT_COST // 2
"""A unit that really takes so much is not filled up: what is left would be measured in ever smaller steps."""
BAD_WINDOW, BAD_LEAST = 1000, 100
"""When more than half of the last rows, and at least so many, were bad, the lane stops: a bad release, not bad rows."""
KEPT_SLICE = 1000
"""Archived rows that expire in one unit."""
TICK_US = 2_000_000
"""More than this does not pass between two looks at the clock; what it shows beyond, it was set by."""
PROGRESS = encode_owed(ProgressOwed())


Statement = tuple[bool, bool, bool, int | None, int | None]
"""(complete, holding, uncertain, restated since, sending everything for the first time since) as progress says it."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Bounds of a lane; the defaults are those of DESIGN §3."""

    transaction_rows: int = 10_000
    transaction_bytes: int = 32 << 20
    """A transaction above either settles in several units."""
    truncate_hold_s: int = 300
    """After TRUNCATE of demand, hold or buffer increases wait so long at most for the reload."""
    progress_ms: int = 500
    """Between two statements of progress while there is work; an idle lane states it with every tick."""
    kept_days: int = 90
    """Archived evidence (fulfilled, received) whose claim is not closed here counts so long: as far as promises look
    ahead.  By then the system that owns the claim has posted it itself."""
    waits_after_s: int = 60
    """Rows that wait longer for an INNER lookup become an exception."""


class LaneStage:
    """Implements `streams.core.unit.Stage` for one source."""

    def __init__(
        self,
        source: str,
        mapping: Mapping | Applied,
        encode: Encode,
        limits: LaneLimits | None = None,
        on_topic: OpenOnTopic | None = None,
    ) -> None:
        """`mapping` is the folder's; with its text, in `Applied`, the lane works by the one that was applied.
        `on_topic`: what exception.v1 has open; None: nobody can say, and it stays as it is."""
        applied = mapping if isinstance(mapping, Applied) else Applied(mapping)
        self.name = f"lane-{source}"
        self.input_topic = f"cdc.{source}"
        self.sole_writer_of: frozenset[str] = frozenset()
        self.fingerprint = b"" if applied.folder is None else applied.folder.fingerprint
        """Of the mapping that made the state."""
        self._source = source
        self._limits = limits or LaneLimits()
        self._memo = Memo(self.fingerprint)
        self._in_force = InForce(source, applied, encode, self._load_live)
        self._load_fold: Fold | None = None
        self._waiting: set[bytes] = set()
        self._closed: list[str] = []
        self._on_topic = on_topic
        self._told: Told | None = None
        self._opened_us = self._looked_us = 0
        self._version: int | None = None
        """Newest version rendered; known after the first unit."""
        self._events: list[Event] = []
        self._first_offset = -1
        self._recent: deque[int] = deque()
        self._recent_rows = self._recent_bad = 0
        self._stated_us = 0
        self._stated: Statement = (False, False, False, None, None)
        self._waits_since_us = 0

    # -- Stage

    def open(
        self, state: View, partition: int, memo: bytes | None, fingerprint: bytes | None, now_us: int, end: int
    ) -> Settled:
        """Raises Fatal for a memo that cannot be read."""
        if partition != 0:
            raise Fatal(f"{self.input_topic} has more than one partition: a source log is totally ordered, make it 1")
        self._opened_us = self._looked_us = now_us
        if memo is None:
            self._memo = self._in_force.begin_anew(end)
        else:
            try:
                self._memo = load_memo(memo)
            except msgspec.MsgspecError as error:
                raise Fatal(
                    f"{self.name}: the marker's memo cannot be read ({error}); remove its state to begin anew"
                ) from None
        if self._memo.history_until_us:
            self._memo.history_until, self._memo.history_until_us = end, 0
        self.fingerprint = self._memo.mapping
        self._in_force.open(state, self._memo)
        self._events, self._first_offset = [], -1
        self._waiting = waiting_queues(state, self._memo.superseded)
        self._closed = closed_exceptions(state)
        self._told = None if self._on_topic is None else Told(self._on_topic)
        return Settled(owed=(PROGRESS,), memo=dump_memo(self._memo), more=self._more())

    def work(self, state: View, records: Sequence[InputRecord], now_us: int) -> Settled:
        """Raises Fatal when most of what arrives is bad, or when another mapping is needed."""
        memo = self._memo
        if not records:
            return Settled(memo=dump_memo(memo))
        self._look_at_clock(now_us)
        events = self._decoded(records)
        in_force, told = self._in_force, None
        if in_force.waits(memo):
            told = in_force.awaited(events, records)
            if told is None:
                return Settled(memo=dump_memo(memo))
            in_force.work_by(told.mapping)
        fold = self._fold(state, now_us)
        if told is not None:
            in_force.switch(fold, told)
        snapshots = Snapshots(fold)
        intake = self._intake(fold, snapshots)
        consumed = cost = 0
        full = False
        for group in cut(events, memo.mark, memo.open_transaction):
            group_cost = group.size // 2 + ROW_COST * len(group.events)
            large = len(group.events) > 1 and (
                group_cost > UNIT_COST
                or len(group.events) > self._limits.transaction_rows
                or group.size > self._limits.transaction_bytes
            )
            if consumed and not large and cost + group_cost > UNIT_COST:
                fold.settle()  # tells what the rows so far really take: mostly a tenth of what was feared
                cost = state.size if state.size < FULL_COST else UNIT_COST
            full = large or bool(consumed and (cost + group_cost > UNIT_COST or state.size > UNIT_COST))
            if consumed and full:
                break
            if large:
                consumed = self._take_part(intake, group, events)
                break
            if not group.closed:
                break
            self._take_group(intake, snapshots, group)
            consumed, cost = group.end, cost + group_cost
            if intake.switch is not None:
                full = True
                break
        if not full and records[-1].offset + 1 >= memo.history_until:
            memo.history_until = 0  # what is left is a transaction that has no end yet
        if not consumed:
            return Settled(memo=dump_memo(memo))
        memo.offset = records[consumed - 1].offset + 1
        fold.settle()
        self._watch(intake.rows + intake.poisoned, fold.bad_rows + intake.poisoned)
        self._require_snapshot(fold, events[:consumed])
        in_force.end_of_unit(fold, intake.switch)
        self.fingerprint = memo.mapping
        self._events = events[consumed:]
        self._first_offset = self._events[0].offset if self._events else -1
        return self._close(fold, [], consumed, progress=False)

    def tick(self, state: View, now_us: int) -> Settled:
        """One slice of the work lists, and progress."""
        fold = self._fold(state, now_us)
        intake = self._intake(fold, Snapshots(fold))
        owed: list[bytes] = []
        lists_before = outstanding(self._memo)
        waits = self._in_force.waits(self._memo)
        self._in_force.tell(fold)
        if not waits:
            lists = WorkLists(fold, intake, self._version)
            lists.slice()
            owed = lists.owed
            if not lists_before:
                for balance in fold.sums.expire(self._limits.kept_days, KEPT_SLICE):
                    fold.dirty.balance(balance, NO_STAMP)
                if self._told is not None and self._compares():
                    self._told.compare(fold)
            fold.settle()
            self._in_force.end_of_unit(fold, None)
            self.fingerprint = self._memo.mapping
        self._look_at_clock(now_us)
        self._forget_closed(state)
        self._count_waiting(fold)
        due = is_over(self._stated_us, self._limits.progress_ms * 1000, now_us)
        return self._close(fold, owed, 0, progress=due or not lists_before)

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        """Absolute messages under `version`."""
        self._version = version
        return self._in_force.renderer.outputs(state, self._memo, owed, version, now_us)

    def owed_for(self, topic: str, key: bytes) -> bytes | None:
        """A lane shares all its topics with others."""
        return None

    # -- for people

    def health(self) -> dict[str, object]:
        """How the lane is, for a health answer."""
        memo = self._memo
        return {
            "complete": memo.complete,
            "holding": holding(memo),
            "uncertain": uncertain(memo),
            "position": memo.covered,
            "covered_us": memo.covered_us,
            "rows": {name: table.rows for name, table in memo.tables.items()},
            "rows_waiting_for_a_lookup": memo.waiting_rows,
            "rows_parked": memo.unknown_parked,
            "tables_parked": [name for name, table in memo.tables.items() if table.parked],
            "waits_for": self._waits_for(),
        }

    def _waits_for(self) -> str:
        """What must happen before this lane can say all it knows; empty: nothing."""
        memo, look = self._memo, f"`onhand exceptions list --open --source {self._source}`"
        if self._in_force.waits(memo):
            return f"its mapping's switch in the log: `onhand source apply {self._source}`"
        if memo.snapshot_required:
            return f"a snapshot: {look} says why"
        if any(table.sweep_asks for table in memo.tables.values()):
            return f"a person's decision about a snapshot: {look}"
        if memo.complete:
            return ""
        if memo.snapshot is None and not memo.snapshot_in:
            return f"its first snapshot: `onhand source apply {self._source}`, if it was not applied yet"
        return "the end of its first snapshot"

    # -- one unit

    def _fold(self, state: View, now_us: int) -> Fold:
        by = self._in_force
        fold = Fold(self._source, by.mapping, by.entries, by.lookups, state, self._memo, now_us, by.left_out)
        self._load_fold = fold
        return fold

    def _load_live(self, reference: bytes) -> object | None:
        fold = self._load_fold
        return None if fold is None else fold.load_live(reference)

    def _intake(self, fold: Fold, snapshots: Snapshots) -> Intake:
        identity = Identity(self._source, self._opened_us, self._in_force)
        return Intake(fold, snapshots, self._waiting, identity, self._limits.truncate_hold_s * 1_000_000)

    def _decoded(self, records: Sequence[InputRecord]) -> list[Event]:
        """Events of the records; those handed over before are not decoded again."""
        if records[0].offset != self._first_offset:
            self._events, self._first_offset = [], records[0].offset
        events = self._events
        for index in range(len(events), len(records)):
            events.append(decode_event(records[index]))
        return events if len(events) == len(records) else events[: len(records)]

    def _take_group(self, intake: Intake, snapshots: Snapshots, group: Group) -> None:
        memo = self._memo
        if group.new_space:
            self._new_space(intake)
        for event in group.events:
            intake.take(event)
        memo.mark, memo.open_transaction = group.mark, None
        if group.covered is not None:
            memo.reached, memo.reached_us = group.covered, group.committed_us
            snapshots.passed(group.covered)

    def _take_part(self, intake: Intake, group: Group, events: Sequence[Event]) -> int:
        """Settle the beginning of a large transaction; its last event stays for the unit of its END."""
        if group.new_space:
            self._new_space(intake)
        cost = 0
        taken = group.events[0]
        for number, event in enumerate(group.events[:-1], 1):
            intake.take(event)
            taken = event
            cost += event.size // 2 + ROW_COST
            if cost > UNIT_COST or number >= self._limits.transaction_rows:
                break
        self._memo.open_transaction = group.transaction
        return next(index for index, event in enumerate(events) if event.offset == taken.offset) + 1

    def _close(self, fold: Fold, owed: list[bytes], consumed: int, *, progress: bool) -> Settled:
        memo = self._memo
        end_holds(memo, self._limits.truncate_hold_s * 1_000_000)
        if says_nothing(memo):
            fold.dirty.forget_outputs()
        changed, put_off = fold.dirty.leave(fold.state, later=memo.owing or blocked(memo))
        memo.owing = memo.owing or put_off
        before = HoldOwed(memo.covered, memo.covered_offset, memo.covered_us)
        unsaid = bool(memo.owing or memo.sweeping or memo.reasserting or blocked(memo))
        hold_on(memo, unsaid)
        if not (says_nothing(memo) or unsaid):
            memo.covered, memo.covered_offset, memo.covered_us = memo.reached, memo.offset, memo.reached_us
        self._closed.extend(fold.faults.closed)
        statement = (memo.complete, holding(memo), uncertain(memo), memo.restated_since, first_sending(memo))
        due = is_over(self._stated_us, self._limits.progress_ms * 1000, fold.now_us)
        begins = (encode_owed(before),) if _only_decreases(statement) and not _only_decreases(self._stated) else ()
        all_owed = list(dict.fromkeys((*begins, *owed, *changed)))
        if progress or due or statement != self._stated:
            self._stated, self._stated_us = statement, fold.now_us
            all_owed.append(PROGRESS)
        return Settled(consumed, all_owed, dump_memo(memo), self._more())

    def _more(self) -> bool:
        """Work lists stand still while the mapping waits for its switch."""
        listed = outstanding(self._memo) or (self._told is not None and self._told.more and self._compares())
        return listed and not self._in_force.waits(self._memo)

    def _compares(self) -> bool:
        """Not before the log has been read again: what a lost state opened may come yet."""
        return self._memo.comparing and not self._memo.history_until

    # -- watching

    def _look_at_clock(self, now_us: int) -> None:
        """A step of the clock is not the end of a hold."""
        self._memo.passed_us += min(max(now_us - self._looked_us, 0), TICK_US)
        self._looked_us = now_us

    def _watch(self, rows: int, bad: int) -> None:
        """Stop when most of what arrives is bad, before the unit is settled."""
        self._recent.append(rows << 20 | min(bad, rows))
        self._recent_rows += rows
        self._recent_bad += min(bad, rows)
        while len(self._recent) > 1 and self._recent_rows - (self._recent[0] >> 20) >= BAD_WINDOW:
            oldest = self._recent.popleft()
            self._recent_rows -= oldest >> 20
            self._recent_bad -= oldest & 0xFFFFF
        if self._recent_bad >= BAD_LEAST and self._recent_bad * 2 > self._recent_rows:
            raise Fatal(
                f"source {self._source}: {self._recent_bad} of the last {self._recent_rows} rows cannot be mapped; "
                f"a bad release, not bad rows: mend the mapping (`onhand source check {self._source}`) and apply it"
            )

    def _new_space(self, intake: Intake) -> None:
        self._memo.snapshot_required = True
        intake.open_source_fault(
            "position-space-changed",
            "the log goes on at positions it had passed, with newer commits: RESET MASTER, another server or a "
            "restored database",
        )

    def _require_snapshot(self, fold: Fold, events: Sequence[Event]) -> None:
        memo = self._memo
        if memo.complete or memo.snapshot is not None or memo.snapshot_in or memo.snapshot_required:
            return
        if any(event.kind is Kind.ROW and event.table in self._in_force.entries for event in events):
            require_snapshot(
                fold, f"{self.input_topic} does not begin with a snapshot: what was there before is not known"
            )

    def _count_waiting(self, fold: Fold) -> None:
        """Rows that wait for an INNER lookup, once they do so for a while."""
        memo = self._memo
        if not (memo.waiting_rows and memo.complete):
            self._waits_since_us = 0
            if not memo.waiting_rows:
                fold.faults.close_code("lookup-missing", "source")
            return
        self._waits_since_us = min(self._waits_since_us or fold.now_us, fold.now_us)
        if fold.now_us - self._waits_since_us >= self._limits.waits_after_s * 1_000_000:
            detail = f"{memo.waiting_rows} rows wait for a row that their mapping joins"
            fold.faults.open("lookup-missing", "source", detail, again=False)

    def _forget_closed(self, state: View) -> None:
        """Exceptions closed in an earlier unit have been told: forget them, unless they are open again."""
        for identity in self._closed:
            known = load_exception(state, identity)
            if known is not None and known.closed_us is not None:
                state.put(b"x" + identity.encode(), None)
        self._closed = []


def _only_decreases(statement: Statement) -> bool:
    """What a receiver must take it for, of a sku that it was told of."""
    return statement[1] and statement[4] is None
