"""SQL expressions as Python expressions, for one database's semantics.

Conditions are compiled by *polarity*: `true(e)` and `false(e)` give two-valued Python that holds exactly when SQL says
TRUE or FALSE; NOT swaps them, AND and OR follow De Morgan.  So three-valued logic costs nothing at run time.
Values use None for NULL; nullability from the catalogue removes the tests that are not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NoReturn

from sqlglot import exp

from streams.core.mapping import (
    problems,
    semantics,
    semantics_mariadb,
    semantics_oracle,
    semantics_postgres,
    semantics_sqlserver,
)
from streams.core.mapping.catalogue import SESSION_COLLATION, Catalogue, Kind
from streams.core.mapping.dialects import DIALECTS
from streams.core.mapping.expressions import sizes
from streams.core.mapping.expressions.value import NUMBERS, Value, null, text_literal


class Names:
    """The namespace generated code runs in: semantics and constants."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {
            "both": semantics,
            "pg": semantics_postgres,
            "my": semantics_mariadb,
            "ms": semantics_sqlserver,
            "ora": semantics_oracle,
            "Decimal": Decimal,
            "ADD": semantics.EXACT.add,
            "SUBTRACT": semantics.EXACT.subtract,
            "MULTIPLY": semantics.EXACT.multiply,
            "MINUS": semantics.EXACT.minus,
        }

    def constant(self, name: str, value: Any) -> str:
        """The name of a constant; equal names must mean equal values."""
        name = "C_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
        self.values.setdefault(name, value)
        return name

    def fresh(self, name: str, value: Any) -> str:
        """The name of a constant that is nobody else's."""
        return self.constant(f"{name}_{len(self.values)}", value)


Handler = Callable[["Expressions", Any], Value]
ConditionHandler = Callable[["Expressions", Any, bool], str]


