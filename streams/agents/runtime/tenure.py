"""What an owner writes, pure: from the claim to its last unit.

A tenure is one process owning one partition under one epoch.  It makes record batches for the changelog and is told
the offset each got; the offsets of one writer are continuous, so a gap betrays another one (`Overtaken`): nothing of
that unit may be settled or sent, the process stops and recovers again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import Fatal
from schemas.versions import MAX_UNIT, version_of
from streams.agents.runtime.marker import MARK_KEY, Changes, InputMark, Marker, Standing, Writer, encode_marker


class Overtaken(Fatal):
    """Another process has written to what should be ours alone."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One unit for the changelog: its changes, then its marker, to be appended as one record batch."""

    records: Sequence[tuple[bytes, bytes | None]]
    marker: Marker

    @property
    def version(self) -> int:
        """Version of this unit's outputs."""
        return version_of(self.marker.epoch, self.marker.unit)


class Tenure:
    """Order of calls: `claim`, `put_again` until None, then `close` per unit; after each batch `acknowledged`."""

    def __init__(self, standing: Standing, writer: Writer, next_offset: int, *, name: str = "changelog") -> None:
        self.writer = writer
        self.base = standing.offset
        self.seen = next_offset
        self.next_offset = next_offset
        """Offset that our next batch must get."""
        self.redo = sorted(standing.redo)
        self.marker = standing.marker
        """Of the last acknowledged batch, or what was recovered."""
        self._unit = 0
        self._name = name

    def claim(self) -> Batch:
        """Own the changelog before anything else, and remember what must be put again."""
        return self._batch({}, self._carried(redo=self.redo))

    def put_again(self, get: Callable[[bytes], bytes | None], limit: int = 2 << 20) -> Batch | None:
        """The settled values of keys that were written late, about `limit` bytes at a time; None: none is left."""
        if not self.redo:
            return None
        changes: dict[bytes, bytes | None] = {}
        size = 0
        for key in self.redo:
            if size >= limit:
                break
            value = changes[key] = get(key)
            size += len(key) + len(value or b"")
        self.redo = self.redo[len(changes) :]
        return self._batch(changes, self._carried(redo=self.redo))

    def close(
        self,
        changes: Changes,
        *,
        inputs: Mapping[str, InputMark],
        outputs: Mapping[str, int],
        owed: Iterable[bytes],
        memo: bytes,
        fingerprint: bytes,
    ) -> Batch:
        """The next unit.  Its predecessor's outputs must be acknowledged: the marker no longer owes them.

        Raises ValueError for a key that is not the stage's to write.
        """
        batch = self._batch(
            changes,
            Marker(
                epoch=self.writer.epoch,
                nonce=self.writer.nonce,
                unit=self._next_unit(),
                base=self.base,
                seen=self.seen,
                inputs=dict(inputs),
                outputs=dict(outputs),
                fingerprint=fingerprint,
                memo=memo,
                owed=tuple(owed),
            ),
        )
        if changes and (lowest := batch.records[0][0]).startswith(b"\0"):
            raise ValueError(f"state key {lowest!r}: keys that start with a zero byte belong to the runtime")
        return batch

    def acknowledged(self, batch: Batch, first_offset: int) -> Standing:
        """Where the state stands once this batch is in the log.  Raises Overtaken."""
        if first_offset != self.next_offset:
            raise Overtaken(
                f"{self._name}: expected offset {self.next_offset}, got {first_offset}: another process wrote to it; "
                "this one stops and recovers when it is started again"
            )
        self.next_offset += len(batch.records)
        self.marker = batch.marker
        return Standing(marker=batch.marker, offset=self.next_offset - 1, redo=frozenset(batch.marker.redo))

    def _next_unit(self) -> int:
        self._unit += 1
        if self._unit > MAX_UNIT:
            raise Fatal(f"{self._name}: epoch {self.writer.epoch} is used up; the next start begins a new one")
        return self._unit

    def _carried(self, redo: Sequence[bytes]) -> Marker:
        """A marker that leaves input, memo and debts as they were recovered."""
        last = self.marker
        return Marker(
            epoch=self.writer.epoch,
            nonce=self.writer.nonce,
            unit=self._next_unit(),
            base=self.base,
            seen=self.seen,
            inputs=last.inputs if last else {},
            outputs=last.outputs if last else {},
            fingerprint=last.fingerprint if last else b"",
            memo=last.memo if last else b"",
            owed=last.owed if last else (),
            redo=tuple(redo),
        )

    @staticmethod
    def _batch(changes: Changes, marker: Marker) -> Batch:
        records = sorted(changes.items())  # in the order of keys the store takes a batch in half the time
        return Batch([*records, (MARK_KEY, encode_marker(marker))], marker)
