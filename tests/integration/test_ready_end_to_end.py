"""From the ready folders to empty audits on real connectors: `init --from`, `grants`, `test`, `check`, `apply`, lanes.

The rows are rendered by Debezium itself: names with blanks, reserved words, BIT, floats, times of every precision.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from schemas import administration
from tests.integration.connect_support import Project, project
from tests.integration.lane_support import Lane
from tests.integration.mapping_support.databases import writer
from tests.integration.ready_support.contents import Contents
from tests.integration.ready_support.dolibarr import DOLIBARR
from tests.integration.ready_support.erpnext import ERPNEXT
from tests.integration.ready_support.openboxes import OPENBOXES
from tests.integration.ready_support.system import READY, System
from tests.integration.test_source_init import granted
from tests.stack import RunningStack, mariadb_database, unique

pytestmark = pytest.mark.integration

SYSTEMS = (ERPNEXT, DOLIBARR, OPENBOXES)
"""Of the ready ones on PostgreSQL Tryton goes the whole way."""
CHANGES = 60
Running = tuple[Lane, Contents]


@contextmanager
def onboarded(system: System, stack: RunningStack, made: Project, folder: Path) -> Iterator[Running]:
    """A database of the system with rows, and its source as a person would make it, not applied yet."""
    with mariadb_database(stack.endpoints) as database, writer(system.kind, database) as rows:
        contents = Contents(system, rows)
        contents.make()
        name = unique(f"my-{system.name}").replace("_", "-")
        made.names.append(name)
        folder.mkdir()
        lane = Lane(made, name, database, folder)
        lane.run("init", name, "--dsn", database.dsn, "--from", system.name)
        granted(lane, system.kind, database)
        lane.run("test", name)
        try:
            yield lane, contents
        finally:
            lane.kill()


@pytest.fixture
def all_running(stack: RunningStack, tmp_path: Path) -> Iterator[list[Running]]:
    """All of them side by side, so that what one waits for costs nothing."""
    root = tmp_path / "project"
    root.mkdir()
    with ExitStack() as left, project(stack, root) as made:
        settings = made.settings
        administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        shutil.copytree(READY, settings.connect_configs / "ready")
        found = [left.enter_context(onboarded(one, stack, made, tmp_path / one.name)) for one in SYSTEMS]
        names = [lane.name for lane, _ in found]
        found[0][0].run("check", *names)
        found[0][0].run("apply", *names)
        for lane, _ in found:
            lane.start()
        yield found


def test_from_the_ready_folders_to_empty_audits(all_running: list[Running]) -> None:
    for lane, contents in all_running:
        lane.await_(lane.complete, "a complete source")
        for _ in range(CHANGES):
            contents.change()
    for lane, _ in all_running:
        lane.audit()
        assert set(lane.exceptions()) <= {"lookup-missing"}
