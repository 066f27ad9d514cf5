"""One scenario: traffic, faults, recovery, judgement."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from onhand.demo.audit import compare_shop
from onhand.demo.system import SOURCES
from onhand.demo.traffic import Pace, Traffic
from streams.core.log.position import NOWHERE, reached
from tests.campaign.faults import FAULTS, Fault
from tests.campaign.observe import await_condition
from tests.campaign.rig import Rig
from tests.campaign.scenario import Scenario, Step

TRANSACTIONS_PER_S = 15.0
RECOVERY_S = 240.0
"""Longer than anything is allowed to take to come back by itself."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a scenario."""

    scenario: Scenario
    wrong: list[str]
    """Empty: the chain was right."""
    recovery_s: float | None = None
    """From the end of the last fault until the next commit of each database was told to the shop."""
    restarts: dict[str, int] = {}
    """Processes that the supervisor started again."""
    commands: list[str] = []
    """What a person had to do."""
    late: list[str] = []
    """Promises that reached the shop behind a newer one; it takes none of them."""
    took_s: float = 0.0


def add_to_journal(file: Path, outcome: Outcome) -> None:
    """One line of JSON for each outcome."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as journal:
        journal.write(msgspec.json.encode(outcome) + b"\n")


def read_journal(file: Path) -> list[Outcome]:
    """Empty where there is no such file."""
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Outcome) for line in file.read_bytes().splitlines()]


def run(rig: Rig, scenario: Scenario) -> Outcome:
    """Never raises because of what the chain does: that is the outcome."""
    started = time.monotonic()
    rig.operator.clear()
    before, late = rig.restarts(), len(rig.system.shop.witness.back)
    recovery_s: float | None = None
    wrong: list[str] = []
    try:
        recovery_s = _faults(rig, scenario)
        rig.wait("everything to work", rig.all_work, RECOVERY_S)
        wrong += judge(rig)
    except Exception as error:  # noqa: BLE001 - what it says is the outcome
        wrong.append(f"{type(error).__name__}: {error}")
        wrong.append("".join(traceback.format_exception(error)[-3:]))
        wrong += _state(rig)
    backwards = rig.system.shop.witness.back[late:]
    if backwards and not _may_be_late(scenario):
        wrong += [f"told backwards: {one}" for one in backwards]
    return Outcome(
        scenario=scenario,
        wrong=wrong,
        recovery_s=recovery_s,
        restarts={name: n - before.get(name, 0) for name, n in rig.restarts().items() if n > before.get(name, 0)},
        commands=list(rig.operator),
        late=backwards,
        took_s=round(time.monotonic() - started, 1),
    )


def _faults(rig: Rig, scenario: Scenario) -> float:
    faults = [FAULTS[step.fault] for step in scenario.steps]
    broken = {name for fault in faults for name in fault.breaks}
    with ExitStack() as around:
        for fault, step in zip(faults, scenario.steps, strict=True):
            around.enter_context(fault.around(rig, step))
        for probe in rig.probes:
            probe.settle()
        with _traffic(rig, scenario.seed, broken):
            ends = list(rig.threads.map(lambda fault, step: _one(rig, fault, step), faults, scenario.steps))
            for probe in rig.probes:
                probe.change()
            for probe in rig.probes:
                rig.wait(f"the shop to be told of the {probe.source}'s next commit", probe.told, RECOVERY_S)
            recovery_s = time.monotonic() - max(ends)
    return round(recovery_s, 2)


def _one(rig: Rig, fault: Fault, step: Step) -> float:
    """Do it; when it was over, by the monotonic clock."""
    await_condition(rig, step.trigger)
    with fault.inject(rig, step):
        over = time.monotonic()
        await_condition(rig, step.until)
        if not fault.instant:
            over = time.monotonic()
    return over


@contextmanager
def _traffic(rig: Rig, seed: int, broken: set[str]) -> Iterator[None]:
    """Business goes on; only databases that a fault breaks may refuse a transaction."""
    system = rig.system
    pace = Pace(transactions_per_s=TRANSACTIONS_PER_S, erp_posts_after_s=2.0)
    system.rng.seed(seed)
    traffic = Traffic(system.erp, system.wms, system.business, system.rng, pace, system.today)
    rig.traffic_now = traffic
    traffic.start()
    try:
        yield
    finally:
        traffic.stop()
        rig.traffic_now = None
    unexpected = [failure for failure in traffic.schedule.failures if failure.split()[0] not in broken]
    assert unexpected == [], unexpected


def judge(rig: Rig) -> list[str]:
    """Position and promise as the rows say, the shop as promised, nothing left open, no claim taken back."""
    wrong = rig.differences(RECOVERY_S)
    left = [one for one in rig.exceptions() if one.stage in ("lane", "channel")]
    wrong += [f"open: {one.id}: {one.detail}" for one in left]
    witness = rig.system.shop.witness
    promises = rig.system.newest("inventory.atp.v1")
    naive: dict[str, Decimal] = dict(witness.last)
    wrong += [f"a shop that looks at no version: {one}" for one in compare_shop(promises, naive)]
    for source in SOURCES:
        wrong += [f"lane {source}: {one}" for one in taken_back(rig.claims(source))]
    return wrong


def taken_back(claims: Iterable[str]) -> list[str]:
    """Source positions that a lane stated after a later one: it had said that every commit up to there was in."""
    furthest, back = NOWHERE, []
    for claim in claims:
        if reached(claim, furthest):
            furthest = claim
        else:
            back.append(f"{claim} stated after {furthest}")
    return back


def _may_be_late(scenario: Scenario) -> bool:
    """The network itself may bring an old request late: only then may one come behind a newer one."""
    return any(step.fault.startswith("line-") and step.target == "shop" for step in scenario.steps)


def _state(rig: Rig) -> list[str]:
    """What does not work, for who looks for the cause."""
    return [
        f"{row.name}: {row.state} {row.note} {rig.health(row.name) if not row.component else ''}"
        for row in rig.system.stack.rows()
        if not rig.works(row.name)
    ]
