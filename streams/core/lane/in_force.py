"""The mapping a lane works by, all that is made for it, and how it becomes another one (DESIGN §3).

A switch in the log counts from the unit on that it stands in.  When the new mapping needs columns that were never
stored, the one in force goes on serving until a snapshot has read them (`preparing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from schemas.errors import Fatal, InvalidInput
from streams.core.lane.applied import TEXT, Applied, Switch
from streams.core.lane.fold import Fold
from streams.core.lane.left_out import LeftOut
from streams.core.lane.lookups import LoadRow, Lookups
from streams.core.lane.preparing import TEXT as NEXT
from streams.core.lane.preparing import Preparation, begin, kinds_of, needs_reading
from streams.core.lane.render import Encode, Renderer
from streams.core.lane.snapshots import require_snapshot
from streams.core.lane.state import Absence, Memo, TableState
from streams.core.lane.touched import Entry
from streams.core.log.control import Action, Control
from streams.core.log.event import Event
from streams.core.mapping.model import Mapping
from streams.core.mapping.partial import PartMapping, without_columns
from streams.core.unit import InputRecord, View

SWITCH_RECORDS = 100_000
"""Records held back at most while a changed mapping waits for its switch."""


class InForce:
    """Made once for a lane; `work_by` makes everything that depends on a mapping anew."""

    def __init__(self, source: str, applied: Applied, encode: Encode, load: LoadRow) -> None:
        self.applied = applied
        self.ahead: Preparation | None = None
        """What is stored for a mapping that is to come."""
        self._source, self._encode, self._load = source, encode, load
        self.mapping: Mapping
        self.whole: Mapping
        """With what is left out."""
        self.entries: dict[str, Entry]
        self.renderer: Renderer
        self.lookups: Lookups
        self.left_out: LeftOut | None
        """What says nothing new."""
        self._begun = False
        self._absent: dict[str, Absence] = {}
        """Why: as in the memo, when they were left out."""

    def work_by(self, mapping: Mapping) -> None:
        """Everything that depends on a mapping is made for this one."""
        self.mapping = self.whole = mapping
        self._begun = True
        looked_up = {lookup.table for lookup in mapping.lookups}
        self.entries = {name: Entry(table, name in looked_up) for name, table in mapping.tables.items()}
        kits = any("components" in table.feeds for table in mapping.tables.values())
        self.renderer = Renderer(self._source, self._encode, kits)
        self.lookups = Lookups(mapping, self._load)
        self.left_out = LeftOut(mapping.left_out) if isinstance(mapping, PartMapping) else None

    def open(self, state: View, memo: Memo) -> None:
        """A lane takes its partition over: what its state was made by counts.  Raises InvalidInput when neither that is
        known nor the folder has a mapping."""
        self.work_by(self.applied.kept(state, memo.mapping) or self.applied.begin())
        if memo.absent and not self.waits(memo):
            self._leave_out(state, memo.absent)
        self.ahead = None
        waits, text = memo.preparing, state.get(NEXT)
        mapping = None if waits is None or text is None else self.applied.compiled(text)
        if waits is None or mapping is None or mapping.fingerprint != waits.fingerprint:
            memo.preparing = None  # this release refuses it: it is applied again
        else:
            self.ahead = Preparation(mapping)

    def begin_anew(self, end: int) -> Memo:
        """A lane without state begins with the folder's mapping; `end` is the input's.  Raises InvalidInput."""
        self.work_by(self.applied.begin())
        return Memo(self.mapping.fingerprint, tables=self._new_tables(), history_until=end)

    def waits(self, memo: Memo) -> bool:
        """Nobody can say which mapping made the state: a release before kept no text, and the folder has another.  A
        lane that has no partition has no state."""
        return self._begun and memo.mapping != self.mapping.fingerprint

    def _new_tables(self) -> dict[str, TableState]:
        return {
            name: TableState(entry.table.columns, kinds=kinds_of(self.whole, name))
            for name, entry in self.entries.items()
        }

    def awaited(self, events: Sequence[Event], records: Sequence[InputRecord]) -> Switch | None:
        """The switch that a lane waits for; None: it has not come yet."""
        for event in events:
            if event.control is not None and event.control.action is Action.MAPPING:
                with suppress(InvalidInput):
                    told = self.applied.told(event.control, event.offset)
                    if told is not None:
                        return told
        if len(records) >= SWITCH_RECORDS:
            raise Fatal(
                f"source {self._source}: its mapping files were changed and not applied, and {len(records)} "
                f"changes wait; run `onhand source apply {self._source}`, or put the old files back"
            )
        return None

    def tell(self, fold: Fold) -> None:
        """What people must know of it."""
        memo = fold.memo
        why = self.applied.unapplied(memo.mapping if memo.preparing is None else memo.preparing.fingerprint)
        if why:
            goes_on = "its changes wait" if self.waits(memo) else "the mapping that was applied last goes on"
            fold.faults.open("mapping-not-applied", "source", f"{why}: {goes_on}", again=False)
        else:
            fold.faults.close_code("mapping-not-applied", "source")
        if fold.memo.preparing is None:
            fold.faults.close_code("mapping-prepares", "source")

    def told(self, memo: Memo, control: Control, offset: int) -> Switch | None:
        """The mapping of a switch in the log; None: neither the record nor the folder has it.  Raises InvalidInput."""
        if control.fingerprint == self.mapping.fingerprint.hex():
            return Switch(self.mapping, b"", offset)
        if self.ahead is not None and control.fingerprint == self.ahead.mapping.fingerprint.hex():
            return Switch(self.ahead.mapping, b"", offset)
        return self.applied.told(control, offset)

    def can_count(self, fold: Fold, to: Switch) -> bool:
        """It can count from the end of this unit on.  If not, it is the one in force, or waits: a complete lane that
        lacks columns for it goes on serving by the one in force until they are read."""
        memo = fold.memo
        if self.ahead is not None and to.mapping is self.ahead.mapping:
            return False
        memo.preparing = self.ahead = None
        for code in ("mapping-refused", "mapping-prepares"):
            fold.faults.close_code(code, "source")
        if to.mapping is self.mapping:
            return False
        lacking = needs_reading(to.mapping, memo)
        if not (to.text and memo.complete and (lacking or changing(memo))):
            return True
        begin(memo, lacking, to.mapping.fingerprint, to.offset)
        fold.state.put(NEXT, to.text)
        self.ahead = Preparation(to.mapping)
        if lacking:
            fold.faults.open(
                "mapping-prepares",
                "source",
                f"the mapping that was applied needs columns of {', '.join(lacking)} that were never stored; until "
                "these are read the one before goes on serving",
            )
        return False

    def lose_columns(self, fold: Fold, name: str, columns: Sequence[str], offset: int) -> bool:
        """These columns of a table are no longer sent: what uses them says nothing new from here on, everything
        else goes on.  False: rows of the table cannot even be told apart, or the mapping's text is not known."""
        memo = fold.memo
        if set(columns) & set(self.mapping.tables[name].key):
            return False
        fold.settle()
        known = memo.absent.get(name)
        every = sorted({*columns, *(known.columns if known is not None else ())})
        absent = {**memo.absent, name: Absence(tuple(every), offset)}
        try:
            self._leave_out(fold.state, absent)
        except InvalidInput:
            return False
        memo.absent = absent
        fold.work_by(self.mapping, self.entries, self.lookups, self.left_out)
        return True

    def _leave_out(self, state: View, absent: dict[str, Absence]) -> None:
        """Work without what uses the absent columns.  Raises InvalidInput when the mapping's text is not known."""
        whole, text = self.whole, state.get(TEXT) or b""
        for name, absence in absent.items():
            absence.parts = tuple(sorted(map(str, without_columns(whole, text, {name: absence.columns}).left_out)))
        columns = {name: absence.columns for name, absence in absent.items()}
        self.work_by(without_columns(whole, text, columns))
        self.whole, self._absent = whole, absent

    def end_of_unit(self, fold: Fold, to: Switch | None) -> None:
        """The unit has all its changes: `to` stood in it, or what was waited for is there."""
        waits = fold.memo.preparing
        if to is not None:
            self.switch(fold, to)
        elif fold.memo.absent.keys() != self._absent.keys() and not changing(fold.memo):
            self._take_back(fold)
        elif waits is not None and self.ahead is not None and not (waits.unread or changing(fold.memo)):
            self.switch(fold, Switch(self.ahead.mapping, fold.state.get(NEXT) or b"", waits.since))

    def switch(self, fold: Fold, to: Switch) -> None:
        """From here on this mapping counts."""
        memo, waits = fold.memo, fold.memo.preparing
        read = waits.tables if waits is not None and waits.fingerprint == to.mapping.fingerprint else ()
        self.work_by(to.mapping)
        self.applied.count(fold.state, to.text)
        for code in ("mapping-refused", "mapping-prepares"):
            fold.faults.close_code(code, "source")
        tables = self._new_tables()
        unknown = [name for name in needs_reading(to.mapping, memo) if name not in read]
        for name, table in tables.items():
            known = memo.tables.get(name)
            if known is None:
                continue
            tables[name] = known
            known.kinds = table.kinds
            if name in read or known.columns != table.columns:
                known.before, known.columns = known.columns, table.columns
                known.form += 1
                memo.reading.pop(name, None)
        memo.tables, memo.mapping = tables, to.mapping.fingerprint
        for name in memo.absent:
            close_absence(fold, name)
        memo.absent = self._absent = {}
        memo.preparing = self.ahead = None
        if fold.state.get(NEXT) is not None:
            fold.state.put(NEXT, None)
        self._all_rows_anew(memo)
        memo.snapshot_in = memo.snapshot_in and not unknown
        memo.sweeping = tuple(item for item in memo.sweeping if item[0] in tables)
        if unknown:
            require_snapshot(
                fold, f"the new mapping needs columns of {', '.join(unknown)} that the store does not have"
            )

    def _take_back(self, fold: Fold) -> None:
        """Columns are sent again, and their table was read: the files that use them go on."""
        memo = fold.memo
        for name in self._absent.keys() - memo.absent.keys():
            close_absence(fold, name)
        self._absent = {}
        self.work_by(self.whole)
        if memo.absent:
            self._leave_out(fold.state, memo.absent)
        self._all_rows_anew(memo)

    @staticmethod
    def _all_rows_anew(memo: Memo) -> None:
        """Say nothing until every row has been entered into the lookups and evaluated; then say everything."""
        memo.silent = memo.deferred = True
        memo.stored = None
        memo.indexing, memo.evaluating, memo.restating = b"r", None, None


def close_absence(fold: Fold, name: str) -> None:
    """The exceptions about columns of a table."""
    for code in ("column-absent", "column-retyped"):
        fold.faults.close_code(code, name)


def changing(memo: Memo) -> bool:
    """Rows are not all in one form, or a snapshot counts them."""
    return memo.indexing is not None or memo.snapshot is not None
