"""A Tryton of its own on the test's PostgreSQL, driven through its models."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from bench.peers.environment import environment
from onhand.stack.packages import POSTGRES_FOLDERS
from onhand.stack.process import program
from tests.stack import Database

FOLDER = Path(__file__).parent


class Stock(NamedTuple):
    """What Tryton says of a product in a warehouse."""

    kit: bool
    quantity: float
    """Of a kit: how many its components make."""
    forecast: float
    overdue: float
    """Net of draft moves whose day has passed; `forecast` leaves it out."""


class Tryton:
    """Requests of driver.py; every one is committed when it is answered."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    def do(self, action: str, /, **arguments: Any) -> Any:
        """One method of `driver.Business`.  AssertionError with Tryton's traceback when it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": action, "with": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"Tryton ended at {action}:\n{self._log.read_text()[-4000:]}"
        answer = json.loads(line)
        assert "error" not in answer, f"{action}: {answer['error']}"
        return answer["is"]

    def stock(self) -> dict[tuple[str, str], Stock]:
        """(product, warehouse) → what Tryton says."""
        return {
            (row["code"], row["warehouse"]): Stock(row["kit"], row["quantity"], row["forecast"], row["overdue"])
            for row in self.do("say")
        }


@contextmanager
def tryton(database: Database, scratch: Path) -> Iterator[Tryton]:
    """Tryton on an empty database."""
    python = environment(FOLDER / "requirements.txt", "tryton", print)
    settings = scratch / "trytond.conf"
    settings.write_text(f"[database]\nuri = {server(database)}\npath = {scratch / 'files'}\n")
    command = [python, str(FOLDER / "driver.py")]
    log = scratch / "tryton.log"
    with log.open("w") as errors:
        restore_or_make([*command, "make", str(settings), database.name], database, Path(python).parents[1])
        process = subprocess.Popen(
            [*command, "serve", str(settings), database.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    try:
        yield Tryton(process, log)
    finally:
        process.kill()
        process.communicate()


def server(database: Database) -> str:
    """Of libpq and of Tryton, without a database."""
    return f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/"


def restore_or_make(make: list[str], database: Database, folder: Path) -> None:
    """Tryton's 240 tables and its own data: from what the first run made and kept in the folder."""
    dump, at = folder / "made.dump", f"--dbname={server(database)}{database.name}"
    if dump.is_file():
        subprocess.run([client("pg_restore"), "--no-owner", at, str(dump)], check=True)
        return
    with psycopg.connect(database.dsn, autocommit=True) as admin:  # its questions are not worth compiling
        admin.execute(sql.SQL("ALTER DATABASE {} SET jit = off").format(sql.Identifier(database.name)))
    subprocess.run(make, check=True)
    fresh = folder / f"made.{os.getpid()}"
    kept = subprocess.run([client("pg_dump"), "--format=custom", f"--file={fresh}", at], check=False)
    if kept.returncode == 0:  # a server newer than the client: made anew the next time
        fresh.rename(dump)


def client(name: str) -> str:
    """A client program of PostgreSQL."""
    found = program(name, *POSTGRES_FOLDERS)
    assert found is not None, f"{name} is not there: apt-get install postgresql-client"
    return str(found)
