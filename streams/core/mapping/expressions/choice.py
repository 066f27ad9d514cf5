"""CASE, IF, COALESCE, NULLIF.  Branches stay lazy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

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
    if not c.mariadb:
        c.refuse(e, "IF is no function of PostgreSQL: CASE WHEN … THEN … ELSE … END")
    return _choose(c, e, [(e.this, e.args["true"])], e.args.get("false"))


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
    together, values = c.common(e, [c.value(a) for a in (e.this, *e.expressions)])
    code = values[-1].code
    for value in reversed(values[:-1]):
        tests, (name,) = c.guards(value)
        code = f"({name} if {tests[0]} else {code})" if tests else value.code
    return replace(together, code=code, nullable=all(v.nullable for v in values))


def _nullif(c: Expressions, e: exp.Nullif) -> Value:
    test = exp.EQ(this=e.this.copy(), expression=e.expression.copy())
    test.parent = e
    condition, value = c.true(test), c.value(e.this)
    if isinstance(value.literal, str) and not c.mariadb and c.value(e.expression).padded:
        value = replace(text_literal(value.literal.rstrip(" ")), padded=True)  # it takes the CHAR type
    return replace(value, code=f"(None if {condition} else {value.code})", nullable=True, atom=False, literal=None)


CHOICE: dict[type[exp.Expr], Handler] = {
    exp.Case: _case,
    exp.If: _if,
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
}
