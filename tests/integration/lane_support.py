"""A lane's process on a real connector, over a throw-away PostgreSQL or MariaDB database, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from onhand.stack.local import settings_environment
from schemas import administration
from schemas.codec import Codec
from schemas.errors import EXIT_OK
from schemas.records import ExceptionRecord, ExceptionStatus, Progress
from schemas.registry import Registry
from streams.agents.runtime.log_reader import LogReader
from tests.integration.connect_support import Project, mariadb_admin, mariadb_source, postgres_source, project
from tests.stack import Database, RunningStack

DEADLINE_S = 90


class Lane:
    """One `onhand run source` process and what it says."""

    def __init__(self, made: Project, name: str, database: Database, data_dir: Path) -> None:
        self.made, self.name, self.database = made, name, database
        self.postgres = name.startswith("erp")
        self.schema = "erp" if self.postgres else database.name
        self.folder = made.settings.connect_configs / name
        self.settings = made.settings.model_copy(update={"data_dir": data_dir})
        self.log_file = data_dir / "log"
        with Registry(self.settings.registry_url) as registry:
            self.codec = Codec.connected(registry)
        self.reader = LogReader(self.settings.kafka)
        self.process: subprocess.Popen[bytes] | None = None

    def execute(self, statements: str, *, unseen: bool = False) -> None:
        """One transaction, `erp.` standing for the schema; `unseen`: MariaDB keeps it out of the binlog."""
        if self.postgres:
            with psycopg.connect(self.database.dsn) as session:
                session.execute(statements.encode())
            return
        with mariadb_admin(self.database) as cursor:
            if unseen:
                cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("START TRANSACTION")
            for statement in statements.split(";"):
                cursor.execute(statement.replace("erp.", f"{self.schema}."))
            cursor.execute("COMMIT")

    def write(self, file: str, select: str) -> None:
        """A file of the mapping, `erp.` standing for the schema."""
        (self.folder / file).write_text(select.replace("erp.", f"{self.schema}."))

    def run(self, *arguments: str) -> str:
        """`onhand source …`, which must succeed; what it says."""
        answer = self.made.run(*arguments)
        assert answer.exit_code == EXIT_OK, answer.text
        return answer.text

    def start(self) -> None:
        environment = {**os.environ, **settings_environment(self.settings)}
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "onhand.cli.main", "run", "source", self.name],
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ended(self) -> int:
        """Exit code of the process, waited for."""
        assert self.process is not None
        code = self.process.wait(DEADLINE_S)
        self.process = None
        return code

    def log(self) -> str:
        return self.log_file.read_text()

    def newest(self, topic: str, partition: int = 0) -> dict[str, object]:
        """Newest record per key of one partition."""
        low, end = self.reader.bounds(topic, partition)
        found: dict[str, object] = {}
        for record in self.reader.read(topic, partition, low, end):
            if record.key is not None and record.value is not None:
                found[record.key.decode()] = self.codec.decode(topic, record.value)
        return found

    def progress(self) -> Progress | None:
        found = self.newest("progress.v1").get(f"lane/{self.name}/0")
        return found if isinstance(found, Progress) else None

    def complete(self) -> bool:
        progress = self.progress()
        return progress is not None and progress.complete

    def exceptions(self) -> dict[str, ExceptionRecord]:
        """Open ones of this source, by code."""
        return {
            record.code: record
            for record in self.newest("exception.v1").values()
            if isinstance(record, ExceptionRecord)
            and record.source == self.name
            and record.status is ExceptionStatus.OPEN
        }

    def await_(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if self.process is not None and self.process.poll() is not None:
                pytest.fail(f"the lane ended with {self.process.returncode} before {what}:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come: {self.progress()}, {self.exceptions()}\n{self.log()[-4000:]}")
            time.sleep(0.2)

    def await_exception(self, code: str) -> ExceptionRecord:
        self.await_(lambda: code in self.exceptions(), f"exception {code}")
        return self.exceptions()[code]

    def audit(self) -> None:
        """The source's own SQL, run by the database, agrees with the lane on every balance."""
        answer = self.made.run("audit", self.name)
        assert answer.exit_code == EXIT_OK, f"{answer.text}\n{self.log()[-4000:]}"


@contextmanager
def lane_source(request: pytest.FixtureRequest, stack: RunningStack, tmp_path: Path) -> Iterator[Lane]:
    """A captured source of items and stock with its lane running; `request.param` is postgres or mariadb."""
    database: Database = request.getfixturevalue(request.param)
    root, data_dir = tmp_path / "project", tmp_path / "data"
    root.mkdir()
    data_dir.mkdir()
    with project(stack, root) as made:
        name = postgres_source(made, database) if request.param == "postgres" else mariadb_source(made, database)
        settings = made.settings
        administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        one = Lane(made, name, database, data_dir)
        one.write("items.sql", "SELECT i.sku AS sku, i.name AS name FROM erp.item i")
        one.write(
            "postings.sql",
            "SELECT i.sku AS sku, s.bin AS location, 'on_hand' AS bucket, s.quantity AS quantity "
            "FROM erp.stock s JOIN erp.item i ON i.sku = s.sku",
        )
        one.run("inspect", name)
        one.execute("INSERT INTO erp.stock VALUES ('A', 'W1', 5), ('B', 'W1', 7), ('C', 'W1', 9)")
        one.run("apply", name)
        one.start()
        try:
            yield one
        finally:
            one.kill()
