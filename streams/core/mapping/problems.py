"""What is wrong with a mapping, each with its place and the way out; all of it is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from sqlglot import exp


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding; line and column count from 1, 0 means the whole file."""

    file: str
    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.reason}"


class Refused(Exception):
    """The text uses something outside the subset, or something the catalogue does not know."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def refuse(file: str, node: exp.Expr | None, reason: str) -> NoReturn:
    """Raises Refused at the node's place."""
    raise refusal(file, node, reason)


def refusal(file: str, node: exp.Expr | None, reason: str) -> Refused:
    """The exception to raise, at the node's place."""
    line, column = place(node)
    return Refused(Problem(file, line, column, reason))


def place(node: exp.Expr | None) -> tuple[int, int]:
    """Line and column of the first token of a node; the parser notes them on leaves only."""
    at: exp.Expr | None = node
    while at is not None:
        marks = [n.meta for n in at.walk() if "line" in n.meta]
        if marks:
            first = min(marks, key=lambda mark: mark["start"])
            return first["line"], max(1, first["col"] - (first["end"] - first["start"]))
        at = at.parent
    return 1, 1
