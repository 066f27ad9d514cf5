"""One door to ClickHouse: `chdb://` (the engine in this process) or `http://user:password@host:8123/database`.

Both are clickhouse-connect's client, so nothing above this module knows which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.errors import EnvironmentFault, InvalidInput

CHDB = "chdb"
DEFAULT_DATABASE = "onhand"


class ClickHouse:
    """Commands, rows and inserts in one database.  Never used by two threads at once."""

    def __init__(self, client: Any, database: str) -> None:
        self._client = client
        self.database = database

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing.  Raises ClickHouseError."""
        self._client.command(sql)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a SELECT, by column name.  Raises ClickHouseError."""
        return list(self._client.query(sql, parameters=dict(parameters or {})).named_results())

    def insert(self, table: str, rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
        """Write rows in one block: all or none.  Raises ClickHouseError."""
        if rows:
            self._client.insert(table, rows, column_names=list(columns))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_clickhouse(dsn: str, directory: Path, *, create: bool = False) -> ClickHouse:
    """Connect.  `directory` holds the data of `chdb://`; `create` makes the database when it is missing.

    Raises EnvironmentFault when ClickHouse is not there, or the directory belongs to another process; InvalidInput for
    a DSN that is neither.
    """
    parts = urlsplit(dsn)
    if parts.scheme == CHDB:
        database = DEFAULT_DATABASE
        if create:
            directory.mkdir(parents=True, exist_ok=True)
        elif not directory.is_dir():
            raise EnvironmentFault(f"{directory}: no metrics have been written yet; start `onhand run metrics`")
        options: dict[str, Any] = {"interface": CHDB, "path": str(directory.absolute())}
        where = f"chDB in {directory} (only one process may open it: is another metrics worker running?)"
    elif parts.scheme in ("http", "https"):
        database = parts.path.strip("/") or DEFAULT_DATABASE
        options = {
            "interface": parts.scheme,
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "username": parts.username or "default",
            "password": parts.password or "",
            "autogenerate_session_id": False,
        }
        where = f"ClickHouse at {parts.hostname}:{options['port']}"
    else:
        raise InvalidInput(f"clickhouse_dsn: {parts.scheme or dsn!r} is neither chdb:// nor http://…")
    if not database.isidentifier():
        raise InvalidInput(f"clickhouse_dsn: {database!r} is no name of a database")
    try:
        client = clickhouse_connect.get_client(**options)
        if create:
            client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        if parts.scheme == CHDB:
            client.command(f"USE {database}")
        client.database = database
    except (ClickHouseError, RuntimeError, OSError) as error:
        raise EnvironmentFault(f"{where} does not answer: {_first_line(error)}") from None
    return ClickHouse(client, database)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
