"""The peer of the lane: the same decoding and the same mapping in plain Faust, with its RocksDB tables and changelogs.

`python -m bench.plain_faust_lane KAFKA DATA_DIR`; bench/lane_process.py starts it and measures it.
"""

from __future__ import annotations

import logging
import sys
from decimal import Decimal
from typing import Any

import faust

from bench.lane import CONFIGS
from schemas.codec import Codec
from schemas.records import Balance, BalanceMessage
from streams.core.log.event import Kind, decode_event
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.model import Posting
from streams.core.unit import InputRecord


def build(kafka: str, data_dir: str) -> faust.App:
    """One agent, two tables, one output, raw bytes, quiet logs."""
    app = faust.App(
        "plain-lane",
        broker=f"kafka://{kafka}",
        store="rocksdb://",
        datadir=f"{data_dir}/plain-lane",
        topic_partitions=1,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        broker_commit_interval=1.0,
        worker_redirect_stdouts=False,
    )
    rows: Any = app.Table("rows", partitions=1, key_type=bytes, value_type=bytes)
    sums: Any = app.Table("sums", partitions=1, key_type=bytes, value_type=bytes)
    log = app.topic("cdc.wms", key_type=bytes, value_type=bytes, value_serializer="raw")
    out = app.topic("plain-balances", key_type=bytes, value_type=bytes, value_serializer="raw")
    mapping, encode = load_mapping(CONFIGS / "wms"), Codec.local().encode
    lookups: list[dict[Any, Any]] = [{} for _ in mapping.lookups]

    async def fold(stream: Any) -> None:
        async for event in stream.events():
            record = InputRecord("cdc.wms", 0, event.message.offset, 0, event.key, event.value)
            change = decode_event(record)
            if change.kind is not Kind.ROW:
                continue
            table = mapping.tables[change.table]
            row = table.decode(change.after)
            for lookup, key in table.lookup_keys(row):
                lookups[lookup][key] = row
            identity = change.table.encode() + (event.key or b"")
            old = rows.get(identity)
            before = table.evaluate(table.load(old), lookups).outputs if old is not None else ()
            for postings, sign in ((before, -1), (table.evaluate(row, lookups).outputs, 1)):
                for posting in postings:
                    if isinstance(posting, Posting):
                        await post(posting, sign, event.message.offset)
            rows[identity] = table.dump(row)

    async def post(posting: Posting, sign: int, offset: int) -> None:
        key = repr((posting.sku, posting.location, posting.bucket.value, posting.due, posting.reference)).encode()
        total = Decimal((sums.get(key) or b"0").decode()) + sign * posting.quantity
        sums[key] = str(total).encode()
        balance = Balance(
            location=posting.location,
            bucket=posting.bucket,
            quantity=total,
            postings=1,
            due=posting.due,
            reference=posting.reference,
        )
        message = BalanceMessage(kind="balances", source="wms", version=offset, sku=posting.sku, balances=(balance,))
        await out.send(key=posting.sku.encode(), value=encode("onhand.balance.v1", message))

    app.agent(log, name="fold")(fold)

    @app.on_worker_init.connect
    def quiet(*_: Any, **__: Any) -> None:
        for name in ("faust", "aiokafka", "mode"):
            logging.getLogger(name).setLevel(logging.WARNING)

    return app


if __name__ == "__main__":
    application = build(*sys.argv[1:3])
    faust.Worker(application, loglevel="WARNING", quiet=True).execute_from_commandline()
