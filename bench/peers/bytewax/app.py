"""bytewax: state in memory, snapshots of it in SQLite at the end of every epoch, at least once.

`python -m bench.peers.bytewax.app KAFKA OUTPUT_TOPIC DATA_DIR`

Its state belongs to a key and is snapshotted whole.  A join by other keys needs one key for all of it, as here: what an
epoch costs grows with the whole state, which must fit into memory.  Recovery goes back to the last epoch (10 s).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.step import INPUT, Message, Step

EPOCH = timedelta(seconds=10)
"""Its default."""


class DictStore:
    """The step's store: bytewax keeps it."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.get = pairs.get
        self.set = pairs.__setitem__


def build(kafka: str, output: str) -> Any:
    """Source, one stateful step, sink."""
    step = Step()

    def fold(pairs: dict[bytes, bytes] | None, record: Any) -> tuple[dict[bytes, bytes], list[Message]]:
        pairs = {} if pairs is None else pairs
        step.store = DictStore(pairs)
        return pairs, step(record.value, record.offset)

    flow = Dataflow("lane")
    log = op.input("log", flow, KafkaSource([kafka], [INPUT]))
    keyed = op.key_on("key", log, lambda record: "lane")
    folded = op.stateful_flat_map("fold", keyed, fold)
    messages = op.map("message", folded, lambda pair: KafkaSinkMessage(pair[1][0], pair[1][1]))
    op.output("balances", messages, KafkaSink([kafka], output))
    return flow


if __name__ == "__main__":
    kafka, output, data_dir = sys.argv[1:4]
    recovery = Path(data_dir)
    if not recovery.is_dir():
        recovery.mkdir(parents=True)
        init_db_dir(recovery, 1)
    cli_main(build(kafka, output), epoch_interval=EPOCH, recovery_config=RecoveryConfig(str(recovery)))
