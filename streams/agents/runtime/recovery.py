"""What a changelog says, pure: the state after its last closed unit, and what former owners wrote late.

The changelog is read in *runs*: what is left of one record batch, which is one unit of one writer.  Rules (DESIGN §3,
fuzzed in tests/unit/runtime):

* *epoch*: a run of a lower epoch than one before it, or of the same epoch by another process, is late and never
  counts; its keys are put again by the next owner, because compaction may already have dropped the good values.
* *claim*: the first to write has the changelog.  A claim behind something that its writer had not seen is void; that
  writer learns of it by the offset of its claim, and never writes again.
* *tail*: a run without a marker at the end of what its writer wrote never counts.  Elsewhere compaction has taken the
  marker: its writer went on, so the run was whole; or a later owner had seen its marker (*base*).
* *redo*: keys to be put again are remembered, in the claim's marker too, until that has been done.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.agents.runtime.marker import NOBODY, ChangelogRun, Changes, Marker, Standing, Writer, decode_marker

Apply = Callable[[Changes, Standing], None]
"""Takes changes of closed units and the standing behind them; what it has not written at a crash is read again."""


class Recovery:
    """Folds changelog runs, in the order of the log, into a state that starts at `standing`.

    `apply` is called once per closed unit, and last by `finish`.
    """

    def __init__(self, standing: Standing, apply: Apply) -> None:
        self.marker = standing.marker
        self.marker_offset = standing.offset
        self.redo = set(standing.redo)
        self.top: Writer = standing.marker.writer if standing.marker else NOBODY
        """Newest writer seen."""
        self._apply = apply
        self._seen = standing.offset
        self._counted = standing.offset
        """Offset of the last record that is not late."""
        self._open: ChangelogRun | None = None
        """The last run, when it has no marker."""

    def feed(self, run: ChangelogRun) -> None:
        """Take the next run; one at or below an offset already seen is skipped."""
        if run.offset <= self._seen:
            return
        self._seen = run.offset
        if self._late(run.writer):
            self.redo.update(run.changes)
            return
        claims = run.writer != self.top
        self.top = run.writer
        marker = decode_marker(run.marker) if run.marker is not None else None
        if claims and marker is not None and self._void(marker):
            return
        self._counted = run.offset
        if marker is None:
            self._take_open()
            self._open = run
        else:
            self._close(run, marker)

    def finish(self) -> Standing:
        """End of the log: drop the tail, and say where the state stands."""
        if self._open is not None:
            self.redo.update(self._open.changes)
            self._open = None
        standing = self._standing()
        if self._seen >= 0:
            self._apply({}, standing)
        return standing

    def _late(self, writer: Writer) -> bool:
        return writer.epoch < self.top.epoch or (writer.epoch == self.top.epoch and writer != self.top)

    def _void(self, claim: Marker) -> bool:
        return 0 <= claim.seen <= self._counted

    def _counts(self, run: ChangelogRun, marker: Marker) -> bool:
        return run.writer == marker.writer or run.offset <= marker.base

    def _close(self, run: ChangelogRun, marker: Marker) -> None:
        if self._open is not None:
            if self._counts(self._open, marker):
                self._take_open()
            else:
                self.redo.update(self._open.changes)
                self._open = None
        self.redo.update(marker.redo)
        self.marker, self.marker_offset = marker, run.offset
        self._apply(run.changes, self._standing())

    def _take_open(self) -> None:
        if self._open is not None:
            self._apply(self._open.changes, self._standing())
            self._open = None

    def _standing(self) -> Standing:
        return Standing(marker=self.marker, offset=self.marker_offset, redo=frozenset(self.redo))
