"""Compares every balance and bill of a source with what its lane holds: the mapping's own SQL, run by the database.

One round: a read-only snapshot at a known source position, the file texts wrapped in GROUP BY; then wait until the
lane has passed that position; then the lane's sums, from its changelog.  Writers go on meanwhile, so a balance that
was changed between the two readings may differ.  A difference counts when two rounds show it with the same two
values; what still moves after the last round is told as undecided, never as equal.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.catalogue import Cursor, session
from streams.connect.preflight import Target
from streams.core.lane.keys import balance_name, split_sku
from streams.core.lane.sums import decode_sum
from streams.core.log.position import NOWHERE, binlog_number, covered_binlog, covered_lsn, reached
from streams.core.mapping.mapping import CompiledMapping

POLL_S = 0.2


COMPONENT = "component"
"""Stands in place of a bucket for a line of a bill of material: sku is the kit, reference the component."""


class BalanceKey(NamedTuple):
    """What tells one balance of a source, or one line of a bill, from another."""

    view: str
    sku: str
    location: str
    bucket: str
    due: str | None
    """ISO date."""
    reference: str | None


class Total(NamedTuple):
    """One balance's value."""

    quantity: Decimal
    postings: int


NOTHING = Total(Decimal(0), 0)


class Difference(NamedTuple):
    """A balance on which database and lane disagree."""

    key: BalanceKey
    there: Total
    """As the database's own evaluation of the mapping says."""
    here: Total
    """As the lane holds it."""

    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        return {
            **self.key._asdict(),
            "database": self.there.quantity,
            "lane": self.here.quantity,
            "database_postings": self.there.postings,
            "lane_postings": self.here.postings,
        }


@dataclass
class Report:
    """Result of an audit."""

    source: str
    position: str = NOWHERE
    """Source position of the last round."""
    rounds: int = 0
    balances: int = 0
    """Compared in the last round."""
    differences: list[Difference] = field(default_factory=list)
    """Seen twice with the same values."""
    undecided: list[Difference] = field(default_factory=list)
    """Differed in the last round, with values that still moved."""


def compare(there: Mapping[BalanceKey, Total], here: Mapping[BalanceKey, Total]) -> list[Difference]:
    """Every balance whose quantity or number of postings differs, by key; a balance that is not there is nothing."""
    found = [
        Difference(key, there.get(key, NOTHING), here.get(key, NOTHING))
        for key in there.keys() | here.keys()
        if there.get(key, NOTHING) != here.get(key, NOTHING)
    ]
    return sorted(found, key=lambda d: tuple(part or "" for part in d.key))


def settled(earlier: Iterable[Difference], now: Iterable[Difference]) -> tuple[list[Difference], list[Difference]]:
    """(differences that two rounds show with the same values, those that may still be movement)."""
    before = set(earlier)
    both = [difference for difference in now if difference in before]
    return both, [difference for difference in now if difference not in before]


def audit_query(kind: str, text: str, columns: Iterable[str]) -> str:
    """A postings file wrapped so that the database itself sums it: view's columns, SUM and COUNT."""
    known = set(columns)
    names = [name if name in known else "NULL" for name in BalanceKey._fields[1:]]
    body = text.strip().removesuffix(";")
    groups = [f"BINARY {name}" if kind == "mariadb" and name != "due" else name for name in names if name != "NULL"]
    return f"SELECT {', '.join(names)}, SUM(quantity), COUNT(*)\nFROM (\n{body}\n) AS m\nGROUP BY {', '.join(groups)}"


def bill_query(kind: str, text: str) -> str:
    """A components file wrapped so that the database itself sums it: kit, component, quantity."""
    body = text.strip().removesuffix(";")
    groups = ", ".join(f"BINARY {name}" if kind == "mariadb" else name for name in ("sku", "component"))
    return f"SELECT sku, component, SUM(quantity)\nFROM (\n{body}\n) AS m\nGROUP BY {groups}"


