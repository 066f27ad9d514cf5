"""The audit itself: is what the lane holds what the database says?

Every driving row is compared, by what it says: postings, items, locations, bills, parts of orders.  First the whole
table goes by, piece by piece, beside the lane as it stands then; writers go on meanwhile, so what differs is only
suspected.  Then the lane is walked through once, for rows that the database did not name, and for sums and parts that
are not those of its rows.  Then what is suspected is looked at again, by key, in rounds: one snapshot at a known
position, the lane brought forward until it has passed it and no further.  A row that was written meanwhile may be as
it was at any moment in between.  A row differs when two rounds show the same two values and the lane has not written
it between them; what still moves after the last round is told as undecided, never as equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.audit.database import Chunk, Reader, Value, reader
from streams.connect.audit.lane_copy import LaneState, live
from streams.connect.audit.lane_walk import LaneWalk, live_sum
from streams.connect.audit.outputs import database_key, lane_key
from streams.connect.audit.said import Columns, Line, Said, differing, lines, mapped_of, only_wanted, said_by
from streams.connect.audit.selects import Wanted, selects_of
from streams.connect.audit.spill import Spill
from streams.connect.preflight import Target
from streams.connect.reading import Key, Limits
from streams.core.lane.applied import TEXT
from streams.core.lane.keys import ZERO, reference_table, reference_text, row_reference
from streams.core.lane.left_out import LeftOut
from streams.core.lane.state import EXACT, RowRecord
from streams.core.log.position import NOWHERE
from streams.core.mapping.catalogue import Table
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import RowError
from streams.core.mapping.text import compile_text

SUSPECTS = 20_000
"""More rows than these differ at first sight: the scan stops, the lane is wrong altogether."""
LISTED = 1_000
"""Rows without a value that are named."""
SAY_S = 5.0


@dataclass(frozen=True)
class Bounds:
    """How long an audit goes on."""

    rounds: int = 10
    seconds: float | None = None
    """After so long it stops at the next piece, and says so; None: it goes on to the end."""


class RowDifference(NamedTuple):
    """One driving row about which database and lane say different things."""

    reference: bytes
    there: Said
    """What differs of what the database says of it."""
    here: Said
    """Of what the lane holds."""
    error: str | None
    """Why it has no value in the database."""
    exceptions: tuple[str, ...]
    """Open in the lane about the row."""
    written: int

    def lines(self) -> list[Line]:
        names = sorted(self.there.keys() | self.here.keys())
        return [line for name in names for line in lines(name, self.there.get(name, {}), self.here.get(name, {}))]


@dataclass
class Report:
    """Result of an audit."""

    source: str
    since: str = NOWHERE
    position: str = NOWHERE
    """Every row was compared at a source position between the two."""
    rows: int = 0
    """Driving rows of the database that say something."""
    balances: int = 0
    """Of the lane, lines of bills included."""
    rounds: int = 0
    """In which suspected rows were looked at again."""
    seconds: float = 0.0
    stopped: str = ""
    """Why not everything was compared."""
    lines: list[Line] = field(default_factory=list)
    """What differs, by balance and part."""
    differences: list[RowDifference] = field(default_factory=list)
    """The rows behind it."""
    undecided: list[RowDifference] = field(default_factory=list)
    """Differed in the last round, with values that still moved."""
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    """(place of a SELECT, what was not compared because of it, why the database does not take it)"""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(row, why): no value in SQL, or none the contract can hold; the lane has parked it, too."""

    @property
    def clean(self) -> bool:
        """Everything was compared, and is equal."""
        wrong = self.lines or self.differences or self.undecided or self.unreadable
        return not (wrong or self.refused or self.stopped)


class Suspect(NamedTuple):
    """A driving row that differs at first sight."""

    table: Table
    key: Key


