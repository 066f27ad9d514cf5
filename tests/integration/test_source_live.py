"""`onhand source try` and `test --record` on databases of their own: what live rows become, and what they cannot.

PostgreSQL and MariaDB alone: no Kafka, no connector.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onhand.cli.main import onhand
from onhand.stack.local import settings_environment
from schemas.errors import EXIT_DIFFERENCES, EXIT_OK, OnhandError
from streams.connect.catalogue import session
from streams.connect.live.images import plain
from streams.connect.live.rows import LiveRows, live_rows
from streams.connect.live.trial import try_mapping
from streams.connect.reading import Limits, Reading, beyond, quoted, quoted_table, up_to
from streams.core.mapping.examples import evaluate_rows
from streams.core.mapping.mapping import compile_mapping, load_mapping
from streams.core.mapping.model import Posting
from streams.core.mapping.source import parse_source
from tests.integration.mapping_support.databases import server, target, writer
from tests.integration.mapping_support.rows import Server
from tests.stack import Database, RunningStack, local_stack, mariadb_database, postgres_database

pytestmark = pytest.mark.integration
KINDS = ("postgres", "mariadb")
TABLES = {
    "place": "code char(4) PRIMARY KEY, name varchar(30), zone varchar(20) NOT NULL",
    "item": "id int PRIMARY KEY, code varchar(20) NOT NULL, place_of char(4)",
    "stock": "a int, b varchar(10), item int NOT NULL, quantity decimal(12,3), state varchar(8) NOT NULL, "
    "PRIMARY KEY (a, b)",
    "pack": "id int PRIMARY KEY, item int NOT NULL, amount decimal(9,2) NOT NULL",
    "setting": "id int PRIMARY KEY, factor int NOT NULL",
    "link": "id int PRIMARY KEY, item int NOT NULL, alias varchar(20) NOT NULL",
    "rate": "id int PRIMARY KEY, item int NOT NULL, live int NOT NULL, rate decimal(5,2) NOT NULL",
    "sale": "id int PRIMARY KEY, customer varchar(30), mail varchar(40), status int NOT NULL, placed {stamp}",
}
FILES = {
    "postings.sql": """
SELECT i.code AS sku, {place} AS location, 'on_hand' AS bucket, s.quantity AS quantity
  FROM stock s JOIN item i ON i.id = s.item JOIN place p ON p.code = i.place_of
 WHERE s.state = 'free'
   AND s.quantity <> 0
""",
    "postings.packs.sql": """
SELECT l.alias AS sku, 'W1' AS location, 'inbound' AS bucket, p.amount * s.factor * COALESCE(r.rate, 1) AS quantity
  FROM pack p JOIN setting s ON TRUE JOIN link l ON l.item = p.item LEFT JOIN rate r ON r.item = p.item AND r.live = 1
""",
    "orders.sql": """
SELECT {id} AS order_id, o.customer AS customer, {status} AS execution_status, o.placed AS placed_at FROM sale o
""",
    "locations.sql": "SELECT {place} AS location, p.name AS name, p.zone AS time_zone FROM place p",
}
WORDS = {
    "postgres": {"place": "TRIM(p.code)", "id": "CAST(o.id AS text)", "status": "CAST(o.status AS text)"},
    "mariadb": {"place": "p.code", "id": "CONCAT('', o.id)", "status": "CONCAT('', o.status)"},
}
DESCRIBED = """
name: shop
kind: {kind}
schema: {schema}
one_row: [setting]
many: [link]
unique:
  rate: [{{columns: [item], where: "live = 1"}}]
statuses:
  orders:
    execution_status: {{'1': entered, '2': shipped}}
