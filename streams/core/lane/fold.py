"""One unit of a lane: row changes in, state and what is owed out.

Theory of operation.  Row images are first only collected, the last one of each row standing (`touch`).  `settle` then
enters the lookups, evaluates each touched driving row once, and after that the rows that rest on a lookup that
changed.  Sums move by the difference between what a row said and what it says.  So a unit of many transactions, or a
transaction that touches a row ten times, costs each row once, and every sum is a function of the rows alone.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from streams.core.lane.bad_rows import BadRows
from streams.core.lane.faults import Faults, Target
from streams.core.lane.keys import TAG_BYTES, ZERO, reference_text, split_sku
from streams.core.lane.left_out import LeftOut
from streams.core.lane.lookups import Lookups, replace_entries
from streams.core.lane.mapped import NOTHING, mapped
from streams.core.lane.owed import NO_STAMP, Dirty, Stamp, older
from streams.core.lane.state import STRANGE, Memo, RowRecord
from streams.core.lane.sums import Sums
from streams.core.lane.touched import Entry, Touched
from streams.core.mapping.model import Mapping, RowError
from streams.core.unit import InputRecord, View

FAN_OUT = 1000
"""Rows evaluated again within a unit because a lookup changed; more of them go to the work list `z`."""
FULL_BYTES = 2 << 20
"""Fan-out and slices stop when the unit's writes pass this, and rows that join many are put off."""
ROW_BYTES = 1 << 20
"""What the balance keys of one row may take, so that a unit holds it beside what it held before."""
LATER = b"\0" * (TAG_BYTES + 2)
"""The name of no lookup: rows rest on it that a unit could not hold any more."""

_encoder = msgspec.msgpack.Encoder()
_row_decoder = msgspec.msgpack.Decoder(RowRecord)
_reassert_decoder = msgspec.msgpack.Decoder(tuple[bytes, int | None, int | None])


def decode_row(stored: bytes) -> RowRecord:
    """A value of kind `r`."""
    return _row_decoder.decode(stored)


