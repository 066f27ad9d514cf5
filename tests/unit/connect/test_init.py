"""`source init`: candidates, skeletons that compile, connectors that pass the lint, companies, ready folders, CSV."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from onhand.cli.main import onhand
from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.findings import errors
from streams.connect.folder import read_source
from streams.connect.init.candidates import Finder, Role, best, plain_names
from streams.connect.init.catalogue_file import FIELDS, QUERIES
from streams.connect.init.companies import VARIABLE, collapse
from streams.connect.init.connector import Wanted, connector, free_name
from streams.connect.init.description import for_tables, with_value
from streams.connect.init.propose import Ask, from_ready, joined_first, propose, requalified
from streams.connect.init.ready import fits
from streams.connect.init.survey import ForeignKey, Survey, parse_dsn
from streams.connect.lint import lint
from streams.connect.preflight import Target
from streams.core.mapping.catalogue import Catalogue, Column, Table
from streams.core.mapping.mapping import compile_mapping, load_catalogue, load_mapping
from streams.core.mapping.source import load_source, parse_source
from tests.unit.connect.legacy import SYSTEMS
from tests.unit.connect.sources import CONFIGS, VARIABLES

AT = Target("", 5432, "reader", "geheim", "erp")
TYPES = {
    "i": "integer",
    "n": "numeric",
    "t": "character varying",
    "c": "character",
    "d": "date",
    "f": "double precision",
    "z": "timestamp with time zone",
}

OTHER_TYPES = {
    "oracle": {"i": "NUMBER", "n": "NUMBER", "t": "VARCHAR2", "c": "NCHAR", "d": "DATE"},
    "sqlserver": {"i": "int", "n": "decimal", "t": "nvarchar", "c": "char", "d": "datetime"},
}


def surveyed(tables: dict[str, str], *foreign: ForeignKey, kind: str = "postgres") -> Survey:
    """`surveyed({"stock": "art:i! qty:n"})`: `!` key, letters of TYPES; schema `s`; nothing connects."""
    made = {}
    for name, text in tables.items():
        parts = [part.partition(":") for part in text.split()]
        types = TYPES | OTHER_TYPES.get(kind, {})
        columns = {
            column: Column(name=column, type=types[code[0]], nullable="?" in code, scale=2 if code[0] == "n" else None)
            for column, _, code in parts
        }
        key = tuple(column for column, _, code in parts if "!" in code)
        made[name] = Table(name=f"s.{name}", columns=columns, primary=key, unique=(key,) if key else ())
    return Survey(kind, AT, Catalogue(kind=kind, schema="s", tables=made), foreign)


def demo(name: str) -> Survey:
    catalogue = load_catalogue(CONFIGS / name, load_source(CONFIGS / name / "source.yaml"))
    return Survey(catalogue.kind, AT, catalogue)


def write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_columns_lose_the_letters_that_all_of_them_share() -> None:
    lines = surveyed({"ordlin": "olordn:i! ollinn:i! olitem:c olqord:n"}).catalogue.tables["ordlin"]
    assert plain_names(lines) == {"olordn": "ordn", "ollinn": "linn", "olitem": "item", "olqord": "qord"}
    whole = surveyed({"item": "item_id:i! item_code:t"}).catalogue.tables["item"]
    assert plain_names(whole) == {"item_id": "item_id", "item_code": "item_code"}


def test_the_demo_erp_is_understood() -> None:
    found = Finder(demo("erp")).candidates()
    chosen = {role: one.name for role in Role if (one := best(found, role))}
    assert chosen == {
        Role.STOCK: "itmbal",
        Role.ITEM: "itmast",
        Role.LOCATION: "whsmst",
        Role.ORDER: "ordhdr",
        Role.SALES_LINE: "ordlin",
        Role.PURCHASE_LINE: "purlin",
    }
    assert [one.name for one in found[Role.SALES_LINE]] == ["ordlin", "ordlnh"]  # the archive stands behind
    notes = propose(demo("erp"), Ask("new", "reader"), CONFIGS).notes
    assert [note for note in notes if "`deletions: {ordlin: archived}`" in note]


def test_what_is_not_found_is_told_with_the_tables_that_may_hold_it() -> None:
    stock = {"product": "id:i! code:t name:t", "stock": "product_id:i! warehouse:c! qty_on_hand:n"}
    others = {"vorgang": "nr:i! kd:i am:d", "zeile": "nr:i! lfd:i! wert:n", "onhand_signal": "id:t! type:t"}
    (note,) = [line for line in propose(surveyed(stock | others), Ask("new", "r"), CONFIGS).notes if "found" in line]
    assert note == "not found: locations, orders, order lines, purchase lines; tables not used: vorgang, zeile"
    many = {f"t{n:02}": "a:i!" for n in range(20)}
    (note,) = [line for line in propose(surveyed(stock | many), Ask("new", "r"), CONFIGS).notes if "found" in line]
    assert note.endswith("t10, t11 and 8 more")
    assert not [line for line in propose(demo("erp"), Ask("new", "r"), CONFIGS).notes if "not found" in line]


@pytest.mark.parametrize(
    ("name", "stock", "item", "line"),
    [
        ("dolibarr", "llx_product_stock", "llx_product", "llx_commandedet"),
        ("erpnext", "tabBin", "tabItem", "tabSales Order Item"),
        ("openboxes", "product_availability", "product", "order_item"),
    ],
)
def test_real_systems_are_understood(name: str, stock: str, item: str, line: str) -> None:
    folder = CONFIGS / "ready" / name
    catalogue = load_catalogue(folder, load_source(folder / "source.yaml"))
    found = Finder(Survey(catalogue.kind, AT, catalogue)).candidates()
    chosen = [best(found, role) for role in (Role.STOCK, Role.ITEM, Role.SALES_LINE)]
    assert [one and one.name for one in chosen] == [stock, item, line]


def test_an_archive_stands_behind_what_is_live() -> None:
    line = "order_no:i! line_no:i! item:c qty_ordered:n"
    found = Finder(surveyed({"archive_order_line": line, "order_line": line})).candidates()
    assert [one.name for one in found[Role.SALES_LINE]] == ["order_line", "archive_order_line"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_legacy_systems_are_understood(system: str) -> None:
    kind, tables, wanted = SYSTEMS[system]
    found = Finder(surveyed(tables, kind=kind)).candidates()
    assert {role.value: one.name for role in Role if (one := best(found, role))} == wanted


@pytest.mark.parametrize("system", SYSTEMS)
def test_skeletons_of_golden_only_kinds_compile(system: str) -> None:
    kind, tables, _ = SYSTEMS[system]
    survey = surveyed(tables, kind=kind)
    files = propose(survey, Ask("new", "reader"), CONFIGS).files
    text = {name: text for name, text in files.items() if name.endswith(".sql")}
    compile_mapping(parse_source(files["source.yaml"]), survey.catalogue, text, b"0" * 32)


@pytest.mark.parametrize("name", ["erp", "wms"])
def test_a_skeleton_compiles_and_its_connector_passes_the_lint(name: str, tmp_path: Path) -> None:
    survey = demo(name)
    proposal = propose(survey, Ask("new", "reader"), CONFIGS)
    folder = write(dict(proposal.files), tmp_path / "new")
    mapping = load_mapping(folder)
    assert mapping.tables
    source = read_source(folder, VARIABLES)
    without_host = [one for one in errors(lint([source])) if "database.hostname" not in one.message]
    assert without_host == []
    for table in mapping.tables.values():
        for column in table.columns:
            assert any(f"--   {column} " in text for text in proposal.files.values()), column


def test_a_surrogate_key_is_followed_to_the_code_behind_it() -> None:
    foreign = ForeignKey("stock", ("art",), "product", ("id",))
    tables = {"product": "id:i! code:t name:t", "stock": "art:i! warehouse:c! qty_on_hand:n?"}
    survey = surveyed(tables, foreign)
    postings = propose(survey, Ask("new", "reader"), CONFIGS).files["postings.sql"]
    assert "JOIN s.product i ON i.id = s.art" in postings
    assert "SELECT i.code AS sku, TRIM(s.warehouse) AS location, 'on_hand' AS bucket" in postings
    assert "WHERE s.qty_on_hand IS NOT NULL" in postings


def test_rows_without_an_item_say_nothing_and_those_without_a_location_count_everywhere() -> None:
    foreign = ForeignKey("order_line", ("site",), "warehouse", ("id",))
    tables = {
        "warehouse": "id:i! code:t name:t",
        "order_line": "order_no:i! line_no:i! item:c? site:i? qty_ordered:n due_at:z",
        "item": "item:c! code:t? name:t",
    }
    survey = surveyed(tables, foreign)
    files = propose(survey, Ask("new", "reader"), CONFIGS).files
    text = {name: text for name, text in files.items() if name.endswith(".sql")}
    compile_mapping(parse_source(files["source.yaml"]), survey.catalogue, text, b"0" * 32)
    assert "CAST(l.due_at AT TIME ZONE 'UTC' AS date) AS due" in files["postings.sql"]
    for file in ("postings.sql", "order_lines.sql"):
        assert "COALESCE(w.code, '*') AS location" in files[file]
        assert "LEFT JOIN s.warehouse w ON w.id = l.site" in files[file]
        assert "WHERE l.item IS NOT NULL" in files[file]
    assert "WHERE i.code IS NOT NULL" in files["items.sql"]


def test_abbreviated_columns_are_understood() -> None:
    tables = {
        "sales_order": "order_no:i! cust_no:c status:c ordered_at:z",
        "sales_line": "order_no:i! line_no:i! part_no:c qty_ord:n qty_shp:n wanted:d",
        "purch_line": "po_no:i! line_no:i! part_no:c qty_ord:n qty_rec:n",
    }
    files = propose(surveyed(tables), Ask("new", "reader"), CONFIGS).files
    assert "l.qty_shp AS quantity, l.wanted AS due" in files["postings.sql"]
    assert "l.qty_rec AS quantity" in files["postings.sql"]
    assert "o.ordered_at AS placed_at" in files["orders.sql"]


def test_without_a_balance_a_ledger_is_proposed() -> None:
    survey = surveyed({"item_ledger": "entry:i! item:c location:c quantity:n document_no:t"})
    assert "a ledger" in propose(survey, Ask("new", "reader"), CONFIGS).files["postings.sql"]


def test_words_of_the_language_and_odd_names_are_quoted() -> None:
    survey = surveyed({"Stock Level": "item:c! warehouse:c! qty_on_hand:n", "order": "order:i! customer:c status:t"})
    files = propose(survey, Ask("new", "reader"), CONFIGS).files
    assert 'FROM s."Stock Level" s' in files["postings.sql"]
    assert 'o."order"' in files["orders.sql"]
    text = {name: text for name, text in files.items() if name.endswith(".sql")}
    compile_mapping(parse_source("name: new\nkind: postgres\nschema: s\n"), survey.catalogue, text, b"0" * 32)


def test_nothing_that_looks_like_stock_is_said(tmp_path: Path) -> None:
    proposal = propose(surveyed({"payroll": "id:i! salary:n"}), Ask("new", "reader"), CONFIGS)
    assert not [name for name in proposal.files if name.endswith(".sql")]
    assert any("write postings.sql yourself" in note for note in proposal.notes)


def test_tables_that_repeat_per_company_become_one() -> None:
    item, stock = "no:c! description:t", "item:c! warehouse:c! qty_on_hand:n"
    survey = surveyed({"A$item": item, "B$item": item, "A$stock": stock, "B$stock": stock, "currency": "code:c!"})
    collapsed, companies = collapse(survey)
    assert companies == ("A", "B")
    assert sorted(collapsed.catalogue.tables) == [f"{VARIABLE}$item", f"{VARIABLE}$stock", "currency"]
    files = propose(survey, Ask("new", "reader"), CONFIGS).files
    assert 'expand: {company: ["A", "B"]}' in files["source.yaml"]
    config = json.loads(files["connector.json"])
    assert r"s\.A\$stock" in config["table.include.list"]
    text = {name: text for name, text in files.items() if name.endswith(".sql")}
    compiled = compile_mapping(parse_source(files["source.yaml"]), survey.catalogue, text, b"0" * 32)
    assert {"s.A$stock", "s.B$stock"} <= set(compiled.tables)
    assert collapse(surveyed({"stock_north": stock, "stock_south": stock}))[1] == ()  # one table and its like


def test_names_in_use_are_left_to_their_owners() -> None:
    assert free_name("onhand_erp", {"onhand_erp", "onhand_erp_2"}) == "onhand_erp_3"
    wanted = Wanted("erp", "postgres", "s", "h", 1, "u", "d", ["t"], taken={"onhand_erp"})
    assert connector(wanted)["slot.name"] == connector(wanted)["publication.name"] == "onhand_erp_2"
    kept = Wanted("erp", "postgres", "s", "h", 1, "u", "d", ["t"], taken={"onhand_erp"}, kept={"slot.name": "mine"})
    assert connector(kept)["slot.name"] == "mine"
    first = connector(Wanted("wms", "mariadb", "s", "h", 1, "u", "d", ["t"]))["database.server.id"]
    other = connector(Wanted("wms", "mariadb", "s", "h", 1, "u", "d", ["t"], taken={first}))["database.server.id"]
    assert other == str(int(first) + 1)


def test_a_ready_mapping_is_recognised_and_begun_with(tmp_path: Path) -> None:
    root = tmp_path / "connect-configs"
    shutil.copytree(CONFIGS / "erp", root / "ready" / "legacy")
    text = (root / "ready" / "legacy" / "source.yaml").read_text()
    (root / "ready" / "legacy" / "source.yaml").write_text(text.replace("name: erp", "name: legacy"))
    known = demo("erp").catalogue
    tables = {name: msgspec.structs.replace(table, name=f"live.{name}") for name, table in known.tables.items()}
    survey = Survey("postgres", AT, Catalogue(kind="postgres", schema="live", tables=tables))
    (fit,) = fits(root, survey.catalogue)
    assert (fit.name, fit.share, fit.missing) == ("legacy", 1.0, ())
    folder = write(dict(from_ready(survey, Ask("new", "reader"), root, "legacy").files), root / "new")
    mapping = load_mapping(folder)
    assert (mapping.source.name, mapping.source.schema_) == ("new", "live")
    assert "live.itmbal" in mapping.tables
    del tables["itmbal"].columns["ibqoh"]
    (fit,) = fits(root, survey.catalogue)
    assert fit.missing == ("itmbal.ibqoh",)
    with pytest.raises(InvalidInput, match="there are: legacy"):
        from_ready(survey, Ask("new", "reader"), root, "sap")


@pytest.mark.parametrize("expand", ["expand: {company: [CRONUS]}", "expand:\n  company:\n    - CRONUS"])
def test_a_ready_mapping_takes_the_companies_that_are_there(expand: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready" / "nav"
    ready.mkdir(parents=True)
    (ready / "source.yaml").write_text(
        f"name: nav\nkind: postgres\nschema: s\n{expand}\ntime_zone: Europe/Paris # why\n"
    )
    (ready / "items.sql").write_text('SELECT i.no AS sku FROM s."${company}$item" i')
    survey = surveyed({"A Ltd_$item": "no:c!", "B$item": "no:c!", "B$other": "no:c!"})
    files = from_ready(survey, Ask("new", "reader"), tmp_path, "nav").files
    source = parse_source(files["source.yaml"])
    assert (source.expand, source.time_zone) == ({"company": ["A Ltd_", "B"]}, "Europe/Paris")
    assert r"s\.A Ltd_\$item,s\.B\$item" in json.loads(files["connector.json"])["table.include.list"]


def test_a_ready_description_is_made_one_s_own_and_keeps_its_comments() -> None:
    text = (
        "# why\nname: ready  # renamed\nkind: postgres\nschema: public\nmany: [gone, there]\n"
        "deletions:\n  gone: archived\n# of statuses\nstatuses:\n  orders:\n    execution_status: {a: closed}\n"
    )
    source = parse_source(text)
    made = for_tables(with_value(with_value(text, "name", "new"), "writes", False), source, {"there"})
    assert made == (
        '# why\nname: "new"  # renamed\nkind: postgres\nschema: public\nmany: ["there"]\n'
        "# of statuses\nstatuses:\n  orders:\n    execution_status: {a: closed}\nwrites: false\n"
    )
    assert for_tables(text, source, {"there", "gone"}) == text
    assert with_value("name: a  # gone\nkind: b\n", "name", None) == "kind: b\n"


def test_a_ready_file_whose_tables_are_not_there_is_left_out(tmp_path: Path) -> None:
    ready = tmp_path / "ready" / "some"
    ready.mkdir(parents=True)
    (ready / "source.yaml").write_text("name: some\nkind: postgres\nschema: s\nmany: [part]\n")
    (ready / "items.sql").write_text("SELECT i.no AS sku FROM item i")
    (ready / "components.sql").write_text("SELECT i.no AS sku FROM item i JOIN part p ON p.of = i.no")
    (ready / "examples").mkdir()
    (ready / "examples" / "parts.json").write_text('{"rows": {"part": [], "item": []}}')
    (ready / "examples" / "items.json").write_text('{"rows": {"item": []}}')
    ask = Ask("new", "reader", writes=False)
    proposal = from_ready(surveyed({"item": "no:c!"}), ask, tmp_path, "some")
    assert not {"components.sql", "examples/parts.json"} & proposal.files.keys()
    assert "examples/items.json" in proposal.files
    assert "components.sql is left out: the database has no part" in proposal.notes
    source = parse_source(proposal.files["source.yaml"])
    assert (source.many, source.writes) == ([], False)
    assert "onhand_signal" not in proposal.files["connector.json"]


def test_a_schema_is_replaced_in_front_of_tables_alone() -> None:
    text = 'SELECT erp.x, \'erp.y\', "erp"."Z" FROM erp.item e JOIN other.erp.t'
    assert requalified(text, "erp", "live") == 'SELECT live.x, \'erp.y\', "live"."Z" FROM live.item e JOIN other.erp.t'


def test_a_snapshot_reads_what_is_joined_first() -> None:
    joins = {"move": {"shipment", "line"}, "line": {"item"}, "item": set(), "shipment": {"move"}}
    assert joined_first(joins) == ("item", "line", "shipment", "move")


def test_a_password_is_resolved_and_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERP_PASSWORD", "p@ss/word")
    kind, at = parse_dsn("postgresql://reader:${env:ERP_PASSWORD}@erp.example/erp")
    assert (kind, at.password, at.port, at.database) == ("postgres", "p@ss/word", 5432, "erp")
    for wrong in ("ftp://u:geheim@h/d", "postgresql://u:geheim@/d", "postgresql://u:ge/heim@h:x/d"):
        with pytest.raises(InvalidInput) as refused:
            parse_dsn(wrong)
        assert "heim" not in str(refused.value)


def test_the_include_list_follows_the_sql(tmp_path: Path) -> None:
    shutil.copytree(CONFIGS / "erp", tmp_path / "connect-configs" / "erp")
    folder = tmp_path / "connect-configs" / "erp"
    for path in folder.glob("*.sql"):
        path.unlink()
    (folder / "postings.sql").write_text("SELECT i.a AS sku FROM erp.stock s JOIN erp.item i ON i.id = s.item")
    before = json.loads((folder / "connector.json").read_text())
    environment = {"ONHAND_PROJECT_DIR": str(tmp_path), "ONHAND_DATA_DIR": str(tmp_path / "data")}
    answer = CliRunner().invoke(onhand, ["source", "init", "erp", "--tables", "--json"], env=environment)
    assert json.loads(answer.stdout)["tables"] == ["item", "stock"]
    after = json.loads((folder / "connector.json").read_text())
    assert after.pop("table.include.list") == (r"erp\.item,erp\.stock,erp\.onhand_heartbeat,erp\.onhand_signal")
    before.pop("table.include.list")
    assert after == before


def test_a_database_that_does_not_answer_is_exit_3_and_no_password(tmp_path: Path) -> None:
    for kind in ("postgresql", "mariadb"):
        words = ["source", "init", "x", "--dsn", f"{kind}://u:geheim@127.0.0.1:1/d"]
        answer = CliRunner().invoke(onhand, words, env={"ONHAND_PROJECT_DIR": str(tmp_path)})
        assert isinstance(answer.exception, EnvironmentFault)
        assert "geheim" not in f"{answer.output}{answer.exception}"
        assert "127.0.0.1:1" in str(answer.exception)


def catalogue_csv(delimiter: str = ",") -> str:
    rows = [
        ("server", "dbo", "ERP", "", "", "", "", "", "", "", ""),
        *(
            ("column", f"{company}$Item", name, n, name, type_, nullable, "", scale, length, "")
            for company in ("A Ltd_", "B")
            for n, name, type_, nullable, scale, length in (
                (1, "No_", "nvarchar", 0, "", 20),
                (2, "Description", "nvarchar", 0, "", 50),
            )
        ),
        *(("primary", f"{company}$Item", "pk", 1, "No_", "", "", "", "", "", "") for company in ("A Ltd_", "B")),
        *(
            ("column", f"{company}$Item Ledger Entry", name, n, name, type_, 0, 38 if scale else "", scale, length, "")
            for company in ("A Ltd_", "B")
            for n, name, type_, scale, length in (
                (1, "Entry No_", "int", "", ""),
                (2, "Item No_", "nvarchar", "", 20),
                (3, "Location Code", "nvarchar", "", 10),
                (4, "Quantity", "decimal", 20, ""),
                (5, "Document No_", "nvarchar", "", 20),
            )
        ),
        *(
            ("primary", f"{company}$Item Ledger Entry", "pk", 1, "Entry No_", "", "", "", "", "", "")
            for company in ("A Ltd_", "B")
        ),
        ("rows", "B$Item Ledger Entry", "", 1234, "", "", "", "", "", "", ""),
    ]
    return "\n".join(delimiter.join(map(str, row)) for row in [FIELDS, *rows]) + "\n"


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_sql_server_from_a_catalogue_query_s_result(delimiter: str, tmp_path: Path) -> None:
    (tmp_path / "connect-configs").mkdir()
    path = tmp_path / "catalogue.csv"
    path.write_text(catalogue_csv(delimiter))
    words = ["source", "init", "nav", "--kind", "sqlserver", "--catalogue", str(path), "--json"]
    environment = {"ONHAND_PROJECT_DIR": str(tmp_path), "ONHAND_DATA_DIR": str(tmp_path / "data")}
    answer = CliRunner().invoke(onhand, words, env=environment, catch_exceptions=False)
    document = json.loads(answer.stdout)
    assert document["schema"] == "dbo"
    assert any("golden-only" in note for note in document["notes"])
    folder = tmp_path / "connect-configs" / "nav"
    config = json.loads((folder / "connector.json").read_text())
    assert config["connector.class"].endswith("SqlServerConnector")
    assert config["database.password"].startswith("${file:")
    postings = (folder / "postings.sql").read_text()
    assert "FROM dbo.[${company}$Item Ledger Entry] s" in postings
    assert "ROUND(s.Quantity, 9)" in postings
    explained = CliRunner().invoke(onhand, ["source", "explain-mapping", "nav"], env=environment)
    assert "dbo.B$Item Ledger Entry" in explained.stdout
    assert "SQL Server: golden-only" in explained.stdout
    refused = CliRunner().invoke(onhand, ["source", "apply", "nav"], env=environment)
    assert isinstance(refused.exception, InvalidInput)
    assert "golden-only" in str(refused.exception)
    again = CliRunner().invoke(onhand, words, env=environment)
    assert isinstance(again.exception, InvalidInput)
    assert "--force" in str(again.exception)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "no column what"),
        (f"{','.join(FIELDS)}\ncolumn,t,c,1,c,int,0,,many,,\n", ":2: 'many' is no number"),
        (f"{','.join(FIELDS)}\nview,t,c,1,c,int,0,,,,\n", ":2: what is 'view'"),
        (f"{','.join(FIELDS)}\ncolumn,t,c,1\n", ":2: 4 values where the header has 11"),
        (f"{','.join(FIELDS)}\ncolumn,t,c,1,c,int,0,,,,\n", "no line `server`"),
    ],
)
def test_a_wrong_catalogue_file_is_told_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    from streams.connect.init.catalogue_file import read_file

    path = tmp_path / "catalogue.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=said):
        read_file(path, "oracle", AT, None)


def test_the_queries_are_printed() -> None:
    for kind, query in QUERIES.items():
        answer = CliRunner().invoke(onhand, ["source", "init", "x", "--kind", kind, "--query"])
        assert answer.stdout.strip() == query.strip()
