"""Numbered migrations, each with a way back: `migrations/NNNN_name.up.sql` and `.down.sql`."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from schemas.errors import InvalidInput
from sinks.clickhouse.database import ClickHouse


class Migration(NamedTuple):
    """One step of the database's shape."""

    number: int
    name: str
    up: tuple[str, ...]
    down: tuple[str, ...]


def migrations() -> list[Migration]:
    """All of them, in order."""
    folder = files("sinks.clickhouse") / "migrations"
    found = []
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number, _, rest = path.name.partition("_")
        if rest.endswith(".up.sql"):
            down = folder / path.name.replace(".up.sql", ".down.sql")
            name = rest.removesuffix(".up.sql")
            found.append(Migration(int(number), name, _statements(path.read_text()), _statements(down.read_text())))
    return found


def migrate(clickhouse: ClickHouse, to: int | None = None) -> list[str]:
    """Go to migration number `to` (None: the newest), up or down; the names of the steps taken.

    A step that was cut off is made again: statements that create are written to be repeatable here.
    Raises InvalidInput when the database is newer than this program.
    """
    clickhouse.command(
        "CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, applied_at DateTime64(6, 'UTC') "
        "DEFAULT now64(6)) ENGINE = MergeTree ORDER BY number"
    )
    known = {migration.number: migration for migration in migrations()}
    target = max(known) if to is None else to
    applied = [row["number"] for row in clickhouse.rows("SELECT DISTINCT number FROM migrations ORDER BY number")]
    if unknown := [number for number in applied if number not in known]:
        raise InvalidInput(
            f"database {clickhouse.database} has migration {unknown[-1]}, newer than this onhand; update it"
        )
    taken = []
    for number in sorted(known):
        if number <= target and number not in applied:
            for statement in known[number].up:
                clickhouse.command(statement.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1))
            clickhouse.insert("migrations", [[number, known[number].name]], ["number", "name"])
            taken.append(f"{number:04d} {known[number].name}")
    for number in sorted(applied, reverse=True):
        if number > target:
            for statement in known[number].down:
                clickhouse.command(statement.replace("DROP TABLE ", "DROP TABLE IF EXISTS ", 1))
            clickhouse.command(f"ALTER TABLE migrations DELETE WHERE number = {number} SETTINGS mutations_sync = 1")
            taken.append(f"{number:04d} {known[number].name} taken back")
    return taken


def _statements(text: str) -> tuple[str, ...]:
    return tuple(statement.strip() for statement in text.split(";\n") if statement.strip())
