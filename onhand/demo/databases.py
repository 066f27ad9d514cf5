"""The two demo databases: made from their SQL, filled with a seeded business, opened for traffic."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import psycopg
import pymysql

WAREHOUSES = {1: "W1", 2: "W2"}
PICK_BINS = 40
"""Pick bins per warehouse; bin ids are 1000 × warehouse + n, 1000 × warehouse is staging."""
BULK_OFFSET = 500


@dataclass(frozen=True)
class Endpoint:
    """Where a database listens and the user that owns the demo's tables."""

    host: str
    port: int
    user: str
    password: str


def connect_erp(at: Endpoint, database: str = "erp", **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=at.host, port=at.port, user=at.user, password=at.password, dbname=database, autocommit=True, **options
    )


def connect_wms(at: Endpoint, database: str | None = "wms") -> pymysql.connections.Connection[Any]:
    return pymysql.connect(
        host=at.host,
        port=at.port,
        user=at.user,
        password=at.password,
        database=database,
        autocommit=True,
        charset="utf8mb4",
    )


def statements(name: str) -> list[str]:
    """The statements of one SQL file, comments dropped."""
    text = files("onhand.demo").joinpath("sql", name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def create_erp(at: Endpoint, cdc_password: str, database: str = "erp") -> None:
    """A fresh database `erp` with its tables, publication and the role `cdc` for the connector."""
    with connect_erp(at, "postgres") as admin:
        quoted = psycopg.sql.Literal(cdc_password)
        admin.execute(
            psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(psycopg.sql.Identifier(database))
        )
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'cdc'").fetchone() is None:
            admin.execute("CREATE ROLE cdc")
        admin.execute(psycopg.sql.SQL("ALTER ROLE cdc LOGIN REPLICATION PASSWORD {}").format(quoted))
        admin.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
    with connect_erp(at, database) as erp:
        for statement in statements("erp.sql"):
            erp.execute(psycopg.sql.SQL(statement))


def create_wms(at: Endpoint, cdc_password: str, database: str = "wms") -> None:
    """A fresh database `wms` with its tables and the user `cdc` for the connector."""
    with connect_wms(at, None) as server, server.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{database}`")
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER IF NOT EXISTS 'cdc'@'%%' IDENTIFIED BY %s", [cdc_password])
        cursor.execute("ALTER USER 'cdc'@'%%' IDENTIFIED BY %s", [cdc_password])
        cursor.execute(
            "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR, LOCK TABLES "
            "ON *.* TO 'cdc'@'%'"
        )
        cursor.execute(f"USE `{database}`")
        for statement in statements("wms.sql"):
            cursor.execute(statement)
        cursor.execute(f"GRANT INSERT, UPDATE ON `{database}`.onhand_heartbeat TO 'cdc'@'%'")
        cursor.execute(f"GRANT INSERT, DELETE ON `{database}`.onhand_signal TO 'cdc'@'%'")


def cyyddd(day: dt.date) -> int:
    return (day.year - 1900) * 1000 + day.timetuple().tm_yday


@dataclass
class Business:
    """What the traffic program needs to know of the seeded business; the databases hold everything else."""

    skus: list[str]
    item_ids: dict[str, int]
    hot: list[str]
    """Items with little stock and most of the demand."""
    order_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(500_000))
    po_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(80_000))
    opening: dict[tuple[str, int], int] = field(default_factory=dict)
    """(sku, warehouse) → pieces in the bins at the beginning, and so in the ERP's balances."""
    entered: list[Order] = field(default_factory=list)
    """Orders not yet released to a warehouse."""
    purchases: list[Purchase] = field(default_factory=list)


@dataclass
class Line:
    number: int
    sku: str
    warehouse: int
    quantity: int
    """Whole pieces."""


@dataclass
class Order:
    number: int
    lines: list[Line]


@dataclass
class Purchase:
    number: int
    line: int
    sku: str
    warehouse: int
    quantity: int


def lot_of(item_id: int, warehouse: int) -> int:
    """The free lot of an item in a warehouse; the one after it is held."""
    return item_id * 10 + warehouse * 2


def pick_bin(item_id: int, warehouse: int) -> int:
    return warehouse * 1000 + 1 + item_id % PICK_BINS


def stage_bin(warehouse: int) -> int:
    return warehouse * 1000


def seed(erp_at: Endpoint, wms_at: Endpoint, items: int, rng: random.Random, today: dt.date) -> Business:
    """Fill both databases: items, stock in bins and lots, customers, open and archived orders, purchase orders."""
    skus = [f"A{100_000 + 7 * n}" for n in range(items)]
    business = Business(skus, {sku: n + 1 for n, sku in enumerate(skus)}, skus[: max(20, items // 25)])
    with connect_wms(wms_at) as wms, wms.cursor() as cursor:
        wms.begin()
        _seed_wms(cursor, business, rng)
        wms.commit()
    with connect_erp(erp_at) as erp, erp.transaction(), erp.cursor() as cursor:
        _seed_erp(cursor, business, rng, today)
    return business


def _seed_erp(cursor: Any, business: Business, rng: random.Random, today: dt.date) -> None:
    cursor.executemany("INSERT INTO erp.whsmst VALUES (%s, %s, %s)", [("W1", "Hamburg", "UTC"), ("W2", "Linz", "UTC")])
    cursor.executemany("INSERT INTO erp.cusmst VALUES (%s, %s)", [(f"C{n:05}", f"Customer {n}") for n in range(300)])
    with cursor.copy("COPY erp.itmast FROM STDIN") as copy:
        for n, sku in enumerate(business.skus):
            stocked = "N" if n % 97 == 96 else "Y"
            limit = 500 if n % 50 == 49 else 0
            note = "long text " * 400 if n % 40 == 0 else None
            copy.write_row((sku, f"Widget {n}", "EA", 90 if n % 101 == 100 else 10, stocked, limit, note))
    with cursor.copy("COPY erp.itmbal FROM STDIN") as copy:
        for n, sku in enumerate(business.skus):
            for warehouse, code in WAREHOUSES.items():
                copy.write_row((sku, code, 100 * business.opening[sku, warehouse], 200 if n % 5 == 0 else 0))
    orders: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    history: list[tuple[Any, ...]] = []
    for n in range(len(business.skus) // 2):
        number = 400_000 + n
        archived = n % 2 == 0
        due = cyyddd(today + dt.timedelta(rng.randint(-5, 25))) if n % 3 else 0
        orders.append(
            (number, f"C{n % 300:05}", "PH", cyyddd(today), due, 80 if archived else 40, 2 if archived else 0)
        )
        for line in range(1, rng.randint(2, 4)):
            quantity = 100 * rng.randint(1, 4)
            start = (number, line, rng.choice(business.skus), WAREHOUSES[rng.randint(1, 2)], quantity)
            (history if archived else lines).append(
                (*start, quantity if archived else 0, 0, 80 if archived else 40, due)
            )
    for table, rows in (("ordhdr", orders), ("ordlin", lines), ("ordlnh", history)):
        with cursor.copy(f"COPY erp.{table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    with cursor.copy("COPY erp.purlin FROM STDIN") as copy:
        for n in range(len(business.skus) // 4):
            purchase = Purchase(70_000 + n, 1, rng.choice(business.skus), rng.randint(1, 2), rng.randint(5, 60))
            business.purchases.append(purchase)
            due_day = today + dt.timedelta(rng.randint(-10, 30))
            split = (due_day.year, due_day.month, due_day.day) if n % 11 else (0, 0, 0)
            where = WAREHOUSES[purchase.warehouse]
            copy.write_row(
                (purchase.number, 1, f"V{n % 40:05}", purchase.sku, where, purchase.quantity * 100, 0, 10, *split)
            )


def _seed_wms(cursor: Any, business: Business, rng: random.Random) -> None:
    cursor.executemany("INSERT INTO warehouse VALUES (%s, %s)", [(n, code.lower()) for n, code in WAREHOUSES.items()])
    bins = []
    for warehouse in WAREHOUSES:
        bins.append((stage_bin(warehouse), warehouse, f"ST{warehouse}", "STAGE"))
        bins += [(warehouse * 1000 + n, warehouse, f"P{n:03}", "PICK") for n in range(1, PICK_BINS + 1)]
        bins += [(warehouse * 1000 + BULK_OFFSET + n, warehouse, f"B{n:03}", "BULK") for n in range(1, 11)]
        bins.append((warehouse * 1000 + 900, warehouse, "SCRAP", "SCRAP"))
    cursor.executemany("INSERT INTO bin VALUES (%s, %s, %s, %s)", bins)
    items = [(item_id, f"{sku[0].lower()}-{sku[1:]}") for sku, item_id in business.item_ids.items()]
    cursor.executemany("INSERT INTO item VALUES (%s, %s)", items)
    lots, stock = [], []
    hot = set(business.hot)
    for sku, item_id in business.item_ids.items():
        for warehouse in WAREHOUSES:
            lot = lot_of(item_id, warehouse)
            lots += [(lot, item_id, f"L{lot}", 0), (lot + 1, item_id, f"L{lot + 1}", 1)]
            pieces = rng.randint(2, 14) if sku in hot else rng.randint(10, 90)
            stock.append((pick_bin(item_id, warehouse), item_id, lot, pieces))
            business.opening[sku, warehouse] = pieces
            if item_id % 7 == 0:
                bulk, held = warehouse * 1000 + BULK_OFFSET + 1 + item_id % 10, rng.randint(1, 20)
                stock.append((bulk, item_id, lot + 1, held))
                business.opening[sku, warehouse] += held
    cursor.executemany("INSERT INTO lot VALUES (%s, %s, %s, %s)", lots)
    cursor.executemany("INSERT INTO bin_stock (bin_id, item_id, lot_id, qty) VALUES (%s, %s, %s, %s)", stock)
