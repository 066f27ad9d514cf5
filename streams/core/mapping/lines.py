"""Lines of generated code that remember where in the SQL they come from, so that a row error can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from types import TracebackType

from sqlglot import exp

from streams.core.mapping import problems
from streams.core.mapping.model import RowError

_BEFORE_PLACE = "  # "


class Line(str):
    """One statement; equal to another of the same text, whatever their places."""

    place: str
    """`file:line:column`."""

    def __new__(cls, text: str, place: str) -> Line:
        line = super().__new__(cls, text)
        line.place = place
        return line

    def shown(self) -> str:
        return f"{self}{_BEFORE_PLACE}{self.place}"


def place_of(file: str, node: exp.Expr | None) -> str:
    line, column = problems.place(node)
    return f"{PurePath(file).name}:{line}:{column}"


def shown(lines: Sequence[str]) -> str:
    """The text of a function's body, each line with its place behind it."""
    return "\n".join(line.shown() if isinstance(line, Line) else line for line in lines)


def placed(error: RowError, filename: str, code: Sequence[str]) -> RowError:
    """The error with the place in the SQL in front, from the line of the generated `code` it went through."""
    number = _line_number(error.__traceback__, filename)
    place = code[number - 1].rpartition(_BEFORE_PLACE)[2] if number else ""
    if not place or _BEFORE_PLACE not in code[number - 1]:
        return error
    return RowError(error.code, f"{place}: {error}", error.subject)


def _line_number(traceback: TracebackType | None, filename: str) -> int:
    found = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            found = traceback.tb_lineno
        traceback = traceback.tb_next
    return found
