"""Folders for the tests: the demo's two sources, changed key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from streams.connect.folder import Source, read_source

CONFIGS = Path(__file__).parents[3] / "connect-configs"
VARIABLES = {
    "kafka": "kafka:9092",
    "secrets": "/run/secrets",
    "postgres_host": "pg",
    "postgres_port": "5432",
    "mariadb_host": "my",
    "mariadb_port": "3306",
}


def demo_config(name: str) -> dict[str, str]:
    """connector.json of a demo source, as it is written."""
    config: dict[str, str] = json.loads((CONFIGS / name / "connector.json").read_text())
    return config


def write_folder(root: Path, name: str, config: object, *, kind: str = "postgres", schema: str = "erp") -> Path:
    """A source folder with this connector.json (text as it is, anything else as JSON)."""
    folder = root / name
    folder.mkdir(parents=True)
    text = config if isinstance(config, str) else json.dumps(config, indent=2)
    (folder / "connector.json").write_text(text)
    (folder / "source.yaml").write_text(f"name: {name}\nkind: {kind}\nschema: {schema}\ntime_zone: UTC\n")
    return folder


def changed(root: Path, demo: str, changes: Mapping[str, str | None]) -> Source:
    """A demo source with some keys set, or left out (None)."""
    config = {**demo_config(demo), **{key: value for key, value in changes.items() if value is not None}}
    for key, value in changes.items():
        if value is None:
            del config[key]
    kind = {"erp": "postgres", "wms": "mariadb"}[demo]
    return read_source(write_folder(root, demo, config, kind=kind, schema=demo), VARIABLES)
