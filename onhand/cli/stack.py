"""`onhand up | down | status | logs | health`: the local stack and every onhand process on it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import click

from onhand.cli.output import console, json_option, show_json
from onhand.clock import clock_us
from onhand.health import ask_health
from onhand.settings import Settings, load_settings
from onhand.stack.component import port_answers
from onhand.stack.local import COMPONENTS, LocalStack, configured_processes
from onhand.stack.process import Identity, tail, wait_until
from onhand.stack.records import Phase, clear_leftovers, read_record, take_lock
from onhand.stack.site import Ports, Site
from onhand.stack.supervision import GRACE_S
from onhand.status.gather import Gatherer
from onhand.status.judge import RED, judge
from onhand.status.page import page
from schemas.errors import EXIT_RUNTIME, EnvironmentFault, InvalidInput

SUPERVISOR_LOG = "supervisor.log"
DETACH_S = 600.0
"""A first start downloads and installs; a failure ends the wait at once."""
DOWN_S = 120.0
WATCH_S = 2.0


@click.command()
@click.option("--detach", is_flag=True, help="Return when everything runs; `onhand down` stops it.")
@click.option("--only", multiple=True, metavar="NAME", help="Start only these components and processes (repeatable).")
def up(detach: bool, only: tuple[str, ...]) -> None:
    """Start the local stack and every onhand process, and keep them running until Ctrl-C."""
    settings = load_settings()
    components, processes = _choose(settings, only)
    if detach:
        _detach(settings, only)
        return
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            return  # we are stopping already
        stopped.set()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        _supervise(settings, components, processes)
    except KeyboardInterrupt:
        click.echo("stopped")


def _choose(settings: Settings, only: tuple[str, ...]) -> tuple[list[str], list[str]]:
    configured = configured_processes(settings)
    if unknown := [name for name in only if name not in COMPONENTS and name not in configured]:
        there = ", ".join([*COMPONENTS, *configured])
        raise InvalidInput(f"--only {', '.join(unknown)}: there is no such component or process; there are {there}")
    if not only:
        return list(COMPONENTS), configured
    return [name for name in COMPONENTS if name in only], [name for name in configured if name in only]


def _supervise(settings: Settings, components: list[str], processes: list[str]) -> None:
    stack = LocalStack(
        settings.data_dir, ports="fixed", components=components, settings=settings, restart=True, tell=_tell
    )
    with stack:
        if "kafka" in components and "registry" in components:
            _apply_topics(stack.settings())
        for name in processes:
            stack.start_process(name)
            _tell(f"{name} started")
        stack.supervisor.enter(Phase.READY)
        _tell("everything is up; `onhand status` looks at it, Ctrl-C or `onhand down` stops it")
        stack.supervisor.watch(threading.Event())


def _apply_topics(settings: Settings) -> None:
    """Topics and contracts, and every source's log, which its lane reads before the connector is applied."""
    from schemas import administration

    changes = administration.apply(
        kafka=settings.kafka,
        registry_url=settings.registry_url,
        partitions=settings.partitions,
        replication=settings.replication,
        sources=settings.sources,
    )
    _tell(f"topics and contracts: {len(changes)} changes")


def _tell(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}")


