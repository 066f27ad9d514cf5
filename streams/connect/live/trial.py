"""What a mapping makes of live rows: outputs, what is parked and why, codes without a mapping, what looks wrong.

Nothing is published: rows are read in one snapshot and evaluated here as the lane would evaluate them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import nlargest, nsmallest
from typing import Any, NamedTuple

import msgspec

from streams.connect.live.images import plain
from streams.connect.live.lookups import Found, LiveLookups
from streams.connect.live.rows import LiveRows
from streams.connect.live.sieve import Sieve
from streams.core.mapping.examples import as_columns
from streams.core.mapping.files import FILE_KINDS
from streams.core.mapping.mapping import CompiledMapping, CompiledTable
from streams.core.mapping.model import OrderRow, OutputRow, Posting, RowError

EXAMPLES = 3
"""Shown of everything there may be many of."""
SIEVED = 2_000
"""Rows a table that yield nothing and are asked why."""
COMPARED = 500_000
"""Keys of parts whose rows are compared with each other."""
_KEYS = {
    "items": ("sku",),
    "locations": ("location",),
    "orders": ("order_id",),
    "order_lines": ("order_id", "line_id"),
    "shipments": ("shipment_id", "line_id"),
}
"""Files of which one row says what there is under a key: postings and components are sums."""
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|\b[+-]?\d[\d.,:T-]*\b|\[[^]]*\]")
_PLACE = re.compile(r"\S+\.sql:\d+:\d+: ")
"""What a row error begins with that knows where in the SQL it arose."""


@dataclass
class Group:
    """Rows that share something, and a few of them."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.rows += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


@dataclass
class TableTrial:
    """One driving table."""

    rows: int = 0
    whole: bool = True
    outputs: int = 0
    nothing: int = 0
    waiting: int = 0
    unmappable: int = 0


@dataclass
class FileTrial:
    """One output file."""

    columns: tuple[str, ...]
    outputs: int = 0
    said: Counter[str] = field(default_factory=Counter)
    """Column → outputs in which it is not NULL."""
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Stock:
    """Postings of one view, location and bucket."""

    postings: int = 0
    quantity: Decimal = Decimal(0)
    negative: int = 0
    """Postings below zero."""


class Place(NamedTuple):
    view: str
    location: str
    bucket: str


