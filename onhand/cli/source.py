"""`onhand source`: connectors of the source systems, driven over Kafka Connect's REST API alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from onhand.cli.output import json_option, show_json, show_rows
from onhand.cli.source_audit import audit
from onhand.cli.source_explain import explain
from onhand.cli.source_grants import grants
from onhand.cli.source_init import init
from onhand.cli.source_operations import OPERATIONS
from onhand.cli.source_parts import cluster, say, sources, timeout_option
from onhand.cli.source_plan import changed_mappings, document
from onhand.cli.source_plan import show as show_mapping
from onhand.cli.source_try import try_
from onhand.clock import clock_us
from onhand.settings import Settings, load_settings
from schemas.errors import EXIT_DIFFERENCES, EXIT_ENVIRONMENT, EXIT_INVALID, EXIT_OK, EXIT_RUNTIME, InvalidInput
from streams.connect.apply import Outcome, apply_source, refusal
from streams.connect.client import ConnectClient
from streams.connect.drift import drift_findings
from streams.connect.findings import Finding, errors
from streams.connect.folder import Source, source_names
from streams.connect.lint import lint
from streams.connect.mapping_check import mapping_findings
from streams.connect.operations import remove
from streams.connect.plan import Action, SourcePlan, shown
from streams.connect.plan import plan as planned
from streams.connect.preflight import preflight
from streams.connect.status import SourceStatus, observe
from streams.connect.switch import switch_mapping
from streams.core.mapping.dialects import not_proven

names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def source() -> None:
    """Connectors, mappings and audits of the source systems.

    A source is a folder under connect-configs; see docs/connectors.md.
    """


@source.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every folder and what runs for it."""
    settings = load_settings()
    with ConnectClient(settings.connect_url) as client:
        statuses = client.statuses()
    rows = [
        {
            "source": name,
            "folder": str(settings.connect_configs / name),
            "connector": statuses[name].state if name in statuses else "absent",
            "tasks": " ".join(task.state for task in statuses[name].tasks) if name in statuses else "",
        }
        for name in source_names(settings.connect_configs)
    ]
    show_rows(rows, ["source", "connector", "tasks", "folder"], as_json=as_json, empty="no sources")


@source.command()
@names_argument
@click.option("--offline", is_flag=True, help="Only the files; ask no database.")
@json_option
def check(names: Sequence[str], offline: bool, as_json: bool) -> None:
    """Lint connector.json, and look in the databases for what would fail or stay silent later.

    Exit 2: a file is wrong; 3: a database is; 0: neither (warnings do not count).
    """
    settings = load_settings()
    chosen = sources(settings, names)
    wrong_files = _lint(settings, chosen)
    found: list[Finding] = []
    if not offline:
        wrong_files += [finding for one in chosen for finding in drift_findings(one, [settings.secrets])]
        found += [finding for one in chosen for finding in preflight(one, [settings.secrets])]
    _show_findings([*wrong_files, *found], as_json=as_json)
    raise SystemExit(EXIT_INVALID if errors(wrong_files) else EXIT_ENVIRONMENT if errors(found) else EXIT_OK)


@source.command()
@names_argument
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many of each list.")
@click.option("--connectors", is_flag=True, help="Only the connectors; do not look what a changed mapping would do.")
@json_option
def plan(names: Sequence[str], top: int, connectors: bool, as_json: bool) -> None:
    """What apply would change.  Exit 10: something; 2: something that must not change.

    A changed mapping is worked off in the shadow, on a copy of the lane's state: which balances, promises, items and
    orders would change and by how much, and what could not be mapped.  Nothing is published.

    \b
    $EDITOR connect-configs/erp/postings.sql
    onhand source plan erp
    onhand source apply erp
    """
    settings = load_settings()
    folders = _folders(settings, names)
    with ConnectClient(settings.connect_url) as client:
        plans = _plans(settings, folders, client, names)
    mappings = [] if connectors else changed_mappings(settings, folders)
    if as_json:
        documents = {one.source: document(one, top) for one in mappings}
        show_json([asdict(one) | {"mapping": documents.get(one.name)} for one in plans])
    else:
        for one in plans:
            _show_plan(one)
        for mapping in mappings:
            show_mapping(mapping, top)
        if not plans:
            click.echo("no sources")
    actions = {one.action for one in plans}
    if Action.REFUSED in actions:
        raise SystemExit(EXIT_INVALID)
    unchanged = actions <= {Action.UNCHANGED} and not any(one.changed for one in mappings)
    raise SystemExit(EXIT_OK if unchanged else EXIT_DIFFERENCES)


