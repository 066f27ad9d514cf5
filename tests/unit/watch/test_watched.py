"""What the watch knows of a source that it cannot look at, and what Prometheus is told then."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from onhand.health import process_pages
from onhand.metrics.catalogue import Kind
from onhand.settings import load_settings
from onhand.watch.troubles import Troubles
from onhand.watch.watch import Watched

ROOT = Path(__file__).parents[3]


def test_a_source_whose_look_fails_is_exposed_as_unwell() -> None:
    """Nobody answers where Kafka Connect should be; the others are exposed as ever."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        settings = load_settings(project_dir=ROOT, connect_url=f"http://{address}", kafka=address)
        watched = Watched("erp", settings, Troubles("erp", []))
        assert watched.look(0) == []
        watched.close()
    assert "Connect" in watched.row["error"]
    answer = {"sources": [watched.row], "progress": [], "exceptions": [], "restarts": {}, "looked_us": 5_000_000}

    page = process_pages(Kind.WATCH, "watch", lambda: answer)["/metrics"]()

    assert page.status == 200
    values = dict(re.findall(r"^(onhand_\w+)\{.*\} (\S+)$", page.body.decode(), re.MULTILINE))
    assert values["onhand_source_healthy"] == "0.0"
    assert values["onhand_watch_timestamp_seconds"] == "5.0"
    assert "onhand_connector_running" not in values, "that is not known"
