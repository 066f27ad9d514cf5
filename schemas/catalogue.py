"""The topic catalogue, `topics.yaml`, read and checked."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.contract import CONTRACTS_DIR, RECORDS
from schemas.errors import InvalidInput

CATALOGUE = Path(__file__).parent / "topics.yaml"
SOURCE = "<source>"
"""Stands for a source's name in the names of `source_topics`."""

SOURCE_LOG, SIGNAL, SCHEMA_HISTORY = f"cdc.{SOURCE}", f"{SOURCE}.signal", f"{SOURCE}.schema-history"


class Topic(BaseModel):
    """One topic, as it is created and kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=1)
    """What one value means."""
    key: str = Field(min_length=1)
    """What the key is made of; UTF-8 text."""
    partitions: Literal["P"] | int
    """`P`: as many as the setting `partitions` says; a number: always so many."""
    cleanup: Literal["compact", "delete"]
    """compact: the newest value per key stays; delete: kept by time."""
    retention_ms: int | None = Field(default=None, ge=-1)
    """How long a record is kept, with cleanup delete; -1: for ever."""
    min_compaction_lag_ms: int | None = Field(default=None, ge=0)
    """A record is not compacted away sooner, with cleanup compact."""
    delete_retention_ms: int | None = Field(default=None, ge=0)
    """How long a tombstone stays visible, with cleanup compact."""
    segment_bytes: int | None = Field(default=None, ge=1 << 20)
    """Size of a log segment; only closed ones are compacted, so a topic that says little again and again needs small
    ones, or whoever reads it from the beginning reads days of it.  None: the broker's, 1 GiB."""
    max_message_bytes: int = Field(ge=1024)
    """Largest record batch."""
    producers: tuple[str, ...] = Field(min_length=1)
    """Kinds of process that write it."""
    consumers: tuple[str, ...] = Field(min_length=1)
    """Kinds of process that read it; any: open to every application."""
    owner: str = Field(min_length=1)
    """Who answers for its meaning."""

    @model_validator(mode="after")
    def _fits_its_cleanup(self) -> Topic:
        if self.cleanup == "delete" and self.retention_ms is None:
            raise ValueError("cleanup delete needs retention_ms")
        if self.cleanup == "compact" and self.retention_ms is not None:
            raise ValueError("cleanup compact has no retention_ms")
        if self.cleanup == "delete" and (self.min_compaction_lag_ms or self.delete_retention_ms) is not None:
            raise ValueError("cleanup delete has neither min_compaction_lag_ms nor delete_retention_ms")
        if isinstance(self.partitions, int) and self.partitions < 1:
            raise ValueError("partitions is P or a positive number")
        return self

    def partition_count(self, setting: int) -> int:
        """Number of partitions, with the setting for P."""
        return setting if self.partitions == "P" else self.partitions

    def configuration(self) -> dict[str, str]:
        """Kafka's topic settings; what is not named here is the broker's."""
        settings = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": self.max_message_bytes,
            "retention.ms": self.retention_ms,
            "segment.bytes": self.segment_bytes,
            "min.compaction.lag.ms": self.min_compaction_lag_ms,
            "delete.retention.ms": self.delete_retention_ms,
        }
        return {name: str(value) for name, value in settings.items() if value is not None}


class Catalogue(BaseModel):
    """All topics of onhand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: dict[str, Topic]
    """Topics with a contract, by name."""
    source_topics: dict[str, Topic]
    """Topics that each source has; `<source>` stands for its name."""

    def source_topic(self, template: str, source: str) -> tuple[str, Topic]:
        """Name and settings of one of a source's topics."""
        return template.replace(SOURCE, source), self.source_topics[template]


def examples_dir(topic: str) -> Path:
    """Folder of the topic's examples, one JSON document each."""
    return CONTRACTS_DIR / topic / "examples"


def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read a catalogue.  Raises InvalidInput that names every wrong key at once, with its line."""
    text = path.read_text()
    try:
        node = yaml.compose(text)
        catalogue = Catalogue.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path}: {error}") from None
    except ValidationError as error:
        lines = (
            f"{path}:{_line_of(node, wrong['loc'])}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
            for wrong in error.errors()
        )
        raise InvalidInput("\n".join(lines)) from None
    odd = set(catalogue.topics) ^ set(RECORDS)
    if odd:
        raise InvalidInput(f"{path}: topics and contracts must be the same; {', '.join(sorted(odd))} stand on one side")
    missing = {SOURCE_LOG, SIGNAL, SCHEMA_HISTORY} ^ set(catalogue.source_topics)
    if missing:
        raise InvalidInput(f"{path}: source_topics are known by name; {', '.join(sorted(missing))} differ")
    return catalogue


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue of this release."""
    return load_catalogue()


def _line_of(node: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """Line of the deepest key of `place` that the document has."""
    line = 1
    for step in place:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == str(step):
                line, node = key.start_mark.line + 1, value
                break
        else:
            break
    return line
