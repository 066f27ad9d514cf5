"""SQL expressions compiled to Python, by theme."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.expressions.casts import CASTS
from streams.core.mapping.expressions.choice import CHOICE
from streams.core.mapping.expressions.compiler import Expressions, Names
from streams.core.mapping.expressions.conditions import CONDITIONS
from streams.core.mapping.expressions.dates import DATES
from streams.core.mapping.expressions.numbers import NUMBERS
from streams.core.mapping.expressions.text import TEXT
from streams.core.mapping.expressions.value import Value

_VALUES = {**NUMBERS, **CHOICE, **CASTS, **TEXT, **DATES}


def expressions_of(catalogue: Catalogue, file: str, names: Names, column: Callable[[exp.Column], Value]) -> Expressions:
    """A compiler of one SELECT's expressions."""
    return Expressions(catalogue, file, names, column, _VALUES, CONDITIONS)


__all__ = ["Expressions", "Names", "Value", "expressions_of"]
