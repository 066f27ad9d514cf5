"""A mapping's text says all that its folder says."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import InvalidInput
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.text import compile_text, pack, read_text, unpack

CONFIGS = Path(__file__).parents[3] / "connect-configs"


@pytest.mark.parametrize("source", ["erp", "wms"])
def test_the_text_compiles_to_the_folders_mapping(source: str) -> None:
    there = load_mapping(CONFIGS / source)
    here = compile_text(read_text(CONFIGS / source))
    assert here.fingerprint == there.fingerprint
    assert here.code == there.code
    assert {name: table.columns for name, table in here.tables.items()} == {
        name: table.columns for name, table in there.tables.items()
    }


def test_equal_files_have_equal_texts_and_other_files_another_fingerprint() -> None:
    files = unpack(read_text(CONFIGS / "erp"))
    assert pack(files) == read_text(CONFIGS / "erp")
    assert compile_text(pack({**files, "source.yaml": files["source.yaml"] + b"\n"})).fingerprint != (
        compile_text(pack(files)).fingerprint
    )


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        compile_text(b"no text")


def test_a_text_that_is_too_large_for_a_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.core.mapping.text.PACKED_BYTES", 100)
    with pytest.raises(InvalidInput, match="split the source"):
        read_text(CONFIGS / "erp")
