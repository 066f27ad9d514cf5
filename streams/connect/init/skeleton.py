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
FILES = ("postings.sql", "items.sql", "locations.sql", "orders.sql", "order_lines.sql")


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
        selects: list[str] = []
        used: list[Candidate] = []
        stock = best(self.found, Role.STOCK) or best(self.found, Role.LEDGER)
        if stock is not None:
            used.append(stock)
            self._reads(stock, self._sku(stock, "s"), self._location(stock, "s"))
            ledger = stock.role is Role.LEDGER
            note = "a ledger: what is on hand is the sum of its rows; mind the sign" if ledger else "balances"
            selects.append(self._stock(stock, "on_hand", "on_hand", f"On hand, from {self._said(stock)}: {note}."))
            if "safety_stock" in stock.columns:
                selects.append(self._stock(stock, "safety_stock", "safety_stock", "Safety stock, from the same rows."))
        for role, bucket, done in (
            (Role.SALES_LINE, "demand", "fulfilled"),
            (Role.PURCHASE_LINE, "inbound", "received"),
        ):
            line = best(self.found, role)
            if line is None:
                continue
            used.append(line)
            self._reads(line, self._sku(line, "l"), self._location(line, "l"))
            title = f"{bucket.capitalize()}, from {self._said(line)}. Leave out drafts and what is cancelled or closed:"
            selects.append(self._line(line, bucket, "ordered", f"{title} add WHERE."))
            column = "shipped" if bucket == "demand" else "received"
            if column in line.columns:
                selects.append(self._line(line, done, column, f"What of it is done: open {bucket} is the difference."))
        if not selects:
            return ""
        others = [
            *self.found.get(Role.STOCK, [])[1:],
            *self.found.get(Role.LEDGER, [])[stock is not None and stock.role is Role.LEDGER :],
        ]
        alternatives = [
            self._stock(one, "on_hand", "on_hand", f"Or on hand from {self._said(one)}:")
            for one in others[:MAX_ALTERNATIVES]
        ]
        for role, bucket in ((Role.SALES_LINE, "demand"), (Role.PURCHASE_LINE, "inbound")):
            alternatives += [
                self._line(one, bucket, "ordered", f"Or {bucket} from {self._said(one)}:")
                for one in self.found.get(role, [])[1:MAX_ALTERNATIVES]
            ]
        head = [
            f"-- Proposed by `onhand source init` from the catalogue of {self.schema}: read it, mend it, then",
            "-- `onhand source inspect`, `onhand source try`.  Buckets: on_hand, on_hold, safety_stock, demand,",
            "-- fulfilled, inbound, received, reserved.  Quantities are exact, in the stock unit; the sum over rows",
            "-- is onhand's.",
        ]
        if stock is not None and "reserved" in stock.columns:
            name = stock.columns["reserved"].name
            head.append(
                f"-- {stock.name}.{name} is the system's own allocated total: demand of lines already counts it."
            )
        return (
            "\n".join(
                [*head, "\nUNION ALL\n".join(selects), *self._notes(alternatives, [*used, *others[:MAX_ALTERNATIVES]])]
            )
            + "\n"
        )

    def _items(self) -> str:
        one = best(self.found, Role.ITEM)
        if one is None:
            return ""
        key = one.columns.get("code") or one.columns.get("key")
        if key is None:
            return ""
        columns = [f"{self._text('i', key)} AS sku", *self._optional("i", one, name="name", unit="unit")]
        return self._master(one, "i", columns, Role.ITEM)

    def _locations(self) -> str:
        one = best(self.found, Role.LOCATION)
        if one is None:
            return ""
        key = one.columns.get("code") or one.columns.get("key")
        if key is None:
            return ""
        location = self._with_company(self._text("w", key))
        columns = [f"{location} AS location", *self._optional("w", one, name="name"), "'warehouse' AS kind"]
        return self._master(one, "w", columns, Role.LOCATION)

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
        due = one.columns.get("due")
        if due is not None and due.kind in (Kind.DATE, Kind.STAMP):
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
        if due is not None and due.kind in (Kind.DATE, Kind.STAMP):
            columns.append(f"{self._day('l', due)} AS due")
        self._reads(one, sku, location)
        return self._file(one, "l", columns, [*sku.joins, *location.joins], Role.SALES_LINE)

    # SELECTs

    def _stock(self, one: Candidate, bucket: str, what: str, title: str) -> str:
        sku, location = self._sku(one, "s"), self._location(one, "s")
        quantity = one.columns[what]
        where = [f"s.{self._name(quantity.name)} IS NOT NULL"] if quantity.nullable else []
        return self._select(
            one,
            "s",
            title,
            sku,
            location,
            bucket,
            self._quantity("s", quantity),
            self._null("date"),
            self._null("text"),
            where,
        )

    def _line(self, one: Candidate, bucket: str, what: str, title: str) -> str:
        sku, location = self._sku(one, "l"), self._location(one, "l")
        quantity = self._quantity("l", one.columns[what])
        where = [f"l.{self._name(one.columns[what].name)} IS NOT NULL"] if one.columns[what].nullable else []
        cancelled = one.columns.get("cancelled")
        if what == "ordered" and cancelled is not None:
            taken_off = self._quantity("l", cancelled)
            quantity = f"{quantity} - {f'COALESCE({taken_off}, 0)' if cancelled.nullable else taken_off}"
        due = one.columns.get("due")
        day = self._day("l", due) if due is not None and due.kind in (Kind.DATE, Kind.STAMP) else self._null("date")
        if due is not None and due.kind not in MOMENTS:
            title += f"\n-- {due.name} may be the due date as a number: docs/recipes.md."
        prefix = "PO-" if one.role is Role.PURCHASE_LINE else "SO-"
        return self._select(one, "l", title, sku, location, bucket, quantity, day, self._line_id(one, prefix), where)

    def _select(
        self, one: Candidate, alias: str, title: str, sku: _Side, location: _Side, bucket: str, quantity: str, due: str,
        reference: str, where: Sequence[str],
    ) -> str:  # fmt: skip
        lines = [
            f"-- {title}",
            f"SELECT {sku.sql} AS sku, {location.sql} AS location, '{bucket}' AS bucket,",
            f"       {quantity} AS quantity, {due} AS due,",
            f"       {reference} AS reference",
            f"  FROM {self._table(one.table)} {alias}",
            *dict.fromkeys([*sku.joins, *location.joins]),
        ]
        if where:
            lines.append(f" WHERE {' AND '.join(where)}")
        return "\n".join(lines)

    def _master(self, one: Candidate, alias: str, columns: Sequence[str], role: Role, extra: Sequence[str] = ()) -> str:
        self._reads(one)
        return self._file(one, alias, columns, [], role, extra)

    def _file(
        self, one: Candidate, alias: str, columns: Sequence[str], joins: Sequence[str], role: Role,
        extra: Sequence[str] = (),
    ) -> str:  # fmt: skip
        others = self.found[role][1:MAX_ALTERNATIVES]
        lines = [
            f"-- Proposed by `onhand source init`, from {self._said(one)}.",
            "SELECT " + ",\n       ".join(columns),
            *extra,
            f"  FROM {self._table(one.table)} {alias}",
            *dict.fromkeys(joins),
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

    def _sku(self, one: Candidate, alias: str) -> _Side:
        return self._named(one, alias, "item", Role.ITEM, "i")

    def _location(self, one: Candidate, alias: str) -> _Side:
        if "location" not in one.columns:
            return _Side(self._with_company("'*'") if self.company else "'*'")
        side = self._named(one, alias, "location", Role.LOCATION, "w")
        return _Side(self._with_company(side.sql), side.joins, side.tables)

    def _named(self, one: Candidate, alias: str, what: str, role: Role, joined: str) -> _Side:
        """An item's or location's own code: the column, or what it leads to when it is a mere number."""
        column = one.columns[what]
        refers = self.finder.refers(one.name, column.name)
        if refers is None:
            return _Side(self._text(alias, column))
        master = next((other for other in self.found[role] if other.name == refers.target), None)
        code = master.columns.get("code") if master is not None else None
        if master is None or code is None or code.name == refers.target_columns[0]:
            return _Side(self._text(alias, column))
        on = f"{joined}.{self._name(refers.target_columns[0])} = {alias}.{self._name(column.name)}"
        return _Side(
            self._text(joined, code), (f"  JOIN {self._table(master.table)} {joined} ON {on}",), (master.name,)
        )

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

    def _day(self, alias: str, column: Column) -> str:
        name = f"{alias}.{self._name(column.name)}"
        if self.kind == "oracle":
            return f"TRUNC({name})"  # its DATE has a time of day
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
