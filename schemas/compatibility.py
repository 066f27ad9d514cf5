"""Can two versions of a contract read each other?  Avro's rules of resolution, both ways, with the field named.

The registry enforces FULL_TRANSITIVE; this is for the tests (every earlier version in git) and for the message that
says which field is in the way.
"""

from __future__ import annotations

from typing import Any

_PROMOTED = {("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"),
             ("float", "double"), ("string", "bytes"), ("bytes", "string")}  # fmt: skip


def obstacles(old: Any, new: Any) -> list[str]:
    """Why `old` and `new` cannot each read what the other wrote; empty: FULL compatible."""
    found = [f"new cannot read old: {line}" for line in _Reading(new, old).obstacles()]
    return found + [f"old cannot read new: {line}" for line in _Reading(old, new).obstacles()]


class _Reading:
    """One direction: `reader` reads what `writer` wrote."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self.reader, self.writer = reader, writer
        self.readers: dict[str, Any] = {}
        self.writers: dict[str, Any] = {}
        self.seen: set[tuple[str, str]] = set()
        self.found: list[str] = []

    def obstacles(self) -> list[str]:
        _collect(self.reader, self.readers)
        _collect(self.writer, self.writers)
        self._compare(self.reader, self.writer, "")
        return self.found

    def _compare(self, reader: Any, writer: Any, path: str) -> None:
        reader = self.readers.get(reader, reader) if isinstance(reader, str) else reader
        writer = self.writers.get(writer, writer) if isinstance(writer, str) else writer
        if isinstance(writer, list):
            for branch in writer:
                self._compare(reader, branch, path)
            return
        if isinstance(reader, list):
            # The first branch that fits is taken; when none does, the one of the same kind says best why.
            attempts = []
            for branch in reader:
                attempt = _Reading(branch, writer)
                attempt.readers, attempt.writers, attempt.seen = self.readers, self.writers, set(self.seen)
                attempt._compare(branch, writer, path)
                if not attempt.found:
                    return
                if _kind(self.readers.get(branch, branch) if isinstance(branch, str) else branch) == _kind(writer):
                    attempts = attempt.found
            self.found += attempts or [f"{path}: {_show(writer)} fits none of {_show(reader)}"]
            return
        kind, other = _kind(reader), _kind(writer)
        if kind != other:
            if (other, kind) not in _PROMOTED:
                self.found.append(f"{path}: {_show(writer)} was written, {_show(reader)} is read")
        elif kind == "record":
            self._compare_records(reader, writer, path)
        elif kind == "enum":
            lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if lost and "default" not in reader:
                self.found.append(f"{path}: symbols {', '.join(lost)} are unknown and there is no default")
            if reader["name"] != writer["name"]:
                self.found.append(f"{path}: enumeration {writer['name']} is called {reader['name']}")
        elif kind == "array":
            self._compare(reader["items"], writer["items"], f"{path}[]")
        elif kind == "map":
            self._compare(reader["values"], writer["values"], f"{path}{{}}")
        if isinstance(reader, dict) and isinstance(writer, dict):
            for what in ("logicalType", "precision", "scale"):
                if reader.get(what) != writer.get(what):
                    self.found.append(f"{path}: {what} {writer.get(what)} was written, {reader.get(what)} is read")
        elif isinstance(reader, dict) != isinstance(writer, dict) and "logicalType" in {*_keys(reader), *_keys(writer)}:
            self.found.append(f"{path}: {_show(writer)} was written, {_show(reader)} is read")

    def _compare_records(self, reader: Any, writer: Any, path: str) -> None:
        pair = (reader["name"], writer["name"])
        if pair in self.seen:
            return
        self.seen.add(pair)
        if reader["name"] != writer["name"]:
            self.found.append(f"{path or 'record'}: {writer['name']} is called {reader['name']}")
        if reader.get("namespace") != writer.get("namespace"):
            self.found.append(f"{path or 'record'}: namespace {writer.get('namespace')} is {reader.get('namespace')}")
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            place = f"{path}.{field['name']}" if path else str(field["name"])
            if field["name"] in written:
                self._compare(field["type"], written[field["name"]]["type"], place)
            elif "default" not in field:
                self.found.append(f"{place}: was not written and has no default")


def _collect(avro: Any, named: dict[str, Any]) -> None:
    if isinstance(avro, list):
        for branch in avro:
            _collect(branch, named)
    elif isinstance(avro, dict):
        if "name" in avro and avro.get("type") in ("record", "enum", "fixed"):
            named[avro["name"]] = avro
            for field in avro.get("fields", ()):
                _collect(field["type"], named)
        for inner in ("items", "values"):
            if inner in avro:
                _collect(avro[inner], named)


def _kind(avro: Any) -> str:
    kind: str = avro["type"] if isinstance(avro, dict) else avro
    return kind


def _keys(avro: Any) -> set[str]:
    return set(avro) if isinstance(avro, dict) else set()


def _show(avro: Any) -> str:
    if isinstance(avro, list):
        return f"[{', '.join(map(_show, avro))}]"
    if isinstance(avro, dict):
        return str(avro.get("name") or avro.get("logicalType") or avro["type"])
    return str(avro)
