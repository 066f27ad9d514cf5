"""A mapping file as text: its SELECTs apart, and the file without some of them, every other one where it stood."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from streams.core.mapping.dialects import DIALECTS

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


class Branch(NamedTuple):
    """One SELECT of a file, by offsets in its text."""

    start: int
    end: int
    tokens: tuple[Token, ...]


class SqlFile:
    """A file that the compiler takes: SELECTs joined by UNION ALL, none in parentheses."""

    def __init__(self, kind: str, text: str) -> None:
        parser = DIALECTS[kind].parser
        self._text = text
        plain = _PLACEHOLDER.sub(lambda found: "_" * len(found[0]), text)  # a name, and as long
        self.branches: list[Branch] = []
        tokens: list[Token] = []
        union = False
        for token in sqlglot.tokenize(plain, read=parser):
            if token.token_type is TokenType.UNION:
                self._add(tokens)
                tokens, union = [], True
            elif not (union and token.token_type is TokenType.ALL) and token.token_type is not TokenType.SEMICOLON:
                tokens.append(token)
                union = False
        self._add(tokens)
        self._selects = [sqlglot.parse_one(plain[b.start : b.end], read=parser) for b in self.branches]
        self._names = [node.alias_or_name for node in self._selects[0].expressions]

    def _add(self, tokens: list[Token]) -> None:
        if tokens:
            self.branches.append(Branch(tokens[0].start, tokens[-1].end + 1, tuple(tokens)))

    def only(self, numbers: Collection[int]) -> str:
        """The text with just these SELECTs, from 0; '' for none.

        What is left out becomes blanks, so that everything else stays on its line; the first one that is left names the
        columns.
        """
        if not numbers:
            return ""
        first, parts, at = min(numbers), [], 0
        for number, branch in enumerate(self.branches):
            between = self._text[at : branch.start]
            parts.append(between if number in numbers and number > first else _blank(between))
            whole = self._text[branch.start : branch.end]
            if number not in numbers:
                parts.append(_blank(whole))
            else:
                parts.append(self._named(number) if number == first else whole)
            at = branch.end
        return "".join(parts)

    def _named(self, number: int) -> str:
        """The SELECT with the names that the file's first one gives."""
        branch, text = self.branches[number], self._text
        if number == 0:
            return text[branch.start : branch.end]
        made, at = [], branch.start
        for name, node, item in zip(self._names, self._selects[number].expressions, _items(branch), strict=True):
            last = item[-1].end + 1
            if isinstance(node, exp.Alias):
                last = item[-3 if item[-2].token_type is TokenType.ALIAS else -2].end + 1
            made += [text[at:last], f" AS {name}"]
            at = item[-1].end + 1
        return "".join([*made, text[at : branch.end]])


def _items(branch: Branch) -> list[list[Token]]:
    """The tokens of each column of the select list."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in branch.tokens[1:]:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0 and token.token_type is TokenType.FROM:
            return found
        if depth == 0 and token.token_type is TokenType.COMMA:
            found.append([])
        else:
            found[-1].append(token)
    return found


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