class Audit:
    """One audit of one source."""

    def __init__(
        self,
        mapping: CompiledMapping,
        database: Reader,
        lane: LaneState,
        wanted: Wanted,
        bounds: Bounds,
        say: Callable[[str], object],
    ) -> None:
        self._mapping, self._database, self._lane = mapping, database, lane
        self._wanted, self._bounds, self._say = wanted, bounds, say
        self._suspects: dict[bytes, Suspect] = {}
        self._started = self._said = time.monotonic()
        self._report = Report(mapping.source.name)
        self._left_out = LeftOut(frozenset())
        """What the database refuses to say."""

    def run(self, since: str) -> Report:
        """The lane has passed position `since`.  Raises EnvironmentFault."""
        report = self._report
        report.since = report.position = since
        refused = self._database.leave_refused_out()
        self._left_out = LeftOut(frozenset(one.select.part for one in refused))
        report.refused = [(one.select.place, str(one.select.part), one.why) for one in refused]
        with closing(Spill()) as named, closing(LaneWalk(self._lane, self._wanted, self._left_out)) as walk:
            finished = self._scan(named)
            self._lane.catch_up()
            for reference in walk.unnamed(named.sorted(), finished):
                self._suspect_lane_row(reference)
            own = {}
            for key, says, holds in walk.own_faults():
                own[key] = (says, holds)
                if len(own) >= SUSPECTS:
                    report.stopped = f"over {SUSPECTS:,} sums and parts of the lane are not those of its rows"
                    break
            report.balances = walk.balances
        self._settle()
        self._same_mapping()
        self._tell(own)
        report.seconds = time.monotonic() - self._started
        return report

    def _same_mapping(self) -> None:
        if self._lane.memo.mapping != self._mapping.fingerprint:
            raise EnvironmentFault(f"source {self._report.source}: its lane goes over to another mapping: audit again")

    # -- first sight

    def _scan(self, named: Spill) -> list[str]:
        """All driving rows; answers the tables that were read to their end."""
        finished: list[str] = []
        for table in self._database.tables:
            for chunk in self._database.scan(table, self._wanted):
                self._lane.catch_up()
                self._report.position = chunk.position or self._report.position
                named.add((reference, b"") for reference in self._compare(chunk))
                self._tell_progress(table)
                if len(self._suspects) >= SUSPECTS:
                    self._report.stopped = f"over {SUSPECTS:,} rows differ at first sight"
                elif self._is_over():
                    self._report.stopped = f"{self._bounds.seconds:g} s were over in table {table.name}"
                if self._report.stopped:
                    return finished
            finished.append(table.name)
        return finished

    def _compare(self, chunk: Chunk) -> list[bytes]:
        """Suspects what differs; references of the rows that the database named."""
        references = []
        for key, value in chunk.said.items():
            reference = self._reference(chunk.table, key)
            references.append(reference)
            stored = self._lane.get(b"r" + reference)
            found = self._difference(reference, value, live(self._lane, reference, stored), seen=True)
            if found is not None and len(self._suspects) < SUSPECTS:
                self._suspects[reference] = Suspect(chunk.table, key)
        self._report.rows += len(references)
        return references

    def _reference(self, table: Table, key: Key) -> bytes:
        columns = [table.columns[name] for name in table.primary]
        return row_reference(table.name.encode() + ZERO, lane_key(columns, key, self._database.postgres))

    def _suspect_lane_row(self, reference: bytes) -> None:
        if len(self._suspects) >= SUSPECTS:
            self._report.stopped = f"over {SUSPECTS:,} rows differ at first sight"
            return
        table = next(table for table in self._database.tables if table.name == reference_table(reference))
        values = msgspec.msgpack.decode(reference.partition(ZERO)[2])
        columns = [table.columns[name] for name in table.primary]
        self._suspects[reference] = Suspect(table, database_key(columns, values, self._database.postgres))

    def _difference(
        self, reference: bytes, value: Value | None, record: RowRecord | None, *, seen: bool = False
    ) -> RowDifference | None:
        """What database and lane disagree on about one row; `seen`: a row that both park is noted here."""
        error: str | None = None
        there: Said = {}
        record = record and self._left_out.without(reference_table(reference), record)
        try:
            if isinstance(value, RowError):
                raise value
            made = mapped_of(value or [], reference)
            if record is not None and made[:2] == (record.postings, record.parts):
                return None
            there = only_wanted(said_by(made.postings, made.parts, reference), self._wanted)
        except RowError as found:
            error = str(found)
        here = only_wanted(said_by(record.postings, record.parts, reference), self._wanted) if record else {}
        exceptions = record.faults if record else ()
        written = self._lane.written(reference)
        if error is not None:
            if record is not None and record.bad:
                self._note_unreadable(reference, error)
                return None
            return RowDifference(reference, {}, here, error, exceptions, written)
        names = differing(there, here)
        if not names:
            return None
        return RowDifference(reference, _of(there, names), _of(here, names), None, exceptions, written)

    def _note_unreadable(self, reference: bytes, error: str) -> None:
        noted = (reference_text(reference), error)
        if len(self._report.unreadable) < LISTED and noted not in self._report.unreadable:
            self._report.unreadable.append(noted)

    # -- rounds

    def _settle(self) -> None:
        report, left = self._report, self._suspects
        before: dict[bytes, RowDifference] = {}
        self._lane.watch(left)
        for _ in range(self._bounds.rounds):
            if not left or (before and self._is_over()):
                break
            report.rounds += 1
            now = self._look_again(left)
            report.differences += [found for found in now.values() if before.get(found.reference) == found]
            before = {one: found for one, found in now.items() if before.get(one) != found}
            left = {one: left[one] for one in before}
        report.undecided = list(before.values())

    def _look_again(self, suspects: dict[bytes, Suspect]) -> dict[bytes, RowDifference]:
        """The suspects that differ at one known position."""
        values: dict[bytes, Value] = {}
        positions: list[str] = []
        by_table: dict[str, list[Suspect]] = {}
        for suspect in suspects.values():
            by_table.setdefault(suspect.table.name, []).append(suspect)
        for some in by_table.values():
            for chunk in self._database.rows(some[0].table, [one.key for one in some], positions.append):
                values.update({self._reference(chunk.table, key): value for key, value in chunk.said.items()})
        self._lane.forward(positions[0], positions[-1])
        self._report.position = positions[-1]
        found = {}
        for reference in suspects:
            held = [self._lane.get(b"r" + reference), *self._lane.between(reference)]
            different = [
                self._difference(reference, values.get(reference), live(self._lane, reference, stored))
                for stored in held
            ]
            if all(different):
                found[reference] = different[0]
        return {reference: one for reference, one in found.items() if one is not None}

    # -- the report

    def _tell(self, own: dict[bytes, tuple[Columns, Columns]]) -> None:
        """What differs, by balance and part: a balance may be wrong by several rows, or by itself."""
        report = self._report
        changes: dict[bytes, list[tuple[Columns, Columns]]] = {}
        for row in report.differences:
            for name in row.there.keys() | row.here.keys():
                changes.setdefault(name, []).append((row.there.get(name, {}), row.here.get(name, {})))
        for name, pairs in sorted(changes.items()):
            if name[:1] not in (b"s", b"b"):
                report.lines += lines(name, *pairs[0])
                continue
            holds = self._holds(name)
            says = own.pop(name)[0] if name in own else holds
            for there, here in pairs:
                says = _plus(_plus(says, there, 1), here, -1)
            if says != holds:
                report.lines += lines(name, says, holds)
        for key, (says, holds) in sorted(own.items()):
            report.lines += lines(_name_of(key), says, holds)
        report.lines.sort(key=lambda line: (line.output, line.about, line.column))

    def _holds(self, name: bytes) -> Columns:
        """What the lane sends of a balance, or of a line of a bill."""
        if name[:1] == b"s":
            return live_sum(self._lane.get(name))
        total: Columns = {}
        for _, stored in self._lane.scan(name + ZERO):
            total = _plus(total, {"quantity": Decimal(stored.decode())}, 1)
        return total

    def _is_over(self) -> bool:
        seconds = self._bounds.seconds
        return seconds is not None and time.monotonic() - self._started > seconds

    def _tell_progress(self, table: Table) -> None:
        if time.monotonic() - self._said < SAY_S:
            return
        self._said = time.monotonic()
        known = self._lane.memo.tables.get(table.name)
        of = f" (table {table.name} has {known.rows:,})" if known else ""
        self._say(
            f"{self._report.source}: {self._report.rows:,} rows compared{of}, {len(self._suspects):,} to look at again"
        )


