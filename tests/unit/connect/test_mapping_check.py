"""E28: the mapping's tables must be captured, and a refused mapping is a finding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from streams.connect.findings import Severity
from streams.connect.folder import read_source
from streams.connect.mapping_check import mapping_findings
from tests.unit.connect.sources import CONFIGS, VARIABLES, demo_config, write_folder


def copied(root: Path) -> Path:
    return shutil.copytree(CONFIGS / "erp", root / "erp")


def test_the_demo_captures_what_its_mappings_read() -> None:
    for name in ("erp", "wms"):
        assert mapping_findings(read_source(CONFIGS / name, VARIABLES)) == []


def test_a_table_that_is_not_captured(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    config = demo_config("erp") | {"table.include.list": "erp\\.(itmast|whsmst|itmbal|ordhdr|ordlin|purlin)"}
    (folder / "connector.json").write_text(json.dumps(config, indent=1))
    findings = mapping_findings(read_source(folder, VARIABLES))
    assert [(one.code, one.severity, one.message) for one in findings] == [
        ("E28", Severity.ERROR, "the mapping reads erp.ordlnh, which is not captured")
    ]


def test_a_snapshot_that_reads_a_table_before_what_it_joins_is_noted(tmp_path: Path) -> None:
    folder = shutil.copytree(CONFIGS / "wms", tmp_path / "wms")
    tables = "bin|bin_stock|item|lot|outbound|pick_task|receipt|shipment|shipment_line|transfer"
    config = demo_config("wms") | {"table.include.list": f"wms\\.warehouse,wms\\.({tables})"}
    (folder / "connector.json").write_text(json.dumps(config))
    findings = mapping_findings(read_source(folder, VARIABLES))
    assert [(one.code, one.severity, one.message) for one in findings] == [
        (
            "E28",
            Severity.NOTE,
            "a snapshot reads wms.bin_stock before wms.item, wms.lot, which its rows join: they are read twice",
        )
    ]


def test_a_refused_mapping(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "items.sql").write_text("SELECT nothing AS sku FROM erp.itmast\n")
    findings = mapping_findings(read_source(folder, VARIABLES))
    assert findings
    assert all(one.severity is Severity.ERROR and "items.sql" in one.message for one in findings)


def test_no_mapping_yet_is_only_a_note(tmp_path: Path) -> None:
    source = read_source(write_folder(tmp_path, "erp", demo_config("erp")), VARIABLES)
    assert [one.severity for one in mapping_findings(source)] == [Severity.NOTE]
