"""The rule: what is refused, where, and what changes its version."""

from __future__ import annotations

import re

import pytest

from schemas.errors import InvalidInput
from sinks.core.rule import parse_rule
from tests.unit.sinks.facts import rule

GOOD = """\
name: shop
adapter: webhook
url: http://127.0.0.1:8080/hook
secret: ${file:shop.properties:secret}
share:
  percent: 50
staleness:
  steps:
    - after_s: 60
      buffer: 5
    - after_s: 600
      stop: true
"""


def test_a_rule_is_read() -> None:
    read = parse_rule(GOOD, "channel-configs/shop.yaml")
    assert read.share.percent == 50
    assert (read.staleness.steps[1].stop, read.batch_size) == (True, 100)


def test_every_error_is_told_at_once_with_its_line() -> None:
    text = (
        GOOD.replace("percent: 50", "percent: 150")
        .replace("secret: ${file:shop.properties:secret}", "secret: whsec_abc")
        .replace("after_s: 600", "after_s: 6\n      colour: red")
        .replace("name: shop", "name: other")
    )
    with pytest.raises(InvalidInput) as refused:
        parse_rule(text, "channel-configs/shop.yaml")
    lines = str(refused.value).splitlines()
    assert [line.split(": ")[0:2] for line in lines] == [
        ["channel-configs/shop.yaml:4", "secret"],
        ["channel-configs/shop.yaml:6", "share.percent"],
        ["channel-configs/shop.yaml:12", "unknown key staleness.steps.1.colour; there are"],
        ["channel-configs/shop.yaml:1", "name"],
    ]
    assert "whsec_abc" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "expected the keys of a channel"),
        ("name: [\n", "shop.yaml:1:7: '[' is not closed"),
        (GOOD + "secrt: x\n", "unknown key secrt; did you mean secret?"),
        (GOOD.replace("after_s: 600", "after_s: 6"), "rising order"),
        (GOOD.replace("http://127.0.0.1:8080/hook", "ftp://x"), "not an http(s) URL"),
        (GOOD + "locations: []\n", "must name at least one"),
        (GOOD.replace("adapter: webhook", "adapter: fax"), "webhook"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        parse_rule(text, "shop.yaml")


def test_the_version_follows_what_is_told_and_nothing_else() -> None:
    plain = rule()
    same = rule(batch_size=1, pace={"per_second": 1}, timeout_s=1, order_channel="WB", tells=["inventory"])
    assert (same.inventory_version, same.order_version) == (plain.inventory_version, plain.order_version)
    for change in (
        {"buffer": 1},
        {"share": {"percent": 99}},
        {"locations": ["A"]},
        {"staleness": {"steps": [{"after_s": 5}]}},
        {"url": "http://127.0.0.1:10"},
        {"threshold": 1},
    ):
        assert rule(**change).inventory_version != plain.inventory_version, change
        assert (rule(**change).order_version != plain.order_version) == ("url" in change), change
    assert 0 <= plain.inventory_version < 1 << 63