class Expressions:
    """Compiles the expressions of one SELECT.  `column` says what a column is and notes that it is needed."""

    def __init__(
        self,
        catalogue: Catalogue,
        file: str,
        names: Names,
        column: Callable[[exp.Column], Value],
        values: Mapping[type[exp.Expr], Handler],
        conditions: Mapping[type[exp.Expr], ConditionHandler],
    ) -> None:
        self.catalogue = catalogue
        self.dialect = DIALECTS[catalogue.kind]
        self.file = file
        self.names = names
        self._column = column
        self._values = values
        self._conditions = conditions
        self._temporaries = 0

    def refuse(self, node: exp.Expr | None, reason: str) -> NoReturn:
        problems.refuse(self.file, node, reason)

    def absent(self, node: exp.Expr, what: str, instead: str) -> NoReturn:
        """Refuse what this database does not have."""
        thing = "function" if what.isalpha() and what != "DIV" else "operator"
        self.refuse(node, f"{what} is no {thing} of {self.dialect.name}: {instead}")

    # conditions

    def true(self, node: exp.Expr) -> str:
        """Python that is true exactly when SQL says TRUE."""
        return self.condition(node, True)

    def false(self, node: exp.Expr) -> str:
        """Python that is true exactly when SQL says FALSE."""
        return self.condition(node, False)

    def condition(self, node: exp.Expr, want: bool) -> str:
        handler = self._conditions.get(type(node))
        if handler is not None:
            return handler(self, node, want)
        value = self.value(node)
        if value.kind == Kind.NULL:
            return "False"
        if value.kind != Kind.BOOL:
            hint = ""
            if self.dialect.mysql_family and value.kind == Kind.TEXT:
                hint = f"; || is OR in {self.dialect.name}: CONCAT(a, b)"
            self.refuse(node, f"{value.kind} used as a condition: compare it with something{hint}")
        if value.nullable:
            return f"({value.code} is {want})"
        return value.code if want else f"(not {value.code})"

    def is_condition(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.Paren):
            return self.is_condition(node.this)
        return type(node) in self._conditions

    # values

    def value(self, node: exp.Expr) -> Value:
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Boolean):
            return Value(str(node.this), Kind.BOOL, False, True)
        if self.is_condition(node):
            if not self.dialect.conditions_are_values:
                self.refuse(node, f"a condition is no value in {self.dialect.name}: CASE WHEN … THEN 1 ELSE 0 END")
            true = self.true(node)
            return Value(f"(True if {true} else False if {self.false(node)} else None)", Kind.BOOL)
        handler = self._values.get(type(node))
        if handler is None:
            self.refuse(node, f"{type(node).__name__} is outside the subset")
        return handler(self, node)

    def argument(self, node: exp.Expr, kind: Kind) -> Value:
        """A value that must be of this kind."""
        value = self.value(node)
        if value.kind not in (kind, Kind.NULL):
            self.refuse(node, f"{value.kind} where {kind} is needed: CAST it")
        return value

    def text(self, node: exp.Expr) -> Value:
        """An argument of a text function."""
        return self.without_blanks(node, self.argument(node, Kind.TEXT))

    def without_blanks(self, node: exp.Expr, value: Value) -> Value:
        """A text whose trailing blanks are not those of a CHAR(n), where functions see them."""
        if value.padded and self.dialect.char_keeps_blanks:
            self.refuse(node, "the blanks of a CHAR(n) column count here: RTRIM it first")
        return value

    def text_literal(self, text: str) -> Value:
        return null(Kind.TEXT) if not text and self.dialect.empty_is_null else text_literal(text)

    def emptied(self, value: Value) -> Value:
        """A text that a function made: '' is NULL in Oracle."""
        if not self.dialect.empty_is_null:
            return value
        return replace(value, code=f"({value.code} or None)", nullable=True)

    def exact(self, node: exp.Expr, value: Value) -> Value:
        """A number as Decimal."""
        if value.kind == Kind.NULL:
            return null(Kind.EXACT)
        if value.kind == Kind.EXACT:
            return value
        if value.kind != Kind.INT:
            self.refuse(node, f"{value.kind} where an exact number is needed: CAST it")
        if isinstance(value.literal, int):
            number = Decimal(value.literal)
            code = self.names.constant(f"number {number}".replace("-", "minus "), number)
            return replace(value, code=code, kind=Kind.EXACT, literal=number)
        return self.call("Decimal({0})", Kind.EXACT, value, scale=0, size=value.size)

    # building text

    def temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def guards(self, *values: Value) -> tuple[list[str], list[str]]:
        """Tests that no value is NULL, and the names to use once they passed."""
        tests, names = [], []
        for value in values:
            if not value.nullable:
                names.append(value.code)
            elif value.atom:
                tests.append(f"{value.code} is not None")
                names.append(value.code)
            else:
                name = self.temporary()
                names.append(name)
                tests.append(f"({name} := {value.code}) is not None")
        return tests, names

    def call(self, form: str, kind: Kind, *values: Value, may_be_null: bool = False, **known: Any) -> Value:
        """A strict function: NULL when an argument is NULL.  Each {n} stands once in `form`."""
        if kind == Kind.TEXT:
            known.setdefault(
                "collation", next((v.collation for v in values if v.kind == Kind.TEXT and v.collation), None)
            )
        if any(value.code == "None" for value in values):
            return replace(null(kind), collation=known.get("collation"))
        tests, names = self.guards(*values)
        code = form.format(*names)
        if tests:
            code = f"({code} if {' and '.join(tests)} else None)"
        return Value(code, kind, may_be_null or bool(tests), **known)

    def own(self, form: str, kind: Kind, *values: Value, may_be_null: bool = False, **known: Any) -> Value:
        """As `call`, of a function that this database alone has, or does in its own way."""
        return self.call(f"{self.dialect.runtime}.{form}", kind, *values, may_be_null=may_be_null, **known)

    # types that several values have together

    def common(self, node: exp.Expr, values: list[Value]) -> tuple[Value, list[Value]]:
        """The type all of these have together (its code is empty), and the values converted to it."""
        kinds = {v.kind for v in values} - {Kind.NULL}
        if kinds == {Kind.INT, Kind.EXACT}:
            kinds = {Kind.EXACT}
        if len(kinds) > 1:
            self.refuse(node, f"mixed types {', '.join(sorted(kinds))}: CAST them to one")
        kind = next(iter(kinds), Kind.NULL)
        if any(v.single for v in values):
            self.refuse(node, "CAST the single precision column to an exact number first")
        texts = [v for v in values if v.kind == Kind.TEXT and v.literal is None]
        if not self.dialect.mysql_family and len({v.padded for v in texts}) > 1:
            self.refuse(node, "CHAR(n) mixed with other text: TRIM it")
        padded = any(self.without_blanks(node, v).padded for v in values)
        if padded and not self.dialect.mysql_family:  # a literal takes the CHAR type, which forgets its trailing blanks
            values = [text_literal(v.literal.rstrip(" ")) if isinstance(v.literal, str) else v for v in values]
        if kind == Kind.EXACT:
            values = [self.exact(node, v) if v.kind == Kind.INT else v for v in values]
        together = Value(
            "",
            kind,
            any(v.nullable for v in values),
            scale=max((v.scale for v in values if v.scale is not None), default=None)
            if all(v.scale is not None for v in values if v.kind in NUMBERS)
            else None,
            collation=self.joined_collation(node, *values) if kind == Kind.TEXT else None,
            padded=padded,
            unrounded=any(v.unrounded for v in values),
            size=sizes.of_choice([v.size for v in values if v.kind != Kind.NULL]),
        )
        return together, values

    # collations

    def collation(self, node: exp.Expr | None, *values: Value) -> str | None:
        """The collation these texts are compared under."""
        return self.joined_collation(node, *values) or (SESSION_COLLATION if self.dialect.mysql_family else None)

    def joined_collation(self, node: exp.Expr | None, *values: Value) -> str | None:
        """The collation of a text made of these; None: of no column's, so that it takes that of what it meets."""
        found = {v.collation for v in values if v.kind == Kind.TEXT and v.literal is None and v.collation}
        if len(found) > 1:
            way_out = ": CAST each AS CHAR" if self.dialect.mysql_family else ""
            self.refuse(node, f"mixed collations {', '.join(sorted(found))}{way_out}")
        return next(iter(found), None)
