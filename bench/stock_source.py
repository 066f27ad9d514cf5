"""A warehouse system of any size for the benchmarks: items, warehouses, bins and their stock in PostgreSQL, captured.

`rows` stock rows over a tenth as many items and four warehouses, a sku's rows scattered over the table as they are in
one that has grown.  The mapping joins item, bin and warehouse, as the demo's does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from onhand.settings import Settings
from onhand.stack.local import LocalStack, settings_environment
from onhand.stack.site import write_private
from schemas.errors import OnhandError

CONFIGS = Path(__file__).parent.parent / "connect-configs"
DATABASE, ROLE, PASSWORD = "bench", "cdc", "bench-only"
CAPTURED = ("warehouse", "bin", "item", "stock", "onhand_heartbeat", "onhand_signal")
"""What a row joins first: Debezium reads in this order, and the lane evaluates as it reads."""
BINS, WAREHOUSES = 2_000, 4
ROWS_OF_A_SKU = 10

TABLES = (
    "CREATE SCHEMA erp",
    "CREATE TABLE erp.warehouse (wh_id integer PRIMARY KEY, code char(4) NOT NULL)",
    "CREATE TABLE erp.bin (bin_id integer PRIMARY KEY, wh_id integer NOT NULL, kind varchar(8) NOT NULL)",
    "CREATE TABLE erp.item (item_id integer PRIMARY KEY, code char(12) NOT NULL, name varchar(40) NOT NULL)",
    "CREATE TABLE erp.stock (stock_id integer PRIMARY KEY, item_id integer NOT NULL, bin_id integer NOT NULL, "
    "quantity numeric(12, 3) NOT NULL)",
    "CREATE TABLE erp.onhand_heartbeat (id integer PRIMARY KEY, ts timestamptz NOT NULL)",
    "CREATE TABLE erp.onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
)
POSTINGS = """
SELECT TRIM(i.code) AS sku, TRIM(w.code) AS location, 'on_hand' AS bucket, s.quantity AS quantity
  FROM erp.stock s
  JOIN erp.item i ON i.item_id = s.item_id
  JOIN erp.bin b ON b.bin_id = s.bin_id
  JOIN erp.warehouse w ON w.wh_id = b.wh_id
 WHERE b.kind <> 'SCRAP'
"""
ITEMS = "SELECT TRIM(i.code) AS sku, i.name AS name FROM erp.item i"


def sku_of(item: int) -> str:
    return f"A{item:07d}"


@dataclass(frozen=True)
class StockSource:
    """The database and a project folder with sources over it."""

    stack: LocalStack
    project: Path
    rows: int

    @property
    def items(self) -> int:
        return self.rows // ROWS_OF_A_SKU

    @property
    def settings(self) -> Settings:
        return self.stack.settings(project_dir=self.project)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        base = self.stack.endpoints.postgres_dsn
        return psycopg.connect(base.rsplit("/", 1)[0] + "/" + DATABASE, autocommit=True, **options)

    def onhand(self, *arguments: str) -> str:
        """Run the command line; its standard output.  Raises OnhandError with what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "onhand.cli.main", *arguments],
            env={**os.environ, **settings_environment(self.settings)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise OnhandError(f"onhand {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def add_source(self, name: str, **config: str) -> None:
        """A source over the tables: folder, publication, secret; `config`: connector.json, dots as `__`."""
        folder = self.project / "connect-configs" / name
        folder.mkdir(parents=True)
        (folder / "source.yaml").write_text(f"name: {name}\nkind: postgres\nschema: erp\ntime_zone: UTC\n")
        (folder / "postings.sql").write_text(POSTINGS)
        (folder / "items.sql").write_text(ITEMS)
        slot = name.replace("-", "_")
        document = json.loads((CONFIGS / "erp" / "connector.json").read_text()) | {
            "topic.prefix": name,
            "database.dbname": DATABASE,
            "database.password": f"${{file:${{onhand:secrets}}/{name}.properties:password}}",
            "slot.name": slot,
            "publication.name": slot,
            "notification.sink.topic.name": f"{name}.notifications",
            "transforms.one.replacement": f"cdc.{name}",
            "table.include.list": ",".join(rf"erp\.{table}" for table in CAPTURED),
        }
        document |= {key.replace("__", "."): value for key, value in config.items()}
        (folder / "connector.json").write_text(json.dumps(document))
        write_private(self.stack.endpoints.secrets / f"{name}.properties", f"password={PASSWORD}\n")
        with self.connect() as database:
            database.execute(
                sql.SQL(
                    "CREATE PUBLICATION {} FOR TABLE erp.warehouse, erp.bin, erp.item, erp.stock, "
                    "erp.onhand_heartbeat, erp.onhand_signal"
                ).format(sql.Identifier(slot))
            )
        self.onhand("source", "inspect", name)


def make(stack: LocalStack, project: Path, rows: int, owner: str) -> StockSource:
    """Fill a fresh database; `owner` is the source that owns what is on hand."""
    configs = project / "connect-configs"
    configs.mkdir(parents=True)
    buckets = ("on_hold", "safety_stock", "demand", "fulfilled", "inbound", "received", "reserved")
    (configs / "ownership.yaml").write_text(
        f"time_zone: UTC\ndrift_after_s: 60\nitems: [{owner}]\nlocations: [{owner}]\n"
        f"inventory:\n  on_hand: [{owner}]\n"
        + "".join(f"  {bucket}: []\n" for bucket in buckets)
        + 'orders:\n  header: {"*": []}\n  lines: {"*": []}\n  shipments: []\n'
    )
    source = StockSource(stack, project, rows)
    with psycopg.connect(stack.endpoints.postgres_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}").format(_role(), sql.Literal(PASSWORD)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with source.connect() as database:
        for statement in TABLES:
            database.execute(sql.SQL(statement))
        database.execute("INSERT INTO erp.warehouse SELECT n, 'W' || n FROM generate_series(1, %s) n", [WAREHOUSES])
        database.execute(
            "INSERT INTO erp.bin SELECT n, n %% %s + 1, CASE WHEN n %% 50 = 49 THEN 'SCRAP' ELSE 'PICK' END "
            "FROM generate_series(0, %s) n",
            [WAREHOUSES, BINS - 1],
        )
        database.execute(
            "INSERT INTO erp.item SELECT n, 'A' || lpad(n::text, 7, '0'), 'Widget ' || n FROM generate_series(0, %s) n",
            [source.items - 1],
        )
        database.execute(
            "INSERT INTO erp.stock SELECT n, (n::bigint * 7919) %% %s, (n::bigint * 104729 / 7) %% %s, n %% 900 + 1 "
            "FROM generate_series(0, %s) n",
            [source.items, BINS, rows - 1],
        )
        for grant in (
            "GRANT USAGE ON SCHEMA erp TO {}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA erp TO {}",
            "GRANT INSERT, UPDATE ON erp.onhand_heartbeat TO {}",
            "GRANT INSERT, DELETE ON erp.onhand_signal TO {}",
        ):
            database.execute(sql.SQL(grant).format(_role()))
        database.execute("VACUUM ANALYZE")
    return source


def _role() -> sql.Identifier:
    return sql.Identifier(ROLE)
