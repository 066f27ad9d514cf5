"""Golden rows: every example of the demo maps as it says, and a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.errors import InvalidInput
from streams.core.mapping.examples import check_example, example_files
from streams.core.mapping.mapping import load_mapping

CONFIGS = Path(__file__).parents[3] / "connect-configs"
EXAMPLES = [path for name in ("erp", "wms") for path in example_files(CONFIGS / name)]


@pytest.mark.parametrize("path", EXAMPLES, ids=[f"{path.parents[1].name}/{path.stem}" for path in EXAMPLES])
def test_every_example_maps(path: Path) -> None:
    assert check_example(load_mapping(path.parents[1]), path) == []


def test_both_demo_sources_have_examples() -> None:
    assert {path.parents[1].name for path in EXAMPLES} == {"erp", "wms"}


def test_what_differs_from_an_example_is_told(tmp_path: Path) -> None:
    mapping = load_mapping(CONFIGS / "wms")
    document = json.loads(EXAMPLES[-1].read_text())
    document["expect"]["postings"][0]["quantity"] = 13
    document["rows"]["bin"].append({"bin_id": 5, "wh_id": 9, "bin_type": "PICK"})
    document["rows"]["bin_stock"].append({"stock_id": 4, "bin_id": 5, "item_id": 2, "lot_id": 22, "qty": "1.000"})
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    found = check_example(mapping, tmp_path / "wrong.json")
    assert "waits for wms.warehouse (9,)" in found
    assert any(line.startswith('postings: no row like {"sku": "A100007"') for line in found)
    assert any(line.startswith("postings: not expected:") and '"12.000"' in line for line in found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no example"),
        ('{"rows": {}}', "is no example"),
        ('{"rows": {"nope": []}, "expect": {}}', "does not use table nope"),
        ('{"rows": {"bin": [{"nope": 1}]}, "expect": {}}', "table bin has no column nope"),
    ],
)
def test_a_file_that_is_no_example(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InvalidInput, match=reason):
        check_example(load_mapping(CONFIGS / "wms"), tmp_path / "x.json")
