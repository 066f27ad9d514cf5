"""SQL for people: a statement with the reason it is needed, names quoted where they cannot stand bare."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot.dialects.dialect import Dialect

DIALECTS = {"postgres": "postgres", "mariadb": "mysql", "mysql": "mysql", "sqlserver": "tsql", "oracle": "oracle"}
_BARE = {"postgres": r"[a-z_][a-z0-9_]*", "oracle": r"[A-Z_][A-Z0-9_]*"}
_MARKS = {"mariadb": ("`", "`"), "mysql": ("`", "`"), "sqlserver": ("[", "]")}


@dataclass(frozen=True, slots=True)
class Statement:
    """One or more statements that belong together."""

    sql: str
    why: str


def quoted(kind: str, name: str) -> str:
    """A name as this database takes it: bare when it is simple and no word of the language."""
    words = Dialect.get_or_raise(DIALECTS[kind]).tokenizer_class.KEYWORDS
    if re.fullmatch(_BARE.get(kind, r"[A-Za-z_][A-Za-z0-9_]*"), name) and name.upper() not in words:
        return name
    first, last = _MARKS.get(kind, ('"', '"'))
    return f"{first}{name.replace(last, last + last)}{last}"
