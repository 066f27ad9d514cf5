"""`onhand source grants`: what the DBA must run for a source, as SQL for its database."""

from __future__ import annotations

import click

from onhand.cli.output import json_option, show_json
from onhand.cli.source_parts import name_argument, say, sources
from onhand.settings import load_settings
from schemas.errors import EXIT_DIFFERENCES, EXIT_OK, EnvironmentFault, InvalidInput
from streams.connect.folder import Source
from streams.connect.grants import Seen, look
from streams.connect.grants import grants as grants_of
from streams.connect.init.survey import parse_dsn
from streams.connect.preflight import target


@click.command()
@name_argument
@click.option(
    "--dsn", help="Look at the server as this user (it may be any that can log in) and say what is wrong now."
)
@click.option("--without-write", is_flag=True, help="The user may write nothing; what that loses is said.")
@json_option
def grants(name: str, dsn: str | None, without_write: bool, as_json: bool) -> None:
    """Print, as SQL, what the DBA must run: user, grants, publication, server settings.

    \b
    Example:
      onhand source grants erp > erp-grants.sql
      onhand source grants erp --dsn 'postgresql://dba:${env:DBA_PASSWORD}@erp.example/erp' | psql …

    SELECT on exactly the captured tables, replication, and write on two tables of onhand's own.  Nothing is run, and no
    password is printed.  Exit 10: a setting of the server is wrong now.
    """
    settings = load_settings()
    (source,) = sources(settings, [name])
    if without_write and source.writes:
        say(
            f"{name}: connector.json still writes; `onhand source init {name} … --without-write` makes one that does "
            "not"
        )
    writes = source.writes and not without_write
    made = grants_of(source, _seen(source, dsn, writes), writes=writes)
    if as_json:
        show_json(
            {
                "source": name,
                "kind": source.kind,
                "statements": [{"sql": one.sql, "why": one.why} for one in made.statements if one.sql],
                "wrong": list(made.wrong),
                "loses": list(made.loses),
                "notes": list(made.notes),
            }
        )
    else:
        click.echo(made.sql, nl=False)
    raise SystemExit(EXIT_DIFFERENCES if made.wrong else EXIT_OK)


def _seen(source: Source, dsn: str | None, writes: bool) -> Seen | None:
    """The server as the given user sees it, else as the connector's, else not at all."""
    if source.kind not in ("postgres", "mariadb"):
        return None
    if dsn is not None:
        kind, at = parse_dsn(dsn, secrets_dirs=[load_settings().secrets])
        if kind != source.kind:
            raise InvalidInput(f"--dsn is of {kind}, {source.name} of {source.kind}")
        return look(source, at, writes=writes)
    try:
        return look(source, target(source, [load_settings().secrets]), writes=writes)
    except (EnvironmentFault, InvalidInput):
        return None  # the user is not there yet: that is what the SQL is for
