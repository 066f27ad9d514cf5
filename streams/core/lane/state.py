"""What a lane remembers: its records in the state, and the memo that goes into the marker.

All of it is stored by position and read by the next release: new fields go to the end, with a default.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation

import msgspec

from streams.core.log.position import NOWHERE
from streams.core.log.resend import Mark
from streams.core.log.snapshot import Reading, Snapshot

EXACT = Context(prec=120, traps=[Inexact, InvalidOperation])
"""Sums never round: contracts hold 38 digits, and a rounding would be a bug to stop at."""
ZERO_QUANTITY = Decimal(0)
STRANGE = -1
"""The form of a row that the mapping in force cannot load."""


class RowRecord(msgspec.Struct, array_like=True, gc=False):
    """One row of a source table."""

    seen: int
    """Generation of the table in which it last came; below the table's `dead_below` the row is gone."""
    row: bytes
    """`TableMapping.dump`; empty: no image of it could be decoded yet."""
    postings: tuple[tuple[bytes, str], ...] = ()
    """(balance key, quantity) as they now stand in the sums."""
    parts: tuple[tuple[bytes, bytes], ...] = ()
    """(state key, value) of items, locations and order parts it says."""
    edges: tuple[bytes, ...] = ()
    """Lookup names it rests on."""
    found: tuple[bytes, ...] = ()
    """Lookup names under which it is found."""
    chains: tuple[bytes, ...] = ()
    """Lookup names it leads on to."""
    faults: tuple[str, ...] = ()
    """Ids of the exceptions open about it."""
    waits: bool = False
    """An INNER lookup is missing."""
    bad: bool = False
    """Its newest image could not be mapped: the outputs are those of the last good one."""
    hole: bool = False
    """Its newest image could not even be decoded: `row` is older."""
    form: int = 0
    """Under which columns `row` is stored: `TableState.form` of then."""


