"""The end of a process that may not go on."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

from schemas.errors import EXIT_FAIL_STOP, OnhandError

log = logging.getLogger(__name__)


def fail_stop(why: str) -> NoReturn:
    """Say why, and exit with 70 at once: nothing more is written, sent or committed; a supervisor starts it again."""
    error = sys.exc_info()[1]
    trace = error is not None and not isinstance(error, OnhandError)
    log.critical("fail-stop: %s", why, exc_info=trace)
    logging.shutdown()
    os._exit(EXIT_FAIL_STOP)
