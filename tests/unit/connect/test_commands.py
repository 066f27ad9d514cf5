"""Every `onhand source` command answers people and machines."""

from __future__ import annotations

from collections.abc import Iterator

import click

from onhand.cli.main import onhand


def test_every_source_command_has_json() -> None:
    source = onhand.get_command(None, "source")  # type: ignore[arg-type]
    assert isinstance(source, click.Group)
    commands = dict(of_group(source))
    assert len(commands) > 12
    without = [name for name, one in commands.items() if "as_json" not in {each.name for each in one.params}]
    assert without == []


def of_group(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Every command, those of groups within it too."""
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from of_group(one)
        else:
            yield name, one
