"""The log's records as Debezium writes them (verbatim, cut), positions, transactions and the mark."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidInput, PoisonRecord
from streams.core.log.control import CONTROL_KEY, Action, Control, decode_control, encode_control
from streams.core.log.event import Event, Kind, decode_event
from streams.core.log.position import (
    NOWHERE,
    Position,
    binlog_position,
    covered_binlog,
    covered_lsn,
    parse_covered,
    postgres_position,
    reached,
)
from streams.core.log.resend import Mark, Verdict
from streams.core.log.snapshot import Finding, Snapshot, scanned_table
from streams.core.log.transactions import cut
from streams.core.unit import InputRecord

PG_SNAPSHOT = (
    b'{"before":null,"after":{"company":"001","sku":"0000100009  "},"source":{"version":"3.7.0.Final",'
    b'"connector":"postgresql","name":"erp1","ts_ms":1795472061348,"snapshot":"true","db":"erp",'
    b'"sequence":"[null,\\"32782456\\"]","ts_us":1795472061348427,"ts_ns":1795472061348427000,"schema":"erp",'
    b'"table":"item","txId":3922,"lsn":32782456,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,'
    b'"op":"r","ts_ms":1795472061415,"ts_us":1795472061415824,"ts_ns":1795472061415824535}'
)
PG_UPDATE = (
    b'{"before":null,"after":{"sku":"0000100001  ","long_text":"__debezium_unavailable_value"},"source":{'
    b'"connector":"postgresql","name":"erp1","snapshot":"false","db":"erp","sequence":"[\\"32786520\\",\\"32789056\\"]",'
    b'"ts_us":1795472112786624,"schema":"erp","table":"item","txId":3935,"lsn":32789056},"transaction":{'
    b'"id":"3935:32789056","total_order":1,"data_collection_order":1},"op":"u","ts_us":1795472112790000}'
)
PG_DELETE = PG_UPDATE.replace(b'"op":"u"', b'"op":"d"').replace(
    b'"after":{"sku":"0000100001  ","long_text":"__debezium_unavailable_value"}', b'"after":null'
)
PG_TRUNCATE = (
    b'{"before":null,"after":null,"source":{"connector":"postgresql","name":"erp1","db":"erp","schema":"erp",'
    b'"table":"purchase_order_line","txId":3941,"lsn":32845688,"sequence":"[\\"32822600\\",\\"32845688\\"]"},'
    b'"transaction":{"id":"3941:32845688"},"op":"t"}'
)
MARIADB_SNAPSHOT = (
    b'{"after":{"task_id":1},"source":{"version":"3.5.0.Final","connector":"mariadb","name":"wms1",'
    b'"ts_ms":1795471972000,"snapshot":"last_in_data_collection","db":"wms","sequence":null,'
    b'"ts_us":1795471972000000,"table":"bin_stock","server_id":0,"gtid":null,"file":"mysql-bin.000001","pos":15762,'
    b'"row":0,"thread":null,"query":null},"transaction":null,"op":"r"}'
)
MARIADB_STREAM = (
    b'{"after":{"task_id":1},"source":{"connector":"mariadb","name":"wms1","snapshot":"false","db":"wms",'
    b'"ts_us":1795472112000000,"table":"bin_stock","server_id":1,"gtid":"1-1-41","file":"mysql-bin.000001",'
    b'"pos":52219,"row":1},"transaction":{"id":"1-1-41","total_order":2,"data_collection_order":2},"op":"u"}'
)
END = (
    b'{"status":"END","id":"3940:32822600","event_count":7,"data_collections":['
    b'{"data_collection":"erp.sales_order","event_count":1}],"ts_ms":1795472112791}'
)
BEGIN = b'{"status":"BEGIN","id":"3832:32754968","event_count":null,"data_collections":null,"ts_ms":1}'
SCANNED = (
    b'{"id":"sig-1","type":"TABLE_SCAN_COMPLETED","aggregate_type":"Incremental Snapshot","additional_data":{'
    b'"scanned_collection":"erp.stock_balance","connector_name":"erp1","total_rows_scanned":"20","total_rows":"20",'
    b'"data_collections":"erp.stock_balance","status":"SUCCEEDED"},"timestamp":1795472112996}'
)
DDL = (
    b'{"source":{"connector":"mariadb","file":"mysql-bin.000001","pos":1},"ts_ms":1,"databaseName":"wms",'
    b'"schemaName":null,"ddl":"TRUNCATE TABLE bin_stock","tableChanges":[]}'
)


def event(value: bytes | None, key: bytes | None = b'{"id":1}', offset: int = 0) -> Event:
    return decode_event(InputRecord("cdc.erp", 0, offset, 0, key, value))


def test_rows_of_postgres() -> None:
    row = event(PG_SNAPSHOT)
    assert (row.kind, row.op, row.table, row.snapshot, row.transaction) == (Kind.ROW, "r", "erp.item", True, None)
    assert row.position == Position(32782456, 32782456)
    row = event(PG_UPDATE)
    assert (row.op, row.transaction, row.snapshot) == ("u", "3935", False)
    assert row.position == Position(32786520, 32789056)
    assert (row.committed_us, row.captured_us) == (1795472112786624, 1795472112790000)
    assert row.after.startswith(b'{"sku"')
    assert event(PG_DELETE).after == b""
    row = event(PG_TRUNCATE, key=None)
    assert (row.kind, row.op, row.table) == (Kind.ROW, "t", "erp.purchase_order_line")


def test_rows_of_mariadb() -> None:
    row = event(MARIADB_SNAPSHOT)
    assert (row.table, row.snapshot, row.space) == ("wms.bin_stock", True, "")
    row = event(MARIADB_STREAM)
    assert (row.position, row.transaction, row.space) == (Position(1, 52219, 1), "1-1-41", "wms1/1-1")
    incremental = event(MARIADB_STREAM.replace(b'"snapshot":"false"', b'"snapshot":"incremental"'))
    assert (incremental.snapshot, incremental.incremental) == (False, True)


def test_marks_notifications_heartbeats_and_schema_changes() -> None:
    assert event(BEGIN).kind is Kind.BEGIN
    end = event(END)
    assert (end.kind, end.transaction, end.commit_lsn) == (Kind.END, "3940", 32822600)
    said = event(SCANNED).notification
    assert said is not None
    assert (said.aggregate, said.collection, said.rows, said.status) == (
        "Incremental Snapshot",
        "erp.stock_balance",
        20,
        "SUCCEEDED",
    )
    assert event(b'{"ts_ms":1795471928884}', b'{"serverName":"erp1"}').kind is Kind.HEARTBEAT
    assert event(DDL, b'{"databaseName":"wms"}').kind is Kind.DDL
    assert event(None).kind is Kind.NOTHING


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"\xff\x00", b"{}"),
        (b"{}", b"{}"),
        (b'{"op":"x","source":{"table":"a"}}', b"{}"),
        (PG_UPDATE.replace(b'"table":"item",', b""), b"{}"),
        (PG_UPDATE, None),
        (PG_UPDATE.replace(b'"[\\"32786520\\",', b'"[\\"many\\",'), b"{}"),
        (b'{"op":"u","after":null,"source":{"db":"a","table":"b"}}', b"{}"),
        (b'{"action":"dance"}', CONTROL_KEY),
    ],
)
def test_what_cannot_be_read_is_poison_and_says_why(value: bytes, key: bytes | None) -> None:
    found = event(value, key)
    assert found.kind is Kind.POISON
    assert found.error is not None
    assert str(found.error)


def test_control_records_come_back() -> None:
    control = Control(action=Action.RETRY, id="lane/erp/x/y", why="mended")
    key, value = encode_control(control)
    assert key == CONTROL_KEY
    assert decode_control(value) == control
    with pytest.raises(PoisonRecord, match="control record"):
        decode_control(b"[]")


def test_positions_order_as_commits_do_where_bare_lsn_does_not() -> None:
    first = postgres_position('["32885496","32885496"]')
    later = postgres_position('["32886824","32883112"]')
    assert later > first
    assert postgres_position('[null,"32782456"]') == Position(32782456, 32782456)
    assert binlog_position("mysql-bin.000010", 4, None) > binlog_position("mysql-bin.000009", 99999, 3)
    assert binlog_position("mysql-bin.000001", 9, 1) > binlog_position("mysql-bin.000001", 9, 0)


def test_covered_positions() -> None:
    assert reached(covered_lsn(100), covered_lsn(100))
    assert not reached(covered_lsn(99), covered_lsn(100))
    assert reached(covered_binlog(2, 5), covered_binlog(1, 99))
    assert not reached(NOWHERE, covered_lsn(1))
    assert reached(covered_lsn(1), NOWHERE)
    assert parse_covered("binlog:000001:52219") == ("binlog", 1, 52219)
    for wrong in ("lsn:x", "elsewhere", "binlog:1"):
        with pytest.raises(InvalidInput):
            parse_covered(wrong)
    with pytest.raises(InvalidInput, match="different databases"):
        reached(covered_lsn(1), covered_binlog(1, 1))


def stream(position: tuple[int, int], committed_us: int = 5, transaction: str = "7", op: str = "u") -> Event:
    return Event(
        Kind.ROW, position[1], b"{}", 10, op, "t.t", b"{}", Position(*position), transaction,
        committed_us=committed_us, space="s",
    )  # fmt: skip


def begin(transaction: str) -> Event:
    return Event(Kind.BEGIN, 0, transaction=transaction)


def end(transaction: str, lsn: int | None = None) -> Event:
    return Event(Kind.END, 0, transaction=transaction, commit_lsn=lsn)


def shape(events: list[Event], mark: Mark | None = None) -> list[tuple[str | None, list[int], bool]]:
    """(transaction, lsn of its rows, closed) of each group that holds something."""
    return [
        (group.transaction, [e.position.minor for e in group.events if e.position], group.closed)
        for group in cut(events, mark or Mark(), None)
        if group.events
    ]


def test_the_mark_judges() -> None:
    mark = Mark(Position(10, 20), 100, ("s",))
    assert mark.judge(stream((10, 21))) is Verdict.FRESH
    assert mark.judge(stream((10, 20), 100)) is Verdict.RESENT
    assert mark.judge(stream((9, 99), 50)) is Verdict.RESENT
    assert mark.judge(stream((1, 1), 101)) is Verdict.NEW_SPACE
    assert Mark(Position(10, 20), 100, ("other",)).judge(stream((1, 1), 50)) is Verdict.NEW_SPACE
    assert Mark().judge(stream((0, 0))) is Verdict.FRESH


def test_end_of_its_own_id_closes_and_moves_the_mark() -> None:
    groups = list(cut([begin("7"), stream((1, 2)), stream((1, 3)), end("7", 9)], Mark(), None))
    assert groups[0].closed
    assert groups[0].mark.position == Position(1, 3)
    assert groups[0].covered == "lsn:9"
    assert groups[0].end == 4


def test_end_of_another_id_and_heartbeats_close_nothing() -> None:
    heartbeat = Event(Kind.HEARTBEAT, 0)
    assert shape([begin("7"), stream((1, 2)), end("6"), heartbeat]) == [("7", [2], False)]


def test_begin_of_another_id_alone_closes_nothing_a_fresh_row_does() -> None:
    assert shape([stream((1, 2)), begin("8")]) == [("7", [2], False)]
    both = [stream((1, 2)), begin("8"), stream((3, 4), transaction="8"), end("8")]
    assert shape(both) == [("7", [2], True), ("8", [4], True)]
    groups = [group for group in cut(both, Mark(), None) if group.events]
    assert groups[0].mark.position is None, "not closed by its own END: it may be resent"


def test_a_transaction_without_end_is_no_new_space_when_it_is_resent() -> None:
    marked = Mark(Position(1, 1), 1, ("s",))
    late = [stream((1, 2), 9), begin("8"), stream((3, 4), 5, transaction="8"), end("8")]
    (*_, last) = (group for group in cut(late, marked, None) if group.events)
    assert last.mark.judge(stream((1, 2), 9)) is Verdict.RESENT


def test_a_second_begin_of_the_same_id_continues() -> None:
    assert shape([begin("7"), stream((1, 2)), begin("7"), stream((1, 3)), end("7")]) == [("7", [2, 3], True)]


def test_mariadb_ddl_is_closed_by_the_next_begin() -> None:
    truncate = stream((1, 2), op="t")
    truncate.binlog = True
    assert shape([begin("7"), truncate, begin("8")]) == [("7", [2], True)]


def test_a_snapshot_that_starts_closes_what_is_open_and_voids_the_mark() -> None:
    started = event(
        b'{"id":"n","type":"STARTED","aggregate_type":"Initial Snapshot","additional_data":{},"timestamp":1}'
    )
    groups = list(cut([stream((50, 60)), started], Mark(Position(1, 1), 1, ("s",)), None))
    assert [group.closed for group in groups] == [True, True]
    assert groups[-1].mark == Mark()


def test_a_scan_is_believed_only_when_it_is_whole() -> None:
    snapshot = Snapshot()
    assert snapshot.finding("erp.item")[0] is Finding.MISSING
    said = event(SCANNED).notification
    assert said is not None
    table = scanned_table(said.collection, frozenset({"erp.stock_balance"}))
    assert table == "erp.stock_balance"
    assert scanned_table("erp.erp.item", frozenset({"erp.item"})) == "erp.item"
    assert scanned_table("erp.other", frozenset({"erp.item"})) is None
    snapshot.scan_completed(table, said)
    assert snapshot.finding(table)[0] is Finding.DIFFERENT
    snapshot.scans[table].brought = 20
    assert snapshot.finding(table)[0] is Finding.WHOLE
    snapshot.scans[table].status = "SQL_EXCEPTION"
    assert snapshot.finding(table)[0] is Finding.FAILED
