"""What is done to the chain, as data: a seeded scenario can be printed, written to a file and done again."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from schemas.errors import InvalidInput


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault."""

    fault: str
    target: str
    trigger: str
    """The progress at which it begins; `observe.condition` reads it."""
    until: str
    """The progress at which it ends."""
    numbers: dict[str, int] = {}
    """How much of it: rows, seconds of a clock, megabytes of a disk."""

    def __str__(self) -> str:
        numbers = "".join(f", {name} {number}" for name, number in self.numbers.items())
        return f"{self.fault} {self.target}{numbers}: at {self.trigger}, until {self.until}"


class Scenario(msgspec.Struct, frozen=True):
    """One or two faults that meet the same traffic."""

    seed: int
    """Of what is random in a fault besides."""
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return " + ".join(f"{step.fault} {step.target}" for step in self.steps)


def write_scenario(path: Path, scenario: Scenario) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(scenario), indent=1) + b"\n")


def read_scenario(path: Path) -> Scenario:
    """Raises InvalidInput naming the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Scenario)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{path}: not a scenario of the campaign: {error}") from None


FIRST = ("told:20", "business:30", "log:erp:40", "log:wms:40", "units:inventory:15")
"""Triggers of a fault that meets a healthy chain."""
SECOND = ("business:20", "business:45", "business:90")
"""Of the second one of a pair: the first may have stopped everything but the business."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario may choose of one fault."""

    name: str
    says: str
    targets: tuple[str, ...]
    until: tuple[str, ...]
    """One is drawn; `{target}` is filled in."""
    triggers: tuple[str, ...] = FIRST
    numbers: dict[str, tuple[int, ...]] = {}
    """One of each is drawn."""
    pairs: bool = True
    """Whether it may meet another one."""
    long: bool = False
    """Only with --long."""


def draw(rng: random.Random, kind: Kind, target: str, triggers: tuple[str, ...] = ()) -> Step:
    """One fault on one target, the rest by lot."""
    return Step(
        fault=kind.name,
        target=target,
        trigger=rng.choice(triggers or kind.triggers).format(target=target),
        until=rng.choice(kind.until).format(target=target),
        numbers={name: rng.choice(choices) for name, choices in kind.numbers.items()},
    )


def singles(seed: int, kinds: Iterable[Kind]) -> list[Scenario]:
    """Every fault on every target, alone, in an order by the seed."""
    rng = random.Random(seed)
    every = [(kind, target) for kind in kinds for target in kind.targets]
    rng.shuffle(every)
    return [Scenario(seed * 1000 + n, (draw(rng, kind, target),)) for n, (kind, target) in enumerate(every)]


def pairs(seed: int, kinds: Iterable[Kind]) -> Iterator[Scenario]:
    """Two faults at once, without end; never two on one target."""
    rng = random.Random(seed + 1)
    every = [(kind, target) for kind in kinds if kind.pairs for target in kind.targets]
    number = 500
    while len({target for _, target in every}) > 1:
        first, second = rng.sample(every, 2)
        if first[1] == second[1]:
            continue
        yield Scenario(seed * 1000 + number, (draw(rng, *first), draw(rng, *second, SECOND)))
        number += 1
