"""The ready folders on tables of the real shape: a lane holds what the database says, and what the vendor means.

Rows are made with each system's quirks and changed at random.  After every round the lane's balances and bills are
compared with the mapping's own SQL summed by the database, and with SQL written after the
vendor's code.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streams.core.mapping import catalogue as catalogues
from streams.core.mapping.catalogue import Catalogue, drift
from streams.core.mapping.mapping import CompiledMapping, load_mapping
from tests.integration.mapping_support.databases import Writer, server, writer
from tests.integration.mapping_support.rows import Server
from tests.integration.ready_support.contents import Change, Contents
from tests.integration.ready_support.dolibarr import DOLIBARR
from tests.integration.ready_support.erpnext import ERPNEXT
from tests.integration.ready_support.log import TableLog
from tests.integration.ready_support.odoo import ODOO
from tests.integration.ready_support.openboxes import OPENBOXES
from tests.integration.ready_support.system import System
from tests.integration.ready_support.totals import COMPONENT, Totals, database_totals, lane_totals
from tests.stack import Database
from tests.unit.lane.conftest import Lane

pytestmark = pytest.mark.integration

ROUNDS, CHANGES = 6, 25
CLAIMS = {"demand": "fulfilled", "inbound": "received"}
DIGITS = Decimal("0.000001")


class Trial:
    """One system's database, and a lane that is told its rows."""

    def __init__(self, system: System, rows: Writer, there: Server, mapping: CompiledMapping) -> None:
        self.system, self.rows, self.there, self.mapping = system, rows, there, mapping
        self.keys = {name: there.catalogue.tables[_short(name)].primary[0] for name in mapping.tables}
        self.lane = Lane(mapping)
        self.log = self.lane.log = TableLog(self.keys)

    def read(self) -> None:
        """A first snapshot."""
        self.log.read({name: self._images(name) for name in self.mapping.tables})

    def follow(self, change: Change) -> None:
        """What the connector tells of it."""
        name = next(name for name in self.mapping.tables if _short(name) == change.table)
        column = self.keys[name]
        if change.op == "d":
            self.log.transaction(("d", name, {column: change.key}))
            return
        rows = map(json.loads, self._images(name))
        self.log.transaction((change.op, name, next(row for row in rows if row[column] == change.key)))

    def lane_says(self) -> Totals:
        self.lane.run()
        told = [record for record in self.lane.exceptions().values() if record.code != "lookup-missing"]
        assert told == []
        return lane_totals(self.lane.runtime.state())

    def database_says(self) -> Totals:
        return database_totals(self.mapping, self.there.query)

    def vendor_says(self) -> dict[str, dict[tuple[str, str], Decimal]]:
        return {what: _sums(self.rows.query(sql)) for what, sql in self.system.meaning.items()}

    def _images(self, name: str) -> list[bytes]:
        return self.there.images(self.there.catalogue.tables[_short(name)], self.mapping.tables[name].columns)


def _short(name: str) -> str:
    return name.partition(".")[2]


def _sums(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[str, str], Decimal]:
    """By sku and location; what comes to nothing is left out."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for sku, location, quantity in rows:
        sums[sku, location] += Decimal(str(quantity or 0))
    rounded = {key: total.quantize(DIGITS) for key, total in sums.items()}
    return {key: total for key, total in rounded.items() if total}


def _meant(totals: Totals) -> dict[str, dict[tuple[str, str], Decimal]]:
    """What a lane's balances come to, as inventory reads them: of a claim only what is open counts."""
    balances: dict[str, list[tuple[str, str, Decimal]]] = {
        what: [] for what in ("on_hand", "on_hold", "demand", "inbound", COMPONENT)
    }
    claims: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    sign = {"demand": 1, "fulfilled": -1, "inbound": 1, "received": -1}
    opened_by = {done: opened for opened, done in CLAIMS.items()}
    for key, (quantity, _) in totals.items():
        if key.bucket == COMPONENT:
            balances[COMPONENT].append((key.sku, str(key.reference), quantity))
        elif key.reference is None:
            balances[key.bucket].append((key.sku, key.location, quantity))
        else:
            what = opened_by.get(key.bucket, key.bucket)
            claims[what, key.sku, key.location, key.reference] += sign[key.bucket] * quantity
    for (what, sku, location, _), still in claims.items():
        balances[what].append((sku, location, max(Decimal(0), still)))
    return {what: _sums(rows) for what, rows in balances.items()}


def _adopt(system: System, there: Server, into: Path) -> CompiledMapping:
    """The folder as `onhand source init --from` and `inspect` leave it; its catalogue is the database's."""
    schema = there.catalogue.schema
    into.mkdir()
    for path in system.folder.glob("*.sql"):
        (into / path.name).write_text(path.read_text())
    text = (system.folder / "source.yaml").read_text()
    own = next(line for line in text.splitlines() if line.startswith("schema: ")).split()[1]
    (into / "source.yaml").write_text(text.replace(f"\nschema: {own}", f"\nschema: {schema}", 1))
    (into / catalogues.FILE).write_text(there.catalogue.dump())

    ready = Catalogue.load((system.folder / catalogues.FILE).read_bytes())
    ready.schema = schema
    assert drift(ready, there.catalogue) == []
    return load_mapping(into)


@pytest.mark.parametrize("system", [ODOO, ERPNEXT, DOLIBARR, OPENBOXES], ids=lambda system: system.name)
def test_a_lane_holds_what_the_database_says_and_the_vendor_means(
    system: System, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    at: Database = request.getfixturevalue(system.kind)
    with writer(system.kind, at) as rows:
        contents = Contents(system, rows)
        contents.make()
        with server(system.kind, at) as there:
            trial = Trial(system, rows, there, _adopt(system, there, tmp_path / system.name))
            trial.read()
            seen: Counter[str] = Counter()
            for _ in range(ROUNDS):
                held = trial.lane_says()
                assert held == trial.database_says()
                meant = _meant(held)
                for what, sums in trial.vendor_says().items():
                    seen[what] += len(sums)
                    assert meant[what] == sums, what
                for _ in range(CHANGES):
                    trial.follow(contents.change())
    assert [what for what in system.meaning if not seen[what]] == [], "these rows show nothing of it"
    parts = {part.kind for _, part in trial.lane.received().parts.values()}
    assert len(parts) == 3, "headers, lines and shipments"
