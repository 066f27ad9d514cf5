"""A broken YAML file is told in one line that begins with the place people look for."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidInput
from schemas.yaml_file import parse_yaml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "f:1:4: '[' is not closed"),
        ("a: b\nc: [1,\n  2\nd: e\n", "f:2:4: '[' is not closed"),
        ("a: {b: [1, 2}\n", "f:1:8: '[' is not closed"),
        ("a: [1]]\n", "f:1:7: not YAML: expected <block end>, but found ']'"),
        ("a: 'b\nc: d\n", "f:1:4: the quote is not closed"),
        ("a: b\n c: d\n", "f:2:3: not YAML: mapping values are not allowed here"),
        ("a:\n\tb: c\n", "f:2:1: not YAML: found character '\\t' that cannot start any token"),
        ("a: b\nc: \x00\n", "f:2:4: character U+0000 is not allowed"),
        ("a: !!python/none x\n", "f:1:4: not YAML: could not determine a constructor"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_yaml(text, "f")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
