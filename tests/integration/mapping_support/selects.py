"""One SELECT compiled without an output contract: its rows as plain tuples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp

from streams.core.mapping.catalogue import Catalogue
from streams.core.mapping.decoders import RowCodec
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.join_keys import Declared
from streams.core.mapping.mapping import CompiledTable
from streams.core.mapping.model import Evaluation
from streams.core.mapping.problems import Problem, Refused, refusal
from streams.core.mapping.program import Program
from streams.core.mapping.select import Select, branches
from streams.core.mapping.subset import outside


class PlainSelects:
    """All SELECTs of a text; `tables` by unqualified name, `lookups` as in a mapping."""

    def __init__(self, catalogue: Catalogue, text: str, declared: Declared | None = None) -> None:
        """Raises Refused."""
        program = Program(catalogue, declared or Declared())
        trees = sqlglot.parse(text, read=DIALECTS[catalogue.kind].parser)
        tree = trees[0]
        assert isinstance(tree, exp.Expr)
        for node, reason in outside(tree):
            raise refusal("x.sql", node, reason)
        bodies: dict[str, list[str]] = {}
        found: list[Problem] = []
        for select in branches("x.sql", tree):
            compiled = Select(program, "x.sql", found).compile(select, _bind)
            if compiled is None:
                raise Refused(found[0])
            bodies.setdefault(compiled.table, []).extend(compiled.lines)
        for driver in bodies:
            program.needed.setdefault(driver, set())
        code = "\n".join(
            f"def evaluate_{n}(r, L):\n    out = []; rests = []; missing = []\n" + "\n".join(lines) + "\n"
            "    return Evaluation(tuple(out), tuple(rests), tuple(missing))\n"
            for n, lines in enumerate(bodies.values())
        )
        code += "\n".join(program.functions)
        names = program.names.values
        names["Evaluation"] = Evaluation
        exec(compile(code, "<select>", "exec"), names)
        functions: dict[str, Callable[..., Any]] = {t: names[f"evaluate_{n}"] for n, t in enumerate(bodies)}
        self.code = code
        self.lookups = program.lookups
        self.tables: dict[str, CompiledTable] = {}
        for short, needed in program.needed.items():
            table = catalogue.tables[short]
            views = [(i, names[f"view_{i}"]) for i, look in enumerate(program.lookups) if look.table == table.name]
            chains = [(i, names[name]) for (holder, i, _), name in program.chains.items() if holder == table.name]
            self.tables[short] = CompiledTable(
                table,
                RowCodec(table, needed, catalogue.kind),
                feeds=frozenset(),
                buckets=frozenset(),
                joins=frozenset(),
                deletion="removed",
                evaluate=functions.get(short),
                views=views,
                chains=chains,
            )


def _bind(select: Select, nodes: list[exp.Expr]) -> list[str]:
    values = []
    for node in nodes:
        value = select.stage(lambda node=node: select.expressions.value(node.unalias()))  # type: ignore[misc]
        if value.unrounded:
            raise refusal("x.sql", node, "a quotient must be rounded")
        if value.kind in ("float", "unsupported type"):
            raise refusal("x.sql", node, f"{value.kind} has no exact value")
        if value.padded and not select.expressions.dialect.mysql_family:
            raise refusal("x.sql", node, "CHAR(n) output")
        values.append(value)
    return ["out.append((" + ", ".join(value.code for value in values) + ",))"]
