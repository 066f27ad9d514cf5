"""Whether a database has been where its connector goes on."""

from __future__ import annotations

import pytest

from streams.connect.place import Place, before_binlog, before_wal, parse_place

FILES = [("mysql-bin.000003", 900), ("mysql-bin.000004", 500)]


def test_offsets_of_both_connectors_are_read() -> None:
    postgres = {"lsn_proc": 40, "lsn_commit": 30, "lsn": 35, "txId": 7, "messageType": "COMMIT"}
    assert parse_place(postgres) == Place(lsn=40)
    mariadb = {"file": "mysql-bin.000004", "pos": 411, "gtids": "0-1-20", "server_id": 1, "ts_sec": 1_795_000_000}
    assert parse_place(mariadb) == Place(file="mysql-bin.000004", position=411, event_s=1_795_000_000, gtids="0-1-20")
    assert parse_place({"lsn": 35, "snapshot": "INITIAL", "snapshot_completed": False}).snapshot


@pytest.mark.parametrize(("end", "before"), [(39, True), (40, False), (41, False)])
def test_wal_that_ends_before_the_place(end: int, before: bool) -> None:
    assert bool(before_wal(Place(lsn=40), end)) is before


def test_positions_are_told_as_the_server_writes_them() -> None:
    why = before_wal(Place(lsn=(2 << 32) + 0xAB), (1 << 32) + 1)
    assert why == "its WAL ends at 1/1, and the connector has read up to 2/AB"


@pytest.mark.parametrize(
    ("place", "gtids", "before"),
    [
        (Place(file="mysql-bin.000004", position=500, gtids="0-1-20"), "0-1-20", False),
        (Place(file="mysql-bin.000004", position=501), "", True),
        (Place(file="mysql-bin.000003", position=901), "", False),  # an older file is never shorter
        (Place(file="mysql-bin.000005", position=4), "", True),
        (Place(file="mysql-bin.000002", position=4), "", False),  # purged, which is another finding
        (Place(file="mysql-bin.000004", position=100, gtids="0-1-20"), "0-1-19", True),
        (Place(file="mysql-bin.000004", position=100, gtids="0-1-20"), "", True),
        (Place(file="mysql-bin.000004", position=100, gtids="0-1-20"), "1-1-99", True),
        (Place(file="mysql-bin.000004", position=100, gtids="0-1-20,1-2-5"), "1-3-6,0-2-20", False),
        (Place(), "0-1-1", False),
    ],
)
def test_a_binlog_that_ends_before_the_place(place: Place, gtids: str, before: bool) -> None:
    assert bool(before_binlog(place, FILES, gtids)) is before