def audit(
    folder: CompiledMapping,
    at: Target,
    lane: LaneState,
    *,
    wanted: Wanted,
    limits: Limits,
    bounds: Bounds,
    say: Callable[[str], object] = lambda text: None,
) -> Report:
    """Audits a source whose folder has this mapping.  Raises EnvironmentFault."""
    with reader(folder, [], at, limits) as database:
        since = database.position()
    lane.forward(since, since)
    mapping = in_force(folder, lane)
    if mapping is not folder:
        say(f"{folder.source.name}: the folder was changed; what is audited is the mapping that was applied")
    with reader(mapping, selects_of(mapping), at, limits) as database:
        return Audit(mapping, database, lane, wanted, bounds, say).run(since)


def in_force(folder: CompiledMapping, lane: LaneState) -> CompiledMapping:
    """The mapping that the lane works by: the folder's, or the one that was applied before and serves until then.

    Raises EnvironmentFault when it is not to be had.
    """
    if lane.memo.mapping == folder.fingerprint:
        return folder
    text = lane.get(TEXT)
    try:
        found = compile_text(text) if text is not None else None
    except InvalidInput:
        found = None  # kept by another release
    if found is None or found.fingerprint != lane.memo.mapping:
        raise EnvironmentFault(
            f"source {folder.source.name}: its lane works by another mapping than the folder's: "
            f"`onhand source apply {folder.source.name}`, then audit again"
        )
    return found


def _of(said: Said, names: Iterable[bytes]) -> Said:
    return {name: said[name] for name in names if name in said}


def _plus(total: Columns, other: Columns, sign: int) -> Columns:
    """Quantities and postings added up; nothing at all when it comes to no posting."""
    names = total.keys() | other.keys()
    added: dict[str, Any] = {
        name: EXACT.add(Decimal(total.get(name, 0)), sign * Decimal(other.get(name, 0))) for name in names
    }
    if "postings" in added:
        added["postings"] = int(added["postings"])
    return added if any(added.values()) else {}


def _name_of(key: bytes) -> bytes:
    """A part's state key without the reference of its row."""
    if key[:1] == b"s":
        return key
    zeros = {b"i": 1, b"l": 1, b"b": 2, b"o": 3}[key[:1]]
    return ZERO.join(key.split(ZERO, zeros)[:zeros])
