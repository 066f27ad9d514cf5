"""`onhand run …`: one onhand process in the foreground, as a supervisor or a container starts it."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import NoReturn

import click

from onhand.health import full_name
from onhand.liveness import watch_liveness
from onhand.settings import Settings, load_settings
from schemas.errors import EXIT_RUNTIME, OnhandError

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("aiokafka", "faust", "mode", "urllib3", "kafka")
"""Libraries whose INFO lines say nothing an operator needs."""

log = logging.getLogger("onhand")


@click.group()
@click.option("--log-level", default="INFO", show_default=True, type=click.Choice(["DEBUG", "INFO", "WARNING"]))
def run(log_level: str) -> None:
    """Run one onhand process in the foreground."""
    set_up_logging(log_level)


@run.command()
@click.argument("name")
def source(name: str) -> None:
    """The lane of one source: rows in, balances and order parts out."""
    _run("source", name)


@run.command()
def inventory() -> None:
    """Positions and promises from all sources' balances."""
    _run("inventory")


@run.command()
def orders() -> None:
    """Orders and shipments from all sources' order parts."""
    _run("orders")


@run.command()
@click.argument("name")
def channel(name: str) -> None:
    """The worker of one sales channel."""
    _run("channel", name)


@run.command()
def metrics() -> None:
    """Publications, progress and exceptions into ClickHouse."""
    _run("metrics")


@run.command()
def watch() -> None:
    """Look after the sources: warn before WAL or binlog is lost, start failed connectors again."""
    _run("watch")


def set_up_logging(level: str = "INFO") -> None:
    """Plain lines with time and level on standard error."""
    logging.basicConfig(level=level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _run(module: str, name: str | None = None) -> NoReturn:
    settings = load_settings()
    process = full_name(f"{module}-{name}" if name else module, settings.instance)
    watch_liveness()
    sys.exit(run_process(settings, module, name or module, process))


def run_process(settings: Settings, module: str, name: str, process: str) -> int:
    """The exit code of `onhand.run.<module>.run(settings, name)`; an error it raises is logged and gives its own.

    `name` is the source's or channel's, else the module's.
    """
    log.info("%s starts, data in %s", process, settings.data_dir.absolute())
    try:
        code: int = importlib.import_module(f"onhand.run.{module}").run(settings, name)
    except OnhandError as error:
        log.error("%s stops: %s", process, error)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except Exception:  # the last line of defence: a supervisor needs an exit code and a person the traceback
        log.exception("%s stops: unexpected error", process)
        return EXIT_RUNTIME
    log.info("%s ends with %s", process, code)
    return code
