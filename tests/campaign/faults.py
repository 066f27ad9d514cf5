"""The faults: what each does to the running chain, and what ends it.

A fault is two context managers.  `around` makes ready before the traffic begins and cleans up after the recovery;
`inject` is the fault itself: entered at its trigger, left when its end is reached.  Where a person has to act, the
fault gives the documented commands as that person (`Rig.person`), and the report names them.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from onhand.demo.system import PROCESSES
from tests.campaign import damage
from tests.campaign.observe import await_condition
from tests.campaign.proxy import Line
from tests.campaign.rig import START_S, Rig
from tests.campaign.scenario import FIRST, Kind, Step
from tests.campaign.stack import KAFKA_CLIENTS, SERVERS

STAGES = ("source-erp", "source-wms", "inventory", "orders")
COMPONENTS = ("kafka", "connect", "registry", "postgres", "mariadb")
LINES = (*(f"{client}-kafka" for client in KAFKA_CLIENTS), *SERVERS)
MINUTE = ("business:75", "business:225", "business:450", "business:900")
"""5, 15, 30 and 60 s at 15 transactions a second."""
WHILE = ("business:75", "business:225", "business:375")

Injection = Callable[[Rig, Step], AbstractContextManager[None]]


def _nothing(rig: Rig, step: Step) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    kind: Kind
    inject: Injection
    around: Injection = _nothing
    instant: bool = False
    """It is over when it has happened; else when its end is reached."""
    breaks: tuple[str, ...] = ()
    """Databases whose transactions may be refused meanwhile (`erp`, `wms`)."""


# ---------------------------------------------------------------- processes


@contextmanager
def signalled(number: int, rig: Rig, step: Step) -> Iterator[None]:
    """A signal that ends it; the supervisor starts it again."""
    rig.system.stack.process(step.target).send(number)
    yield


@contextmanager
def held(rig: Rig, step: Step) -> Iterator[None]:
    """SIGSTOP, later SIGCONT."""
    process = rig.system.stack.process(step.target)
    process.stop()
    try:
        yield
    finally:
        process.cont()


@contextmanager
def away(rig: Rig, step: Step) -> Iterator[None]:
    """Killed and kept down."""
    rig.system.stack.stop(step.target, grace_s=0)
    try:
        yield
    finally:
        rig.system.stack.start_component(step.target)


@contextmanager
def store_lost(rig: Rig, step: Step) -> Iterator[None]:
    """Killed, and its local store is gone when it comes back."""
    rig.system.stack.stop(step.target, grace_s=0)
    shutil.rmtree(rig.state_of(step.target))
    rig.system.start_process(step.target)
    yield


@contextmanager
def everything_killed(rig: Rig, step: Step) -> Iterator[None]:
    """kill -9 of all processes of onhand at once."""
    for name in PROCESSES:
        rig.system.stack.process(name).send(signal.SIGKILL)
    yield


@contextmanager
def storm(rig: Rig, step: Step) -> Iterator[None]:
    """More workers of one group come, are killed, held and told to stop, in an order by lot; one rebalance a time."""
    rng = random.Random(step.numbers["lot"])
    name, stack = step.target, rig.system.stack
    others = [str(n) for n in range(1, step.numbers["workers"])]
    for instance in others:
        rig.system.start_process(name, instance=instance)
    held_one: str | None = None
    try:
        for _ in range(step.numbers["blows"]):
            await_condition(rig, "business:40")
            victim = rng.choice([name, *(f"{name}@{instance}" for instance in others)])
            if held_one is not None:
                stack.process(held_one).cont()
                held_one = None
            blow = rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
            stack.process(victim).send(blow)
            held_one = victim if blow == signal.SIGSTOP else None
        yield
    finally:
        if held_one is not None:
            stack.process(held_one).cont()
        for instance in others:
            stack.stop(f"{name}@{instance}")


@contextmanager
def overtaken(rig: Rig, step: Step) -> Iterator[None]:
    """Held until another worker of its group has all its partitions; then it goes on, as if nothing had been."""
    stack, successor = rig.system.stack, f"{step.target}@1"
    held_one = stack.process(step.target)
    owned = set(rig.health(step.target)["partitions"])
    rig.system.start_process(step.target, instance="1")
    try:
        rig.wait(f"{successor} to be there", lambda: rig.health(successor)["healthy"])
        await_condition(rig, "business:30")  # the group has shared its partitions out
        held_one.stop()
        try:
            rig.wait(f"{successor} to take over", lambda: owned <= set(rig.health(successor).get("partitions", ())))
            await_condition(rig, "business:75")
        finally:
            held_one.cont()
        yield
    finally:
        stack.stop(successor)


# ---------------------------------------------------------------- lines


@contextmanager
def disturbed(line: Line, rig: Rig, step: Step) -> Iterator[None]:
    with rig.system.stack.lines[step.target].disturbed(line):
        yield


# ---------------------------------------------------------------- clocks


@contextmanager
def living_by_a_clock(rig: Rig, step: Step) -> Iterator[None]:
    """Started anew under libfaketime, at first with the machine's time; afterwards without it."""
    stack = rig.system.stack
    stack.clock(step.target)
    _restart(rig, step.target)
    rig.wait("everything to work", rig.all_work, START_S)
    try:
        yield
    finally:
        del stack.clocks[step.target]
        _restart(rig, step.target)


@contextmanager
def stepped(rig: Rig, step: Step) -> Iterator[None]:
    """Its wall clock jumps, and jumps back."""
    clock = rig.system.stack.clocks[step.target]
    clock.set(step.numbers["seconds"])
    try:
        yield
    finally:
        clock.set(0)


