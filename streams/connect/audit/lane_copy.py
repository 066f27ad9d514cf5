"""A lane's state as its changelog has it, copied to disk for an audit and brought forward as far as it asks.

The copy always stands at the end of one unit.  That unit may hold more than a position asked for: so for rows that are
watched it is remembered what the lane held of them in between, from the last unit that was not beyond the position.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

from rocksdict import Cache

from schemas.errors import EnvironmentFault, InvalidInput
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import Changes, Standing, changelog_topic
from streams.agents.runtime.recovery import Apply, Recovery
from streams.agents.runtime.store import PartitionStore
from streams.connect.lane_reading import lane_group
from streams.core.lane.fold import decode_row
from streams.core.lane.state import Memo, RowRecord, load_memo
from streams.core.log.position import NOWHERE, reached

POLL_S = 0.2
CACHE_BYTES = 64 << 20
KINDS = frozenset(b"rsbiloa")
"""Rows, sums and parts, and the mapping's text; indexes, lists and exceptions are not needed."""


class LaneState(Protocol):
    """What an audit asks of a lane."""

    @property
    def memo(self) -> Memo:
        """The small state at the end of the unit it stands at."""

    def get(self, key: bytes) -> bytes | None:
        """A value of the state."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins so, ascending."""

    def catch_up(self) -> None:
        """Take what has come since."""

    def watch(self, references: Collection[bytes]) -> None:
        """Remember what is held of these rows in between, from here on."""

    def forward(self, first: str, last: str) -> None:
        """Go on until everything up to position `last` is in, and no further; `between` begins at `first`.

        Raises EnvironmentFault when the lane does not come so far in time.
        """

    def between(self, reference: bytes) -> list[bytes | None]:
        """What was held of a watched row since `first`, beside what is held now."""

    def written(self, reference: bytes) -> int:
        """How often the lane has written a watched row; what it means is only whether it has changed."""


def live(state: LaneState, reference: bytes, stored: bytes | None) -> RowRecord | None:
    """The row's record, unless the row is gone."""
    if stored is None:
        return None
    record = decode_row(stored)
    table = state.memo.tables.get(reference[: reference.index(b"\0")].decode())
    return None if table is None or record.seen < table.dead_below else record


class Watch:
    """What was held of some rows in between."""

    def __init__(self, get: Callable[[bytes], bytes | None]) -> None:
        self._get = get
        self._rows: Collection[bytes] = ()
        self._first = NOWHERE
        self._between: dict[bytes, list[bytes | None]] = {}
        self._writes: dict[bytes, int] = {}

    def begin(self, rows: Collection[bytes]) -> None:
        """These rows, from here on."""
        self._rows = frozenset(rows)

    def since(self, first: str) -> None:
        """From the last unit that is not beyond this position."""
        self._first = first
        self._between.clear()

    def note(self, changes: Changes) -> None:
        """Before the changes of a unit are written."""
        for key in changes:
            if key[:1] == b"r" and (reference := key[1:]) in self._rows:
                self._between.setdefault(reference, []).append(self._get(key))
                self._writes[reference] = self._writes.get(reference, 0) + 1

    def settled(self, memo: Memo) -> None:
        """Behind a unit: what was held before it does not count, unless it is beyond the position."""
        if self._between and memo.reached != NOWHERE and reached(self._first, memo.reached):
            self._between.clear()

    def between(self, reference: bytes) -> list[bytes | None]:
        return self._between.get(reference, [])

    def written(self, reference: bytes) -> int:
        return self._writes.get(reference, 0)


class LaneCopy:
    """Implements `LaneState` over a changelog in Kafka.  Closed, it leaves nothing on disk."""

    def __init__(self, bootstrap: str, source: str, timeout_s: float, folder: Path | None = None) -> None:
        """`folder`: where the copy is made; it needs about as much room as the lane's own state."""
        self._source = source
        self._timeout_s = timeout_s
        self._folder = Path(tempfile.mkdtemp(prefix="onhand-audit-", dir=folder))
        self._log = LogReader(bootstrap)
        self._topic = changelog_topic(lane_group(source))
        self._store = PartitionStore(self._folder / "state", Cache(CACHE_BYTES))
        self._watch = Watch(self._store.get)
        self._apply: Apply = self._follow
        self._recovery = Recovery(Standing(), lambda changes, standing: self._apply(changes, standing))
        self._next = 0
        self._memo = Memo(b"")
        self.get = self._store.get

    def close(self) -> None:
        self._log.close()
        self._store.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def memo(self) -> Memo:
        return self._memo

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._store.scan(prefix)

    def read(self) -> None:
        """All of the changelog as it is now, once there is something in it.  Raises EnvironmentFault."""
        deadline = time.monotonic() + self._timeout_s
        low, end = self._bounds(deadline)
        with self._store.restoring(end - low) as restore:
            self._apply = lambda changes, standing: restore(_needed(changes), standing)
            for run in self._log.runs(self._topic, 0, low, end):
                self._recovery.feed(run)
        self._apply = self._follow
        self._next = end
        marker = self._recovery.marker
        if marker is not None and marker.memo:
            self._memo = load_memo(marker.memo)
        while not self._feed(lambda: bool(self._memo.mapping)):
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"source {self._source}: its lane has settled nothing yet: start it, then audit again"
                )
            time.sleep(POLL_S)

    def catch_up(self) -> None:
        self._feed(lambda: False)

    def watch(self, references: Collection[bytes]) -> None:
        self._watch.begin(references)

    def forward(self, first: str, last: str) -> None:
        self._watch.since(first)
        deadline = time.monotonic() + self._timeout_s
        while not self._feed(lambda: self._covers(last)):
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"source {self._source}: the lane stands at {self._memo.covered or 'nothing'} and did not pass "
                    f"{last} in {self._timeout_s:.0f} s: look at `onhand status` and `onhand source status "
                    f"{self._source}`"
                )
            time.sleep(POLL_S)

    def between(self, reference: bytes) -> list[bytes | None]:
        return self._watch.between(reference)

    def written(self, reference: bytes) -> int:
        return self._watch.written(reference)

    def _bounds(self, deadline: float) -> tuple[int, int]:
        """A lane that has just been started makes its changelog first."""
        while True:
            try:
                return self._log.bounds(self._topic, 0)
            except EnvironmentFault:
                if time.monotonic() > deadline:
                    raise

    def _covers(self, position: str) -> bool:
        try:
            return self._memo.covered != NOWHERE and reached(self._memo.covered, position)
        except InvalidInput as error:
            raise EnvironmentFault(f"source {self._source}: {error}") from None

    def _feed(self, enough: Callable[[], bool]) -> bool:
        """Take units until it is enough, or there are no more."""
        if enough():
            return True
        _, end = self._log.bounds(self._topic, 0)
        runs = self._log.runs(self._topic, 0, self._next, end)
        try:
            for run in runs:
                self._recovery.feed(run)
                self._next = run.offset + 1
                if enough():
                    return True
        finally:
            runs.close()
        self._next = max(self._next, end)
        return False

    def _follow(self, changes: Changes, standing: Standing) -> None:
        needed = _needed(changes)
        self._watch.note(needed)
        self._store.settle(needed, standing)
        if standing.marker is not None and standing.marker.memo:
            self._memo = load_memo(standing.marker.memo)
            self._watch.settled(self._memo)


def _needed(changes: Changes) -> Changes:
    return {key: value for key, value in changes.items() if key[0] in KINDS}
