"""CASE, IF, DECODE, COALESCE, NULLIF.  Branches stay lazy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions.compiler import Expressions, Handler
from streams.core.mapping.expressions.value import Value, null, text_literal


def _case(c: Expressions, e: exp.Case) -> Value:
    branches = []
    for branch in e.args["ifs"]:
        test = branch.this
        if e.this is not None:
            test = exp.EQ(this=e.this.copy(), expression=branch.this.copy())
            test.parent = branch
        branches.append((test, branch.args["true"]))
    return _choose(c, e, branches, e.args.get("default"))


def _if(c: Expressions, e: exp.If) -> Value:
    if not c.dialect.mysql_family and not c.dialect.sqlserver:
        c.absent(e, "IF", "CASE WHEN … THEN … ELSE … END")
    return _choose(c, e, [(e.this, e.args["true"])], e.args.get("false"))


def _decode(c: Expressions, e: exp.DecodeCase) -> Value:
    """Oracle: DECODE(x, a, 1, b, 2, …, otherwise); NULL is found by NULL."""
    value, rest = e.expressions[0], e.expressions[1:]
    default = rest.pop() if len(rest) % 2 else None
    branches = []
    for searched, result in zip(rest[::2], rest[1::2], strict=True):
        test = exp.NullSafeEQ(this=value.copy(), expression=searched.copy())
        test.parent = e
        branches.append((test, result))
    return _choose(c, e, branches, default)


def _nvl2(c: Expressions, e: exp.Nvl2) -> Value:
    test = exp.Not(this=exp.Is(this=e.this.copy(), expression=exp.Null()))
    test.parent = e
    return _choose(c, e, [(test, e.args["true"])], e.args.get("false"))


def _choose(
    c: Expressions, e: exp.Expr, branches: Sequence[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None
) -> Value:
    conditions = [c.true(test) for test, _ in branches]
    values = [c.value(value) for _, value in branches]
    together, values = c.common(e, [*values, c.value(default) if default is not None else null()])
    choices = " ".join(
        f"{value.code} if {condition} else" for value, condition in zip(values, conditions, strict=False)
    )
    return replace(together, code=f"({choices} {values[-1].code})")


def _coalesce(c: Expressions, e: exp.Coalesce) -> Value:
    values = [c.value(a) for a in (e.this, *e.expressions)]
    if e.args.get("is_null"):
        if len(values) != 2:
            c.refuse(e, "ISNULL takes two arguments")
        _fits_first(c, e, values)
    together, values = c.common(e, values)
    code = values[-1].code
    for value in reversed(values[:-1]):
        tests, (name,) = c.guards(value)
        code = f"({name} if {tests[0]} else {code})" if tests else value.code
    return replace(together, code=code, nullable=all(v.nullable for v in values))


def _fits_first(c: Expressions, e: exp.Coalesce, values: list[Value]) -> None:
    """SQL Server: ISNULL gives its second argument the type of the first, and cuts off what does not fit."""
    first, second = values
    if first.kind == Kind.EXACT:
        fits = first.scale is not None and second.scale is not None and second.scale <= first.scale
    elif first.kind == Kind.TEXT:
        fits = isinstance(second.literal, str) and len(second.literal) <= 1
    else:
        fits = first.kind == second.kind
    if not fits:
        c.refuse(e, "ISNULL cuts its second argument to the type of the first: COALESCE(a, b)")


def _nullif(c: Expressions, e: exp.Nullif) -> Value:
    test = exp.EQ(this=e.this.copy(), expression=e.expression.copy())
    test.parent = e
    condition, value = c.true(test), c.value(e.this)
    c.without_blanks(e, value)
    if isinstance(value.literal, str) and c.dialect.postgres and c.value(e.expression).padded:
        value = replace(text_literal(value.literal.rstrip(" ")), padded=True)  # it takes the CHAR type
    return replace(value, code=f"(None if {condition} else {value.code})", nullable=True, atom=False, literal=None)


CHOICE: dict[type[exp.Expr], Handler] = {
    exp.Case: _case,
    exp.If: _if,
    exp.DecodeCase: _decode,
    exp.Nvl2: _nvl2,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
}
