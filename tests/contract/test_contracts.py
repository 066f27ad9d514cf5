"""Every example decodes and re-encodes; every contract is compatible with each of its earlier versions in git."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import fastavro
import msgspec
import pytest

from schemas.catalogue import catalogue, examples_dir
from schemas.codec import Codec
from schemas.compatibility import obstacles
from schemas.contract import RECORDS, schema_of, schema_path

CODEC = Codec.local()
EXAMPLES = sorted(path for topic in RECORDS for path in examples_dir(topic).glob("*.json"))
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_an_example_decodes_and_encodes_to_itself(path: Path) -> None:
    topic = path.parts[-3]
    text = path.read_text()
    record = msgspec.json.decode(text, type=RECORDS[topic])
    assert CODEC.decode(topic, CODEC.encode(topic, record)) == record
    assert json.loads(msgspec.json.encode(record)) == json.loads(text), "the example names every field, and no other"


@pytest.mark.parametrize("topic", sorted(RECORDS))
def test_a_contract_has_examples_and_a_place_in_the_catalogue(topic: str) -> None:
    assert list(examples_dir(topic).glob("*.json"))
    assert topic in catalogue().topics
    fastavro.parse_schema(schema_of(topic))


@pytest.mark.parametrize("topic", sorted(RECORDS))
def test_a_contract_is_compatible_with_every_earlier_version(topic: str) -> None:
    place = schema_path(topic).relative_to(ROOT)
    if not (ROOT / ".git").exists():
        pytest.skip("no git history here")
    commits = _git("log", "--format=%H", "--", str(place)).split()
    assert commits or _git("status", "--porcelain", "--", str(place)), f"{place} is in no commit"
    for commit in commits:
        try:
            earlier = json.loads(_git("show", f"{commit}:{place}"))
        except subprocess.CalledProcessError:
            continue  # the commit that deleted it
        assert obstacles(earlier, schema_of(topic)) == [], f"{topic} against {commit[:9]}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout
