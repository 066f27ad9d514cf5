"""`onhand demo`: the main job on a demo ERP, WMS and shop."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from onhand.cli.output import json_option
from onhand.demo.run import DemoSettings, run_demo
from onhand.settings import load_settings


@click.group()
def demo() -> None:
    """The main job on a demo ERP (PostgreSQL), WMS (MariaDB) and shop, judged and audited."""


@demo.command("run")
@click.option("--seconds", default=75.0, show_default=True, help="How long the business runs.")
@click.option("--rate", default=40.0, show_default=True, help="Business transactions a second, open loop.")
@click.option("--attempts", default=8.0, show_default=True, help="Order attempts a second at each of the two shops.")
@click.option("--batch", default=15.0, show_default=True, help="Seconds between the shadow shop's batch exports.")
@click.option("--late", default=12.0, show_default=True, help="Seconds until the ERP posts what the warehouse did.")
@click.option("--items", default=2000, show_default=True, type=click.IntRange(100), help="Items in both systems.")
@click.option("--seed", default=1, show_default=True, help="Seed of data and traffic.")
@click.option("--keep", is_flag=True, help="Keep the demo's data directory afterwards.")
@json_option
def run(
    seconds: float,
    rate: float,
    attempts: float,
    batch: float,
    late: float,
    items: int,
    seed: int,
    keep: bool,
    as_json: bool,
) -> None:
    """Run everything from a row change to a promise in a shop, for a while; then judge and audit it.

    Two shops see the same customers: one is told by onhand, the other by a batch export every --batch seconds (an hour,
    scaled down). A judge reads both databases by hand-written SQL at the moment of each attempt. Exit 0 only if, in the
    end, every item's position and promise equal hand-written SQL on the two databases and the shop holds the promise;
    10 if anything differs.
    """
    wanted = DemoSettings(seconds, rate, attempts, batch, late, items, seed)
    sys.exit(run_demo(Path(load_settings().data_dir) / "demo", wanted, as_json=as_json, keep=keep))
