"""A ready source.yaml made one's own: other values of its top-level keys, its comments kept."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import yaml

from streams.core.mapping.source import SourceConfig

TABLE_KEYS = ("unique", "deletions", "one_row", "many")
"""Keys of source.yaml that name tables."""


def with_value(text: str, key: str, value: Any) -> str:
    """The text with this value under a top-level key; None: without the key.  A new key stands at the end."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    nodes = document.value if isinstance(document, yaml.MappingNode) else []
    written = "" if value is None else f"{key}: {json.dumps(value, ensure_ascii=False)}"
    found = next(((name, node) for name, node in nodes if name.value == key), None)
    if found is None:
        return text if value is None else f"{text.rstrip()}\n{written}\n"
    name, node = found
    before, inside = text[: name.start_mark.index], text[name.start_mark.index : node.end_mark.index]
    after = text[node.end_mark.index :]
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:  # ends where the next key begins
        lines = inside.splitlines(keepends=True)
        while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            after = lines.pop() + after
        written += "\n" if written else ""
    elif value is None:
        after = after.partition("\n")[2]
    return before + written + after


def for_tables(text: str, source: SourceConfig, known: Collection[str]) -> str:
    """Without what is said of tables that are not known."""
    for key in TABLE_KEYS:
        said = getattr(source, key)
        if all(table in known for table in said):
            continue
        if isinstance(said, list):
            left: Any = [table for table in said if table in known]
        else:
            left = {table: value for table, value in source.model_dump()[key].items() if table in known}
        text = with_value(text, key, left or None)
    return text
