"""Writes the lines of generated code that make a SELECT's output row, and checks its columns before any row is seen."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from schemas.records import QUANTITY_SCALE, Bucket
from streams.core.mapping import collations, problems
from streams.core.mapping.catalogue import Kind
from streams.core.mapping.expressions import Names, Value
from streams.core.mapping.files import FileKind, Rule
from streams.core.mapping.lines import Line, place_of
from streams.core.mapping.problems import Problem
from streams.core.mapping.row_checks import BUCKETS, RUNTIME
from streams.core.mapping.select import Select

ALL_BUCKETS = frozenset(BUCKETS.values())


class Binder:
    """Writes output lines for the SELECTs of one file, and notes what they can touch."""

    def __init__(
        self,
        kind: FileKind,
        view: str,
        names: Names,
        statuses: Mapping[str, Mapping[str, str]],
        time_zone: str,
        found: list[Problem],
    ) -> None:
        self.kind = kind
        self.view = view
        self.names = names
        self.statuses = statuses
        self.found = found
        self._places: dict[str, str] = {}
        self._joined: dict[str, _Joined] = defaultdict(_Joined)
        """Column → the texts that UNION joins in it, so far."""
        self.columns: list[str] | None = None
        """Column names, from the first SELECT."""
        self.buckets: frozenset[Bucket] = frozenset()
        """Buckets of the SELECT bound last."""
        zone = dt.UTC if time_zone == "UTC" else zoneinfo.ZoneInfo(time_zone)
        names.values.update(RUNTIME, ZONE=zone)

    def bind(self, select: Select, nodes: list[exp.Expr]) -> list[str]:
        """Lines that append this SELECT's output row; loads are written on the way.  Raises Refused."""
        if self.columns is None:
            self.columns = [node.alias_or_name for node in nodes]
            self._check_names(select.file, nodes)
        if len(nodes) != len(self.columns):
            first = len(self.columns)
            problems.refuse(select.file, nodes[0], f"{len(nodes)} columns where the first SELECT has {first}")
        values: dict[str, Value] = {}
        for name, node in zip(self.columns, nodes, strict=True):
            rule = self.kind.columns.get(name)
            if rule is None:
                continue
            with select.at(node):
                value = select.attempt(lambda node=node: select.stage(lambda: select.expressions.value(node.unalias())))  # type: ignore[misc]
            if value is None:
                continue
            self._places[name] = place_of(select.file, node)
            wrong = self._wrong(rule, value, node, select) or self._apart_by_collation(name, value, node, select)
            if wrong:
                self.found.append(Problem(select.file, *problems.place(node), f"{name}: {wrong}"))
                continue
            values[name] = value
        if any(name not in values for name in self.kind.required):
            return []
        make = {
            "postings": self._posting,
            "items": self._item,
            "components": self._component,
            "locations": self._location,
        }
        before = [self._apart(name, value) for name, value in values.items() if not value.atom]
        values = {name: value if value.atom else _kept(name, value) for name, value in values.items()}
        return [*before, *make.get(self.kind.name, self._order_row)(values)]

    def _apart(self, name: str, value: Value) -> str:
        """What is computed stands on a line of its own, with its place."""
        return Line(f"o_{name} = {value.code}", self._places[name])

    def _key_check(self, name: str, variable: str, doubtful: str = "DOUBTFUL") -> str:
        test = f"if not {variable} or {variable}[0] in {doubtful}: check_key({name!r}, {variable})"
        return Line(test, self._places[name])

    def _check_names(self, file: str, nodes: list[exp.Expr]) -> None:
        names = self.columns or []
        known = ", ".join(self.kind.columns)
        for n, (name, node) in enumerate(zip(names, nodes, strict=True)):
            at = problems.place(node)
            if name not in self.kind.columns:
                said = f"{self.kind.name} has no column {name}" if name else "give this column a name with AS"
                self.found.append(Problem(file, *at, f"{said}: {known}"))
            elif name in names[:n]:
                self.found.append(Problem(file, *at, f"column {name} stands there twice"))
            elif self.kind.columns[name] == Rule.STATUS and not self.statuses.get(name):
                reason = f"{name}: source.yaml maps no codes: add statuses: {self.kind.name}: {name}: {{code: symbol}}"
                self.found.append(Problem(file, *at, reason))
        for name in self.kind.required:
            if name not in names:
                self.found.append(Problem(file, *problems.place(nodes[0]), f"column {name} is missing"))

    def _wrong(self, rule: Rule, value: Value, node: exp.Expr, select: Select) -> str:
        """Why this value cannot be this column, with the way out; '' when it can."""
        if value.kind == Kind.OTHER:
            return "this column's type is not supported"
        if value.kind == Kind.FLOAT:
            return "a float has no exact value: CAST it to numeric or DECIMAL(p, s)"
        if value.unrounded:
            return "a quotient must be rounded: ROUND(a / b, n) or CAST(a / b AS DECIMAL(p, s))"
        if value.padded and not select.expressions.dialect.mysql_family:
            return "a CHAR(n) column carries its blanks: TRIM it"
        if value.kind == Kind.NULL:
            return "is always NULL" if rule in (Rule.KEY, Rule.BUCKET) else ""
        if rule == Rule.BUCKET:
            return self._wrong_bucket(value, node)
        fitting = {
            Rule.KEY: (Kind.TEXT,),
            Rule.TEXT: (Kind.TEXT,),
            Rule.STATUS: (Kind.TEXT, Kind.INT),
            Rule.QUANTITY: (Kind.INT, Kind.EXACT),
            Rule.INT: (Kind.INT,),
            Rule.CONDITION: (Kind.BOOL,)
            if select.expressions.dialect.kind == "postgres"
            else (Kind.BOOL, Kind.INT, Kind.EXACT),
            Rule.DATE: (Kind.DATE,),
            Rule.MOMENT: (Kind.STAMP, Kind.INSTANT),
        }[rule]
        if value.kind not in fitting:
            return f"{value.kind} where {fitting[0]} is needed: CAST it"
        if rule == Rule.QUANTITY and value.scale is not None and value.scale > QUANTITY_SCALE:
            return f"{value.scale} digits after the point, the contract holds {QUANTITY_SCALE}: ROUND it"
        return ""

    def _apart_by_collation(self, name: str, value: Value, node: exp.Expr, select: Select) -> str:
        """Why MariaDB does not join this text with those of the SELECTs before; '' when it does."""
        if not select.expressions.dialect.mysql_family or value.kind not in (Kind.TEXT, Kind.NULL):
            return ""
        joined = self._joined[name]
        try:
            joined.collation = collations.of_union(joined.collation, value.collation)
        except ValueError as why:
            return f"UNION refuses to join it with the SELECTs before, {why}: CAST(… AS CHAR) in all of them"
        joined.beyond_ascii |= value.collation is None and not all(text.isascii() for text in _texts(node))
        if joined.beyond_ascii and not collations.beyond_ascii(joined.collation):
            return f"a text beyond ASCII beside columns of {joined.collation}: CAST(… AS CHAR) the columns"
        return ""

    def _wrong_bucket(self, value: Value, node: exp.Expr) -> str:
        if value.kind != Kind.TEXT:
            return f"{value.kind} where a bucket is needed: {', '.join(BUCKETS)}"
        literals = _literals(node.unalias())
        unknown = [text for text in literals or () if text not in BUCKETS]
        if unknown:
            return f"{', '.join(map(repr, unknown))} is no bucket: {', '.join(BUCKETS)}"
        self.buckets = ALL_BUCKETS if literals is None else frozenset(BUCKETS[text] for text in literals)
        return ""

    # lines

    def _posting(self, v: dict[str, Value]) -> list[str]:
        lines = [
            f"_s = {v['sku'].code}",
            self._key_check("sku", "_s"),
            f"_w = {v['location'].code}",
            self._key_check("location", "_w", "BLANKS"),
        ]
        bucket = v["bucket"]
        if isinstance(bucket.literal, str):
            code = self.names.constant(f"bucket {bucket.literal}", BUCKETS[bucket.literal])
        else:
            code = "_b"
            test = f"if _b is None: bad_bucket({bucket.code})"
            lines += [f"_b = BUCKETS.get({bucket.code})", Line(test, self._places["bucket"])]
        lines += self._quantity(v["quantity"])
        due, reference = self._date(v.get("due")), self._plain(v.get("reference"))
        return [*lines, f"out.append(new(Posting, ({self.view!r}, _s, _w, {code}, {due}, {reference}, _q)))"]

    def _quantity(self, value: Value) -> list[str]:
        lines = [
            f"_q = {self._number(value)}",
            "if _q is None or not MINUS_LIMIT < _q < LIMIT: bad_quantity(_q)",
        ]
        if value.scale is None:
            lines.append("fine_enough(_q)")
        return [Line(line, self._places["quantity"]) for line in lines]

    def _component(self, v: dict[str, Value]) -> list[str]:
        return [
            f"_s = {v['sku'].code}",
            self._key_check("sku", "_s"),
            f"_c = {v['component'].code}",
            self._key_check("component", "_c"),
            *self._quantity(v["quantity"]),
            Line("if _q <= 0 or _s == _c: bad_component(_s, _c, _q)", self._places["quantity"]),
            "out.append(new(ComponentRow, (_s, _c, _q)))",
        ]

    def _item(self, v: dict[str, Value]) -> list[str]:
        known = [f"sku=_s, name={self._plain(v.get('name'))}, unit={self._plain(v.get('unit'))}"]
        known.append(f"unit_digits={self._plain(v.get('unit_digits'))}")
        known.append(f"tracked={self._truth(v.get('tracked'))}, active={self._truth(v.get('active'))}")
        lines = [f"_s = {v['sku'].code}", self._key_check("sku", "_s")]
        if "backorder_limit" in v:
            lines.append(f"_q = {self._number(v['backorder_limit'])}")
            lines.append(Line("if _q is not None: fine_enough(_q)", self._places["backorder_limit"]))
            known.append("backorder_limit=_q")
        return [*lines, f"out.append(ItemPart({', '.join(known)}))"]

    def _location(self, v: dict[str, Value]) -> list[str]:
        known = ", ".join(f"{name}={self._plain(v.get(name))}" for name in ("name", "kind", "time_zone"))
        return [
            f"_w = {v['location'].code}",
            self._key_check("location", "_w", "BLANKS"),
            f"out.append(LocationPart(location=_w, {known}, active={self._truth(v.get('active'))}))",
        ]

    def _order_row(self, v: dict[str, Value]) -> list[str]:
        kind = {"orders": "header", "order_lines": "line", "shipments": "shipment"}[self.kind.name]
        lines = []
        for name in self.kind.required:
            lines += [f"_{name} = {v[name].code}", self._key_check(name, f"_{name}")]
        identity = [*self.kind.required]
        if kind == "shipment":
            lines += [f"_{name} = {self._plain(v.get(name))}" for name in ("order_id", "line_id")]
            lines.append("if _order_id and _order_id[0] in DOUBTFUL: check_key('order_id', _order_id)")
            identity += ["order_id"]
        part_id = {"header": "_order_id", "line": "_line_id", "shipment": "_shipment_id + '/' + (_line_id or '')"}[kind]
        attributes = []
        for name, value in v.items():
            if name in identity or self.kind.columns[name] == Rule.STATUS:
                continue
            code = self._attribute(self.kind.columns[name], value)
            if code != value.code:
                lines.append(Line(f"a_{name} = {code}", self._places[name]))
                code = f"a_{name}"
            attributes.append(f"{name!r}: {code}")
        if kind == "shipment":
            attributes.insert(0, "'shipment_id': _shipment_id")
        lines += [f"_a = {{{', '.join(attributes)}}}", "_raw = {}", "_un = []"]
        for name, value in v.items():
            if self.kind.columns[name] == Rule.STATUS:
                symbols = self.names.constant(f"statuses {self.kind.name} {name}", dict(self.statuses.get(name, {})))
                code = self._status_text(value)
                lines.append(f"map_status(_a, _raw, _un, {name!r}, {code}, {symbols})")
        order_id = "_order_id or None" if kind == "shipment" else "_order_id"
        return [*lines, f"out.append(new(OrderRow, ({kind!r}, {order_id}, {part_id}, _a, _raw, tuple(_un))))"]

    def _status_text(self, value: Value) -> str:
        if value.kind != Kind.INT:
            return value.code
        return f"(str(_v) if (_v := {value.code}) is not None else None)" if value.nullable else f"str({value.code})"

    def _attribute(self, rule: Rule, value: Value) -> str:
        if value.kind in (Kind.TEXT, Kind.NULL):
            return value.code
        form = {
            Kind.INT: "str({})",
            Kind.EXACT: "quantity_text({})" if value.scale is None else "short_text({})",
            Kind.DATE: "both.finite({})",
            Kind.STAMP: "both.microseconds({}, ZONE)",
            Kind.INSTANT: "both.microseconds({})",
        }[value.kind]
        if not value.nullable:
            return form.format(value.code)
        return f"({form.format('_v')} if (_v := {value.code}) is not None else None)"

    def _plain(self, value: Value | None) -> str:
        return value.code if value is not None else "None"

    def _number(self, value: Value) -> str:
        if value.kind != Kind.INT:
            return value.code
        if not value.nullable:
            return f"Decimal({value.code})"
        return f"Decimal(_v) if (_v := {value.code}) is not None else None"

    def _date(self, value: Value | None) -> str:
        if value is None or value.code == "None":
            return "None"
        if not value.nullable:
            return f"read_day({value.code})"
        return f"read_day(_v) if (_v := {value.code}) is not None else None"

    def _truth(self, value: Value | None) -> str:
        """A condition that is NULL or not said counts as true, the contract's default."""
        if value is None or value.kind == Kind.NULL:
            return "True"
        test = "_v != 0" if value.kind == Kind.INT else "_v"
        return f"(True if (_v := {value.code}) is None else {test})"


@dataclass
class _Joined:
    """What UNION joins in one column."""

    collation: str | None = None
    beyond_ascii: bool = False
    """Some of it is no column's and goes beyond ASCII."""


def _texts(node: exp.Expr) -> Iterator[str]:
    """The literals in it."""
    return (literal.this for literal in node.find_all(exp.Literal) if literal.is_string)


def _kept(name: str, value: Value) -> Value:
    """The value in the variable it was computed into."""
    return replace(value, code=f"o_{name}", atom=True)


def _literals(node: exp.Expr) -> set[str] | None:
    """The texts a bucket expression can give, None when they are not all literal."""
    if isinstance(node, exp.Paren):
        return _literals(node.this)
    if isinstance(node, exp.Literal) and node.is_string:
        return {node.this}
    if isinstance(node, exp.Null):
        return set()
    if isinstance(node, (exp.Case, exp.If)):
        values = [branch.args["true"] for branch in node.args.get("ifs") or [node]]
        default = node.args.get("default") or node.args.get("false")
        found = [_literals(value) for value in (*values, *([default] if default is not None else []))]
        known = [texts for texts in found if texts is not None]
        return set().union(*known) if len(known) == len(found) else None
    return None
