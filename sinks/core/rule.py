"""A channel's rule: `channel-configs/<channel>.yaml`, checked whole, with file and line for every error.

The parts of a rule that change what the channel is told make its `version`; pace, batch size and time limits do not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from schemas.errors import InvalidInput
from schemas.yaml_file import parse_yaml, said_of

NETWORK = "*"
"""The location that stands for all of them together."""

REFERENCE = re.compile(r"\$\{(env|file):[^}]+\}")

RECEIVER = frozenset({"adapter", "url"})
"""Fields that change who is told."""
FIGURES = frozenset(
    {"locations", "share", "buffer", "threshold", "digits", "backorders", "untracked_quantity", "staleness"}
)
"""Fields that change what a channel is told of an item."""


class Part(BaseModel):
    """Frozen, and every unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Share(Part):
    """How much of the promise this channel may sell."""

    percent: Decimal = Field(default=Decimal(100), ge=0, le=100)
    """Of what is left after the buffer; rounded down."""
    maximum: Decimal | None = Field(default=None, ge=0)
    """Never tell more than this, in the item's unit."""
    protected_minimum: Decimal = Field(default=Decimal(0), ge=0)
    """As long as so much exists it is told even if the percentage gives less, in the item's unit."""


class StalenessStep(Part):
    """What to do when a source has been silent for so long."""

    after_s: float = Field(gt=0)
    """Seconds that the source's last known commit or heartbeat lies back."""
    buffer: Decimal = Field(default=Decimal(0), ge=0)
    """Grows the buffer by this, in the item's unit."""
    stop: bool = False
    """Tell zero."""


class Staleness(Part):
    """Steps of growing caution, the mildest first."""

    steps: tuple[StalenessStep, ...] = ()
    uncertain_step: int = Field(default=1, ge=0)
    """An uncertain promise (a parked row could change it) is told at this step at the least; 0: as usual."""

    @model_validator(mode="after")
    def _ascend(self) -> Staleness:
        after = [step.after_s for step in self.steps]
        if after != sorted(set(after)):
            raise ValueError("steps must come in rising order of after_s")
        return self


class Pace(Part):
    """How fast the channel may be told."""

    per_second: float = Field(default=1000.0, gt=0)
    """Items a second, on average."""
    burst: int = Field(default=1000, ge=1)
    """Items that may go at once after a pause."""


class Rule(Part):
    """One channel: where it is, what it may sell, how it wants to be told."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """The file's name without `.yaml`."""
    adapter: Literal["webhook"]
    """Technology: a module of `sinks.channels`."""
    url: str
    """Where to push; http(s), or a reference `${env:NAME}` or `${file:PATH}` or `${file:PATH:KEY}`."""
    secret: str
    """Only as a reference `${env:NAME}`, `${file:PATH}` or `${file:PATH:KEY}`; its value is `whsec_…`."""
    tells: tuple[Literal["inventory", "orders"], ...] = ("inventory", "orders")
    order_channel: str | None = None
    """Only orders of this sales channel (order.v1 `channel`) are told; none given: all."""
    locations: tuple[str, ...] = (NETWORK,)
    """Locations the channel sees; '*': all.  A channel that sees some is told, as network, at most their sum."""
    share: Share = Share()
    buffer: Decimal = Field(default=Decimal(0), ge=0)
    """Held back from every figure, in the item's unit."""
    threshold: Decimal = Field(default=Decimal(0), ge=0)
    """What is less than this is told as zero, in the item's unit."""
    digits: int = Field(default=0, ge=0, le=9)
    """Digits after the point; quantities are rounded down to them."""
    backorders: bool = True
    """Whether an item's backorder limit may be sold too."""
    untracked_quantity: Decimal = Field(default=Decimal(999999), ge=0)
    """What is told of an item whose stock is not counted."""
    staleness: Staleness = Staleness()
    pace: Pace = Pace()
    batch_size: int = Field(default=100, ge=1, le=10_000)
    """Items in one push; 1: single items."""
    oldest_first_after_s: float = Field(default=30.0, ge=0)
    """A key that has waited longer goes before any other, whatever its sign."""
    timeout_s: float = Field(default=10.0, gt=0)
    """For connecting, and again for the answer; after that the outcome of a push is unknown."""
    settle_s: float = Field(default=30.0, ge=0)
    """How long a request whose outcome is unknown may still land; the newest value is told again after that."""
    park_after_attempts: int = Field(default=10, ge=1)
    """An item refused so often while others pass is parked for a person."""
    orders_remembered_days: float = Field(default=30.0, gt=0)
    """An order whose newest state the channel took so long ago is let go: it is told again only when it changes."""

    @field_validator("secret")
    @classmethod
    def _secret_is_a_reference(cls, value: str) -> str:
        if not REFERENCE.fullmatch(value):
            raise ValueError("a secret is never written here: use ${env:NAME} or ${file:PATH:KEY}")
        return value

    @field_validator("url")
    @classmethod
    def _url_is_http(cls, value: str) -> str:
        if not REFERENCE.fullmatch(value) and not re.match(r"https?://[^/\s]+", value):
            raise ValueError("not an http(s) URL, nor ${env:NAME} or ${file:PATH:KEY}")
        return value

    @field_validator("locations", "tells")
    @classmethod
    def _some(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"{info.field_name} must name at least one")
        return value

    @property
    def inventory_version(self) -> int:
        """63 bits over everything that changes what the channel is told of an item."""
        return self._version(RECEIVER | FIGURES)

    @property
    def order_version(self) -> int:
        """The same of an order: a new buffer tells no order again."""
        return self._version(RECEIVER)

    def _version(self, fields: frozenset[str]) -> int:
        telling = self.model_dump_json(include=set(fields))
        return int.from_bytes(hashlib.sha256(telling.encode()).digest()[:8], "big") >> 1

    def sees(self, location: str) -> bool:
        """Whether the channel sells from this location."""
        return NETWORK in self.locations or location in self.locations


def parse_rule(text: str, file: str) -> Rule:
    """Raises InvalidInput with every error at once, each with file and line."""
    root, document = parse_yaml(text, file)
    if not isinstance(document, dict):
        raise InvalidInput(f"{file}:1: expected the keys of a channel (name, adapter, url, secret, …)")
    problems = []
    rule = None
    try:
        rule = Rule.model_validate(document)
    except ValidationError as error:
        for problem in error.errors():
            problems.append(f"{file}:{_line_of(root, problem['loc'])}: {said_of(dict(problem), Rule)}")
    stem = Path(file).stem
    if document.get("name", stem) != stem:
        problems.append(f"{file}:{_line_of(root, ('name',))}: name: must be {stem!r}, as the file is called")
    if problems or rule is None:
        raise InvalidInput("\n".join(problems))
    return rule


def load_rule(folder: Path, name: str) -> Rule:
    """The rule of one channel.  Raises InvalidInput, also when there is no such file."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise InvalidInput(f"{path}: there is no such channel; known channels: {known}")
    return parse_rule(path.read_text(), str(path))


def _line_of(node: yaml.Node | None, location: Sequence[Any]) -> int:
    """Line of the deepest part of `location` that exists, from 1."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
