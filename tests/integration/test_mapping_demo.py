"""The demo mappings on generated rows: every file, run by the database and compiled, gives equal multisets.

And on the same rows: the catalogue as inspected equals the one in the folder.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from onhand.demo.databases import statements
from streams.core.mapping.catalogue import Catalogue, Column, Kind, Table, drift
from streams.core.mapping.examples import Evaluated, as_columns, evaluate_rows
from streams.core.mapping.mapping import CompiledMapping, compile_mapping, load_mapping
from streams.core.mapping.model import Posting
from tests.integration.mapping_support.databases import Writer, server, writer
from tests.integration.mapping_support.rows import DATES, Server, plain
from tests.stack import Database

pytestmark = pytest.mark.integration
CONFIGS = Path(__file__).parents[2] / "connect-configs"
ROWS = 150
CODES: dict[str, list[Any]] = {
    "olstat": [20, 40, 99],
    "plstat": [10, 10, 50],
    "status": [1, 2, 10, 90],
    "dlv_status": [0, 1, 2],
    "hold_status": [0, 1],
    "bin_type": ["PICK", "BULK", "SCRAP"],
    "olreqd": [0, 126300, 124366],
    "ohreqd": [0, 126300],
    "plduey": [0, 2026, 2024],
    "plduem": [1, 2, 12],
    "pldued": [1, 28],
    "ohchan": ["WB", "PH", "XX"],
    "itstky": ["Y", "N"],
    "ohstat": [20, 40, 77],
    "wh_code": [f"w{n}" for n in range(1, 160)],
}


def mapping_of(kind: str, catalogue: Catalogue) -> CompiledMapping:
    """The folder's mapping over a catalogue whose schema may have another name."""
    folder = CONFIGS / ("erp" if kind == "postgres" else "wms")
    known = load_mapping(folder)
    source = known.source.model_copy(update={"schema_": catalogue.schema})
    texts = {path.name: path.read_text() for path in folder.glob("*.sql")}
    return compile_mapping(source, catalogue, texts, known.fingerprint)


def value(column: Column, key: bool, rng: random.Random, n: int) -> Any:
    if column.nullable and rng.random() < 0.15:
        return None
    if column.name in CODES and not (key and column.name != "wh_code"):
        return rng.choice(CODES[column.name]) if column.name != "wh_code" else CODES["wh_code"][n]
    if column.kind == Kind.INT:
        return n if key and column.type != "smallint" else rng.randint(1, ROWS if column.type != "tinyint" else 3)
    if column.kind == Kind.EXACT:
        return Decimal(rng.choice([0, 100, 250, -100, rng.randint(-9999, 99999)])).scaleb(-(column.scale or 0))
    if column.kind == Kind.DATE:
        return rng.choice(DATES)
    if column.kind in (Kind.STAMP, Kind.INSTANT):
        return dt.datetime(2026, 11, 24, 12, 0, 0, rng.choice([0, 250000, 123456])) + dt.timedelta(rng.randint(-99, 99))
    text = f"{'a-' if column.name == 'item_code' else 'K'}{n if key else rng.randint(1, ROWS)}"
    return text[: column.length or 30]


def fill(made: Writer, table: Table, quote: Sequence[str], rng: random.Random) -> None:
    unique = {name for columns in table.unique for name in columns}
    rows: list[list[Any]] = []
    seen: set[tuple[Any, ...]] = set()
    for n in range(1, ROWS):
        row = [value(column, column.name in unique, rng, n) for column in table.columns.values()]
        marks = {tuple(row[list(table.columns).index(c)] for c in columns) for columns in table.unique}
        if not marks & seen:
            seen |= marks
            rows.append(row)
    made.insert(".".join(quote), rows)


def prepared(kind: str, at: Database, seed: int) -> None:
    """Tables of the demo, filled with random rows."""
    rng = random.Random(seed)
    with writer(kind, at) as made:
        for statement in statements("erp.sql" if kind == "postgres" else "wms.sql"):
            if not statement.startswith(("GRANT", "CREATE PUBLICATION")):
                made.run(statement)
        with server(kind, at, "erp" if kind == "postgres" else at.name) as there:
            mapping = mapping_of(kind, there.catalogue)
            for qualified in mapping.tables:
                fill(made, there.catalogue.tables[qualified.partition(".")[2]], qualified.split("."), rng)


