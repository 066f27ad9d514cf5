"""`onhand stage`: the state of lanes, inventory and orders, while they are down."""

from __future__ import annotations

import click

from onhand.cli.output import json_option, show_json
from onhand.cli.source_parts import say
from onhand.settings import load_settings
from onhand.state_administration import STAGES, StateAdministration
from schemas.errors import InvalidInput


@click.group()
def stage() -> None:
    """The state of lanes, inventory and orders, while they are down: reset, grow."""


@stage.command()
@click.argument("name")
@click.confirmation_option("--yes", prompt="Delete the state?  It is built anew from its sources.")
@json_option
def reset(name: str, as_json: bool) -> None:
    """Delete the state of `inventory`, `orders` or `source-NAME`, to be built anew.

    Inventory and orders are told everything again by the lanes, which the watch asks for (or `onhand source restate`).
    A lane needs `onhand source resnapshot` afterwards.
    """
    settings = load_settings()
    sources = {f"source-{source}": f"lane-{source}" for source in settings.sources}
    if name not in STAGES and name not in sources:
        raise InvalidInput(f"no stage {name}; there are {', '.join([*sources, *STAGES])}")
    there = StateAdministration(settings).reset(sources.get(name, name))
    if as_json:
        show_json({"stage": name, "deleted": there})
    else:
        click.echo(f"{name}: {'its state is deleted; start it' if there else 'it has no state'}")


@stage.command()
@click.argument("partitions", type=click.IntRange(min=1, max=1000))
@click.confirmation_option("--yes", prompt="Make the canonical topics anew?  Their readers must begin anew, too.")
@json_option
def grow(partitions: int, as_json: bool) -> None:
    """Give the canonical topics more partitions.

    Every lane, stage and channel must be down, and the metrics worker better is, too (docs/operations.md).
    """
    StateAdministration(load_settings()).grow(partitions, say)
    if as_json:
        show_json({"partitions": partitions})
    else:
        click.echo(f"{partitions} partitions; start everything with ONHAND_PARTITIONS={partitions}")
