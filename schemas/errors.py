"""Every error of onhand, divided by what the operator does about it.

    OnhandError
    ├─ InvalidInput      exit 2   mend the named file, option or mapping, then run again
    ├─ EnvironmentFault  exit 3   a part onhand needs is missing or unreachable; start or install it, then retry
    ├─ Retryable         (none)   try again later by itself; `retry_after_s` says when
    ├─ PoisonRecord      (none)   one record cannot be processed; it goes to exception.v1 and the rest goes on
    └─ Fatal             exit 70  stop at once and restart from what is durable

Exit codes: 0 ok · 1 runtime failure, or what was looked at is not well (status, audit) · 2 invalid input ·
3 environment · 10 files and reality differ (plan, inspect, test) · 70 fail-stop, restart me.  Stale and duplicate
events are results, never exceptions.  A message names the thing it is about and what to do next.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_RUNTIME = 1
EXIT_INVALID = 2
EXIT_ENVIRONMENT = 3
EXIT_DIFFERENCES = 10
EXIT_FAIL_STOP = 70


class OnhandError(Exception):
    """Base of all; `exit_code` is what the command line returns for it."""

    exit_code = EXIT_RUNTIME


class InvalidInput(OnhandError):
    """What the user gave is wrong: a file, an option, a mapping, a contract."""

    exit_code = EXIT_INVALID


class EnvironmentFault(OnhandError):
    """Something onhand needs is missing, down or refuses: a package, a port, a broker, a database, a grant."""

    exit_code = EXIT_ENVIRONMENT


class Retryable(OnhandError):
    """A passing failure of a peer."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds the peer asked us to wait; None: our own back-off decides."""


class PoisonRecord(OnhandError):
    """One record cannot be processed; the caller parks it with its place and this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """Stable code of the catalogue in docs/exceptions.md."""


class Fatal(OnhandError):
    """Going on could lose or repeat something: the process exits with 70 and is started again."""

    exit_code = EXIT_FAIL_STOP
