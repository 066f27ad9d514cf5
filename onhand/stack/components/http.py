"""One quick question over HTTP."""

from __future__ import annotations

import requests


def answers_ok(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a GET is answered with 200 in time."""
    try:
        return requests.get(url, timeout=timeout_s).status_code == 200
    except requests.RequestException:
        return False
