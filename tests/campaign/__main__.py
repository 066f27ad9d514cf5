"""Command line of the fault campaign."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import median

import click
import msgspec

from schemas.errors import OnhandError
from tests.campaign.broken import ITEMS, SHOWN
from tests.campaign.faults import FAULTS
from tests.campaign.rig import Rig, running_rig
from tests.campaign.runner import Outcome, add_to_journal, read_journal, run
from tests.campaign.scenario import Scenario, pairs, read_scenario, singles, write_scenario

FAILURES = Path("build/campaign")
TRIES = 5
"""How often a chain without a guard gets its scenario: a kill must meet what the guard is for."""
HELP = """Break the running chain in every way it must survive, and audit it each time.

It starts the whole chain (servers, connectors, every process, a shop) on free ports with a data directory of its own,
and sends demo traffic through it.  Then scenario after scenario: a fault begins at an observed progress (`log:erp:40`:
the source log has grown by 40 records), ends at another, and afterwards

\b
  * every item's position and promise, on every day, are compared with hand-written SQL on both databases;
  * what the shop holds is compared with the promise, also as a shop would hold it that looks at no version;
  * no promise may have reached the shop behind a newer one;
  * no exception of a lane or channel may be open;
  * the time is printed from the end of the fault until the next commit of each database was told to the shop.

At first every fault alone on every target, in an order by the seed, then pairs by lot until the minutes are over.  A
scenario that fails is written to build/campaign/, with the logs beside it; --replay does it again.  A fault that mounts
a small disk needs root; one that steps a clock needs Debian's libfaketime.

\b
  python -m tests.campaign --list                       the faults and their targets
  python -m tests.campaign --only kill                  one fault on all its targets
  python -m tests.campaign --only stop:inventory        one fault on one target
  python -m tests.campaign --seed 7 --pairs             pairs only, always the same ones
  python -m tests.campaign --replay build/campaign/7003.json
  python -m tests.campaign --break "resend mark"        the judge must find fault: every process lacks this guard
  python -m tests.campaign --journal build/campaign/journal.jsonl    go on where the last run ended

