"""Skeleton SQL of a source: what `init` believes each table says, in the database's own dialect, to be read and mended.

Pure.  The best candidates stand as SQL that compiles; the others, and every column with its type, as comments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.connect.init.candidates import MOMENTS, Candidate, Finder, Role, best
from streams.connect.statements import quoted
from streams.core.mapping.catalogue import Column, Kind, Table

MAX_ALTERNATIVES = 3
_LINES = {
    Role.SALES_LINE: ("demand", ("fulfilled", "shipped")),
    Role.PURCHASE_LINE: ("inbound", ("received", "received")),
}
"""Role → bucket of what is ordered, (bucket, column) of what is done."""


@dataclass(frozen=True)
class Skeleton:
    """The files that `init` proposes."""

    files: Mapping[str, str]
    """File name → text; files of which nothing is known are not there."""
    tables: tuple[str, ...]
    """Tables that the SQL reads, those that are joined first: the order a snapshot should read them in."""
    statuses: Mapping[tuple[str, str], tuple[str, str]]
    """(file, status column) → (table, column) that a status is taken from, once its codes are mapped."""


@dataclass(frozen=True)
class _Side:
    """A value of a SELECT and the joins it needs."""

    sql: str
    joins: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    """Conditions without which it would be NULL."""


class Writer:
    """Writes the files for one surveyed schema."""

    def __init__(self, finder: Finder, found: Mapping[Role, list[Candidate]], company: str = "") -> None:
        self.finder = finder
        self.found = found
        self.company = company
        """`${company}` where tables repeat per company, else empty."""
        self.kind = finder.survey.kind
        self.schema = finder.survey.schema
        self._joined: list[str] = []
        self._driving: list[str] = []

    def write(self) -> Skeleton:
        files = {
            "postings.sql": self._postings(),
            "items.sql": self._items(),
            "locations.sql": self._locations(),
            "orders.sql": self._orders(),
            "order_lines.sql": self._order_lines(),
        }
        statuses = {}
        for file, role in (("orders", Role.ORDER),):
            one = best(self.found, role)
            if one is not None and "status" in one.columns:
                statuses[file, "execution_status"] = (one.name, one.columns["status"].name)
        tables = tuple(dict.fromkeys([*self._joined, *self._driving]))
        return Skeleton({name: text for name, text in files.items() if text}, tables, statuses)

    # files

    def _postings(self) -> str:
        stock = best(self.found, Role.STOCK) or best(self.found, Role.LEDGER)
        used = [one for one in (stock, *(best(self.found, role) for role in _LINES)) if one is not None]
        if not used:
            return ""
        selects = [*(self._of_stock(stock) if stock is not None else ())]
        for role in _LINES:
            line = best(self.found, role)
            selects += self._of_line(line) if line is not None else ()
        others = [one for role in (Role.STOCK, Role.LEDGER) for one in self.found.get(role, []) if one is not stock]
        others = others[:MAX_ALTERNATIVES]
        alternatives = [self._stock(one, "on_hand", f"Or on hand from {self._said(one)}:") for one in others]
        for role, (bucket, _) in _LINES.items():
            for one in self.found.get(role, [])[1:MAX_ALTERNATIVES]:
                alternatives.append(self._line(one, bucket, "ordered", f"Or {bucket} from {self._said(one)}:"))
        head = [
            f"-- Proposed by `onhand source init` from the catalogue of {self.schema}: read it, mend it, then",
            "-- `onhand source inspect`, `onhand source try`.  Buckets: on_hand, on_hold, safety_stock, demand,",
            "-- fulfilled, inbound, received, reserved.  Quantities are exact, in the stock unit; the sum over rows",
            "-- is onhand's.",
        ]
        if stock is not None and "reserved" in stock.columns:
            name = f"{stock.name}.{stock.columns['reserved'].name}"
            head.append(f"-- {name} is the system's own allocated total: demand of lines already counts it.")
        body = "\nUNION ALL\n".join(selects)
        return "\n".join([*head, body, *self._notes(alternatives, [*used, *others])]) + "\n"

    def _of_stock(self, stock: Candidate) -> Iterator[str]:
        self._reads(stock, self._sku(stock, "s"), self._location(stock, "s"))
        ledger = "a ledger: what is on hand is the sum of its rows; mind the sign"
        note = ledger if stock.role is Role.LEDGER else "balances"
        yield self._stock(stock, "on_hand", f"On hand, from {self._said(stock)}: {note}.")
        if "safety_stock" in stock.columns:
            yield self._stock(stock, "safety_stock", "Safety stock, from the same rows.")

    def _of_line(self, line: Candidate) -> Iterator[str]:
        bucket, (done, column) = _LINES[line.role]
        self._reads(line, self._sku(line, "l"), self._location(line, "l"))
        title = f"{bucket.capitalize()}, from {self._said(line)}. Leave out drafts and what is cancelled or closed:"
        yield self._line(line, bucket, "ordered", f"{title} add WHERE.")
        if column in line.columns:
            yield self._line(line, done, column, f"What of it is done: open {bucket} is the difference.")

    def _items(self) -> str:
        one = best(self.found, Role.ITEM)
        if one is None:
            return ""
        key = one.columns.get("code") or one.columns.get("key")
        if key is None:
            return ""
        columns = [f"{self._text('i', key)} AS sku", *self._optional("i", one, name="name", unit="unit")]
        return self._master(one, "i", columns, Role.ITEM, where=self._there("i", key))

    def _locations(self) -> str:
        one = best(self.found, Role.LOCATION)
        if one is None:
            return ""
        key = one.columns.get("code") or one.columns.get("key")
        if key is None:
            return ""
        location = self._with_company(self._text("w", key))
        columns = [f"{location} AS location", *self._optional("w", one, name="name"), "'warehouse' AS kind"]
        return self._master(one, "w", columns, Role.LOCATION, where=self._there("w", key))

    def _orders(self) -> str:
        one = best(self.found, Role.ORDER)
        if one is None:
            return ""
        key = one.columns["key"]
        columns = [
            f"{self._concat(self._order_prefix('SO-'), self._text('o', key))} AS order_id",
            f"{self._text('o', key)} AS number",
        ]
        columns += [f"{self._text('o', one.columns['customer'])} AS customer"]
        placed = one.columns.get("placed")
        if placed is not None and placed.kind in (Kind.STAMP, Kind.INSTANT):
            columns.append(f"o.{self._name(placed.name)} AS placed_at")
        due = one.columns.get("due")
        if due is not None and self._is_day(due):
            columns.append(f"{self._day('o', due)} AS due")
        extra = []
        if "status" in one.columns:
            name = one.columns["status"].name
            extra = [
                f"       -- , {self._text('o', one.columns['status'])} AS execution_status",
                f"       -- once source.yaml maps the codes of {name}",
            ]
        return self._master(one, "o", columns, Role.ORDER, extra)

    def _order_lines(self) -> str:
        one = best(self.found, Role.SALES_LINE)
        if one is None:
            return ""
        sku, location = self._sku(one, "l"), self._location(one, "l")
        columns = [
            f"{self._concat(self._order_prefix('SO-'), self._text('l', one.columns['order']))} AS order_id",
            f"{self._line_id(one, 'SO-')} AS line_id",
            f"{sku.sql} AS sku",
            f"{location.sql} AS location",
        ]
        for what in ("ordered", "shipped", "cancelled"):
            if what in one.columns:
                columns.append(f"{self._quantity('l', one.columns[what])} AS {what}")
        due = one.columns.get("due")
        if due is not None and self._is_day(due):
            columns.append(f"{self._day('l', due)} AS due")
        self._reads(one, sku, location)
        return self._file(one, "l", columns, [*sku.joins, *location.joins], Role.SALES_LINE, where=sku.where)

    # SELECTs

    def _stock(self, one: Candidate, bucket: str, title: str) -> str:
        quantity = one.columns[bucket]
        null = (self._null("date"), self._null("text"))
        return self._select(one, "s", title, bucket, quantity, self._quantity("s", quantity), *null)

    def _line(self, one: Candidate, bucket: str, what: str, title: str) -> str:
        ordered = self._quantity("l", one.columns[what])
        cancelled = one.columns.get("cancelled")
        if what == "ordered" and cancelled is not None:
            taken_off = self._quantity("l", cancelled)
            ordered = f"{ordered} - {f'COALESCE({taken_off}, 0)' if cancelled.nullable else taken_off}"
        due = one.columns.get("due")
        day = self._day("l", due) if due is not None and self._is_day(due) else self._null("date")
        if due is not None and due.kind not in MOMENTS:
            title += f"\n-- {due.name} may be the due date as a number: docs/recipes.md."
        prefix = "PO-" if one.role is Role.PURCHASE_LINE else "SO-"
        return self._select(one, "l", title, bucket, one.columns[what], ordered, day, self._line_id(one, prefix))

    def _select(
        self,
        one: Candidate,
        alias: str,
        title: str,
        bucket: str,
        counted: Column,
        quantity: str,
        due: str,
        reference: str,
    ) -> str:
        sku, location = self._sku(one, alias), self._location(one, alias)
        lines = [
            f"-- {title}",
            f"SELECT {sku.sql} AS sku, {location.sql} AS location, '{bucket}' AS bucket,",
            f"       {quantity} AS quantity, {due} AS due,",
            f"       {reference} AS reference",
            f"  FROM {self._table(one.table)} {alias}",
            *sku.joins,
            *location.joins,
        ]
        where = [*sku.where, *([f"{alias}.{self._name(counted.name)} IS NOT NULL"] if counted.nullable else [])]
        return "\n".join([*lines, *([f" WHERE {' AND '.join(where)}"] if where else [])])

    def _master(
        self, one: Candidate, alias: str, columns: Sequence[str], role: Role, extra: Sequence[str] = (),
        where: Sequence[str] = (),
    ) -> str:  # fmt: skip
        self._reads(one)
        return self._file(one, alias, columns, [], role, extra, where)

    def _file(
        self, one: Candidate, alias: str, columns: Sequence[str], joins: Sequence[str], role: Role,
        extra: Sequence[str] = (), where: Sequence[str] = (),
    ) -> str:  # fmt: skip
        others = self.found[role][1:MAX_ALTERNATIVES]
        lines = [
            f"-- Proposed by `onhand source init`, from {self._said(one)}.",
            "SELECT " + ",\n       ".join(columns),
            *extra,
            f"  FROM {self._table(one.table)} {alias}",
            *joins,
            *([f" WHERE {' AND '.join(where)}"] if where else []),
            *self._notes([f"-- Or from {self._said(other)}: {other.why}" for other in others], [one, *others]),
        ]
        return "\n".join(lines) + "\n"

    def _notes(self, alternatives: Sequence[str], tables: Sequence[Candidate]) -> Iterator[str]:
        for text in alternatives:
            yield "--"
            yield from (line if line.startswith("--") else f"-- {line}" for line in text.splitlines())
        shown: set[str] = set()
        for one in tables:
            names = [one.name]
            for column in one.columns.values():
                refers = self.finder.refers(one.name, column.name)
                names += [refers.target] if refers is not None else []
            for name in names:
                if name not in shown:
                    shown.add(name)
                    yield "--"
                    yield from columns_of(self.finder.tables[name], self.finder.survey.rows.get(name))

    def _reads(self, one: Candidate, *sides: _Side) -> None:
        """Note what a SELECT that is no comment reads."""
        self._joined += [table for side in sides for table in side.tables]
        self._driving.append(one.name)

    # values

    def _there(self, alias: str, column: Column) -> tuple[str, ...]:
        return (f"{alias}.{self._name(column.name)} IS NOT NULL",) if column.nullable else ()

    def _sku(self, one: Candidate, alias: str) -> _Side:
        return self._named(one, alias, "item", Role.ITEM, "i")

    def _location(self, one: Candidate, alias: str) -> _Side:
        if "location" not in one.columns:
            return _Side(self._with_company("'*'") if self.company else "'*'")
        side = self._named(one, alias, "location", Role.LOCATION, "w")
        return _Side(self._with_company(side.sql), side.joins, side.tables, side.where)

    def _named(self, one: Candidate, alias: str, what: str, role: Role, joined: str) -> _Side:
        """An item's or location's own code: the column, or what it leads to when it is a mere number.

        A row without an item says nothing; one without a location counts for the network, `*`.
        """
        column = one.columns[what]
        own = f"{alias}.{self._name(column.name)}"
        there = (f"{own} IS NOT NULL",) if column.nullable and role is Role.ITEM else ()
        anywhere = column.nullable and role is Role.LOCATION

        def side(text: str, *joins: str, tables: tuple[str, ...] = (), where: tuple[str, ...] = ()) -> _Side:
            return _Side(f"COALESCE({text}, '*')" if anywhere else text, joins, tables, (*there, *where))

        refers = self.finder.refers(one.name, column.name)
        master = next((other for other in self.found[role] if refers and other.name == refers.target), None)
        code = master.columns.get("code") if master is not None else None
        if refers is None or master is None or code is None or code.name == refers.target_columns[0]:
            return side(self._text(alias, column))
        on = f"{joined}.{self._name(refers.target_columns[0])} = {own}"
        join = f"  {'LEFT ' if anywhere else ''}JOIN {self._table(master.table)} {joined} ON {on}"
        named = (f"{joined}.{self._name(code.name)} IS NOT NULL",) if code.nullable and role is Role.ITEM else ()
        return side(self._text(joined, code), join, tables=(master.name,), where=named)

    def _line_id(self, one: Candidate, prefix: str) -> str:
        keys = [one.table.columns[name] for name in one.table.primary] or [one.columns["order"]]
        parts = [self._text("l", key) for key in keys]
        separated = [parts[0], *(piece for part in parts[1:] for piece in ("'-'", part))]
        return self._concat(self._order_prefix(prefix), *separated)

    def _order_prefix(self, prefix: str) -> str:
        return f"'{self.company}-{prefix}'" if self.company else f"'{prefix}'"

    def _with_company(self, location: str) -> str:
        return self._concat(f"'{self.company}:'", location) if self.company else location

    def _optional(self, alias: str, one: Candidate, **columns: str) -> list[str]:
        return [
            f"{self._text(alias, one.columns[what])} AS {name}" for what, name in columns.items() if what in one.columns
        ]

    def _text(self, alias: str, column: Column) -> str:
        name = f"{alias}.{self._name(column.name)}"
        if column.kind is Kind.TEXT and column.type != "enum":
            if self.kind == "mariadb":
                return name
            return f"TRIM({name})" if column.padded or self.kind != "postgres" else name
        cast = {"postgres": "CAST({} AS text)", "mariadb": "CAST({} AS CHAR)", "sqlserver": "CAST({} AS varchar(40))"}
        whole = "TO_CHAR({})" if column.kind is Kind.INT else "TO_CHAR(TRUNC({}))"
        return cast.get(self.kind, whole).format(name)

    def _quantity(self, alias: str, column: Column) -> str:
        name = f"{alias}.{self._name(column.name)}"
        if column.kind is Kind.FLOAT:
            return f"CAST({name} AS {'numeric' if self.kind == 'postgres' else 'decimal'}(24, 6))"
        return f"ROUND({name}, 9)" if (column.scale or 0) > 9 else name

    def _is_day(self, column: Column) -> bool:
        """A date can be made of it."""
        return column.kind in (Kind.DATE, Kind.STAMP) or (column.kind is Kind.INSTANT and self.kind == "postgres")

    def _day(self, alias: str, column: Column) -> str:
        name = f"{alias}.{self._name(column.name)}"
        if self.kind == "oracle":
            return f"TRUNC({name})"  # its DATE has a time of day
        if column.kind is Kind.INSTANT:
            name = f"{name} AT TIME ZONE '{self.finder.survey.time_zone}'"
        return name if column.kind is Kind.DATE else f"CAST({name} AS date)"

    def _null(self, type_: str) -> str:
        if type_ == "text":
            type_ = {"postgres": "text", "mariadb": "CHAR", "sqlserver": "varchar(40)"}.get(self.kind, "varchar2(40)")
        return f"CAST(NULL AS {type_})"

    def _concat(self, *parts: str) -> str:
        if self.kind == "mariadb":
            return f"CONCAT({', '.join(parts)})"
        return (" + " if self.kind == "sqlserver" else " || ").join(parts)

    def _table(self, table: Table) -> str:
        schema, _, name = table.name.partition(".")
        return f"{self._name(schema)}.{self._name(name)}"

    def _name(self, name: str) -> str:
        return quoted(self.kind, name)

    def _said(self, one: Candidate) -> str:
        rows = "" if one.rows is None else f" (about {one.rows:,} rows)"
        return f"{one.name}{rows}"


def columns_of(table: Table, rows: int | None) -> Iterator[str]:
    """A table as comment lines: every column with its type."""
    size = "" if rows is None else f", about {rows:,} rows"
    key = f"key {', '.join(table.primary)}" if table.primary else "NO KEY: it cannot be captured before it has one"
    yield f"-- {table.name}: {key}{size}"
    width = max((len(name) for name in table.columns), default=0)
    for column in table.columns.values():
        yield f"--   {column.name:{width}}  {type_text(column)}"


def type_text(column: Column) -> str:
    """`numeric(…, 2) NOT NULL`, for people."""
    size = f"({column.length})" if column.length and column.kind is Kind.TEXT and column.type != "enum" else ""
    size = f", {column.scale} digits after the point" if column.scale is not None else size
    if column.values:
        size = f" ({', '.join(column.values)})"
    unsigned = " unsigned" if column.unsigned else ""
    return f"{column.type}{unsigned}{size}{'' if column.nullable else ' NOT NULL'}"
