"""A source's folder: connector.json and what else onhand needs to know to drive its connector.

connector.json is the bare Debezium configuration, exactly what Kafka Connect is given: no envelope, no hidden keys.
The one addition are variables `${onhand:name}` for what differs between installations (broker address, secrets
folder, addresses of the local databases); they are replaced before anything else looks at the configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import InvalidInput
from schemas.yaml_file import parse_yaml

CONNECTOR_FILE = "connector.json"
SOURCE_FILE = "source.yaml"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
_VARIABLE = re.compile(r"\$\{onhand:([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Source:
    """One folder under connect-configs, read."""

    name: str
    """Of folder, connector and source alike."""
    kind: str
    """postgres | mariadb | …"""
    schema: str
    """Schema (PostgreSQL) or database (MariaDB) that the mapping's unqualified tables are in."""
    folder: Path
    config: Mapping[str, str]
    """Desired configuration: connector.json with onhand's variables replaced; flat, text to text."""
    lines: Mapping[str, int]
    """Key of connector.json → line, from 1."""
    writes: bool = True
    """`writes: false` in source.yaml: its user may write nothing, so there is no heartbeat and no signal table."""

    @property
    def topic(self) -> str:
        """The source log."""
        return log_topic(self.name)

    def place(self, key: str | None = None) -> str:
        """`file:line` of a key of connector.json; the file's first line for a key that is not there."""
        return f"{self.folder.name}/{CONNECTOR_FILE}:{self.lines.get(key or '', 1)}"


def log_topic(source: str) -> str:
    """The one topic a source's connector writes."""
    return f"cdc.{source}"


def source_names(root: Path) -> list[str]:
    """Every folder that has a connector.json or a source.yaml, by name."""
    if not root.is_dir():
        raise InvalidInput(f"{root}: no such folder; run onhand in the project's folder or set ONHAND_PROJECT_DIR")
    return sorted(
        folder.name
        for folder in root.iterdir()
        if folder.is_dir() and ((folder / CONNECTOR_FILE).exists() or (folder / SOURCE_FILE).exists())
    )


def read_sources(root: Path, names: Sequence[str], variables: Mapping[str, str]) -> list[Source]:
    """The named sources, all of them when none is named.  Raises InvalidInput with everything wrong in all folders."""
    known = source_names(root)
    unknown = [name for name in names if name not in known]
    if unknown:
        have = ", ".join(known) or "none"
        raise InvalidInput(f"no source named {', '.join(unknown)} under {root} (there are: {have})")
    sources: list[Source] = []
    wrong: list[str] = []
    for name in names or known:
        try:
            sources.append(read_source(root / name, variables))
        except InvalidInput as error:
            wrong.append(str(error))
    if wrong:
        raise InvalidInput("\n".join(wrong))
    return sources


def read_source(folder: Path, variables: Mapping[str, str]) -> Source:
    """One folder.  Raises InvalidInput with everything wrong in it."""
    wrong: list[str] = []
    description = _description(folder, wrong)
    config, lines = _configuration(folder, variables, wrong)
    if wrong:
        raise InvalidInput("\n".join(wrong))
    return Source(
        name=folder.name,
        kind=description["kind"],
        schema=description["schema"],
        folder=folder,
        config=config,
        lines=lines,
        writes=description["writes"] != "False",
    )


def _description(folder: Path, wrong: list[str]) -> dict[str, str]:
    path = folder / SOURCE_FILE
    place = f"{folder.name}/{SOURCE_FILE}"
    if NAME.fullmatch(folder.name) is None:
        wrong.append(f"{folder.name}: a source is named by small letters, digits, _ and -, from a letter, at most 48")
    try:
        document: Any = parse_yaml(path.read_text(encoding="utf-8"), place)[1]
    except OSError as error:
        wrong.append(f"{place}: {error.strerror}; a source needs this file")
        return {}
    except InvalidInput as error:
        wrong.append(str(error))
        return {}
    if not isinstance(document, dict):
        wrong.append(f"{place}: must be a mapping with name, kind and schema")
        return {}
    for key in ("name", "kind", "schema"):
        if not isinstance(document.get(key), str) or not document[key]:
            wrong.append(f"{place}: `{key}` is missing")
    if document.get("name") not in (None, folder.name):
        wrong.append(f"{place}: name is {document['name']!r} but the folder is {folder.name!r}; make them equal")
    return {key: str(document.get(key)) for key in ("kind", "schema", "writes")}


def _configuration(
    folder: Path, variables: Mapping[str, str], wrong: list[str]
) -> tuple[dict[str, str], dict[str, int]]:
    path = folder / CONNECTOR_FILE
    place = f"{folder.name}/{CONNECTOR_FILE}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        wrong.append(f"{place}: {error.strerror}; write the bare Debezium configuration (docs/connectors.md)")
        return {}, {}
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = found  # the outermost object comes last
        return dict(found)

    try:
        document = json.loads(text, object_pairs_hook=keep)
    except json.JSONDecodeError as error:
        wrong.append(f"{place}:{error.lineno}:{error.colno}: not JSON: {error.msg}")
        return {}, {}
    if not isinstance(document, dict):
        wrong.append(f"{place}: must be one JSON object of text to text")
        return {}, {}
    lines = key_lines(text)
    if isinstance(document.get("config"), dict):
        wrong.append(f"{place}:{lines.get('config', 1)}: holds name and config; write what is inside `config` alone")
        return {}, lines
    config: dict[str, str] = {}
    seen: set[str] = set()
    for key, value in pairs:
        at = f"{place}:{lines.get(key, 1)}"
        if key in seen:
            wrong.append(f"{at}: {key} stands there twice; keep one")
        seen.add(key)
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        if not isinstance(value, str):
            wrong.append(f"{at}: {key} must be text, Kafka Connect takes nothing else")
            continue
        if key == "name":
            wrong.append(f"{at}: name is not written here, it is the folder's; remove the line")
        config[key] = _substituted(value, variables, f"{at}: {key}", wrong)
    return config, lines


def _substituted(value: str, variables: Mapping[str, str], place: str, wrong: list[str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found[1] not in variables:
            wrong.append(f"{place}: no variable {found[0]} (there are: {', '.join(sorted(variables))})")
            return found[0]
        return variables[found[1]]

    return _VARIABLE.sub(replaced, value)


def key_lines(text: str) -> dict[str, int]:
    """Line of each top-level key of a JSON object (the last one for a key written twice)."""
    lines: dict[str, int] = {}
    for found in re.finditer(r'"((?:[^"\\]|\\.)*)"(\s*:)?', text):
        if found[2]:
            lines[json.loads(f'"{found[1]}"')] = text.count("\n", 0, found.start()) + 1
    return lines
