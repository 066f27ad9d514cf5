"""The scheme of units and markers under crashes, former owners and compaction, on the product's own code.

The log, the clock and the faults are made up here; recovery, tenure, view and epochs are the product's.  Rows join
lookups and a sum per sku is sent; at the end the state, a cold rebuild and what a receiver holds must equal an oracle,
and every input event was folded exactly once.  Each rule of the scheme is then broken by a subclass, and the same seeds
must turn red.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import msgspec
import pytest

from schemas.versions import next_epoch
from streams.agents.runtime.marker import (
    MARK_KEY,
    ChangelogRun,
    Changes,
    InputMark,
    Marker,
    Standing,
    Writer,
)
from streams.agents.runtime.recovery import Recovery
from streams.agents.runtime.tenure import Batch, Overtaken, Tenure
from streams.agents.runtime.view import UnitView

Event = tuple[str, int, object]
RUNS = 500


class Crash(Exception):
    pass


class DictState(dict[bytes, bytes]):
    """A settled state in memory; also the local store that survives a crash, with its standing."""

    standing = Standing()

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        yield from sorted((k, v) for k, v in self.items() if k.startswith(prefix) and k >= start)

    def settle(self, changes: Changes, standing: Standing) -> None:
        for key, value in changes.items():
            if value is None:
                self.pop(key, None)
            else:
                self[key] = value
        self.standing = standing


class Record(NamedTuple):
    offset: int
    writer: Writer
    batch: int
    key: bytes
    value: bytes | None


@dataclass
class Kafka:
    """One changelog partition that compacts, and one output topic."""

    log: list[Record] = field(default_factory=list)
    next: int = 0
    out: list[tuple[int, str, int]] = field(default_factory=list)

    def append(self, writer: Writer, batch: Batch) -> int:
        first = self.next
        for key, value in batch.records:
            self.log.append(Record(self.next, writer, first, key, value))
            self.next += 1
        return first

    def compact(self, lag: int) -> None:
        head = self.next - lag
        last = {record.key: record.offset for record in self.log}
        self.log = [r for r in self.log if r.offset >= head or last[r.key] == r.offset]

    def runs(self) -> Iterator[ChangelogRun]:
        for _, group in groupby(self.log, key=lambda record: record.batch):
            records = list(group)
            yield ChangelogRun.of(records[-1].offset, records[0].writer, [(r.key, r.value) for r in records])


@dataclass(frozen=True)
class Rules:
    """The parts under test, so that a test can put a broken one in."""

    recovery: type[Recovery] = Recovery
    tenure: type[Tenure] = Tenure
    epoch: Callable[[int, int], int] = next_epoch
    forget_owed: bool = False


class Owner:
    def __init__(self, kafka: Kafka, inputs: list[Event], rnd: random.Random, rules: Rules, disk: DictState) -> None:
        self.kafka, self.inputs, self.rules, self.state = kafka, inputs, rules, disk
        recovery = rules.recovery(disk.standing, disk.settle)
        for run in kafka.runs():
            recovery.feed(run)
        standing = recovery.finish()
        self.owed = set(standing.marker.owed) if standing.marker and not rules.forget_owed else set()
        self.memo_position = standing.marker.inputs["in"].offset if standing.marker and standing.marker.inputs else 0
        writer = Writer(rules.epoch(recovery.top.epoch, 0), rnd.getrandbits(32))
        self.tenure = rules.tenure(standing, writer, kafka.next)

    @property
    def position(self) -> int:
        return self.memo_position

    def append(self, batch: Batch, changes: Changes, crash: Callable[[], bool]) -> None:
        if crash():
            raise Crash
        first = self.kafka.append(self.tenure.writer, batch)
        if crash():
            raise Crash
        self.state.settle(changes, self.tenure.acknowledged(batch, first))

    def start(self, crash: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
        """`meanwhile`: what happens between recovery and claim."""
        meanwhile()
        self.append(self.tenure.claim(), {}, crash)
        while (again := self.tenure.put_again(self.state.get, limit=8)) is not None:
            self.append(again, dict(again.records[:-1]), crash)
        self.settle(UnitView(self.state), self.memo_position, self.owed, crash)

    def settle(self, view: UnitView, position: int, owed: set[bytes], crash: Callable[[], bool]) -> None:
        batch = self.tenure.close(
            view.changes,
            inputs={"in": InputMark("id", position)},
            outputs={},
            owed=sorted(owed),
            memo=b"",
            fingerprint=b"",
        )
        self.append(batch, view.changes, crash)
        self.memo_position = position
        for key in batch.marker.owed:
            if crash():
                raise Crash
            raw = self.state.get(b"s" + key)
            self.kafka.out.append((batch.version, key.decode(), int(raw) if raw else 0))

    def step(self, count: int, crash: Callable[[], bool]) -> None:
        view, dirty = UnitView(self.state), set[bytes]()
        end = min(len(self.inputs), self.position + count)
        for kind, number, value in self.inputs[self.position : end]:
            if kind == "driver":
                self.row(view, number, value, dirty)
                continue
            view.put(b"l%d" % number, str(value).encode() if value else None)
            for key, raw in list(view.scan(b"d")):
                image = msgspec.msgpack.decode(raw)[1]
                if image[0] == number:
                    self.row(view, int(key[1:]), image, dirty)
        view.put(b"n", b"%d" % (int(view.get(b"n") or 0) + end - self.position))
        self.settle(view, end, dirty, crash)

    @staticmethod
    def row(view: UnitView, number: int, image: object, dirty: set[bytes]) -> None:
        key = b"d%d" % number
        raw = view.get(key)
        before: dict[str, int] = msgspec.msgpack.decode(raw)[0] if raw else {}
        after: dict[str, int] = {}
        if isinstance(image, (tuple, list)):
            sku = view.get(b"l%d" % image[0])
            if sku is not None and image[1]:
                after = {sku.decode(): image[1]}
        for postings, sign in ((before, -1), (after, 1)):
            for sku_text, quantity in postings.items():
                total = b"s" + sku_text.encode()
                new = int(view.get(total) or 0) + sign * quantity
                view.put(total, b"%d" % new if new else None)
                dirty.add(sku_text.encode())
        view.put(key, msgspec.msgpack.encode((after, image)) if image is not None else None)


def oracle(inputs: list[Event]) -> dict[str, int]:
    lookups: dict[int, object] = {}
    drivers: dict[int, object] = {}
    for kind, number, value in inputs:
        (lookups if kind == "lookup" else drivers)[number] = value
    want: dict[str, int] = {}
    for image in drivers.values():
        if isinstance(image, tuple) and lookups.get(image[0]) and image[1]:
            sku = str(lookups[image[0]])
            want[sku] = want.get(sku, 0) + image[1]
    return want


def totals(state: dict[bytes, bytes]) -> dict[str, int]:
    return {key[1:].decode(): int(value) for key, value in state.items() if key[:1] == b"s"}


def wrong(seed: int, rules: Rules, *, lag: int, former_owners: bool = True, length: int = 30) -> bool:
    """One run; True when anything differs from the oracle."""
    rnd = random.Random(seed)
    inputs: list[Event] = [
        ("lookup", rnd.randrange(2), rnd.choice("ABC"))
        if rnd.random() < 0.3
        else ("driver", rnd.randrange(3), (rnd.randrange(2), rnd.randrange(4)) if rnd.random() < 0.8 else None)
        for _ in range(length)
    ]
    kafka, former, disks = Kafka(), list[Owner](), [DictState()]
    faults = rnd.randrange(0, 7)
    owner: Owner | None = None

    def crash() -> bool:
        return faults > 0 and rnd.random() < 0.08

    def wake_up() -> None:
        """A former owner goes on where it was stopped."""
        if former and rnd.random() < 0.3:
            try:
                former.pop().step(rnd.randrange(1, 6), lambda: rnd.random() < 0.3)
            except (Crash, Overtaken):
                pass

    while True:
        try:
            if owner is None:
                if rnd.random() < 0.4:  # on another machine, or the directory was deleted
                    disks.append(DictState())
                owner = Owner(kafka, inputs, rnd, rules, disks[-1])
                owner.start(crash, wake_up)
            if owner.position >= length and faults <= 0:
                break
            if owner.position >= length:
                faults -= 1
            if faults > 0 and rnd.random() < 0.15:  # paused, not dead: another machine takes over
                faults -= 1
                if former_owners:
                    former.append(owner)
                disks.append(DictState())
                owner = None
                continue
            owner.step(rnd.randrange(1, 8), crash)
        except (Crash, Overtaken):
            faults -= 1
            owner = None
        wake_up()
        if rnd.random() < 0.3:
            kafka.compact(lag)
    want = oracle(inputs)
    newest: dict[str, tuple[int, int]] = {}
    for version, sku, quantity in kafka.out:
        if version >= newest.get(sku, (-1, 0))[0]:
            newest[sku] = (version, quantity)
    held = {sku: quantity for sku, (_, quantity) in newest.items() if quantity}
    cold = DictState()
    recovery = Recovery(Standing(), cold.settle)
    for run in kafka.runs():
        recovery.feed(run)
    recovery.finish()
    folded = {int(state[b"n"]) for state in (owner.state, cold)}
    return not (totals(owner.state) == want == totals(cold) == held and folded == {length})


def count_wrong(rules: Rules, *, lag: int, former_owners: bool = True, runs: int = RUNS) -> int:
    bad = 0
    for seed in range(runs):
        try:
            bad += wrong(seed, rules, lag=lag, former_owners=former_owners)
        except (KeyError, ValueError, RecursionError):
            bad += 1
    return bad


@pytest.mark.parametrize("lag", [40, 60])
def test_nothing_is_lost_or_repeated_with_former_owners_and_a_compaction_lag(lag: int) -> None:
    assert count_wrong(Rules(), lag=lag) == 0


@pytest.mark.parametrize("lag", [0, 5])
def test_nothing_is_lost_or_repeated_without_former_owners_at_any_lag(lag: int) -> None:
    assert count_wrong(Rules(), lag=lag, former_owners=False) == 0


class TailCounts(Recovery):
    def finish(self) -> Standing:
        self._take_open()
        return super().finish()


class LateCounts(Recovery):
    def _late(self, writer: Writer) -> bool:
        return False


class VoidClaimsStand(Recovery):
    def _void(self, claim: Marker) -> bool:
        return False


class ForgetsRedo(Tenure):
    def claim(self) -> Batch:
        self.redo = []
        return super().claim()


class NoBase(Tenure):
    def __init__(self, standing: Standing, writer: Writer, next_offset: int) -> None:
        super().__init__(standing, writer, next_offset)
        self.base = -1


class BlindToGaps(Tenure):
    def acknowledged(self, batch: Batch, first_offset: int) -> Standing:
        self.next_offset = first_offset
        return super().acknowledged(batch, first_offset)


def same_epoch(seen: int, now_us: int) -> int:
    return max(seen, 1)


@pytest.mark.parametrize(
    ("rules", "lag"),
    [
        pytest.param(Rules(recovery=LateCounts), 40, id="epoch"),
        pytest.param(Rules(epoch=same_epoch), 40, id="epoch-does-not-rise"),
        pytest.param(Rules(recovery=VoidClaimsStand), 40, id="claim"),
        pytest.param(Rules(tenure=ForgetsRedo), 10, id="redo"),
        pytest.param(Rules(tenure=NoBase), 0, id="base"),
        pytest.param(Rules(forget_owed=True), 40, id="owed"),
    ],
)
def test_each_rule_is_needed(rules: Rules, lag: int) -> None:
    assert count_wrong(rules, lag=lag) > 0


def test_the_runtimes_keys_are_refused_and_stand_in_no_unit() -> None:
    owner = Tenure(Standing(), Writer(1, 1), 0)
    with pytest.raises(ValueError, match="belong to the runtime"):
        owner.close({b"a": b"1", b"\0mark": b"x"}, inputs={}, outputs={}, owed=(), memo=b"", fingerprint=b"")


def test_records_behind_the_last_marker_never_count() -> None:
    """A broker that lost part of a batch, or a batch split by hand: the tail is dropped and remembered."""
    writer = Writer(7, 1)
    marker = Marker(epoch=7, nonce=1, unit=1, base=-1, inputs={}, outputs={}, fingerprint=b"", memo=b"", owed=())
    log = [
        ChangelogRun.of(1, writer, [(b"a", b"1"), (MARK_KEY, msgspec.msgpack.encode(marker))]),
        ChangelogRun.of(2, writer, [(b"a", b"2")]),
    ]

    def rebuild(recovery_class: type[Recovery]) -> tuple[DictState, Standing]:
        state = DictState()
        recovery = recovery_class(Standing(), state.settle)
        for each in log:
            recovery.feed(each)
        return state, recovery.finish()

    state, standing = rebuild(Recovery)
    assert state == {b"a": b"1"}
    assert standing.offset == 1
    assert standing.redo == {b"a"}
    assert rebuild(TailCounts)[0] == {b"a": b"2"}, "the broken rule must show"


def test_two_owners_of_one_epoch_the_first_to_write_has_it() -> None:
    """Both recovered the same log at the same moment; the second claim must not turn the input back."""
    kafka = Kafka()
    first = Tenure(Standing(), Writer(5, 1), 0)
    second = Tenure(Standing(), Writer(5, 2), 0)
    first.acknowledged(batch := first.claim(), kafka.append(first.writer, batch))
    unit = first.close({b"a": b"1"}, inputs={"in": InputMark("id", 9)}, outputs={}, owed=(), memo=b"", fingerprint=b"")
    first.acknowledged(unit, kafka.append(first.writer, unit))
    with pytest.raises(Overtaken):
        second.acknowledged(batch := second.claim(), kafka.append(second.writer, batch))
    state = DictState()
    recovery = Recovery(Standing(), state.settle)
    for run in kafka.runs():
        recovery.feed(run)
    marker = recovery.finish().marker
    assert marker is not None
    assert marker.inputs["in"].offset == 9
    assert state == {b"a": b"1"}


@pytest.mark.parametrize(("recovery_class", "position"), [(Recovery, 9), (VoidClaimsStand, 0)])
def test_a_unit_written_while_another_recovers_stands_and_the_claim_behind_it_does_not(
    recovery_class: type[Recovery], position: int
) -> None:
    """The former owner was paused before its write reached the broker; the next one read the log before that."""
    kafka = Kafka()

    def unit(owner: Tenure, changes: Changes, offset: int) -> Batch:
        inputs = {"in": InputMark("id", offset)}
        return owner.close(changes, inputs=inputs, outputs={}, owed=(), memo=b"", fingerprint=b"")

    def recover() -> tuple[Standing, DictState]:
        state = DictState()
        recovery = recovery_class(Standing(), state.settle)
        for run in kafka.runs():
            recovery.feed(run)
        return recovery.finish(), state

    former = Tenure(Standing(), Writer(1, 1), 0)
    former.acknowledged(batch := former.claim(), kafka.append(former.writer, batch))
    former.acknowledged(batch := unit(former, {}, 0), kafka.append(former.writer, batch))
    second = Tenure(recover()[0], Writer(2, 2), kafka.next)
    kafka.append(former.writer, unit(former, {b"a": b"1"}, 9))
    with pytest.raises(Overtaken):
        second.acknowledged(batch := second.claim(), kafka.append(second.writer, batch))
    standing, state = recover()
    assert standing.marker is not None
    assert (state, standing.marker.inputs["in"].offset) == ({b"a": b"1"}, position)
    third = Tenure(standing, Writer(3, 3), kafka.next)
    third.acknowledged(batch := third.claim(), kafka.append(third.writer, batch))
    assert recover()[0].marker == batch.marker, "a claim that saw everything stands"


@pytest.mark.parametrize(("tenure", "rebuilt"), [(Tenure, {b"a": b"1"}), (BlindToGaps, {})])
def test_a_late_write_is_put_again_before_compaction_drops_the_good_value(
    tenure: type[Tenure], rebuilt: dict[bytes, bytes]
) -> None:
    kafka = Kafka()

    def settle(owner: Tenure, state: DictState, batch: Batch) -> None:
        state.settle(dict(batch.records[:-1]), owner.acknowledged(batch, kafka.append(owner.writer, batch)))

    def unit(owner: Tenure, changes: Changes) -> Batch:
        return owner.close(changes, inputs={}, outputs={}, owed=(), memo=b"", fingerprint=b"")

    def recover(epoch: int) -> tuple[Tenure, DictState]:
        state = DictState()
        recovery = Recovery(Standing(), state.settle)
        for run in kafka.runs():
            recovery.feed(run)
        return tenure(recovery.finish(), Writer(epoch, epoch), kafka.next), state

    first, first_state = recover(1)
    settle(first, first_state, first.claim())
    settle(first, first_state, unit(first, {b"a": b"1"}))
    second, second_state = recover(2)
    settle(second, second_state, second.claim())
    kafka.append(first.writer, unit(first, {b"a": b"9"}))  # woke up late
    try:
        settle(second, second_state, unit(second, {}))
    except Overtaken:
        third, third_state = recover(3)
        settle(third, third_state, third.claim())
        again = third.put_again(third_state.get)
        assert again is not None
        settle(third, third_state, again)
    kafka.compact(0)
    assert recover(4)[1] == rebuilt
