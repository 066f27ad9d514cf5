"""What the runtime and a stage say to each other: units of work over one partition.

Theory of operation (DESIGN §3).  A *stage* is pure: it is handed input records, reads and writes the state of its
partition through a `View`, and says which *owed keys* its outputs must now be rendered for.  The runtime settles the
unit: changes and marker into the changelog as one record batch, then the local store, then the outputs that
`render` makes *from the settled state*.  After a crash the new owner holds exactly the state of the last marker, seeks
its inputs to the marker's offsets and sends what the marker still owes.  So a stage never needs a guard against
replay, and `render` must depend on nothing but state, owed keys, version and the `memo`.

The order of calls for one partition is  open → (work | tick → render)*  and never two at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

UNIT_BYTES = 3 << 20
"""A stage closes its unit at the latest when `View.size` passes this, so that one record batch (4 MiB) holds it."""


class InputRecord(NamedTuple):
    """One Kafka record as it came."""

    topic: str
    partition: int
    offset: int
    timestamp_us: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class View(Protocol):
    """State of one partition while a unit is worked on: unsettled writes over the settled store."""

    @property
    def size(self) -> int:
        """Bytes of the unit's unsettled writes, keys included."""

    def get(self, key: bytes) -> bytes | None:
        """The value now; None: absent."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write; None deletes.  Keys that start with a zero byte are the runtime's."""

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All pairs whose key begins with `prefix`, key ≥ `start`, ascending by key, unsettled writes merged in."""


class Output(NamedTuple):
    """One record to send; `partition` None: murmur2 of the key over the topic's partitions; ALL: to every partition."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


ALL_PARTITIONS = -1


@dataclass(slots=True)
class Settled:
    """What one call of `work` or `tick` did."""

    consumed: int = 0
    """How many of the records handed over, from the first, this unit covers.  The rest is held in memory and handed
    over again, with what has come since, in front."""
    owed: Sequence[bytes] = field(default_factory=tuple)
    """Keys whose outputs are now due, each once, in the order to send.  Opaque to the runtime; kept in the marker
    until their outputs are acknowledged.  At most about 1 MiB together: keep longer work lists in the state."""
    memo: bytes = b""
    """Small state of the stage that belongs into the marker (resend mark, completeness …)."""
    more: bool = False
    """Call `tick` again at once, without waiting for input: a work list is not empty."""


class Stage(Protocol):
    """One pure processor.  An exception from any method stops the process (fail-stop, exit 70)."""

    name: str
    """Consumer group, table and changelog are named after it: `lane-<source>`, `inventory`, `orders`."""

    input_topic: str
    """The topic whose partition p this stage folds into its partition p."""

    sole_writer_of: frozenset[str]
    """Topics whose partition p is written by this stage's partition p only: offset continuity is checked there, and
    keys that a former owner wrote late are rendered again."""

    fingerprint: bytes
    """Of mapping and rules; kept in the marker and handed to `open`, so that a changed one can be acted upon."""

    def open(
        self, state: View, partition: int, memo: bytes | None, fingerprint: bytes | None, now_us: int, end: int
    ) -> Settled:
        """Take a partition over.  `memo` and `fingerprint` are the last marker's, None when there is none; `end` is the
        input's end offset now."""

    def work(self, state: View, records: Sequence[InputRecord], now_us: int) -> Settled:
        """Fold the next records.  `consumed` 0 means: nothing closed yet, hand me more."""

    def tick(self, state: View, now_us: int) -> Settled:
        """Called at least once a second, and again at once while it answers `more`: time, work lists, progress."""

    def render(self, state: View, owed: Sequence[bytes], version: int, now_us: int) -> Iterable[Output]:
        """The outputs for these owed keys, absolute, from the settled state."""

    def owed_for(self, topic: str, key: bytes) -> bytes | None:
        """The owed key that renders this output key again (for `sole_writer_of`); None: nothing to restate."""