"""


@dataclass
class Shop:
    """A source over a small database."""

    kind: str
    at: Database
    project: Path
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.project / "connect-configs" / "shop"

    def run(self, *arguments: str) -> tuple[int, str]:
        """`onhand source …`"""
        result = CliRunner().invoke(onhand, ["source", *arguments], env=self.environment)
        if isinstance(result.exception, OnhandError):
            return result.exception.exit_code, str(result.exception)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    def tried(self, *options: str) -> tuple[int, dict[str, Any]]:
        code, text = self.run("try", "shop", "--json", *options)
        return code, json.loads(text)


@pytest.fixture(scope="module")
def databases() -> Iterator[RunningStack]:
    with local_stack(components=("postgres", "mariadb")) as running:
        yield running


@pytest.fixture(scope="module", params=KINDS)
def filled(request: pytest.FixtureRequest, databases: RunningStack) -> Iterator[tuple[str, Database, str]]:
    """(kind, a filled database, catalog.json of it); no test changes it."""
    kind: str = request.param
    opened = postgres_database if kind == "postgres" else mariadb_database
    with opened(databases.endpoints) as at, writer(kind, at) as rows:
        for table, columns in TABLES.items():
            stamp = "timestamp" if kind == "postgres" else "datetime(6)"
            rows.run(f"CREATE TABLE {table} ({columns.format(stamp=stamp)})")
        rows.insert("place", [("W1", "Hamburg, Anna Blume", "Europe/Berlin"), ("W2", None, "UTC")])
        second = "w2" if kind == "mariadb" else "W2"  # equal to the key by the collation of MariaDB alone
        rows.insert("item", [(n, f"A{n:03}", "W1" if n % 2 else second) for n in range(1, 40)])
        rows.run("INSERT INTO item VALUES (41, '~x', 'W1')")
        stock = [(n // 10, f"k{n % 10}", 1 + n % 40, n - 3, "held" if n % 7 == 0 else "free") for n in range(300)]
        rows.insert("stock", [*stock, (99, "k0", 41, 5, "free")])
        rows.run("CREATE INDEX by_item ON link (item)", "INSERT INTO setting VALUES (1, 10)")
        rows.insert("pack", [(n, n % 9, n) for n in range(50)])
        rows.insert("link", [(n, n // 3, f"B{n:03}") for n in range(21)])
        rows.insert("rate", [(n, n // 3, n % 3, 1 + n) for n in range(24)])
        people = [(n, f"Person {n}", f"p{n}@example.org", 3 if n == 5 else 1 + n % 2) for n in range(1, 20)]
        rows.insert("sale", [(*one, "2026-11-24 10:00:00.25") for one in people])
        with server(kind, at, schema_of(kind, at)) as there:
            catalogue = there.catalogue.dump()
        yield kind, at, catalogue


def schema_of(kind: str, at: Database) -> str:
    return "public" if kind == "postgres" else at.name


@pytest.fixture
def shop(filled: tuple[str, Database, str], databases: RunningStack, tmp_path: Path) -> Shop:
    kind, at, catalogue = filled
    made = Shop(kind, at, tmp_path, settings_environment(databases.settings(project_dir=tmp_path)))
    made.folder.mkdir(parents=True)
    (made.folder / "source.yaml").write_text(DESCRIBED.format(kind=kind, schema=schema_of(kind, at)))
    (made.folder / "catalog.json").write_text(catalogue)
    connector = {"hostname": at.host, "port": str(at.port), "user": at.user, "password": at.password, "dbname": at.name}
    (made.folder / "connector.json").write_text(json.dumps({f"database.{name}": v for name, v in connector.items()}))
    for name, text in FILES.items():
        (made.folder / name).write_text(text.format(**WORDS[kind]))
    return made


def test_all_live_rows_are_tried_and_everything_odd_is_told(shop: Shop) -> None:
    code, told = shop.tried("--all")
    assert code == EXIT_DIFFERENCES
    tables = {one["table"].rpartition(".")[2]: one for one in told["tables"]}
    stock = tables["stock"]
    # WHERE of the driving table comes first: a held row or one of zero yields nothing, whether it joins or not
    assert (stock["rows"], stock["whole"], stock["unmappable"]) == (301, True, 1)
    held, waiting = {n for n in range(300) if n % 7 == 0}, {n for n in range(300) if n % 40 == 39}
    assert stock["nothing"] == len(held) + 1
    assert stock["waiting"] == len(waiting - held)
    assert stock["outputs"] == 300 - stock["nothing"] - stock["waiting"]
    fallen = {one["condition"]: one["rows"] for one in told["nothing"]}
    assert sorted(fallen.values()) == [1, stock["nothing"] - 1]
    assert {one["place"] for one in told["nothing"]} == {"postings.sql:4", "postings.sql:5"}
    missing, bad = told["parked"]
    assert (missing["code"], missing["rows"]) == ("lookup-missing", stock["waiting"])
    assert missing["examples"][0].startswith("40 (of stock [3,")
    assert (bad["code"], bad["rows"]) == ("row-unmappable", 1)
    assert bad["why"] == "postings.sql:2:8: sku … begins with ~, which is onhand's own"
    assert bad["examples"][0].startswith("stock [99,\"k0\"]: postings.sql:2:8: sku '~x'")
    (status,) = told["statuses"]
    assert (status["file"], status["column"], status["code"], status["rows"]) == ("orders", "execution_status", "3", 1)
    assert status["examples"] == ["sale [5]"]
    nulls = {(one["file"], one["column"]): one["null"] for one in told["columns"]}
    assert nulls["locations", "name"] == "sometimes"
    assert nulls["postings", "quantity"] == "never"
    assert told["negative_balances"] == len(told["negative"]) == 0


def test_a_sample_takes_the_ends_of_a_table_and_one_file_alone(shop: Shop) -> None:
    code, told = shop.tried("--rows", "20", "--file", "postings.sql")  # of the newest, one cannot be mapped
    assert {one["file"] for one in told["files"]} == {"postings"}
    (stock,) = told["tables"]
    assert (stock["rows"], stock["whole"], stock["unmappable"]) == (20, False, 1)
    assert code == EXIT_DIFFERENCES
    code, text = shop.run("try", "shop", "--file", "nothing.sql")
    assert (code, "has no nothing.sql" in text) == (2, True)


def test_rows_that_contradict_each_other_are_told(shop: Shop) -> None:
    path = shop.folder / "orders.sql"
    text = path.read_text()
    path.write_text(text.replace(WORDS[shop.kind]["id"], "'X'").replace("FROM sale o", "FROM sale o WHERE o.id < 5"))
    code, told = shop.tried("--file", "orders.sql")
    (one,) = told["several"]
    assert (code, one["file"], one["column"], one["value"], one["rows"]) == (10, "orders", "order_id", "X", 4)
    assert one["examples"] == ["sale [1]", "sale [2]", "sale [3]"]
    assert "sale [1]" in shop.run("try", "shop", "--file", "orders.sql")[1]
    path.write_text(path.read_text().replace("o.placed AS placed_at", "o.placed AS as_of"))
    assert shop.tried("--file", "orders.sql")[1]["several"] == []  # the newest counts
    path.write_text("SELECT 'X' AS order_id FROM sale o")
    assert shop.tried("--file", "orders.sql")[0] == 0  # all say the same
    path.write_text(text)
    assert shop.tried("--file", "orders.sql")[1]["several"] == []


def test_a_table_without_a_key_is_told_by_inspect_and_by_try(shop: Shop) -> None:
    (shop.folder / "locations.sql").write_text("SELECT n.line AS location FROM note n")
    with writer(shop.kind, shop.at) as rows:
        rows.run("CREATE TABLE note (line varchar(9))")
        try:
            code, text = shop.run("inspect", "shop", "--json")
        finally:
            rows.run("DROP TABLE note")
    said = f"{schema_of(shop.kind, shop.at)}.note has no primary key"
    assert code == EXIT_DIFFERENCES  # the table is new in catalog.json
    assert [one for one in json.loads(text) if one["finding"].startswith(said)]
    code, text = shop.run("try", "shop")
    assert (code, f"locations.sql:1:32: table {said}" in text) == (2, True)


def test_live_lookups_find_what_whole_tables_do(shop: Shop) -> None:
    """Chunks along keys of two columns and lookups in bulk, against every table read whole."""
    mapping = load_mapping(shop.folder)
    with live_rows(mapping, target(shop.at), Limits(chunk_rows=7, rows_per_s=0)) as live:
        images = {name: [one for chunk in live.chunks(name) for one in chunk] for name in mapping.tables}
        trial = try_mapping(mapping, live, None)
    with session(shop.kind, target(shop.at)) as cursor:
        there = Server(cursor, mapping.catalogue)
        for name, table in mapping.tables.items():
            wanted = there.images(mapping.catalogue.tables[name.rpartition(".")[2]], table.columns)
            assert sorted(map(json_of, images[name])) == sorted(map(json_of, wanted))
    whole = evaluate_rows(mapping, images)
    assert trial.files["postings.packs"].outputs == 3 * sum(n % 9 < 7 for n in range(50))
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for (_, place), quantity in trial.balances.items():
        totals[place.view] += quantity
    for view, quantity in totals.items():
        made = [posting for posting in whole.outputs if isinstance(posting, Posting) and posting.view == view]
        assert quantity == total(posting.quantity for posting in made)
    assert sum(one.outputs for one in trial.files.values()) == len(whole.outputs)
    assert sum(one.waiting for one in trial.tables.values()) == len(whole.waiting)


def total(quantities: Iterable[Decimal]) -> Decimal:
    return sum(quantities, Decimal(0))


def json_of(image: bytes) -> str:
    return json.dumps(json.loads(image), sort_keys=True)


class Remembering:
    """A cursor that remembers its last question."""

    def __init__(self, cursor: Any) -> None:
        self.cursor, self.connection, self.asked = cursor, cursor.connection, ("", ())

    def execute(self, query: str, values: Any = None) -> Any:
        self.asked = (query, values)
        return self.cursor.execute(query, values)

    def fetchone(self) -> Any:
        return self.cursor.fetchone()

    def fetchall(self) -> Any:
        return self.cursor.fetchall()


def test_a_chunk_begins_in_the_index_where_all_rows_are_of_one_company(shop: Shop) -> None:
    """Otherwise a table of n rows would be read n / chunk times."""
    with writer(shop.kind, shop.at) as rows:
        rows.run("CREATE TABLE booking (company int, n int, q int NOT NULL, PRIMARY KEY (company, n))")
        rows.insert("booking", [(1, n, n) for n in range(2000)])
        rows.run("ANALYZE TABLE booking" if shop.kind == "mariadb" else "ANALYZE booking")
        schema = schema_of(shop.kind, shop.at)
        text = "SELECT 'x' AS sku, 'W' AS location, 'on_hand' AS bucket, b.q AS quantity FROM booking b"
        with server(shop.kind, shop.at, schema) as there:
            source = parse_source(f"name: shop\nkind: {shop.kind}\nschema: {schema}\n")
            mapping = compile_mapping(source, there.catalogue, {"postings.sql": text}, b"")
            cursor = Remembering(there.cursor)
            live = LiveRows(Reading(cursor, shop.kind, schema, Limits(chunk_rows=500, rows_per_s=0)), mapping)
            assert sum(map(len, live.chunks(f"{schema}.booking"))) == 2000
            query, values = cursor.asked
            explain = "EXPLAIN (ANALYZE, TIMING OFF)" if shop.kind == "postgres" else "ANALYZE FORMAT=JSON"
            names = [quoted(shop.kind, name) for name in ("company", "n")]
            piece = beyond(shop.kind, names, (1, 1000)).and_(up_to(shop.kind, names, (1, 1003)))  # as the audit reads
            plans = []
            for text, bound in (
                (query.replace("LIMIT 500", "LIMIT 3"), [1, 1, 1, 1000][-len(values) :]),
                (f"SELECT q FROM {quoted_table(shop.kind, f'{schema}.booking')} WHERE {piece.sql}", piece.values),
            ):
                there.cursor.execute(f"{explain} {text}", bound)
                plans.append("\n".join(str(row[0]) for row in there.cursor.fetchall()))
        rows.run("DROP TABLE booking")
    for plan in plans:
        if shop.kind == "postgres":
            assert "ROW(company, n) > ROW(" in plan
            assert "Rows Removed by Filter" not in plan, plan
        else:
            ((table,),) = [step.values() for step in json.loads(plan)["query_block"]["nested_loop"]]
            assert (table["access_type"], table["key_length"], table["r_rows"]) == ("range", "8", 3), plan


def test_keys_that_a_column_cannot_hold_find_nothing(shop: Shop) -> None:
    mapping = load_mapping(shop.folder)
    (by_id,) = [lookup for lookup in mapping.lookups if lookup.columns == ("id",)]
    with live_rows(mapping, target(shop.at)) as live:
        keys = [(3,), (Decimal("3.5"),), (Decimal("4.00"),), (1 << 31,), (-(1 << 40),)]
        found = [plain(image)["code"] for image in live.found(by_id, keys)]
    assert sorted(found) == ["A003", "A004"]


def test_an_example_is_recorded_disguised_and_passes(shop: Shop) -> None:
    code, text = shop.run("test", "shop", "--record", "some", "--json")
    assert code == EXIT_OK, text
    told = json.loads(text)
    path = shop.folder / "examples" / "some.json"
    made = path.read_text()
    assert told["replaced"].keys() == {"place.name", "sale.customer"}
    assert "Person" not in made
    assert "Blume" not in made
    assert "example.org" not in made
    assert {"item.code", "stock.state", "place.zone"} <= set(told["kept"])
    assert shop.run("test", "shop")[0] == EXIT_OK
    document = json.loads(made)
    document["expect"]["postings"][0]["quantity"] = 77
    path.write_text(json.dumps(document))
    assert shop.run("test", "shop")[0] == EXIT_DIFFERENCES
    assert "is there already" in shop.run("test", "shop", "--record", "some")[1]
    assert shop.run("test", "shop", "--record", "some", "--force")[0] == EXIT_OK
    assert path.read_text() == made  # the same rows give the same example


def test_rows_are_chosen_by_key_and_by_condition(shop: Shop) -> None:
    assert shop.run("test", "shop", "--record", "one", "--table", "stock", "--key", "4,k1")[0] == EXIT_OK
    rows = json.loads((shop.folder / "examples" / "one.json").read_text())["rows"]
    assert [(row["a"], row["b"]) for row in rows["stock"]] == [(4, "k1")]
    assert rows.keys() == {"stock", "item", "place"}
    chosen = ("--table", "stock", "--where", "quantity > 100 AND b LIKE '%2'", "--rows", "2")
    assert shop.run("test", "shop", "--record", "two", *chosen)[0] == EXIT_OK
    for wrong, reason in (
        (("--table", "stock", "--key", "3,k9"), "waits: no row of"),
        (("--table", "stock", "--key", "99,k9"), "1 of 1 rows are not in"),
        (("--table", "stock", "--key", "4"), "write all, with commas"),
        (("--table", "stock", "--key", "x,k9"), "is no value of a"),
        (("--table", "item", "--key", "1"), "no SELECT begins with it"),
        (("--key", "1"), "need --table"),
        (("--table", "stock", "--where", "nope = 1"), "--where 'nope = 1':"),
    ):
        code, text = shop.run("test", "shop", "--record", "wrong", *wrong)
        assert (code, reason in text) == (2, True), text
    assert not (shop.folder / "examples" / "wrong.json").exists()


def test_a_statement_that_takes_too_long_is_stopped(shop: Shop) -> None:
    sleep = "pg_sleep(60) IS NULL" if shop.kind == "postgres" else "SLEEP(60) = 1"
    with (
        pytest.raises(OnhandError, match="was stopped"),
        live_rows(load_mapping(shop.folder), target(shop.at), Limits(statement_s=0.2)) as live,
    ):
        live.where(f"{schema_of(shop.kind, shop.at)}.place", sleep, 1)
