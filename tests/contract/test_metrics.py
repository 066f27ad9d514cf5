"""docs/metrics.md, the alerts and the catalogue name the same metrics; nothing else can be exposed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from onhand.cli.main import onhand
from onhand.metrics.catalogue import BY_NAME, CATALOGUE, Kind, metrics_of
from onhand.metrics.exposition import expose, families
from onhand.metrics.samples import Sample
from onhand.settings import load_settings
from onhand.stack.local import configured_processes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WHO = {
    "lane": {Kind.LANE},
    "inventory": {Kind.STAGE},
    "orders": {Kind.STAGE},
    "channel": {Kind.CHANNEL},
    "metrics": {Kind.METRICS},
    "watch": {Kind.WATCH},
    "all": set(Kind),
}
COMMAND = re.compile(r'(?:^ {4}|`|"|; )(?:[A-Z_]+=\S+ )*onhand ([a-z-]+(?: [a-z-]+)?)', re.MULTILINE)
METRIC = re.compile(r"\bonhand_[a-z_]+\b")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((DOCS / "prometheus" / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_the_page_lists_the_catalogue() -> None:
    row = re.compile(r"^\| `(onhand_\w+)` \| (\w+) \| ([\w, ]*) \| ([\w, ]+) \| (.+) \|$", re.MULTILINE)
    listed = {}
    for name, kind, labels, of, help in row.findall((DOCS / "metrics.md").read_text()):
        kinds = frozenset().union(*(WHO[who] for who in of.split(", ")))
        listed[name] = (kind, tuple(filter(None, labels.strip().split(", "))), kinds, help)
    assert listed == {one.name: (one.type, one.labels, one.of, one.help) for one in CATALOGUE}


def test_no_name_twice_and_units_in_the_names() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    for one in CATALOGUE:
        assert (one.type == "counter") == one.name.endswith("_total"), one.name


def test_what_is_not_in_the_catalogue_is_not_exposed() -> None:
    with pytest.raises(KeyError):
        list(families(Kind.METRICS, "metrics", [Sample("onhand_surprise", 1)]))


@pytest.mark.parametrize("kind", Kind)
def test_a_process_that_starts_exposes_its_metrics_without_values(kind: Kind) -> None:
    text = expose(kind, "x", {"healthy": False, "error": "it starts"}, 0).decode()
    assert set(re.findall(r"^# TYPE (onhand_\w+)", text, re.MULTILINE)) == {one.name for one in metrics_of(kind)}
    assert 'onhand_healthy{process="x"} 0.0' in text


def test_the_alerts_are_about_metrics_there_are() -> None:
    for rule in rules():
        named = set(METRIC.findall(rule["expr"])) - {"onhand"}
        assert named <= set(BY_NAME), rule["alert"]
        assert named or "up{" in rule["expr"], rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "ticket")
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 10


def test_the_alerts_are_queries_that_prometheus_reads() -> None:
    for rule in rules():
        promql_parser.parse(rule["expr"])


def test_prometheus_scrapes_every_process_of_docker_compose() -> None:
    document = yaml.safe_load((DOCS / "prometheus" / "prometheus.yml").read_text())
    (static,) = [job for job in document["scrape_configs"] if "static_configs" in job]
    processes = configured_processes(load_settings(project_dir=ROOT))
    assert static["static_configs"][0]["targets"] == [f"{name}:9464" for name in processes]


def test_every_command_of_the_pages_exists() -> None:
    """`onhand …` in operations.md, in the metrics page and in the alerts."""
    texts = [(DOCS / name).read_text() for name in ("operations.md", "metrics.md", "prometheus/alerts.yml")]
    found = {tuple(words.split()) for text in texts for words in COMMAND.findall(text)}
    assert len(found) > 10, "the pattern no longer finds them"
    for words in sorted(found):
        command: Any = onhand
        for word in words:
            if not hasattr(command, "get_command"):
                break  # an argument
            command = command.get_command(None, word)
            assert command is not None, f"onhand {' '.join(words)}"
