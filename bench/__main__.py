"""`make bench`: every figure, each beside its peer in the same run.  Prints tables; `--json` for machines.

The stack is its own, on free ports, and gone afterwards.  Absolute figures depend on the machine; read the ratios.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from bench import chain, lane_process, membership, recovery, resnapshot, snapshot
from onhand.demo.system import DemoSystem
from onhand.stack.local import LocalStack

PARTS = ("pure", "scale", "processes", "recovery", "snapshot", "chain")
PURE = ("bench.mapping", "bench.lane", "bench.inventory")


def say(line: str) -> None:
    click.echo(line, err=True)


def pure() -> dict[str, str]:
    """Output of the benchmarks that need no servers."""
    found = {}
    for module in PURE:
        say(module)
        done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=True)
        found[module] = done.stdout
    return found


def scale() -> list[Any]:
    """Cost per change as things grow."""
    say("bench.scale")
    done = subprocess.run([sys.executable, "-m", "bench.scale", "--json"], capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


def snapshots(folder: Path) -> dict[str, Any]:
    """A first snapshot of a million rows, and live changes beside a second reading."""
    say("bench.snapshot")
    (folder / "first").mkdir()
    found = {"snapshot": snapshot.run(folder / "first", snapshot.ROWS)}
    say("bench.resnapshot")
    (folder / "again").mkdir()
    found["resnapshot"] = resnapshot.run(folder / "again", snapshot.ROWS, resnapshot.RATE, resnapshot.ALONE_S)
    return found


def processes(folder: Path) -> dict[str, Any]:
    """Lane and runtime as processes, beside their peers."""
    with LocalStack(folder / "processes", components=("kafka", "registry"), tell=say) as stack:
        say("bench.lane_process")
        found = {"lane_process": lane_process.measure(stack.endpoints.kafka, stack.endpoints.registry_url, tell=say)}
        say("bench.runtime")
        done = subprocess.run(
            [sys.executable, "-m", "bench.runtime", "--kafka", stack.endpoints.kafka],
            capture_output=True,
            text=True,
            check=True,
        )
        found["runtime"] = json.loads(done.stdout)
        stack.close(wipe=True)
    return found


def recoveries(folder: Path) -> dict[str, Any]:
    """A start with a million keys of state, and workers that come and go."""
    with LocalStack(folder / "recovery", components=("kafka",), tell=say) as stack:
        say("bench.recovery")
        found = {"recovery": recovery.measure(stack.endpoints.kafka, tell=say)}
        say("bench.membership")
        found["membership"] = membership.measure(stack.endpoints.kafka)
        stack.close(wipe=True)
    return found


def whole_chain(folder: Path, rate: float, seconds: float) -> dict[str, Any]:
    """Commit → acknowledged beside commit → source log."""
    with DemoSystem(folder / "chain", items=2000, seed=1, say=say) as system:
        say("bench.chain")
        chain.raise_stock(system)
        return chain.measure(system, rate, seconds)


@click.command()
@click.option("--rate", default=200.0, show_default=True, help="Changes a second through the whole chain.")
@click.option("--seconds", default=40.0, show_default=True, help="Measured time of the chain.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this; may be given again.")
@click.option("--json", "as_json", is_flag=True)
def main(rate: float, seconds: float, parts: tuple[str, ...], as_json: bool) -> None:
    """Throughput and latency, each beside its peer in the same run.

    pure: cores without servers, CPU time · scale: cost per change as rows, skus, history, open lines, orders, keys and
    channels grow, CPU time · processes: a lane as a process beside plain Faust, quixstreams and bytewax
    (installed at first use, each into an environment of its own), and the runtime beside plain Faust, on a real Kafka ·
    recovery: a process's start with a million keys, warm and cold, and workers that come and go ·
    snapshot: a first snapshot of a million rows until the last promise, beside Debezium's own time, and live changes
    beside a second reading · chain: commit → acknowledged beside commit → source log.  More benchmarks, each by
    itself, with their own --help:
    `python -m bench.NAME`; docs/benchmarks.md tells what each one measures and what it does not.
    """
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the databases' users must reach it
        result: dict[str, Any] = {}
        if "pure" in (parts or PARTS):
            result["pure"] = pure()
        if "scale" in (parts or PARTS):
            result["scale"] = {one["what"]: one for one in scale()}
        if "processes" in (parts or PARTS):
            result |= processes(folder)
        if "recovery" in (parts or PARTS):
            result |= recoveries(folder)
        if "snapshot" in (parts or PARTS):
            result |= snapshots(folder)
        if "chain" in (parts or PARTS):
            result["chain"] = whole_chain(folder, rate, seconds)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    for module, text in result.pop("pure", {}).items():
        click.echo(f"{module}\n{text}")
    for part, figures in result.items():
        click.echo(part)
        for figure, value in figures.items():
            click.echo(f"  {figure:28} {value}")


if __name__ == "__main__":
    main()
