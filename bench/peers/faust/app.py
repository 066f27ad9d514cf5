"""Plain Faust: a table on RocksDB with its changelog, one message at a time, at least once.

`python -m bench.peers.faust.app KAFKA OUTPUT_TOPIC DATA_DIR`
"""

from __future__ import annotations

import sys
from typing import Any

import faust

from bench.faust_worker import run
from bench.peers.step import INPUT, Step


class TableStore:
    """The step's store."""

    def __init__(self, table: Any) -> None:
        self.get = table.get
        self.set = table.__setitem__


def build(kafka: str, output: str, data_dir: str) -> faust.App:
    """One agent, one table, one output, raw bytes, quiet logs."""
    app = faust.App(
        "peer-faust",
        broker=f"kafka://{kafka}",
        store="rocksdb://",
        datadir=data_dir,
        topic_partitions=1,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        broker_commit_interval=1.0,
        worker_redirect_stdouts=False,
    )
    table: Any = app.Table("state", partitions=1, key_type=bytes, value_type=bytes)
    log = app.topic(INPUT, key_type=bytes, value_type=bytes, value_serializer="raw")
    out = app.topic(output, key_type=bytes, value_type=bytes, value_serializer="raw")
    step = Step()
    step.store = TableStore(table)

    async def fold(stream: Any) -> None:
        async for event in stream.events():
            for key, value in step(event.value, event.message.offset):
                await out.send(key=key, value=value)

    app.agent(log, name="fold")(fold)

    return app


if __name__ == "__main__":
    run(build(*sys.argv[1:4]))
