"""The open exceptions of one channel or source, as records of exception.v1."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.records import ExceptionRecord, ExceptionStatus

STAGE = "channel"


class Place(NamedTuple):
    """Where a record that cannot be read stands."""

    topic: str
    partition: int
    offset: int
    raw: bytes


class Complaints:
    """Opens each exception once and closes it when its cause is gone."""

    def __init__(self, about: str, stage: str = STAGE) -> None:
        """`about`: the channel's name, or the source's."""
        self._about, self._stage = about, stage
        self._open: dict[str, ExceptionRecord] = {}

    def recall(self, record: ExceptionRecord) -> None:
        """A record of exception.v1, oldest first."""
        if record.stage != self._stage or record.source != self._about:
            return
        if record.status is ExceptionStatus.CLOSED:
            self._open.pop(record.id, None)
        else:
            self._open[record.id] = record

    def open(
        self, code: str, subject: str, detail: str, action: str, now_us: int, place: Place | None = None
    ) -> list[ExceptionRecord]:
        """The record to write; nothing when it is open already with the same words."""
        identity = self._id(code, subject)
        before = self._open.get(identity)
        if before is not None and before.detail == detail and before.status is ExceptionStatus.OPEN:
            return []
        record = ExceptionRecord(
            id=identity,
            version=_later(before, now_us),
            stage=self._stage,
            source=self._about,
            code=code,
            status=ExceptionStatus.OPEN,
            subject=subject,
            detail=detail,
            action=action,
            count=before.count + 1 if before else 1,
            opened_us=before.opened_us if before else now_us,
            updated_us=now_us,
            **(place._asdict() if place else {}),
        )
        self._open[identity] = record
        return [record]

    def close(self, code: str, subject: str, now_us: int, *, by_us: int | None = None) -> list[ExceptionRecord]:
        """The record to write; nothing when it is not open.  `by_us`: when that was ordered; what was stated later
        stays open, because old orders are read again by whoever starts."""
        identity = self._id(code, subject)
        record = self._open.get(identity)
        if record is None or (by_us is not None and record.updated_us > by_us):
            return []
        del self._open[identity]
        closed = ExceptionStatus.CLOSED
        version = _later(record, now_us)
        return [msgspec.structs.replace(record, status=closed, version=version, updated_us=now_us, closed_us=now_us)]

    def _id(self, code: str, subject: str) -> str:
        return f"{self._stage}/{self._about}/{code}/{subject}"

    def __len__(self) -> int:
        return len(self._open)


def _later(before: ExceptionRecord | None, now_us: int) -> int:
    """A version above the one before, also when the clock was set back meanwhile."""
    return now_us if before is None else max(now_us, before.version + 1)
