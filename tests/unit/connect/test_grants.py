"""`source grants`: least privilege as SQL, per database; without write; what the server has already is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from schemas.errors import InvalidInput
from streams.connect.findings import errors
from streams.connect.folder import Source, read_source
from streams.connect.grants import PASSWORD, Seen, grants
from streams.connect.init.connector import Wanted, connector
from streams.connect.lint import lint
from streams.connect.preflight import captured
from streams.connect.statements import DIALECTS, Statement, quoted
from tests.unit.connect.sources import VARIABLES, write_folder

KINDS = ("postgres", "mariadb", "sqlserver", "oracle")


def source(root: Path, kind: str, *tables: str, writes: bool = True) -> Source:
    """A source as `init` makes it."""
    schema = "ERP" if kind == "oracle" else "erp"
    config = connector(
        Wanted("one", kind, schema, "h", 1, "onhand_one", "db", tables or ("item", "stock"), writes=writes)
    )
    folder = write_folder(root, "one", config, kind=kind, schema=schema)
    if not writes:
        (folder / "source.yaml").write_text((folder / "source.yaml").read_text() + "writes: false\n")
    return read_source(folder, VARIABLES)


def said(root: Path, kind: str, *, writes: bool = True) -> list[str]:
    made = grants(source(root, kind, writes=writes), writes=writes)
    return [line for statement in made.statements for line in statement.sql.splitlines()]


def test_postgres(tmp_path: Path) -> None:
    assert said(tmp_path, "postgres")[3:] == [
        f"CREATE ROLE onhand_one LOGIN REPLICATION PASSWORD '{PASSWORD}';",
        "CREATE TABLE erp.onhand_heartbeat (id integer PRIMARY KEY, ts timestamptz NOT NULL);",
        "CREATE TABLE erp.onhand_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));",
        "GRANT CONNECT ON DATABASE db TO onhand_one;",
        "GRANT USAGE ON SCHEMA erp TO onhand_one;",
        "GRANT SELECT ON erp.item, erp.stock TO onhand_one;",
        "GRANT SELECT, INSERT, UPDATE ON erp.onhand_heartbeat TO onhand_one;",
        "GRANT SELECT, INSERT, DELETE ON erp.onhand_signal TO onhand_one;",
        "CREATE PUBLICATION onhand_one FOR TABLE erp.item, erp.stock, erp.onhand_heartbeat, erp.onhand_signal;",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_without_write_nothing_of_onhand_s_is_made_and_what_that_loses_is_said(kind: str, tmp_path: Path) -> None:
    one = source(tmp_path, kind, writes=False)
    made = grants(one)
    text = made.sql
    for word in ("onhand_heartbeat", "onhand_signal", "INSERT", "UPDATE"):
        assert word not in "\n".join(statement.sql for statement in made.statements)
    assert "-- Without write onhand loses: signal table" in text
    assert captured(one).signal is None
    assert captured(one).heartbeat is None
    if kind in ("postgres", "mariadb"):
        assert errors(lint([one])) == []


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_every_statement_parses_and_reads_exactly_the_captured_tables(kind: str, tmp_path: Path) -> None:
    made = grants(source(tmp_path, kind, "item", "stock of W-1", "order"))
    for statement in made.statements:
        sqlglot.parse(statement.sql, read=DIALECTS[kind], error_level=sqlglot.ErrorLevel.IGNORE)
    text = "\n".join(statement.sql for statement in made.statements)
    for table in ("item", "stock of W-1", "order"):
        assert f"erp.{quoted(kind, table)}" in text
    assert "ALL TABLES" not in text
    assert "SELECT, RELOAD" not in text


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_what_is_golden_only_says_so(kind: str, tmp_path: Path) -> None:
    text = grants(source(tmp_path, kind)).sql
    assert "Golden-only" in text
    wanted = {
        "sqlserver": [
            "sys.sp_cdc_enable_db",
            "@source_name = N'stock', @role_name = N'onhand_cdc'",
            "GRANT SELECT ON erp.item",
        ],
        "oracle": ["ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS", "LOGMINING", 'GRANT SELECT, FLASHBACK ON ERP."item"'],
    }
    for words in wanted[kind]:
        assert words in text


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    seen = Seen(
        wrong=("wal_level is replica: there is nothing to decode",),
        settings=(Statement("ALTER SYSTEM SET wal_level = 'logical';", "Restart the server after it."),),
        user=True,
        publication=True,
        tables=frozenset({"erp.onhand_heartbeat", "erp.onhand_signal"}),
    )
    text = grants(source(tmp_path, "postgres"), seen).sql
    assert "-- WRONG NOW: wal_level is replica" in text
    assert "CREATE" not in text
    assert "ALTER ROLE onhand_one LOGIN REPLICATION;" in text
    assert "ALTER PUBLICATION onhand_one SET TABLE erp.item, erp.stock" in text


def test_a_pattern_instead_of_tables_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "one", {"database.user": "u", "table.include.list": "erp\\..*"})
    with pytest.raises(InvalidInput, match="name the tables one by one"):
        grants(read_source(folder, VARIABLES))


def test_names_are_quoted_where_they_must_be() -> None:
    assert [quoted("postgres", name) for name in ("item", "order", "Item", 'a"b')] == [
        "item",
        '"order"',
        '"Item"',
        '"a""b"',
    ]
    assert [quoted("mariadb", name) for name in ("Item", "group", "a b")] == ["Item", "`group`", "`a b`"]
    assert [quoted("sqlserver", name) for name in ("Item", "A$Item No_")] == ["Item", "[A$Item No_]"]
    assert [quoted("oracle", name) for name in ("F4211", "item")] == ["F4211", '"item"']
