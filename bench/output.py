"""What a benchmark on Kafka alone shares with the next one: its broker, and how it prints what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from tests.stack import local_stack


@contextmanager
def broker(given: str | None) -> Iterator[str]:
    """Bootstrap servers: those given, or a stack of its own."""
    if given is not None:
        yield given
        return
    with local_stack(components=("kafka",)) as stack:
        yield stack.settings().kafka


def show(found: Mapping[str, object], *, as_json: bool) -> None:
    """One line of JSON, or a line for each name."""
    if as_json:
        click.echo(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        click.echo(f"{name:{width}}  {value}")
