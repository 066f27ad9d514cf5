"""Every `onhand source` command answers people and machines."""

from __future__ import annotations

from onhand.cli.main import onhand


def test_every_source_command_has_json() -> None:
    group = onhand.get_command(None, "source")  # type: ignore[arg-type]
    commands = group.commands  # type: ignore[union-attr]
    assert len(commands) > 12
    without = [name for name, one in commands.items() if "as_json" not in {each.name for each in one.params}]
    assert without == []
