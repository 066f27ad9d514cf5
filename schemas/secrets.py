"""References to secrets in files that people write, resolved as Kafka Connect's config providers do.

`${env:NAME}` · `${file:/folder/name.properties:key}` · `${dir:/folder:file}`.  What stands in connector.json and what
Connect's REST API answers is always the reference: Connect resolves it in the worker, onhand for its own look into the
database.  Channels' files may also say `${file:name.properties:key}` and `${file:name}` (the whole file, stripped), as
seen from the secrets folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.errors import EnvironmentFault, InvalidInput

REFERENCE = re.compile(r"\$\{(env|file|dir):(?:([^:}]*):)?([^:}]+)\}")
"""As Connect's ConfigTransformer reads it: provider, optional path, key."""


def is_reference(value: str) -> bool:
    """The whole value is one reference."""
    return REFERENCE.fullmatch(value) is not None


def resolve(value: str, secrets_dirs: Sequence[Path], environ: Mapping[str, str] | None = None) -> str:
    """The value with every reference replaced, as Kafka Connect would.

    Raises InvalidInput when a path is not absolute or lies outside `secrets_dirs` (the worker would refuse it too),
    EnvironmentFault when the variable, file or key is not there.
    """
    environment = os.environ if environ is None else environ

    def replaced(found: re.Match[str]) -> str:
        provider, path, key = found[1], found[2], found[3]
        if provider == "env":
            return _variable(key, environment, found[0], "set it here and for Kafka Connect")
        if not path:
            raise InvalidInput(f"{found[0]}: a path is missing; write ${{{provider}:/path:{key}}}")
        if not Path(path).is_absolute():
            raise InvalidInput(f"{found[0]}: the path must be absolute, Kafka Connect runs elsewhere")
        if provider == "file":
            return _property(_inside(Path(path), secrets_dirs, found[0]), key, found[0])
        return _read(_inside(Path(path) / key, secrets_dirs, found[0]), found[0])

    return REFERENCE.sub(replaced, value)


def resolve_here(value: str, secrets: Path) -> str:
    """The value a channel's file stands for: itself, or what the one reference it is stands for.

    Raises InvalidInput for a path outside the secrets folder, EnvironmentFault when variable, file or key is not there.
    """
    found = REFERENCE.fullmatch(value)
    if found is None:
        return value
    provider, path, key = found[1], found[2], found[3]
    if provider == "env":
        return _variable(key, os.environ, value, "set it and start again")
    if provider == "file" and path:
        return _property(_inside(secrets / path, [secrets], value), key, value)
    return _read(_inside(secrets / (path or "") / key, [secrets], value), value).strip()


def _variable(name: str, environment: Mapping[str, str], reference: str, action: str) -> str:
    if not environment.get(name):
        raise EnvironmentFault(f"{reference}: {name} is not set; {action}")
    return environment[name]


def _inside(path: Path, secrets_dirs: Sequence[Path], reference: str) -> Path:
    real = path.resolve()
    if not any(real.is_relative_to(folder.resolve()) for folder in secrets_dirs):
        allowed = ", ".join(map(str, secrets_dirs))
        raise InvalidInput(f"{reference}: lies outside the secrets folder ({allowed}); move it there")
    return real


def _read(path: Path, reference: str, content: str = "the secret, nothing else") -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EnvironmentFault(f"{reference}: there is no {path}; create it; what it holds: {content}") from None
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror})"
        raise EnvironmentFault(f"{reference}: {reason}; let the user that runs onhand read it") from None


def _property(path: Path, key: str, reference: str) -> str:
    for line in _read(path, reference, f"one line `{key}=…`").splitlines():
        text = line.strip()
        if not text or text[0] in "#!":
            continue
        found = re.fullmatch(r"((?:\\.|[^\s=:\\])+)\s*[=:\s]\s*(.*)", text)
        if found and re.sub(r"\\(.)", r"\1", found[1]) == key:
            return re.sub(r"\\(.)", r"\1", found[2])
    raise EnvironmentFault(f"{reference}: {path} has no line `{key}=…`; add it")