@source.command()
@names_argument
@click.option("--prune", is_flag=True, help="Remove connectors of ours that have no folder (their offsets stay).")
@click.option("--offline", is_flag=True, help="Skip the look into the databases.")
@timeout_option
@json_option
def apply(names: Sequence[str], prune: bool, offline: bool, timeout_s: float, as_json: bool) -> None:
    """Make Kafka Connect be what the folders say, and wait until records really arrive.

    NAME may also be an orphan, a connector of ours without a folder: with --prune only those named are removed.
    """
    settings = load_settings()
    chosen = _folders(settings, names)
    golden = [f"{one.name}: {reason}" for one in chosen if (reason := not_proven(one.kind))]
    if names and golden:
        raise InvalidInput("\n".join(golden))
    outcomes: list[Outcome] = []
    with ConnectClient(settings.connect_url) as client:
        plans = {one.name: one for one in _plans(settings, chosen, client, names)}
        parts = cluster(settings, client, timeout_s)
        for one in chosen:
            outcome = _checked(settings, one, offline) or apply_source(one, plans[one.name], parts, say)
            if outcome.ok:
                switch_mapping(settings.kafka, one, [settings.secrets], say)
            outcomes.append(outcome)
        for orphan in (one for one in plans.values() if one.action is Action.ORPHAN):
            detail = "has no folder; --prune removes it"
            if prune:
                remove(orphan.name, client, forget=False, deadline_s=timeout_s, report=say)
                detail = "removed; its offsets stay, and so does a PostgreSQL slot: drop it when it is not needed"
            outcomes.append(Outcome(orphan.name, Action.ORPHAN, detail))
    if as_json:
        show_json([one.row() for one in outcomes])
    else:
        for outcome in outcomes:  # a statement to copy must not be wrapped by a table
            click.echo(f"{outcome.name}: {outcome.action}, {'ok' if outcome.ok else 'FAILED'}: {outcome.detail}")
    raise SystemExit(max((one.exit_code for one in outcomes), default=EXIT_OK))


@source.command()
@names_argument
@json_option
def status(names: Sequence[str], as_json: bool) -> None:
    """How each source really is: tasks, the last record's age, slot or binlog.  Exit 1: something is red."""
    settings = load_settings()
    with ConnectClient(settings.connect_url) as client:
        now_us = clock_us()
        statuses = [
            observe(one, client, settings.kafka, [settings.secrets], now_us) for one in sources(settings, names)
        ]
    rows = [one.row() for one in statuses]
    if as_json:
        show_json(rows)
    else:
        show_rows(
            rows,
            ["source", "healthy", "connector", "tasks", "last_record_age_s", "log_end"],
            as_json=False,
            empty="no sources",
        )
        for one in statuses:
            if one.database:
                click.echo(f"{one.name}: {_short(one)}")
            for problem in one.problems:
                click.echo(str(problem))
    raise SystemExit(EXIT_OK if all(one.healthy for one in statuses) else EXIT_RUNTIME)


def _folders(settings: Settings, names: Sequence[str]) -> list[Source]:
    """The sources that are meant and have a folder; a name without one may be an orphan's."""
    known = source_names(settings.connect_configs)
    named = [name for name in names if name in known]
    return [] if names and not named else sources(settings, named)


def _plans(
    settings: Settings, chosen: Sequence[Source], client: ConnectClient, names: Sequence[str]
) -> list[SourcePlan]:
    """Plans of the chosen sources and of orphans (all of them when no name is given)."""
    actual: Mapping[str, dict[str, str]] = client.configs()
    folders = source_names(settings.connect_configs)
    chosen_names = {one.name for one in chosen}
    visible = {
        name: config
        for name, config in actual.items()
        if name in chosen_names or (name not in folders and (not names or name in names))
    }
    plans = planned({one.name: one.config for one in chosen}, visible)
    missing = [name for name in names if name not in {one.name for one in plans}]
    if missing:
        raise InvalidInput(f"neither a folder nor a connector of ours: {', '.join(missing)}")
    return plans


def _lint(settings: Settings, chosen: Sequence[Source]) -> list[Finding]:
    """Lint of the chosen sources and their mappings, duplicates looked for among all sources that can be read."""
    everyone: list[Source] = []
    for name in source_names(settings.connect_configs):
        try:
            everyone += sources(settings, [name])
        except InvalidInput:
            continue  # told when that source itself is asked for
    return [*lint(chosen, everyone), *(finding for one in chosen for finding in mapping_findings(one))]


def _checked(settings: Settings, one: Source, offline: bool) -> Outcome | None:
    """The refusal when files or database have errors; warnings are only said."""
    files = _lint(settings, [one])
    database: list[Finding] = []
    if not offline:
        files += drift_findings(one, [settings.secrets])
        database += preflight(one, [settings.secrets])
    wrong = errors([*files, *database])
    for finding in [*files, *database]:
        if finding not in wrong:
            say(str(finding))
    if not wrong:
        return None
    detail = "\n".join(map(str, wrong))
    return Outcome(one.name, Action.REFUSED, detail, EXIT_INVALID if errors(files) else EXIT_ENVIRONMENT)


def _show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        show_json([finding.row() for finding in findings])
        return
    for finding in findings:
        click.echo(str(finding))
    if not findings:
        click.echo("nothing found")


def _show_plan(one: SourcePlan) -> None:
    click.echo(f"{one.name}: {one.action}")
    for change in one.changes:
        refused = f"   refused: {change.why_not}" if change.why_not else ""
        click.echo(f"  {change.key}: {shown(change.key, change.before)} → {shown(change.key, change.after)}{refused}")
    if one.action is Action.REFUSED:
        click.echo(f"  {refusal(one)}")
    for note in one.notes:
        click.echo(f"  note: {note}")


def _short(one: SourceStatus) -> str:
    return " ".join(f"{key}={value}" for key, value in one.database.items() if value is not None)


for _command in (*OPERATIONS, audit, init, grants, try_, explain):
    source.add_command(_command)
if importlib.util.find_spec("onhand.cli.source_mapping"):
    for _command in vars(importlib.import_module("onhand.cli.source_mapping")).values():
        if isinstance(_command, click.Command):
            source.add_command(_command)
