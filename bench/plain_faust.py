"""The peer of our runtime: the same rows → sums job as plain Faust does it, with its RocksDB tables and changelogs.

`python -m bench.plain_faust RUN KAFKA DATA_DIR`; bench/runtime.py starts it and measures it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import faust

from bench.faust_worker import run
from tests.integration.runtime_stages import PARTITIONS, PartSum, load_row, pack


def build(run: str, kafka: str, data_dir: str) -> faust.App:
    """One agent, two tables, one output, raw bytes, quiet logs.  A producer linger makes it slower."""
    folder = Path(data_dir, f"plain-{run}")
    folder.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder, but not the one above it
    app = faust.App(
        f"plain-{run}",
        broker=f"kafka://{kafka}",
        store="rocksdb://",
        datadir=str(folder),
        topic_partitions=PARTITIONS,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        broker_commit_interval=1.0,
        worker_redirect_stdouts=False,
    )
    rows: Any = app.Table("rows", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    sums: Any = app.Table("sums", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    raw = app.topic(f"raw-{run}", key_type=bytes, value_type=bytes, value_serializer="raw")
    out = app.topic(f"plain-sums-{run}", key_type=bytes, value_type=bytes, value_serializer="raw")

    async def fold(stream: Any) -> None:
        version = 0
        async for event in stream.events():
            key, value = event.key, event.value
            for image, sign in ((rows.get(key), -1), (value, 1)):
                if image is not None:
                    row = load_row(image)
                    sku = row.sku.encode()
                    total = int(sums.get(sku) or 0) + sign * row.quantity
                    sums[sku] = b"%d" % total
                    version += 1
                    await out.send(key=sku, value=pack(PartSum(0, version, total)))
            rows[key] = value

    app.agent(raw, name="fold")(fold)

    return app


if __name__ == "__main__":
    run(build(*sys.argv[1:4]))