def evaluated(there: Server, mapping: CompiledMapping) -> Evaluated:
    images = {}
    for name, table in mapping.tables.items():
        images[name] = there.images(there.catalogue.tables[name.partition(".")[2]], table.columns)
    return evaluate_rows(mapping, images)


def as_text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return str(
            (value.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        )
    value = plain(value)
    return format(value.normalize() if value else abs(value), "f") if isinstance(value, Decimal) else value


SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_every_file_means_the_same_in_the_database(kind: str, seed: int, postgres: Database, mariadb: Database) -> None:
    at = postgres if kind == "postgres" else mariadb
    prepared(kind, at, seed)
    with server(kind, at, "erp" if kind == "postgres" else at.name) as there:
        mapping = mapping_of(kind, there.catalogue)
        result = evaluated(there, mapping)
        assert result.errors == []
        here: dict[str, Counter[Any]] = {}
        for output in result.outputs:
            file, columns = as_columns(output)
            if not isinstance(output, Posting) and file in ("orders", "order_lines", "shipments"):
                columns |= {
                    name: code for name, code in getattr(output, "raw_statuses", {}).items() if code is not None
                }
                columns = {name: text for name, text in columns.items() if name not in ("part_id", "unmapped")}
            here.setdefault(file, Counter())[frozenset((k, as_text_of(v)) for k, v in columns.items())] += 1
        total = 0
        for name, text in mapping.files.items():
            file = name.removesuffix(".sql")
            found: Counter[Any] = Counter()
            for row in there.query(text.strip().rstrip(";")):
                columns = dict(zip(mapping.columns[name], row, strict=True))
                if file == "order_lines":
                    columns = {k: v for k, v in columns.items() if k not in ("order_id", "line_id")} | {
                        "order_id": columns["order_id"]
                    }
                found[
                    frozenset((k, as_text_of(as_text(v))) for k, v in defaults(file, columns).items() if v is not None)
                ] += 1
            total += sum(found.values())
            ours = here.get(file, Counter())
            assert found == ours, (file, list((found - ours).items())[:2], list((ours - found).items())[:2])
        assert total > 500


def as_text_of(value: Any) -> Any:
    """Numbers compare by value, whatever their scale."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (int, Decimal)):
        return format(Decimal(value).normalize(), "f")
    if isinstance(value, str):
        try:
            return format(Decimal(value).normalize() + 0, "f")
        except ArithmeticError:
            return value
    return value


def defaults(file: str, columns: dict[str, Any]) -> dict[str, Any]:
    """What the contract adds to a row of a file."""
    if file == "items":
        return {"active": True, "tracked": True} | {k: v for k, v in columns.items() if v is not None}
    if file == "locations":
        return {"active": True} | {k: v for k, v in columns.items() if v is not None}
    return columns


@pytest.mark.parametrize("name", ["erp", "wms"])
def test_the_catalogue_in_the_folder_is_what_inspect_reads(name: str, postgres: Database, mariadb: Database) -> None:
    kind, at = ("postgres", postgres) if name == "erp" else ("mariadb", mariadb)
    prepared(kind, at, 1)
    kept = Catalogue.load((CONFIGS / name / "catalog.json").read_bytes())
    with server(kind, at, "erp" if kind == "postgres" else at.name) as there:
        now = there.catalogue
    now.schema = name
    for table in now.tables.values():
        table.name = f"{name}.{table.name.partition('.')[2]}"
    now.tables = {short: table for short, table in now.tables.items() if short in kept.tables}
    assert drift(kept, now) == []
    assert Catalogue.load(now.dump()) == now
    with writer(kind, at) as made:
        altered = "erp.itmast" if name == "erp" else "item"
        made.run(
            f"ALTER TABLE {altered} ADD COLUMN more int",
            f"ALTER TABLE {altered} DROP COLUMN {'itnote' if name == 'erp' else 'item_code'}",
        )
    with server(kind, at, "erp" if kind == "postgres" else at.name) as there:
        found = drift(now, there.catalogue)
    assert any("more is new" in line for line in found)
    assert any("is gone" in line for line in found)
