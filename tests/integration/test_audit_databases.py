"""The audit on live databases, beside a lane that holds what the database says, but for what is falsified.

No Kafka: a running lane with its connector is audited in test_mapping_audit.py.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import msgspec
import psycopg
import pymysql
import pytest

from schemas.errors import EnvironmentFault
from streams.connect.audit.database import Reader
from streams.connect.audit.run import Bounds, Report, audit
from streams.connect.audit.selects import Wanted, selects_of
from streams.connect.catalogue import session
from streams.connect.reading import Limits, Reading
from streams.core.lane.keys import reference_text
from streams.core.lane.mapped import NOTHING
from streams.core.lane.state import PartState
from streams.core.mapping.mapping import CompiledMapping, compile_mapping
from streams.core.mapping.source import parse_source
from tests.integration.mapping_support.databases import server, target, writer
from tests.integration.mapping_support.lane import CurrentLane, Defect, Pairs
from tests.stack import Database

pytestmark = pytest.mark.integration
ROWS = 1_000
EVERYTHING = Wanted()
TABLES = [
    "CREATE TABLE item (id int PRIMARY KEY, sku varchar(20) NOT NULL, name varchar(40))",
    "CREATE TABLE stock (wh varchar(8) NOT NULL, pos int NOT NULL, item int NOT NULL, qty decimal(12,3), "
    "note varchar(20), PRIMARY KEY (wh, pos))",
    "CREATE TABLE kit (kit int NOT NULL, part int NOT NULL, per decimal(9,3) NOT NULL, PRIMARY KEY (kit, part))",
    "CREATE TABLE head (no varchar(12) PRIMARY KEY, stat int NOT NULL, made {stamp})",
    "CREATE TABLE line (no varchar(12) NOT NULL, pos int NOT NULL, item int NOT NULL, qty decimal(12,3) NOT NULL, "
    "due date, PRIMARY KEY (no, pos))",
    "CREATE TABLE link (line_no varchar(12) NOT NULL, line_pos int NOT NULL, wh varchar(8) NOT NULL, share int, "
    "PRIMARY KEY (line_no, line_pos, wh))",
]
SQL = {
    "items.sql": "SELECT i.sku AS sku, i.name AS name FROM item i",
    "locations.sql": "SELECT s.wh AS location FROM stock s WHERE s.pos = 1",
    "components.sql": "SELECT k.sku AS sku, p.sku AS component, kit.per AS quantity FROM kit "
    "JOIN item k ON k.id = kit.kit JOIN item p ON p.id = kit.part",
    "orders.sql": "SELECT h.no AS order_id, h.stat AS execution_status, h.made AS placed_at FROM head h",
    "order_lines.sql": "SELECT l.no AS order_id, {text} AS line_id, i.sku AS sku, l.qty AS ordered, l.due AS due "
    "FROM line l JOIN item i ON i.id = l.item",
    "postings.sql": """-- stock by bin, and what is ordered: its shares of 100% by warehouse
SELECT i.sku AS sku, s.wh AS location, 'on_hand' AS bucket, s.qty AS quantity, NULL AS due, NULL AS reference
  FROM stock s JOIN item i ON i.id = s.item WHERE s.qty <> 0 OR s.wh LIKE '%x%'
UNION ALL
SELECT i.sku, k.wh, 'demand', l.qty * k.share, l.due, l.no
  FROM line l JOIN item i ON i.id = l.item JOIN link k ON k.line_no = l.no AND k.line_pos = l.pos
