"""SQL for people: a statement with the reason it is needed, names quoted where they cannot stand bare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from sqlglot.dialects.dialect import Dialect

DIALECTS = {"postgres": "postgres", "mariadb": "mysql", "mysql": "mysql", "sqlserver": "tsql", "oracle": "oracle"}
_BARE = {"postgres": r"[a-z_][a-z0-9_]*", "oracle": r"[A-Z_][A-Z0-9_]*"}
_MORE_WORDS = frozenset(
    ("CHECK", "DO", "KEY", "KEYS", "LIMIT", "OFFSET", "PRIMARY", "RANK", "REFERENCES", "ROW", "ROWS", "TO", "USER")
)
_MARKS = {"mariadb": ("`", "`"), "mysql": ("`", "`"), "sqlserver": ("[", "]")}


@dataclass(frozen=True, slots=True)
class Statement:
    """One or more statements that belong together."""

    sql: str
    why: str


def quoted(kind: str, name: str) -> str:
    """A name as this database takes it: bare when it is simple and no word of the language."""
    if re.fullmatch(_BARE.get(kind, r"[A-Za-z_][A-Za-z0-9_]*"), name) and name.upper() not in _words(kind):
        return name
    first, last = _MARKS.get(kind, ('"', '"'))
    return f"{first}{name.replace(last, last + last)}{last}"


@cache
def _words(kind: str) -> frozenset[str]:
    """Words of the language, more than are reserved: a name too many in quotes does no harm."""
    keywords = Dialect.get_or_raise(DIALECTS[kind]).tokenizer_class.KEYWORDS
    return frozenset(word for keyword in keywords for word in keyword.split()) | _MORE_WORDS
