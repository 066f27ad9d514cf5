"""Events of closed transactions, applied to a unit in log order."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from schemas.errors import Fatal, InvalidInput
from streams.core.lane.applied import Switch
from streams.core.lane.bad_rows import skus_of
from streams.core.lane.faults import Target, load_exception, load_target
from streams.core.lane.fold import Fold
from streams.core.lane.in_force import InForce
from streams.core.lane.keys import ZERO, row_reference
from streams.core.lane.owed import NO_STAMP
from streams.core.lane.preparing import ahead_key
from streams.core.lane.snapshots import Snapshots
from streams.core.lane.touched import Entry
from streams.core.lane.waiting import enqueue, key_queue, queued, table_queue
from streams.core.log.control import CONTROL_KEY, Action, Control
from streams.core.log.event import ROW, Event, Kind, Notification, decode_event
from streams.core.log.snapshot import completes_initial, starts_initial
from streams.core.mapping.model import RowError
from streams.core.mapping.partial import PartTable, misfits
from streams.core.unit import InputRecord

INLINE_TRUNCATE = 1000
"""A TRUNCATE of so many rows is one unit with its transaction; above, rows are withdrawn in slices."""
RETRY_SLICE = 500
RESTART_MARGIN_US = 60_000_000
"""A mapping switch written longer than this before the lane opened was there when the mapping was loaded."""

_record_decoder = msgspec.msgpack.Decoder(InputRecord)


class Identity(NamedTuple):
    """Which lane this is."""

    source: str
    opened_us: int
    in_force: InForce


class Intake:
    """Applies events to one unit."""

    def __init__(self, fold: Fold, snapshots: Snapshots, waiting: set[bytes], identity: Identity, hold_us: int) -> None:
        self._fold, self._snapshots, self._waiting = fold, snapshots, waiting
        self._identity, self._hold_us = identity, hold_us
        self.rows = 0
        """Mapped rows applied."""
        self.poisoned = 0
        """Records that could not be read."""
        self.switch: Switch | None = None
        """The mapping that counts from the end of this unit on."""

    def take(self, event: Event) -> None:
        """Raises Fatal when the log switches to a mapping this process does not have."""
        kind = event.kind
        if kind is ROW:
            entry = self._fold.entries.get(event.table)
            ahead = self._identity.in_force.ahead
            if ahead is not None:
                ahead.note(self._fold.state, self._fold.memo, event)
            if entry is not None:
                self._row(entry, event)
            elif ahead is not None and event.table in self._fold.memo.tables:
                self._snapshots.row(event.table, event)
        elif kind is Kind.NOTIFICATION and event.notification is not None:
            self._notice(event.notification, event.offset)
        elif kind is Kind.CONTROL and event.control is not None:
            self._control(event.control, event.offset, event.written_us)
        elif kind is Kind.POISON:
            self._poison(event)

    def open_source_fault(self, code: str, detail: str) -> None:
        """Something about the whole source."""
        self._fold.faults.open(code, "source", detail, again=False)

    # -- rows

    def _row(self, entry: Entry, event: Event) -> None:
        if event.snapshot or self._fold.memo.reading:
            self._snapshots.row(entry.name, event)
        self.rows += 1
        if self._waiting and event.record is not None:
            for queue in (table_queue(entry.name), key_queue(event.key)):
                if queue in self._waiting and (event.key is not None or queue[:1] == b"t"):
                    enqueue(self._fold.state, queue, event.record)
                    return
        self._apply(entry, event)

    def _apply(self, entry: Entry, event: Event, *, give_up: bool = False) -> bool:
        """False: the row has an absent column and was not applied."""
        fold = self._fold
        if event.op == "t":
            self._truncate(entry)
            return True
        stamp = NO_STAMP if event.snapshot or event.incremental else (event.committed_us, event.captured_us)
        try:
            if event.op == "d":
                reference = row_reference(entry.prefix, entry.table.decode_key(event.key or b""))
                fold.delete(fold.touch(entry, reference, stamp))
                if fold.memo.indexing is not None:
                    fold.state.put(ahead_key(fold.memo.mapping, reference), None)
                return True
            row = entry.table.decode(event.after)
        except RowError as error:
            retyped = misfits(entry.table, event.after)
            if retyped and not set(retyped) & set(entry.table.key):
                return self._lose_columns(entry, event, retyped, "column-retyped", give_up=give_up)
            self._park(entry, event, error)
            return True
        absent = entry.table.absent(row)
        if absent:
            return self._lose_columns(entry, event, absent, "column-absent", give_up=give_up)
        if fold.memo.absent and entry.name in fold.memo.absent:
            self._note_absence(entry, row, event.offset)
        touched = fold.touch(entry, row_reference(entry.prefix, entry.table.key_of(row)), stamp)
        fault: RowError | None = None
        try:
            row = entry.table.merged(row, None)
        except RowError:
            try:
                row = entry.table.merged(row, fold.previous(touched))
            except RowError as error:
                fault = error
        if fault is not None:
            fold.upsert(touched, None, fault, event.record)
        else:
            fold.upsert(touched, row, None, event.record)
        return True

    def _park(self, entry: Entry, event: Event, error: RowError) -> None:
        """One image cannot be decoded: the row keeps what it said last."""
        try:
            reference = row_reference(entry.prefix, entry.table.decode_key(event.key or b""))
        except RowError as worse:
            self._set_aside(event, worse.code, f"key of {entry.name}: {worse}")
            return
        self._fold.upsert(self._fold.touch(entry, reference, NO_STAMP), None, error, event.record)

    def _lose_columns(self, entry: Entry, event: Event, columns: tuple[str, ...], code: str, *, give_up: bool) -> bool:
        """Leave out what uses them and apply the row by the others; if that cannot be, the table waits."""
        if give_up:
            return False
        fold, in_force = self._fold, self._identity.in_force
        names = ", ".join(columns)
        what = (
            f"sends no {names}: dropped or renamed"
            if code == "column-absent"
            else f"sends {names} as another type: changed"
        )
        if not in_force.lose_columns(fold, entry.name, columns, event.offset):
            self._park_table(entry, event, code, f"{entry.name} {what} at the source; its changes wait")
            return False
        parts = fold.memo.absent[entry.name].parts
        say = "says" if len(parts) == 1 else "say"
        detail = f"{entry.name} {what} at the source; {', '.join(parts)} {say} nothing new; everything else goes on"
        fold.faults.open(code, entry.name, detail, event.record)
        return self._apply(fold.entries[entry.name], event)

    def _note_absence(self, entry: Entry, row: Any, offset: int) -> None:
        """A row that lacks a column: a reading that began before it does not bring the column back."""
        if isinstance(entry.table, PartTable) and entry.table.lacks(row):
            self._fold.memo.absent[entry.name].last = offset

    def _park_table(self, entry: Entry, event: Event, code: str, detail: str) -> None:
        queue = table_queue(entry.name)
        if event.record is not None:
            enqueue(self._fold.state, queue, event.record)
        self._waiting.add(queue)
        self._fold.memo.tables[entry.name].parked = True
        self._fold.faults.open(code, entry.name, detail, event.record, target=Target(queue=queue))

    def _truncate(self, entry: Entry) -> None:
        fold = self._fold
        self._forget_waiting(entry.name)
        table = fold.memo.tables[entry.name]
        if entry.safety and table.rows and not table.held_until_us:
            table.held_rows, table.held_until_us = table.rows, fold.memo.passed_us + self._hold_us
        for touched in [t for t in fold.touched.values() if t.entry is entry]:
            fold.delete(touched, truncated=True)
        prefix = b"r" + entry.prefix
        sweeps = any(item[0] == entry.name for item in fold.memo.sweeping)
        ahead = fold.memo.indexing is not None or fold.memo.preparing is not None
        if table.rows <= INLINE_TRUNCATE and not sweeps and not ahead:
            for key, _ in fold.state.scan(prefix):
                reference = key[1:]
                if reference not in fold.touched:
                    fold.delete(fold.touch(entry, reference, NO_STAMP), truncated=True)
            return
        table.generation += 1
        table.dead_below = table.generation
        table.rows = table.seen = 0
        fold.memo.sweeping = (
            *(item for item in fold.memo.sweeping if item[0] != entry.name),
            (entry.name, prefix, True),
        )
        fold.lookups.forget()

    def _forget_waiting(self, table: str) -> None:
        """What waits of a truncated table is older; taken up later it would bring rows back."""
        for queue in [queue for queue in self._waiting if queue[:1] == b"k"]:
            for key, record in list(queued(self._fold.state, queue)):
                event = decode_event(record)
                if event.kind is Kind.ROW and event.table == table:
                    self._fold.state.put(key, None)

    # -- snapshots

    def _notice(self, notification: Notification, offset: int) -> None:
        if starts_initial(notification):
            self._supersede(offset)
        elif completes_initial(notification):
            self._empty_queues()
        self._snapshots.notice(notification, offset, waiting=bool(self._waiting))

    def _supersede(self, offset: int) -> None:
        """A snapshot begins: it brings what the waiting records would have told, and more."""
        memo = self._fold.memo
        read_anew = self._waiting - {key_queue(CONTROL_KEY)}
        known = {queue for queue, _ in memo.superseded}
        memo.superseded = tuple((queue, offset) for queue in sorted(read_anew | known))
        memo.retrying = tuple(item for item in memo.retrying if item[0] not in read_anew)
        self._waiting -= read_anew

    def _empty_queues(self) -> None:
        """A snapshot is in: close what was open about queues in which nothing waits any more."""
        fold = self._fold
        targets = [load_target(fold.state, key[1:].decode()) for key, _ in fold.state.scan(b"k")]
        for queue in sorted({target.queue for target in targets if target is not None and target.queue}):
            if queue not in self._waiting:
                self._queue_empty(queue)

    # -- what cannot be read

    def _poison(self, event: Event) -> None:
        error = event.error
        if error is not None:
            self.poisoned += 1
            self._set_aside(event, error.code, str(error))

    def _set_aside(self, event: Event, code: str, detail: str) -> None:
        """Keep the record; what comes with its key waits behind it."""
        record, fold = event.record, self._fold
        if record is None:
            return
        queue = key_queue(event.key) if event.key is not None else key_queue(b"offset %d" % record.offset)
        enqueue(fold.state, queue, record)
        self._waiting.add(queue)
        skus, unknown = self._touched_by(event.key)
        subject = f"{record.topic}/{record.partition}/{record.offset}"
        fold.faults.open(code, subject, detail, record, target=Target(b"", queue, skus, unknown))
        for sku in skus:
            fold.state.put(b"y" + sku + ZERO + queue, b"")
            fold.dirty.uncertain(sku)
        fold.memo.unknown_parked += unknown

    def _touched_by(self, key: bytes | None) -> tuple[tuple[bytes, ...], bool]:
        """Skus of the rows a key may mean; and whether it may mean one nobody knows."""
        skus: dict[bytes, None] = {}
        for entry in self._fold.entries.values():
            if not entry.safety or key is None:
                continue
            try:
                record = self._fold.record(row_reference(entry.prefix, entry.table.decode_key(key)))
            except RowError:
                continue
            if record is not None:
                skus.update(dict.fromkeys(skus_of(record)))
        return tuple(skus), not skus

    def continue_retrying(self) -> None:
        """One slice of the first queue taken up again."""
        fold = self._fold
        queue, give_up = fold.memo.retrying[0]
        finished = True
        for done, (key, record) in enumerate(queued(fold.state, queue)):
            if done >= RETRY_SLICE:
                finished = False
                break
            if not self._retried(decode_event(record), give_up) and not give_up:
                break
            fold.state.put(key, None)
        if finished:
            fold.memo.retrying = fold.memo.retrying[1:]
            if next(queued(fold.state, queue), None) is None:
                self._queue_empty(queue)

    def _retried(self, event: Event, give_up: bool) -> bool:
        if event.kind is Kind.POISON:
            return False
        entry = self._fold.entries.get(event.table)
        return entry is None or event.kind is not Kind.ROW or self._apply(entry, event, give_up=give_up)

    def _queue_empty(self, queue: bytes) -> None:
        fold = self._fold
        self._waiting.discard(queue)
        if queue[:1] == b"t":
            name = queue[1:].decode()
            if name in fold.memo.tables:
                fold.memo.tables[name].parked = False
            for code in ("column-absent", "column-retyped"):
                fold.faults.close_code(code, name)
            return
        for key, _ in list(fold.state.scan(b"k")):
            identity = key[1:].decode()
            target = load_target(fold.state, identity)
            if target is None or target.queue != queue:
                continue
            for sku in target.skus:
                fold.state.put(b"y" + sku + ZERO + queue, None)
                fold.dirty.uncertain(sku)
            fold.memo.unknown_parked -= target.unknown
            fold.faults.close(identity)

    # -- what a person or a tool says

    def _control(self, control: Control, offset: int, written_us: int) -> None:
        memo = self._fold.memo
        if control.action is Action.RESTATE:
            memo.restating, memo.restating_since = b"s", None
        elif control.action is Action.MAPPING:
            self._switch(control, offset, written_us)
        elif control.action is Action.RELEASE:
            self._release(control.id)
        else:
            self._retry_or_close(control.id, give_up=control.action is Action.CLOSE)

    def _switch(self, control: Control, offset: int, written_us: int) -> None:
        fold, in_force, source = self._fold, self._identity.in_force, self._identity.source
        if offset < fold.memo.history_until:
            return  # a state that begins anew began with the newest mapping that is known
        try:
            told = in_force.told(fold.memo, control, offset)
        except InvalidInput as error:
            fold.faults.open("mapping-refused", "source", f"this release refuses what was applied: {error}")
            return
        if told is not None:
            self.switch = told if in_force.can_count(fold, told) else None
        elif written_us > self._identity.opened_us - RESTART_MARGIN_US:
            raise Fatal(
                f"source {source}: the log switches to mapping {control.fingerprint[:12]}, this process has "
                f"{in_force.mapping.fingerprint.hex()[:12]}; it is started again with the files of the folder"
            )

    def _release(self, identity: str) -> None:
        known = load_exception(self._fold.state, identity)
        if known is None:
            self._fold.faults.disown(identity)
        elif known.subject in self._fold.memo.tables:
            self._snapshots.release(known.subject, sweep=known.code == "sweep-waits")
            self._fold.faults.close(identity)

    def _retry_or_close(self, identity: str, *, give_up: bool) -> None:
        fold = self._fold
        target = load_target(fold.state, identity)
        if target is None:
            if give_up and not fold.faults.close(identity):
                fold.faults.disown(identity)
            return
        if target.queue:
            fold.memo.retrying = (*fold.memo.retrying, (target.queue, give_up))
            return
        fold.settle()
        if give_up:
            fold.give_up(target.row)
            fold.faults.close(identity)
            return
        stored = fold.state.get(b"p" + target.row)
        if stored is None:
            fold.evaluate_again(target.row, NO_STAMP)
            return
        event = decode_event(_record_decoder.decode(stored))
        entry = fold.entries.get(event.table)
        if entry is not None:
            self._apply(entry, event)
