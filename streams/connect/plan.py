"""The difference between the folders and the Connect cluster.  Pure.

A connector is onhand's when it writes the source log of its own name (a RegexRouter to `cdc.<name>`): only those can
be orphans.  Whatever else runs on a shared cluster is neither shown nor touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from streams.connect.folder import log_topic
from streams.connect.tables import named_tables, split_patterns


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """A key that must not change would."""
    ORPHAN = "orphan"
    """Runs, but has no folder: removed with --prune only."""


IMMUTABLE: Mapping[str, str] = {
    "connector.class": "the offsets are another connector's",
    "topic.prefix": "the offsets are kept under it: everything would be read anew, or from nowhere",
    "slot.name": "a new slot begins now: what was committed in between would be lost",
    "publication.name": "changes between the two publications would be lost",
    "database.dbname": "the slot and its positions belong to the database",
    "database.server.id": "the binlog reader's identity; two readers under one id throw each other out",
    "schema.history.internal.kafka.topic": "without its history the connector cannot read the binlog",
}
"""Key → why it must not change while the connector has offsets."""
SECRET_KEY = re.compile(r"password|secret|token|credential|passphrase|jaas|private\.key", re.IGNORECASE)
"""Keys whose literal value is never shown and never accepted."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    key: str
    before: str | None
    """None: added."""
    after: str | None
    """None: removed."""
    why_not: str = ""
    """Why this change is refused; empty: it is not."""


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What apply would do with one connector."""

    name: str
    action: Action
    changes: tuple[KeyChange, ...] = ()
    notes: tuple[str, ...] = ()
    """What the change does not do by itself."""


def plan(desired: Mapping[str, Mapping[str, str]], actual: Mapping[str, Mapping[str, str]]) -> list[SourcePlan]:
    """One entry per desired source, then the orphans, each by name."""
    plans = [_planned(name, desired[name], actual.get(name)) for name in sorted(desired)]
    orphans = sorted(name for name, config in actual.items() if name not in desired and is_ours(name, config))
    return plans + [SourcePlan(name, Action.ORPHAN) for name in orphans]


def is_ours(name: str, config: Mapping[str, str]) -> bool:
    """The connector writes the source log of its own name."""
    replacements = [value for key, value in config.items() if re.fullmatch(r"transforms\.[^.]+\.replacement", key)]
    return log_topic(name) in replacements


def shown(key: str, value: str | None) -> str:
    """A value for people: literals under secret keys are hidden."""
    if value is None:
        return "-"
    return "(hidden)" if SECRET_KEY.search(key) and not value.startswith("${") else value


def _planned(name: str, desired: Mapping[str, str], actual: Mapping[str, str] | None) -> SourcePlan:
    if actual is None:
        return SourcePlan(name, Action.CREATE)
    changes = tuple(
        KeyChange(key, actual.get(key), desired.get(key), _why_not(key, name, actual, desired))
        for key in sorted({*desired, *actual})
        if actual.get(key) != desired.get(key)
    )
    if not changes:
        return SourcePlan(name, Action.UNCHANGED)
    refused = any(change.why_not for change in changes)
    return SourcePlan(name, Action.REFUSED if refused else Action.UPDATE, changes, _notes(name, changes))


def _why_not(key: str, name: str, actual: Mapping[str, str], desired: Mapping[str, str]) -> str:
    if key in IMMUTABLE:
        return IMMUTABLE[key]
    # `transforms` may be renamed freely as long as the log stays the same topic
    if key.endswith(".replacement") and is_ours(name, actual) and not is_ours(name, desired):
        return "the source log would be another topic: the lane would lose its input"
    return ""


def _notes(name: str, changes: tuple[KeyChange, ...]) -> tuple[str, ...]:
    notes: list[str] = []
    for change in changes:
        if change.key != "table.include.list" or change.before is None or change.after is None:
            continue
        before = set(named_tables(split_patterns(change.before))[0])
        after = set(named_tables(split_patterns(change.after))[0])
        for table in sorted(after - before):
            notes.append(
                f"{table} is new: only changes from now on are captured; then run "
                f"`onhand source resnapshot {name} --incremental {table}`"
            )
        for table in sorted(before - after):
            notes.append(f"{table} is no longer captured: its rows stay as they are until the mapping drops them")
    return tuple(notes)
