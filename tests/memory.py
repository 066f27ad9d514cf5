"""A partition in memory: a `View` over dicts, and a runtime that settles a `Stage` in units and can crash anywhere.

It keeps the order of docs/architecture.md, "One unit, step by step": the batch for the changelog (changes and marker,
whole or not at all), the local store, then every output by itself.  Each of these is one *durable step*; `crash_after`
says before which one the process dies.  `restart` is what a new owner does: closed units, a claim with a marker of its
own, `open`, what is owed, then the input from the marker's offset.  It is for the unit tests of stages; Kafka, RocksDB
and former owners are tested on the real ones.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from schemas.versions import version_of
from streams.core.unit import InputRecord, Output, Settled, Stage

RUNTIME_PREFIX = b"\0"


class Crashed(Exception):
    """The process died before a durable step; only `MemoryRuntime.restart` goes on."""


class MemoryStore:
    """Settled pairs, in key order."""

    def __init__(self, pairs: dict[bytes, bytes] | None = None) -> None:
        self.pairs = dict(pairs or {})
        self.keys = sorted(self.pairs)

    def write(self, changes: dict[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                if self.pairs.pop(key, None) is not None:
                    del self.keys[bisect.bisect_left(self.keys, key)]
            else:
                if key not in self.pairs:
                    bisect.insort(self.keys, key)
                self.pairs[key] = value


class MemoryView:
    """`streams.core.unit.View` over a `MemoryStore`: unsettled writes in front."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.changes: dict[bytes, bytes | None] = {}
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def get(self, key: bytes) -> bytes | None:
        if key in self.changes:
            return self.changes[key]
        return self.store.pairs.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        assert key, "a state key is never empty"
        assert not key.startswith(RUNTIME_PREFIX), f"{key!r} is the runtime's"
        if key in self.changes:
            self._size -= len(key) + len(self.changes[key] or b"")
        self.changes[key] = value
        self._size += len(key) + len(value or b"")

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """As of the call: writes made while it is read are not seen."""
        lowest = max(prefix, start)
        found = {}
        for at in range(bisect.bisect_left(self.store.keys, lowest), len(self.store.keys)):
            key = self.store.keys[at]
            if not key.startswith(prefix):
                break
            found[key] = self.store.pairs[key]
        for key, value in self.changes.items():
            if key.startswith(prefix) and key >= lowest:
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = value
        return iter(sorted(found.items()))

    def settle(self) -> dict[bytes, bytes | None]:
        """The unsettled writes become settled; they are returned."""
        changes, self.changes, self._size = self.changes, {}, 0
        self.store.write(changes)
        return changes


@dataclass
class Marker:
    """What closes a unit, as far as a stage can notice."""

    offset: int = 0
    epoch: int = 0
    unit: int = 0
    fingerprint: bytes | None = None
    memo: bytes | None = None
    owed: tuple[bytes, ...] = ()


class Sent(NamedTuple):
    """One output as it left, and the version it left under."""

    output: Output
    version: int


@dataclass
class Durable:
    """What survives a crash."""

    inputs: list[InputRecord] = field(default_factory=list)
    changelog: list[tuple[dict[bytes, bytes | None], Marker]] = field(default_factory=list)
    """Closed units, oldest first."""
    sent: list[Sent] = field(default_factory=list)