class Kept(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An archived row that still counts."""

    row: bytes
    """Row reference."""
    quantity: Decimal
    day: int
    """Days after 1970 when it was archived."""


class Sum(msgspec.Struct, array_like=True, gc=False):
    """A balance: the sum of live postings with equal identity."""

    postings: int
    quantity: Decimal
    tables: dict[str, int] | None = None
    """Live postings by table; only for fulfilled and received, so that a row moved to a history table is known."""
    kept: tuple[Kept, ...] = ()
    """Archived rows that still count, within `postings` and `quantity`."""


class LocationState(msgspec.Struct, array_like=True, gc=False):
    """LocationPart without what its key says."""

    name: str | None
    kind: str | None
    time_zone: str | None
    active: bool


class ItemState(msgspec.Struct, array_like=True, gc=False):
    """ItemPart without what its key says."""

    name: str | None
    unit: str | None
    unit_digits: int | None
    tracked: bool
    backorder_limit: Decimal | None
    active: bool


class PartState(msgspec.Struct, array_like=True, gc=False):
    """OrderPart without what its key says."""

    attributes: dict[str, str | None]
    raw_statuses: dict[str, str | None]


_part_decoder = msgspec.msgpack.Decoder(PartState)


def as_of(stored: bytes) -> int:
    """When a stored PartState was so, in microseconds; -1: it does not say."""
    return int(_part_decoder.decode(stored).attributes.get("as_of") or -1)


class TableState(msgspec.Struct, array_like=True):
    """What the lane knows about one table."""

    columns: tuple[str, ...]
    """Columns of the rows in the store, to notice a mapping that needs others."""
    generation: int = 1
    """Rises with every snapshot and TRUNCATE; a row remembers the one it last came in."""
    dead_below: int = 0
    """Rows of lower generations are gone, withdrawn or about to be."""
    load_from: int = 0
    """Releases before wrote it in place of `form`: rows of lower generations were stored under other columns."""
    rows: int = 0
    """Live rows."""
    seen: int = 0
    """Live rows that came in this generation."""
    parked: bool = False
    """A needed column is absent: records of the table wait."""
    held_rows: int = 0
    """Rows before the last TRUNCATE: increases wait until so many are back …"""
    held_until_us: int = 0
    """… or until `Memo.passed_us` is so much; 0: not held."""
    sweep_asks: bool = False
    """A sweep of much of the table, or a table the snapshot skipped, waits for a person."""
    form: int = 0
    """Rises with every change of `columns`; rows of a lower one cannot be evaluated, their outputs stand."""
    before: tuple[str, ...] = ()
    """Columns of the form before."""
    kinds: tuple[str, ...] = ()
    """What the values of `columns` are stored as; empty: not known."""

    def holds(self, record: RowRecord) -> bool:
        """The row is alive and can be loaded."""
        return record.form == self.form and record.seen >= self.dead_below and record.seen >= self.load_from


class Preparing(msgspec.Struct, array_like=True):
    """A mapping that was applied and waits until all its columns have been read."""

    fingerprint: bytes
    tables: tuple[str, ...]
    """Tables whose rows are stored ahead for it."""
    unread: tuple[str, ...]
    """Those of them that no snapshot has read whole since."""
    since: int
    """Input offset of its switch; a snapshot that began before does not count."""


class Absence(msgspec.Struct, array_like=True):
    """Columns of a table that the source no longer sends, or sends with another type."""

    columns: tuple[str, ...]
    last: int
    """Input offset of the newest row that lacked one."""
    parts: tuple[str, ...] = ()
    """Parts of the mapping that use them, `<file> FROM <table>`: they say nothing new."""


class Memo(msgspec.Struct, array_like=True):
    """Small state of the stage, in the marker of every unit."""

    mapping: bytes
    """Fingerprint under which the outputs in the state were made."""
    mark: Mark = Mark()
    open_transaction: str | None = None
    """A transaction settled in part."""
    tables: dict[str, TableState] = msgspec.field(default_factory=dict)
    snapshot: Snapshot | None = None
    """The initial snapshot that runs."""
    passing: tuple[int, int] | None = None
    """After a repeated snapshot: the position the log must pass before increases leave."""
    passing_binlog: bool = False
    complete: bool = False
    silent: bool = True
    """Nothing leaves yet: all of it will be restated at the end (first snapshot, mapping switch)."""
    deferred: bool = False
    """Rows are stored and not evaluated until the snapshot is in."""
    snapshot_in: bool = False
    """A whole initial snapshot has come since the rows were last unknown."""
    snapshot_required: bool = False
    """Only a new snapshot can tell the truth again."""
    indexing: bytes | None = None
    """Work list: row key up to which all rows were entered into the lookups anew; None: none."""
    evaluating: bytes | None = None
    """Work list: row key up to which all rows were evaluated again; None: none."""
    sweeping: tuple[tuple[str, bytes, bool], ...] = ()
    """Work list: (table, row key reached, is a TRUNCATE)."""
    restating: bytes | None = None
    """Work list: state key up to which everything was sent again; None: none."""
    restating_since: int | None = None
    """Version at or above which the running restatement sends."""
    restated_since: int | None = None
    retrying: tuple[tuple[bytes, bool], ...] = ()
    """Work list: (waiting queue, give up what is still bad)."""
    reasserting: bool = False
    """The work list `z` is not empty."""
    owing: bool = False
    """The list `q` is not empty."""
    unknown_parked: int = 0
    """Parked rows out of demand, hold or buffer whose sku nobody knows: the whole source is uncertain."""
    waiting_rows: int = 0
    """Rows that wait for an INNER lookup."""
    offset: int = 0
    """Next input offset, all of it in the state."""
    covered: str = NOWHERE
    """Position up to which all is in the outputs."""
    covered_offset: int = 0
    covered_us: int | None = None
    reached: str = NOWHERE
    """Position up to which all is in the state."""
    reached_us: int | None = None
    superseded: tuple[tuple[bytes, int], ...] = ()
    """Work list: (waiting queue, offset); what waits from before it is dropped, a snapshot began there."""
    reading: dict[str, Reading] = msgspec.field(default_factory=dict)
    """By table: the incremental snapshot that reads it."""
    history_until_us: int = 0
    """What releases before wrote in place of `history_until`: an instant; 0: none."""
    stored: tuple[str, ...] | None = None
    """While deferred, and until `evaluating` is done: the tables with rows that are only stored, because what they join
    had not been read; all others have been evaluated as they came.  None: that is true of any table."""
    history_until: int = 0
    """A state that begins anew runs through what the log has kept: what stands before this offset is history, and
    increases wait until it is in; 0: it is."""
    passed_us: int = 0
    """Time that has passed while somebody looked, from tick to tick: the clock may be set, and this goes on evenly."""
    first_read: tuple[int, int] | None = None
    """The position of the first snapshot, until the log has said where it goes on."""
    preparing: Preparing | None = None
    absent: dict[str, Absence] = msgspec.field(default_factory=dict)
    """By table."""
    comparing: bool = False
    """Everything was told again: what exception.v1 has open is to be compared with what is open here."""
    held: bool = False
    """Increases waited for something; they wait on until what was put off meanwhile has left."""

    def read(self) -> frozenset[str] | None:
        """While rows are only stored: the tables that have been read, so that a row which joins no other is evaluated
        as it comes.  None: every row is."""
        if not self.deferred:
            return None
        if self.stored is None:
            return frozenset()
        if self.snapshot is not None:
            return self.snapshot.read
        return frozenset(self.tables) if self.snapshot_in else frozenset()

    def note_stored(self, table: str) -> None:
        """A row of the table was stored and not evaluated."""
        if self.stored is not None and table not in self.stored:
            self.stored = (*self.stored, table)


_memo_encoder = msgspec.msgpack.Encoder()
_memo_decoder = msgspec.msgpack.Decoder(Memo)


def dump_memo(memo: Memo) -> bytes:
    """Bytes for the marker."""
    return _memo_encoder.encode(memo)


def load_memo(memo: bytes) -> Memo:
    """Inverse of `dump_memo`."""
    return _memo_decoder.decode(memo)
