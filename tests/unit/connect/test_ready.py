"""The ready folders: each compiles, its examples map, its connector passes the rules, its README names its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.connect.findings import Severity
from streams.connect.folder import read_source
from streams.connect.lint import lint
from streams.connect.mapping_check import mapping_findings
from streams.core.mapping.catalogue import FILE
from streams.core.mapping.examples import check_example, example_files
from streams.core.mapping.mapping import load_mapping
from tests.unit.connect.sources import VARIABLES

READY = Path(__file__).parents[3] / "connect-configs" / "ready"
FOLDERS = sorted(path.parent for path in READY.glob(f"*/{FILE}"))
LIVE = ("dolibarr", "erpnext", "odoo", "openboxes")
"""Those that tests/integration/test_ready_systems.py runs on their database."""
ORACLE = ("jdedwards", "oracle-ebs")
"""Golden-only: no database confirms them."""


def test_all_are_found() -> None:
    assert {*LIVE, *ORACLE} <= {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_examples_map(folder: Path) -> None:
    mapping = load_mapping(folder)
    assert len(example_files(folder)) >= 1
    assert [check_example(mapping, path) for path in example_files(folder)] == [[]] * len(example_files(folder))


@pytest.mark.parametrize("name", [*LIVE, *ORACLE])
def test_its_connector_captures_what_the_mapping_reads_and_in_a_good_order(name: str) -> None:
    source = read_source(READY / name, {**VARIABLES, "oracle_host": "ora"})
    found = [*lint([source]), *mapping_findings(source)]
    assert [one for one in found if one.severity is not Severity.NOTE] == []
    assert [one for one in found if one.code == "E28"] == []


@pytest.mark.parametrize("name", [*LIVE, *ORACLE])
def test_its_readme_names_every_table_it_reads(name: str) -> None:
    told = (READY / name / "README.md").read_text()
    tables = [table.partition(".")[2] for table in load_mapping(READY / name).tables]
    assert [table for table in tables if f"`{table}`" not in told] == []
