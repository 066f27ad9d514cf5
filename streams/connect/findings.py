"""What lint, pre-flight and status have to say: one finding per thing that is wrong, each with what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`error` refuses an apply; `warning` does not; `note` is only said."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a source."""

    code: str
    """Stable: E.. connector.json, P.. PostgreSQL, M.. MariaDB, K.. Kafka Connect (docs/connectors.md)."""
    severity: Severity
    source: str
    place: str
    """`file:line`, or the database object it is about."""
    message: str
    fix: str
    """What to do next; the exact SQL where SQL is needed."""

    def row(self) -> dict[str, str]:
        """For `--json`."""
        return {key: str(value) for key, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.place}: {self.severity} {self.code}: {self.message}. {self.fix}"


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Only those that refuse an apply."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]
