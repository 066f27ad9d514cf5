"""source.yaml, catalog.json, folders: every mistake with its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from sqlglot import exp

from schemas.errors import InvalidInput
from streams.core.mapping.catalogue import Catalogue, drift
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.source import parse_source
from streams.core.mapping.subset import outside
from tests.unit.mapping.tables import catalogue, compiled

CONFIGS = Path(__file__).parents[3] / "connect-configs"


def test_every_mistake_in_source_yaml_is_told_with_its_line() -> None:
    text = "name: Erp!\nkind: db2\nschema: s\ntime_zone: Mars/Base\ncolour: red\ndeletions:\n  a: removed\n  b: gone\n"
    with pytest.raises(InvalidInput) as error:
        parse_source(text)
    told = str(error.value).splitlines()
    assert [line.split(": ")[0:2] for line in told] == [
        ["source.yaml:1", "name"],
        ["source.yaml:2", "kind"],
        ["source.yaml:4", "time_zone"],
        ["source.yaml:8", "deletions.b"],
        ["source.yaml:5", "unknown key colour; there are"],
    ]
    assert "Db2 is refused" in told[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "name, kind and schema are needed"),
        ("name: a\nkind: postgres\nschema: s\nname: b\n", "source.yaml:4: name stands there twice"),
        ("name: [\n", r"source.yaml:1:7: '\[' is not closed$"),
        ("name: a\ntime_zon: UTC\n", "source.yaml:2: unknown key time_zon; did you mean time_zone\\?"),
        (
            "unique: {item: [{column: [code], where: x}]}\n",
            "source.yaml:1: unknown key unique.item.0.PartialKey.column; did you mean columns\\?",
        ),
    ],
)
def test_source_yaml_that_is_no_description(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_source(text)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("deletions: {nope: archived}", "deletions: no table nope"),
        ("unique: {f: [[nope]]}", "unique: table f has no column nope"),
        ("unique: {nope: [[a]]}", "unique: no table nope"),
        ('statuses: {orders: {number: {"1": open}}}', "statuses: orders has no status column number"),
        ('statuses: {orders: {financial_status: {"1": opened}}}', "no symbol opened: open, authorised"),
        ("statuses: {nope: {}}", "statuses: nope: no output has this name"),
    ],
)
def test_names_in_source_yaml_that_mean_nothing_are_mistakes(more: str, reason: str) -> None:
    sql = "SELECT t AS sku, t AS location, 'demand' AS bucket, id AS quantity FROM f"
    with pytest.raises(InvalidInput, match=reason):
        compiled(catalogue(f="id:i! t:t"), more, postings=sql)


def test_a_status_column_needs_its_codes() -> None:
    with pytest.raises(InvalidInput, match=r"financial_status: source\.yaml maps no codes"):
        compiled(catalogue(f="id:i! t:t"), orders="SELECT t AS order_id, t AS financial_status FROM f")


def test_a_folder_without_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "erp"
    shutil.copytree(CONFIGS / "erp", folder)
    before = load_mapping(folder).fingerprint
    (folder / "items.sql").write_text((folder / "items.sql").read_text() + "\n")
    assert load_mapping(folder).fingerprint != before
    (folder / "catalog.json").unlink()
    with pytest.raises(InvalidInput, match="write it with `onhand source inspect erp`"):
        load_mapping(folder)
    (folder / "source.yaml").unlink()
    with pytest.raises(InvalidInput, match=r"source\.yaml: missing"):
        load_mapping(folder)


def test_a_catalogue_of_another_schema_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "erp"
    shutil.copytree(CONFIGS / "erp", folder)
    text = (folder / "source.yaml").read_text()
    (folder / "source.yaml").write_text(text.replace("schema: erp", "schema: other"))
    with pytest.raises(InvalidInput, match=r"is of postgres erp, source\.yaml says postgres other"):
        load_mapping(folder)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_catalogue_survives_its_file(kind: str) -> None:
    known = catalogue(kind, f="id:i! t:t? c:c n:n", g="a:i! b:i!")
    again = Catalogue.load(known.dump())
    assert again == known
    assert again.dump() == known.dump()
    assert drift(known, again) == []


def test_drift_names_what_differs() -> None:
    before, now = catalogue(f="id:i! t:t? old:i", gone="id:i!"), catalogue(f="id:i! t:t more:i", fresh="id:i!")
    assert drift(before, now) == [
        "column f.more is new",
        "column f.old is gone",
        "column f.t: nullable True → False",
        "table fresh is new",
        "table gone is gone",
    ]


def test_drift_is_not_what_an_earlier_release_could_not_write_down() -> None:
    def known(*values: str) -> Catalogue:
        made = catalogue("mariadb", f="id:i! kind:t!")
        column = made.tables["f"].columns["kind"]
        made.tables["f"].columns["kind"] = msgspec.structs.replace(column, type="enum", values=values)
        return made

    assert drift(known(), known("PICK", "BULK")) == []
    assert drift(known("PICK"), known("PICK", "BULK")) == ["column f.kind: values ('PICK',) → ('PICK', 'BULK')"]


def test_a_broken_catalogue_says_how_to_write_it_again() -> None:
    with pytest.raises(InvalidInput, match="onhand source inspect"):
        Catalogue.load('{"kind": 1}')


def test_an_argument_the_compiler_gives_no_meaning_is_refused() -> None:
    column = exp.Column(this=exp.Identifier(this="a", quoted=False), join_mark=True)
    assert [reason for _, reason in outside(column)] == ["join mark of Column is outside the subset"]
    assert list(outside(exp.Column(this=exp.Identifier(this="a", quoted=False)))) == []
