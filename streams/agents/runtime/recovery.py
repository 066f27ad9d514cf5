"""What a changelog says, pure: the state after its last closed unit, and what former owners wrote late.

Rules (DESIGN §3, fuzzed in tests/unit/runtime):

* *tail*: records behind the last marker never count.
* *epoch*: a record of a lower epoch than one before it, or of the same epoch by another process, is late and never
  counts; its key is put again by the next owner, because compaction may already have dropped the good value.
* *base*: a marker closes the records of its own writer, and of earlier writers only up to its base.
* *redo*: keys to be put again are remembered, in the claim's marker too, until that has been done.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.agents.runtime.marker import (
    MARK_KEY,
    NOBODY,
    ChangelogRecord,
    Changes,
    Marker,
    Standing,
    Writer,
    decode_marker,
)

Apply = Callable[[Changes, Standing], None]
"""Writes changes of closed units and the new standing into a state, both or neither."""


class Recovery:
    """Folds changelog records, in the order of the log, into a state that starts at `standing`.

    `apply` is called at markers only, for many units at once when they are small, and last by `finish`.
    """

    def __init__(self, standing: Standing, apply: Apply, batch_bytes: int = 4 << 20) -> None:
        self.marker = standing.marker
        self.marker_offset = standing.offset
        self.redo = set(standing.redo)
        self.top: Writer = standing.marker.writer if standing.marker else NOBODY
        """Newest writer seen."""
        self._apply = apply
        self._batch_bytes = batch_bytes
        self._seen = standing.offset
        self._open: list[ChangelogRecord] = []
        self._changes: dict[bytes, bytes | None] = {}
        self._bytes = 0

    def feed(self, record: ChangelogRecord) -> None:
        """Take the next record; one at or below an offset already seen is skipped."""
        if record.offset <= self._seen:
            return
        self._seen = record.offset
        if self._late(record.writer):
            if record.key != MARK_KEY:
                self.redo.add(record.key)
            return
        self.top = record.writer
        if record.key != MARK_KEY:
            self._open.append(record)
            return
        if record.value is None:
            raise ValueError(f"changelog offset {record.offset}: a marker without a value")
        self._close(decode_marker(record.value), record.offset)

    def finish(self) -> Standing:
        """End of the log: drop the tail, apply what is left, and say where the state stands."""
        self.redo.update(record.key for record in self._open)
        self._open = []
        standing = self._standing()
        if self._seen >= 0:
            self._apply(self._changes, standing)
            self._changes = {}
        return standing

    def _late(self, writer: Writer) -> bool:
        return writer.epoch < self.top.epoch or (writer.epoch == self.top.epoch and writer != self.top)

    def _counts(self, record: ChangelogRecord, marker: Marker) -> bool:
        return record.writer == marker.writer or record.offset <= marker.base

    def _close(self, marker: Marker, offset: int) -> None:
        for record in self._open:
            if self._counts(record, marker):
                self._changes[record.key] = record.value
                self._bytes += len(record.key) + len(record.value or b"")
            else:
                self.redo.add(record.key)
        self._open = []
        self.redo.update(marker.redo)
        self.marker, self.marker_offset = marker, offset
        if self._bytes >= self._batch_bytes:
            self._apply(self._changes, self._standing())
            self._changes, self._bytes = {}, 0

    def _standing(self) -> Standing:
        return Standing(marker=self.marker, offset=self.marker_offset, redo=frozenset(self.redo))
