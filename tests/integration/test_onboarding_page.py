"""docs/onboarding.md does what it says: its files are written, its commands run, and what they print is what it shows.

Of what a page shows only the values differ that can never be the same twice (`VARYING`).
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from onhand.cli.main import main
from onhand.stack.local import settings_environment
from schemas import administration
from tests.integration.connect_support import project
from tests.stack import RunningStack, postgres_database

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "onboarding.md"
SOURCE = "fenland"
"""The page's source, database and users; in a test a name nobody else uses."""
DEADLINE_S = 60
FOLLOWS = ("onhand source audit", "onhand source explain", "onhand exceptions")
"""Commands that tell how far processes are: asked again until they say it."""
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARYING = {
    r"[ \t]+": " ",
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)": "<instant>",
    r"\d{4}-\d\d-\d\d|\b20\d{6}\b": "<date>",
    r"\b\d+(?:\.\d)? (?:s|min)\b": "<duration>",
    r"\blsn:\d+": "<position>",
    r"\b(version|transaction|offset) \d+": r"\1 <number>",
    r"\b\d+ (records on)": r"<number> \1",
}


class Block(NamedTuple):
    """A fenced block."""

    kind: str
    name: str
    """The file it is about, if any."""
    text: str
    line: int


class Command(NamedTuple):
    """A line behind `$ ` in a console block, and what it prints; a line `…` stands for any lines."""

    text: str
    output: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    for found in BLOCK.finditer(page):
        yield Block(found[1], found[2] or "", found[3], page.count("\n", 0, found.start()) + 1)


def commands(block: Block) -> Iterator[Command]:
    before, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not before, f"line {block.line}: a console block begins with a command"
    for part in parts:
        text, _, output = part.partition("\n")
        yield Command(text, output, block.line)


def plain(text: str) -> str:
    """Without what differs from run to run, and as narrow as it can be."""
    for pattern, word in VARYING.items():
        text = re.sub(pattern, word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def shows(expected: str, printed: str) -> bool:
    lines = ["(?:.*\n)*" if line == "…" else f"{re.escape(line)}\n" for line in plain(expected).splitlines()]
    return re.fullmatch("".join(lines), plain(printed) + "\n" if printed.strip() else "") is not None


@dataclass
class Reader:
    """Does what the page says, in a folder of its own."""

    folder: Path
    names: Mapping[str, str]
    """What the page calls something → what it is called here."""
    left: ExitStack

    def here(self, text: str) -> str:
        for told, really in self.names.items():
            text = text.replace(told, really)
        return text

    def follow(self, block: Block) -> None:
        if block.kind == "console":
            for command in commands(block):
                self.do(command)
        elif block.kind == "diff":
            path = self.folder / block.name
            lines = [(line[:1], line[1:]) for line in block.text.splitlines(keepends=True)]
            before, after = ("".join(text for mark, text in lines if mark in wanted) for wanted in (" -", " +"))
            assert path.read_text().count(before) == 1, f"line {block.line}: {block.name} has no such lines"
            path.write_text(path.read_text().replace(before, after))
        elif block.name:
            path = self.folder / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)

    def do(self, command: Command) -> None:
        if command.text.endswith(" &"):
            process = subprocess.Popen(["bash", "-c", f"exec {command.text.removesuffix(' &')}"], cwd=self.folder)
            self.left.callback(process.wait)
            self.left.callback(process.kill)
            return
        end = time.monotonic() + DEADLINE_S
        code, printed = self.run(command.text)
        while not shows(command.output, printed) and command.text.startswith(FOLLOWS) and time.monotonic() < end:
            time.sleep(0.3)
            code, printed = self.run(command.text)
        told = f"{PAGE.name}:{command.line}: {command.text}\n{printed}"
        assert shows(command.output, printed), f"{told}\n-- the page shows\n{command.output}\n{self.logs()}"
        assert code == 0, f"exit {code}: {told}"

    def run(self, text: str) -> tuple[int, str]:
        """Exit code, and what came out; `onhand` alone is run in this process, which is quicker."""
        words = [*shlex.shlex(text, posix=True, punctuation_chars=True)]
        if words[0] == "onhand" and not {*words} & {"|", ">", "<", ";", "&&", "||"}:
            out = io.StringIO()
            with redirect_stdout(out), redirect_stderr(out), pytest.raises(SystemExit) as end:
                main(shlex.split(text)[1:])
            return int(end.value.code or 0), out.getvalue()
        done = subprocess.run(
            ["bash", "-c", text], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        return done.returncode, done.stdout.decode()

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def reader(stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """In an empty project, with the ERP's database before it; what was started ends."""
    with project(stack, tmp_path) as made, postgres_database(stack.endpoints, SOURCE) as database, ExitStack() as left:
        made.names.append(database.name)
        settings = made.settings.model_copy(update={"data_dir": tmp_path / ".onhand"})
        settings = settings.model_copy(update={"secrets_dir": made.settings.secrets})
        administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
        psql = {"HOST": database.host, "PORT": str(database.port), "USER": database.user, "PASSWORD": database.password}
        for name, value in {
            **settings_environment(settings),
            **{f"PG{name}": value for name, value in psql.items()},
            "PGDATABASE": database.name,
            "FENLAND_PASSWORD": "only-looking",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("ONHAND_PROJECT_DIR")  # it is where the reader is
        monkeypatch.chdir(tmp_path)
        here = {"127.0.0.1:15432": f"{database.host}:{database.port}", ".onhand/secrets": str(settings.secrets)}
        one = Reader(tmp_path, {**here, SOURCE: database.name}, left)
        for file in (DOCS / "onboarding").iterdir():
            (tmp_path / one.here(file.name)).write_text(one.here(file.read_text()))
        yield one


def test_the_page_does_what_it_says(reader: Reader) -> None:
    page = [*blocks(reader.here(PAGE.read_text()))]
    assert len(page) > 20
    for block in page:
        reader.follow(block)
