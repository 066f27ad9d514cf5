"""`onhand source test NAME --record`: an example out of live rows."""

from __future__ import annotations

import re
from pathlib import Path

import click

from onhand.cli.output import show_json
from onhand.cli.source_parts import sources
from onhand.settings import Settings
from schemas.errors import Fatal, InvalidInput
from streams.connect.live.record import Choice, record
from streams.connect.live.rows import live_rows
from streams.connect.preflight import target
from streams.core.mapping.examples import FOLDER, check_example
from streams.core.mapping.mapping import load_mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def record_example(settings: Settings, name: str, example: str, choice: Choice, force: bool, as_json: bool) -> None:
    """Writes `examples/<example>.json` and tells what stands in it.  Raises InvalidInput, EnvironmentFault."""
    if _NAME.fullmatch(example) is None:
        raise InvalidInput(f"--record {example!r}: name the example by letters, digits, _ . and -")
    (one,) = sources(settings, [name])
    folder = settings.connect_configs / name
    path = folder / FOLDER / f"{example.removesuffix('.json')}.json"
    if path.exists() and not force:
        raise InvalidInput(f"{path}: is there already: give another name, or --force")
    mapping = load_mapping(folder)
    with live_rows(mapping, target(one, [settings.secrets])) as live:
        made = record(mapping, live, choice)
    _write(path, made.text())
    if wrong := check_example(mapping, path):
        path.unlink()
        raise Fatal(f"{path}: the example would not pass: {'; '.join(wrong)}")
    rows = {table: len(rows) for table, rows in made.document["rows"].items()}
    outputs = {file: len(outputs) for file, outputs in made.document["expect"].items()}
    if as_json:
        done = {"replaced": made.disguise.replaced, "kept": made.disguise.kept, "left_out": made.left_out}
        show_json({"source": name, "example": str(path), "rows": rows, "outputs": outputs, **done})
        return
    click.echo(f"{path}: rows: {_counted(rows)}; expected: {_counted(outputs) or 'nothing'}")
    click.echo(f"texts replaced: {', '.join(made.disguise.replaced) or 'none'}")
    if made.disguise.kept:
        click.echo(f"texts kept, because the mapping depends on them: {', '.join(made.disguise.kept)}: look at them")
    for reason in made.left_out:
        click.echo(f"left out: {reason}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