def _restart(rig: Rig, name: str) -> None:
    if name in COMPONENTS:
        rig.system.stack.restart(name)
    else:
        rig.system.stack.stop(name)
        rig.system.start_process(name)


# ---------------------------------------------------------------- the catalogue


def _fault(
    name: str,
    says: str,
    inject: Injection,
    targets: tuple[str, ...],
    until: tuple[str, ...],
    *,
    around: Injection = _nothing,
    instant: bool = False,
    breaks: tuple[str, ...] = (),
    triggers: tuple[str, ...] = FIRST,
    numbers: dict[str, tuple[int, ...]] | None = None,
    pairs: bool = True,
    long: bool = False,
) -> Fault:
    kind = Kind(
        name=name,
        says=says,
        targets=targets,
        until=until,
        triggers=triggers,
        numbers=numbers or {},
        pairs=pairs,
        long=long,
    )
    return Fault(kind, inject, around, instant, breaks)


FAULTS: dict[str, Fault] = {
    fault.kind.name: fault
    for fault in (
        _fault(
            "kill",
            "kill -9; the supervisor starts it again",
            partial(signalled, signal.SIGKILL),
            (*PROCESSES, *COMPONENTS),
            ("back:{target}",),
            instant=True,
            breaks=("erp", "wms"),
        ),
        _fault(
            "term",
            "SIGTERM; the supervisor starts it again",
            partial(signalled, signal.SIGTERM),
            (*PROCESSES, "kafka", "connect", "registry", "mariadb"),
            ("back:{target}",),
            instant=True,
            breaks=("erp", "wms"),
        ),
        _fault("stop", "SIGSTOP for 5 to 60 s, then SIGCONT", held, (*PROCESSES, "connect", "kafka"), MINUTE),
        _fault("away", "killed, and started again later", away, COMPONENTS, WHILE, breaks=("erp", "wms")),
        _fault(
            "resend",
            "Connect is killed before it noted the offsets of what it wrote: it sends that again",
            partial(signalled, signal.SIGKILL),
            ("connect",),
            ("back:connect",),
            instant=True,
            triggers=("unflushed:erp:12", "unflushed:wms:12"),
        ),
        _fault(
            "kill-all",
            "kill -9 of every process of onhand at once",
            everything_killed,
            ("all",),
            tuple(f"back:{name}" for name in PROCESSES),
            instant=True,
            pairs=False,
        ),
        _fault(
            "storm",
            "two or three workers of one group are killed, held and stopped",
            storm,
            (*STAGES, "channel-shop"),
            ("now",),
            numbers={"workers": (2, 3), "blows": (3, 4), "lot": tuple(range(100))},
            pairs=False,
        ),
        _fault(
            "overtaken",
            "SIGSTOP until another worker of its group has taken over and goes on, then SIGCONT",
            overtaken,
            (*STAGES, "channel-shop"),
            ("business:75",),
            pairs=False,
        ),
        _fault(
            "store", "kill -9, and the local store is deleted", store_lost, STAGES, ("works:{target}",), instant=True
        ),
        _fault(
            "disk",
            "the file system under its state is full until somebody makes room",
            damage.disk_full,
            (*STAGES, "metrics", "kafka"),
            ("business:150",),
            around=damage.on_small_disk,
            pairs=False,
        ),
        *(
            _fault(
                f"line-{line}",
                says,
                partial(disturbed, line),
                LINES,
                WHILE,
            )
            for line, says in (
                (Line.CUT, "its connections are closed and new ones refused"),
                (Line.RESET, "its connections are reset, new ones too"),
                (Line.DELAY, "every byte comes 0.4 s late"),
                (Line.HALF_OPEN, "its connections stay and nothing arrives; neither side is told"),
            )
        ),
        _fault(
            "clock",
            "its wall clock jumps, and later back",
            stepped,
            (*PROCESSES, *COMPONENTS),
            WHILE,
            around=living_by_a_clock,
            numbers={"seconds": (-90_000, -3600, -30, 30, 3600, 90_000)},
            breaks=("erp", "wms"),
            pairs=False,
        ),
        _fault(
            "slot",
            "the replication slot is dropped; `onhand source resnapshot erp`",
            damage.slot_dropped,
            ("erp",),
            ("status:erp:P06", "status:erp:K02"),
            pairs=False,
        ),
        _fault(
            "purge",
            "the binlog is purged while Connect is down; `onhand source resnapshot wms`",
            damage.binlog_purged,
            ("wms",),
            ("status:wms:M12",),
            pairs=False,
        ),
        _fault(
            "resnapshot",
            "a source is read anew during traffic",
            damage.resnapshot,
            ("erp", "wms"),
            ("swept:{target}",),
            pairs=False,
        ),
        _fault(
            "poison",
            "bytes that are no record; a person closes the exception",
            damage.poison,
            ("cdc.erp", "cdc.wms"),
            ("business:75",),
            pairs=False,
        ),
        _fault(
            "transaction",
            "one transaction of very many rows",
            damage.large_transaction,
            ("erp", "wms"),
            ("now",),
            numbers={"rows": (30_000,)},
            around=damage.without_large_rows,
            pairs=False,
        ),
        _fault(
            "transaction-300k",
            "one transaction of 300,000 rows",
            damage.large_transaction,
            ("erp", "wms"),
            ("now",),
            numbers={"rows": (300_000,)},
            around=damage.without_large_rows,
            pairs=False,
            long=True,
        ),
        _fault(
            "resnapshot-1m",
            "a source of 1,000,000 rows is read anew during traffic",
            damage.resnapshot,
            ("erp",),
            ("swept:{target}",),
            numbers={"rows": (1_000_000,)},
            around=damage.with_large_rows,
            pairs=False,
            long=True,
        ),
    )
}
