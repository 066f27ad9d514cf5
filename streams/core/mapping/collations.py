"""When two texts are equal, and what LIKE matches, under a collation."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

TEXTS_KEPT = 1 << 14
"""Codes and names that are compared are few: what they fold to is remembered."""
_BEYOND = 0x10000
_PRIVATE = 0x100000
"""First private character of the last plane: stands for what folds to several characters."""


def folder(table: dict[int, str]) -> Callable[[str], str]:
    """Texts are equal under a MariaDB collation ⇔ equal after this; trailing blanks never count (PAD SPACE)."""
    plain = all(table.get(code, chr(code)) == chr(code).upper() for code in range(32, 127))

    @functools.lru_cache(TEXTS_KEPT)
    def fold(s: str) -> str:
        if plain and s.isascii() and s.isprintable():
            return s.upper().rstrip(" ")
        return "".join(table.get(min(code, _BEYOND), chr(code)) for code in map(ord, s)).rstrip(" ")

    return fold


def unpadded(s: str) -> str:
    """Binary collations with PAD SPACE, and CHAR(n) of PostgreSQL."""
    return s.rstrip(" ")


def like_folder(fold: Callable[[str], str]) -> Callable[[str], str]:
    """LIKE compares character by character, keeps trailing blanks, and holds 'ß' equal to no pair of characters."""
    several: dict[str, str] = {}

    def character(c: str) -> str:
        folded = " " if c == " " else fold(c) or c
        return folded if len(folded) == 1 else several.setdefault(folded, chr(_PRIVATE + len(several)))

    def characters(s: str) -> str:
        return "".join(map(character, s))

    return characters


def like_matcher(pattern: str, escape: str | None = "\\") -> Callable[[str], object]:
    """A LIKE pattern as a function that answers something true when it matches."""
    out = []
    at = 0
    while at < len(pattern):
        c = pattern[at]
        if escape and c == escape and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        else:
            out.append(".*" if c == "%" else "." if c == "_" else re.escape(c))
        at += 1
    return re.compile("".join(out), re.DOTALL).fullmatch
