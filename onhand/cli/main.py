"""The front door: `onhand <group> <command>`.  Groups are loaded only when they are used, so `--help` stays quick."""

from __future__ import annotations

import importlib
import sys

import click

from schemas.errors import OnhandError

GROUPS: dict[str, tuple[str, str]] = {
    "up": ("onhand.cli.stack:up", "Start the local stack and every onhand process."),
    "down": ("onhand.cli.stack:down", "Stop everything that `up` started."),
    "status": ("onhand.cli.stack:status", "Everything on one page, and what to do about what is red."),
    "logs": ("onhand.cli.stack:logs", "Show or follow the log of one process."),
    "health": ("onhand.cli.stack:health", "Ask one process whether it is healthy (exit 0 or 1)."),
    "run": ("onhand.cli.run:run", "Run one onhand process in the foreground."),
    "source": ("onhand.cli.source:source", "Connectors, mappings and audits of the source systems."),
    "topics": ("onhand.cli.topics:topics", "Contracts and topics: plan, apply, read."),
    "stage": ("onhand.cli.stage:stage", "State of lanes, inventory and orders: reset, grow."),
    "channel": ("onhand.cli.channel:channel", "Sales channels: status, pause, resume, resend."),
    "exceptions": ("onhand.cli.exceptions:exceptions", "What could not be processed: list, show, retry, close."),
    "report": ("onhand.cli.report:report", "Lag reports from ClickHouse."),
    "demo": ("onhand.cli.demo:demo", "The main job on a demo ERP, WMS and shop, judged and audited."),
}


class LazyGroups(click.Group):
    """Imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in GROUPS:
            return None
        module, attribute = GROUPS[name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in GROUPS.items()])


@click.group(cls=LazyGroups, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="onhand")
def onhand() -> None:
    """Keep every sales channel's promise true: row changes from ERP and WMS to available-to-promise."""


def main(argv: list[str] | None = None) -> None:
    """Entry point: every OnhandError becomes one line on standard error and its exit code (see schemas.errors)."""
    try:
        onhand.main(args=argv, standalone_mode=True)
    except OnhandError as error:
        click.echo(f"onhand: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
