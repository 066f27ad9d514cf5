"""YAML that people write: what is wrong with it, in one line with its place.

PyYAML tells where it gave up, which for an open bracket is the end of the file; people look for the bracket.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from schemas.errors import InvalidInput

_OPENS = {yaml.FlowSequenceStartToken: "[", yaml.FlowMappingStartToken: "{"}
_CLOSES = {yaml.FlowSequenceEndToken: "[", yaml.FlowMappingEndToken: "{"}


def parse_yaml(text: str, file: str) -> tuple[yaml.Node | None, Any]:
    """The tree with its marks, and the document.  Raises InvalidInput `file:line:column: reason`."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        line, column, reason = _mistake(text, error)
        raise InvalidInput(f"{file}:{line}:{column}: {reason}") from None


def said_of(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One of pydantic's errors about a `model`, for people: where and what."""
    *around, last = path = error["loc"]
    where = ".".join(map(str, path)) if path else ""
    if error["type"] != "extra_forbidden":
        return f"{where or 'file'}: {error['msg'].removeprefix('Value error, ')}"
    known = _keys(model, around)
    near = difflib.get_close_matches(str(last), known, n=1)
    return f"unknown key {where}; " + (f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}")


def _mistake(text: str, error: yaml.YAMLError) -> tuple[int, int, str]:
    """(line, column, reason), both from 1."""
    opened = _not_closed(text)
    if opened is not None:
        bracket, mark = opened
        return mark.line + 1, mark.column + 1, f"'{bracket}' is not closed"
    if isinstance(error, yaml.MarkedYAMLError):
        quoted = error.context == "while scanning a quoted scalar" and error.context_mark is not None
        at = error.context_mark if quoted else error.problem_mark or error.context_mark
        reason = "the quote is not closed" if quoted else f"not YAML: {error.problem or error.context}"
        return (at.line + 1, at.column + 1, reason) if at is not None else (1, 1, reason)
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return line, column, f"character U+{ord(text[error.position]):04X} is not allowed"
    return 1, 1, f"not YAML: {' '.join(str(error).split())}"


def _not_closed(text: str) -> tuple[str, yaml.Mark] | None:
    """The innermost bracket that another one closes, or nothing does."""
    opened: list[tuple[str, yaml.Mark]] = []
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if type(token) in _OPENS:
                opened.append((_OPENS[type(token)], token.start_mark))
            elif type(token) in _CLOSES:
                if opened and opened[-1][0] != _CLOSES[type(token)]:
                    return opened[-1]
                del opened[-1:]
    except yaml.YAMLError:
        return None
    return opened[-1] if opened else None


def _keys(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """What may stand at this path; steps that are no field (a list's index, a table's name) lead nowhere else."""
    here = [model]
    for step in path:
        fields = [field for one in here for name, field in one.model_fields.items() if step in (name, field.alias)]
        if fields:
            here = [inner for field in fields for inner in _models(field.annotation)]
    return [field.alias or name for one in here for name, field in one.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
