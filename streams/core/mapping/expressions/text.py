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


# joining


def _pipes(c: Expressions, e: exp.DPipe) -> Value:
    if c.dialect.mysql_family:
        c.refuse(e, f"|| is OR in {c.dialect.name}: CONCAT(a, b)")
    if c.dialect.sqlserver:
        c.absent(e, "||", "a + b")
    values = [as_text(c, e.left), as_text(c, e.right)]
    if c.dialect.empty_is_null:
        return _joined_with_empty(c, values)
    return c.call("({0} + {1})", Kind.TEXT, *values)


def joined_by_plus(c: Expressions, e: exp.Add) -> Value:
    """SQL Server: text + text; NULL when one is."""
    values = [c.text(e.left), c.text(e.right)]
    return c.call("({0} + {1})", Kind.TEXT, *values, collation=c.collation(e, *values))


def _concat(c: Expressions, e: exp.Concat) -> Value:
    values = [as_text(c, a) for a in e.expressions]
    collation = c.joined_collation(e, *values) if c.dialect.folds_text else None
    if c.dialect.empty_is_null:
        return _joined_with_empty(c, values)
    if c.dialect.concat_skips_null:
        if any(v.padded for v in values):
            c.refuse(e, "CONCAT of a CHAR(n) column keeps its blanks: TRIM it")
        values = [_or_empty(v) for v in values]
    if len(values) == 1:
        return c.call("{0}", Kind.TEXT, *values, collation=collation)
    return c.call(f"({_places(len(values), ' + ')})", Kind.TEXT, *values, collation=collation)


def _or_empty(value: Value) -> Value:
    return replace(value, code=f"({value.code} or '')", nullable=False) if value.nullable else value


def _joined_with_empty(c: Expressions, values: list[Value]) -> Value:
    """Oracle: NULL joins as '', and nothing at all is NULL."""
    return c.emptied(c.call(f"({_places(len(values), ' + ')})", Kind.TEXT, *map(_or_empty, values)))


# cutting and padding


def _trim(c: Expressions, e: exp.Trim) -> Value:
    where = str(e.args.get("position") or "BOTH").upper()
    function = {"BOTH": "strip", "LEADING": "lstrip", "TRAILING": "rstrip"}.get(where)
    if function is None:
        c.refuse(e, f"TRIM {where} is outside the subset")
    what = " "
    if e.expression is not None:
        if not e.expression.is_string or not e.expression.this:
            c.refuse(e, "TRIM takes a literal that is not empty")
        what = e.expression.this
    value = c.argument(e.this, Kind.TEXT)
    if value.padded and c.dialect.char_keeps_blanks and (function == "lstrip" or what != " "):
        c.refuse(e, "the blanks of a CHAR(n) column stay: RTRIM it first")
    if c.dialect.mysql_family and len(what) > 1:
        return c.call(f"my.trim_word({{0}}, {what!r}, {where!r})", Kind.TEXT, value)
    return c.emptied(c.call(f"{{0}}.{function}({what!r})", Kind.TEXT, value))


def _substring(c: Expressions, e: exp.Substring) -> Value:
    if e.args.get("start") is None:
        c.refuse(e, "SUBSTRING needs a start")
    values = [c.text(e.this), c.argument(e.args["start"], Kind.INT)]
    if e.args.get("length") is not None:
        values.append(c.argument(e.args["length"], Kind.INT))
    return c.own(f"substring({_places(len(values))})", Kind.TEXT, *values, may_be_null=c.dialect.empty_is_null)


def _left(c: Expressions, e: exp.Left | exp.Right) -> Value:
    name = "left" if isinstance(e, exp.Left) else "right"
    if c.dialect.oracle:
        c.absent(e, name.upper(), "SUBSTR(x, 1, n), SUBSTR(x, -n)")
    text, count = c.text(_unwrapped(c, e.this)), c.argument(e.expression, Kind.INT)
    return c.own(f"{name}({{0}}, {{1}})", Kind.TEXT, text, count)


def _pad(c: Expressions, e: exp.Pad) -> Value:
    if c.dialect.sqlserver:
        c.absent(e, "LPAD", "RIGHT('000' + x, 3)")
    fill = e.args.get("fill_pattern")
    with_text = c.text(fill) if fill is not None else text_literal(" ")
    module = "both" if c.dialect.postgres else c.dialect.runtime
    form = f"{module}.pad({{0}}, {{1}}, {{2}}, {bool(e.args.get('is_left'))})"
    length = c.argument(e.expression, Kind.INT)
    return c.call(form, Kind.TEXT, as_text(c, e.this), length, with_text, may_be_null=module != "both")


# the rest


def _upper(c: Expressions, e: exp.Upper) -> Value:
    return c.call("both.upper({0})", Kind.TEXT, c.text(e.this))


def _lower(c: Expressions, e: exp.Lower) -> Value:
    return c.call("both.lower({0})", Kind.TEXT, c.text(e.this))


def _length(c: Expressions, e: exp.Length) -> Value:
    if e.args.get("binary"):
        c.refuse(e, "LENGTH counts bytes here: CHAR_LENGTH")
    if c.dialect.sqlserver:
        return c.call("ms.length({0})", Kind.INT, c.argument(_unwrapped(c, e.this), Kind.TEXT), scale=0)
    return c.call("len({0})", Kind.INT, c.text(e.this), scale=0)


def _unwrapped(c: Expressions, node: exp.Expr) -> exp.Expr:
    """SQL Server: the parser puts a CAST to TEXT around arguments of LEN, LEFT and RIGHT."""
    added = c.dialect.sqlserver and isinstance(node, exp.Cast) and node.args["to"].this == exp.DType.TEXT
    return node.this if added else node


def _replace(c: Expressions, e: exp.Replace) -> Value:
    text, sought, by = c.text(e.this), c.text(e.expression), e.args.get("replacement")
    if not sought.literal:
        c.refuse(e, "REPLACE takes a literal that is not empty")
    if c.dialect.sqlserver:
        c.refuse(e, "REPLACE goes by the collation in SQL Server, which is not proven: SUBSTRING, LEFT, RIGHT")
    if by is None and not c.dialect.empty_is_null:
        c.refuse(e, "REPLACE takes three arguments")
    replacement = c.text(by) if by is not None else text_literal("")
    if c.dialect.empty_is_null:
        replacement = _or_empty(replacement)
    return c.emptied(c.call("{0}.replace({1}, {2})", Kind.TEXT, text, sought, replacement))


def _split_part(c: Expressions, e: exp.SplitPart) -> Value:
    if not c.dialect.postgres:
        c.absent(e, "SPLIT_PART", "SUBSTRING_INDEX" if c.dialect.mysql_family else "SUBSTRING")
    return c.call(
        "pg.split_part({0}, {1}, {2})",
        Kind.TEXT,
        c.text(e.this),
        c.text(e.args["delimiter"]),
        c.argument(e.args["part_index"], Kind.INT),
    )


def _substring_index(c: Expressions, e: exp.SubstringIndex) -> Value:
    if not c.dialect.mysql_family:
        c.absent(e, "SUBSTRING_INDEX", "SPLIT_PART" if c.dialect.postgres else "SUBSTRING")
    return c.call(
        "my.substring_index({0}, {1}, {2})",
        Kind.TEXT,
        c.text(e.this),
        c.text(e.args["delimiter"]),
        c.argument(e.args["count"], Kind.INT),
    )


def _national(c: Expressions, e: exp.National) -> Value:
    if not (c.dialect.sqlserver or c.dialect.oracle):
        c.refuse(e, "write the text without N")
    return c.text_literal(e.name)


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
    exp.National: _national,
}
