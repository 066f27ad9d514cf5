"""The work every peer does for one record of the source log; adapters bring the record, the store and the producer.

A record is decoded and mapped by the lane's own code, its lookups are read from the peer's durable store, the row it
replaces is withdrawn, sums move, and every sku that changed leaves as one balance message in Avro.  What a peer is not
asked for, because its framework has no place for it: whole transactions, the resend mark, lookups that come late or
change (the lane evaluates the rows again that rest on them), snapshots and completeness, parking, versions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

from bench.lane import CONFIGS
from schemas.codec import Codec
from schemas.messages import Balance, BalanceMessage
from schemas.records import Stamps
from streams.core.log.event import Kind, decode_event
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.model import LookupKey, Posting
from streams.core.unit import InputRecord

SOURCE = "wms"
INPUT = "cdc.wms"
OUTPUT = "onhand.balance.v1"

Message = tuple[bytes, bytes]
"""Key and value to send."""


class Store(Protocol):
    """What a peer keeps durably."""

    def get(self, key: bytes) -> bytes | None: ...

    def set(self, key: bytes, value: bytes) -> None: ...


class Lookup:
    """Lookup rows in the peer's store (`streams.core.mapping.model.LookupSource`)."""

    def __init__(self, step: Step, index: int, table: str) -> None:
        self._step, self._prefix = step, b"l%d " % index
        self._dump, self._load = step.mapping.dump_lookup_key, step.mapping.tables[table].load

    def name(self, key: LookupKey) -> bytes:
        return self._prefix + self._dump(key)

    def get(self, key: LookupKey) -> Any | None:
        stored = self._step.store.get(self.name(key))
        return None if stored is None else self._load(stored)


class Step:
    """One record in, messages out; `store` is set before each call or once."""

    store: Store

    def __init__(self) -> None:
        self.mapping = load_mapping(CONFIGS / SOURCE)
        self._lookups = [Lookup(self, index, lookup.table) for index, lookup in enumerate(self.mapping.lookups)]
        self._encode = Codec.local().encode

    def __call__(self, value: bytes, offset: int) -> list[Message]:
        """The record's key is not needed: the row tells it."""
        event = decode_event(InputRecord(INPUT, 0, offset, 0, b"{}", value))
        if event.kind is not Kind.ROW:
            return []
        table, store = self.mapping.tables[event.table], self.store
        row = table.decode(event.after)
        stored = table.dump(row)
        for lookup, key in table.lookup_keys(row):
            store.set(self._lookups[lookup].name(key), stored)
        identity = b"r%s %s" % (event.table.encode(), repr(table.key_of(row)).encode())
        old = store.get(identity)
        changed: dict[str, dict[bytes, tuple[Posting, Decimal]]] = {}
        before = table.evaluate(table.load(old), self._lookups).outputs if old is not None else ()
        for outputs, sign in ((before, -1), (table.evaluate(row, self._lookups).outputs, 1)):
            for posting in outputs:
                if isinstance(posting, Posting):
                    self._post(posting, sign, changed)
        store.set(identity, stored)
        return [(sku.encode(), self._message(sku, sums, event.committed_us, offset)) for sku, sums in changed.items()]

    def _post(self, posting: Posting, sign: int, changed: dict[str, dict[bytes, tuple[Posting, Decimal]]]) -> None:
        sums = changed.setdefault(posting.sku, {})
        key = repr((posting.sku, posting.location, posting.bucket.value, posting.due, posting.reference)).encode()
        known = sums.get(key)
        total = known[1] if known is not None else Decimal((self.store.get(b"s" + key) or b"0").decode())
        total += sign * posting.quantity
        sums[key] = (posting, total)
        self.store.set(b"s" + key, str(total).encode())

    def _message(
        self, sku: str, sums: dict[bytes, tuple[Posting, Decimal]], committed_us: int | None, offset: int
    ) -> bytes:
        balances = tuple(
            Balance(
                location=posting.location,
                bucket=posting.bucket,
                quantity=total,
                postings=1,
                due=posting.due,
                reference=posting.reference,
            )
            for posting, total in sums.values()
        )
        stamps = Stamps(committed_us=committed_us, captured_us=None, laned_us=committed_us or 0)
        message = BalanceMessage(
            kind="balances", source=SOURCE, version=offset, sku=sku, balances=balances, stamps=stamps
        )
        return self._encode(OUTPUT, message)
