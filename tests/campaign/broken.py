"""A process of onhand without one of its guards: `python -m tests.campaign.broken "resend mark" run source erp`.

The guards are those that the state machine breaks (`tests.machine.mutations`), and those that only a real process has.
`SHOWN` says what the campaign does to a chain without one; its judge must not find it right (`--break GUARD`).
"""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from onhand.cli.main import main
from sinks.workers.channel import ChannelWorker
from tests.campaign.scenario import Step
from tests.machine import mutations

Patch = pytest.MonkeyPatch


def membership_of_a_held_worker(patch: Patch) -> None:
    """A channel worker that was held for longer than its lease pushes on without asking the group."""
    make = ChannelWorker.__init__

    def trusting(self: ChannelWorker, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self._lease_s = math.inf

    patch.setattr(ChannelWorker, "__init__", trusting)


ITEMS = 800
"""So many that traffic changes most of them no second time in a scenario: what was lost stays lost."""

GUARDS = {**mutations.GUARDS, "membership of a held worker": membership_of_a_held_worker}

SHOWN: dict[str, tuple[Step, ...]] = {
    "resend mark": (Step("resend", "connect", "unflushed:erp:12", "back:connect"),),
    "owed outputs": (
        Step("line-delay", "inventory-kafka", "told:20", "business:150"),
        Step("kill", "inventory", "business:140", "back:inventory"),
    ),
    "conflation order": (Step("line-delay", "shop", "told:20", "business:150"),),
    "membership of a held worker": (Step("overtaken", "channel-shop", "told:20", "business:75"),),
}
"""Guard → what goes wrong without it."""


if __name__ == "__main__":
    guard, *arguments = sys.argv[1:]
    GUARDS[guard](pytest.MonkeyPatch())
    main(arguments)