@dataclass
class Trial:
    """All that is told."""

    tables: dict[str, TableTrial] = field(default_factory=dict)
    files: dict[str, FileTrial] = field(default_factory=dict)
    stock: dict[Place, Stock] = field(default_factory=lambda: defaultdict(Stock))
    balances: dict[tuple[str, Place], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """(sku, place) → sum over the rows read."""
    parked: dict[tuple[str, str, str], Group] = field(default_factory=lambda: defaultdict(Group))
    """(table, code, why)"""
    statuses: dict[tuple[str, str, str], Group] = field(default_factory=lambda: defaultdict(Group))
    """(file, column, code) that source.yaml does not map."""
    nothing: dict[tuple[str, str, str], Group] = field(default_factory=lambda: defaultdict(Group))
    """(table, file:line, condition) that rows which yield nothing do not meet."""

    first: dict[tuple[str, str, str], tuple[int, str, int]] = field(default_factory=dict)
    """(file, key columns, their values) → hash of what was said first, the row that said it, rows that said it."""
    several: dict[tuple[str, str, str], Group] = field(default_factory=dict)
    """(file, key columns, their values) of which rows say different things, and nothing tells which is the newest."""

    @property
    def clean(self) -> bool:
        return not (self.parked or self.statuses or self.several)

    def document(self) -> dict[str, Any]:
        """For JSON; the tables for people are made of it."""
        return {
            "tables": [{"table": name, **vars(one)} for name, one in self.tables.items()],
            "files": [
                {"file": name, "outputs": one.outputs, "examples": one.examples} for name, one in self.files.items()
            ],
            "columns": list(self._columns()),
            "stock": [{**place._asdict(), **vars(one)} for place, one in sorted(self.stock.items())],
            "biggest": self._balances(nlargest(5, self.balances.items(), key=lambda each: each[1])),
            "negative": self._balances(
                each for each in nsmallest(5, self.balances.items(), key=lambda each: each[1]) if each[1] < 0
            ),
            "negative_balances": sum(quantity < 0 for quantity in self.balances.values()),
            "several": _groups(("file", "column", "value"), self.several),
            "parked": _groups(("table", "code", "why"), self.parked),
            "statuses": _groups(("file", "column", "code"), self.statuses),
            "nothing": _groups(("table", "place", "condition"), self.nothing),
        }

    def _columns(self) -> Iterator[dict[str, Any]]:
        for name, one in self.files.items():
            for column in one.columns:
                null = one.outputs - one.said[column]
                verdict = "never" if not null else "always" if null == one.outputs else "sometimes"
                yield {"file": name, "column": column, "null": verdict, "nulls": null, "outputs": one.outputs}

    def _balances(self, found: Any) -> list[dict[str, Any]]:
        return [{"sku": sku, **place._asdict(), "quantity": quantity} for (sku, place), quantity in found]


def _groups(names: Sequence[str], groups: dict[tuple[str, str, str], Group]) -> list[dict[str, Any]]:
    ordered = sorted(groups.items(), key=lambda each: -each[1].rows)
    return [{**dict(zip(names, key, strict=True)), **vars(group)} for key, group in ordered]


def try_mapping(
    mapping: CompiledMapping, rows: LiveRows, limit: int | None, report: Callable[[str], None] = lambda text: None
) -> Trial:
    """Evaluates `limit` rows of every driving table, half of them the oldest and half the newest by primary key; all
    when it is None.  `report` hears how far it is.  Raises EnvironmentFault."""
    trial = Trial()
    for file, columns in mapping.columns.items():
        name = file.partition(" ")[0].removesuffix(".sql")
        trial.files.setdefault(name, FileTrial(columns))
    lookups, sieve = LiveLookups(mapping, rows), Sieve(mapping)
    for table in mapping.tables.values():
        if not table.drives:
            continue
        one = trial.tables[table.name] = TableTrial()
        for images in sampled(rows, table, limit, one):
            _evaluate(trial, table, one, images, lookups, sieve)
            report(f"{table.name}: {one.rows:,} rows")
    return trial


def sampled(rows: LiveRows, table: CompiledTable, limit: int | None, one: TableTrial) -> Iterator[list[bytes]]:
    """The rows to look at, each once, in chunks."""
    if limit is None:
        yield from rows.chunks(table.name)
        return
    oldest = (limit + 1) // 2
    seen: set[bytes] = set()
    for images in rows.chunks(table.name, oldest):
        seen |= set(images)
        yield images
    if len(seen) < oldest:
        return
    one.whole = False
    for images in rows.chunks(table.name, limit - oldest, newest=True):
        new = [image for image in images if image not in seen]
        one.whole |= len(new) < len(images)
        yield new


def _evaluate(
    trial: Trial, table: CompiledTable, one: TableTrial, images: Sequence[bytes], lookups: LiveLookups, sieve: Sieve
) -> None:
    one.rows += len(images)
    decoded = []
    for image in images:
        try:
            row = table.decode(image)
        except RowError as error:
            one.unmappable += 1
            _park(trial, table, error, str(plain(image)))
            continue
        decoded.append(row)
    idle = []
    for found in lookups.evaluate(table.name, decoded):
        if found.error is not None:
            one.unmappable += 1
            _park(trial, table, found.error, f"{key_text(table, found.row)}: {found.error}")
        elif found.evaluation is not None:
            _note(trial, table, found)
            one.outputs += len(found.evaluation.outputs)
            if found.evaluation.missing:
                one.waiting += 1
                _wait(trial, table, found, lookups)
            elif not found.evaluation.outputs:
                one.nothing += 1
                idle.append(found.row)
    asked = idle[: max(0, SIEVED - (one.nothing - len(idle)))]
    for condition, row in sieve.fallen(table.name, asked, lookups):
        trial.nothing[table.name, *condition].add(key_text(table, row))


def _park(trial: Trial, table: CompiledTable, error: RowError, example: str) -> None:
    said = str(error)
    place = _PLACE.match(said)
    at = place[0] if place is not None else ""
    trial.parked[table.name, error.code, at + _VALUE.sub("…", said.removeprefix(at))].add(example)


def _wait(trial: Trial, table: CompiledTable, found: Found, lookups: LiveLookups) -> None:
    assert found.evaluation is not None
    for index, key in dict.fromkeys(found.evaluation.missing):
        why = f"no row of {lookups.lookup(index)}"
        example = f"{', '.join(map(str, key))} (of {key_text(table, found.row)})"
        trial.parked[table.name, "lookup-missing", why].add(example)


def key_text(table: CompiledTable, row: Any) -> str:
    """`ordlin [4711, 1]`"""
    values = msgspec.json.encode(table.key_of(row), enc_hook=str).decode()
    return f"{table.name.rpartition('.')[2]} {values}"


def _note(trial: Trial, table: CompiledTable, found: Found) -> None:
    assert found.evaluation is not None
    for output in found.evaluation.outputs:
        file, columns = output_columns(output)
        one = trial.files[file]
        one.outputs += 1
        one.said.update(columns.keys())
        if file in _KEYS and columns.get("as_of") is None:
            _compare(trial, (file, columns), key_text(table, found.row))
        bucket = columns.get("bucket")
        new = bucket is not None and all(example["bucket"] != bucket for example in one.examples)
        if new or (bucket is None and len(one.examples) < EXAMPLES):
            one.examples.append(columns)
        if isinstance(output, Posting):
            place = Place(output.view, output.location, output.bucket.value)
            stock = trial.stock[place]
            stock.postings += 1
            stock.quantity += output.quantity
            stock.negative += output.quantity < 0
            trial.balances[output.sku, place] += output.quantity
        elif isinstance(output, OrderRow):
            for column in output.unmapped:
                code = str(output.raw_statuses.get(column))
                trial.statuses[file, column, code].add(key_text(table, found.row))


def _compare(trial: Trial, output: tuple[str, dict[str, Any]], row: str) -> None:
    file, columns = output
    names = [name for name in _KEYS[file] if name in columns]
    key = (file, ", ".join(names), ", ".join(str(columns[name]) for name in names))
    said = hash(tuple(columns.items()))
    if key in trial.several:
        trial.several[key].add(row)
        return
    first, by, rows = trial.first.get(key, (said, row, 0))
    if first != said:
        trial.several[key] = Group(rows, [by])
        trial.several[key].add(row)
    elif rows or len(trial.first) < COMPARED:
        trial.first[key] = first, by, rows + 1


def output_columns(output: OutputRow) -> tuple[str, dict[str, Any]]:
    """(file without .sql, its columns that are not NULL); a status is the contract's symbol, or the unmapped code."""
    file, columns = as_columns(output)
    if isinstance(output, Posting) and output.view:
        file = f"postings.{columns.pop('view')}"
    if isinstance(output, OrderRow):
        part = columns.pop("part_id")
        if output.kind == "line":
            columns = {"order_id": columns.pop("order_id"), "line_id": part, **columns}
        columns.pop("unmapped", None)
        columns |= {name: output.raw_statuses[name] for name in output.unmapped}
    order = FILE_KINDS[file.partition(".")[0]].columns
    return file, {name: columns[name] for name in order if name in columns}