def _detach(settings: Settings, only: tuple[str, ...]) -> None:
    run = settings.data_dir / "run"
    log = settings.data_dir / "logs" / SUPERVISOR_LOG
    for folder in (run, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    take_lock(run).close()  # a stack that runs already is told here, not in a log
    arguments = [word for name in only for word in ("--only", name)]
    with log.open("wb") as output:
        child = subprocess.Popen(
            (sys.executable, "-m", "onhand.cli.main", "up", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def settled() -> bool:
        record = read_record(run)
        mine = record is not None and record.pid == child.pid
        return child.poll() is not None or (mine and record is not None and record.phase is Phase.READY)

    in_time = wait_until(settled, DETACH_S, 0.2)
    click.echo(tail(log, 40))
    if child.poll() is not None:
        sys.exit(child.returncode or EXIT_RUNTIME)
    if not in_time:
        raise EnvironmentFault(f"not up after {DETACH_S:.0f} s; see {log}, `onhand status` and `onhand down`")


@click.command()
@click.option("--wipe", is_flag=True, help="Delete all state in the data directory too.")
def down(wipe: bool) -> None:
    """Stop everything that `up` started, also after a crash of the supervisor."""
    settings = load_settings()
    run = settings.data_dir / "run"
    record = read_record(run)
    if record is not None and record.supervisor_alive():
        supervisor = Identity(record.pid, record.started)
        supervisor.signal(signal.SIGTERM)
        if not wait_until(lambda: not supervisor.alive(), DOWN_S):
            supervisor.signal(signal.SIGKILL)
            wait_until(lambda: not supervisor.alive(), GRACE_S)
    leftovers = clear_leftovers(run, GRACE_S) if run.is_dir() else []
    if leftovers:
        click.echo(f"stopped what was left behind: {', '.join(leftovers)}")
    click.echo("down" if record is not None else "nothing was up")
    if wipe and settings.data_dir.is_dir():
        Site.open(settings.data_dir, Ports.fixed(settings)).wipe()
        click.echo(f"deleted {settings.data_dir}")


@click.command()
@click.option("--watch", is_flag=True, help="Look again every two seconds until Ctrl-C.")
@json_option
def status(watch: bool, as_json: bool) -> None:
    """Everything on one page, what is red first, with what to do about it (exit 1 when something is)."""
    gatherer = Gatherer(load_settings(), clock_us)
    try:
        while True:
            red = _show_status(gatherer, clear=watch, as_json=as_json)
            if not watch:
                break
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        return
    finally:
        gatherer.close()
    if red:
        sys.exit(EXIT_RUNTIME)


def _show_status(gatherer: Gatherer, *, clear: bool, as_json: bool) -> bool:
    """Print one look; whether something is red."""
    document = gatherer.gather()
    now_us = clock_us()
    problems = judge(document, now_us)
    red = not document["up"] or any(problem.colour == RED for problem in problems)
    if as_json:
        show_json({"ok": not red, "problems": [problem._asdict() for problem in problems], **document})
        return red
    if clear:
        click.clear()
    if not document["up"]:
        click.echo("nothing is up; `onhand up` starts it")
    else:
        console().print(page(document, problems, now_us), markup=False)
    return red


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on showing new lines until Ctrl-C.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(min=0), help="Lines to show first.")
def logs(name: str, follow: bool, lines: int) -> None:
    """Show or follow the log of one process."""
    folder = load_settings().data_dir / "logs"
    path = folder / f"{name}.log"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none yet"
        raise InvalidInput(f"no log of {name}; there are {there}")
    position = path.stat().st_size
    if lines:
        click.echo(tail(path, lines))
    while follow:
        position = _show_new(path, position)
        time.sleep(0.2)


def _show_new(path: Path, position: int) -> int:
    size = path.stat().st_size
    if size < position:  # it was moved away and begun anew
        position = 0
    if size > position:
        with path.open("rb") as file:
            file.seek(position)
            new = file.read(size - position)
        click.echo(new.decode(errors="replace"), nl=False)
    return size


@click.command()
@click.argument("name")
def health(name: str) -> None:
    """Ask one process whether it is healthy (exit 0 or 1)."""
    settings = load_settings()
    record = read_record(settings.data_dir / "run")
    row = next((row for row in record.rows if row.name == name), None) if record is not None else None
    if row is not None and row.component:
        answer: dict[str, object] = {"healthy": row.port is not None and port_answers(row.port)}
    else:
        answer = dict(ask_health(settings.data_dir, name))
    show_json(answer)
    if not answer.get("healthy"):
        sys.exit(EXIT_RUNTIME)
