"""What to do about the failures that Debezium's connectors were seen to end with."""

from __future__ import annotations

import re

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


def remedy(name: str, failure: str) -> str:
    """What to do next about a failed connector."""
    for pattern, fix in REMEDIES:
        if re.search(pattern, failure, re.IGNORECASE):
            return fix.format(name=name)
    return f"Mend the cause, then `onhand source restart {name}`"