class MemoryRuntime:
    """One partition of one stage.

    `feed` appends to the input; `run` works until the input is used up and no work list is left; `tick` lets time
    pass.  `latest(topic)` is the compacted view of what was sent.
    """

    def __init__(
        self,
        stage_factory: Callable[[], Stage],
        *,
        partition: int = 0,
        now_us: int = 1_764_000_000_000_000,
        batch: int = 50,
        durable: Durable | None = None,
    ) -> None:
        self.stage_factory, self.partition, self.now_us, self.batch = stage_factory, partition, now_us, batch
        self.durable = durable or Durable()
        self.crash_after: int | None = None
        """Durable steps still allowed; None: never crash."""
        self.stage: Stage
        self.view: MemoryView
        self.restart()

    # -- input and output

    def feed(self, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> int:
        """Append one input record; its offset."""
        offset = len(self.durable.inputs)
        topic = self.stage.input_topic
        self.durable.inputs.append(InputRecord(topic, self.partition, offset, self.now_us, key, value, headers))
        return offset

    def latest(self, topic: str) -> dict[bytes, bytes]:
        """Newest value per key by order of sending, tombstones left out."""
        values: dict[bytes, bytes | None] = {}
        for output, _ in self.durable.sent:
            if output.topic == topic:
                values[output.key] = output.value
        return {key: value for key, value in values.items() if value is not None}

    def state(self) -> dict[bytes, bytes]:
        """All settled pairs."""
        return dict(self.view.store.pairs)

    # -- running

    def run(self, *, batch: int | None = None, busy: bool = False) -> None:
        """Work until the input is used up and no work list is left.  Raises Crashed.

        `busy`: the stage gets no tick before the input is used up, as under load.
        """
        size = batch or self.batch
        held = 0
        while True:
            records = self.durable.inputs[self.marker.offset : self.marker.offset + size + held]
            if not records:
                break
            settled = self.stage.work(self.view, records, self.now_us)
            if settled.consumed == 0:
                assert not settled.owed, "nothing consumed, yet outputs owed"
                if self.marker.offset + len(records) >= len(self.durable.inputs):
                    break
                held += size
                continue
            held = 0
            self._close(settled)
            if settled.more and not busy:
                self._tick_once()
        self.tick(0)

    def tick(self, seconds: float = 1.0) -> None:
        """Let time pass, then tick until no work list is left.  Raises Crashed."""
        self.now_us += int(seconds * 1_000_000)
        while self._tick_once():
            pass

    def _tick_once(self) -> bool:
        settled = self.stage.tick(self.view, self.now_us)
        assert settled.consumed == 0, "a tick consumes nothing"
        if settled.owed or self.view.changes or settled.memo != (self.marker.memo or b""):
            self._close(settled)
        return settled.more

    def restart(self) -> None:
        """A new owner takes over: state of the last closed unit, a claim, what is owed.  Raises Crashed."""
        store = MemoryStore()
        marker = Marker()
        for changes, marker in self.durable.changelog:  # noqa: B007 - the last one stands
            store.write(changes)
        self.view, self.stage = MemoryView(store), self.stage_factory()
        last = marker if self.durable.changelog else None
        self.marker = replace(marker, epoch=marker.epoch + 1, unit=0)
        self._append({}, self.marker)
        opened = self.stage.open(
            self.view,
            self.partition,
            last.memo if last else None,
            last.fingerprint if last else None,
            self.now_us,
            len(self.durable.inputs),
        )
        assert opened.consumed == 0, "open consumes nothing"
        self._close(replace(opened, owed=tuple(dict.fromkeys((*marker.owed, *opened.owed)))))

    # -- durable steps

    def _step(self) -> None:
        if self.crash_after is not None:
            if self.crash_after <= 0:
                raise Crashed
            self.crash_after -= 1

    def _append(self, changes: dict[bytes, bytes | None], marker: Marker) -> None:
        self._step()
        self.durable.changelog.append((changes, marker))

    def _close(self, settled: Settled) -> None:
        assert len(set(settled.owed)) == len(settled.owed), "an owed key stands twice"
        self.marker = Marker(
            self.marker.offset + settled.consumed,
            self.marker.epoch,
            self.marker.unit + 1,
            self.stage.fingerprint,
            settled.memo,
            tuple(settled.owed),
        )
        self._append(dict(self.view.changes), self.marker)
        self._step()
        self.view.settle()
        self._send(settled.owed)

    def _send(self, owed: Sequence[bytes]) -> None:
        version = version_of(self.marker.epoch, self.marker.unit)
        for output in self.stage.render(self.view, owed, version, self.now_us):
            self._step()
            self.durable.sent.append(Sent(output, version))
        assert not self.view.changes, "render wrote into the state"


def run_with_crashes(runtime: MemoryRuntime, steps: Iterable[int]) -> int:
    """Run to the end, dying after so many durable steps, once for each of `steps`; how often it really died."""
    crashes, died = 0, False
    for allowed in (*steps, None):
        runtime.crash_after = allowed
        try:
            if died:
                runtime.restart()
            died = False
            runtime.run()
        except Crashed:
            crashes, died = crashes + 1, True
    return crashes
