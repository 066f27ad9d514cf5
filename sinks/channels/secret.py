"""References in a channel's file, resolved at start: `${env:NAME}`, `${file:PATH}`, `${file:PATH:KEY}`."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import EnvironmentFault


def resolve(value: str, secrets: Path) -> str:
    """The value a reference stands for; anything else is itself.

    `PATH` is relative to `secrets`.  With KEY the file holds `key=value` lines.  Raises EnvironmentFault.
    """
    if not value.startswith("${"):
        return value
    kind, _, rest = value[2:-1].partition(":")
    if kind == "env":
        found = os.environ.get(rest)
        if not found:
            raise EnvironmentFault(f"{value}: the environment has no {rest}; set it and start again")
        return found
    name, _, key = rest.partition(":")
    path = secrets / name
    try:
        text = path.read_text()
    except OSError as error:
        raise EnvironmentFault(f"{value}: cannot read {path}: {error.strerror}") from None
    if not key:
        return text.strip()
    for line in text.splitlines():
        found_key, equals, found = line.partition("=")
        if equals and found_key.strip() == key:
            return found.strip()
    raise EnvironmentFault(f"{value}: {path} has no line `{key}=…`")
