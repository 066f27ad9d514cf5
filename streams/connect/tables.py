"""Debezium's include lists: comma-separated regular expressions that must match a whole `schema.table`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_OPENING = {"(": ")", "[": "]", "{": "}"}
_WRITES = re.compile(r"\s*(?:INSERT\s+(?:IGNORE\s+)?INTO|REPLACE\s+INTO|UPDATE)\s+([\w.\"`$]+)", re.IGNORECASE)


def split_patterns(text: str) -> list[str]:
    """The expressions of a list; commas inside brackets or behind a backslash do not separate."""
    patterns: list[str] = []
    current = ""
    closing: list[str] = []
    escaped = False
    for character in text:
        if character == "," and not closing and not escaped:
            patterns.append(current.strip())
            current = ""
            continue
        current += character
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif closing and character == closing[-1]:
            closing.pop()
        elif character in _OPENING:
            closing.append(_OPENING[character])
    return [pattern for pattern in [*patterns, current.strip()] if pattern]


def matches(patterns: Iterable[str], name: str) -> bool:
    """Debezium matches the whole qualified name, ignoring case; a broken expression matches nothing."""
    for pattern in patterns:
        try:
            if re.fullmatch(pattern, name, re.IGNORECASE):
                return True
        except re.error:
            continue
    return False


def broken(patterns: Iterable[str]) -> list[str]:
    """The expressions that do not compile."""
    wrong = []
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error:
            wrong.append(pattern)
    return wrong


def named_tables(patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """(tables the expressions name one by one, expressions that could match anything).

    Understood as names: `erp.item`, `erp\\.item`, `erp\\.(item|order)`.
    """
    tables: list[str] = []
    open_ended: list[str] = []
    for pattern in patterns:
        grouped = re.fullmatch(r"([\w$ -]+)\\?\.\(([\w$ |-]+)\)", pattern)
        plain = re.sub(r"\\([.$])", r"\1", pattern) if "\\." in pattern else pattern
        if grouped:
            tables += [f"{grouped[1]}.{table}" for table in grouped[2].split("|")]
        elif re.fullmatch(r"[\w$ -]+\.[\w$ -]+", plain):
            tables.append(plain)
        else:
            open_ended.append(pattern)
    return tables, open_ended


def written_table(statement: str) -> str | None:
    """The table that a heartbeat statement writes, as written there; None: not an INSERT, UPDATE or REPLACE."""
    found = _WRITES.match(statement)
    return re.sub(r"[\"`]", "", found[1]) if found else None
