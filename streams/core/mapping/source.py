"""source.yaml: what a source is, beside its SQL.  Every mistake is told at once, with file and line."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.errors import InvalidInput
from schemas.yaml_file import parse_yaml, said_of
from streams.core.mapping.dialects import REFUSED

FILE = "source.yaml"
Deletion = Literal["cancelled", "archived", "removed"]


class PartialKey(BaseModel):
    """A key that is unique among the rows that meet a condition."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: list[str] = Field(min_length=1)
    where: str = Field(min_length=1)
    """In the database's SQL; ON must say the same."""


class SourceConfig(BaseModel):
    """One source system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,47}$")
    """Names the topic cdc.<name>, the lane and the connector; equals the folder's name."""
    kind: Literal["postgres", "mariadb", "mysql", "sqlserver", "oracle"]
    """Database product: parser, semantics, positions and audit follow it.  Only postgres and mariadb are proven: with
    the others a mapping can be written, checked and tested, not applied."""
    schema_: str = Field(alias="schema", min_length=1)
    """Schema (PostgreSQL, SQL Server, Oracle) or database (MariaDB, MySQL) that holds the tables."""
    time_zone: str = "UTC"
    """What a time stamp without a zone means."""
    writes: bool = True
    """May the connector's user write onhand's two tables, heartbeat and signal?"""
    expand: dict[str, list[str]] = {}
    """`${name}` in the SQL files → values; each file is compiled once per value."""
    unique: dict[str, list[list[str] | PartialKey]] = {}
    """Table → keys the catalogue does not show: their columns, or columns and the condition they hold under."""
    one_row: list[str] = []
    """Tables of one row, as of settings: joined ON TRUE."""
    many: list[str] = []
    """Tables of which a JOIN may find several rows, by an index; in any other one that is refused."""
    statuses: dict[str, dict[str, dict[str, str]]] = {}
    """File (orders, shipments) → status column → the source's code → the contract's symbol."""
    deletions: dict[str, Deletion] = {}
    """Table → what the delete of its row means: `archived` keeps its postings until their claim is closed, `removed`
    (the default) withdraws them, `cancelled` withdraws them and cancels the order part."""

    @field_validator("kind", mode="before")
    @classmethod
    def _not_refused(cls, value: Any) -> Any:
        if value in REFUSED:
            raise ValueError(REFUSED[value])
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value} is no time zone: write it like Europe/Paris") from None
        return value


class Lines(dict[tuple[Any, ...], int]):
    """Path of a YAML value → its line, from 1."""

    def of(self, *path: Any) -> int:
        """The line of this value, or of the nearest one around it."""
        while path and path not in self:
            path = path[:-1]
        return self.get(path, 1)


def load_source(path: Path) -> SourceConfig:
    """Raises InvalidInput with every mistake, one a line."""
    if not path.is_file():
        raise InvalidInput(f"{path}: missing; a source folder begins with it: name, kind, schema")
    return parse_source(path.read_text(), str(path))


def parse_source(text: str, file: str = FILE) -> SourceConfig:
    """Raises InvalidInput with every mistake, one a line."""
    lines = Lines()
    node, raw = parse_yaml(text, file)
    twice = _note_lines(node, (), lines) if node is not None else []
    if not isinstance(raw, dict):
        raise InvalidInput(f"{file}:1: name, kind and schema are needed")
    found = [f"{file}:{line}: {key} stands there twice" for key, line in twice]
    try:
        config = SourceConfig.model_validate(raw)
    except ValidationError as error:
        found += [f"{file}:{lines.of(*e['loc'])}: {said_of(dict(e), SourceConfig)}" for e in error.errors()]
        raise InvalidInput("\n".join(found)) from None
    if found:
        raise InvalidInput("\n".join(found))
    return config


def lines_of(text: str) -> Lines:
    """Where everything of a valid source.yaml stands."""
    lines = Lines()
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None:
        _note_lines(node, (), lines)
    return lines


def _note_lines(node: yaml.Node, path: tuple[Any, ...], lines: Lines) -> list[tuple[str, int]]:
    """Notes every value's line; answers the keys that stand twice."""
    twice = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                twice.append((key.value, key.start_mark.line + 1))
            lines[here] = key.start_mark.line + 1
            twice += _note_lines(value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for n, value in enumerate(node.value):
            lines[(*path, n)] = value.start_mark.line + 1
            twice += _note_lines(value, (*path, n), lines)
    return twice