Ends with 0 when every scenario was right, else with 1.
"""


@click.command(help=HELP)
@click.option("--seed", type=int, default=None, help="Of order and lots; a new one each time unless given.")
@click.option("--minutes", type=float, default=None, help="Begin no scenario after this; without it: all singles once.")
@click.option("--only", "chosen", multiple=True, metavar="FAULT[:TARGET]", help="Only these; repeatable.")
@click.option("--skip", type=int, default=0, help="Leave out so many of the scenarios in front.")
@click.option("--count", type=int, default=None, help="At most so many scenarios.")
@click.option("--pairs", "only_pairs", is_flag=True, help="No singles.")
@click.option("--long", "with_long", is_flag=True, help="Also the faults of hundreds of thousands of rows.")
@click.option("--items", type=int, default=120, show_default=True, help="Items of the demo business.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True, dir_okay=False), multiple=True, help="A file.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Every outcome is added to this file; singles that were right in it are left out.",
)
@click.option("--break", "broken", type=click.Choice(list(SHOWN)), help="Without this guard the judge must find fault.")
@click.option("--list", "show_list", is_flag=True, help="Show the faults and end.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each outcome instead of text.")
def main(
    seed: int | None,
    minutes: float | None,
    chosen: Sequence[str],
    skip: int,
    count: int | None,
    only_pairs: bool,
    with_long: bool,
    items: int,
    replay: Sequence[Path],
    journal: Path | None,
    broken: str | None,
    show_list: bool,
    as_json: bool,
) -> None:
    """See HELP."""
    if show_list:
        for fault in FAULTS.values():
            kind = fault.kind
            click.echo(f"{kind.name:17} {kind.says}{' (--long)' if kind.long else ''}")
            click.echo(f"{'':17} on {', '.join(kind.targets)}")
        return
    seed = random.SystemRandom().randrange(1_000) if seed is None else seed
    if broken is not None:
        sys.exit(0 if _is_noticed(broken, max(items, ITEMS), seed, count or TRIES) else 1)
    if replay:
        scenarios: Iterator[Scenario] = iter([read_scenario(path) for path in replay])
    else:
        scenarios = _scenarios(seed, chosen, only_pairs=only_pairs, with_long=with_long, endless=minutes is not None)
    if journal is not None:
        was_right = {outcome.scenario.name for outcome in read_journal(journal) if not outcome.wrong}
        scenarios = (one for one in scenarios if len(one.steps) > 1 or one.name not in was_right)
    for _ in range(skip):
        next(scenarios, None)
    if not as_json:
        click.echo(f"seed {seed}")
    outcomes = []
    for outcome in _run_all(scenarios, items, seed, minutes, count):
        outcomes.append(outcome)
        _tell(outcome, as_json=as_json)
        if journal is not None:
            add_to_journal(journal, outcome)
    if not as_json:
        _summary(outcomes)
    sys.exit(1 if any(outcome.wrong for outcome in outcomes) else 0)


def _is_noticed(guard: str, items: int, seed: int, tries: int) -> bool:
    """Whether the judge finds fault with a chain that lacks this guard."""
    with running_rig(items, seed, broken=guard) as rig:
        for number in range(tries):
            outcome = run(rig, Scenario(seed * 1000 + number, SHOWN[guard]))
            _tell(outcome, as_json=False)
            if outcome.wrong:
                click.echo(f"\nwithout {guard}: noticed in scenario {number + 1}")
                return True
    click.echo(f"\nwithout {guard}: not noticed in {tries} scenarios", err=True)
    return False


def _scenarios(
    seed: int, chosen: Sequence[str], *, only_pairs: bool, with_long: bool, endless: bool
) -> Iterator[Scenario]:
    names = {word.partition(":")[0] for word in chosen}
    if unknown := names - FAULTS.keys():
        raise click.UsageError(f"no fault {', '.join(sorted(unknown))}; --list shows what there is")
    kinds = [fault.kind for fault in FAULTS.values() if not names or fault.kind.name in names]
    kinds = [kind for kind in kinds if with_long or not kind.long or kind.name in names]
    targets = {word for word in chosen if ":" in word}

    def wanted(scenario: Scenario) -> bool:
        return all(
            f"{step.fault}:{step.target}" in targets or step.fault in chosen or not chosen for step in scenario.steps
        )

    alone = [] if only_pairs else [one for one in singles(seed, kinds) if wanted(one)]
    return chain(alone, (one for one in pairs(seed, kinds) if wanted(one))) if endless or only_pairs else iter(alone)


def _run_all(
    scenarios: Iterator[Scenario], items: int, seed: int, minutes: float | None, count: int | None
) -> Iterator[Outcome]:
    """On one chain as long as it is right; after a failure on a new one.  A failure's scenario and logs are kept."""
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    done = 0
    while True:
        with running_rig(items, seed) as rig:
            while True:
                over = (deadline is not None and time.monotonic() > deadline) or done == count
                scenario = None if over else next(scenarios, None)
                if scenario is None:
                    return
                outcome = run(rig, scenario)
                done += 1
                if outcome.wrong:
                    _keep(rig, scenario)
                yield outcome
                if outcome.wrong:
                    break


def _keep(rig: Rig, scenario: Scenario) -> None:
    write_scenario(FAILURES / f"{scenario.seed}.json", scenario)
    logs = FAILURES / f"{scenario.seed}.logs"
    shutil.rmtree(logs, ignore_errors=True)
    shutil.copytree(rig.system.settings.data_dir / "logs", logs)


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    scenario = outcome.scenario
    if as_json:
        click.echo(msgspec.json.encode(outcome).decode())
        return
    recovery = "-" if outcome.recovery_s is None else f"{outcome.recovery_s:.1f} s"
    verdict = "WRONG" if outcome.wrong else "right"
    click.echo(
        f"{verdict}  recovered in {recovery:>7}  {scenario.name}  (seed {scenario.seed}, {outcome.took_s:.0f} s)"
    )
    for step in scenario.steps:
        click.echo(f"         {step}")
    for command in outcome.commands:
        click.echo(f"         a person: {command}")
    for line in outcome.late:
        click.echo(f"         late: {line}")
    if outcome.wrong:
        click.echo("         " + "\n         ".join("\n".join(outcome.wrong[:20]).splitlines()))
        click.echo(f"         again: python -m tests.campaign --replay {FAILURES / f'{scenario.seed}.json'}")


def _summary(outcomes: Sequence[Outcome]) -> None:
    took: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.recovery_s is not None and not outcome.wrong:
            took[" + ".join(step.fault for step in outcome.scenario.steps)].append(outcome.recovery_s)
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    click.echo(f"\n{len(outcomes)} scenarios, {wrong} wrong.  Seconds to recover, by fault:")
    for name, seconds in sorted(took.items()):
        click.echo(f"  {name:30} n {len(seconds):3}  median {median(seconds):6.1f}  most {max(seconds):6.1f}")


if __name__ == "__main__":
    try:
        main()
    except OnhandError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
