"""When two texts are equal, and what LIKE matches, under a collation."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

from streams.core.mapping.model import RowError

TEXTS_KEPT = 1 << 14
"""Codes and names that are compared are few: what they fold to is remembered."""
_BEYOND = 0x10000
_PRIVATE = 0x100000
"""First private character of the last plane: stands for what folds to several characters."""


def folder(table: dict[int, str], pads: bool = True) -> Callable[[str], str]:
    """Texts are equal under a collation of MariaDB or MySQL ⇔ equal after this.

    `pads`: trailing blanks do not count (PAD SPACE), as everywhere but in MySQL's utf8mb4_0900 collations.
    """
    trailing = " " if pads else ""
    plain = all(table.get(code, chr(code)) == chr(code).upper() for code in range(32, 127))

    @functools.lru_cache(TEXTS_KEPT)
    def fold(s: str) -> str:
        if plain and s.isascii() and s.isprintable():
            return s.upper().rstrip(trailing)
        return "".join(table.get(min(code, _BEYOND), chr(code)) for code in map(ord, s)).rstrip(trailing)

    return fold


def of_union(a: str | None, b: str | None) -> str | None:
    """The collation in which UNION of MariaDB and MySQL joins texts of these two; None: of neither, literals and
    numbers.  Raises ValueError when the database refuses it."""
    if a is None or b is None or a == b:
        return a or b
    charsets = _charset(a), _charset(b)
    if charsets[0] == charsets[1]:
        for one in (a, b):
            if one.endswith("_bin"):
                return one
        raise ValueError(f"{a} and {b} order their texts differently")
    wider = [_WIDER.get(charset, 1) for charset in charsets]
    if wider[0] == wider[1]:
        raise ValueError(f"neither {charsets[0]} nor {charsets[1]} holds the other's texts")
    return a if wider[0] > wider[1] else b


_WIDER = {"ascii": 0, "utf8": 2, "utf8mb3": 2, "utf8mb4": 3, "binary": 4}
"""Character sets by what others they hold; one that is not here holds ASCII alone."""


def _charset(collation: str) -> str:
    return collation.partition("_")[0]


def beyond_ascii(collation: str | None) -> bool:
    """Columns of this collation hold every text."""
    return collation is None or _WIDER.get(_charset(collation), 1) > 1


_LATIN1 = re.compile(r"(?:SQL_)?Latin1_General(?:_CP[0-9]+)?(?:_[0-9]+)?_(?:(BIN2?)|(C[IS])_(A[IS]))(?:_SC|_UTF8)*")


@functools.cache
def latin1_folder(collation: str) -> Callable[[str], str] | None:
    """Texts are equal under SQL Server's Latin1_General collations ⇔ equal after this; None: another collation.

    Trailing blanks never count.  Beyond ASCII only Latin letters with one accent are certain: 'ß' equals 'ss' in some
    of these collations and some characters weigh nothing, so such a text is a row error.
    """
    match = _LATIN1.fullmatch(collation)
    if match is None:
        return None
    if match[1]:
        return unpadded
    folds_case, folds_accents = match[2] == "CI", match[3] == "AI"

    @functools.lru_cache(TEXTS_KEPT)
    def fold(s: str) -> str:
        s = s.rstrip(" ")
        if not s.isascii() or not s.isprintable():
            letters = [_letter(c, s, collation) for c in s]
            s = "".join(letters) if folds_accents else s
        return s.upper() if folds_case else s

    return fold


def _letter(c: str, text: str, collation: str) -> str:
    """The character without its accent."""
    if c.isascii() and c.isprintable():
        return c
    base = unicodedata.normalize("NFD", c)
    if len(base) != 2 or not (base[0].isascii() and base[0].isalpha()):
        raise RowError("row-unmappable", f"{text!r}: what equals {c!r} under {collation} is not known")
    return base[0]


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
