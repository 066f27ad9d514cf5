"""Make the Connect cluster be what the folders say, and do not believe it before records arrive.

One source never stops another: each has an outcome, and the caller's exit code is the gravest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import EXIT_OK, EnvironmentFault, InvalidInput, OnhandError
from streams.connect.client import ConfigProblem, ConnectClient, ConnectorStatus
from streams.connect.failures import remedy
from streams.connect.folder import Source
from streams.connect.plan import Action, KeyChange, SourcePlan, shown
from streams.connect.source_log import SourceLog
from streams.connect.status import observe
from streams.core.mapping.dialects import not_proven

POLL_S = 0.2
STALE_FAILURE_S = 5.0
"""How long the status may still tell the failure of before the change."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one source."""

    name: str
    action: Action
    detail: str
    exit_code: int = EXIT_OK

    @property
    def ok(self) -> bool:
        return self.exit_code == EXIT_OK

    def row(self) -> dict[str, object]:
        return {"source": self.name, "action": self.action.value, "ok": self.ok, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The parts an apply works on."""

    client: ConnectClient
    bootstrap: str
    secrets_dirs: Sequence[Path]
    ensure_topics: Callable[[Source], None]
    """Makes the source's topics with their settings; idempotent (a connector that meets missing topics can hang)."""
    deadline_s: float = 120.0
    """How long a connector may take until its first record."""


class SourceNotRunning(OnhandError):
    """A connector was given its configuration and does not deliver."""


def apply_source(source: Source, planned: SourcePlan, cluster: Cluster, report: Report) -> Outcome:
    """Carry one source's plan out and wait until its log really grows."""
    try:
        return Outcome(source.name, planned.action, _apply(source, planned, cluster, report))
    except OnhandError as error:
        return Outcome(source.name, planned.action, str(error), error.exit_code)


def refusal(planned: SourcePlan) -> str:
    """Why a plan is refused and the way out."""
    reasons = "; ".join(_refused(change) for change in planned.changes if change.why_not)
    return (
        f"{planned.name}: {reasons}.  Put the old value back, or start the source over: "
        f"`onhand source remove {planned.name} --forget`, then apply (a new snapshot)"
    )


def _apply(source: Source, planned: SourcePlan, cluster: Cluster, report: Report) -> str:
    reason = not_proven(source.kind)
    if reason:
        raise InvalidInput(f"{source.name}: {reason}")
    if planned.action is Action.REFUSED:
        raise InvalidInput(refusal(planned))
    client = cluster.client
    cluster.ensure_topics(source)
    before = client.status(source.name)
    with SourceLog(cluster.bootstrap, source.topic) as log:
        end = log.end() or 0
        if planned.action is not Action.UNCHANGED:
            report(f"{source.name}: validating")
            problems = client.validate(source.name, source.config)
            if problems:
                raise rejected(source, problems)
            report(f"{source.name}: {planned.action}")
            client.put_config(source.name, source.config)
        elif before is not None and before.failure:
            raise SourceNotRunning(
                f"{source.name}: unchanged, but {before.failure}.  {remedy(source.name, before.failure)}"
            )
        if before is not None and before.state in ("PAUSED", "STOPPED"):
            return f"{before.state.lower()}; `onhand source resume {source.name}` lets it run"
        report(f"{source.name}: waiting for its first record")
        return wait_for_records(source, cluster, log, end, before)


def wait_for_records(
    source: Source, cluster: Cluster, log: SourceLog, end: int, before: ConnectorStatus | None = None
) -> str:
    """Until connector and tasks run and the log has grown beyond `end`.

    Raises SourceNotRunning when a task fails or the deadline passes, with everything that is known to be wrong.
    """
    begun = time.monotonic()
    while True:
        status = cluster.client.status(source.name)
        waited_s = time.monotonic() - begun
        if status is not None and status.failure:
            stale = before is not None and before.failure == status.failure and waited_s < STALE_FAILURE_S
            if not stale:
                raise SourceNotRunning(f"{source.name}: {status.failure}.  {remedy(source.name, status.failure)}")
        now = log.end()
        if status is not None and status.running and now is not None and now > end:
            return f"running; {now - end} records on {source.topic} within {waited_s:.1f} s"
        if waited_s > cluster.deadline_s:
            raise SourceNotRunning(
                f"{source.name}: no record within {cluster.deadline_s:.0f} s. {_why(source, cluster)}"
            )
        time.sleep(POLL_S)


def rejected(source: Source, problems: Sequence[ConfigProblem]) -> OnhandError:
    """The connector's own validation as one error: exit 3 when the database refused, 2 when a key is wrong."""
    connecting = [problem for problem in problems if problem.key == "database.hostname"]
    text = "; ".join(
        problem.message if problem in connecting else f"{problem.key}: {problem.message}" for problem in problems
    )
    if connecting:
        where = f"{source.config.get('database.hostname')}:{source.config.get('database.port')}"
        who = source.config.get("database.user")
        return EnvironmentFault(
            f"{source.name}: Kafka Connect cannot use the database at {where} as {who}: {text}  "
            f"Start it or correct database.* in {source.place('database.hostname')}, then apply again"
        )
    return InvalidInput(f"{source.name}: refused by the connector: {text}  Mend {source.place(problems[0].key)}")


def _why(source: Source, cluster: Cluster) -> str:
    try:
        status = observe(source, cluster.client, cluster.bootstrap, cluster.secrets_dirs, time.time_ns() // 1000)
    except OnhandError as error:
        return str(error)
    return " ".join(map(str, status.problems)) or f"Look with `onhand source status {source.name}`"


def _refused(change: KeyChange) -> str:
    before, after = shown(change.key, change.before), shown(change.key, change.after)
    return f"{change.key} must not change ({before} → {after}): {change.why_not}"