def read_database(mapping: CompiledMapping, at: Target) -> tuple[str, dict[BalanceKey, Total]]:
    """(source position, every balance as the database computes it), in one snapshot.

    Raises EnvironmentFault; also when a row has no value in SQL: then the whole query fails in the database.
    """
    totals: dict[BalanceKey, Total] = {}
    with session(mapping.source.kind, at) as cursor:
        position = _begin(mapping, cursor)
        for name, text in mapping.files.items():
            file = name.partition(" ")[0].removesuffix(".sql")
            if file.partition(".")[0] == "components":
                cursor.execute(bill_query(mapping.source.kind, text))
                for kit, component, quantity in cursor.fetchall():
                    _add_line(totals, kit, component, Decimal(str(quantity)))
            if file.partition(".")[0] != "postings":
                continue
            cursor.execute(audit_query(mapping.source.kind, text, mapping.columns[name]))
            for sku, location, bucket, due, reference, quantity, postings in cursor.fetchall():
                day = due.isoformat() if isinstance(due, dt.date) else due
                key = BalanceKey(file.partition(".")[2], sku, location, bucket, day, reference)
                total = totals.get(key, NOTHING)
                totals[key] = Total(total.quantity + Decimal(str(quantity or 0)), total.postings + int(postings))
        cursor.execute("ROLLBACK")
    return position, totals


def _add_line(totals: dict[BalanceKey, Total], kit: str, component: str, quantity: Decimal) -> None:
    """Lines of one kit about the same component add up; of how many rows they are is nobody's affair."""
    key = BalanceKey("", kit, "", COMPONENT, None, component)
    totals[key] = Total(totals.get(key, NOTHING).quantity + quantity, 1)


def _begin(mapping: CompiledMapping, cursor: Cursor) -> str:
    """Opens the snapshot and says at which source position it stands."""
    if mapping.source.kind == "postgres":
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_current_snapshot()")
        position = covered_lsn(int(cursor.fetchone()[0]))
        cursor.execute("SELECT set_config('search_path', %s, true)", (mapping.source.schema_,))
        return position
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    cursor.execute("SHOW STATUS LIKE 'binlog_snapshot_%'")
    status = {name.lower(): value for name, value in cursor.fetchall()}
    if not status.get("binlog_snapshot_file"):
        raise EnvironmentFault("MariaDB tells no binlog position: switch log_bin on, and grant BINLOG MONITOR")
    return covered_binlog(binlog_number(status["binlog_snapshot_file"]), int(status["binlog_snapshot_position"]))


def lane_totals(state: Mapping[bytes, bytes]) -> dict[BalanceKey, Total]:
    """Every balance and bill of a lane's state.  Archived rows that it keeps are not in the database and left out."""
    totals: dict[BalanceKey, Total] = {}
    for name, value in state.items():
        if name[:1] == b"b":
            kit, rest = split_sku(name[1:])
            _add_line(totals, kit.decode(), split_sku(rest)[0].decode(), Decimal(value.decode()))
        if name[:1] != b"s":
            continue
        found = decode_sum(value)
        sku, balance = split_sku(name[1:])
        what = balance_name(balance)
        kept = sum((one.quantity for one in found.kept), Decimal(0))
        total = Total(found.quantity - kept, found.postings - len(found.kept))
        if total.postings:
            due = what.due.isoformat() if what.due else None
            key = BalanceKey(what.view, sku.decode(), what.location, what.bucket.value, due, what.reference)
            totals[key] = total
    return totals


def audit(
    mapping: CompiledMapping,
    at: Target,
    covered: Callable[[], str],
    lane_state: Callable[[], Mapping[bytes, bytes]],
    *,
    rounds: int = 4,
    timeout_s: float = 60.0,
) -> Report:
    """Rounds until one is clean, or every difference was seen twice, or there are no more.

    `covered` says the lane's covered position, `lane_state` reads its state from the changelog.
    Raises EnvironmentFault when the lane does not pass the snapshot's position in time.
    """
    report = Report(mapping.source.name)
    earlier: list[Difference] = []
    for _ in range(rounds):
        report.position, there = read_database(mapping, at)
        _wait(mapping.source.name, report.position, covered, timeout_s)
        here = lane_totals(lane_state())
        report.rounds += 1
        report.balances = len(there.keys() | here.keys())
        found = compare(there, here)
        report.differences, report.undecided = settled(earlier, found)
        if not report.undecided:
            break
        earlier = found
    return report


def _wait(source: str, position: str, covered: Callable[[], str], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        have = covered()
        try:
            if have != NOWHERE and reached(have, position):
                return
        except InvalidInput as error:
            raise EnvironmentFault(f"source {source}: {error}") from None
        if time.monotonic() > deadline:
            raise EnvironmentFault(
                f"source {source}: the lane stands at {have or 'nothing'} and did not pass {position} in "
                f"{timeout_s:.0f} s: look at `onhand status` and `onhand source status {source}`"
            )
        time.sleep(POLL_S)
