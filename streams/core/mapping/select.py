"""One SELECT of a mapping file: its driving table, its lookups by key, its filters, as lines of Python.

Theory of operation.  The driving row is `r`; each JOIN looks one row up (`l1`, `l2` …) in a keyed view `L[i]`, or
goes over all rows of a key when that is not unique.  A filter stands where its tables are first known, columns are
loaded just before their first use.  An edge (lookup, key) goes to `rests` for every lookup whose key depends on the
driving row.  A key that depends on one lookup row only is a *chain*: it is kept once per lookup row, not per driving
row, and goes to `rests` only when that row is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlglot import exp

from streams.core.mapping import join_keys, problems
from streams.core.mapping.catalogue import Column, Kind, without_key
from streams.core.mapping.expressions import Expressions, Value, expressions_of
from streams.core.mapping.expressions.equality import folded
from streams.core.mapping.join_keys import Choice, conjuncts
from streams.core.mapping.lines import Line, place_of, shown
from streams.core.mapping.model import Lookup
from streams.core.mapping.problems import Problem, Refused
from streams.core.mapping.program import Program, Source, key_lines, load, short, value_of

T = TypeVar("T")


@dataclass
class Selected:
    """A compiled SELECT."""

    table: str
    """Driving table, unqualified."""
    lookups: list[str]
    """Tables it looks up."""
    lines: list[str]
    spreads: bool = False
    """It joins several rows to one."""


Bind = Callable[["Select", list[exp.Expr]], list[str]]
"""Writes the lines that append the outputs, from the select list."""


def branches(file: str, tree: exp.Expr) -> Iterator[exp.Select]:
    """The SELECTs of one statement, in order."""
    if isinstance(tree, exp.Union):
        if tree.args.get("distinct") is not False:
            problems.refuse(file, tree, "only plain UNION ALL joins SELECTs")
        yield from branches(file, tree.this)
        yield from branches(file, tree.expression)
    elif isinstance(tree, exp.Select):
        yield tree
    else:
        problems.refuse(file, tree, f"{type(tree).__name__} is no SELECT")


class Select:
    """Compiles one SELECT; every problem in it is collected, not only the first."""

    def __init__(self, program: Program, file: str, found: list[Problem]) -> None:
        self.program = program
        self.file = file
        self.found = found
        self.expressions: Expressions = expressions_of(program.catalogue, file, program.names, self._column)
        self.sources: dict[str, Source] = {}
        self.depth = 1
        self.spreads = False
        self.lines: list[str] = []
        self._loaded: set[tuple[str, str]] = set()
        self._place = ""

    def compile(self, select: exp.Select, bind: Bind) -> Selected | None:
        """None when it has problems."""
        before = len(self.found)
        if select.args.get("from_") is None:
            self.found.append(Problem(self.file, *problems.place(select), "SELECT without FROM"))
            return None
        driver = self.attempt(lambda: self._add_source(select.args["from_"].this, "r", False))
        joins = []
        for n, join in enumerate(select.args.get("joins") or []):
            added = self.attempt(lambda join=join, n=n: self._add_join(join, n + 1))  # type: ignore[misc]
            if added is not None:
                joins.append((added, join))
        if driver is None or len(self.found) > before:
            return None
        where = select.args.get("where")
        filters = list(conjuncts(where.this)) if where is not None else []
        seen = {driver.alias}
        self._filter(filters, seen)
        for source, join in joins:
            with self.at(join):
                self.attempt(lambda source=source, join=join: self._look_up(source, join, filters, seen, driver))  # type: ignore[misc]
            seen.add(source.alias)
            self._filter(filters, seen)
        lines = self.attempt(lambda: bind(self, select.expressions))
        for line in lines or []:
            self.put(line)
        if len(self.found) > before:
            return None
        looked_up = [short(source.table) for source, _ in joins]
        return Selected(short(driver.table), looked_up, self.lines, self.spreads)

    def attempt(self, what: Callable[[], T]) -> T | None:
        try:
            return what()
        except Refused as error:
            self.found.append(error.problem)
            return None

    def put(self, line: str) -> None:
        place = line.place if isinstance(line, Line) else self._place
        self.lines.append(Line("    " * self.depth + line, place) if place else "    " * self.depth + line)

    @contextmanager
    def at(self, node: exp.Expr) -> Iterator[None]:
        """Lines that are put meanwhile come from this node."""
        before, self._place = self._place, place_of(self.file, node)
        try:
            yield
        finally:
            self._place = before

    def stage(self, compile_it: Callable[[], Value]) -> Value:
        """Compile a value and write the column loads it needs."""
        value = compile_it()
        self._load_used()
        return value

    def _load_used(self) -> None:
        for source in self.sources.values():
            for column, variable in source.used.items():
                if (source.alias, column) not in self._loaded:
                    self._loaded.add((source.alias, column))
                    self.put(f"{variable} = {load(source, source.table.columns[column])}")

    # tables

    def _add_join(self, join: exp.Join, number: int) -> Source:
        side, kind = join.side or "", join.kind or ""
        on = join.args.get("on") is not None or kind == "CROSS"
        if side not in ("", "LEFT") or kind not in ("", "INNER", "OUTER", "CROSS") or not on:
            problems.refuse(
                self.file,
                join,
                f"{side or kind or 'comma'} join: only JOIN … ON and LEFT JOIN … ON look a row up",
            )
        return self._add_source(join.this, f"l{number}", side == "LEFT")

    def _add_source(self, node: exp.Expr, variable: str, optional: bool) -> Source:
        if not isinstance(node, exp.Table):
            problems.refuse(self.file, node, f"{type(node).__name__} in FROM: only tables")
        catalogue = self.program.catalogue
        if node.db and not _same(node.db, catalogue.schema, bool(node.args["db"].quoted)):
            problems.refuse(self.file, node, f"table {node.db}.{node.name}: only schema {catalogue.schema} is captured")
        table = catalogue.tables.get(node.name)
        if table is None and not node.this.quoted:
            table = catalogue.tables.get(self.expressions.dialect.unquoted(node.name))
        if table is None:
            problems.refuse(
                self.file,
                node,
                f"no table {node.name} in catalog.json: mend the name, or run `onhand source inspect`, which says why",
            )
        if not table.primary:
            problems.refuse(self.file, node, f"table {without_key(table.name)}, then `onhand source inspect`")
        alias = node.alias_or_name
        if alias in self.sources:
            problems.refuse(self.file, node, f"{alias} is named twice: give each table an alias of its own")
        source = Source(alias, table, variable, optional, variable)
        self.sources[alias] = source
        return source

    def _aliases(self, node: exp.Expr) -> set[str]:
        return {self._resolve(column)[0].alias for column in node.find_all(exp.Column)}

    # filters

    def _filter(self, filters: list[exp.Expr], seen: set[str]) -> None:
        for condition in list(filters):
            aliases = self.attempt(lambda condition=condition: self._aliases(condition))  # type: ignore[misc]
            if aliases is None:
                filters.remove(condition)
            elif aliases <= seen:
                filters.remove(condition)
                text = self.attempt(lambda condition=condition: self.expressions.true(condition))  # type: ignore[misc]
                if text is not None:
                    with self.at(condition):
                        self._load_used()
                        self.put(f"if {text}:")
                    self.depth += 1

    # lookups

    def _look_up(self, source: Source, join: exp.Join, filters: list[exp.Expr], seen: set[str], driver: Source) -> None:
        choice, keys, rest = self._split_on(source, join, seen)
        index = self._view(source, choice, join)
        key = f"k{source.variable[1:]}"
        parts = [self.stage(lambda c=c, v=v: self._key(source, c, v)) for c, v in keys]  # type: ignore[misc]
        key_text = key_lines(key, parts)
        for line in key_text:
            self.put(line)
        nullable = any(part.nullable for part in parts)
        known = f"{key} is not None" if nullable else ""
        holders = {alias for _, value in keys for alias in self._aliases(value)}
        if len(holders) == 1 and driver.alias not in holders:
            holder = self.sources[holders.pop()]
            self._chain(holder, index, [value for _, value in keys], key, key_text)
            if holder.optional:
                self._edge(f"if {holder.variable} is BLANK{' and ' + known if known else ''}: ", index, key)
        else:
            self._edge(f"if {known}: " if known else "", index, key)
        found = f"L[{index}].get({key})" + (f" if {known} else None" if known else "")
        if choice.many:
            self._each(source, join, f"({found})", rest, seen)
            if not source.optional:
                filters[:0] = rest
            return
        self.put(f"{source.variable} = {found}")
        if source.optional:
            self._optional(source, rest, seen)
        else:
            self.put(f"if {source.variable} is None:")
            self.put(f"    {'if ' + known + ': ' if known else ''}missing.append(({index}, {key}))")
            self.put("else:")
            self.depth += 1
            filters[:0] = rest

    def _edge(self, condition: str, index: int, key: str) -> None:
        self.put(f"{condition}rests.append(({index}, {key}))")

    def _each(self, source: Source, join: exp.Join, found: str, rest: list[exp.Expr], seen: set[str]) -> None:
        """The rest of the SELECT for each of several rows."""
        if self.spreads:
            problems.refuse(
                self.file, join, "a second join that finds several rows: let the rows of one of the two tables drive"
            )
        self.spreads = True
        if source.optional and rest:
            of = f"m{source.variable[1:]}"
            self.put(f"{of} = []")
            self.put(f"for {source.variable} in {found} or ():")
            self.depth += 1
            self._only_if(source, rest, seen)
            self.put(f"if {source.variable} is not None: {of}.append({source.variable})")
            self.depth -= 1
            found = of
        self.put(f"for {source.variable} in {found} or {'NOT_FOUND' if source.optional else '()'}:")
        self.depth += 1

    def _split_on(
        self, source: Source, join: exp.Join, seen: set[str]
    ) -> tuple[Choice, list[tuple[str, exp.Expr]], list[exp.Expr]]:
        """ON splits into equalities that cover a key of the table, and further conditions."""
        pairs: dict[str, tuple[exp.Expr, exp.Expr]] = {}
        rest = []
        on = join.args.get("on")
        for condition in conjuncts(on) if on is not None else ():
            if isinstance(condition, exp.Boolean) and condition.this:
                continue
            sides: tuple[tuple[exp.Expr, exp.Expr], ...] = ()
            if isinstance(condition, exp.EQ):
                sides = ((condition.left, condition.right), (condition.right, condition.left))
            for a, b in sides:
                if (
                    isinstance(a, exp.Column)
                    and self._resolve(a)[0] is source
                    and self._aliases(b) <= seen
                    and self._resolve(a)[1].name not in pairs
                ):
                    pairs[self._resolve(a)[1].name] = (condition, b)
                    break
            else:
                rest.append(condition)
        choice = join_keys.choose(
            source.table,
            self.program.declared,
            pairs,
            [self._plain(source, part) for part in (*rest, *(condition for condition, _ in pairs.values()))],
            self.program.catalogue.kind,
        )
        if choice is None:
            raise self._no_key(source, join, pairs or rest)
        rest += [condition for column, (condition, _) in pairs.items() if column not in choice.columns]
        rest = [part for part in rest if self._plain(source, part) not in choice.where]
        return choice, [(column, pairs[column][1]) for column in choice.columns], rest

    def _plain(self, source: Source, condition: exp.Expr) -> str:
        """A condition on this table alone as a key's condition is written; '' when it uses others, too."""
        if self._aliases(condition) != {source.alias}:
            return ""
        return join_keys.plain(condition, source.table, self.program.catalogue.kind)

    def _no_key(self, source: Source, join: exp.Join, conditions: Collection[object]) -> Refused:
        name = source.table.name
        if not conditions:
            reason = f"every row of {name} would match: if it has one row, declare it under `one_row` in source.yaml"
        else:
            reason = (
                f"ON must fix a unique key of {name}, {join_keys.known(source.table, self.program.declared)}, by "
                "columns of tables named before it: more than one row could match; declare a key the catalogue hides "
                "under `unique` in source.yaml; if several rows are meant, name the table under `many`"
            )
            if short(source.table) in self.program.declared.many:
                reason = f"no index of {name} begins with a column that ON fixes: create one, or let its rows drive"
        return problems.refusal(self.file, join, reason)

    def _optional(self, source: Source, rest: list[exp.Expr], seen: set[str]) -> None:
        """A LEFT JOIN row counts only if the further ON conditions hold; otherwise all its columns are NULL."""
        self._only_if(source, rest, seen)
        self.put(f"if {source.variable} is None: {source.variable} = BLANK")

    def _only_if(self, source: Source, rest: list[exp.Expr], seen: set[str]) -> None:
        """The row becomes None unless these conditions hold."""
        for condition in rest:
            if not self._aliases(condition) <= seen | {source.alias}:
                problems.refuse(self.file, condition, "ON may use only this table and those named before it")
        if rest:
            kept, source.used, source.prefix = source.used, {}, f"j{source.variable[1:]}"
            tests = [self.expressions.true(condition) for condition in rest]
            inner, source.used, source.prefix = source.used, kept, source.variable
            self._load_used()
            self.put(f"if {source.variable} is not None:")
            for column, variable in inner.items():
                self.put(f"    {variable} = {load(source, source.table.columns[column])}")
            self.put(f"    if not ({' and '.join(tests)}): {source.variable} = None")

    def _view(self, joined: Source, choice: Choice, join: exp.Join) -> int:
        """The number of the keyed view of a table."""
        table = joined.table
        lookup = Lookup(table.name, choice.columns, " AND ".join(sorted(choice.where)), choice.many)
        lookups = self.program.lookups
        if lookup not in lookups:
            of = Select(self.program, self.file, self.found)
            source = of.sources[joined.alias] = Source(joined.alias, table, "l", False, "l")
            parts = []
            for name in choice.columns:
                self.program.need(table, name)
                column = table.columns[name]
                variable = source.used.setdefault(name, f"l_{table.fields[name]}")
                value = replace(value_of(source, column), code=variable)
                parts.append(folded(of.expressions, None, value, value)[0] if value.kind == Kind.TEXT else value)
            on = join.args.get("on")
            tests = [
                of.expressions.true(part)
                for part in (conjuncts(on) if on is not None and choice.where else ())
                if self._plain(joined, part) in choice.where
            ]
            with of.at(join):
                of._load_used()
                for line in key_lines("k", parts):
                    of.put(line)
                of.put("return k" + (f" if {' and '.join(tests)} else None" if tests else ""))
            self.program.functions.append(f"def view_{len(lookups)}(l):\n{shown(of.lines)}\n")
            lookups.append(lookup)
        return lookups.index(lookup)

    def _chain(self, holder: Source, index: int, values: list[exp.Expr], key: str, key_text: list[str]) -> None:
        columns = sorted({self._resolve(c)[1].name for value in values for c in value.find_all(exp.Column)})
        loads = [f"{holder.used[c]} = {load(holder, holder.table.columns[c])}" for c in columns]
        lines = [f"    {line}" for line in [*loads, *key_text, f"return {key}"]]
        mark = (holder.table.name, index, "\n".join([holder.variable, *lines]))
        if mark not in self.program.chains:
            name = f"chain_{len(self.program.chains)}"
            body = shown([Line(line, self._place) for line in lines])
            self.program.functions.append(f"def {name}({holder.variable}):\n{body}\n")
            self.program.chains[mark] = name

    def _key(self, source: Source, name: str, node: exp.Expr) -> Value:
        value, target = self.expressions.value(node), value_of(source, source.table.columns[name])
        numbers = (Kind.INT, Kind.EXACT)
        if Kind.FLOAT in (value.kind, target.kind) or Kind.OTHER in (value.kind, target.kind):
            reason = (
                f"{value.kind} joined to {target.kind} column {name}: neither a float nor an unsupported type is a key"
            )
            problems.refuse(self.file, node, reason)
        if value.unrounded:
            problems.refuse(self.file, node, "round the quotient before comparing it: ROUND(a / b, n)")
        if value.kind != target.kind and not (value.kind in numbers and target.kind in numbers):
            problems.refuse(self.file, node, f"{value.kind} joined to {target.kind} column {name}: CAST it")
        return folded(self.expressions, node, value, target)[0] if value.kind == Kind.TEXT else value

    # columns

    def _resolve(self, node: exp.Column) -> tuple[Source, Column]:
        name, alias = node.name, node.table
        exactly = bool(node.this.quoted) and not self.expressions.dialect.mysql_family
        found = [
            (source, column)
            for source in self.sources.values()
            if not alias or _same(source.alias, alias)
            for column in source.table.columns.values()
            if _same(column.name, name, exactly)
        ]
        if len(found) != 1:
            why = "is ambiguous: name its table" if found else "is not in catalog.json: mend the name, or inspect again"
            if not found and self.expressions.dialect.postgres:
                why += "; generated columns are not published: map what they are made of"
            problems.refuse(self.file, node, f"column {alias + '.' if alias else ''}{name} {why}")
        return found[0]

    def _column(self, node: exp.Column) -> Value:
        source, column = self._resolve(node)
        self.program.need(source.table, column.name)
        field_name = source.table.fields[column.name]
        variable = source.used.setdefault(column.name, f"{source.prefix}_{field_name}")
        return replace(value_of(source, column, self.expressions.dialect.mysql_family), code=variable)


def _same(a: str, b: str, exactly: bool = False) -> bool:
    """One name, as it is written twice."""
    return a == b or (not exactly and a.lower() == b.lower())
