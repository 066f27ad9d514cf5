"""Cut a source log into whole transactions.

Rules (DESIGN §3).  A transaction is closed by END with its own id, or by the first *fresh* row of another one: a BEGIN
alone closes nothing, because a connector that crashed inside U first repeats S and T, begun and ended, and then goes
on with U.  END of another id is such a repetition.  A second BEGIN of the same id continues.  Heartbeats, control
records and notifications close nothing that holds rows.  MariaDB and MySQL commit DDL by itself and write no END for
it, so there a BEGIN does close a transaction that holds a TRUNCATE.  The start of an initial snapshot closes whatever
is open: its connector has forgotten where it was.

Rows outside any transaction (snapshots) come in loose groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from streams.core.log.event import BEGIN, END, ROW, Event, Kind
from streams.core.log.position import Position, covered_binlog, covered_lsn
from streams.core.log.resend import NEW_SPACE, RESENT, Mark
from streams.core.log.snapshot import starts_snapshot

LOOSE_EVENTS = 256
"""Events of a loose group at most: small against a unit, large against the cost of a group."""


class Group(msgspec.Struct):
    """One transaction, or neighbours outside any, in log order; dropped resends are left out."""

    events: list[Event] = msgspec.field(default_factory=list)
    transaction: str | None = None
    """None: loose."""
    end: int = 0
    """Index after the last event it takes up, resends included."""
    closed: bool = False
    """False: the rest has not come."""
    mark: Mark = Mark()
    """The resend mark once this group is settled."""
    position: Position | None = None
    """Greatest row position in it."""
    binlog: bool = False
    """That position is a binlog's."""
    covered: str | None = None
    """Covered position once it is settled; None: not moved."""
    committed_us: int | None = None
    """Its commit time."""
    new_space: bool = False
    """A new position space began in it."""
    size: int = 0
    """Bytes of its records' values."""
    truncates: bool = False
    spaces: frozenset[str] = frozenset()


def cut(events: Sequence[Event], mark: Mark, open_transaction: str | None) -> Iterator[Group]:
    """Closed groups in order; the last one may be open.

    `open_transaction` was settled in part: its remaining rows come first.  The caller may stop at any group and go on
    later from its `end` with its `mark`.
    """
    group = Group(transaction=open_transaction, mark=mark)
    for index, event in enumerate(events):
        kind = event.kind
        if kind is ROW:
            if not (event.snapshot or event.incremental):
                verdict = mark.judge(event)
                if verdict is RESENT:
                    continue
                if verdict is NEW_SPACE:
                    mark = Mark()
                    group.new_space = True
                transaction = event.transaction
                if transaction != group.transaction and transaction is not None:
                    if group.transaction is not None or group.events:
                        mark = mark.seen(group.committed_us or 0, group.spaces)
                        new_space, group.new_space = group.new_space, False
                        yield _close(group, index, mark)
                        group = Group(new_space=new_space)
                    group.transaction = transaction
            _take(group, event)
        elif kind is END:
            if group.transaction is not None and event.transaction == group.transaction:
                mark = mark.moved(group.position, group.committed_us or 0, group.spaces)
                yield _close(group, index + 1, mark, event.commit_lsn)
                group = Group()
        elif kind is BEGIN:
            if group.truncates and event.transaction != group.transaction:
                mark = mark.moved(group.position, group.committed_us or 0, group.spaces)
                yield _close(group, index, mark)
                group = Group()
        elif kind in (Kind.NOTIFICATION, Kind.CONTROL, Kind.POISON):
            if group.transaction is not None and starts_snapshot(event):
                yield _close(group, index, mark)
                group = Group()
            group.events.append(event)
            if starts_snapshot(event):
                mark = Mark()
        if group.transaction is None and len(group.events) >= LOOSE_EVENTS:
            yield _close(group, index + 1, mark)
            group = Group()
    if group.transaction is None:
        yield _close(group, len(events), mark)
    else:
        group.end, group.mark = len(events), mark
        yield group


def _take(group: Group, event: Event) -> None:
    group.events.append(event)
    group.size += event.size
    if event.snapshot or event.incremental:
        return
    position = event.position
    if position is not None and (group.position is None or position > group.position):
        group.position, group.binlog = position, event.binlog
    if event.committed_us is not None and event.committed_us > (group.committed_us or 0):
        group.committed_us = event.committed_us
    if event.space not in group.spaces:
        group.spaces = group.spaces | {event.space}
    if event.op == "t" and event.binlog:
        group.truncates = True


def _close(group: Group, end: int, mark: Mark, commit_lsn: int | None = None) -> Group:
    group.closed, group.end, group.mark = True, end, mark
    if commit_lsn is not None:
        group.covered = covered_lsn(commit_lsn)
    elif group.position is not None and group.binlog:
        group.covered = covered_binlog(group.position.major, group.position.minor)
    return group
