"""When two texts are equal: padding and collations, so that Python's own equality says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from streams.core.mapping import collations
from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions.compiler import Expressions
from streams.core.mapping.expressions.value import Value, text_literal
from streams.core.mapping.model import RowError

Fold = Callable[[str], str]
Named = tuple[str, Fold | None]
"""The name and function that make equal texts equal; no function: texts compare as they are."""


def folded(c: Expressions, node: exp.Expr | None, a: Value, b: Value) -> tuple[Value, Value]:
    """Two texts whose Python equality is SQL's."""
    if not c.dialect.folds_text and a.padded != b.padded and a.literal is None and b.literal is None:
        c.refuse(node, "CHAR(n) compared with other text: TRIM it, or CAST the other to char(n)")
    collation = c.collation(node, a, b)
    if c.dialect.sqlserver and collation is None and not (_is_digits(a) or _is_digits(b)):
        c.refuse(node, "literals are compared under the database's collation, which is not known: compare a column")
    name, fold = fold_of(c, node, collation)
    if fold is None:
        return (_unpadded(a), _unpadded(b)) if a.padded or b.padded else (a, b)
    return _folded(c, node, a, name, fold), _folded(c, node, b, name, fold)


def fold_of(c: Expressions, node: exp.Expr | None, collation: str | None) -> Named:
    """What a collation holds equal."""
    if c.dialect.mysql_family:
        return _mysql(c, node, collation)
    if c.dialect.sqlserver:
        return _sqlserver(c, node, collation)
    if collation is not None:
        c.refuse(node, f"collation {collation} is not deterministic: such text cannot be compared here")
    return "", None


def _mysql(c: Expressions, node: exp.Expr | None, collation: str | None) -> Named:
    if collation is None or collation == "binary" or collation.endswith(("_nopad_bin", "_0900_bin")):
        return "", None
    if collation.endswith("_bin"):
        return c.names.constant("unpadded", collations.unpadded), collations.unpadded
    if "_nopad_" in collation:
        c.refuse(node, f"collation {collation} (NO PAD) is not proven yet: compare under another")
    table = c.catalogue.folds.get(collation)
    if table is None:
        c.refuse(node, f"catalog.json has no weights of collation {collation}: run `onhand source inspect`")
    fold = collations.folder(table, pads="_0900_" not in collation)
    return c.names.constant("fold " + collation, fold), fold


def _sqlserver(c: Expressions, node: exp.Expr | None, collation: str | None) -> Named:
    if collation is None:  # digits, which all collations hold apart
        return c.names.constant("unpadded", collations.unpadded), collations.unpadded
    fold = collations.latin1_folder(collation)
    if fold is None:
        c.refuse(node, f"collation {collation} is not known here: only Latin1_General and binary ones are")
    return c.names.constant("fold " + collation, fold), fold


def folded_literal(c: Expressions, node: exp.Expr | None, text: str, fold: Fold) -> str:
    """What a literal equals, or a refusal."""
    try:
        return fold(text)
    except RowError as error:
        c.refuse(node, str(error))


def _folded(c: Expressions, node: exp.Expr | None, value: Value, name: str, fold: Fold) -> Value:
    if isinstance(value.literal, str):
        return text_literal(folded_literal(c, node, value.literal, fold))
    return value if value.kind == Kind.NULL else c.call(f"{name}({{0}})", Kind.TEXT, value)


def _unpadded(value: Value) -> Value:
    """A literal takes the CHAR type of the other side, which forgets trailing blanks."""
    if not isinstance(value.literal, str):
        return value
    text = value.literal.rstrip(" ")
    return replace(value, code=repr(text), literal=text)


def _is_digits(value: Value) -> bool:
    return isinstance(value.literal, str) and value.literal.isdigit()
