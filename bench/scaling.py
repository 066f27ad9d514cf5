"""What a second process adds: one and two lanes, one and two inventory workers, on one machine.

Each lane folds a source log of its own with the demo's WMS mapping; then inventory workers fold what the lanes have
said from the beginning, sharing its partitions.  CPU time a row says whether a second process costs the first one
anything; rows a second, what the machine makes of it, broker and all.

    python -m bench.scaling [--rows 150000] [--json]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import lane
from bench.lane_process import fill
from onhand.stack.local import LocalStack
from schemas.administration import apply as apply_topics
from schemas.administration import ensure_source_topics
from streams.core.mapping.mapping import load_mapping

PARTITIONS = 4
BALANCES = "onhand.balance.v1"
READY_S, WORK_S = 90.0, 240.0
PROJECT = Path(__file__).parent.parent


def sources_of(project: Path, count: int) -> list[str]:
    """A copy of the demo's configuration with the WMS under so many names."""
    for name in ("connect-configs", "channel-configs"):
        shutil.copytree(PROJECT / name, project / name)
    configs = project / "connect-configs"
    names = ["wms", *(f"wms{number}" for number in range(2, count + 1))]
    for name in names[1:]:
        shutil.copytree(configs / "wms", configs / name)
        text = (configs / name / "source.yaml").read_text()
        (configs / name / "source.yaml").write_text(text.replace("name: wms", f"name: {name}"))
    return names


def committed(kafka: str, group: str, places: list[tuple[str, int]]) -> Callable[[], int]:
    """Records a group has settled; our runtime commits nothing else."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    wanted = [TopicPartition(*place) for place in places]

    def done() -> int:
        try:
            return sum(max(0, place.offset) for place in consumer.committed(wanted, timeout=10))
        except KafkaException:  # the group has no coordinator yet
            return 0

    return done


def together(
    commands: list[list[str]], environments: list[dict[str, str]], done: list[Callable[[], int]], start: int, end: int
) -> dict[str, float]:
    """All commands at once from `start` records to `end` in sum: records/s of all, CPU µs a record."""
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=PROJECT)
        for command, environment in zip(commands, environments, strict=True)
    ]
    deadline = time.monotonic() + READY_S + WORK_S
    first: tuple[float, int, float] | None = None
    last = (0.0, start, 0.0)
    try:
        while last[1] < end and time.monotonic() < deadline:
            time.sleep(0.1)
            if (now := sum(each() for each in done)) > last[1]:
                used = sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in running)
                last = (time.monotonic(), now, used)
                first = first or last
    finally:
        for process in running:
            process.kill()
            process.wait()
    if first is None or last[1] == first[1]:
        raise SystemExit("the processes did not work in time")
    moved = last[1] - first[1]
    return {"per_s": round(moved / (last[0] - first[0])), "cpu_us": round((last[2] - first[2]) / moved * 1e6, 1)}


def measure(folder: Path, count: int, rows: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """So many lanes, then so many inventory workers, on a stack of their own."""
    project = folder / f"project{count}"
    names = sources_of(project, count)
    with LocalStack(folder / f"stack{count}", components=("kafka", "registry"), tell=tell) as stack:
        kafka, registry = stack.endpoints.kafka, stack.endpoints.registry_url
        apply_topics(kafka=kafka, registry_url=registry, partitions=PARTITIONS)
        mapping = load_mapping(project / "connect-configs" / "wms")
        first, log = lane.first("wms", list(mapping.tables)).records, lane.wms(rows).records
        for name in names:
            ensure_source_topics(kafka, name)
            fill(kafka, f"cdc.{name}", first)
            fill(kafka, f"cdc.{name}", log)

        def environment(number: int) -> dict[str, str]:
            return {
                **os.environ,
                "ONHAND_KAFKA": kafka,
                "ONHAND_REGISTRY_URL": registry,
                "ONHAND_DATA_DIR": str(folder / f"data{count}"),
                "ONHAND_PROJECT_DIR": str(project),
                "ONHAND_INSTANCE": str(number),
            }

        run = [sys.executable, "-m", "onhand.cli.main", "run"]
        tell(f"{count} lanes")
        lanes = together(
            [[*run, "source", name] for name in names],
            [environment(0)] * count,
            [committed(kafka, f"lane-{name}", [(f"cdc.{name}", 0)]) for name in names],
            len(first) * count,
            (len(first) + len(log)) * count,
        )
        share = rows / len(log)  # rows among the log's records: BEGIN and END count out
        places = [(BALANCES, partition) for partition in range(PARTITIONS)]
        consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-reader"})
        end = sum(consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)[1] for place in places)
        consumer.close()
        tell(f"{count} inventory workers, {end} messages")
        inventory = together(
            [[*run, "inventory"]] * count,
            [environment(number) for number in range(count)],
            [committed(kafka, "inventory", places)],
            0,
            end - PARTITIONS,
        )
        stack.close(wipe=True)
    return {
        "lanes_rows_per_s": round(lanes["per_s"] * share),
        "lanes_cpu_us_per_row": round(lanes["cpu_us"] / share, 1),
        "inventory_messages_per_s": inventory["per_s"],
        "inventory_cpu_us_per_message": inventory["cpu_us"],
    }


@click.command()
@click.option("--rows", default=150_000, show_default=True, help="Rows in the log of each lane.")
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, as_json: bool) -> None:
    """One process of each kind, then two."""
    with tempfile.TemporaryDirectory(prefix="onhand-bench-") as name:
        found = {count: measure(Path(name), count, rows, lambda line: click.echo(line, err=True)) for count in (1, 2)}
    gained = {key: round(found[2][key] / found[1][key], 2) for key in found[1]}
    if as_json:
        click.echo(json.dumps({"one": found[1], "two": found[2], "two_by_one": gained}))
        return
    for key, value in found[1].items():
        click.echo(f"  {key:30} one {value:>10}   two {found[2][key]:>10}   two/one {gained[key]}")


if __name__ == "__main__":
    main()
