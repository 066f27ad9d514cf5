"""Two processes of one lane at once, on two machines: one owns, the other stands by and takes over; never both.

The times it takes are printed, not asserted; bench/recovery.py has them for a million keys.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Producer

from bench import lane
from onhand.health import ask_health
from onhand.stack.local import settings_environment
from schemas.administration import apply as apply_topics
from schemas.administration import ensure_source_topics
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.marker import Writer, changelog_topic, decode_marker
from streams.core.mapping.mapping import load_mapping
from streams.core.unit import InputRecord
from tests.integration.runtime_harness import wait_for
from tests.stack import local_stack

pytestmark = pytest.mark.integration

SOURCE = "wms"
PROCESS = f"source-{SOURCE}"
LOG = f"cdc.{SOURCE}"
CHANGELOG = changelog_topic(f"lane-{SOURCE}")
ROWS = 300


class Machine:
    """One `onhand run source` on a machine of its own: its own data directory."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.environment = {**environment, "ONHAND_DATA_DIR": str(folder)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "onhand.cli.main", "run", "source", SOURCE],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals) -> float:
        """When it has ended."""
        assert self.process is not None
        self.process.send_signal(number)
        begun = time.monotonic()
        self.process.wait(60)
        return begun

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def owns(self) -> bool:
        return ask_health(self.folder, PROCESS).get("partitions") == [0]

    @property
    def stands_by(self) -> bool:
        answer = ask_health(self.folder, PROCESS)
        return bool(answer["healthy"] and answer.get("standby") and not answer["ready"])


class Scene:
    """A source log, and what became of it."""

    def __init__(self, kafka: str) -> None:
        self.producer = Producer({"bootstrap.servers": kafka})
        self.reader = LogReader(kafka)
        mapping = load_mapping(lane.CONFIGS / SOURCE)
        self.feed(lane.first(SOURCE, list(mapping.tables)).records)

    def feed(self, records: Sequence[InputRecord]) -> None:
        for record in records:
            self.producer.produce(LOG, key=record.key, value=record.value, partition=0)
        assert self.producer.flush(30) == 0

    def units(self) -> list[tuple[Writer, int, int]]:
        """(writer, unit, input offset) of every marker in the changelog, in its order."""
        low, end = self.reader.bounds(CHANGELOG, 0)
        found = []
        for run in self.reader.runs(CHANGELOG, 0, low, end):
            assert run.marker is not None, "nothing has been compacted yet"
            marker = decode_marker(run.marker)
            found.append((run.writer, marker.unit, marker.inputs[LOG].offset if marker.inputs else 0))
        return found

    @property
    def last_writer(self) -> Writer:
        return self.units()[-1][0]

    def all_folded(self) -> bool:
        units = self.units()
        return bool(units) and units[-1][2] == self.reader.bounds(LOG, 0)[1]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    with local_stack(components=("kafka", "registry")) as stack:
        settings = stack.settings(project_dir=Path(__file__).parents[2], session_timeout_s=6)
        apply_topics(kafka=settings.kafka, registry_url=settings.registry_url, partitions=4)
        ensure_source_topics(settings.kafka, SOURCE)
        yield {**os.environ, **settings_environment(settings)}


def test_the_second_of_two_processes_stands_by_and_takes_over(environment: dict[str, str], tmp_path: Path) -> None:
    scene = Scene(environment["ONHAND_KAFKA"])
    machines = [Machine(environment, tmp_path / name) for name in ("one", "two")]
    took: dict[str, float] = {}
    writers: list[Writer] = []

    def handed_over(what: str, begun: float, owner: Machine) -> None:
        wait_for(lambda: owner.owns, f"the take-over after {what}; log in {owner.folder}", 60)
        took[what] = round(time.monotonic() - begun, 1)
        known = set(writers)
        wait_for(lambda: scene.last_writer not in known, f"the owner after {what} to write", 60)
        writers.append(scene.last_writer)
        wait_for(scene.all_folded, "the whole log to be folded", 60)

    try:
        for machine in machines:
            machine.start()
        wait_for(lambda: any(machine.owns for machine in machines), "an owner", 60)
        owner, other = sorted(machines, key=lambda machine: not machine.owns)
        wait_for(lambda: other.stands_by, f"the other to stand by; log in {other.folder}", 60)
        wait_for(lambda: bool(scene.units()), "the first owner to write", 60)
        writers.append(scene.last_writer)
        assert "standing by" in other.log
        updates = lane.wms(ROWS).records
        scene.feed(updates[:100])
        handed_over("SIGTERM", owner.end(signal.SIGTERM), other)
        owner.start()
        wait_for(lambda: owner.stands_by, "the first to stand by", 60)
        scene.feed(updates[100:200])
        handed_over("kill -9", other.end(signal.SIGKILL), owner)
        scene.feed(updates[200:300])
        begun = owner.end(signal.SIGKILL)
        owner.start()
        handed_over("kill -9 and a start of the same", begun, owner)
    finally:
        for machine in machines:
            if machine.process is not None:
                machine.process.kill()
                machine.process.wait()
    print(took)
    units = scene.units()
    scene.reader.close()
    wrote = [writer for writer, _, _ in units]
    tenures = [writer for n, writer in enumerate(wrote) if n == 0 or wrote[n - 1] != writer]
    assert tenures == sorted(set(tenures)), "epochs rise: nobody writes again after another has"
    # An owner whose group rebalances once more takes its partition anew: more tenures than hand-overs is right.
    assert [writer for writer in tenures if writer in writers] == writers, "each hand-over has its writer"
    for before, after in pairwise(units):
        assert before[2] <= after[2], "no event is folded again"
        assert after[1] == (before[1] + 1 if before[0] == after[0] else 1)
