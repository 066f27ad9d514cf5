"""onhand on a Tryton: the ready folder copied under a name of its own, its connector, lane and inventory running."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import psycopg

from schemas import administration
from schemas.messages import OrderPartMessage
from schemas.records import Atp, Bucket, Position, Progress
from streams.connect.folder import read_source
from streams.connect.tables import named_tables, split_patterns
from streams.core.lane.render import ORDER_PART_TOPIC
from streams.core.log.position import covered_lsn, reached
from tests.integration.connect_support import PASSWORD, Project, project
from tests.integration.lane_support import Lane
from tests.integration.tryton_support.erp import Tryton
from tests.integration.worker_support import Workers
from tests.stack import Database, RunningStack, unique

READY = Path(__file__).parents[3] / "connect-configs" / "ready" / "tryton"
OWNERSHIP = """items: [{0}]
locations: [{0}]
inventory: {{on_hand: [{0}], on_hold: [], safety_stock: [], demand: [{0}], fulfilled: [], inbound: [{0}], received: [],
            reserved: []}}
orders: {{header: [{0}], lines: [{0}], shipments: [{0}]}}
"""
NOTHING: Mapping[tuple[str, str], float] = {}


class Chain:
    """Tryton at one end, positions and promises at the other."""

    def __init__(self, erp: Tryton, lane: Lane, inventory: Workers) -> None:
        self.erp, self.lane, self.inventory = erp, lane, inventory

    def passed(self) -> None:
        """Everything committed in Tryton is in the promises of every partition."""
        with psycopg.connect(self.lane.database.dsn) as session:
            row = session.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        position, name = covered_lsn(int(row[0])), self.lane.name
        wanted = {f"inventory/{name}/{partition}" for partition in range(self.lane.settings.partitions)}

        def all_there() -> bool:
            stated = self.lane.newest("progress.v1")
            there = [one for key in wanted if isinstance(one := stated.get(key), Progress) and one.complete]
            return len(there) == len(wanted) and all(reached(one.source_position, position) for one in there)

        self.lane.await_(lambda: self.lane.complete(), "a complete lane")
        self.inventory.wait_for(all_there, f"{position} in the promises")

    def positions(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(sku, location) → (on hand, forecast: with everything open, overdue or not)."""
        found: dict[tuple[str, str], tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0), Decimal(0)))
        signs = {Bucket.ON_HAND: 1, Bucket.INBOUND: 1, Bucket.DEMAND: -1}
        for partition in range(self.lane.settings.partitions):
            for position in self.lane.newest("inventory.position.v1", partition).values():
                assert isinstance(position, Position)
                for line in position.lines:
                    on_hand, forecast = found[position.sku, line.location]
                    change = signs[line.bucket] * line.quantity
                    found[position.sku, line.location] = (
                        on_hand + (change if line.bucket is Bucket.ON_HAND else 0),
                        forecast + change,
                    )
        return {key: (float(on_hand), float(forecast)) for key, (on_hand, forecast) in found.items()}

    def promise(self, sku: str) -> Atp:
        """What is promised of it."""
        for partition in range(self.lane.settings.partitions):
            atp = self.lane.newest("inventory.atp.v1", partition).get(sku)
            if isinstance(atp, Atp):
                return atp
        raise AssertionError(f"nothing is promised of {sku}")

    def orders(self) -> dict[str, str]:
        """order_id → where the source says that it stands, as the lane has told it last."""
        found: dict[str, str] = {}
        for partition in range(self.lane.settings.partitions):
            for order, message in self.lane.newest(ORDER_PART_TOPIC, partition).items():
                assert isinstance(message, OrderPartMessage)
                for part in message.order_parts if message.source == self.lane.name else ():
                    if part.kind == "header" and (status := part.attributes["execution_status"]):
                        found[order] = status
        return found

    def agrees(
        self, *, overdue: Mapping[tuple[str, str], float] = NOTHING, unmoved: Mapping[tuple[str, str], float] = NOTHING
    ) -> None:
        """On hand is Tryton's `quantity` everywhere, and the forecast its `forecast_quantity`.

        Two things onhand counts that Tryton's forecast does not: draft moves whose day has passed (`overdue`, net) and
        what is ordered without a move (`unmoved`).
        """
        self.passed()
        goods = {key: one for key, one in self.erp.stock().items() if not one.kit}
        late = {key: one.overdue for key, one in goods.items() if one.overdue}
        assert late == overdue, f"Tryton says that {late} is overdue"
        positions = self.positions()
        wrong = [
            f"{key}: {ours}, in Tryton {one.quantity}, {forecast}"
            for key, one in goods.items()
            for ours, forecast in [
                (positions.get(key, (0, 0)), one.forecast + overdue.get(key, 0) + unmoved.get(key, 0)),
            ]
            if ours != (one.quantity, forecast)
        ]
        assert not wrong, "(on hand, forecast) of " + "; ".join(wrong)

    def kits(self, sku: str, location: str) -> tuple[float, float | None]:
        """How many of a kit can be made there: what Tryton says, and the promise."""
        kit = self.promise(sku).kit
        assert kit is not None
        makeable = next(place.makeable for place in kit.places if place.location == location)
        return self.erp.stock()[sku, location].quantity, None if makeable is None else float(makeable)


@contextmanager
def tryton_chain(stack: RunningStack, database: Database, erp: Tryton, tmp_path: Path) -> Iterator[Chain]:
    """Tryton has its tables; the chain reads them as they are now and follows."""
    root, data_dir = tmp_path / "project", tmp_path / "data"
    root.mkdir()
    data_dir.mkdir()
    with project(stack, root) as made:
        name = onboard(made, database)
        settings = made.settings
        administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        lane = Lane(made, name, database, data_dir)
        inventory = Workers(lane.settings, "inventory")
        inventory.start()
        try:
            lane.run("inspect", name)
            lane.run("test", name)
            lane.run("apply", name)
            lane.start()
            yield Chain(erp, lane, inventory)
        finally:
            lane.kill()
            inventory.close()


def onboard(made: Project, database: Database) -> str:
    """The ready folder, renamed, and what the DBA makes; the source's name."""
    name = unique("tryton").replace("_", "")
    made.names.append(name)
    folder = made.settings.connect_configs / name
    shutil.copytree(READY, folder)
    for file in ("source.yaml", "connector.json"):
        text = (folder / file).read_text()
        (folder / file).write_text(text.replace("tryton", name))
    made.change(name, database__user=name, database__dbname=database.name)
    (made.settings.connect_configs / "ownership.yaml").write_text(OWNERSHIP.format(name))
    made.settings.secrets.mkdir(parents=True, exist_ok=True)
    (made.settings.secrets / f"{name}.properties").write_text(f"password={PASSWORD}\n")
    config = read_source(folder, made.settings.connector_variables).config
    tables, _ = named_tables(split_patterns(config["table.include.list"]))
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        for statement in (
            f"CREATE ROLE {name} LOGIN REPLICATION PASSWORD '{PASSWORD}'",
            "CREATE TABLE onhand_heartbeat (id integer PRIMARY KEY, ts timestamptz NOT NULL)",
            "CREATE TABLE onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))",
            f"GRANT SELECT ON {', '.join(tables)} TO {name}",
            f"GRANT INSERT, UPDATE ON onhand_heartbeat TO {name}",
            f"GRANT INSERT, DELETE ON onhand_signal TO {name}",
            f"CREATE PUBLICATION onhand_{name} FOR TABLE {', '.join(tables)}",
        ):
            admin.execute(statement.encode())
    return name
