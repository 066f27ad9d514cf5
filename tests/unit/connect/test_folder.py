"""Source folders: everything wrong is told at once, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import InvalidInput
from streams.connect.folder import key_lines, read_source, read_sources, source_names
from tests.unit.connect.sources import CONFIGS, VARIABLES, write_folder


def test_the_demo_is_read_with_its_variables() -> None:
    source = read_source(CONFIGS / "erp", VARIABLES)
    assert source.config["database.hostname"] == "pg"
    assert source.config["database.password"] == "${file:/run/secrets/erp.properties:password}"
    assert source.topic == "cdc.erp"
    assert source.place("connector.class") == "erp/connector.json:2"


def test_numbers_and_booleans_become_text(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "erp", '{"tasks.max": 1, "a": true}')
    assert read_source(folder, {}).config == {"tasks.max": "1", "a": "true"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "1",\n "a": "2"}', "erp/connector.json:2: a stands there twice"),
        ('{\n"a": {"b": "c"}}', "erp/connector.json:2: a must be text"),
        ('{"a": "${onhand:nothing}"}', "no variable ${onhand:nothing} (there are: kafka"),
        ('{"name": "erp", "config": {"a": "b"}}', "write what is inside `config` alone"),
        ('{"name": "erp"}', "name is not written here"),
        ('{"a": "b",}', "erp/connector.json:1:11: not JSON: "),
        ("[]", "must be one JSON object"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_source(write_folder(tmp_path, "erp", text), VARIABLES)
    assert words in str(caught.value)


def test_a_broken_description_is_told_in_one_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "erp", "{}")
    (folder / "source.yaml").write_text("name: erp\nkind: postgres\nmany: [a, b\nschema: s\n")
    with pytest.raises(InvalidInput) as caught:
        read_source(folder, VARIABLES)
    assert str(caught.value) == "erp/source.yaml:3:7: '[' is not closed"


def test_every_wrong_folder_is_told_at_once(tmp_path: Path) -> None:
    write_folder(tmp_path, "one", "[]")
    write_folder(tmp_path, "Two", "{}")
    (write_folder(tmp_path, "three", "{}") / "source.yaml").write_text("name: other\n")
    with pytest.raises(InvalidInput) as caught:
        read_sources(tmp_path, [], {})
    text = str(caught.value)
    for words in ("one/connector.json", "Two: a source is named", "three/source.yaml: `kind` is missing", "'other'"):
        assert words in text


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    write_folder(tmp_path, "erp", "{}")
    (tmp_path / "notes").mkdir()
    assert source_names(tmp_path) == ["erp"]
    with pytest.raises(InvalidInput, match=r"no source named wsm .*there are: erp"):
        read_sources(tmp_path, ["wsm"], {})


def test_lines_of_keys() -> None:
    assert key_lines('{\n  "a": "x:",\n  "b\\"c" : "\\"d\\": 1"\n}') == {"a": 2, 'b"c': 3}
