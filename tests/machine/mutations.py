"""The guards of the chain, each broken in the running test: what the product is without it.

Nothing here ships: a guard is broken by putting another function in its place while the machine runs.  The table in
docs/reliability.md has a row for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from sinks.core.book import Book
from sinks.core.dirty import Key
from sinks.core.ledger import Telling
from streams.agents.runtime.owner import PartitionOwner
from streams.agents.runtime.recovery import Recovery
from streams.agents.runtime.tenure import Batch, Tenure
from streams.core.inventory import claims
from streams.core.inventory.kit_state import Asked
from streams.core.inventory.sources import Sources
from streams.core.inventory.stage import InventoryStage
from streams.core.inventory.state import Entry
from streams.core.lane import render, snapshots, stage
from streams.core.lane.snapshots import Snapshots
from streams.core.log.event import Event, decode_event
from streams.core.log.resend import Mark, Verdict
from streams.core.unit import InputRecord, Settled, View

Patch = pytest.MonkeyPatch


def resend_mark(patch: Patch) -> None:
    """What Debezium sends again counts as new."""
    patch.setattr(Mark, "judge", lambda self, event: Verdict.FRESH)


def whole_transactions(patch: Patch) -> None:
    """A row belongs to no transaction."""

    def alone(record: InputRecord) -> Event:
        event = decode_event(record)
        event.transaction = None
        return event

    patch.setattr(stage, "decode_event", alone)


def unit_marker(patch: Patch) -> None:
    """The marker says how far was read, not how far the unit goes."""
    settle = PartitionOwner._settle

    async def as_read(self: PartitionOwner, view: Any, settled: Settled, position: int | None) -> None:
        await settle(self, view, settled, self.needed if position is not None else None)

    patch.setattr(PartitionOwner, "_settle", as_read)


def owed_outputs(patch: Patch) -> None:
    """The marker owes nothing."""
    close = Tenure.close

    def owing_nothing(self: Tenure, changes: Any, **more: Any) -> Batch:
        return close(self, changes, **{**more, "owed": ()})

    patch.setattr(Tenure, "close", owing_nothing)


def seek_to_the_marker(patch: Patch) -> None:
    """A new owner takes what its consumer brings, from wherever that stands."""
    continuous = PartitionOwner._continuous

    async def anything(self: PartitionOwner, chunk: Sequence[Any]) -> bool:
        self.needed = chunk[0].offset
        return await continuous(self, chunk)

    patch.setattr(PartitionOwner, "_continuous", anything)


def dropped_tail(patch: Patch) -> None:
    """What stands behind the last marker counts."""
    finish = Recovery.finish

    def with_tail(self: Recovery) -> Any:
        self._take_open()
        return finish(self)

    patch.setattr(Recovery, "finish", with_tail)


def fencing_of_a_paused_owner(patch: Patch) -> None:
    """What a former owner writes late counts."""
    patch.setattr(Recovery, "_late", lambda self, writer: False)


def completeness(patch: Patch) -> None:
    """Every source is ready."""
    patch.setattr(Sources, "all_ready", lambda self, needed, versions: True)


def mark_and_sweep(patch: Patch) -> None:
    """Rows that a repeated snapshot did not bring stay."""
    patch.setattr(Snapshots, "_sweep", lambda self, name: None)


def conflation_order(patch: Patch) -> None:
    """A key that waits keeps the version it began to wait with."""
    state = Book.state

    def first(self: Book, partition: int, key: Key, fact: Any, now_us: int) -> None:
        if key not in self.dirty:
            state(self, partition, key, fact, now_us)

    patch.setattr(Book, "state", first)


def newest_after_doubt(patch: Patch) -> None:
    """A request of unknown outcome is taken not to have been applied."""
    patch.setattr(Telling, "doubt", lambda self, *request: None)


def use_of_a_component(patch: Patch) -> None:
    """A component is told once what a kit asks of it."""
    patch.setattr(Asked, "says", lambda self, other: other is not None)


def last_day_of_a_reservation(patch: Patch) -> None:
    """A reservation counts for as long as its row is there."""
    add = claims._add_reserved

    def for_ever(effect: claims.Effect, counted: Sequence[Entry], now_us: int) -> None:
        add(effect, [replace(entry, due=None) for entry in counted], now_us)

    patch.setattr(claims, "_add_reserved", for_ever)


def change_of_owners(patch: Patch) -> None:
    """Another ownership file counts for what changes from then on."""
    begin = InventoryStage.open

    def as_before(self: InventoryStage, state: View, partition: int, memo: bytes | None, _: Any, *more: int) -> Settled:
        return begin(self, state, partition, memo, None, *more)

    patch.setattr(InventoryStage, "open", as_before)


def time_that_passed(patch: Patch) -> None:
    """The hold of a TRUNCATE ends by the clock, whatever sets it."""
    patch.setattr(stage, "TICK_US", 1 << 60)


def past_of_the_log(patch: Patch) -> None:
    """A lane that begins anew promises by rows as they once were."""
    lacks = snapshots._lacks
    patch.setattr(snapshots, "_lacks", lambda memo: lacks(replace(memo, history_until=0)))


def what_was_put_off(patch: Patch) -> None:
    """A hold is over when its cause is, though what it was about has not left yet."""
    hold = snapshots.holding
    for module in (stage, render):
        patch.setattr(module, "holding", lambda memo: hold(replace(memo, held=False)))


GUARDS: dict[str, Callable[[Patch], None]] = {
    "resend mark": resend_mark,
    "whole transactions": whole_transactions,
    "unit marker": unit_marker,
    "owed outputs": owed_outputs,
    "seek to the marker": seek_to_the_marker,
    "dropped tail": dropped_tail,
    "fencing of a paused owner": fencing_of_a_paused_owner,
    "completeness": completeness,
    "mark and sweep": mark_and_sweep,
    "conflation order": conflation_order,
    "newest after doubt": newest_after_doubt,
    "use of a component": use_of_a_component,
    "last day of a reservation": last_day_of_a_reservation,
    "change of owners": change_of_owners,
    "time that passed": time_that_passed,
    "past of the log": past_of_the_log,
    "what was put off": what_was_put_off,
}
