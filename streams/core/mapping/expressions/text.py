"""Text functions."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions.casts import as_text
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.value import Value, text_literal


def _places(count: int, between: str = ", ") -> str:
    return between.join(f"{{{n}}}" for n in range(count))


def _pipes(c: Expressions, e: exp.DPipe) -> Value:
    if c.mariadb:
        c.refuse(e, "|| is OR in MariaDB: CONCAT(a, b)")
    return c.call("({0} + {1})", Kind.TEXT, as_text(c, e.left), as_text(c, e.right))


def _concat(c: Expressions, e: exp.Concat) -> Value:
    values = [as_text(c, a) for a in e.expressions]
    collation = c.collation(e, *values) if c.mariadb else None
    if not c.mariadb:
        if any(v.padded for v in values):
            c.refuse(e, "CONCAT of a CHAR(n) column keeps its blanks: TRIM it")
        values = [replace(v, code=f"({v.code} or '')", nullable=False) if v.nullable else v for v in values]
    if len(values) == 1:
        return c.call("{0}", Kind.TEXT, *values, collation=collation)
    return c.call(f"({_places(len(values), ' + ')})", Kind.TEXT, *values, collation=collation)


def _upper(c: Expressions, e: exp.Upper) -> Value:
    return c.call("both.upper({0})", Kind.TEXT, c.argument(e.this, Kind.TEXT))


def _lower(c: Expressions, e: exp.Lower) -> Value:
    return c.call("both.lower({0})", Kind.TEXT, c.argument(e.this, Kind.TEXT))


def _trim(c: Expressions, e: exp.Trim) -> Value:
    value, where = c.argument(e.this, Kind.TEXT), str(e.args.get("position") or "BOTH").upper()
    what = " "
    if e.expression is not None:
        if not e.expression.is_string or not e.expression.this:
            c.refuse(e, "TRIM takes a literal that is not empty")
        what = e.expression.this
    if c.mariadb and len(what) > 1:
        return c.call(f"my.trim_word({{0}}, {what!r}, {where!r})", Kind.TEXT, value)
    function = {"BOTH": "strip", "LEADING": "lstrip", "TRAILING": "rstrip"}.get(where)
    if function is None:
        c.refuse(e, f"TRIM {where} is outside the subset")
    return c.call(f"{{0}}.{function}({what!r})", Kind.TEXT, value)


def _substring(c: Expressions, e: exp.Substring) -> Value:
    if e.args.get("start") is None:
        c.refuse(e, "SUBSTRING needs a start")
    values = [c.argument(e.this, Kind.TEXT), c.argument(e.args["start"], Kind.INT)]
    if e.args.get("length") is not None:
        values.append(c.argument(e.args["length"], Kind.INT))
    return c.call(f"{'my' if c.mariadb else 'pg'}.substring({_places(len(values))})", Kind.TEXT, *values)


def _left(c: Expressions, e: exp.Left | exp.Right) -> Value:
    function = f"{'my' if c.mariadb else 'pg'}.{'left' if isinstance(e, exp.Left) else 'right'}"
    text, count = c.argument(e.this, Kind.TEXT), c.argument(e.expression, Kind.INT)
    return c.call(f"{function}({{0}}, {{1}})", Kind.TEXT, text, count)


def _pad(c: Expressions, e: exp.Pad) -> Value:
    fill = e.args.get("fill_pattern")
    with_text = c.argument(fill, Kind.TEXT) if fill is not None else text_literal(" ")
    return c.call(
        f"{'my' if c.mariadb else 'both'}.pad({{0}}, {{1}}, {{2}}, {bool(e.args.get('is_left'))})",
        Kind.TEXT,
        as_text(c, e.this),
        c.argument(e.expression, Kind.INT),
        with_text,
        may_be_null=c.mariadb,
    )


def _length(c: Expressions, e: exp.Length) -> Value:
    if e.args.get("binary"):
        c.refuse(e, "LENGTH counts bytes here: CHAR_LENGTH")
    return c.call("len({0})", Kind.INT, c.argument(e.this, Kind.TEXT), scale=0)


def _replace(c: Expressions, e: exp.Replace) -> Value:
    parts = [c.argument(a, Kind.TEXT) for a in (e.this, e.expression, e.args["replacement"])]
    if not parts[1].literal:
        c.refuse(e, "REPLACE takes a literal that is not empty")
    return c.call("{0}.replace({1}, {2})", Kind.TEXT, *parts)


def _split_part(c: Expressions, e: exp.SplitPart) -> Value:
    if c.mariadb:
        c.refuse(e, "SPLIT_PART is no function of MariaDB: SUBSTRING_INDEX")
    return c.call(
        "pg.split_part({0}, {1}, {2})",
        Kind.TEXT,
        c.argument(e.this, Kind.TEXT),
        c.argument(e.args["delimiter"], Kind.TEXT),
        c.argument(e.args["part_index"], Kind.INT),
    )


def _substring_index(c: Expressions, e: exp.SubstringIndex) -> Value:
    if not c.mariadb:
        c.refuse(e, "SUBSTRING_INDEX is no function of PostgreSQL: SPLIT_PART")
    return c.call(
        "my.substring_index({0}, {1}, {2})",
        Kind.TEXT,
        c.argument(e.this, Kind.TEXT),
        c.argument(e.args["delimiter"], Kind.TEXT),
        c.argument(e.args["count"], Kind.INT),
    )


TEXT: dict[type[exp.Expr], Handler] = {
    exp.DPipe: _pipes,
    exp.Concat: _concat,
    exp.Upper: _upper,
    exp.Lower: _lower,
    exp.Trim: _trim,
    exp.Substring: _substring,
    exp.Left: _left,
    exp.Right: _left,
    exp.Pad: _pad,
    exp.Length: _length,
    exp.Replace: _replace,
    exp.SplitPart: _split_part,
    exp.SubstringIndex: _substring_index,
}
