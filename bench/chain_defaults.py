"""The chain with Debezium's defaults and Faust's wait for a fetch: what these cost, for `bench.chain --defaults`.

As a module it is the command line of onhand with that one wait put back.  It is not Faust out of the box: onhand's
chunks, its gathering of records and uvloop stay; `bench.peers` has a plain Faust.  `project_with_defaults` makes the
connectors' configuration without what onhand sets for speed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

MODULE = "bench.chain_defaults"
# but for one request in flight: with more a first snapshot can hang, so `source apply` refuses it (E21)
TUNED = (
    "poll.interval.ms",
    "max.batch.size",
    "max.queue.size",
    "max.queue.size.in.bytes",
    "producer.override.linger.ms",
    "producer.override.compression.type",
    "producer.override.batch.size",
)


def project_with_defaults(folder: Path) -> Path:
    """A copy of the project's configuration whose connectors have Debezium's and the producer's defaults."""
    project = folder / "project"
    for name in ("connect-configs", "channel-configs"):
        shutil.copytree(name, project / name)
    for file in project.glob("connect-configs/*/connector.json"):
        config = json.loads(file.read_text())
        file.write_text(json.dumps({key: value for key, value in config.items() if key not in TUNED}))
    return project


def put_fetch_wait_back() -> None:
    """Only Faust's wait for a fetch: up to 1.5 s for a partition that is left out of the fetch in flight."""
    from streams.agents.runtime.transport import ConsumerThread

    def wait_as_faust_does(self: Any, fetcher: Any) -> None:
        """Leave what Faust has set."""

    ConsumerThread._wait_by_what_is_fetched = wait_as_faust_does  # type: ignore[method-assign]


if __name__ == "__main__":
    from onhand.cli.main import main

    put_fetch_wait_back()
    main()
