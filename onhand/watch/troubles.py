"""What is wrong with a source, as exceptions of stage `source` with their lifecycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.intervals import is_over
from schemas.records import ExceptionRecord
from sinks.core.complaints import Complaints
from streams.connect.findings import Finding, Severity

STAGE = "source"
AGAIN_US = 300_000_000
"""The detail of an exception that stays open is brought up to date so often at most."""

UNREACHABLE, LOST, SHORT = "database-unreachable", "source-lost", "retention-short"
RESTORED = "source-restored"
FAILED, SILENT = "connector-failed", "source-silent"
_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
CODES: Mapping[tuple[str, Severity], str] = {
    ("P01", _ERROR): UNREACHABLE,
    ("M01", _ERROR): UNREACHABLE,
    ("P06", _ERROR): LOST,
    ("M12", _ERROR): LOST,
    ("P16", _ERROR): RESTORED,
    ("M16", _ERROR): RESTORED,
    ("P15", _WARNING): SHORT,
    ("P15", _ERROR): SHORT,
    ("M15", _WARNING): SHORT,
    ("M15", _ERROR): SHORT,
    ("K02", _ERROR): FAILED,
    ("K03", _ERROR): FAILED,
    ("K04", _ERROR): SILENT,
}
"""Finding of `onhand source status` → code of the exception; other findings open none."""


class Troubles:
    """One source's exceptions: opened when two looks in a row find them, closed when one does not."""

    def __init__(self, source: str, open_before: Iterable[ExceptionRecord]) -> None:
        """`open_before`: what an earlier watch has left open, of any source."""
        self._source = source
        self._complaints = Complaints(source, STAGE)
        self._seen: set[str] = set()
        self._stated_us: dict[str, int] = {}
        self.restored: Finding | None = None
        """An earlier watch has found that the database was restored."""
        for record in open_before:
            self._complaints.recall(record)
            if record.stage == STAGE and record.source == source:
                self._seen.add(record.code)
                if record.code == RESTORED:
                    self.restored = Finding("P16", _ERROR, source, source, record.detail, record.action)

    def take(self, problems: Iterable[Finding], now_us: int) -> list[ExceptionRecord]:
        """What one look found; the records to write."""
        found: dict[str, Finding] = {}
        for problem in problems:
            if (code := CODES.get((problem.code, problem.severity))) is not None:
                found.setdefault(code, problem)
        records = []
        for code in sorted(found.keys() & self._seen):
            if is_over(self._stated_us.get(code, -AGAIN_US), AGAIN_US, now_us):
                self._stated_us[code] = now_us
                problem = found[code]
                records += self._complaints.open(code, self._source, problem.message, problem.fix, now_us)
        for code in sorted(self._seen - found.keys()):
            self._stated_us.pop(code, None)
            records += self._complaints.close(code, self._source, now_us)
        self._seen = set(found)
        return records
