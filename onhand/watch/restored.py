"""A source whose database was restored: its connector is stopped, and that stays red until a person has acted.

Going on, the connector would skip what comes before the place it had reached, or mix two histories; and once the
database has passed that place nobody could tell any more.  So the first look that finds it stops the connector (a
server that ends before what it has sent is certain, not a matter of time), and the finding stands as long as it is
stopped, whatever the database says then.  `onhand source resnapshot` ends that.  Another server under the same address
is the same, wherever its positions are: while a connector runs, its server stays the one it was first seen with.
"""

from __future__ import annotations

from dataclasses import replace

from streams.connect.findings import Finding, Severity
from streams.connect.status import SourceStatus

CODES = frozenset({"P16", "M16"})


class Restored:
    """One source's."""

    def __init__(self, standing: Finding | None = None) -> None:
        """`standing`: what an earlier watch has found, and nobody has acted on."""
        self._standing = standing
        self._server = ""

    def take(self, status: SourceStatus) -> tuple[SourceStatus, bool]:
        """(the look with what still stands, whether the connector is to be stopped now)."""
        stopped = status.connector is not None and status.connector.state == "STOPPED"
        found = next((problem for problem in status.problems if problem.code in CODES), None)
        if found is None and not stopped and (found := self._another(status)) is not None:
            status = replace(status, problems=(*status.problems, found))
        if found is not None:
            self._standing, self._server = found, ""
            return status, not stopped
        if stopped:
            self._server = ""  # by a person, who may put another server there and take a new snapshot
        else:
            self._standing, self._server = None, status.server or self._server
        if self._standing is None:
            return status, False
        return replace(status, problems=(*status.problems, self._standing)), False

    def _another(self, status: SourceStatus) -> Finding | None:
        if not (self._server and status.server and status.server != self._server):
            return None
        message = f"another server answers: its system identifier was {self._server} and is {status.server}"
        return Finding(
            "P16", Severity.ERROR, status.name, status.name, message, f"onhand source resnapshot {status.name}"
        )