class Fold:
    """State of one partition while one unit is worked on."""

    def __init__(
        self,
        source: str,
        mapping: Mapping,
        entries: dict[str, Entry],
        lookups: Lookups,
        state: View,
        memo: Memo,
        now_us: int,
        left_out: LeftOut | None = None,
    ) -> None:
        self.mapping, self.entries, self.lookups, self.left_out = mapping, entries, lookups, left_out
        self.state, self.memo, self.now_us = state, memo, now_us
        self.dirty = Dirty()
        self.faults = Faults(source, state, self.dirty, now_us)
        self._bad = BadRows(self.faults, state, memo, self.dirty)
        self.sums = Sums(state, any(entry.archived for entry in entries.values()), now_us)
        self.touched: dict[bytes, Touched] = {}
        self.bad_rows = 0
        """Rows of the input that could not be mapped."""
        self._source = source
        self._settled: set[bytes] = set()
        """Rows evaluated since the lookups last changed; a unit may settle several times."""
        lookups.begin(state)

    def work_by(self, mapping: Mapping, entries: dict[str, Entry], lookups: Lookups, left_out: LeftOut | None) -> None:
        """Go on by another mapping of the same rows; what was touched before is settled."""
        self.mapping, self.entries, self.lookups, self.left_out = mapping, entries, lookups, left_out
        lookups.begin(self.state)

    # -- rows

    def record(self, reference: bytes) -> RowRecord | None:
        """The row's record as the state has it, dead ones too."""
        stored = self.state.get(b"r" + reference)
        return None if stored is None else _row_decoder.decode(stored)

    def touch(self, entry: Entry, reference: bytes, stamp: Stamp) -> Touched:
        """The row's place in this unit."""
        touched = self.touched.get(reference)
        if touched is None:
            table = self.memo.tables[entry.name]
            old = self.record(reference)
            alive = old is not None and old.seen >= table.dead_below
            marked = alive and old is not None and old.seen == table.generation
            touched = self.touched[reference] = Touched(entry, old, marked, not alive, stamp)
        else:
            touched.stamp = older(touched.stamp, stamp)
        return touched

    def previous(self, touched: Touched) -> Any | None:
        """The row before the next image, for placeholders; None when there is none, or its image is not known."""
        if touched.fault is not None or touched.deleted:
            return None
        if touched.row is not None:
            return touched.row
        old = touched.old
        if old is None or old.hole or not old.row or not self.memo.tables[touched.entry.name].holds(old):
            return None
        return touched.entry.table.load(old.row)

    def upsert(self, touched: Touched, row: Any | None, fault: RowError | None, raw: InputRecord | None) -> None:
        """The row's newest image, or why it could not be had."""
        table = self.memo.tables[touched.entry.name]
        if touched.deleted:
            touched.deleted = False
            table.rows += 1
        if not touched.marked:
            touched.marked = True
            table.seen += 1
        touched.row, touched.fault, touched.raw = row, fault, raw

    def delete(self, touched: Touched, *, truncated: bool = False) -> None:
        """The row is gone."""
        table = self.memo.tables[touched.entry.name]
        if not touched.deleted:
            table.rows -= 1
            table.seen -= touched.marked
        touched.deleted, touched.marked, touched.truncated = True, False, truncated
        touched.row, touched.fault, touched.raw = None, None, None

    def load_live(self, reference: bytes) -> Any | None:
        """The live row struct behind a reference, for lookups."""
        touched = self.touched.get(reference)
        if touched is not None and (touched.deleted or touched.row is not None):
            return touched.row
        record = self.record(reference)
        if record is None or not record.row:
            return None
        entry = self.entries.get(reference[: reference.index(ZERO)].decode())
        if entry is None:
            return None
        return entry.table.load(record.row) if self.memo.tables[entry.name].holds(record) else None

    # -- the unit's end

    def settle(self) -> None:
        """Evaluate what was touched, then what rests on it; write rows and sums."""
        self._settled.clear()
        changed: dict[bytes, Stamp] = {}
        unheard: dict[bytes, Stamp] = {}  # of tables still being read: nothing that joins them has been evaluated
        pending: list[tuple[bytes, Touched, RowRecord]] = []
        read = self.memo.read()
        for reference, touched in self.touched.items():
            heard = changed if read is None or touched.entry.name in read else unheard
            if touched.deleted:
                self._remove(reference, touched, heard)
            elif (new := self._enter(reference, touched, heard)) is not None:
                pending.append((reference, touched, new))
        for reference, touched, new in pending:
            self._settled.add(reference)
            entry = touched.entry
            if new.hole:
                self._put(reference, new)
            elif entry.spreads and self.state.size > FULL_BYTES:
                self._put_off(reference, new, touched.stamp)
            elif read is None or (self.memo.stored is not None and entry.table.joins <= read):
                self.evaluate(entry, reference, new, touched.row, touched.stamp, touched.raw)
            else:
                self._put(reference, new)
                self.memo.note_stored(entry.name)
            self.bad_rows += new.bad
        self.touched.clear()
        if changed:
            self.reassert(changed)
        self.write_sums()

    def _enter(self, reference: bytes, touched: Touched, changed: dict[bytes, Stamp]) -> RowRecord | None:
        """The row's new record with its lookup entries; None: nothing about it changed."""
        entry, old = touched.entry, touched.old
        table = self.memo.tables[entry.name]
        if touched.fault is not None:
            return self._park(reference, touched, touched.fault)
        row = touched.row
        if row is None:
            return None
        stored = entry.table.dump(row)
        same = old is not None and old.row == stored and table.holds(old)
        if old is not None and same and not (old.bad or old.hole):
            if old.seen != table.generation:
                old.seen = table.generation
                self._put(reference, old)
            return None
        try:
            found, chains = self._names(entry, row)
        except RowError as fault:
            return self._park(reference, touched, fault)
        if found or chains or (old is not None and (old.found or old.chains)):
            self.lookups.enter(reference, old, found, chains)
            for name in (*found, *(old.found if old is not None else ())):
                changed[name] = older(changed[name], touched.stamp) if name in changed else touched.stamp
        if old is None:
            return RowRecord(table.generation, stored, found=found, chains=chains, form=table.form)
        if old.hole:
            self.state.put(b"p" + reference, None)
        old.seen, old.row, old.found, old.chains, old.hole = table.generation, stored, found, chains, False
        old.form = table.form
        return old

    def _names(self, entry: Entry, row: Any) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The lookup names under which a row is found, and those it leads on to.  Raises RowError."""
        if not entry.looked_up:
            return (), ()
        names = self.lookups.names
        return names.all(entry.table.lookup_keys(row)), names.all(entry.table.chains(row))

    def _park(self, reference: bytes, touched: Touched, fault: RowError) -> RowRecord:
        """The newest image cannot be decoded, or no key of a lookup be made of it: what the row said last stands, and
        the image is kept to be tried again."""
        old = touched.old or RowRecord(0, b"")
        old.seen = self.memo.tables[touched.entry.name].generation
        old.hole = True
        if touched.raw is not None:
            self.state.put(b"p" + reference, _encoder.encode(touched.raw))
        self._bad.mark(touched.entry.safety, reference, old, fault, touched.raw)
        return old

    def _remove(self, reference: bytes, touched: Touched, changed: dict[bytes, Stamp]) -> None:
        old, entry = touched.old, touched.entry
        if old is None:
            return
        if old.found or old.chains:
            self.lookups.enter(reference, old, (), ())
            for name in old.found:
                changed[name] = older(changed[name], touched.stamp) if name in changed else touched.stamp
        if old.bad:
            self._bad.clear(entry.safety, reference, old)
        if old.hole:
            self.state.put(b"p" + reference, None)
        for fault in old.faults:
            self.faults.close_for(fault)
        archived = entry.archived and not touched.truncated
        deletion = "removed" if touched.truncated else entry.deletion
        self._say(reference, old, (), (), touched.stamp, deletion=deletion, archived=archived)
        replace_entries(self.state, b"d", reference, old.edges, ())
        self.memo.waiting_rows -= old.waits
        self.state.put(b"r" + reference, None)

    # -- evaluation

    def evaluate(
        self,
        entry: Entry,
        reference: bytes,
        record: RowRecord,
        row: Any,
        stamp: Stamp,
        raw: InputRecord | None = None,
    ) -> None:
        """Say anew what a row says, and write its record; `raw` is the change itself, for the exception."""
        lookups = self.lookups
        try:
            evaluation = entry.table.evaluate(row, lookups.sources)
            said = mapped(evaluation, reference) if evaluation.outputs else NOTHING
            if entry.spreads and sum(len(balance) for balance, _ in said.postings) > ROW_BYTES:
                raise RowError("lookup-too-many", f"{len(said.postings):,} postings of one row take over 1 MiB")
        except RowError as error:
            self._bad.mark(entry.safety, reference, record, error, raw)
            self._rest_on(reference, record, lookups.asked(lambda sources: entry.table.evaluate(row, sources)))
            self._put(reference, record)
            return
        if record.bad:
            self._bad.clear(entry.safety, reference, record)
        self._rest_on(reference, record, lookups.names.all(evaluation.rests_on))
        waits = bool(evaluation.missing)
        if waits is not record.waits:
            self.memo.waiting_rows += 1 if waits else -1
            record.waits = waits
        faults: list[str] = []
        for note in said.notes:
            target = None if note.subject else Target(row=reference)
            identity = self.faults.open(
                note.code, note.subject or reference_text(reference), note.detail, again=False, target=target
            )
            if note.subject and identity not in record.faults and identity not in faults:
                self.faults.share(identity)
            faults.append(identity)
        if faults or record.faults:
            for gone in record.faults:
                if gone not in faults:
                    self.faults.close_for(gone)
            record.faults = tuple(dict.fromkeys(faults))
        postings, parts = said.postings, said.parts
        if self.left_out is not None:
            postings += self.left_out.postings(entry.name, record)
            parts += self.left_out.parts(entry.name, record)
        self._say(reference, record, postings, parts, stamp)
        self._put(reference, record)

    def _put_off(self, reference: bytes, record: RowRecord, stamp: Stamp) -> None:
        """Evaluate a row in a unit of its own: it may say more than this one has room for."""
        if LATER not in record.edges:
            self._rest_on(reference, record, (*record.edges, LATER))
        self._put(reference, record)
        self._reassert_later(LATER, b"", stamp)

    def _rest_on(self, reference: bytes, record: RowRecord, edges: tuple[bytes, ...]) -> None:
        """What a driving row rests on, instead of what it did."""
        if edges != record.edges:
            replace_entries(self.state, b"d", reference, record.edges, edges)
            record.edges = edges

    def evaluate_again(self, reference: bytes, stamp: Stamp) -> None:
        """Evaluate a row that did not itself change; one that is gone or cannot be evaluated is left."""
        record = self.record(reference)
        if record is None or record.hole or not record.row:
            return
        entry = self.entries.get(reference[: reference.index(ZERO)].decode())
        if entry is not None and self.memo.tables[entry.name].holds(record):
            self.evaluate(entry, reference, record, entry.table.load(record.row), stamp)

    def give_up(self, reference: bytes) -> None:
        """A person closed what is wrong with a row: what it said last stands and is certain."""
        record = self.record(reference)
        entry = self.entries.get(reference[: reference.index(ZERO)].decode())
        if record is None or entry is None:
            return
        if record.bad:
            self._bad.clear(entry.safety, reference, record)
        record.faults = tuple(fault for fault in record.faults if self.faults.shared(fault))
        if record.hole:
            self.state.put(b"p" + reference, None)
        self._put(reference, record)

    def drop(self, reference: bytes, record: RowRecord) -> None:
        """Withdraw a row whose table the mapping does not have any more."""
        self.lookups.enter(reference, record, (), ())
        for fault in record.faults:
            self.faults.close_for(fault)
        self._say(reference, record, (), (), NO_STAMP)
        replace_entries(self.state, b"d", reference, record.edges, ())
        self.memo.waiting_rows -= record.waits
        self.state.put(b"r" + reference, None)

    def adopt(self, reference: bytes, record: RowRecord, entry: Entry, row: bytes) -> None:
        """A row as another mapping has it."""
        record.row, record.form = row, self.memo.tables[entry.name].form
        self._put(reference, record)

    def estrange(self, reference: bytes, record: RowRecord, entry: Entry, fault: RowError | None = None) -> None:
        """Nobody knows a row as another mapping has it: what it said stands."""
        reason = f"the mapping needs {entry.name} as it was never stored, and this row did not come when it was read"
        self._bad.mark(entry.safety, reference, record, fault or RowError("row-unmappable", reason), None)
        record.form = STRANGE
        self._put(reference, record)

    def index(self, reference: bytes, record: RowRecord, entry: Entry) -> None:
        """Enter a row into the lookups of another mapping."""
        if not record.row:
            return
        try:
            found, chains = self._names(entry, entry.table.load(record.row))
        except RowError as fault:
            self.estrange(reference, record, entry, fault)
            return
        if found != record.found or chains != record.chains:
            self.lookups.enter(reference, record, found, chains)
            record.found, record.chains = found, chains
            self._put(reference, record)

    def write_sums(self) -> None:
        """Write the sums that changed since the last time; sums that closed claims changed are dirty, too."""
        for balance in self.sums.settle():
            self.dirty.balance(balance, NO_STAMP)

    def _say(
        self,
        reference: bytes,
        record: RowRecord,
        postings: tuple[tuple[bytes, str], ...],
        parts: tuple[tuple[bytes, bytes], ...],
        stamp: Stamp,
        *,
        deletion: str | None = None,
        archived: bool = False,
    ) -> None:
        """Move sums and parts from what the record says to what is said now."""
        if postings != record.postings:
            for balance in self.sums.replace(record.postings, postings, reference, archived):
                self.dirty.balance(balance, stamp)
            record.postings = postings
        if parts != record.parts:
            had, now = dict(record.parts), dict(parts)
            for key in had:
                if key not in now:
                    self.state.put(key, None)
                    self._part_changed(key, reference, deletion, stamp)
            for key, value in now.items():
                if had.get(key) != value:
                    self.state.put(key, value)
                    self._part_changed(key, reference, None, stamp)
            record.parts = parts

    def _part_changed(self, key: bytes, reference: bytes, deletion: str | None, stamp: Stamp) -> None:
        name = key[1 : -len(reference) - 1]
        kind = key[:1]
        if kind == b"i":
            self.dirty.item(name, stamp)
        elif kind == b"l":
            self.dirty.location(name)
        elif kind == b"b":
            self.dirty.bill(split_sku(name)[0], stamp)
        elif kind == b"t":
            self.dirty.part_of(name, stamp)
        else:
            order, _, part = name.partition(ZERO)
            self.dirty.order_part(order, part, deletion, stamp)

    def _put(self, reference: bytes, record: RowRecord) -> None:
        self.state.put(b"r" + reference, _encoder.encode(record))

    # -- lookups that changed

    def reassert(self, changed: dict[bytes, Stamp]) -> None:
        """Evaluate what rests on these lookup names, directly or through chains; much of it later, in slices."""
        queue = deque(changed.items())
        known = set(changed)
        room = FAN_OUT
        while queue:
            name, stamp = queue.popleft()
            if room <= 0 or self.state.size > FULL_BYTES:
                self._reassert_later(name, b"", stamp)
                continue
            for reference in self.lookups.leading_on(name):
                record = self.record(reference)
                for other in () if record is None else record.found:
                    if other not in known:
                        known.add(other)
                        queue.append((other, stamp))
            room -= self._reassert_slice(name, b"", stamp, room)

    def continue_reasserting(self) -> None:
        """One slice of the work list `z`."""
        for key, value in self.state.scan(b"z"):
            cursor, committed, captured = _reassert_decoder.decode(value)
            self.state.put(key, None)
            name, stamp = key[1:], (committed, captured)
            self.memo.reasserting = False
            if not cursor:
                self.reassert({name: stamp})
            else:
                self._reassert_slice(name, cursor, stamp, FAN_OUT)
            self.write_sums()
            self.memo.reasserting = self.memo.reasserting or any(True for _ in self.state.scan(b"z"))
            return
        self.memo.reasserting = False

    def _reassert_slice(self, name: bytes, start: bytes, stamp: Stamp, room: int) -> int:
        done = 0
        for reference in self.lookups.dependents(name, start):
            if done >= room or self.state.size > FULL_BYTES:
                self._reassert_later(name, reference, stamp)
                break
            if reference not in self._settled:
                self._settled.add(reference)
                self.evaluate_again(reference, stamp)
                done += 1
        return done

    def _reassert_later(self, name: bytes, cursor: bytes, stamp: Stamp) -> None:
        self.memo.reasserting = True
        self.state.put(b"z" + name, _encoder.encode((cursor, *stamp)))