UNION ALL
SELECT i.sku, '*', 'safety_stock', 1, NULL, NULL FROM item i WHERE i.name IS NULL
""",
}
YAML = """
name: test
kind: {kind}
schema: {schema}
time_zone: Europe/Paris
many: [link]
statuses: {{orders: {{execution_status: {{"20": released, "40": shipped}}}}}}
"""


def made(kind: str, at: Database) -> CompiledMapping:
    """Tables with rows in them, and their mapping."""
    with writer(kind, at) as rows:
        for text in TABLES:
            rows.run(text.format(stamp="timestamptz" if kind == "postgres" else "datetime(3)"))
        rows.insert("item", [(n, f"K{n}", None if n % 7 == 0 else f"item é {n}") for n in range(1, 201)])
        rows.insert("stock", [(f"w{n % 3}", n, n % 220 + 1, n * 0.125, "1") for n in range(ROWS)])
        rows.insert("kit", [(n, n + 1, 2.5) for n in range(1, 20)])
        rows.insert("head", [(f"O{n}", (20, 40, 77)[n % 3], "2026-11-25 12:00:00.250") for n in range(200)])
        rows.insert("line", [(f"O{n}", p, n % 200 + 1, n + 1, "2026-12-01") for n in range(200) for p in (1, 2)])
        rows.insert("link", [(f"O{n}", 1, f"w{w}", w + 1) for n in range(200) for w in range(n % 3)])
    return mapping_of(kind, at, SQL)


def mapping_of(kind: str, at: Database, files: dict[str, str]) -> CompiledMapping:
    schema = "public" if kind == "postgres" else at.name
    with server(kind, at, schema) as there:
        text = "CAST(l.pos AS text)" if kind == "postgres" else "CAST(l.pos AS CHAR)"
        texts = {name: sql.replace("{text}", text) for name, sql in files.items()}
        source = parse_source(YAML.format(kind=kind, schema=schema))
        return compile_mapping(source, there.catalogue, texts, b"m" * 32)


@pytest.fixture(params=["postgres", "mariadb"])
def source(request: pytest.FixtureRequest) -> tuple[str, Database]:
    return request.param, request.getfixturevalue(request.param)


def audited(
    mapping: CompiledMapping,
    at: Database,
    lane: CurrentLane,
    *,
    wanted: Wanted = EVERYTHING,
    limits: Limits = Limits(chunk_rows=333, rows_per_s=0),  # noqa: B008
    bounds: Bounds = Bounds(rounds=4),  # noqa: B008
) -> Report:
    return audit(mapping, target(at), lane, wanted=wanted, limits=limits, bounds=bounds)


def told(report: Report) -> list[tuple[str, str, str, str, str]]:
    return [
        (line.output, " ".join(text for _, text in line.about), line.column, str(line.database), str(line.lane))
        for line in report.lines
    ]


def test_all_is_equal_until_something_is_falsified(source: tuple[str, Database]) -> None:
    kind, at = source
    mapping = made(kind, at)
    report = audited(mapping, at, CurrentLane(mapping, at))
    assert report.clean, (told(report), report.undecided[:3], report.unreadable[:3])
    assert report.rows > 1_000
    assert report.balances > 500
    assert report.position.startswith("lsn:" if kind == "postgres" else "binlog:")

    defects = {
        'stock ["w1",100]': posts("1"),
        "item [9]": lambda said: NOTHING,
        'line ["O5",2]': states(ordered="7.0"),
        'head ["O6"]': states(execution_status="shipped"),
        "kit [3,4]": lambda said: NOTHING,
    }
    report = audited(mapping, at, CurrentLane(mapping, at, defects, lose_a_balance))
    assert not report.clean
    assert [line[:3] for line in told(report)] == [
        ("components", "K3 K4", "quantity"),
        ("items", "K9", "(all)"),
        ("order_lines", "O5 2", "ordered"),
        ("orders", "O6 O6", "execution_status"),
        ("postings", "K101 w1 on_hand", "quantity"),
        ("postings", "K11 w0 on_hand", "quantity"),
    ]
    assert {reference_text(row.reference).partition(".")[2] for row in report.differences} == {
        'kit [3,4]', 'item [9]', 'head ["O6"]', 'line ["O5",2]', 'stock ["w1",100]',
    }  # fmt: skip
    assert report.rounds == 2

    def about(*skus: str, orders: Collection[str] = ()) -> Report:
        wanted = Wanted(frozenset(skus), frozenset(orders))
        return audited(mapping, at, CurrentLane(mapping, at, defects, lose_a_balance), wanted=wanted)

    assert [line[:2] for line in told(about("K9"))] == [("items", "K9")]
    assert [line[:2] for line in told(about("K4"))] == [("components", "K3 K4")], "of a component, too"
    assert [line[:3] for line in told(about(orders=["O5"]))] == [("order_lines", "O5 2", "ordered")]
    assert about("K50", orders=["O50"]).clean
    five = Wanted(frozenset(f"K{n}" for n in range(101, 106)))
    few = Limits(chunk_rows=2, rows_per_s=0)  # more rows than may come at once: it goes on piece by piece
    report = audited(mapping, at, CurrentLane(mapping, at, defects), wanted=five, limits=few)
    assert [line[:2] for line in told(report)] == [("postings", "K101 w1 on_hand")]


def test_writers_cause_no_false_alarm_and_hide_no_defect(source: tuple[str, Database]) -> None:
    """Rows change, move, come and go while they are read; some of them fifty times a second."""
    kind, at = source
    mapping = made(kind, at)
    with writers(kind, at):
        report = audited(mapping, at, CurrentLane(mapping, at))
        assert (report.lines, report.differences, report.unreadable) == ([], [], [])
        report = audited(mapping, at, CurrentLane(mapping, at, {'stock ["w1",100]': posts("1")}))
        assert [line[:2] for line in told(report)] == [("postings", "K101 w1 on_hand")]
    report = audited(mapping, at, CurrentLane(mapping, at))
    assert report.clean, (told(report), report.undecided[:3])


@contextmanager
def writers(kind: str, at: Database) -> Iterator[None]:
    """Two of them at work, until left."""
    stop = threading.Event()
    failed: list[Exception] = []

    def write(number: int) -> None:
        try:
            with writer(kind, at) as rows:
                n = 0
                while not stop.wait(0.02):
                    n += 1
                    pos = 300 + number * 300 + n % 200
                    rows.run(
                        f"UPDATE stock SET qty = qty + 1 WHERE pos = {number + 1}",
                        f"UPDATE stock SET qty = qty + 1 WHERE pos = {pos}",
                        f"UPDATE stock SET wh = 'w7' WHERE pos = {pos + 1} AND wh = 'w1'",
                        f"DELETE FROM stock WHERE pos = {pos + 2}",
                        f"INSERT INTO stock VALUES ('w9', {n + number * 100_000}, 5, 1, NULL)",
                        f"UPDATE item SET sku = 'R{n}-{number}' WHERE id = {190 + number}",
                        f"UPDATE line SET qty = qty + 1 WHERE pos = 1 AND no = 'O{n % 200}'",
                    )
        except (psycopg.Error, pymysql.Error) as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed


def test_a_row_without_a_value_is_named_and_the_others_are_compared(source: tuple[str, Database]) -> None:
    kind, at = source
    made(kind, at)
    number = "CAST(s.note AS integer)" if kind == "postgres" else "CASE WHEN s.note <> 'junk' THEN 1 END"
    mapping = mapping_of(kind, at, {"postings.sql": "SELECT i.sku AS sku, s.wh AS location, 'on_hand' AS bucket, "
                                    f"{number} AS quantity FROM stock s JOIN item i ON i.id = s.item"})  # fmt: skip
    with writer(kind, at) as rows:
        rows.run("UPDATE stock SET note = 'junk' WHERE pos IN (7, 900)")
    report = audited(mapping, at, CurrentLane(mapping, at))
    assert [row.partition(".")[2] for row, _ in report.unreadable] == ['stock ["w0",900]', 'stock ["w1",7]']
    why = 'invalid input syntax for type integer: "junk"' if kind == "postgres" else "quantity is NULL"
    assert {text for _, text in report.unreadable} == {why}
    assert (report.lines, report.differences, report.clean) == ([], [], False)
    assert report.rows > 850

    guessed = CurrentLane(mapping, at, guesses={'stock ["w1",7]': NOTHING})
    report = audited(mapping, at, guessed)
    ((reference, error),) = [(reference_text(row.reference), row.error) for row in report.differences]
    assert (reference.partition(".")[2], error) == ('stock ["w1",7]', why)


def test_a_select_that_the_database_refuses_is_named_and_the_others_are_compared(source: tuple[str, Database]) -> None:
    """A column was dropped: the lane goes on with what does not use it, and so does the audit."""
    kind, at = source
    mapping = made(kind, at)
    lane = CurrentLane(mapping, at, {'stock ["w1",100]': posts("1"), 'line ["O5",2]': states(ordered="7.0")})
    lane.forward("", "")
    lane.stands = True
    with writer(kind, at) as rows:
        rows.run("ALTER TABLE link DROP COLUMN share")
    report = audited(mapping, at, lane)
    ((place, what, why),) = report.refused
    assert (place, what) == ("postings.sql:5:1", f"postings.sql FROM {mapping.source.schema_}.line")
    assert "share" in why
    assert [line[:2] for line in told(report)] == [("order_lines", "O5 2"), ("postings", "K101 w1 on_hand")]
    assert (report.unreadable, report.undecided, report.stopped, report.clean) == ([], [], "", False)

    shares = "SELECT k.wh AS sku, 'W' AS location, 'demand' AS bucket, k.share AS quantity FROM link k"
    alone = compile_mapping(mapping.source, mapping.catalogue, {"postings.sql": shares}, mapping.fingerprint)
    with pytest.raises(EnvironmentFault, match=r"refuses every SELECT of the mapping: .*share"):
        audited(alone, at, lane)


def test_a_bit_of_mariadb_is_a_number_in_every_column(mariadb: Database) -> None:
    with writer("mariadb", mariadb) as rows:
        rows.run("CREATE TABLE item (id int PRIMARY KEY, flag bit(1) NOT NULL, other bit(1))")
        rows.insert("item", [(1, 1, None), (2, 0, 1)])
    name = "CAST(i.id AS CHAR)"
    files = {
        "items.sql": f"SELECT {name} AS sku, i.flag AS tracked, COALESCE(i.other, i.flag) AS active FROM item i",
        "postings.sql": f"SELECT {name} AS sku, 'W' AS location, 'on_hand' AS bucket, i.flag AS quantity FROM item i",
        "postings.any.sql": f"SELECT {name} AS sku, CAST(COALESCE(i.other, i.flag) AS CHAR) AS location, "
        "'on_hand' AS bucket, COALESCE(i.other, i.flag) AS quantity FROM item i",
        "orders.sql": f"SELECT {name} AS order_id, i.flag AS execution_status FROM item i",
    }
    with server("mariadb", mariadb) as there:
        yaml = YAML.format(kind="mariadb", schema=mariadb.name).replace("many: [link]\n", "")
        mapping = compile_mapping(parse_source(yaml), there.catalogue, files, b"m" * 32)
    report = audited(mapping, mariadb, CurrentLane(mapping, mariadb))
    assert report.clean, (told(report), report.unreadable)
    assert (report.rows, report.balances) == (2, 4)


def test_it_waits_for_no_lock_and_leaves_nothing_behind(source: tuple[str, Database]) -> None:
    kind, at = source
    mapping = made(kind, at)
    lane = CurrentLane(mapping, at)
    lane.forward("", "")
    lane.stands = True
    with locked(kind, at), pytest.raises(EnvironmentFault, match=r"lock|Lock"):
        audited(mapping, at, lane, limits=Limits(lock_s=1.0))
    await_nobody(kind, at)
    with locked(kind, at), heard_interrupts():
        waiting = threading.Thread(target=interrupt, args=(kind, at))
        waiting.start()
        with pytest.raises(KeyboardInterrupt):
            audited(mapping, at, lane, limits=Limits(lock_s=60.0))
        waiting.join()
        await_nobody(kind, at)  # while the lock is held


@contextmanager
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C is heard also in tests that a shell runs in the background, which begin with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def locked(kind: str, at: Database) -> Iterator[None]:
    """Nobody may read the table of orders."""
    with writer(kind, at) as other:
        if kind == "postgres":
            other.run("BEGIN", "LOCK TABLE head IN ACCESS EXCLUSIVE MODE")
        else:
            other.run("LOCK TABLES head WRITE")
        yield


def sessions(kind: str, at: Database) -> list[tuple[str, str]]:
    """(state, statement) of the others in this database that are no writers of the test."""
    with writer(kind, at) as rows:
        if kind == "postgres":
            return [
                (state, text)
                for state, text in rows.query(
                    "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND query NOT LIKE 'LOCK TABLE%'"
                )
            ]
        return [
            (state, text)
            for state, text in rows.query(
                "SELECT command, COALESCE(info, '') FROM information_schema.processlist "
                "WHERE db = DATABASE() AND id <> CONNECTION_ID() AND (command <> 'Sleep' OR info IS NOT NULL)"
            )
        ]


def await_nobody(kind: str, at: Database) -> None:
    """A server needs a moment to end a session."""
    deadline = time.monotonic() + 30
    while left := sessions(kind, at):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def interrupt(kind: str, at: Database) -> None:
    """Ctrl-C, once a statement of the audit waits for the lock."""
    deadline = time.monotonic() + 30
    while not any("FROM" in text and "head" in text for _, text in sessions(kind, at)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def test_it_reads_gently_and_stops_when_its_time_is_over(source: tuple[str, Database]) -> None:
    kind, at = source
    mapping = made(kind, at)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        open_ones = [state for state, _ in sessions(kind, at) if state == "idle in transaction"]
        assert open_ones == [], "a pause stands between transactions"

    with session(kind, target(at)) as cursor:
        limits = Limits(chunk_rows=250, rows_per_s=50)
        there = Reading(cursor, kind, mapping.source.schema_, limits, pause)
        database = Reader(mapping, selects_of(mapping), there)
        stock = next(table for table in database.tables if table.name.endswith(".stock"))
        chunks = list(database.scan(stock, EVERYTHING))
    assert (len(chunks), len(pauses)) == (5, 4)
    assert all(seconds > 3 for seconds in pauses), "250 rows at 50 a second"

    report = audited(mapping, at, CurrentLane(mapping, at), bounds=Bounds(seconds=0))
    assert (report.clean, report.lines, report.stopped) == (False, [], "0 s were over in table " + stopped_in(mapping))


def stopped_in(mapping: CompiledMapping) -> str:
    return f"{mapping.source.schema_}.head"


def posts(quantity: str) -> Defect:
    return lambda said: said._replace(postings=tuple((balance, quantity) for balance, _ in said.postings))


def states(**attributes: str) -> Defect:
    def change(value: bytes) -> bytes:
        part = msgspec.msgpack.decode(value, type=PartState)
        part.attributes.update(attributes)
        return msgspec.msgpack.encode(part)

    return lambda said: said._replace(parts=tuple((name, change(value)) for name, value in said.parts))


def lose_a_balance(pairs: Pairs) -> None:
    del pairs[min(key for key in pairs if key.startswith(b"sK11\0") and b"on_hand" in key)]
