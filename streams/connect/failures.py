"""What the failures of Debezium's connectors call for, by their words."""

from __future__ import annotations

import re
from enum import StrEnum

RESNAPSHOT = "onhand source resnapshot {name}"
CHECK = "onhand source check {name} names the grant or object that is missing; then `onhand source restart {name}`"
REMEDIES: tuple[tuple[str, str], ...] = (
    # the slot is gone or stands behind the connector's offset
    (r"no longer available on the server", RESNAPSHOT),
    # the binlog the connector must go on with was purged
    (r"GTID state requested|binlog files? .*purged|purged required", RESNAPSHOT),
    # the worker died within the first moments of a snapshot: the notification's offset has no position
    (r"'file' parameter is missing", RESNAPSHOT),
    (r"db history topic is missing", RESNAPSHOT),
    (r"Publication autocreation is disabled|must be superuser or replication role", CHECK),
    (r"permission denied|privilege|command denied|Access denied", CHECK),
)
"""Expression found in the failure → what to do."""

PASSES = re.compile(
    r"refused|unreachable|unknown ?host|no route|timed? ?out|reset by peer|broken pipe|communications? link"
    r"|connection .*(closed|lost|attempt failed)|terminating connection|lost connection|disconnect|server closed"
    r"|failed to connect|fail to connect|can.?t connect|unable to (connect|obtain a JDBC)|\bsocket\b|\bEOF\b|I/O error"
    r"|starting up|shutting down|shut down|in recovery|too many (connections|clients)|retriable",
    re.IGNORECASE,
)
"""Database, Kafka or network was away."""


class Verdict(StrEnum):
    """What a failure calls for."""

    PASSES = "passes"
    PERSON = "person"
    UNKNOWN = "unknown"


def verdict_of(failure: str) -> Verdict:
    """By the words of the exception and its causes."""
    if any(re.search(pattern, failure, re.IGNORECASE) for pattern, _ in REMEDIES):
        return Verdict.PERSON
    return Verdict.PASSES if PASSES.search(failure) else Verdict.UNKNOWN


def remedy(name: str, failure: str) -> str:
    """What to do next about a failed connector."""
    for pattern, fix in REMEDIES:
        if re.search(pattern, failure, re.IGNORECASE):
            return fix.format(name=name)
    if verdict_of(failure) is Verdict.PASSES:
        return f"The watch starts it again when its database answers; without one, `onhand source restart {name}`"
    return f"Mend the cause, then `onhand source restart {name}`"
