"""The topic catalogue is checked: an unknown key fails, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalogue import CATALOGUE, SOURCE_LOG, catalogue, load_catalogue
from schemas.errors import InvalidInput


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = CATALOGUE.read_text()
    assert old in text
    path = tmp_path / "topics.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    owner: onhand", "    owners: onhand", r"topics.yaml:\d+: topics.onhand.balance.v1.owners: Extra inputs"),
        ("    partitions: P", "    partitions: many", r"partitions"),
        ("cleanup: delete", "cleanup: rotate", r"cleanup: Input should be"),
        ("    retention_ms: 604800000", "    min_compaction_lag_ms: 5", "cleanup delete needs retention_ms"),
        ("  item.v1:", "  items.v1:", "item.v1, items.v1 stand on one side"),
        ("  cdc.<source>:", "  log.<source>:", "source_topics are known by name"),
        ("topics:", "topics: [", "topics.yaml"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        load_catalogue(changed(tmp_path, old, new))


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    path = changed(tmp_path, "cleanup: compact", "cleanup: x")
    path.write_text(path.read_text().replace("owner: orders", "boss: orders"))
    with pytest.raises(InvalidInput) as caught:
        load_catalogue(path)
    assert len(str(caught.value).splitlines()) >= 4


def test_settings_of_topics() -> None:
    known = catalogue()
    atp = known.topics["inventory.atp.v1"]
    assert atp.partition_count(6) == 6
    assert atp.configuration()["cleanup.policy"] == "compact"
    assert atp.configuration()["min.compaction.lag.ms"] == "3600000"
    assert "retention.ms" not in atp.configuration()
    assert known.topics["progress.v1"].partition_count(6) == 1
    name, log = known.source_topic(SOURCE_LOG, "erp")
    assert (name, log.partition_count(9)) == ("cdc.erp", 1)
