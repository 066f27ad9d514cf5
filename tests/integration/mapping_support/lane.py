"""A lane that is always where the database is: what it holds is evaluated anew whenever an audit brings it forward."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from streams.connect.catalogue import session
from streams.core.lane.keys import ZERO, reference_text, row_reference
from streams.core.lane.mapped import NOTHING, Mapped, mapped
from streams.core.lane.state import Memo, RowRecord, TableState
from streams.core.lane.sums import Sums
from streams.core.mapping.lookup_tables import lookup_tables
from streams.core.mapping.mapping import CompiledMapping
from streams.core.mapping.model import RowError
from tests.integration.mapping_support.databases import target
from tests.integration.mapping_support.rows import Server
from tests.memory import MemoryView
from tests.stack import Database

Pairs = dict[bytes, bytes]
Defect = Callable[[Mapped], Mapped]


class CurrentLane:
    """Implements `streams.connect.audit.lane_copy.LaneState`."""

    def __init__(
        self,
        mapping: CompiledMapping,
        at: Database,
        defects: Mapping[str, Defect] | None = None,
        damage: Callable[[Pairs], object] = lambda pairs: None,
        guesses: Mapping[str, Mapped] | None = None,
    ) -> None:
        """`defects`: what it does wrong about some rows, named like `stock ["w1",100]`; `damage`: to what it holds;
        `guesses`: what it takes rows for that have no value."""
        self.mapping, self.at, self.defects, self.damage = mapping, at, defects or {}, damage
        self.guesses = guesses or {}
        self.memo = Memo(mapping.fingerprint, tables={name: TableState(()) for name in mapping.tables})
        self.pairs: Pairs = {}
        self.writes: dict[bytes, int] = {}
        self.stands = False
        """It is brought forward no more."""

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self.pairs.items() if key.startswith(prefix)))

    def catch_up(self) -> None:
        """It is as it was when it was brought forward last."""

    def watch(self, references: Collection[bytes]) -> None: ...

    def forward(self, first: str, last: str) -> None:
        if self.stands:
            return
        before, self.pairs = self.pairs, self._evaluated()
        self.damage(self.pairs)
        for key in before.keys() | self.pairs.keys():
            if key[:1] == b"r" and before.get(key) != self.pairs.get(key):
                self.writes[key[1:]] = self.writes.get(key[1:], 0) + 1

    def between(self, reference: bytes) -> list[bytes | None]:
        return []

    def written(self, reference: bytes) -> int:
        return self.writes.get(reference, 0)

    def _evaluated(self) -> Pairs:
        mapping, view = self.mapping, MemoryView()
        decoded: dict[str, list[Any]] = {}
        kind = mapping.source.kind
        with session(kind, target(self.at)) as cursor:
            there = Server(cursor, mapping.catalogue)
            there.cursor.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ" if kind == "postgres" else "START TRANSACTION READ ONLY"
            )
            for name, table in mapping.tables.items():
                images = there.images(there.catalogue.tables[name.partition(".")[2]], table.columns)
                decoded[name] = [table.decode(image) for image in images]
            there.cursor.execute("ROLLBACK")
        lookups = lookup_tables(mapping, decoded)
        sums = Sums(view, archives=False, now_us=0)
        for name, rows in decoded.items():
            table = mapping.tables[name]
            for row in rows:
                reference = row_reference(name.encode() + ZERO, table.key_of(row))
                named = reference_text(reference).partition(".")[2]
                bad = False
                try:
                    said = mapped(table.evaluate(row, lookups), reference)
                    defect = self.defects.get(named)
                    said = defect(said) if defect else said
                except RowError:
                    said, bad = self.guesses.get(named, NOTHING), named not in self.guesses
                for balance, quantity in said.postings:
                    sums.add(balance, quantity, reference)
                for key, value in said.parts:
                    view.put(key, value)
                record = RowRecord(1, b"x", said.postings, said.parts, bad=bad)
                view.put(b"r" + reference, msgspec.msgpack.encode(record))
        sums.settle()
        view.settle()
        return view.store.pairs
